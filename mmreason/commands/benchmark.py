"""``benchmark``: how fast the engine is, as ratios within one run."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mmreason import limits
from mmreason.commands._options.again import again
from mmreason.commands._options.files import check_files
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.threads import add_threads, use_threads

HELP = "speed of rollouts, likelihood and a GRPO step, as ratios"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``benchmark``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    add_number(parser, limits.SEED, 0)
    add_number(parser, limits.NUM_PROBLEMS, 16)
    add_number(parser, limits.NUM_GENERATIONS, 8)
    add_threads(parser)
    parser.add_argument("--output", metavar="FILE", help="write what is returned there, too")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, and write where asked to; returns seconds, ratios, the policy's fingerprint and the command."""
    check_files({"--output": args.output})
    from mmreason.analysis.cost.benchmark import benchmark
    from mmreason.commands._options.checkpoint import load_pipeline
    from mmreason.disk import write_json
    from mmreason.training.hardware import keep_freed_memory

    keep_freed_memory()
    use_threads(args.threads)
    pipe = load_pipeline(args.checkpoint)
    made = {
        "checkpoint": args.checkpoint,
        "fingerprint": pipe.fingerprint,  # of the weights as they were loaded
        "command": again("benchmark", add_arguments, args, "threads"),
    }
    found = made | benchmark(
        pipe, args.seed, args.num_problems, args.num_generations, lambda text: print(text, file=sys.stderr)
    )
    if args.output is not None:
        write_json(args.output, found, indent=1)
    return found
