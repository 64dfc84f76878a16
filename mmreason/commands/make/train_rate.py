"""``make train_rate``: what a rollout and its update cost here, for estimates before a start."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from mmreason.analysis.train_rate import FILES, SIZES, measure_rate
from mmreason.disk import write_json
from mmreason.sampling.pipeline import InterleavedReasoningPipeline


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mmreason make train_rate", description=__doc__)
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--out", type=Path, default=Path("assets/results") / FILES[on_gpu], metavar="FILE")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    pipe = InterleavedReasoningPipeline.from_pretrained(args.checkpoint)
    start_seconds = time.process_time()
    if on_gpu:
        measure_rate(pipe, ["maze"], ["hard"], SIZES[on_gpu])  # the first of each kernel is slow
    rates = measure_rate(pipe, sizes=SIZES[on_gpu], clock=time.perf_counter if on_gpu else time.process_time)
    content = {
        "machine": torch.cuda.get_device_name() if on_gpu else "one CPU thread",
        "checkpoint": Path(args.checkpoint).name,
        "start_seconds": round(start_seconds, 2),
        "rates": rates,
        "command": "python -m mmreason make train_rate",
    }
    write_json(args.out, content, indent=1)
    print(f"written: {args.out}", file=sys.stderr)
    return 0
