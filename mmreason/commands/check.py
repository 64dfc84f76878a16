"""``check``: what a checkpoint is, and whether it will run."""

from __future__ import annotations

import argparse
from typing import Any

from mmreason.commands._options.checkpoint import add_base
from mmreason.errors import CheckpointError
from mmreason.layouts import FAMILIES

HELP = "say what a checkpoint is, and whether it will run"
MAX_PROBE_BYTES = 4 * 2**20


class UnsoundCheckpoint(CheckpointError):
    """A checkpoint that will not run; ``result`` is what ``--json`` prints of it."""

    def __init__(self, result: dict[str, Any]) -> None:
        found = result["problems_found"]
        more = f" (and {len(found) - 1} more; see --json)" if len(found) > 1 else ""
        super().__init__(f"{found[0]}{more}")
        self.result = result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``check``."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a checkpoint folder, or owner/name of the Hub")
    add_base(parser)
    parser.add_argument("--family", choices=FAMILIES, help="default: what the checkpoint says of itself")
    parser.add_argument("--probe", metavar="FILE", help="JSON with a list of id lists to forward")
    parser.add_argument("--probe_out", metavar="FILE", help="write their logits there (npz: logits_0, logits_1, …)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Check; raises UnsoundCheckpoint if there is a problem."""
    import io

    import numpy as np

    from mmreason.analysis.checkup import check
    from mmreason.commands._options.files import check_files
    from mmreason.disk import write_whole
    from mmreason.errors import ConfigError
    from mmreason.handed import Handed

    if (args.probe is None) != (args.probe_out is None):
        raise ConfigError("--probe and --probe_out are given together: the ids, and where their logits go")
    check_files({"--probe_out": args.probe_out}, {"--probe": args.probe})
    probe = None if args.probe is None else Handed("probe file", MAX_PROBE_BYTES, ConfigError).load(args.probe)
    result, logits = check(args.checkpoint, args.family, probe, base=args.base)
    if args.probe_out is not None and logits:
        content = io.BytesIO()
        named: dict[str, Any] = {f"logits_{i}": each for i, each in enumerate(logits)}
        np.savez(content, **named)
        write_whole(args.probe_out, content.getvalue())
        result["probe_out"] = args.probe_out
    if result["problems_found"]:
        raise UnsoundCheckpoint(result)
    return result


def readable(result: dict[str, Any]) -> str:
    """What it is, in a few lines."""
    size = result["parameters"]
    grid = result["grid"]
    if grid:
        pictures = f"{grid[0]} × {grid[1]} codes"
    else:
        pictures = f"any size in steps of {result['pixels_per_code']} pixels, {result['codes']} codes"
    lines = [
        f"family: {result['family']}" + (f", by {result['family_from']}" if "family_from" in result else ""),
        f"parameters: {size:,}",
        f"pictures: {pictures}",
        f"attention: {result['attention']}, {'as trained' if result['native'] else 'not as trained'}",
        f"licence: {result['licence'] or 'not stated'}",
    ]
    if "adapter" in result:
        lines.append(f"adapter: rank {result['adapter']['rank']} on {result['adapter']['base']}")
    if "probe_out" in result:
        lines.append(f"logits: {result['probe_out']}")
    return "\n".join([*lines, "no problems found"])
