"""``make examples``: real traces of a checkpoint for the page to play on arrival.

For each task the first medium puzzle that the checkpoint solves in at least three turns, with the page's own
default settings, is written to ``assets/examples/<task>.json``: a trace file that also holds its ``sheet``.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreason import places
from mmreason.disk import write_json
from mmreason.errors import ConfigError, MMReasonError
from mmreason.tasks import TASKS
from mmreason.traces.sheet import sheet_value
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.solve.solving import Finished, last_shown, solve

MIN_TURNS = 3


def make_example(task: str, checkpoint: str, difficulty: str, tries: int) -> dict[str, Any] | None:
    """The first success with enough turns among seeds 0, 1, 2, …; None if there is none."""
    for seed in range(tries):
        request = SolveRequest(task=task, difficulty=difficulty, seed=seed, checkpoint=checkpoint)
        if request.problem().turns < MIN_TURNS:
            continue
        finished = _run(request)
        if finished is not None and finished.data["success"]:
            return finished.data | {"sheet": sheet_value(finished.sheet)}
    return None


def _run(request: SolveRequest) -> Finished | None:
    last = asyncio.run(last_shown(solve(request, "examples")))
    if last.finished is None and last.notice:
        raise ConfigError(last.notice)
    return last.finished


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the examples; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mmreason make examples", description=__doc__)
    parser.add_argument("--checkpoint", default="base", help="name of a folder under checkpoints/ (default: base)")
    parser.add_argument("--difficulty", default="medium", help="of the puzzles (default: medium)")
    parser.add_argument("--tries", type=int, default=200, help="seeds to try for each task (default: 200)")
    parser.add_argument("--out", default=str(places.ASSETS / "examples"), metavar="DIR")
    args = parser.parse_args(arguments)
    missing = 0
    for task in TASKS:
        try:
            data = make_example(task, args.checkpoint, args.difficulty, args.tries)
        except MMReasonError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        if data is None:
            missing += 1
            print(f"{task}: no success of {MIN_TURNS} turns among {args.tries} seeds", file=sys.stderr)
            continue
        path = Path(args.out) / f"{task}.json"
        write_json(path, data)
        print(f"{task}: seed {data['problem']['seed']}, {data['problem']['turns']} turns, {path}", file=sys.stderr)
    return 1 if missing == len(TASKS) else 0
