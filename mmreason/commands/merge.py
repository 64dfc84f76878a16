"""``merge``: an adapter merged into its base, written as a whole checkpoint.

Names of tensors and files are the base's, so that the models' own code loads it.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from mmreason.commands._options.checkpoint import add_base

HELP = "merge an adapter into its base and write the whole checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``merge``."""
    parser.add_argument("--checkpoint", required=True, metavar="DIR", help="the adapter's folder, or owner/name")
    parser.add_argument("--output", required=True, metavar="DIR", help="a new or an empty folder")
    add_base(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Merge; returns what ``mmreason.backbones.merging`` says."""
    from mmreason.backbones.adapter import ADAPTER, ADAPTER_WEIGHTS
    from mmreason.backbones.family import find, find_base, may_be_on_hub
    from mmreason.backbones.merging import merge
    from mmreason.errors import CheckpointError
    from mmreason.sampling.views.pipeline import VIEWS_FILE, stored_views

    there = os.path.isdir(args.checkpoint) or may_be_on_hub(args.checkpoint)
    folder = find(args.checkpoint) if there else None
    if folder is None or not (folder / ADAPTER).is_file():
        raise CheckpointError(
            f"--checkpoint must be a folder with an adapter ({ADAPTER}, {ADAPTER_WEIGHTS}), got {args.checkpoint!r}"
        )
    base = find_base(folder, args.base)
    assert base is not None, "it is an adapter"

    def show(done: int, total: int, name: str) -> None:
        print(f"{name}: {done} of {total}", file=sys.stderr, flush=True)

    return merge(folder, base, args.output, stored_views(folder).get("family"), (VIEWS_FILE,), show)


def readable(result: dict[str, Any]) -> str:
    """What was written, in a few lines."""
    lines = [
        f"family: {result['family']}",
        f"merged: {result['tensors']} matrices, an adapter of rank {result['rank']}",
        f"written: {len(result['written'])} files of {result['bytes'] / 1e9:.2f} GB in {result['output']}",
    ]
    if result["left_out"]:
        lines.append(f"left out: {', '.join(result['left_out'])}")
    return "\n".join(lines)
