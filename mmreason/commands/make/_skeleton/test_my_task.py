"""The laws that every task keeps, and what is particular to this one; run it with pytest from mmreason's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmreason.tasks import TASKS
from mmreason.tasks.laws import laws_of
from mmreason.tasks.own import known

TASK = TASKS[known(str(Path(__file__).with_name("my_task.py")))]


@pytest.mark.parametrize("law", laws_of(TASK))
def test_the_task_keeps_the_law(law):
    laws_of(TASK)[law]()


def test_the_example_is_answered_by_the_number_of_its_gems():
    assert TASK.demonstrate(TASK.example).answer == "<answer> 2 gems"
