"""Runs of a set-up as processes beside each other, on the processors or on one GPU, until a deadline.

A policy of this size leaves most of a GPU idle, and one run uses one core.  A process does one job and ends; those
that the deadline finds are told to stop, and save what they have.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmreason.analysis.comparison.reproduce import Say
from mmreason.analysis.comparison.series import Series

LOOK = 0.5  # seconds between looks at the processes
PATIENCE = 60.0  # seconds that a process has to end its step and save


class Packing:
    """Does the missing jobs of ``series``, or ``only`` some, by ``command``, which takes a job's name after it."""

    def __init__(
        self, series: Series, command: Sequence[str], beside: int, say: Say = print, only: Sequence[str] = ()
    ) -> None:
        self.series, self.command, self.beside, self.say = series, command, beside, say
        self.wanted = frozenset(only or series.jobs)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.failed: dict[str, str] = {}  # the last line of each job that did not end well

    def run(self, deadline: float = 0.0) -> None:
        """Start what is ready as long as there is room; 0 seconds are no deadline."""
        began = time.monotonic()
        try:
            while not deadline or time.monotonic() - began < deadline:
                self._collect()
                open_ones = self.wanted - self.running.keys() - self.failed.keys()
                waiting = [job for job in self.series.ready if job in open_ones]
                for job in waiting[: self.beside - len(self.running)]:
                    self._start(job)
                if not self.running:
                    return
                time.sleep(LOOK)
            self.say(f"{deadline:g} s are over: {len(self.running)} running jobs are told to stop")
        finally:
            self._end()

    def _start(self, job: str) -> None:
        log = self._log(job)
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with log.open("ab") as out:
            process = subprocess.Popen([*self.command, job], stdout=out, stderr=out, env=environment)
        self.running[job] = process
        self.say(f"{job} begins")

    def _collect(self) -> None:
        for job, process in list(self.running.items()):
            if process.poll() is None:
                continue
            del self.running[job]
            if process.returncode:
                last = self._log(job).read_text(errors="replace").strip().rpartition("\n")[2]
                self.failed[job] = last
                self.say(f"{job} ended with {process.returncode}: {last}")
            else:
                self.say(f"{job} is done; {len(self.series.missing)} jobs are left")

    def _end(self) -> None:
        for process in self.running.values():
            process.terminate()
        until = time.monotonic() + PATIENCE
        for process in self.running.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    def _log(self, job: str) -> Path:
        return self.series.work / f"{job}.log"


def one_job(setup: str, results: str, work: str, threads: int = 1) -> list[str]:
    """The command that does the job named after it, and no more."""
    here = [sys.executable, "-m", "mmreason", "reproduce", "--setup", setup, "--threads", str(threads)]
    return [*here, "--results", results, "--work", work, "--only"]
