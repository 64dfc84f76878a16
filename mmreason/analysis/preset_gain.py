"""``python -m mmreason.analysis.preset_gain``: what a preset does for held-out success, over several seeds.

Each seed is a training of its own, in a process as the page starts it, timed from its start to its end.  A finished
seed is kept in the file, so that the command can be stopped and given again; other settings, or another checkpoint,
start over.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmreason.analysis.evaluate import overlap, wilson
from mmreason.disk import write_json
from mmreason.errors import ConfigError, MMReasonError, WriteError
from mmreason.training.presets import PRESETS, TrainSettings
from mmreason.training.rundir import read_metrics

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131)


def one_seed(settings: TrainSettings, seed: int, checkpoint: str, threads: int) -> dict[str, Any]:
    """Success before and after, in one training of ``seed``, and how long it took; raises ConfigError."""
    settings = replace(settings, seed=seed)
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
    before, after = (wilson(rate, settings.eval_problems) for rate in (evaluated[0], evaluated[-1]))
    return {
        "seed": seed,
        "before": evaluated[0],
        "after": evaluated[-1],
        "clear": not overlap(before, after),
        "seconds": seconds,
        "threads": threads,
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean gain over seeds with its 95 % interval (Student's t), None with one seed."""
    gains = [row["after"] - row["before"] for row in rows]
    mean, n = statistics.fmean(gains), len(gains)
    half = None
    if n > 1:
        half = T_975[min(n - 2, len(T_975) - 1)] * statistics.stdev(gains) / math.sqrt(n)
    return {
        "before": statistics.fmean(row["before"] for row in rows),
        "after": statistics.fmean(row["after"] for row in rows),
        "gain": mean,
        "gain_ci95": None if half is None else [mean - half, mean + half],
        "clear": sum(row["clear"] for row in rows),
        "longest_seconds": max(row["seconds"] for row in rows),
        "seeds": list(rows),
    }


def weights_hash(checkpoint: Path) -> str:
    """Of the policy's files, so that a retrained checkpoint is another one; raises ConfigError."""
    files = sorted((checkpoint / "transformer").glob("*.safetensors"))
    if not files:
        raise ConfigError(f"checkpoint must be a folder with transformer/*.safetensors, got {str(checkpoint)!r}")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def read_gain(path: Path, preset: str) -> dict[str, Any] | None:
    """What ``main`` wrote of ``preset`` as it is now set; None where there is nothing of it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        is_same = found["preset"] == preset and TrainSettings.of(found["settings"]) == PRESETS[preset]
        return found if is_same and found["seeds"] else None
    except (OSError, ValueError, KeyError, TypeError, MMReasonError):
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Train every seed that is missing and write the summary after each; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mmreason.analysis.preset_gain", description=__doc__)
    parser.add_argument("--preset", choices=list(PRESETS), default=next(iter(PRESETS)))
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    parser.add_argument("--seeds", type=int, default=10, metavar="N")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each training (default: 2)")
    parser.add_argument("--out", type=Path, default=Path("assets/results/preset_gain.json"), metavar="FILE")
    args = parser.parse_args(arguments)
    if args.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {args.seeds}")
    try:
        found = {
            "command": "python -m mmreason.analysis.preset_gain",
            "preset": args.preset,
            "checkpoint": Path(args.checkpoint).name,
            "weights": weights_hash(Path(args.checkpoint)),
            "settings": asdict(PRESETS[args.preset]),
        }
        kept = read_gain(args.out, args.preset)
        rows = kept["seeds"] if kept is not None and kept.get("weights") == found["weights"] else []
        for seed in range(args.seeds):
            if any(row["seed"] == seed for row in rows):
                continue
            rows.append(one_seed(PRESETS[args.preset], seed, args.checkpoint, args.threads))
            print("seed {seed}: {before:.3f} to {after:.3f} in {seconds:.0f} s".format(**rows[-1]), file=sys.stderr)
            write_json(args.out, found | summary(rows), indent=1)
    except (ConfigError, WriteError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
