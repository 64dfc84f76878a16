"""``make task``: a task of one's own to start from, commented, with its tests; it keeps all laws as it is."""

from __future__ import annotations

import argparse
import re
from typing import Any

HELP = "a commented task of your own to start from, with its tests"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make task``."""
    parser.add_argument("name", metavar="NAME", help="lower-case letters, digits and _, such as find_gems")
    parser.add_argument("--output", default=".", metavar="DIR", help="folder to write it to (default: here)")
    parser.add_argument("--overwrite", action="store_true", help="replace files of these names")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write it; returns ``written`` and the ``task`` as ``--tasks`` takes it."""
    from pathlib import Path

    from mmreason.disk import names_in, write_whole
    from mmreason.errors import ConfigError
    from mmreason.tasks import TASKS
    from mmreason.tasks.own import source_of

    name = args.name
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or (name in TASKS and source_of(name) == name):
        raise ConfigError(f"name must be lower-case letters, digits and _ and no built-in task's, got {name[:40]!r}")
    kind = "".join(part.capitalize() for part in name.split("_") if part)
    folder, templates = Path(args.output), Path(__file__).parent / "_skeleton"
    files = {folder / f"{name}.py": "my_task.py", folder / f"test_{name}.py": "test_my_task.py"}
    names = names_in(folder, "--output")
    there = [str(path) for path in files if path.name in names]
    if there and not args.overwrite:
        raise ConfigError(f"--output holds {', '.join(there)} already; --overwrite replaces it")
    for path, template in files.items():
        text = (templates / template).read_text(encoding="utf-8")
        text = text.replace("MyTask", kind).replace("my_task", name).replace("My task:", f"{name}:")
        write_whole(path, text.encode())
    first = next(iter(files))
    return {"written": [str(path) for path in files], "task": f"{first}:{kind}"}
