"""``train`` in processes of its own, and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from mmreason.commands.make.screenshots import free_port
from tests.helpers.forked import ROOT, Forked
from tests.helpers.learning import rows_in

STEPS = 5


def command(
    start: Path, output: Path, *more: object, processes: int = 1, **environment: str
) -> subprocess.Popen[str] | Forked:
    """``train`` in a process of its own, on one thread, or in several as torchrun starts them."""
    environment = _environment(environment)
    if processes == 1:
        return Forked(_words(start, output, more), environment)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "-m", "mmreason"]
    return subprocess.Popen(
        [sys.executable, *launcher, *_words(start, output, more)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def two(start: Path, output: Path, *more: object, **environment: str) -> list[Forked]:
    """The same in two processes that know of each other what torchrun tells them."""
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    given = _environment(meeting | environment)
    return [Forked(_words(start, output, more), given | {"RANK": n, "LOCAL_RANK": n}) for n in ("0", "1")]


def two_as_one(start: Path, output: Path, *more: object, **environment: str) -> dict:
    """What the first of two says in the end."""
    first, second = two(start, output, *more, **environment)
    said = finished(first)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    return said


def _environment(more: dict[str, str]) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | more


def _words(start: Path, output: Path, more: Iterable[object]) -> list[str]:
    words = ["train", "--json", "--checkpoint", start, "--output", output, "--steps", STEPS]
    words += ["--difficulty", "easy", "--threads", 1, "--learning_rate", "1e-3", "--warmup_steps", 0]
    words += ["--num_problems", 2, "--num_generations", 4, "--num_steps", 3, "--temperature", 0.7]
    words += ["--reward", "tests.helpers.learning:even_tokens"]
    words += ["--save_steps", 1, "--eval_steps", 100, "--eval_problems", 5, *more]
    return [str(word) for word in words]


def finished(process: subprocess.Popen[str] | Forked) -> dict:
    """What the run says when it is done."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


def wait_for_steps(process: subprocess.Popen[str] | Forked, folder: Path, steps: int) -> None:
    """Until ``folder`` holds a saved state and the metrics of ``steps``."""
    deadline = time.monotonic() + 240
    while not ((folder / "state").is_dir() and len(rows_in(folder)) > steps):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
