"""What holds of the maze: its demonstration, its verifier, its generator, its drawings and its files."""

from __future__ import annotations

import json
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ProblemError
from mmreason.records import DIFFICULTIES, FULL_BOX, GRID, Box, Verdict, region_mask
from mmreason.tasks.laws import split_thought
from mmreason.tasks.maze import AGENT, AGENT_ON_GOAL, DIRECTIONS, FLOOR, TRAIL, Maze
from mmreason.tasks.task import FOREIGN, NO_HINT
from tests.helpers.parsing import json_values, parsed

MAZE = Maze()
CELL_WORDS = [f"r{r}c{c}" for r in range(1, 9) for c in range(1, 9)]
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
    *CELL_WORDS,
]
OPEN = ["S.......", *["........"] * 6, ".......G"]
WALLED = ["S..#....", "##.#....", "G.......", "........", "........", "........", "........", "........"]


def specs(difficulty: str, count: int, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [MAZE.generate(difficulty, rng) for _ in range(count)]


def judge(spec, canvas, text: str) -> Verdict:
    words, boxes = split_thought(text)
    return MAZE.check_thought(spec, canvas, words, boxes, 1)


def moves_to_goal(spec) -> dict[tuple[int, int], int]:
    """An independent breadth-first search: moves to the goal from each (row, column) that reaches it."""
    rows = spec["rows"]
    goal = next((r, c) for r in range(GRID) for c in range(GRID) if rows[r][c] == "G")
    distance, queue = {goal: 0}, deque([goal])
    while queue:
        r, c = queue.popleft()
        for r2, c2 in ((r, c + 1), (r + 1, c), (r, c - 1), (r - 1, c)):
            free = 0 <= r2 < GRID and 0 <= c2 < GRID and rows[r2][c2] not in "#D"
            if free and (r2, c2) not in distance:
                distance[r2, c2] = distance[r, c] + 1
                queue.append((r2, c2))
    return distance


def start_of(spec) -> tuple[int, int]:
    return next((r, row.index("S")) for r, row in enumerate(spec["rows"]) if "S" in row)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_answer_is_the_distance_that_an_independent_search_finds(difficulty):
    for spec in specs(difficulty, 60, seed=1):
        answer = MAZE.demonstrate(spec).answer
        assert answer == f"<answer> {moves_to_goal(spec)[start_of(spec)]} moves"


def test_the_demonstration_prefers_right_down_left_up_and_walks_on_while_it_comes_nearer():
    ways = {"right": (0, 1), "down": (1, 0), "left": (0, -1), "up": (-1, 0)}
    for spec in specs("hard", 20, seed=4):
        distance, (r, c), total = moves_to_goal(spec), start_of(spec), 0
        for step in MAZE.demonstrate(spec).steps:
            nearer = {n: (y, x) for n, (y, x) in ways.items() if distance.get((r + y, c + x)) == distance[r, c] - 1}
            name, (dr, dc) = next(iter(nearer.items()))
            length = 1
            while distance.get((r + (length + 1) * dr, c + (length + 1) * dc)) == distance[r, c] - length - 1:
                length += 1
            total += length
            end_r, end_c = r + length * dr, c + length * dc
            said = f"{name} {length} total {total} <edit> r{r + 1}c{c + 1} r{end_r + 1}c{end_c + 1}"
            assert step.thought == said
            r, c = end_r, end_c
        assert distance[r, c] == 0


def test_each_single_corruption_of_a_demonstration_is_rejected():
    for spec in specs("medium", 2, seed=2) + specs("hard", 1, seed=2):
        canvas, demo = MAZE.canvas(spec), MAZE.demonstrate(spec)
        for step in demo.steps:
            tokens = step.thought.split()
            for at, old in enumerate(tokens):
                for new in VOCABULARY if old != "<edit>" else ():
                    parts = split_thought(" ".join([*tokens[:at], new, *tokens[at + 1 :]]))
                    if new != old and parts is not None:
                        assert not MAZE.check_thought(spec, canvas, *parts, 1).right, (tokens, at, new)
            canvas = step.canvas
        words = demo.answer.split()[1:]
        for at, old in enumerate(words):
            for new in set(VOCABULARY) - {old}:
                assert not MAZE.check_answer(spec, canvas, [*words[:at], new, *words[at + 1 :]]).right


def test_thoughts_and_edits_accept_exactly_the_shortest_legs_of_an_independent_search():
    for spec in specs("hard", 6, seed=3):
        canvas, distance, (r, c) = MAZE.canvas(spec), moves_to_goal(spec), start_of(spec)
        legs = 0
        for name, (dr, dc) in zip(DIRECTIONS, ((0, 1), (1, 0), (0, -1), (-1, 0)), strict=True):
            for n in range(1, GRID):
                path = [(r + k * dr, c + k * dc) for k in range(n + 1)]
                if not all(1 <= x + 1 <= GRID and 1 <= y + 1 <= GRID for x, y in path):
                    continue
                shortest = [distance.get(place) for place in path] == [distance[r, c] - k for k in range(n + 1)]
                box = Box.between((r + 1, c + 1), (path[-1][0] + 1, path[-1][1] + 1))
                verdict = MAZE.check_thought(spec, canvas, [name, str(n), "total", str(n)], [box], 1)
                assert verdict.right == shortest
                within = MAZE.accepted_edits(spec, canvas, region_mask([box]), 1)
                assert max((int((p == TRAIL).sum()) for p in within), default=0) == (n if shortest else len(within))
                legs += shortest
        assert len(MAZE.accepted_edits(spec, canvas, FULL_BOX.mask(), 1)) == legs


def test_an_edit_changes_only_cells_of_its_leg_and_leaves_the_canvas_shown_alone():
    spec = MAZE.parse({"rows": OPEN})
    canvas = MAZE.canvas(spec)
    before = canvas.copy()
    pictures = MAZE.accepted_edits(spec, canvas, Box(1, 1, 1, 4).mask(), 1)
    assert np.array_equal(canvas, before)
    assert [int((picture != before).sum()) for picture in pictures] == [2, 3, 4]
    assert pictures[-1][0, :5].tolist() == [TRAIL, TRAIL, TRAIL, AGENT, FLOOR]
    assert MAZE.accepted_edits(spec, canvas, Box(2, 2, 8, 8).mask(), 1) == []
    assert MAZE.accepted_edits(spec, canvas, Box(1, 1, 1, 1).mask(), 1) == []
    assert MAZE.accepted_edits(spec, canvas, Box(1, 2, 1, 4).mask(), 1) == []  # it would leave the agent behind


@pytest.mark.parametrize(
    ("thought", "reason"),
    [
        ("right 3 total 3 <edit> r1c1 r1c4", "wall at r1c4"),
        ("down 1 total 1 <edit> r1c1 r2c1", "wall at r2c1"),
        ("up 1 total 1 <edit> r1c1 r1c1", "the leg leaves the maze at r1c1"),
        ("right 2 total 3 <edit> r1c1 r1c3", "the total is 2, not 3"),
        ("right 2 total 2 <edit> r1c1 r2c3", "box does not match the leg"),
        ("right 2 total 2 <edit> r1c3 r1c1", "true"),
        ("right 1 total 1 <edit> r1c1 r1c2", "true"),
        ("right 2 total 2 <edit> r1c1 r1c3 r1c1 r1c3", "a leg has one box, got 2"),
        ("right 02 total 2 <edit> r1c1 r1c3", "a thought reads: direction, number, total, number"),
        ("right 0 total 0 <edit> r1c1 r1c1", "a thought reads: direction, number, total, number"),
    ],
)
def test_a_verdict_says_what_is_wrong(thought, reason):
    spec = MAZE.parse({"task": "maze", "rows": WALLED})
    verdict = judge(spec, MAZE.canvas(spec), thought)
    assert (verdict.reason, verdict.right) == (reason, reason == "true")


def test_a_true_leg_away_from_the_goal_is_not_useful_and_decoys_block():
    spec = MAZE.parse({"rows": ["..SD....", *["........"] * 6, ".......G"]})
    away = judge(spec, MAZE.canvas(spec), "left 1 total 1 <edit> r1c2 r1c3")
    assert away.components == {"well_formed": 1.0, "true": 1.0, "useful": 0.0}
    assert away.reason == "r1c2 is no nearer to the goal"
    assert judge(spec, MAZE.canvas(spec), "right 1 total 1 <edit> r1c3 r1c4").reason == "decoy at r1c4"


def test_the_agent_is_where_the_canvas_shows_it_and_without_one_agent_nothing_is_accepted():
    spec = MAZE.parse({"rows": OPEN})
    for row, column in ((4, 4), (8, 7)):
        canvas = MAZE.canvas(spec)
        canvas[0, 0], canvas[row - 1, column - 1] = TRAIL, AGENT
        assert judge(spec, canvas, f"right 1 total 2 <edit> r{row}c{column} r{row}c{column + 1}").right
    for agents, reason in (([], "the canvas shows no agent"), ([9, 20], "the canvas shows 2 agents")):
        canvas = MAZE.canvas(spec)
        canvas[0, 0] = FLOOR
        canvas.flat[agents] = AGENT
        assert judge(spec, canvas, "right 1 total 1 <edit> r1c1 r1c2").reason == reason
        assert MAZE.accepted_edits(spec, canvas, FULL_BOX.mask(), 1) == []


def test_a_detour_a_gap_or_a_second_agent_is_no_finished_puzzle():
    spec = MAZE.parse({"rows": ["S..G....", *["........"] * 7]})
    solved = MAZE.demonstrate(spec).steps[-1].canvas
    assert MAZE.is_solved(spec, solved)
    for change in (
        {(0, 0): FLOOR},
        {(0, 1): FLOOR},
        {(5, 5): TRAIL},
        {(0, 3): AGENT},
        {(5, 5): AGENT},
        {(0, 1): FLOOR, (1, 1): TRAIL},
    ):
        canvas = solved.copy()
        for place, cell in change.items():
            canvas[place] = cell
        assert not MAZE.is_solved(spec, canvas)
        assert not MAZE.check_answer(spec, canvas, ["3", "moves"]).right
    detour = MAZE.canvas(spec)
    detour[0, 0] = detour[1, :4] = TRAIL
    detour[0, 3] = AGENT_ON_GOAL
    assert MAZE.check_answer(spec, detour, ["5", "moves"]).reason == "the trail is not a shortest path"


def test_a_trail_that_jumps_from_one_shortest_path_to_another_is_no_finished_puzzle():
    spec = MAZE.parse({"rows": ["S.......", "........", "..G.....", *["........"] * 5]})
    canvas = MAZE.canvas(spec)
    canvas[2, 2] = AGENT_ON_GOAL
    for row, column in ((0, 0), (0, 1), (2, 0), (2, 1)):  # 4, 3, 2 and 1 moves from the goal
        canvas[row, column] = TRAIL
    assert MAZE.check_answer(spec, canvas, ["4", "moves"]).reason == "the trail is not a shortest path"
    canvas[2, 0], canvas[1, 1] = FLOOR, TRAIL
    assert MAZE.is_solved(spec, canvas)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_walls_and_decoys_are_as_configured_and_specs_stay_themselves_in_a_file(difficulty):
    for spec in specs(difficulty, 50, seed=4):
        text = "".join(spec["rows"])
        assert text.count("#") == {"easy": 13, "medium": 16, "hard": 19}[difficulty]
        assert text.count("D") in {"easy": (1,), "medium": (1, 2), "hard": (2,)}[difficulty]
        assert MAZE.parse(json.loads(json.dumps(spec))) == spec


def test_hints_name_the_canonical_leg_from_every_free_cell_with_a_path():
    for spec in specs("medium", 5, seed=5):
        hints, distance = MAZE.hints(spec), moves_to_goal(spec)
        for r in range(GRID):
            for c in range(GRID):
                assert (hints[r, c] != NO_HINT) == (distance.get((r, c), 0) > 0)
                if hints[r, c] != NO_HINT:
                    assert 0 <= hints[r, c] < MAZE.num_hints
        direction, length = MAZE.demonstrate(spec).steps[0].thought.split()[:2]
        assert hints[start_of(spec)] == DIRECTIONS.index(direction) * 7 + int(length) - 1


STAIRS = ["S.#..###", "#..#..##", "##..#..#", "###..#..", "####..#.", "#####...", "########", "########"]


@pytest.mark.parametrize(("goal", "legs"), [((6, 6), 10), ((2, 6), 16), ((2, 5), 17), ((1, 4), 19)])
def test_up_to_sixteen_legs_are_taken_and_more_are_refused(goal, legs):
    rows = [list(row) for row in STAIRS]
    rows[goal[0] - 1][goal[1] - 1] = "G"
    data = {"rows": ["".join(row) for row in rows]}
    if legs <= 16:
        assert MAZE.turns_needed(MAZE.parse(data)) == len(MAZE.demonstrate(MAZE.parse(data)).steps) == legs
    else:
        with pytest.raises(ProblemError, match=f"takes {legs} straight legs, at most 16"):
            MAZE.parse(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "JSON object"),
        ({}, "rows is missing"),
        ({"rows": OPEN[:7]}, "rows must be a list of 8 strings"),
        ({"rows": OPEN, "seed": 3}, "'seed' is unknown"),
        ({"task": "sudoku", "rows": OPEN}, "task must be 'maze'"),
        ({"rows": OPEN[:7]}, "got a list of 7"),
        ({"rows": "S.G"}, "list of 8 strings"),
        ({"rows": [*OPEN[:7], 10**5000]}, "row 8 must be a string"),
        ({"rows": ["S", *OPEN[1:]]}, "row 1 must be a string of 8"),
        ({"rows": ["Sx......", *OPEN[1:]]}, "r1c2 must be one of"),
        ({"rows": ["........", *OPEN[1:]]}, "exactly one start S, got 0"),
        ({"rows": ["S......G", *OPEN[1:]]}, "exactly one goal G, got 2"),
        ({"rows": ["SDDDDD..", *OPEN[1:]]}, "at most 4 decoys"),
        ({"rows": ["S#......", "##......", *OPEN[2:]]}, "no free path"),
        ({"rows": ["SD......", "D.......", *OPEN[2:]]}, "no free path"),
    ],
)
def test_a_refusal_is_one_sentence_that_says_what_would_be_right(data, said):
    with pytest.raises(ProblemError) as caught:
        MAZE.parse(data)
    message = str(caught.value)
    assert said in message and "\n" not in message and len(message) < 200


