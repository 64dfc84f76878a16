"""``train`` in processes of its own, and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.learning import rows_in

ROOT = Path(__file__).parents[2]
STEPS = 5


def command(start: Path, output: Path, *more: object, processes: int = 1, **environment: str) -> subprocess.Popen:
    """``train`` in processes of its own, on one thread each."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    words = [sys.executable, *(launcher if processes > 1 else []), "-m", "mmreason", "train", "--json"]
    words += ["--checkpoint", start, "--output", output, "--steps", STEPS, "--difficulty", "easy", "--threads", 1]
    words += ["--num_problems", 2, "--num_generations", 4, "--learning_rate", "1e-3", "--warmup_steps", 0]
    words += ["--num_steps", 3, "--temperature", 0.7, "--reward", "tests.helpers.learning:even_tokens"]
    words += ["--save_steps", 1, "--eval_steps", 100, "--eval_problems", 4, *more]
    path = str(ROOT)
    return subprocess.Popen(
        list(map(str, words)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen) -> dict:
    """What the run says when it is done."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


def wait_for_steps(process: subprocess.Popen, folder: Path, steps: int) -> None:
    """Until ``folder`` holds a saved state and the metrics of ``steps``."""
    deadline = time.monotonic() + 240
    while not ((folder / "state").is_dir() and len(rows_in(folder)) > steps):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
