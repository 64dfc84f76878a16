"""``make static``: the page as a folder of plain files, which opens without a server and without a network.

Player, race, costs and results as the live page shows them, trace files that a visitor opens, and held-out puzzles
that the visitor's own browser solves with ``checkpoints/base``, whose 10 MB are loaded when asked for.  Put it on a
static Space or any other web space, or on a stick: ``index.html`` also opens from the disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

from mmreason.disk import write_whole
from mmreason.errors import ConfigError

HELP = "the page as a folder of plain files that needs no server"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make static``."""
    parser.add_argument("--output", required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--no_solver", action="store_true", help="leave out what browsers solve with (10 MB)")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier call has written there")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the folder; returns ``written``, its ``bytes`` and the number of ``files``.  Raises ConfigError."""
    from mmreason.ui.twin import twin_files

    folder = Path(args.output)
    _check(folder, args.overwrite)
    files = twin_files(solver=not args.no_solver)
    if folder.exists():
        for name in ("groups", "solver"):  # of an earlier call; other names are replaced
            shutil.rmtree(folder / name, ignore_errors=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    return {"written": [str(folder)], "bytes": sum(map(len, files.values())), "files": len(files)}


def _check(folder: Path, overwrite: bool) -> None:
    """Refuse a place that is taken, before anything is made."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ConfigError(f"--output must be a folder, got {str(folder)!r}, which is a file")
    there = sorted(path.name for path in folder.iterdir())
    if there and not overwrite:
        raise ConfigError(f"--output {str(folder)!r} holds {there[0]}: give --overwrite, or another folder")
    if there and "index.html" in there and "twin.js" not in there:
        raise ConfigError(f"--output {str(folder)!r} holds an index.html that is not of this command: name another")
