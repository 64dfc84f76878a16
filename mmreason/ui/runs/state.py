"""The state of a run, read from its folder alone: its processes, its rows of metrics, what it saved last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import psutil

from mmreason.disk import one_line
from mmreason.training.run.remaining import Left, last_step, left_of
from mmreason.training.run.rundir import METRICS_FILE, read_metrics, saved_step
from mmreason.ui.host import checkpoints
from mmreason.ui.runs.store import Run, all_runs

ACTIVE = ("queued", "running", "stopping")  # of these nothing is ever cleaned up
BIRTH_SLACK = 2.0  # seconds by which the birth of one process may seem to move

MAX_ROWS = 20_000  # of metrics that are kept in memory, about 100 MB; those of the last reading only
CUT_SHORT = "out_of_time"  # a file in the run's folder that says why it was stopped; at first only for its time
MOST_ENDED = 4096

_ENDED: dict[str, Run] = {}  # runs that need not be looked at again

Rows = Sequence[dict[str, Any]]

_READ: dict[Path, tuple[tuple[int, int], Rows]] = {}  # run directory → change and size of its metrics, and these
_READING = Lock()


@dataclass(frozen=True, slots=True)
class Status:
    """A run and its state."""

    run: Run
    state: str
    rows: dict[str, Rows]  # by arm, those without any included
    saved: dict[str, int | None]  # the step of each arm's last checkpoint
    ahead: int = 0  # runs before it in the queue
    trouble: str = ""  # the last words of a process that failed, or why it was stopped
    told: float = 0.0  # when the last row was written; 0 before

    @property
    def step(self) -> int:
        """That all arms have done."""
        return min(map(last_step, self.rows.values()))

    @property
    def resumes_at(self) -> int | None:
        """The step that all arms go on from at least; None where nothing was saved."""
        found = [step or 0 for step in self.saved.values()]
        return None if all(step is None for step in self.saved.values()) else min(found)

    @property
    def is_finished(self) -> bool:
        """Are all arms done?"""
        return all(self.is_done(arm) for arm in self.run.settings.arms)

    @property
    def is_active(self) -> bool:
        """Does it wait or run?"""
        return self.state in ACTIVE

    def is_done(self, arm: str) -> bool:
        """Has ``arm`` done its last step and been saved?"""
        return last_step(self.rows[arm]) >= self.run.settings.steps == self.saved[arm]

    @property
    def checkpoints(self) -> dict[str, str]:
        """Names of the checkpoints that are there, as ``checkpoints`` and ``public`` take them, by arm."""
        folders = {arm: self.run.arm_folder(arm) / "checkpoint" for arm in self.run.settings.arms}
        return {arm: f"run:{self.run.id}/{arm}" for arm, path in folders.items() if checkpoints.is_checkpoint(path)}

    @property
    def spent(self) -> dict[str, float]:
        """Tokens learnt from, FLOPs and seconds so far, all arms."""
        rows = [row for found in self.rows.values() for row in found]
        flops = sum(row.get("train_flops", 0.0) + row.get("rollout_flops", 0.0) for row in rows)
        seconds = sum((row.get("seconds") or 0.0) + (row.get("eval_seconds") or 0.0) for row in rows)
        return {"tokens": sum(row.get("tokens", 0.0) for row in rows), "flops": flops, "seconds": seconds}

    def left(self, before: Left | None = None, now: float | None = None) -> Left | None:
        """Until all arms are done, from this run's own pace; ``before`` where it has none yet."""
        born = self.run.born
        since = max(self.told, psutil.boot_time() + born if born else 0.0)  # a process that goes on writes no row
        passed = max(0.0, (time.time() if now is None else now) - since) if since else 0.0
        return left_of(self.rows, self.run.settings.plan, before, passed)


def status_of(run: Run) -> Status:
    """The state of ``run`` now, and who is before it in the queue."""
    status = _standing(run)
    if status.state != "queued":
        return status
    return replace(status, ahead=sum(waits(other) for other in all_runs() if other.since < run.since))


def waits(run: Run) -> bool:
    """Does it wait or run?  What has ended stays so until its ``run.json`` is written anew."""
    if _ENDED.get(run.id) is run:
        return False
    is_active = _standing(run).is_active
    if not is_active:
        if len(_ENDED) >= MOST_ENDED:
            _ENDED.clear()
        _ENDED[run.id] = run
    return is_active


def _standing(run: Run) -> Status:
    alive = is_alive(run)  # first: what a process wrote before it ended is then seen
    folders = {arm: run.arm_folder(arm) for arm in run.settings.arms}
    rows = {arm: rows_of(folder) for arm, folder in folders.items()}
    status = Status(run, "", rows, {arm: saved_step(folder) for arm, folder in folders.items()})
    state = _state(status, alive)
    trouble = last_words(run.log) if state == "failed" and run.arm is not None else ""
    trouble = last_words(run.folder / CUT_SHORT) if state == "stopped" else trouble
    return replace(status, state=state, trouble=trouble, told=max(map(_told, folders.values())))


def _told(folder: Path) -> float:
    try:
        return (folder / METRICS_FILE).stat().st_mtime
    except OSError:
        return 0.0


def _state(status: Status, alive: bool) -> str:
    run = status.run
    if alive and run.arm is not None:
        return "running" if run.wanted else "stopping"
    if status.is_finished:
        return "finished"
    if not run.wanted:
        return "stopped"
    is_between = run.arm in run.settings.arms and status.is_done(run.arm)  # of an earlier version, arm after arm
    return "queued" if alive or run.pid is None or is_between else "failed"


def is_alive(run: Run) -> bool:
    """Does the process that was started last still run?"""
    if run.pid is None or run.born is None:
        return False
    try:
        process = psutil.Process(run.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(birth(process) - run.born) < BIRTH_SLACK
    except psutil.Error:
        return False


def birth(process: psutil.Process) -> float:
    """Seconds from the machine's start to that of ``process``: no change of the clock moves it."""
    return process.create_time() - psutil.boot_time()


def rows_of(folder: Path) -> Rows:
    """The metrics of a run directory, read again when they have changed."""
    path = folder / METRICS_FILE
    try:
        there = path.stat()
    except OSError:
        return ()
    stamp = there.st_mtime_ns, there.st_size
    with _READING:
        known = _READ.get(folder)
    if known is None or known[0] != stamp:
        known = stamp, tuple(read_metrics(folder))
    with _READING:
        _READ.pop(folder, None)
        _READ[folder] = known
        while len(_READ) > 1 and sum(len(rows) for _, rows in _READ.values()) > MAX_ROWS:
            del _READ[next(iter(_READ))]
    return known[1]


def last_words(log: Path) -> str:
    """The last line that a process printed, without what the command puts before a user's error."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    spoken = [line.strip() for line in lines if line.strip()]
    return one_line(spoken[-1].removeprefix("python -m mmreason train: "), 240) if spoken else ""
