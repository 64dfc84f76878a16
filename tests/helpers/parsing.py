"""What every ``parse`` owes to whatever a file may hold."""

from typing import Any

from mmreason.errors import ProblemError
from mmreason.tasks.task import Spec, Task


def parsed(task: Task, data: Any) -> Spec | None:
    """The spec in ``data``, or None where it is refused in one line; whatever else is raised fails the test."""
    try:
        return task.parse(data)
    except ProblemError as error:
        assert "\n" not in str(error)
        return None
