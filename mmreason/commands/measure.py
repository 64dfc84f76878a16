"""``measure``: what a real model's shape costs on this machine, with random weights, next to the formula."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

HELP = "time and memory of a real model's shape on this machine, with random weights"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``measure``."""
    parser.add_argument("--shape", choices=("dimoo", "tiny"), default="dimoo", help="dimoo: 8.08 B parameters")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: a GPU if there is one")
    parser.add_argument("--seconds", type=float, default=330, help="skip parts that would take longer (default: 330)")
    parser.add_argument("--out", metavar="FILE", help="write the result to FILE after every part")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; returns ``machine``, ``parts`` and ``seconds``."""
    import torch

    from mmreason.analysis.cost.measure import measure
    from mmreason.disk import write_json
    from mmreason.errors import ConfigError

    if not args.seconds > 0:
        raise ConfigError(f"--seconds must be above 0, got {args.seconds}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda needs a GPU that torch can see, and there is none")
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if args.shape == "dimoo" and device.type == "cpu":
        raise ConfigError("--shape dimoo needs a GPU of 80 GB; --shape tiny tries the measurement on a CPU")

    def report(result: dict[str, Any]) -> None:
        if args.out:
            write_json(args.out, result, indent=1)
        if result["parts"]:
            name, part = list(result["parts"].items())[-1]
            print(f"{name}: {json.dumps(part)}", file=sys.stderr)

    return measure(args.shape, device, args.seconds, report)
