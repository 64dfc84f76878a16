"""``make static``: the page as a folder of plain files, which opens without a server and without a network.

Player, race, costs and results as the live page shows them, trace files that a visitor opens, and held-out puzzles
that the visitor's own browser solves with ``checkpoints/base``, whose 10 MB are loaded when asked for.  Put it on a
static Space or any other web space, or on a stick: ``index.html`` also opens from the disk.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mmreason.disk import names_in, write_whole
from mmreason.errors import ConfigError

HELP = "the page as a folder of plain files that needs no server"
PARTS = {"groups": 'twin.groups["{}"] = ', "solver": "twin.solver.{} = "}
"""Folders of scripts, and how one begins, by its name."""
FIRST, STARTS = "index.html", b"twin.start();"
"""The file that is written first, and what it holds."""
NAMES = {FIRST, "twin.css", "twin.js", "data.js", *PARTS}


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
    for path in _earlier(folder):
        path.unlink()
    for name, content in files.items():
        write_whole(folder / name, content)
    return {"written": [str(folder)], "bytes": sum(map(len, files.values())), "files": len(files)}


def _check(folder: Path, overwrite: bool) -> None:
    """Refuse a place that is taken, before anything is made."""
    there = names_in(folder, "--output")
    if there and not overwrite:
        raise ConfigError(f"--output {str(folder)!r} holds {there[0]}: give --overwrite, or another folder")
    taken = next((name for name in there if name in NAMES), None)
    if taken and not ((folder / FIRST).is_file() and STARTS in (folder / FIRST).read_bytes()):
        raise ConfigError(f"--output {str(folder)!r} holds {taken}, which is not of this command: name another folder")


def _earlier(folder: Path) -> list[Path]:
    """What an earlier call has written to folders in ``folder``; what else lies there stays."""
    return [
        path
        for part, start in PARTS.items()
        for path in (folder / part).glob("*.js")
        if path.is_file() and path.read_bytes().startswith(start.format(path.stem).encode())
    ]
