"""Trainings that take turns in one process, a step each: every one is bit for bit the run that it would be alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any

from mmreason.errors import MMReasonError

Turns = Generator[int, bool, dict[str, Any]]
"""A training that yields the step that it has done after each of its turns, and is sent whether to save and end now.

Its first turn is to begin; it returns its last metrics."""


def in_turn(runs: Sequence[Turns], max_steps: int, pause: Callable[[], bool] | None = None) -> list[dict[str, Any]]:
    """Train all of ``runs`` to ``max_steps``; returns what each returns.

    All begin before any of them trains.  Then whoever has done the fewest steps is next, so that they keep abreast,
    also after they were resumed at different steps.  They end together: where ``pause``, asked after each turn, says
    so, or one was asked to end before its last step.  Where one fails the others end, saved, and its error is raised.
    """
    ended: dict[int, dict[str, Any]] = {}
    ends = False
    try:
        steps = [next(run) for run in runs]
        while len(ended) < len(runs):
            i = min(set(range(len(runs))) - set(ended), key=lambda i: (steps[i], i))
            try:
                steps[i] = runs[i].send(ends)
            except StopIteration as end:
                ended[i] = end.value
                ends = ends or end.value["step"] < max_steps
            except MMReasonError:
                for other in set(range(len(runs))) - {i, *ended}:
                    with contextlib.suppress(StopIteration, MMReasonError):
                        runs[other].send(True)
                raise
            else:
                ends = ends or (pause is not None and pause())
    finally:
        for run in runs:  # where one has failed the others let go of their folders
            run.close()
    return [ended[i] for i in range(len(runs))]
