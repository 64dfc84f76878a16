"""``make preset-gain``: what a preset does for held-out success, over several seeds.

Each seed is a training of its own, in a process as the page starts it, timed from its start to its end.  A finished
seed is kept in the file, so that the command can be stopped and given again; other settings, or another checkpoint,
start over.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mmreason.analysis.preset_gain import read_gain, summary
from mmreason.commands._options.again import again
from mmreason.commands._options.threads import add_threads
from mmreason.disk import write_json
from mmreason.errors import ConfigError
from mmreason.training.rl.presets import PRESETS, TrainSettings
from mmreason.training.run.rundir import read_metrics

HELP = "what a preset of the tab Train does for held-out success, over several seeds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make preset-gain``."""
    parser.add_argument("--preset", choices=list(PRESETS), default=next(iter(PRESETS)))
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    parser.add_argument("--seeds", type=int, default=10, metavar="N")
    add_threads(parser, 2)
    parser.add_argument("--output", default="assets/results/preset_gain.json", metavar="FILE")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train every seed that is missing and write the summary after each; returns ``written``, the path."""
    from mmreason.commands._options.checkpoint import checkpoint_name, load_pipeline

    if args.seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, got {args.seeds}")
    found = {
        "command": again("make preset-gain", add_arguments, args, "preset", "checkpoint", "seeds"),
        "preset": args.preset,
        "checkpoint": checkpoint_name(args.checkpoint),
        "fingerprint": load_pipeline(args.checkpoint).fingerprint,
        "settings": PRESETS[args.preset].stored(),
    }
    kept = read_gain(Path(args.output), args.preset)
    rows = kept["seeds"] if kept is not None and kept.get("fingerprint") == found["fingerprint"] else []
    for seed in range(args.seeds):
        if any(row["seed"] == seed for row in rows):
            continue
        rows.append(one_seed(PRESETS[args.preset], seed, args.checkpoint, args.threads))
        print("seed {seed}: {before:.3f} to {after:.3f} in {seconds:.0f} s".format(**rows[-1]), file=sys.stderr)
        write_json(args.output, found | summary(rows), indent=1)
    return {"written": [args.output]}


def one_seed(settings: TrainSettings, seed: int, checkpoint: str, threads: int) -> dict[str, Any]:
    """Success before and after, in one training of ``seed``, and how long it took; raises ConfigError."""
    settings = settings.but(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        command = settings.arguments(settings.arms[-1], checkpoint, folder)
        began = time.perf_counter()
        process = subprocess.run(
            [sys.executable, "-m", "mmreason", *command, "--threads", str(threads)], capture_output=True, text=True
        )
        seconds = time.perf_counter() - began
        if process.returncode:
            raise ConfigError(f"the training of seed {seed} failed: {process.stderr.strip().splitlines()[-1]}")
        evaluated = [row["success"]["mean"] for row in read_metrics(Path(folder)) if "success" in row]
    return {
        "seed": seed,
        "before": evaluated[0],
        "after": evaluated[-1],
        "seconds": seconds,
        "threads": threads,
    }
