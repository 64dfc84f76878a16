"""``make``: writes what is shipped (examples, measured rates, pictures, tables) and what stands in for what cannot be.

A file here is a thing that can be made, named as on the command line with underscores for hyphens, with ``HELP``,
``add_arguments(parser)`` and ``run(args) -> dict`` as a command has them; the dictionary has the key ``written``.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from typing import Any

HELP = "write what is shipped (examples, rates, pictures) or a stand-in of a real checkpoint"


def things() -> dict[str, str]:
    """Name on the command line → module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name.replace("_", "-"): f"{__name__}.{name}" for name in names if not name.startswith("_")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand for every thing."""
    made = parser.add_subparsers(dest="thing", metavar="NAME", required=True, parser_class=type(parser))
    for name, where in things().items():
        module = importlib.import_module(where)
        own = made.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(own)
        own.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object only")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make it; returns ``written`` at least."""
    return importlib.import_module(things()[args.thing]).run(args)
