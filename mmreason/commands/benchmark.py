"""``benchmark``: how fast the engine is, as ratios within one run."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mmreason import limits
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


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; returns seconds and ratios."""

    from mmreason.analysis.cost.benchmark import benchmark
    from mmreason.commands._options.checkpoint import load_pipeline
    from mmreason.training.hardware import keep_freed_memory

    keep_freed_memory()
    use_threads(args.threads)
    pipe = load_pipeline(args.checkpoint)
    return benchmark(
        pipe, args.seed, args.num_problems, args.num_generations, lambda text: print(text, file=sys.stderr)
    )
