"""Arms side by side in one process: each is bit for bit the run that it would be alone, whatever interrupts them."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from mmreason.__main__ import main
from mmreason.errors import RewardError
from mmreason.training.rl.turns import in_turn
from mmreason.training.run.rundir import saved_step
from tests.helpers import public
from tests.helpers.learning import assert_same_run, fresh_pipe, rows_in

ARMS = ("joint", "factorized")
STEPS = 3
SMALL = ["--difficulty", "easy", "--threads", 1, "--num_problems", 2, "--num_generations", 4, "--eval_problems", 2]
SMALL += ["--learning_rate", "1e-3", "--warmup_steps", 0, "--reward", "tests.helpers.learning:even_tokens"]
OURS = [*SMALL, "--num_steps", 2, "--temperature", 0.7, "--max_turns", 2, "--steps", STEPS, "--eval_steps", 2]
OURS += ["--save_steps", 2, "--leak_steps", 3, "--tasks", "maze"]


# The order of the turns


def counted(name: str, steps: int, begin: int, told: list[str], stop: int = 99) -> Generator[int, bool, dict]:
    """A training of nothing: it notes its turns."""
    told.append(f"{name} begins")
    step, ends = begin, (yield begin)
    while step < steps and not ends:
        step += 1
        told.append(f"{name}{step}")
        ends = step in (steps, stop) or (yield step)
    return {"step": step}


def test_all_begin_first_and_then_whoever_has_done_least_is_next():
    told: list[str] = []
    ends = in_turn([counted("a", 3, 0, told), counted("b", 3, 0, told)], 3)
    assert told == ["a begins", "b begins", "a1", "b1", "a2", "b2", "a3", "b3"]
    assert ends == [{"step": 3}, {"step": 3}]
    told.clear()
    in_turn([counted("a", 4, 2, told), counted("b", 4, 0, told)], 4)
    assert told[2:] == ["b1", "b2", "a3", "b3", "a4", "b4"]
    told.clear()
    in_turn([counted("a", 3, 3, told), counted("b", 3, 1, told)], 3)
    assert told[2:] == ["b2", "b3"], "of one that is done the other does not end"


@pytest.mark.parametrize("fails_at", [0, 1])
def test_where_one_fails_at_its_start_or_later_the_others_are_ended(fails_at):
    closed = []

    def holds() -> Generator[int, bool, dict[str, Any]]:
        try:
            yield 0
            yield 1
        finally:
            closed.append(True)
        return {"step": 10}

    def fails() -> Generator[int, bool, dict[str, Any]]:
        if fails_at:
            yield 0
        raise OSError("the disk is full")

    one, other = holds(), fails()  # held here, so that nobody else ends it
    with pytest.raises(OSError, match="full"):
        in_turn([one, other], 10)
    assert closed == [True]


def test_where_a_reward_fails_the_others_are_saved_first():
    told: list[str] = []

    def saves() -> Generator[int, bool, dict[str, Any]]:
        ends = yield 0
        ends = ends or (yield 1)
        told.append(f"saved, asked to end: {ends}")
        return {"step": 1}

    def fails() -> Generator[int, bool, dict[str, Any]]:
        yield 0
        raise RewardError("HTTP 503")

    with pytest.raises(RewardError, match="503"):
        in_turn([saves(), fails(), saves()], 10)
    assert told == ["saved, asked to end: True"] * 2


def test_they_end_together_where_one_was_stopped_or_time_is_up_and_one_has_gone_on():
    told: list[str] = []
    assert in_turn([counted("a", 9, 0, told, stop=2), counted("b", 9, 0, told)], 9) == [{"step": 2}, {"step": 1}]
    told.clear()
    assert in_turn([counted("a", 9, 0, told), counted("b", 9, 0, told)], 9, lambda: True) == [{"step": 1}, {"step": 0}]
    assert told[2:] == ["a1"], "each call gets on by a turn at least"


# Trainings


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "checkpoint"
    fresh_pipe().save_pretrained(folder)
    return folder


def train(start: Path, output: Path, *more: Any) -> int:
    words = ["train", "--json", "--checkpoint", start, "--output", output, *more]
    return main(list(map(str, words)))


def side_by_side(start: Path, output: Path, *more: Any) -> int:
    return train(start, output, "--arms", *ARMS, *OURS, *more)


@pytest.fixture(scope="module")
def alone(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each arm as it is alone."""
    folder = tmp_path_factory.mktemp("alone")
    for arm in ARMS:
        assert train(start, folder / arm, "--assignment", arm, *OURS) == 0
    return folder


def assert_same(one: Path, other: Path) -> None:
    for arm in ARMS:
        assert_same_run(one / arm, other / arm)
        for name in ("samples", "held_out"):
            files = [sorted((each / arm / name).iterdir()) for each in (one, other)]
            assert [path.name for path in files[0]] == [path.name for path in files[1]]


