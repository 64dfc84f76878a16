"""Tasks as the command line names them: built-in ones, those of one's own, and those that the host has added."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from mmreason.errors import ConfigError

if TYPE_CHECKING:
    from mmreason.layouts.vocabulary import Vocabulary
    from mmreason.sampling.views.pipeline import AnyTask

HOW = "a built-in task, FILE.py:CLASS or data:FOLDER"


def add_tasks(parser: argparse.ArgumentParser) -> None:
    """``--tasks``; ``named`` reads it."""
    parser.add_argument(
        "--tasks", nargs="+", metavar="TASK", help=f"each {HOW} (default: all that the checkpoint knows)"
    )


@overload
def named(items: Sequence[str]) -> list[str]: ...
@overload
def named(items: Mapping[str, float]) -> Mapping[str, float]: ...
@overload
def named(items: None) -> None: ...
def named(items: Any) -> Any:
    """``items`` by the names of their tasks, weights kept; tasks of one's own are known from then on.

    Raises TaskError, and ConfigError where one is named twice.
    """
    from mmreason.ui.host.own_tasks import add_host_tasks

    add_host_tasks()
    if items is None or isinstance(items, Mapping):  # nothing said, or the default of a setting
        return items
    names = [_named(item) for item in items]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"a task must be named once, got {name!r} twice")
    return names


@overload
def task_named(text: str) -> str: ...
@overload
def task_named(text: None) -> None: ...
def task_named(text: str | None) -> str | None:
    """The name of one task."""
    named([])
    return None if text is None else _named(text)


def _named(item: str) -> str:
    from mmreason.tasks.own import known

    text, _, weight = item.rpartition("=")
    if text and _is_number(weight):
        return f"{known(text)}={weight}"
    return known(item)


def _is_number(text: str) -> bool:
    try:
        float(text)  # one that is no weight is refused where weights are read
    except ValueError:
        return False
    return True


def tasks_of(vocabulary: Vocabulary | AnyTask, tasks: Sequence[str] | None) -> list[str]:
    """``tasks``, or those that a checkpoint knows; raises ConfigError where none of them is here."""
    from mmreason.tasks import TASKS

    chosen = list(dict.fromkeys(tasks or vocabulary.known(TASKS)))
    if not chosen:
        known = ", ".join(vocabulary.tasks)
        raise ConfigError(f"--tasks must name the tasks that the checkpoint knows, which are not here: {known}")
    return chosen
