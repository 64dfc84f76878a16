"""The laws that every task keeps, on what its generator makes; a task that is not built in keeps them as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmreason.__main__ import main
from mmreason.errors import TaskError
from mmreason.places import ROOT
from mmreason.records import DIFFICULTIES
from mmreason.tasks import TASKS, laws
from tests.helpers.stones import Stones

STONES = Path(__file__).parent.parent / "helpers" / "stones.py"
EVERY = [*TASKS.values(), Stones()]
every_task = pytest.mark.parametrize("task", EVERY, ids=lambda task: task.name)
every_difficulty = pytest.mark.parametrize("difficulty", DIFFICULTIES)


@every_task
@every_difficulty
def test_every_step_of_the_demonstration_is_accepted_in_thought_edit_and_answer(task, difficulty):
    rng = np.random.default_rng(0)
    for _ in range(30):
        spec = task.generate(difficulty, rng)
        laws.is_solved_by_its_demonstration(task, spec)
        laws.has_hints_in_range(task, spec)
        laws.says_known_words(task, spec)


@every_task
@every_difficulty
def test_a_spec_is_a_pure_function_of_its_seed_and_stays_itself_in_a_file(task, difficulty):
    laws.is_pure_and_normal(task, difficulty)


@every_task
@every_difficulty
def test_turns_are_uniform_over_the_range(task, difficulty):
    laws.has_uniform_turns(task, difficulty)


@every_task
@every_difficulty
def test_single_corruptions_are_rejected_and_the_verifier_never_raises(task, difficulty):
    rng = np.random.default_rng(1)
    for _ in range(4):
        spec = laws.spec_of(task, difficulty, rng)
        laws.rejects_single_corruptions(task, spec, rng)
        laws.never_raises(task, spec, rng)


@every_task
def test_what_is_no_problem_is_refused_in_a_sentence(task):
    laws.refuses_what_is_no_problem(task)


@pytest.mark.parametrize("name", TASKS)
@every_difficulty
def test_no_problem_occurs_in_two_splits(name, difficulty):
    laws.has_disjoint_splits(TASKS[name], difficulty)


@every_task
def test_drawings_are_clearly_distinct(task):
    laws.has_drawings_that_differ(task, 8 if task.name == "jigsaw" else 12)


@every_task
def test_the_example_is_a_puzzle_that_fits_the_board(task):
    laws.shows_an_example(task)


def test_a_law_is_not_kept_by_a_task_that_breaks_it(monkeypatch):
    monkeypatch.setattr(Stones, "num_hints", 1)
    with pytest.raises(TaskError):
        laws.has_hints_in_range(Stones(), Stones.example)
    monkeypatch.setattr(Stones, "turns_needed", lambda self, spec: 9)
    with pytest.raises(TaskError):
        laws.is_solved_by_its_demonstration(Stones(), Stones.example)
    monkeypatch.setattr(Stones, "cells", ("empty", "stone", "stone"))
    with pytest.raises(TaskError):
        laws.has_drawings_that_differ(Stones(), 12)


BREAKS = {  # a change of the task's file: old, new, the law that it breaks, and what is said
    "a demonstration that stops early": (
        "in self._due(spec, canvas_HW):\n            canvas_HW = self._placed",
        "in self._due(spec, canvas_HW)[1:]:\n            canvas_HW = self._placed",
        "solvable",
        "turns_needed gives",
    ),
    "chance from elsewhere": (
        "rng.permutation(GRID * HALF)",
        "np.random.permutation(GRID * HALF)",
        "pure",
        "another easy spec for the same generator",
    ),
    "a verifier that takes any region": (
        "fits = boxes[0] == Box.between(at, at)",
        "fits = True",
        "corruptions",
        "check_thought takes",
    ),
    "an answer of any number": ("words[0] == str(needed)", "words[0] != 'x'", "corruptions", "check_answer takes"),
    "a verifier that raises": (
        'if len(words) == 2 and words[0] == "place" else None',
        'if words[0] == "place" else None',
        "verifier",
        "failed: IndexError",
    ),
    "drawings that are alike": (
        'if name != "empty"',
        'if name == "placed"',
        "drawings",
        "'empty' and 'stone' are too much alike (0.0",
    ),
    "a prompt that is too long": (
        "    def draw_cell(self",
        "    def prompt(self, spec):\n        return 'again ' * 13\n\n    def draw_cell(self",
        "prompt",
        "a prompt has at most 12 words, got 'again again",
    ),
    "words that are not named": (
        'words = ("place", "stones")',
        'words = ("stones",)',
        "words",
        "words lacks 'place'",
    ),
    "turns that do not occur": (
        "self.turns[difficulty]\n        places",
        "(2, 2)\n        places",
        "turns",
        "turns of easy are 2 to 3, but generate gives [2]",
    ),
    "a board that it does not fit": (
        'Mark("o", "stone", "●")',
        'Mark("O", "stone", "●")',
        "example",
        "example does not fit the board",
    ),
    "hints beyond their number": ("num_hints = 2", "num_hints = 1", "hints", "hints are from 0 to num_hints - 1 (0)"),
    "a parser that fails": ("isinstance(rows, list) or len(rows) != GRID", "rows", "refusals", "parse raises"),
    "an edit beyond its region": (
        "if region_HW[row - 1, column - 1]]",
        "]",
        "verifier",
        "changes cells outside the region",
    ),
    "a demonstration of cells that it does not have": (
        "EMPTY, STONE, PLACED = range(3)",
        "EMPTY, STONE, PLACED = 0, 1, 7",
        "solvable",
        "demonstrate draws 7, and cells are 0 to 2",
    ),
    "an accepted edit of cells that it does not have": (
        "return [self._placed(canvas_HW, row, column) for",
        "return [self._placed(canvas_HW, row, column) * 3 for",
        "solvable",
        "accepted_edits draws 3, and cells are 0 to 2",
    ),
    "a carried out thought of cells that it does not have": (
        "None if at is None else self._placed(canvas_HW, *at)",
        "None if at is None else self._placed(canvas_HW, *at) * 5",
        "solvable",
        "carry_out draws 5, and cells are 0 to 2",
    ),
    "a generator that leaves": (
        "low, high = self.turns[difficulty]",
        "raise SystemExit(0)",
        "pure",
        "the task stones failed: SystemExit: 0",
    ),
}


@pytest.mark.parametrize("change", BREAKS)
def test_check_task_says_in_a_sentence_which_law_is_broken(change, tmp_path, capsys, own_tasks_forgotten):
    old, new, law, said = BREAKS[change]
    text = STONES.read_text()
    assert old in text
    path = tmp_path / "stones.py"
    path.write_text(text.replace(old, new))
    assert main(["check-task", str(path), "--problems", "3", "--json"]) == 2
    out = capsys.readouterr()
    found = json.loads(out.out)["laws"]
    assert said in found[law], found[law]
    assert f"{law}: " in out.err.splitlines()[0]


def test_a_new_task_is_written_with_its_tests_and_keeps_all_laws(tmp_path, capsys, own_tasks_forgotten):
    line = ["make", "task", "ring_toss", "--output", str(tmp_path)]
    assert main([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == f"{tmp_path / 'ring_toss.py'}:RingToss"
    assert main(["check-task", str(tmp_path / "ring_toss.py"), "--problems", "4"]) == 0
    assert "ring_toss keeps all laws" in capsys.readouterr().out
    assert "my_task" not in (tmp_path / "ring_toss.py").read_text() + (tmp_path / "test_ring_toss.py").read_text()
    assert main(line) == 2 and "--overwrite replaces it" in capsys.readouterr().err
    assert main(["make", "task", "maze", "--output", str(tmp_path)]) == 2
    code = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], cwd=ROOT)
    assert code.returncode == 0
