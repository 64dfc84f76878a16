"""What the commands that train share: the run directory, and whether a run in it is gone on with or replaced."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from mmreason.errors import ConfigError, Stopped


def add_run(parser: argparse.ArgumentParser) -> None:
    """``--output``, ``--resume`` and ``--overwrite``."""
    parser.add_argument("--output", required=True, metavar="DIR", help="run directory; DIR/checkpoint is the result")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last saved step in --output, with the same settings"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the run in --output; other files stay")


def check_alone(command: str) -> None:
    """Refuse a launcher of several processes, each of which would do all that ``command`` does; raises ConfigError."""
    world = os.environ.get("WORLD_SIZE", "1")
    if world not in ("", "0", "1"):
        raise ConfigError(f"{command} runs in one process, got {world}: start it without a launcher")


def stopped(result: dict[str, Any], step: int, steps: int, signals: Sequence[int]) -> dict[str, Any]:
    """``result`` of a training that was asked to end at ``step``, with ``stopped``; raises Stopped if a signal did."""
    from mmreason.training.run.progress import CLEAR

    result, says = result | {"stopped": True}, f"stopped at step {step} of {steps}; --resume goes on"
    if sys.stderr.isatty():
        sys.stderr.write(CLEAR)  # the progress line
    if signals:
        raise Stopped(says, result, signals[0])
    print(says, file=sys.stderr)
    return result
