"""What the commands that train share: the run directory, and whether a run in it is gone on with or replaced."""

from __future__ import annotations

import argparse
import os

from mmreason.errors import ConfigError


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
