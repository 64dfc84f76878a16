"""What the commands that train share: the run directory, and whether a run in it is gone on with or replaced."""

from __future__ import annotations

import argparse


def add_run(parser: argparse.ArgumentParser) -> None:
    """``--output``, ``--resume`` and ``--overwrite``."""
    parser.add_argument("--output", required=True, metavar="DIR", help="run directory; DIR/checkpoint is the result")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last saved step in --output, with the same settings"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the run in --output; other files stay")
