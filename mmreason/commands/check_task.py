"""``check-task``: does a task keep the laws of tasks?  Each that it breaks is told in a sentence."""

from __future__ import annotations

import argparse
from typing import Any

from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.tasks import HOW, task_named
from mmreason.limits import Whole

HELP = "the laws of a task, on one's own: solvable, pure, split apart, its verifier sound"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``check-task``."""
    parser.add_argument("task", metavar="TASK", help=HOW)
    add_number(parser, Whole("problems", 1, 1000, "problems of each difficulty that are looked at"), 12, metavar="N")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Check; returns ``task`` and ``laws``, each True or a sentence; raises TaskError with it if one is broken.

    ``too_long`` is there where no small policy can be told of it, and says why; ``notes`` where there is more to say.
    """
    from mmreason.errors import TaskError
    from mmreason.tasks import TASKS
    from mmreason.tasks.laws import kept_laws

    name = task_named(args.task)
    assert name is not None, "the argument is required"
    laws = kept_laws(TASKS[name], args.problems)
    result: dict[str, Any] = {"task": name, "laws": laws}
    if TASKS[name].too_long:
        result["too_long"] = TASKS[name].too_long
    if TASKS[name].notes:
        result["notes"] = list(TASKS[name].notes)
    broken = {law: said for law, said in laws.items() if said is not True}
    if broken:
        error = TaskError("; ".join(f"{law}: {said}" for law, said in broken.items()))
        error.result = result
        raise error
    return result


def readable(result: dict[str, Any]) -> str:
    """One line a law."""
    lines = [f"{result['task']} keeps all laws", *(f"✓ {law}" for law in result["laws"])]
    if "too_long" in result:
        lines.append(f"for checkpoints of public families only: {result['too_long']}")
    return "\n".join([*lines, *(f"note: {note}" for note in result.get("notes", ()))])