JSON = json_values("rows", "task")
maze_rows = st.lists(st.text("SGD#..", min_size=8, max_size=8) | JSON, min_size=8, max_size=8)


@settings(max_examples=150, deadline=None)
@given(JSON | st.fixed_dictionaries({"rows": maze_rows}))
def test_parse_raises_nothing_but_problem_errors(data):
    spec = parsed(MAZE, data)
    assert spec is None or 1 <= MAZE.turns_needed(spec) <= 16


corners = st.tuples(st.integers(1, 8), st.integers(1, 8))
cells = st.integers(FOREIGN, len(MAZE.cells) - 1)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(specs("medium", 4, seed=7)),
    st.lists(cells | st.just(FLOOR) | st.just(FLOOR), min_size=64, max_size=64),
    st.lists(st.sampled_from([*VOCABULARY[:20], "", "007", "٣", "r9c9", "<end>"]), max_size=12),
    st.lists(st.builds(Box.between, corners, corners), max_size=3),
)
def test_the_verifier_never_raises_on_any_canvas_words_or_boxes(spec, shown, words, boxes):
    canvas = np.array(shown, dtype=np.int16).reshape(GRID, GRID)
    region = region_mask(boxes)
    MAZE.check_thought(spec, canvas, words, boxes, 1)
    for move in DIRECTIONS:
        MAZE.check_thought(spec, canvas, [move, "3", "total", "9"], boxes, 2)
    for picture in MAZE.accepted_edits(spec, canvas, region, 1):
        assert not (picture != canvas)[~region].any()
    MAZE.check_answer(spec, canvas, words)
    MAZE.check_answer(spec, canvas, ["5", "moves"])
    MAZE.is_solved(spec, canvas)


def test_a_trail_of_right_distances_whose_cells_do_not_touch_is_no_path():
    rows = ["S.......", *["........"] * 6, ".......G"]
    spec = MAZE.parse({"task": "maze", "rows": rows})
    shown = MAZE.canvas(spec)
    shown[0, 0], shown[7, 7] = TRAIL, AGENT_ON_GOAL
    along = [(0, c) for c in range(1, 8)] + [(r, 7) for r in range(1, 7)]
    down = [(c, r) for r, c in along]
    straight, leaping = shown.copy(), shown.copy()
    for i, (one, other) in enumerate(zip(along, down, strict=True)):
        straight[one] = TRAIL
        leaping[other if i % 2 else one] = TRAIL
    assert MAZE.is_solved(spec, straight) and MAZE.check_answer(spec, straight, ["14", "moves"]).right
    assert not MAZE.is_solved(spec, leaping)
    assert MAZE.check_answer(spec, leaping, ["14", "moves"]).reason == "the trail is not a shortest path"
