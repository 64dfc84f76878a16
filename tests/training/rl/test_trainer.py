"""A run: killed and resumed equals uninterrupted, two processes equal one, and nothing is lost when it fails."""

from __future__ import annotations

import errno
import json
import os
import signal
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmreason.__main__ import main
from mmreason.errors import CheckpointError, ConfigError, RewardError, TaskError
from mmreason.rewards.assignment import AssignmentConfig
from mmreason.rewards.custom import load_reward
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.training.hardware import half_precision
from mmreason.training.rl.config import LossConfig
from mmreason.training.rl.trainer import Trainer
from mmreason.training.run.rundir import RunDirectory, saved_step
from tests.helpers.learning import assert_same_run, config, even_tokens, fresh_pipe, rows_in, weights_in
from tests.helpers.processes import STEPS, command, finished, two, two_as_one, wait_for_steps

pytestmark = pytest.mark.slow


def trainer(folder: Path, **changes) -> Trainer:
    return Trainer(fresh_pipe(), config(**changes), RunDirectory(folder), reward_functions=[even_tokens])


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that the command line starts from."""
    folder = tmp_path_factory.mktemp("start") / "checkpoint"
    fresh_pipe().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert finished(command(start, folder))["resumed_from"] is None
    return folder


def test_a_run_killed_in_the_middle_and_resumed_ends_bit_for_bit_where_the_other_ends(start, uninterrupted, tmp_path):
    process = command(start, tmp_path / "run", SLOW="0.05")  # slow enough to be caught in the middle
    wait_for_steps(process, tmp_path / "run", 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(rows_in(tmp_path / "run")) < STEPS + 1
    said = finished(command(start, tmp_path / "run", "--resume"))
    assert 1 <= said["resumed_from"] < STEPS
    assert_same_run(tmp_path / "run", uninterrupted)


def test_a_run_ended_by_sigterm_ends_well_and_resumed_is_the_uninterrupted_one(start, uninterrupted, tmp_path, capsys):
    run = tmp_path / "run"
    process = command(start, run, SLOW="0.05")
    wait_for_steps(process, run, 1)
    assert main(["train", "--checkpoint", str(start), "--output", str(run), "--overwrite"]) == 2
    assert "is in use: another process trains there" in capsys.readouterr().err
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    said = json.loads(out)
    step = said["step"]
    assert process.returncode == 128 + signal.SIGTERM and said["stopped"] is True
    assert err.splitlines()[-1].endswith(f"train: stopped at step {step} of {STEPS}; --resume goes on")
    assert step < STEPS and saved_step(run) == step == rows_in(run)[-1]["step"]
    assert finished(command(start, run, "--resume"))["resumed_from"] == step
    a, b = weights_in(run / "checkpoint"), weights_in(uninterrupted / "checkpoint")
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_several_processes_end_together_at_sigterm_with_a_state_to_resume_from(start, tmp_path):
    process = command(start, tmp_path / "run", processes=2, SLOW="0.1")
    wait_for_steps(process, tmp_path / "run", 1)
    process.send_signal(signal.SIGTERM)  # torchrun sends it to all
    process.communicate(timeout=300)
    last = rows_in(tmp_path / "run")[-1]
    assert last["step"] < STEPS and saved_step(tmp_path / "run") == last["step"]
    InterleavedReasoningPipeline.from_pretrained(tmp_path / "run" / "checkpoint")


def test_the_command_takes_no_folder_of_somebody_elses_and_nothing_is_lost(start, tmp_path, capsys):
    words = ["train", "--checkpoint", str(start), "--output", str(tmp_path / "d")]
    (tmp_path / "d" / "samples").mkdir(parents=True)
    (tmp_path / "d" / "samples" / "thesis.txt").write_text("x")
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds samples" in line and "--resume" in line and "--overwrite" in line
    assert main([*words, "--resume"]) == 2
    assert "holds no run to --resume" in capsys.readouterr().err
    assert (
        main([*words, "--overwrite", "--leak_steps", "1", "--lora_rank", "2"]) == 2
    )  # a wrong setting removes nothing
    assert (tmp_path / "d" / "samples" / "thesis.txt").read_text() == "x"


def test_two_processes_train_as_one(start, uninterrupted, tmp_path):
    assert two_as_one(start, tmp_path / "run")["step"] == STEPS
    one, two = weights_in(uninterrupted / "checkpoint"), weights_in(tmp_path / "run" / "checkpoint")
    moved = max(float((weight - weights_in(start)[name]).abs().max()) for name, weight in one.items())
    assert moved > 1e-3
    for name, weight in one.items():
        assert torch.allclose(weight, two[name], atol=0.01 * moved), name
    for a, b in zip(rows_in(uninterrupted), rows_in(tmp_path / "run"), strict=True):
        assert a["step"] == b["step"] and a.get("tokens") == b.get("tokens")
        for name in ("reward", "sign_conflict", "idle_push", "sigma_ratio"):
            assert a.get(name) == pytest.approx(b.get(name), abs=1e-6), name
        if a["step"] == 0:  # each solves a share of the held-out problems
            assert all(a[name] == b[name] for name in ("success", "solved", "eval_text_reward", "eval_image_reward"))
        for name in ("loss", "grad_norm"):  # AdamW takes the same step whatever gradients are multiplied by
            assert a.get(name, 0.0) == pytest.approx(b.get(name, 0.0), rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("world", [1, 2, 3, 16])
def test_held_out_problems_are_shared_out_and_come_back_in_order(world, tmp_path, monkeypatch):
    module, one, shares = "mmreason.training.rl.trainer", trainer(tmp_path / "run"), []
    monkeypatch.setattr(f"{module}.solve_problems", lambda pipe, problems, *_, **__: list(problems))
    monkeypatch.setattr(f"{module}.gather_object", lambda mine: shares.append(mine[0]) or shares)
    one.held_out = [*one.held_out, one.held_out[0]]
    for rank in range(world):
        one.accelerator = SimpleNamespace(num_processes=world, process_index=rank)
        solved = one._solve_held_out(lambda: False)
    assert solved == one.held_out
    assert [len(share) for share in shares] == [-(-len(one.held_out) // world)] * world


def test_a_run_stopped_at_any_step_and_resumed_is_the_uninterrupted_one(tmp_path):
    trainer(tmp_path / "whole").train()
    for asked, stop in ((0, 0), (1, 2)):  # of a row that has been logged the next step has begun
        run = tmp_path / f"stopped{stop}"

        def ask(row: dict, run: Path = run, asked: int = asked) -> None:
            if row["step"] == asked:
                (run / "stop").touch()

        assert trainer(run).train(on_row=ask)["step"] == stop
        assert (run / "checkpoint" / "model_index.json").is_file()
        assert trainer(run).train(resume=True)["resumed_from"] == stop
        a, b = weights_in(tmp_path / "whole" / "checkpoint"), weights_in(run / "checkpoint")
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_task_that_lacks_held_out_problems_is_refused_before_an_earlier_run_is_removed(tmp_path, monkeypatch):
    def lacking(*_: object) -> None:
        raise TaskError("the dataset has no rows of the validation split")

    monkeypatch.setattr("mmreason.training.rl.trainer.held_out", lacking)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(TaskError, match="no rows of the validation split"):
        trainer(tmp_path).train()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_an_evaluation_is_broken_off_by_a_stop_and_made_up_for_when_the_run_goes_on(tmp_path):
    changes = {"max_steps": 4, "eval_steps": 2}
    trainer(tmp_path / "whole", **changes).train()

    def ask(rollouts, step: int) -> dict:
        if step == 2:
            (tmp_path / "run" / "stop").touch()
        return {}

    assert trainer(tmp_path / "run", **changes).train(measure=ask)["step"] == 2
    assert "success" not in rows_in(tmp_path / "run")[-1]
    assert trainer(tmp_path / "run", **changes).train(resume=True)["resumed_from"] == 2
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert all(len(row["solved"]) == 4 for row in rows_in(tmp_path / "run") if "success" in row)


def test_a_run_without_evaluations_learns_the_same_and_owes_none_when_it_goes_on(tmp_path, monkeypatch):
    trainer(tmp_path / "whole").train()

    def ask(row: dict) -> None:
        (tmp_path / "run" / "stop").touch()

    def evaluate(*_: object) -> dict:
        raise AssertionError("nothing is to be evaluated")

    monkeypatch.setattr(Trainer, "_evaluate", evaluate)
    assert trainer(tmp_path / "run", eval_steps=0).train(on_row=ask)["step"] == 2
    assert trainer(tmp_path / "run", eval_steps=0).train(resume=True)["resumed_from"] == 2
    assert [row["step"] for row in rows_in(tmp_path / "run")] == [1, 2, 3]
    a, b = weights_in(tmp_path / "whole" / "checkpoint"), weights_in(tmp_path / "run" / "checkpoint")
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("dies_in", ["state", "checkpoint", "checkpoint-2"])
def test_a_kept_checkpoint_is_there_wherever_the_run_was_killed(tmp_path, monkeypatch, dies_in):
    changes = {"max_steps": 4, "eval_steps": 0, "save_steps": 1, "keep_steps": 2}
    whole, run, write = tmp_path / "whole", tmp_path / "run", RunDirectory.write_folder
    trainer(whole, **changes).train()

    def dies_writing(self: RunDirectory, name: str, fill) -> None:
        if name == dies_in and saved_step(run):
            raise KeyboardInterrupt
        write(self, name, fill)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunDirectory, "write_folder", dies_writing)
        trainer(run, **changes).train()
    assert not (run / "checkpoint-4").exists()
    trainer(run, **changes).train(resume=True)
    for kept in ("checkpoint-2", "checkpoint-4", "checkpoint"):
        a, b = weights_in(whole / kept), weights_in(run / kept)
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert sorted(path.name for path in run.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]
    assert not all(torch.equal(a[name], one) for name, one in weights_in(run / "checkpoint-2").items())


def test_a_run_paused_after_every_turn_is_the_uninterrupted_one_its_metrics_included(tmp_path):
    changes = {"max_steps": 4, "eval_steps": 3, "save_steps": 3}
    trainer(tmp_path / "whole", **changes).train()
    for step in (0, 1, 2, 3, 4):
        said = trainer(tmp_path / "paused", **changes).train(resume=True, pause=lambda: True)
        assert (said["step"], saved_step(tmp_path / "paused")) == (step, step)
    assert_same_run(tmp_path / "paused", tmp_path / "whole")


def test_a_run_in_the_authors_setting_resumes_bit_for_bit(tmp_path):
    changes = {
        "loss": LossConfig(beta=0.04, loss_type="grpo", loss_denominator="pooled"),
        "assignment": AssignmentConfig("joint", "trace", "none", {"text": 2.5, "image": 1.0}, "answer", "cells"),
        "likelihood": "random_mask",
        "mask_share": 0.15,
        "num_iterations": 2,
    }
    trainer(tmp_path / "whole", **changes).train()
    for _ in range(4):
        trainer(tmp_path / "paused", **changes).train(resume=True, pause=lambda: True)
    assert_same_run(tmp_path / "paused", tmp_path / "whole")


def test_a_reward_that_fails_loses_no_finished_step(tmp_path):
    calls = 0

    def judge(trace):
        nonlocal calls
        calls += 1
        if calls > 16:  # in the third step of 2 × 4 rollouts
            raise ConnectionError("HTTP 503")
        return even_tokens(trace)

    def with_judge():
        return Trainer(
            fresh_pipe(),
            config(max_steps=3, num_problems=2, num_generations=4, save_steps=20),
            RunDirectory(tmp_path),
            reward_functions=[judge],
        )

    with pytest.raises(RewardError, match="HTTP 503; 2 steps are finished and saved: --resume goes on from there"):
        with_judge().train()
    assert saved_step(tmp_path) == 2
    calls = -100
    assert with_judge().train(resume=True)["resumed_from"] == 2


def test_a_reward_that_fails_in_one_of_two_processes_ends_both_and_loses_no_step(start, tmp_path):
    failing = ["--reward", "tests.helpers.learning:fails_in_the_second", "--save_steps", 20]
    first, second = two(start, tmp_path / "run", *failing)
    said = [process.communicate(timeout=240)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (2, 2)
    assert "a reward failed in another process; 2 steps are finished and saved: --resume goes on from there" in said[0]
    assert "HTTP 503" in said[1] and "finished" not in said[1].partition("Traceback")[0]
    assert saved_step(tmp_path / "run") == 2


def test_a_reward_that_fails_is_named_where_nothing_can_be_saved_either(tmp_path, monkeypatch):
    def judge(trace):
        monkeypatch.setattr(RunDirectory, "write_folder", full)
        raise ConnectionError("HTTP 503")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    failing = Trainer(fresh_pipe(), config(save_steps=20), RunDirectory(tmp_path), reward_functions=[judge])
    with pytest.raises(RewardError, match=r"HTTP 503; the steps since the last save are lost: .*No space left"):
        failing.train()


def test_ctrl_c_finishes_the_step_and_leaves_a_checkpoint(tmp_path):
    def interrupt(row: dict) -> None:
        if row["step"] == 1:
            os.kill(os.getpid(), signal.SIGINT)

    assert trainer(tmp_path, max_steps=5).train(on_row=interrupt)["step"] == 2
    InterleavedReasoningPipeline.from_pretrained(tmp_path / "checkpoint")


def test_an_end_asked_for_before_the_first_step_can_be_resumed_from(tmp_path):
    def interrupt(row: dict) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    trainer(tmp_path / "whole").train()
    assert trainer(tmp_path / "run").train(on_row=interrupt)["step"] == 0
    assert trainer(tmp_path / "run").train(resume=True)["resumed_from"] == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_resumed_run_with_other_settings_is_refused_and_left_as_it_is(tmp_path):
    trainer(tmp_path, max_steps=1).train()
    before = (tmp_path / "config.json").read_bytes(), rows_in(tmp_path)
    with pytest.raises(ConfigError, match=r"learning_rate \(there 0.001, now 0.05\)"):
        trainer(tmp_path, learning_rate=0.05).train(resume=True)
    with pytest.raises(ConfigError, match=r"lora_rank \(there 0, now 2\)"):
        trainer(tmp_path, lora_rank=2).train(resume=True)
    with pytest.raises(ConfigError, match=r"rewards \(there \['tests.helpers.learning:even_tokens'\], now \[\]\)"):
        Trainer(fresh_pipe(), config(), RunDirectory(tmp_path)).train(resume=True)
    assert ((tmp_path / "config.json").read_bytes(), rows_in(tmp_path)) == before


def test_a_run_does_not_go_on_with_an_edited_reward_or_a_task_of_the_same_name(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text("def length(trace):\n    return [float(len(s.tokens)) for s in trace.segments]\n")

    def resumed(tasks: dict[str, str]) -> dict:
        monkeypatch.setattr("mmreason.training.rl.trainer.fingerprints", lambda _: tasks)
        run, rewards = RunDirectory(tmp_path / "run"), [load_reward(f"{file}:length")]
        return Trainer(fresh_pipe(), config(max_steps=1), run, reward_functions=rewards).train(resume=True)

    assert resumed({"puz": "1a"})["resumed_from"] is None
    assert resumed({"puz": "1a"})["resumed_from"] == 1
    with pytest.raises(ConfigError, match=r"task_fingerprints\.puz \(there 1a, now 2b\)"):
        resumed({"puz": "2b"})
    file.write_text(file.read_text().replace("float", "2 * float"))
    with pytest.raises(ConfigError, match=r"reward_fingerprints\.length \(there \w{12}, now \w{12}\)"):
        resumed({"puz": "1a"})
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    kept = {name: value for name, value in settings.items() if not name.endswith("_fingerprints")}
    (tmp_path / "run" / "config.json").write_text(json.dumps(kept))  # as an earlier version has it
    assert resumed({"puz": "2b"})["resumed_from"] == 1


def test_a_run_leaves_what_every_other_command_reads(tmp_path):
    said = trainer(tmp_path).train()
    assert said["output"] == str(tmp_path / "checkpoint") and said["step"] == 3
    assert json.loads((tmp_path / "config.json").read_text())["num_generations"] == 4
    assert [row["step"] for row in rows_in(tmp_path)] == [0, 1, 2, 3]
    assert "mean" in rows_in(tmp_path)[0]["success"] and "mean" in rows_in(tmp_path)[-1]["success"]
    start, end = fresh_pipe().transformer.state_dict(), weights_in(tmp_path / "checkpoint")
    assert any(not torch.equal(start[name], end[name]) for name in end)
    assert torch.equal(start["hints.weight"], end["hints.weight"])  # the supervised stage's


def test_evaluations_hand_over_their_traces_and_steps_take_more_metrics(tmp_path):
    seen = []

    def measure(rollouts, step):
        return {"leak_to_signal": len(rollouts.groups) / step} if step == 2 else {}

    held_out = trainer(tmp_path, max_steps=2, eval_steps=2)
    held_out.train(on_held_out=lambda traces, step: seen.append((step, len(traces))), measure=measure)
    rows = rows_in(tmp_path)
    assert seen == [(0, held_out.config.eval_problems), (2, held_out.config.eval_problems)]
    assert [row.get("leak_to_signal") for row in rows] == [None, None, held_out.config.num_problems / 2]
    assert saved_step(tmp_path) == 2 and saved_step(tmp_path / "nowhere") is None


def test_without_resume_a_run_starts_over(tmp_path):
    trainer(tmp_path).train()
    again = trainer(tmp_path, max_steps=1).train()
    assert (again["resumed_from"], [row["step"] for row in rows_in(tmp_path)]) == (None, [0, 1])


def test_low_rank_adapters_train_alone_and_are_merged_into_the_checkpoint(tmp_path):
    run = trainer(tmp_path, lora_rank=2, max_steps=2, loss=LossConfig(beta=0.1))
    run.train()
    trained = [name for name, p in run.pipe.transformer.named_parameters() if p.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    start, end = fresh_pipe().transformer.state_dict(), weights_in(tmp_path / "checkpoint")
    assert start.keys() == end.keys()
    changed = {name for name in end if not torch.equal(start[name], end[name])}
    assert changed and all(name.startswith("blocks.") for name in changed)


def test_what_adapters_add_is_scaled_by_alpha_over_rank(tmp_path):
    one = trainer(tmp_path, lora_rank=4, lora_alpha=6.0).adapter
    assert one is not None
    layers = [each for each in one.modules() if hasattr(each, "lora_A")]
    scales = [each.scaling["default"] for each in layers]
    assert scales and set(scales) == {1.5}
    with pytest.raises(ConfigError, match="lora_alpha is for adapters: lora_rank must be at least 1"):
        trainer(tmp_path, lora_alpha=6.0)


def test_recomputed_activations_make_the_same_run(tmp_path):
    trainer(tmp_path / "plain", max_steps=1).train()
    trainer(tmp_path / "recomputed", max_steps=1, gradient_checkpointing=True).train()
    a, b = weights_in(tmp_path / "plain" / "checkpoint"), weights_in(tmp_path / "recomputed" / "checkpoint")
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_half_precision_trains_close_to_full(tmp_path):
    full = trainer(tmp_path / "full", max_steps=1).train()
    half = trainer(tmp_path / "half", max_steps=1, bf16=True).train()
    assert half["skipped"] == 0 and half["entropy"] == pytest.approx(full["entropy"], rel=0.05)


def test_half_precision_on_a_gpu_leaves_out_the_attention_that_plans_for_each_shape():
    allowed = torch.backends.cuda.cudnn_sdp_enabled
    assert allowed()
    with half_precision(torch.device("cuda"), enabled=False):
        assert allowed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no GPU here
        with half_precision(torch.device("cuda")):
            assert not allowed()
    assert allowed()


def test_a_full_disk_says_so_at_once_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    trainer(tmp_path, max_steps=2).train()
    kept = weights_in(tmp_path / "checkpoint")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mmreason.training.rl.trainer.torch.save", full)
    with pytest.raises(ConfigError, match=r"output '.*' cannot be written .*No space left.* use --resume"):
        trainer(tmp_path, max_steps=4).train(resume=True)
    monkeypatch.undo()
    InterleavedReasoningPipeline.from_pretrained(tmp_path / "checkpoint")
    assert kept.keys() == weights_in(tmp_path / "checkpoint").keys()
    assert trainer(tmp_path, max_steps=4).train(resume=True)["resumed_from"] == 2


def test_a_truncated_state_is_refused_in_one_sentence(tmp_path):
    trainer(tmp_path, max_steps=2).train()
    state = tmp_path / "state" / "state.pt"
    os.truncate(state, state.stat().st_size // 2)
    with pytest.raises(CheckpointError, match=r"state in .* cannot be resumed"):
        trainer(tmp_path).train(resume=True)


def test_samples_are_offered_with_every_evaluation(tmp_path):
    seen: list[tuple[int, int]] = []
    trainer(tmp_path, eval_steps=2).train(
        on_samples=lambda rollouts, step: seen.append((step, len(rollouts.groups[0])))
    )
    assert seen == [(2, 4), (3, 4)]


@pytest.mark.parametrize("rank", [49, 4096])
def test_a_rank_beyond_the_smaller_side_of_the_matrices_is_refused_before_anything_is_made(tmp_path, rank):
    with pytest.raises(ConfigError, match=rf"lora_rank must be at most 48, the smaller side .* got {rank}"):
        trainer(tmp_path, lora_rank=rank)
    assert trainer(tmp_path, lora_rank=48).adapter is not None
