"""``benchmark``: how fast the engine is, as ratios within one run."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mmreason.commands._threads import add_threads, use_threads

HELP = "speed of rollouts, likelihood and a GRPO step, as ratios"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``benchmark``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_problems", type=int, default=16)
    parser.add_argument("--num_generations", type=int, default=8)
    add_threads(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; returns seconds and ratios."""

    from mmreason.analysis.benchmark import benchmark
    from mmreason.commands._checkpoint import load_pipeline
    from mmreason.errors import ConfigError
    from mmreason.training.memory import keep_freed_memory

    for name, least in (("num_problems", 1), ("num_generations", 2)):
        if getattr(args, name) < least:
            raise ConfigError(f"{name} must be at least {least}, got {getattr(args, name)}")
    keep_freed_memory()
    use_threads(args.threads)
    pipe = load_pipeline(args.checkpoint)
    return benchmark(
        pipe, args.seed, args.num_problems, args.num_generations, lambda text: print(text, file=sys.stderr)
    )
