"""``make train-rate``: what a rollout and its update cost here, for estimates before a start."""

from __future__ import annotations

import argparse
import time
from typing import Any

from mmreason.commands._options.again import again

HELP = "what a rollout and its update cost on this machine, for the page's estimates"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make train-rate``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    parser.add_argument("--output", metavar="FILE", help="default: in assets/results, one file a CPU and one a GPU")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure and write; returns ``written``, the path."""
    import torch

    from mmreason.analysis.train_rate import FILES, SIZES, measure_rate
    from mmreason.commands._options.checkpoint import checkpoint_name, load_pipeline
    from mmreason.disk import write_json
    from mmreason.training.hardware import fair_clock

    on_gpu = torch.cuda.is_available()
    torch.set_num_threads(1)
    pipe = load_pipeline(args.checkpoint)
    start_seconds, fingerprint = time.process_time(), pipe.fingerprint  # of the weights as they were loaded
    measure_rate(pipe, ["maze"], ["hard"], SIZES[on_gpu])  # the first of each kernel is slow
    rates = measure_rate(pipe, sizes=SIZES[on_gpu], clock=fair_clock())
    content = {
        "machine": torch.cuda.get_device_name() if on_gpu else "one CPU thread",
        "checkpoint": checkpoint_name(args.checkpoint),
        "fingerprint": fingerprint,
        "start_seconds": round(start_seconds, 2),
        "rates": rates,
        "command": again("make train-rate", add_arguments, args, "checkpoint"),
    }
    path = args.output or f"assets/results/{FILES[on_gpu]}"
    write_json(path, content, indent=1)
    return {"written": [path]}
