"""``make``: writes what is shipped (examples, measured rates, pictures, tables) and what stands in for what cannot be.

A file here or in ``standins/`` is a thing that can be made, named as on the command line with underscores for
hyphens, with ``HELP``, ``add_arguments(parser)`` and ``run(args) -> dict`` as a command has them; the dictionary has
the key ``written``.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from typing import Any

from mmreason.commands.make import standins

HELP = "write what is shipped (examples, rates, pictures) or a stand-in of a real checkpoint"


def things() -> dict[str, str]:
    """Name on the command line → module."""
    places = {__name__: __path__, standins.__name__: standins.__path__}
    found = [
        module.name
        for place, path in places.items()
        for module in pkgutil.iter_modules(path, f"{place}.")
        if not module.ispkg
    ]
    return dict(sorted((where.rpartition(".")[2].replace("_", "-"), where) for where in found))


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
