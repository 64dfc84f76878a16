"""``make``: what is shipped or shown and made anew by hand: examples, rates, pictures.

Each piece is a module of its name with ``main(arguments) -> exit code`` and arguments of its own.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from typing import NoReturn

HELP = "make anew what is shipped: examples, measured rates, pictures of the page"


def piece_names() -> list[str]:
    """What can be made."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make``."""
    parser.add_argument("piece", choices=piece_names(), help="what to make")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the piece; --help lists them")


def run(args: argparse.Namespace) -> NoReturn:
    """Make the piece; ends with its exit code."""
    piece = importlib.import_module(f"{__name__}.{args.piece}")
    raise SystemExit(piece.main(args.arguments))