def test_side_by_side_each_arm_is_the_run_that_it_is_alone(start, alone, tmp_path, capfd):
    assert side_by_side(start, tmp_path / "both") == 0
    said = json.loads(capfd.readouterr().out)["arms"]
    assert [said[arm]["step"] for arm in ARMS] == [STEPS, STEPS]
    assert_same(tmp_path / "both", alone)
    assert rows_in(alone / "joint") != rows_in(alone / "factorized")


@pytest.mark.slow
def test_killed_in_the_middle_and_resumed_they_are_the_uninterrupted_ones(start, alone, tmp_path, monkeypatch):
    both = tmp_path / "both"
    monkeypatch.setenv("SLOW", "0.01")  # slow enough to be caught in the middle
    process = multiprocessing.get_context("fork").Process(target=side_by_side, args=(start, both, "--save_steps", 1))
    process.start()
    deadline = time.monotonic() + 120
    while saved_step(both / "joint") is None:
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    monkeypatch.delenv("SLOW")
    assert (saved_step(both / "joint"), saved_step(both / "factorized")) == (1, None), "one is a step ahead"
    assert side_by_side(start, both, "--resume") == 0
    assert_same(both, alone)


def test_in_slices_too_short_for_more_than_a_turn_they_get_on_and_are_the_uninterrupted_ones(start, alone, tmp_path):
    both = tmp_path / "both"
    assert side_by_side(start, both, "--slice_seconds", "0.001") == 0  # at most a turn at a time
    assert side_by_side(start, both, "--slice_seconds", "0.001", "--resume") == 0
    assert [row["step"] for arm in ARMS for row in rows_in(both / arm)] == [0, 0], "both have their first point"
    for arm in ARMS:
        assert saved_step(both / arm) == 0
    assert side_by_side(start, both, "--resume") == 0
    assert_same(both, alone)


def test_a_folder_in_which_one_arm_is_done_and_the_other_has_not_begun_is_gone_on_with(start, alone, tmp_path, capfd):
    both = tmp_path / "both"
    shutil.copytree(alone / "joint", both / "joint")
    before = (both / "joint" / "metrics.jsonl").read_bytes()
    assert side_by_side(start, both) == 2
    assert "--resume goes on with the run that is there" in capfd.readouterr().err
    assert side_by_side(start, both, "--resume") == 0
    assert_same(both, alone)
    assert (both / "joint" / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--arms", "joint"], "--arms must name two assignments or more, each once, got joint"),
        (["--arms", "joint", "joint"], "each once, got joint joint"),
        (["--arms", "joint", "factorised"], "--arms must be one of joint, factorized, got 'factorised'"),
        (["--arms", *ARMS, "--assignment", "joint"], "leave --assignment out"),
        (["--arms", *ARMS, "--report_to", "trackio"], "leave it out with --arms"),
        (["--arms", *ARMS, "--resume"], "holds no run to --resume"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(words, said, start, tmp_path, capsys):
    try:
        code = train(start, tmp_path / "run", *words)
    except SystemExit as end:
        code = end.code
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 2 and said in line


@pytest.mark.slow
def test_arms_of_a_public_checkpoint_hold_its_base_once_and_are_what_they_are_alone(tmp_path):
    settings = ["--lora_rank", 2, "--tasks", "maze", "--text_length", 4, "--text_steps", 1, "--pixels", 128, *SMALL]
    settings += ["--num_steps", 1, "--temperature", 1, "--max_turns", 1, "--num_generations", 2, "--num_problems", 1]
    settings += ["--eval_problems", 1, "--steps", 1, "--beta", 0.1]
    both, alone = tmp_path / "both", tmp_path / "alone"
    assert train(public.folder(), both, "--arms", *ARMS, *settings) == 0
    assert train(public.folder(), alone, "--assignment", "factorized", *settings) == 0  # whose step came second
    files = (folder / "checkpoint" / "adapter_model.safetensors" for folder in (both / "factorized", alone))
    one, two = map(load_file, files)
    assert one.keys() == two.keys() and all(one[name].equal(two[name]) for name in one)
    assert rows_in(both / "factorized") == rows_in(alone) != rows_in(both / "joint")
    first = public.pipeline()
    first.model.to_train(2, 0, False)  # adapters are each one's own
    second = first.beside()
    ours, theirs = (dict(pipe.model.backbone.model.named_parameters()) for pipe in (first, second))
    assert ours.keys() == theirs.keys() and any("lora_" in name for name in ours)
    assert all((ours[name] is theirs[name]) == ("lora_" not in name) for name in ours)
    adapter = second.model.adapter
    assert adapter is not None and set(map(id, adapter.parameters)) <= set(map(id, theirs.values()))
