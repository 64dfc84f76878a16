"""``make examples``: real traces of a checkpoint for the page to play on arrival.

For each task the first medium puzzle that the checkpoint solves in at least three turns, with the page's own
default settings, is written to ``assets/examples/<task>.json``: a trace file that also holds its ``sheet``.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from mmreason import places
from mmreason.disk import write_json
from mmreason.errors import ConfigError
from mmreason.tasks import TASKS
from mmreason.traces.sheet import sheet_value
from mmreason.traces.versions.ours import two_of
from mmreason.ui.solve.request import SolveRequest

HELP = "traces that the page plays on arrival, one a task"
MIN_TURNS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make examples``."""
    parser.add_argument("--checkpoint", default="base", help="name of a folder under checkpoints/ (default: base)")
    parser.add_argument("--difficulty", default="medium", help="of the puzzles (default: medium)")
    parser.add_argument("--tries", type=int, default=200, help="seeds to try for each task (default: 200)")
    parser.add_argument("--output", default=str(places.ASSETS / "examples"), metavar="DIR")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the examples; returns ``written``, the paths."""
    from mmreason.ui.host.checkpoints import tasks_of

    written = []
    for task in tasks_of(args.checkpoint) or TASKS:
        data = make_example(task, args.checkpoint, args.difficulty, args.tries)
        if data is None:
            print(f"{task}: no success of {MIN_TURNS} turns among {args.tries} seeds", file=sys.stderr)
            continue
        path = Path(args.output) / f"{task}.json"
        write_json(path, two_of([data]) | {"sheet": data["sheet"]})
        print(f"{task}: seed {data['problem']['seed']}, {data['problem']['turns']} turns", file=sys.stderr)
        written.append(str(path))
    if not written:
        raise ConfigError(f"checkpoint {args.checkpoint!r} solved no task in {MIN_TURNS} turns: give more --tries")
    return {"written": written}


def make_example(task: str, checkpoint: str, difficulty: str, tries: int) -> dict[str, Any] | None:
    """The first success with enough turns among seeds 0, 1, 2, …, or None."""
    for seed in range(tries):
        request = SolveRequest(task=task, difficulty=difficulty, seed=seed, checkpoint=checkpoint)
        if request.problem().turns < MIN_TURNS:
            continue
        finished = _solved(request)
        if finished is not None and finished.data["success"]:
            return finished.data | {"sheet": sheet_value(finished.sheet)}
    return None


def _solved(request: SolveRequest) -> Any:
    from mmreason.ui.solve.solving import last_shown, solve

    last = asyncio.run(last_shown(solve(request, "examples")))
    if last.finished is None and last.notice:
        raise ConfigError(last.notice)
    return last.finished
