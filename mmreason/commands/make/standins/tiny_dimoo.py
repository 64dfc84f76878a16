"""``make tiny-dimoo``: a stand-in for Lumina-DiMOO, random weights under its tensor names."""

from __future__ import annotations

import argparse
from typing import Any

from mmreason.commands.make.standins import add_arguments, write

__all__ = ["HELP", "add_arguments", "run"]

HELP = "a stand-in for Lumina-DiMOO: random weights, true names and ids"


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write it; returns ``written``."""
    return write("dimoo", args)
