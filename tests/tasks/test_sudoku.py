"""What holds of the sudoku: its demonstration, its verifier, its generator, its drawings and its files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ProblemError
from mmreason.records import DIFFICULTIES, FULL_BOX, Box, Verdict, parse_cell, region_mask
from mmreason.tasks.laws import split_thought
from mmreason.tasks.sudoku import CELLS, Sudoku, _solved_by_singles
from mmreason.tasks.task import FOREIGN, NO_HINT
from tests.helpers.parsing import json_values, parsed

SUDOKU = Sudoku()
VOCABULARY = [
    *[
        "right",
        "down",
        "left",
        "up",
        "total",
        "moves",
        "solved",
        "is",
        "row",
        "column",
        "box",
        "lacks",
        "only",
        "fits",
        "tile",
    ],
    *map(str, range(65)),
    *(f"r{r}c{c}" for r in range(1, 9) for c in range(1, 9)),
]
FULL = [[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]]


def without(*cells: tuple[int, int]) -> dict:
    """FULL with the named cells (row, column from 1) empty."""
    grid = [list(row) for row in FULL]
    for row, column in cells:
        grid[row - 1][column - 1] = 0
    return SUDOKU.parse({"grid": grid})


def specs(difficulty: str, count: int, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [SUDOKU.generate(difficulty, rng) for _ in range(count)]


def judge(spec, canvas, text: str) -> Verdict:
    words, boxes = split_thought(text) or (text.partition(" <edit>")[0].split(), [])
    return SUDOKU.check_thought(spec, canvas, words, boxes, 1)


def shown(canvas: np.ndarray) -> np.ndarray:
    """An independent reading of a well-drawn canvas: 4 × 4 digits, by the top left quarters."""
    names = [[CELLS[cell].split("_")[1] for cell in row] for row in canvas[::2, ::2]]
    return np.array([[0 if name == "empty" else int(name[-1]) for name in row] for row in names])


def candidates(grid: np.ndarray, r: int, c: int) -> set[int]:
    box = grid[r // 2 * 2 : r // 2 * 2 + 2, c // 2 * 2 : c // 2 * 2 + 2]
    return {1, 2, 3, 4} - set(grid[r].tolist()) - set(grid[:, c].tolist()) - set(box.ravel().tolist())


def solutions(grid: np.ndarray) -> list[list[list[int]]]:
    """Every solution, by an independent backtracking search."""
    empty = np.argwhere(grid == 0).tolist()
    if not empty:
        return [grid.tolist()]
    (r, c), found = empty[0], []
    for digit in sorted(candidates(grid, r, c)):
        tried = grid.copy()
        tried[r, c] = digit
        found += solutions(tried)
    return found


def reason_holds(grid: np.ndarray, r: int, c: int, digit: int, unit: str) -> bool:
    """Do the other three cells of the row, column or box hold the other three digits?"""
    top, left = r // 2 * 2, c // 2 * 2
    cells = {
        "row": [(r, k) for k in range(4)],
        "column": [(k, c) for k in range(4)],
        "box": [(top + a, left + b) for a in range(2) for b in range(2)],
    }[unit]
    return sorted([int(grid[x]) for x in cells if x != (r, c)] + [digit]) == [1, 2, 3, 4]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_last_canvas_shows_the_one_solution_of_an_independent_search(difficulty):
    for spec in specs(difficulty, 40, seed=1):
        found = solutions(np.array(spec["grid"]))
        assert [shown(SUDOKU.demonstrate(spec).steps[-1].canvas).tolist()] == found


def test_the_demonstration_takes_the_first_single_in_reading_order_and_its_first_reason():
    for spec in specs("hard", 15, seed=4):
        grid, full = np.array(spec["grid"]), np.array(solutions(np.array(spec["grid"]))[0])
        for step in SUDOKU.demonstrate(spec).steps:
            empty = np.argwhere(grid == 0).tolist()
            r, c = next((r, c) for r, c in empty if candidates(grid, r, c) == {full[r, c]})
            digit = int(full[r, c])
            units = [unit for unit in ("row", "column", "box") if reason_holds(grid, r, c, digit, unit)]
            reason = f"{units[0]} lacks {digit}" if units else f"only {digit} fits"
            assert step.thought.partition(" <edit>")[0] == f"r{r + 1}c{c + 1} is {digit} {reason}"
            grid[r, c] = digit


def test_each_single_corruption_that_is_still_accepted_names_another_reason_that_holds():
    for spec in specs("medium", 2, seed=2) + specs("hard", 1, seed=2):
        canvas = SUDOKU.canvas(spec)
        for step in SUDOKU.demonstrate(spec).steps:
            tokens = step.thought.split()
            for at, old in enumerate(tokens):
                for new in VOCABULARY if old != "<edit>" else ():
                    parts = split_thought(" ".join([*tokens[:at], new, *tokens[at + 1 :]]))
                    if new == old or parts is None:
                        continue
                    if SUDOKU.check_thought(spec, canvas, *parts, 1).right:
                        (row, column), digit = parse_cell(tokens[0]), int(tokens[2])
                        assert at == 3 and tokens[4] == "lacks"
                        assert reason_holds(shown(canvas), row - 1, column - 1, digit, new)
            canvas = step.canvas
        for word in set(VOCABULARY) - {"solved"}:
            assert not SUDOKU.check_answer(spec, canvas, [word]).right


@pytest.mark.parametrize("difficulty", ["medium", "hard"])
def test_thoughts_and_edits_accept_exactly_the_naked_singles_of_an_independent_reading(difficulty):
    for spec in specs(difficulty, 15, seed=3):
        canvas = SUDOKU.canvas(spec)
        grid, full = np.array(spec["grid"]), np.array(solutions(np.array(spec["grid"]))[0])
        singles = 0
        for r in range(4):
            for c in range(4):
                box = Box(2 * r + 1, 2 * c + 1, 2 * r + 2, 2 * c + 2)
                single = grid[r, c] == 0 and candidates(grid, r, c) == {full[r, c]}
                singles += single
                pictures = SUDOKU.accepted_edits(spec, canvas, box.mask(), 1)
                assert len(pictures) == single
                for d in range(1, 5):
                    here, right = [f"r{r + 1}c{c + 1}", "is", str(d)], single and d == full[r, c]
                    only = SUDOKU.check_thought(spec, canvas, [*here, "only", str(d), "fits"], [box], 1)
                    assert only.right == right
                    for unit in ("row", "column", "box"):
                        verdict = SUDOKU.check_thought(spec, canvas, [*here, unit, "lacks", str(d)], [box], 1)
                        assert verdict.right == (right and reason_holds(grid, r, c, d, unit))
                if single:
                    assert shown(pictures[0])[r, c] == full[r, c]
        assert len(SUDOKU.accepted_edits(spec, canvas, FULL_BOX.mask(), 1)) == singles


@pytest.mark.parametrize(
    ("thought", "reason"),
    [
        ("r1c3 is 3 row lacks 3 <edit> r1c5 r2c6", "true"),
        ("r1c3 is 3 only 3 fits <edit> r2c6 r1c5", "true"),
        ("r1c3 is 3 column lacks 3 <edit> r1c5 r2c6", "it does not hold at r1c3 that column lacks 3"),
        ("r1c2 is 2 row lacks 2 <edit> r1c3 r2c4", "r1c2 already holds 2"),
        ("r1c3 is 4 row lacks 4 <edit> r1c5 r2c6", "it does not hold at r1c3 that row lacks 4"),
        ("r1c3 is 3 row lacks 3 <edit> r1c5 r2c5", "box does not match r1c3"),
        (
            "r1c3 is 3 row lacks 4 <edit> r1c5 r2c6",
            "the reason must be row, column or box lacks 3, or only 3 fits",
        ),
        ("r1c5 is 3 row lacks 3 <edit> r1c5 r2c6", "a thought reads: cell, is, digit, reason"),
        ("r1c3 is 3 row lacks 3 <edit> r1c5 r2c6 r1c5 r2c6", "a thought has one box, got 2"),
        ("r1c3 is 3 row lacks 3 <edit> ", "a thought has one box, got 0"),
    ],
)
def test_a_verdict_says_what_is_wrong(thought, reason):
    spec = without((1, 3), (3, 3))
    verdict = judge(spec, SUDOKU.canvas(spec), thought)
    assert (verdict.reason, verdict.right) == (reason, reason == "true")


def test_a_deduction_from_a_wrong_digit_is_true_of_the_canvas_but_not_useful():
    spec = without((1, 3), (1, 4), (2, 4))
    canvas = SUDOKU.canvas(spec)
    canvas[0:2, 4:6] = [[CELLS.index(f"dark_placed4_{q}") for q in pair] for pair in (("tl", "tr"), ("bl", "br"))]
    verdict = judge(spec, canvas, "r1c4 is 3 row lacks 3 <edit> r1c7 r2c8")
    assert verdict.components == {"well_formed": 1.0, "true": 1.0, "useful": 0.0}
    assert verdict.reason == "r1c4 is not 3 in the solution"
    assert SUDOKU.accepted_edits(spec, canvas, Box(1, 7, 2, 8).mask(), 1) == []


def test_a_cell_is_read_only_if_its_four_quarters_agree_in_digit_place_and_shade():
    spec = without((1, 1), (4, 4))
    for change in (FOREIGN, CELLS.index("light_given1_tr"), CELLS.index("dark_empty_tl"), 9999):
        canvas = SUDOKU.canvas(spec)
        canvas[0, 0] = change
        assert judge(spec, canvas, "r1c1 is 1 row lacks 1 <edit> r1c1 r2c2").reason == "r1c1 cannot be read"
        assert SUDOKU.accepted_edits(spec, canvas, Box(1, 1, 2, 2).mask(), 1) == []
        assert SUDOKU.check_answer(spec, canvas, ["solved"]).reason == "r1c1 cannot be read"


def test_an_edit_leaves_the_canvas_shown_and_all_outside_the_region_alone():
    spec = without((1, 1), (4, 4))
    canvas = SUDOKU.canvas(spec)
    before, region = canvas.copy(), Box(1, 1, 3, 3).mask()
    (picture,) = SUDOKU.accepted_edits(spec, canvas, region, 1)
    assert np.array_equal(canvas, before) and int((picture != before).sum()) == 4
    assert not (picture != before)[~region].any()
    assert SUDOKU.accepted_edits(spec, canvas, Box(1, 1, 2, 1).mask(), 1) == []


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_what_is_generated_has_one_solution_and_stays_itself_in_a_file(difficulty):
    for spec in specs(difficulty, 100, seed=4):
        assert SUDOKU.parse(json.loads(json.dumps(spec))) == spec


def test_hints_are_the_solution_on_the_empty_cells():
    for spec in specs("hard", 10, seed=5):
        grid, full = np.array(spec["grid"]), np.array(solutions(np.array(spec["grid"]))[0])
        wanted = np.where(grid == 0, full - 1, NO_HINT)
        assert np.array_equal(SUDOKU.hints(spec), wanted.repeat(2, axis=0).repeat(2, axis=1))


def test_the_canvas_shows_the_givens():
    for spec in specs("hard", 5, seed=6):
        assert shown(SUDOKU.canvas(spec)).tolist() == spec["grid"]


def with_cell(row: int, column: int, value) -> dict:
    grid = [list(line) for line in FULL]
    grid[row - 1][column - 1] = value
    return {"task": "sudoku", "grid": grid}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("text", "JSON object"),
        ({}, "grid is missing"),
        ({"grid": None}, "grid must be a list of 4 rows, got None"),
        ({"grid": FULL}, "no empty cell"),
        ({"grid": FULL, "hint": 1}, "'hint' is unknown"),
        ({"task": ["sudoku"], "grid": FULL}, "task must be 'sudoku'"),
        ({"grid": FULL[:3]}, "got a list of 3"),
        ({"grid": [*FULL[:3], [1, 2, 3]]}, "row 4 must be a list of 4 integers, got a list of 3"),
        (with_cell(2, 3, 5), "r2c3 must be an integer from 0 to 4, got 5"),
        (with_cell(2, 3, True), "r2c3 must be an integer from 0 to 4, got True"),
        (with_cell(2, 3, 1.0), "r2c3 must be an integer from 0 to 4, got 1.0"),
        (with_cell(2, 3, float("nan")), "r2c3 must be an integer from 0 to 4, got nan"),
        (with_cell(2, 3, 10**5000), "got a huge number"),
        (with_cell(1, 1, 2), "no empty cell"),
        ({"grid": [[1, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4]}, "row 1 holds 1 more than once"),
        ({"grid": [[1, 0, 0, 0], [0] * 4, [1, 0, 0, 0], [0] * 4]}, "column 1 holds 1 more than once"),
        ({"grid": [[0] * 4, [0] * 4, [0, 0, 3, 0], [0, 0, 0, 3]]}, "box 4 holds 3 more than once"),
        ({"grid": [[0] * 4] * 4}, "more than one solution (288)"),
        ({"grid": [[0, 1, 2, 3], [4, 0, 0, 0], [0] * 4, [0] * 4]}, "no solution"),
    ],
)
def test_a_refusal_is_one_sentence_that_says_what_would_be_right(data, said):
    with pytest.raises(ProblemError) as caught:
        SUDOKU.parse(data)
    message = str(caught.value)
    assert said in message and "\n" not in message and len(message) < 250


JSON = json_values("grid", "task")
grids = st.lists(st.lists(st.integers(0, 4) | JSON, min_size=4, max_size=4), min_size=4, max_size=4)
sparse = st.lists(st.lists(st.sampled_from([0, 0, 1, 2, 3, 4]), min_size=4, max_size=4), min_size=4, max_size=4)


@settings(max_examples=150, deadline=None)
@given(JSON | st.fixed_dictionaries({"grid": grids | sparse}))
def test_parse_raises_nothing_but_problem_errors(data):
    spec = parsed(SUDOKU, data)
    assert spec is None or 1 <= SUDOKU.turns_needed(spec) <= 16


# the two filled grids that are essentially different: every other one is a relabelling, a swap of rows,
# columns or bands, or a transposition of one of them, and naked singles do not care
TWO_KINDS = [FULL, [[1, 2, 3, 4], [3, 4, 1, 2], [2, 3, 4, 1], [4, 1, 2, 3]]]


@pytest.mark.parametrize(("full", "count"), [(TWO_KINDS[0], 41401), (TWO_KINDS[1], 50027)])
def test_naked_singles_solve_every_grid_that_has_one_solution(full, count):
    flat = np.ravel(full).tolist()
    others = [np.ravel(other) for other in solutions(np.zeros((4, 4), dtype=int)) if other != full]
    shared = [sum(1 << p for p in range(16) if other[p] == flat[p]) for other in others]
    # only the largest sets matter; a set of givens is ambiguous if another solution shares all of them
    shared = [a for a in set(shared) if not any(a != b and a & ~b == 0 for b in shared)]
    ambiguous = np.zeros(1 << 16, dtype=bool)
    subsets = np.arange(1 << 16)
    for mask in shared:
        ambiguous |= subsets & ~mask == 0
    assert int((~ambiguous).sum()) == count
    for givens in np.flatnonzero(~ambiguous).tolist():
        grid = [flat[p] if givens >> p & 1 else 0 for p in range(16)]
        assert _solved_by_singles(grid, flat), grid


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(TWO_KINDS),
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12),
)
def test_parse_takes_just_the_grids_with_one_solution(full, empty):
    grid = np.array([[0 if (r, c) in empty else full[r][c] for c in range(4)] for r in range(4)])
    num_solutions = len(solutions(grid))
    try:
        SUDOKU.parse({"grid": grid.tolist()})
    except ProblemError as refusal:
        assert f"more than one solution ({num_solutions})" in str(refusal) and num_solutions > 1
    else:
        assert num_solutions == 1


corners = st.tuples(st.integers(1, 8), st.integers(1, 8))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(specs("hard", 4, seed=7)),
    st.dictionaries(st.integers(0, 63), st.integers(FOREIGN, len(CELLS)), max_size=20),
    st.lists(st.sampled_from([*VOCABULARY[:20], "", "007", "٣", "r4c4", "r5c1", "<end>"]), max_size=12),
    st.lists(st.builds(Box.between, corners, corners), max_size=3),
)
def test_the_verifier_never_raises_on_any_canvas_words_or_boxes(spec, changes, words, boxes):
    canvas = SUDOKU.canvas(spec)
    for place, cell in changes.items():
        canvas.flat[place] = cell
    region = region_mask(boxes)
    SUDOKU.check_thought(spec, canvas, words, boxes, 1)
    SUDOKU.check_thought(spec, canvas, ["r2c2", "is", "3", *words], boxes, 1)
    SUDOKU.check_thought(spec, canvas, ["r2c2", "is", "3", "box", "lacks", "3"], boxes, 2)
    for picture in SUDOKU.accepted_edits(spec, canvas, region, 1):
        assert not (picture != canvas)[~region].any()
    SUDOKU.check_answer(spec, canvas, words)
    SUDOKU.check_answer(spec, canvas, ["solved"])
    SUDOKU.is_solved(spec, canvas)
