"""The loop around a supervised run: it resumes, logs, validates, saves, and stops when asked.

A killed run resumes from its last saved step and ends where an uninterrupted one ends: the batches are functions of
(settings, step), so the state is all there is to keep, and the metrics since the last row.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from mmreason.disk import write_json
from mmreason.errors import ConfigError
from mmreason.records import Problem
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.tasks import TASKS
from mmreason.training.run.resume import MAY_DIFFER, check_resumable, write_settings
from mmreason.training.run.rundir import STATE_FILE, STEP_FILE, RunDirectory, is_kept
from mmreason.training.run.signals import interrupts
from mmreason.training.supervised.config import LessonsConfig, SupervisedConfig
from mmreason.training.validation import held_out, solve_problems, success_by_task

OnStep = Callable[[dict[str, Any]], None]


class State(Protocol):
    """What a resumed run needs."""

    config: Any
    step: int
    seconds: float

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def check_demonstrated(config: LessonsConfig) -> None:
    """Refuse tasks that show no solutions; raises ConfigError."""
    for task in config.tasks:
        if not TASKS[task].demonstrates:
            raise ConfigError(f"the task {task} has no demonstrations to pretrain on; train takes rewards alone")


def validation_problems(tasks: Sequence[str], lessons: LessonsConfig, count: int) -> dict[str, list[Problem]]:
    """``count`` of each difficulty that is learnt; raises TaskError where a dataset has none for it."""
    return {
        difficulty: held_out(tasks, [difficulty], count, lessons.seed, "validation") for difficulty in lessons.drawn
    }


def success_by_difficulty(
    pipe: InterleavedReasoningPipeline | ViewsPipeline,
    problems: Mapping[str, Sequence[Problem]],
    sampling: SamplingConfig,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Success on validation ``problems``, by difficulty and task."""
    return {
        difficulty: success_by_task(solve_problems(pipe, own, sampling, seed)) for difficulty, own in problems.items()
    }


def run_supervised(
    run: RunDirectory,
    config: SupervisedConfig,
    more: Mapping[str, Any],
    state: State,
    steps: Callable[[], Iterator[dict[str, float]]],
    export: Callable[[Path], None],
    validate: Callable[[], dict[str, Any]],
    may_differ: Collection[str],
    resume: bool = False,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Train ``state`` by ``steps``, which yields the metrics of each step, and ``export`` to ``checkpoint/``.

    ``more`` are settings beside ``config``; ``may_differ`` names those that a resumed run may have otherwise.  Ends
    early, with a checkpoint, when the run directory's stop file appears, at Ctrl-C, at SIGTERM and when
    ``max_seconds`` are over.  ``keep_steps`` keeps ``checkpoint-<step>/`` besides.  Returns the last metrics,
    ``resumed_from`` among them; raises ConfigError and CheckpointError.
    """

    window: list[Mapping[str, float | None]] = []  # the metrics of each step since the last row

    def save(name: str = "checkpoint", row: dict[str, Any] | None = None) -> None:
        with run.writing():
            if name == "checkpoint":
                run.write_folder("state", lambda folder: _write_state(folder, state, row, window))
            run.write_folder(name, export)

    def is_due(step: int) -> bool:
        return bool(config.eval_steps) and (step % config.eval_steps == 0 or state.progress >= 1)

    def finish(row: dict[str, Any]) -> dict[str, Any]:
        if is_due(row["step"]):
            row["success"] = validate()
        with run.writing():
            run.append_metrics(row)
        if on_step is not None:
            on_step(row)
        return row

    with run.held(), interrupts() as interrupted:
        resumed_from = _resume(run, config, more, state, (*MAY_DIFFER, *may_differ)) if resume else None
        with run.writing():
            run.rewind_metrics(state.step)
            run.clear_stop()
            write_settings(run, config, more, resumed_from is not None)
        row: dict[str, Any] = {}
        if (
            resumed_from is not None
            and is_kept(resumed_from, config.keep_steps)
            and not run.has(f"checkpoint-{resumed_from}")
        ):
            save(f"checkpoint-{resumed_from}")
        if resumed_from is not None:
            owed, window = _pending(run, resumed_from)
            if owed:
                row = finish(owed)
        for metrics in steps():
            window.append(metrics)
            step = state.step
            done, told = state.progress >= 1, run.stop_requested or bool(interrupted)
            logged = step % config.logging_steps == 0 or is_due(step) or done or told
            if logged:
                row, window = _averaged(window, step), []
            if told or done or step % config.save_steps == 0:  # first: who tells it to stop may not wait for long
                save(row=row if logged else None)
            if is_kept(step, config.keep_steps):
                save(f"checkpoint-{step}")
            if logged:
                finish(row)
            if told or done:
                break
        if state.step == resumed_from and state.progress >= 1:  # killed after the last step, before its checkpoint
            save()
            row = row or next(reversed(run.read_metrics()), {})
    return row | {"resumed_from": resumed_from}


def _averaged(window: Sequence[Mapping[str, float | None]], step: int) -> dict[str, Any]:
    """The row of ``step``: means of what is finite since the last row, and how many steps were ``skipped``."""
    row: dict[str, Any] = {}
    for name in dict.fromkeys(name for metrics in window for name in metrics):
        found = (metrics.get(name) for metrics in window)
        there = [value for value in found if value is not None and math.isfinite(value)]
        row[name] = sum(there) if name == "skipped" else sum(there) / len(there) if there else None
    return row | {"step": step}


def _write_state(
    folder: Path, state: State, row: dict[str, Any] | None, window: Sequence[Mapping[str, float | None]]
) -> None:
    """The state, its step for those who cannot read the rest, and what of the metrics is still to follow.

    That is the ``row`` of this step, or the ``window`` of steps that the next row is of.
    """
    torch.save(state.state_dict(), folder / STATE_FILE)
    write_json(folder / STEP_FILE, {"step": state.step, "row": row, "window": window})


def _pending(run: RunDirectory, step: int) -> tuple[dict[str, Any] | None, list[Mapping[str, float | None]]]:
    """The row of the saved ``step``, if the run was killed between its save and that row, and the window."""
    path = run.path / "state" / STEP_FILE
    told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}  # older runs have none
    rows = run.read_metrics()
    return None if rows and rows[-1]["step"] == step else told.get("row"), told.get("window", [])


def _resume(
    run: RunDirectory, config: SupervisedConfig, more: Mapping[str, Any], state: State, may_differ: Collection[str]
) -> int | None:
    """Load what was saved in ``run`` into ``state``; its step, or None where nothing was."""
    with run.writing():
        run.recover("state")
    if not run.has("state"):
        if run.has_begun:
            check_resumable(run, config, more, 0, may_differ)
        return None
    with run.loading():
        saved = torch.load(run.path / "state" / STATE_FILE, map_location="cpu", weights_only=True)
        done = int(saved["step"])
    check_resumable(run, config, more, done, may_differ)
    with run.loading():
        state.load_state_dict(saved)
    return done
