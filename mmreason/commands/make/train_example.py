"""``make train-example``: the run that the tab Train shows before a visitor has one of their own.

It trains both arms of the first preset as the page does, and keeps in ``assets/train_example/`` what the tab draws:
settings, metrics, and the held-out traces of the first and the last evaluation.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.threads import add_threads
from mmreason.disk import write_whole
from mmreason.errors import ConfigError
from mmreason.training.rl.presets import BOTH, PRESETS
from mmreason.training.run.rundir import METRICS_FILE, STEP_FILE, saved_step
from mmreason.training.run.traces import held_out, held_out_traces, write_held_out

if TYPE_CHECKING:
    from mmreason.ui.runs.store import Run

NOBODY = "nobody's"  # no hash of a token: nobody may stop, resume, delete or push it


HELP = "the run that the tab Train shows a newcomer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make train-example``."""
    add_number(parser, limits.STEPS, says="default: the preset's")
    add_threads(parser, 2)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train and keep; returns ``written``, the folder."""
    from mmreason.ui.runs.store import EXAMPLE, EXAMPLE_PRESET, Run

    preset = PRESETS[EXAMPLE_PRESET].but(assignment=BOTH)
    settings = preset if args.steps is None else preset.but(steps=args.steps)
    example = Run(EXAMPLE, NOBODY, time.time(), settings, wanted=False)
    with tempfile.TemporaryDirectory() as parent:
        folders = {arm: Path(parent) / arm for arm in settings.arms}
        words = settings.arguments(BOTH, f"checkpoints/{settings.checkpoint}", parent)
        command = [sys.executable, "-m", "mmreason", *words, "--threads", str(args.threads)]
        code = subprocess.run(command, stdout=sys.stderr).returncode
        if code or any(saved_step(folder) != settings.steps for folder in folders.values()):
            raise ConfigError(f"the training ended with exit code {code} before step {settings.steps}")
        keep(folders, example)
    return {"written": [str(example.folder)]}


def keep(folders: Mapping[str, Path], run: Run) -> None:
    """Put what the tab draws of the run directories of the arms in place of the example that was there."""
    from mmreason.ui.runs.store import write

    shutil.rmtree(run.folder, ignore_errors=True)
    for arm, folder in folders.items():
        to = run.arm_folder(arm)
        for name in (METRICS_FILE, f"state/{STEP_FILE}"):
            write_whole(to / name, (folder / name).read_bytes())
        kept = held_out(folder)
        for step in (min(kept), max(kept)):
            write_held_out(to, step, drawn(json.loads(kept[step].read_text(encoding="utf-8"))))
    write(run)


def drawn(content: dict[str, Any]) -> dict[str, Any]:
    """Of kept held-out traces what is drawn: not each frame and picture, which are most of them."""
    from mmreason.ui.train.held_out import KEPT

    traces = []
    for trace in held_out_traces(content):
        problem = {name: trace["problem"][name] for name in ("task", "difficulty")}
        segments = [
            {name: segment[name] for name in KEPT} | {"frames": segment["frames"][-1:]}
            for segment in trace["segments"]
        ]
        kept = {name: trace[name] for name in ("canvas_codes", "success", "end_reason")}
        traces.append({"problem": problem, "segments": segments, **kept})
    return {"step": content["step"], "sheet": content["sheet"], "traces": traces}
