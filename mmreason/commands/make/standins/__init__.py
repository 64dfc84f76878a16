"""What the stand-ins share: where they are written, and their seed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a stand-in."""
    parser.add_argument("--output", required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (default: 0)")


def write(family: str, args: argparse.Namespace) -> dict[str, Any]:
    """Write it; returns ``written``, the paths."""
    from mmreason.backbones.standin import write_standin
    from mmreason.errors import ConfigError
    from mmreason.seeds import MAX_SEED

    if not 0 <= args.seed <= MAX_SEED:
        raise ConfigError(f"--seed must be from 0 to {MAX_SEED}, got {args.seed}")
    return {"written": [str(Path(args.output) / file) for file in write_standin(family, args.output, args.seed)]}
