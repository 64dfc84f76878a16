"""Runs of the page for the tests: a folder of their own, and rows that a training might have written."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmreason.training.rl.presets import TrainSettings
from mmreason.ui.host import checkpoints
from mmreason.ui.runs import queue, store
from mmreason.ui.runs.state import status_of
from mmreason.ui.runs.store import Run
from mmreason.ui.train.form import read_form
from tests.helpers import forked

OWNER, OTHER = "the owner's token, long enough", "another visitor's token"


def empty_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In ``folder`` an empty store of runs, and the name of a checkpoint ``base``."""
    monkeypatch.setenv(checkpoints.RUNS_SETTING, str(folder / "runs"))
    monkeypatch.setenv(checkpoints.CHECKPOINTS_SETTING, str(folder / "checkpoints"))
    (folder / "checkpoints" / "base").mkdir(parents=True)
    (folder / "checkpoints" / "base" / "model_index.json").write_text("{}")


def fork_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the queue fork its trainings, which takes no import; other commands start as they do."""

    def popen(command: list[str], **options: Any) -> Any:
        if command[1:3] != ["-m", "mmreason"]:
            return subprocess.Popen(command, **options)
        return forked.Training(command[3:], options["env"], options["stdout"].name)

    forked.ready()
    monkeypatch.setattr(queue, "subprocess", SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL))


def checked_settings(values: dict[str, Any], token: Any) -> TrainSettings:
    """The settings that ``read_form`` reads; raises the first of what is wrong."""
    settings, wrong = read_form(values, token)
    if settings is None:
        raise wrong[0]
    return settings


def finished_run() -> Run:
    """A run that has ended after its 60 steps, before the line can begin it."""
    with store.locked():
        run = store.create(TrainSettings(), OWNER)
        ends = [evaluation(0, 0.5), *(row(step) for step in range(1, 60)), evaluation(60, 0.9)]
        leave(run, "factorized", ends, saved=60)
        store.change(run, arm="factorized", pid=0, born=0.0)
    return run


def state(run: Run) -> str:
    """Of the run as it is now."""
    return status_of(store.find(run.id)).state


def row(step: int, **changes: Any) -> dict[str, Any]:
    """Metrics of one step, made up."""
    made: dict[str, Any] = {"step": step, "rewards/text/mean": 0.5 + 0.01 * step, "rewards/image/mean": 0.8}
    made |= {"entropy/text": 0.4, "entropy/image": 0.2, "kl/text": 0.0, "kl/image": 0.0, "clip_ratio/text": 0.0}
    made |= {"clip_ratio/image": 0.0, "sign_conflict": 0.2, "seconds": 2.0, "tokens": 1000.0}
    return made | {"train_flops": 1e9, "rollout_flops": 1e8} | changes


def evaluation(step: int, rate: float, **changes: Any) -> dict[str, Any]:
    """A row with an evaluation."""
    return row(step, success={"sudoku": rate, "mean": rate}, eval_seconds=3.0, leak_to_signal=0.7, **changes)


def leave(run: Run, arm: str, rows: list[dict[str, Any]], saved: int | None) -> Path:
    """Write what a training of ``arm`` leaves: metrics, and state and checkpoint of step ``saved``."""
    folder = run.arm_folder(arm)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    if saved is not None:
        for name in ("state", "checkpoint"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "state" / "step.json").write_text(json.dumps({"step": saved}))
        (folder / "checkpoint" / "model_index.json").write_text("{}")
        (folder / "config.json").write_text("{}")
    return folder
