"""``make overview``: the table of main results in README.md, from the files in assets/results."""

from __future__ import annotations

import argparse
from typing import Any

HELP = "README's table of main results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make overview``."""
    parser.add_argument("--output", default="README.md", metavar="FILE", help="the page whose table is replaced")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Replace the table; returns ``written``, the path."""
    from mmreason.analysis.blocks import check_readme, update_readme
    from mmreason.analysis.overview import overview_table

    check_readme(args.output, "overview")
    update_readme(args.output, {"overview": overview_table()})
    return {"written": [args.output]}
