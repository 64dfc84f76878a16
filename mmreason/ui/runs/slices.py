"""Trainings on a GPU that is lent for a call, in slices: each continues from what the one before it saved.

The tab of a run's owner asks for the slices, so that the visitor's own share of the GPU pays for them.  Without it
the run pauses after the slice that has begun, and Resume goes on.
"""

from __future__ import annotations

import logging
import os
import runpy
import secrets
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from typing import Any

import psutil

from mmreason import places
from mmreason.disk import append_line
from mmreason.ui.host import gpu
from mmreason.ui.host.settings import read_settings
from mmreason.ui.runs.estimate import estimate
from mmreason.ui.runs.queue import PERIOD, command_of
from mmreason.ui.runs.state import Status, birth, is_alive, status_of, waits
from mmreason.ui.runs.store import Run, all_runs, change, find, locked, owned

LOAD_SECONDS = 5.0  # of each slice, for the policy and the state
SLACK = 1.3  # the pace of a run is not even

_LOG = logging.getLogger(__name__)


def drive(run_id: Any, token: Any) -> Generator[None, None, None]:
    """Wait until it is the run's turn and train it slice by slice; yields after each.  Closing this pauses the run.

    A run that is not queued, or that another tab drives already, is left alone.  Raises ConfigError.
    """
    claim = _claim(run_id, token)
    if claim is None:
        return
    trouble = False
    try:
        while (run := _held(run_id, claim)) is not None and run.wanted and not trouble:
            status = _on_turn(run)
            if status is None:
                time.sleep(PERIOD)
            elif status.is_finished:
                return
            else:
                trouble = not _slice(status)
            yield
    finally:
        _let_go(run_id, claim, trouble)


def _claim(run_id: Any, token: Any) -> str | None:
    """Note that this process asks for the run's slices, under a claim that no other tab has; None if it may not."""
    with locked():
        run = owned(run_id, token, "train")
        if status_of(run).state != "queued" or is_alive(run):
            return None
        claim = secrets.token_hex(8)
        change(run, arm=None, pid=os.getpid(), born=birth(psutil.Process()), claim=claim)
        return claim


def _held(run_id: Any, claim: str | None) -> Run | None:
    """The run as it is now; None if it is gone, or was taken back and claimed anew."""
    run = find(run_id)
    return run if run is not None and run.claim == claim else None


def _on_turn(seen: Run) -> Status | None:
    """The run's state, noted as begun, if it is its turn and is wanted still; else None."""
    with locked():
        run = _held(seen.id, seen.claim)
        if run is None or not run.wanted:
            return None
        if run.arm is None:
            others = [other for other in all_runs() if other.id != run.id and waits(other)]
            before = sum(other.arm is not None or other.since < run.since for other in others)
            if before >= read_settings().max_trainings:
                return None
        which = run.settings.assignment
        return status_of(run if run.arm == which else change(run, arm=which))


def _slice(status: Status) -> bool:
    """Train one slice; what went wrong is in the run's log."""
    run = status.run
    try:
        return train_slice(run.id, slice_seconds(status)) == 0
    except Exception as error:  # the lender's, in words for the visitor: no share left, or aborted
        _LOG.warning("a slice of a training was not lent or not finished", exc_info=True)
        append_line(run.log, str(error))
        return False


def slice_seconds(status: Status) -> float:
    """What the rest of the run takes, or a whole slice where that is less or nothing is known yet."""
    guess = estimate(status.run.settings)
    remaining = status.left(guess and guess.left, now=0.0)  # nothing goes on between two slices
    left = remaining and remaining.steps + remaining.evaluations
    most = float(read_settings().slice_seconds)
    return most if left is None else min(most, LOAD_SECONDS + SLACK * left)


@gpu.on_gpu(lambda run_id, seconds: seconds)
def train_slice(run_id: str, seconds: float) -> int:
    """Train the run for about ``seconds`` from its last checkpoint, in the lent process; returns the exit code.

    It is the command ``train``, and so is all that it writes; the code 2 comes with a sentence in the run's log.
    """
    run = find(run_id)
    assert run is not None, "the run is held by who asks"
    words = [*command_of(run)[2:], "--threads", "1", "--slice_seconds", f"{seconds:g}"]
    log = run.log.open("a", encoding="utf-8")
    with log, redirect_stdout(log), redirect_stderr(log), chdir(places.ROOT):
        return _command(words)


def _command(words: Sequence[str]) -> int:
    """``python -m mmreason <words>`` in this process: only here is there a GPU."""
    kept, sys.argv = sys.argv, ["mmreason", *words]
    try:
        runpy.run_module("mmreason", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = kept
    raise AssertionError("the command ends with its exit code")


def _let_go(run_id: Any, claim: str, trouble: bool) -> None:
    """Leave the run paused, or finished, or failed; one that was deleted or claimed anew meanwhile stays so."""
    with locked():
        run = _held(run_id, claim)
        if run is not None and trouble:
            change(run, pid=0, born=0.0)
        elif run is not None:
            change(run, wanted=False, arm=None, pid=None, born=None, claim=None)
