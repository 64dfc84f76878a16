"""The laws that every task keeps, on what its generator makes; a task that is not built in keeps them as well."""

from __future__ import annotations

import numpy as np
import pytest

from mmreason.records import DIFFICULTIES
from mmreason.tasks import TASKS
from mmreason.tasks.chart_refocus import ChartRefocus
from mmreason.tasks.visual_search import VisualSearch
from tests.helpers.stones import Stones
from tests.tasks import laws

EVERY = [*TASKS.values(), VisualSearch(), ChartRefocus(), Stones()]
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


@every_task
@every_difficulty
def test_a_spec_is_a_pure_function_of_its_seed_and_stays_itself_in_a_file(task, difficulty):
    laws.is_pure_and_normal(task, difficulty)


@every_task
@every_difficulty
def test_turns_are_uniform_over_the_range(task, difficulty):
    laws.has_uniform_turns(task, difficulty)


@every_task
def test_drawings_are_clearly_distinct(task):
    laws.has_drawings_that_differ(task, 8 if task.name == "jigsaw" else 12)


@every_task
def test_the_example_is_a_puzzle_that_fits_the_board(task):
    laws.shows_an_example(task)


def test_a_law_is_not_kept_by_a_task_that_breaks_it(monkeypatch):
    monkeypatch.setattr(Stones, "num_hints", 1)
    with pytest.raises(AssertionError):
        laws.has_hints_in_range(Stones(), Stones.example)
    monkeypatch.setattr(Stones, "turns_needed", lambda self, spec: 9)
    with pytest.raises(AssertionError):
        laws.is_solved_by_its_demonstration(Stones(), Stones.example)
    monkeypatch.setattr(Stones, "cells", ("empty", "stone", "stone"))
    with pytest.raises(AssertionError):
        laws.has_drawings_that_differ(Stones(), 12)
