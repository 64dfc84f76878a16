"""Transform: laws of the task first, then examples."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ProblemError
from mmreason.records import (
    DIFFICULTIES,
    FULL_BOX,
    GRID,
    Box,
    cell_word,
)
from mmreason.tasks.laws import boxes_of, is_solved_by_its_demonstration, split_thought
from mmreason.tasks.task import FOREIGN, NO_HINT
from mmreason.tasks.transform import COLOURS, OPERATIONS, PATTERN, PATTERN_BOX, Transform
from tests.helpers.parsing import json_values, parsed

TASK = Transform()
CELL_WORDS = [cell_word(row, column) for row in range(1, GRID + 1) for column in range(1, GRID + 1)]
WORDS = [
    *CELL_WORDS,
    *(str(n) for n in range(65)),
    *OPERATIONS,
    *COLOURS,
    "step",
    "swap",
    "<edit>",
    "<answer>",
    "",
]

# The operations once more, as NumPy has them: the solver that the task is held against.
BY_NUMPY = {
    "rotate90": lambda pattern: np.rot90(pattern, -1),
    "rotate180": lambda pattern: np.rot90(pattern, 2),
    "rotate270": lambda pattern: np.rot90(pattern, 1),
    "mirror_horizontal": np.fliplr,
    "mirror_vertical": np.flipud,
    "recolour": lambda pattern: np.where(pattern == 0, 0, pattern % 3 + 1),
}


def shown(canvas_HW):
    """The 3 × 3 pattern read off by the names of the cells."""
    value = {TASK.cells.index(f"pattern_{name}"): index for index, name in enumerate(("empty", *COLOURS))}
    return np.vectorize(value.__getitem__)(canvas_HW[1:4, 2:5])


def some_specs(count):
    rng = np.random.default_rng(1)
    for index in range(count):
        yield TASK.generate(DIFFICULTIES[index % 3], rng)
        pattern, chosen = rng.integers(0, 4, (3, 3)), rng.integers(0, 6, rng.integers(1, 7))
        pattern[1, 1] = 1
        yield TASK.parse({"pattern": pattern.tolist(), "operations": [OPERATIONS[i] for i in chosen]})


def test_demonstrations_are_accepted_step_by_step_and_end_solved():
    for spec in some_specs(60):
        is_solved_by_its_demonstration(TASK, spec)


def test_each_step_agrees_with_numpy():
    for spec in some_specs(60):
        pattern = np.array(spec["pattern"])
        assert np.array_equal(shown(TASK.canvas(spec)), pattern)
        for operation, step in zip(spec["operations"], TASK.demonstrate(spec).steps, strict=True):
            pattern = BY_NUMPY[operation](pattern)
            assert np.array_equal(shown(step.canvas), pattern)


def test_turns_count_red_blue_and_yellow_by_turns_and_the_answer_goes_on():
    for spec in some_specs(60):
        demonstration, pattern = TASK.demonstrate(spec), np.array(spec["pattern"])
        said = [step.thought.partition(" <edit>")[0].split()[-2:] for step in demonstration.steps]
        patterns = [pattern, *(shown(step.canvas) for step in demonstration.steps)]
        for turn, ((count, colour), seen) in enumerate(
            zip([*said, demonstration.answer.split()[1:]], patterns, strict=True)
        ):
            assert colour == ("red", "blue", "yellow")[turn % 3]
            assert int(count) == (seen == turn % 3 + 1).sum()


def test_each_single_corruption_of_a_thought_is_rejected_unless_it_is_another_true_count():
    for spec in some_specs(4):
        canvas_HW = TASK.canvas(spec)
        counts = {colour: int((shown(canvas_HW) == value).sum()) for value, colour in enumerate(COLOURS, 1)}
        thought = TASK.demonstrate(spec).steps[0].thought.split()
        for place, word in itertools.product(range(len(thought)), WORDS):
            if word == thought[place] or thought[place] == "<edit>":
                continue
            corrupt = [*thought[:place], word, *thought[place + 1 :]]
            boxes = boxes_of(corrupt[6:])
            if boxes is not None:
                also_true = place == 4 and word in counts and str(counts[word]) == thought[3]
                assert TASK.check_thought(spec, canvas_HW, corrupt[:5], boxes, 1).right == also_true, corrupt


def test_each_single_corruption_of_an_answer_is_rejected_unless_it_is_another_true_count():
    for spec in some_specs(4):
        canvas_HW, answer = TASK.demonstrate(spec).steps[-1].canvas, TASK.demonstrate(spec).answer.split()[1:]
        counts = {colour: int((shown(canvas_HW) == value).sum()) for value, colour in enumerate(COLOURS, 1)}
        for place, word in itertools.product(range(len(answer)), WORDS):
            if word != answer[place]:
                corrupt = [*answer[:place], word, *answer[place + 1 :]]
                also_true = place == 1 and word in counts and str(counts[word]) == answer[0]
                assert TASK.check_answer(spec, canvas_HW, corrupt).right == also_true, corrupt
        assert not TASK.check_answer(spec, canvas_HW, [*answer, "red"]).right


def test_the_answer_is_right_in_the_end_only():
    rng = np.random.default_rng(6)
    for difficulty in DIFFICULTIES * 20:
        spec = TASK.generate(difficulty, rng)
        demonstration = TASK.demonstrate(spec)
        for canvas_HW in (TASK.canvas(spec), *(step.canvas for step in demonstration.steps[:-1])):
            assert not TASK.is_solved(spec, canvas_HW)
            for count, colour in itertools.product(range(10), COLOURS):
                assert not TASK.check_answer(spec, canvas_HW, [str(count), colour]).right


def test_only_the_operation_of_this_turn_is_useful():
    spec = TASK.parse({"pattern": [[1, 1, 2], [0, 0, 0], [0, 3, 0]], "operations": ["rotate90", "recolour"]})
    canvas_HW, say = TASK.canvas(spec), ["step", "2", "recolour", "2", "red"]
    verdict = TASK.check_thought(spec, canvas_HW, say, [PATTERN_BOX], 1)
    assert verdict.components == {"well_formed": 1.0, "true": 1.0, "useful": 0.0}
    assert TASK.check_thought(spec, canvas_HW, say, [PATTERN_BOX], 2).right
    say_first = ["step", "1", "rotate90", "1", "yellow"]
    assert TASK.check_thought(spec, canvas_HW, say_first, [PATTERN_BOX], 1).right
    verdict = TASK.check_thought(spec, canvas_HW, ["step", "1", "recolour", "1", "yellow"], [PATTERN_BOX], 1)
    assert not verdict.right and verdict.reason == "operation 1 is rotate 90°"
    verdict = TASK.check_thought(spec, canvas_HW, ["step", "3", "recolour", "2", "red"], [PATTERN_BOX], 3)
    assert not verdict.right and verdict.reason == "there is no operation 3"
    assert TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 3) == []


def test_missing_and_extra_boxes_are_rejected():
    spec = TASK.generate("easy", np.random.default_rng(0))
    canvas_HW = TASK.canvas(spec)
    words, boxes = split_thought(TASK.demonstrate(spec).steps[0].thought)
    for wrong in ([], boxes * 2, [*boxes, FULL_BOX], [FULL_BOX], [Box(2, 3, 4, 4)]):
        assert not TASK.check_thought(spec, canvas_HW, words, wrong, 1).right


def test_edits_need_the_whole_pattern_in_the_region_and_leave_the_rest_alone():
    for spec in some_specs(5):
        canvas_HW = TASK.canvas(spec)
        canvas_HW[7, 7] = FOREIGN  # a slip elsewhere stays as it is
        before = canvas_HW.copy()
        (edit_HW,) = TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 1)
        outside = ~PATTERN_BOX.mask()
        assert np.array_equal(edit_HW[outside], canvas_HW[outside]) and np.array_equal(canvas_HW, before)
        for row, column in np.argwhere(PATTERN_BOX.mask()):
            region_HW = FULL_BOX.mask()
            region_HW[row, column] = False
            assert TASK.accepted_edits(spec, canvas_HW, region_HW, 1) == []


def test_an_operation_that_changes_nothing_keeps_the_canvas():
    spec = TASK.parse({"pattern": [[0, 0, 0], [0, 1, 0], [0, 0, 0]], "operations": ["rotate90"]})
    canvas_HW = TASK.canvas(spec)
    (edit_HW,) = TASK.accepted_edits(spec, canvas_HW, PATTERN_BOX.mask(), 1)
    assert np.array_equal(edit_HW, canvas_HW) and edit_HW is not canvas_HW


def test_a_pattern_that_cannot_be_read_has_no_true_thought_and_no_edit():
    spec = TASK.generate("hard", np.random.default_rng(0))
    words, boxes = split_thought(TASK.demonstrate(spec).steps[0].thought)
    for bad in (FOREIGN, TASK.cells.index("background"), TASK.cells.index("slot"), len(TASK.cells) - 1):
        canvas_HW = TASK.canvas(spec)
        canvas_HW[2, 3] = bad
        verdict = TASK.check_thought(spec, canvas_HW, words, boxes, 1)
        assert not verdict.right and verdict.components["true"] == 0.0
        assert TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 1) == []
        assert not TASK.check_answer(spec, canvas_HW, ["0", "red"]).right


def test_generated_specs_stay_themselves_in_a_file_and_are_changed_by_each_operation():
    for difficulty in DIFFICULTIES:
        rng = np.random.default_rng(5)
        for _ in range(50):
            spec = TASK.generate(difficulty, rng)
            assert TASK.parse(json.loads(json.dumps(spec))) == spec and next(iter(spec)) == "task"
            assert 4 <= np.count_nonzero(spec["pattern"]) <= 7
            canvases = [TASK.canvas(spec), *(step.canvas for step in TASK.demonstrate(spec).steps)]
            assert all((a != b).any() for a, b in itertools.pairwise(canvases))
            assert canvases[0].dtype == np.int16 and np.array_equal(TASK.canvas(spec), canvases[0])


def test_hints_are_the_pattern_after_the_first_operation():
    for spec in some_specs(20):
        hints_HW = TASK.hints(spec)
        assert np.array_equal(hints_HW[PATTERN], shown(TASK.demonstrate(spec).steps[0].canvas))
        assert (hints_HW[~PATTERN_BOX.mask()] == NO_HINT).all()


def test_all_drawings_are_used():
    used = {cell for spec in some_specs(40) for cell in TASK.canvas(spec).ravel().tolist()}
    assert used == set(range(len(TASK.cells)))


GOOD = {"task": "transform", "pattern": [[0, 2, 1], [0, 0, 3], [1, 0, 0]], "operations": ["rotate90"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task": "maze"}, "task"),
        ({"extra": 1}, "extra"),
        ({"pattern": []}, "0 rows"),
        ({"pattern": "000"}, "'000'"),
        ({"pattern": [[0, 0, 1], [0, 0], [0, 0, 0]]}, "row 2"),
        ({"pattern": [[0, 0, 1], [0, 0, 4], [0, 0, 0]]}, "got 4"),
        ({"pattern": [[0, 0, 1], [0, 0, True], [0, 0, 0]]}, "True"),
        ({"pattern": [[0, 0, 1], [0, 0, 1.0], [0, 0, 0]]}, "1.0"),
        ({"pattern": [[0, 0, 1], [0, 0, float("nan")], [0, 0, 0]]}, "nan"),
        ({"pattern": [[0, 0, 1], [0, 0, 10**5000], [0, 0, 0]]}, "int"),
        ({"pattern": [[0] * 3] * 3}, "only 0"),
        ({"operations": []}, "0 of them"),
        ({"operations": ["rotate90"] * 7}, "7 of them"),
        ({"operations": "rotate90"}, "'rotate90'"),
        ({"operations": ["rotate45"]}, "rotate45"),
        ({"operations": ["rotate90", ["rotate90"]]}, "operation 2"),
    ],
)
def test_a_bad_file_is_refused_with_one_sentence_that_names_what_is_wrong(change, says):
    with pytest.raises(ProblemError) as error:
        TASK.parse({**GOOD, **change})
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 200


def test_both_spellings_of_recolour_are_read_and_missing_fields_refused():
    assert TASK.parse({**GOOD, "operations": ["recolor", "recolour"]})["operations"] == [
        "recolour",
        "recolour",
    ]
    assert TASK.parse({key: GOOD[key] for key in ("operations", "pattern")}) == GOOD
    for key in ("pattern", "operations"):
        with pytest.raises(ProblemError, match=f"{key} is missing"):
            TASK.parse({name: value for name, value in GOOD.items() if name != key})


JSON = json_values(*OPERATIONS)
NEARLY = st.fixed_dictionaries(
    {"pattern": JSON | st.just(GOOD["pattern"]), "operations": JSON | st.just(["recolor"])},
    optional={"task": JSON},
)


@settings(max_examples=150, deadline=None)
@given(JSON | NEARLY)
def test_parse_raises_nothing_but_problem_errors(data):
    spec = parsed(TASK, data)
    assert spec is None or 1 <= TASK.turns_needed(spec) <= 6


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=6),
    st.lists(st.sampled_from([PATTERN_BOX, FULL_BOX]), max_size=3),
    st.integers(1, 20),
)
def test_verifiers_never_raise_on_any_canvas(seed, words, boxes, turn):
    rng = np.random.default_rng(seed)
    spec = TASK.generate(DIFFICULTIES[seed % 3], rng)
    noise_HW = rng.integers(-1, len(TASK.cells), (GRID, GRID))
    canvas_HW = np.where(rng.random((GRID, GRID)) < 0.1, noise_HW, TASK.canvas(spec))
    for say in (words, ["step", str(turn), spec["operations"][0], "2", "red"]):
        TASK.check_thought(spec, canvas_HW, say, boxes, turn)
        TASK.check_answer(spec, canvas_HW, say)
    TASK.check_answer(spec, canvas_HW, ["2", "red"])
    TASK.is_solved(spec, canvas_HW)
    for edit_HW in TASK.accepted_edits(spec, canvas_HW, rng.random((GRID, GRID)) < 0.99, turn):
        assert (edit_HW != canvas_HW).sum() <= 9
