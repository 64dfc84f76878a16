"""The commands of ``python -m mmreason``, one file each.

A file here is a command of its name, underscores as hyphens, with

- ``HELP``: one line that says what it does;
- ``add_arguments(parser)``: its arguments (``--json`` is added for all);
- ``run(args) -> dict``: does it and returns the JSON object; progress goes to standard error;
- optionally ``readable(result) -> str``: what is shown without ``--json``;
- optionally ``LESS_MEMORY``: the settings with which it needs less of a GPU's memory.

Files that begin with an underscore are no commands.  At import a command loads nothing heavy, so that
``--help`` is quick: torch and what needs it come in ``run``.
"""

from __future__ import annotations

import pkgutil

FIRST = ("solve", "evaluate", "pretrain", "train")  # the others follow by name


def command_names() -> list[str]:
    """Every command, in the order that the help shows."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    found = sorted(name.replace("_", "-") for name in names if not name.startswith("_"))
    return [name for name in FIRST if name in found] + [name for name in found if name not in FIRST]


def module_of(name: str) -> str:
    """The module of a command."""
    return f"{__name__}.{name.replace('-', '_')}"
