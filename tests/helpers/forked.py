"""Commands in processes of their own that need no start: forked from one that has imported what they import.

A process that is started as a shell does it takes seconds to import torch; what a killed or stopped run leaves,
and what a command says, is the same of both.  At least one test of each command starts a real one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from mmreason.__main__ import main

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "mmreason.sampling.pipeline",
    "mmreason.sampling.views.pipeline",
    "mmreason.training.rl.trainer",
    "mmreason.analysis.evaluate",
    "tests.helpers.learning",
)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([*IMPORTED])


def ready() -> None:
    """Wait until what the forks import is imported, so that no test that looks at a clock waits for it."""
    _started(os.getpid).join()


def _started(target: Callable[..., Any], *arguments: Any) -> Any:
    """A process that is forked to call ``target``."""
    with contextlib.chdir(ROOT):  # from where the server imports
        forkserver.ensure_running()
    process = FORKS.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


class Forked:
    """``python -m mmreason`` with ``words``; what it says and how it ends is told as ``subprocess`` tells it."""

    def __init__(self, words: Sequence[object], environment: Mapping[str, str], cwd: Path = ROOT) -> None:
        self._said = tempfile.TemporaryDirectory(prefix="said-")
        self._files = [str(Path(self._said.name) / name) for name in ("out", "err")]
        self._process = _started(_run, [*map(str, words)], {**environment}, str(cwd), *self._files)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; raises TimeoutExpired."""
        self._process.join(timeout)
        if self._process.is_alive():
            raise subprocess.TimeoutExpired("python -m mmreason", timeout or 0)
        out, err = (Path(file).read_text(encoding="utf-8") if Path(file).exists() else "" for file in self._files)
        return out, err


class Training:
    """What the page's queue starts: as much of ``subprocess.Popen`` as it asks of a process."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: str) -> None:
        self._process = _started(_run, [*words], {**environment}, str(ROOT), log, log)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode


def run(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """``python -m mmreason`` with ``words``, to its end."""
    process = Forked(words, os.environ | {"OMP_NUM_THREADS": "1"}, cwd)
    out, err = process.communicate(timeout=120)
    assert process.returncode is not None
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _run(words: list[str], environment: dict[str, str], cwd: str, out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.argv = ["mmreason", *words]
    sys.exit(main(words))
