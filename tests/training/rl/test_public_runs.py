"""Runs on a public checkpoint in processes of their own: killed and resumed, and two as one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator
from safetensors.torch import load_file

from mmreason.errors import ConfigError
from mmreason.training.hardware import processes
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.trainer import Trainer
from mmreason.training.run.rundir import RunDirectory, saved_step
from tests.helpers import public
from tests.helpers.learning import even_tokens, rows_in
from tests.helpers.processes import two_as_one

pytestmark = pytest.mark.slow

STEPS = 3
TOGETHER = 2  # steps of two processes: their sums round otherwise, and a later rollout may draw another token for it
SETTINGS = ["--lora_rank", 2, "--tasks", "maze", "--text_length", 8, "--text_steps", 2, "--pixels", 128]
SETTINGS += ["--num_generations", 2, "--max_turns", 1, "--num_steps", 2, "--temperature", 1, "--eval_problems", 1]
SETTINGS += ["--num_problems", 3]  # of two processes one has more of them, and forwards more often


def train(folder: Path, resume: bool = False, steps: int = STEPS) -> dict[str, Any]:
    """What the command does with ``SETTINGS``, in this process."""
    pipe = public.pipeline()
    small = {"num_problems": 3, "num_generations": 2, "eval_problems": 1, "eval_steps": 100, "save_steps": 1}
    sampling = pipe.sampling_config(num_steps=2, temperature=1.0, max_turns=1)
    config = GRPOConfig(
        max_steps=steps,
        learning_rate=1e-3,
        warmup_steps=0,
        lora_rank=2,
        tasks={"maze": 1.0},
        difficulties={"easy": 1.0},
        sampling=sampling,
        views=pipe.views,
        **small,
    )
    trainer = Trainer(pipe, config, RunDirectory(folder), Accelerator(cpu=True), [even_tokens])
    return trainer.train(resume)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert train(folder)["resumed_from"] is None
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "run"
    train(folder, steps=TOGETHER)
    return folder


def adapter(folder: Path) -> Path:
    return folder / "checkpoint" / "adapter_model.safetensors"


def test_a_run_killed_in_the_middle_and_resumed_ends_bit_for_bit_where_the_other_ends(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW", "0.3")  # slow enough to be caught in the middle
    process = multiprocessing.get_context("fork").Process(target=train, args=(tmp_path / "run",))
    process.start()
    deadline = time.monotonic() + 240
    while (saved_step(tmp_path / "run") or 0) < 1:
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert len(rows_in(tmp_path / "run")) < STEPS + 1
    monkeypatch.delenv("SLOW")
    assert train(tmp_path / "run", resume=True)["resumed_from"] in (1, 2)
    assert adapter(tmp_path / "run").read_bytes() == adapter(uninterrupted).read_bytes()
    assert rows_in(tmp_path / "run") == rows_in(uninterrupted)


@pytest.mark.parametrize("in_shares", [False, True])
def test_two_processes_train_as_one(in_shares: bool, alone: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings, how = [*SETTINGS, "--steps", TOGETHER], {}
    if in_shares:
        settings += ["--reward", "tests.helpers.learning:in_shares"]
        how = {"ACCELERATE_USE_FSDP": "true"}  # as accelerate's launcher sets it
    assert two_as_one(public.folder(), run, *settings, **how)["step"] == TOGETHER
    one, two = load_file(adapter(alone)), load_file(adapter(run))
    grown = max(float(weight.abs().max()) for name, weight in one.items() if "lora_B" in name)  # from zero
    assert grown > 1e-3
    for name, weight in one.items():
        assert float((weight - two[name]).abs().max()) < 0.02 * grown, name
    for a, b in zip(rows_in(alone), rows_in(run), strict=True):
        assert (a["step"], a.get("tokens")) == (b["step"], b.get("tokens"))
        assert a.get("reward") == pytest.approx(b.get("reward"), abs=1e-6)
        if a["step"] == 0:  # each solves a share of the held-out problems
            assert all(a[name] == b[name] for name in ("success", "solved", "eval_text_reward", "eval_image_reward"))
        for name in ("loss", "grad_norm"):  # AdamW takes the same step whatever gradients are multiplied by
            assert a.get(name, 0.0) == pytest.approx(b.get(name, 0.0), rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("way", ["DEEPSPEED", "MEGATRON_LM"])
def test_other_ways_to_cut_the_model_are_refused(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{way}", "true")
    with pytest.raises(ConfigError, match=f"processes must hold the whole model each, .*, got {way}"):
        processes()
