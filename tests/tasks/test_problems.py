"""What holds of problems of every task: pure, of uniform difficulty, split by what is drawn, safe to read."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from mmreason.errors import ConfigError, ProblemError
from mmreason.records import CELL_PX, DIFFICULTIES, GRID, SPLITS, Problem
from mmreason.tasks import (
    HANDED,
    TASKS,
    load_problem,
    make_problem,
    problem_from_json,
    split_of,
    task_named,
)
from mmreason.tasks.task import FOREIGN

EVERY = [(task, difficulty) for task in TASKS for difficulty in DIFFICULTIES]
every_task_and_difficulty = pytest.mark.parametrize(("task", "difficulty"), EVERY)


def same(a: Problem, b: Problem) -> bool:
    return a.spec == b.spec and np.array_equal(a.canvas, b.canvas) and np.array_equal(a.image, b.image)


def drawn(problem: Problem) -> bytes:
    return problem.canvas.astype(np.int16).tobytes()


# Drawn by seed


@every_task_and_difficulty
def test_a_problem_is_a_pure_function_of_its_five_names(task, difficulty):
    first = make_problem(task, difficulty, 7, "train", 3)
    make_problem(task, difficulty, 8, "test", 1)  # what was drawn in between does not matter
    again = make_problem(task, difficulty, 7, "train", 3)
    assert same(first, again)
    origin = (first.task, first.difficulty, first.seed, first.split, first.index)
    assert origin == (task, difficulty, 7, "train", 3)
    assert first.image.shape == (GRID * CELL_PX, GRID * CELL_PX, 3)
    assert first.question == TASKS[task].question


@every_task_and_difficulty
def test_neighbouring_seeds_and_indices_give_unrelated_problems(task, difficulty):
    grid = [[drawn(make_problem(task, difficulty, seed, "train", i)) for i in range(6)] for seed in range(4)]
    along_index, along_seed = [set(row) for row in grid], [set(column) for column in zip(*grid, strict=True)]
    assert min(map(len, along_index)) >= 5  # a few dozen easy problems may meet by chance
    assert min(map(len, along_seed)) >= 3
    for a, b in pairwise(grid):  # seed + 1 is not index + 1
        assert sum(x == y for x, y in zip(a[1:], b, strict=False)) <= 1


@every_task_and_difficulty
def test_the_turns_needed_are_uniform_within_the_range_of_the_difficulty(task, difficulty):
    low, high = TASKS[task].turns[difficulty]
    draws = 150
    counts = Counter(make_problem(task, difficulty, 1, "train", i).turns for i in range(draws))
    assert set(counts) == set(range(low, high + 1))
    expected = draws / (high - low + 1)
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < {1: 10.83, 2: 13.82, 3: 16.27}[high - low]  # once in a thousand times


def test_the_ranges_are_those_of_the_table():
    assert {name: tuple(task.turns.values()) for name, task in TASKS.items()} == {
        "maze": ((2, 3), (3, 5), (5, 8)),
        "sudoku": ((2, 3), (4, 6), (7, 9)),
        "jigsaw": ((1, 2), (2, 3), (4, 5)),
        "transform": ((1, 2), (3, 4), (5, 6)),
        "visual_search": ((1, 2), (3, 4), (5, 6)),
        "chart_refocus": ((1, 2), (3, 4), (5, 6)),
    }


@pytest.mark.parametrize("task", TASKS)
def test_what_is_drawn_in_one_split_is_never_drawn_in_another(task):
    seen = {split: set() for split in SPLITS}
    for split, count in (("train", 700), ("validation", 150), ("test", 150)):
        for index in range(count):
            problem = make_problem(task, "easy", 2, split, index)
            seen[split].add(drawn(problem))
            assert split_of(task, problem.canvas) == split
    assert not seen["train"] & seen["validation"]
    assert not seen["train"] & seen["test"]
    assert not seen["validation"] & seen["test"]


def test_easy_jigsaws_are_so_few_that_a_split_by_seed_alone_would_leak():
    train = [drawn(make_problem("jigsaw", "easy", 2, "train", i)) for i in range(700)]
    assert len(set(train)) < len(train)


def test_a_split_is_a_matter_of_what_is_drawn_and_most_problems_are_for_training():
    canvases = [np.full((GRID, GRID), i) for i in range(2000)]
    counts = Counter(split_of("maze", canvas_HW) for canvas_HW in canvases)
    assert counts["train"] / 2000 == pytest.approx(0.8, abs=0.03)
    assert counts["test"] / 2000 == pytest.approx(0.1, abs=0.025)
    assert counts["validation"] / 2000 == pytest.approx(0.1, abs=0.025)
    assert split_of("maze", canvases[5].astype(np.int64)) == split_of("maze", canvases[5].astype(np.int8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("chess", "easy", 0),
            "task must be one of maze, jigsaw, sudoku, transform, visual_search, chart_refocus, got 'chess'",
        ),
        (("maze", "brutal", 0), "difficulty must be one of easy, medium, hard, got 'brutal'"),
        (("maze", "easy", 0, "all"), "split must be one of train, validation, test, got 'all'"),
        (("maze", "easy", -1), "seed must be from 0 to 18446744073709551615, got -1"),
        (("maze", "easy", 2**64), "seed must be from 0 to 18446744073709551615, got 18446744073709551616"),
        (("maze", "easy", 0, "test", -2), "index must be from 0 to 18446744073709551615, got -2"),
    ],
)
def test_a_wrong_name_or_number_is_refused_with_what_would_be_right(arguments, message):
    with pytest.raises(ConfigError) as caught:
        make_problem(*arguments)
    assert str(caught.value) == message


# Written by a user


@every_task_and_difficulty
def test_a_problem_written_to_a_file_and_read_back_is_the_same(task, difficulty, tmp_path):
    problem = make_problem(task, difficulty, 5)
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(problem.spec), encoding="utf-8")
    read = load_problem(path)
    assert same(read, problem)
    assert (read.turns, read.difficulty, read.seed) == (problem.turns, "custom", None)


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b" \n"])
def test_what_an_editor_puts_before_a_problem_does_no_harm(before, tmp_path):
    problem = make_problem("maze", "easy", 5)
    path = tmp_path / "problem.json"
    path.write_bytes(before + json.dumps(problem.spec).encode())
    assert same(load_problem(path), problem)


DEEP: list = []
for _ in range(50):
    DEEP = [DEEP]
HOSTILE = [None, True, -1, 3, 10**5000, 1e308, float("nan"), "", "x" * 10_000, "\n\n", [], [[]], DEEP, {}, {"a": 1}]
SPECS = {task: make_problem(task, "easy", 0).spec for task in TASKS}


def refused(data) -> str:
    with pytest.raises(ProblemError) as caught:
        problem_from_json(data)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_data_that_are_no_problem_are_refused_in_one_sentence(data):
    refused(data)
    assert "task" in refused({"task": data})


@pytest.mark.parametrize("task", TASKS)
def test_a_hostile_value_anywhere_in_a_problem_is_refused_in_one_sentence(task):
    for key in set(SPECS[task]) - {"task"}:
        for value in HOSTILE:
            if (task, key, value) != ("jigsaw", "picture_seed", 3):  # which is a good one
                refused({**SPECS[task], key: value})
        missing = {k: v for k, v in SPECS[task].items() if k != key}
        assert key in refused(missing)
    assert "extra" in refused({**SPECS[task], "extra": 1})


@pytest.mark.parametrize("task", TASKS)
def test_a_hostile_value_deep_in_a_problem_is_refused_in_one_sentence(task):
    for key, value in SPECS[task].items():
        if not isinstance(value, list):
            continue
        for hostile in HOSTILE:
            if (task, key, hostile) != ("chart_refocus", "values", 3):  # which may be a good one
                refused({**SPECS[task], key: [hostile, *value[1:]]})
            if isinstance(value[0], list) and not (task != "jigsaw" and hostile == 3):
                refused({**SPECS[task], key: [[hostile, *value[0][1:]], *value[1:]]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is UTF-16 text; save it as UTF-8"),
        (b"{'task': 'maze'}", "is not JSON"),
        (b'{"task": "maze"', "is not JSON"),
        (b"[" * 30_000, "nested deeper than 32 levels"),
        (b'{"task": "maze", "task": "sudoku"}', "'task' appears twice"),
        (b'{"task": "maze", "rows": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{}", "'task' must be one of maze, jigsaw, sudoku, transform, visual_search, chart_refocus, got nothing"),
        (b'{"task": "maze"}', "rows is missing"),
        (b'{"task": "sudoku"}', "grid is missing"),
        (
            b'{"task": "chess"}',
            "'task' must be one of maze, jigsaw, sudoku, transform, visual_search, chart_refocus, got 'chess'",
        ),
        (b" " * (HANDED.max_bytes + 1), "larger than 64 KB"),
    ],
)
def test_a_file_that_is_no_problem_is_refused_in_one_sentence(content, message, tmp_path):
    path = tmp_path / "problem.json"
    path.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        load_problem(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_or_a_folder_is_refused_by_name(tmp_path):
    for path, what in ((tmp_path / "nowhere.json", "does not exist"), (tmp_path, "is a directory")):
        with pytest.raises(ProblemError, match=f"{what}; give the path of a JSON file"):
            load_problem(path)


def test_a_task_is_found_by_its_name():
    for name in TASKS:
        assert task_named(name).name == name
    with pytest.raises(ConfigError, match="got 'Maze'"):
        task_named("Maze")


# Answers


@every_task_and_difficulty
def test_no_answer_is_right_where_an_edit_spoiled_what_none_may_touch(task, difficulty):
    """All of a maze's walls erased used to leave its answer right, and so did a transform without its operations."""
    problem, maker = make_problem(task, difficulty, 31), TASKS[task]
    solution = maker.demonstrate(problem.spec)
    words, end_HW = solution.answer.split()[1:], solution.steps[-1].canvas
    assert maker.check_answer(problem.spec, end_HW, words).right and maker.is_solved(problem.spec, end_HW)
    for row, column in np.argwhere(end_HW == problem.canvas).tolist():
        for cell in (FOREIGN, (int(end_HW[row, column]) + 1) % len(maker.cells)):
            spoiled_HW = end_HW.copy()
            spoiled_HW[row, column] = cell
            assert not maker.is_solved(problem.spec, spoiled_HW), (row, column)
            verdict = maker.check_answer(problem.spec, spoiled_HW, words)
            assert not verdict.right and verdict.reason != "true"
