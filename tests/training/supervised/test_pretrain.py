"""What holds of the supervised stage: a killed and resumed run ends bit for bit where one in one go ends.

One thread, 32 bits, no compilation.  Axes: B rows, L sequence positions.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import shutil
import signal
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import VQModel

from mmreason.__main__ import main
from mmreason.codecs.cells import build_vqvae
from mmreason.commands import pretrain as pretrain_command
from mmreason.commands._options import checkpoint as checkpoint_option
from mmreason.errors import ConfigError, TaskError
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.tasks import FIRST_TASKS, TASKS, atlas, make_problem
from mmreason.training import hardware
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised import loss as loss_module
from mmreason.training.supervised import pretrain as module
from mmreason.training.supervised import vqvae as vqvae_module
from mmreason.training.supervised.config import CorpusConfig, PretrainConfig
from mmreason.training.supervised.corpus import AS_LONG_AS_IT_IS, FEW_SHAPES, NO_TARGET, DemonstrationBatches
from mmreason.training.supervised.loss import SupervisedLoss, own_decoding
from mmreason.training.supervised.pretrain import (
    PretrainState,
    build_policy,
    pretrain,
    pretrain_steps,
)
from tests.helpers.policies import NUM_CODES, encoder, random_policy, text_tokenizer, vocabulary, vqvae

CONFIG = PretrainConfig(
    steps=6,
    warmup_steps=2,
    bf16=False,
    save_steps=2,
    logging_steps=1,
    eval_steps=100,
    eval_problems=4,
    corpus=CorpusConfig(problems_per_batch=4, num_copies=1, difficulties={"easy": 1.0}),
)


class Killed(Exception):
    """Stands for the end of the process."""


def run(folder, *, resume: bool = False, on_step=None, config: PretrainConfig = CONFIG) -> dict:
    return pretrain(RunDirectory(folder), config, vqvae(), random_policy(), resume, on_step)


def kill_at(step: int):
    def on_step(row: dict) -> None:
        if row["step"] == step:
            raise Killed

    return on_step


def saved_state(folder) -> dict:
    return torch.load(folder / "state" / "state.pt", weights_only=True)


def flat(value, name: str = "") -> dict[str, object]:
    """Every number and tensor in a nested state, by its path."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in flat(inner, f"{name}/{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, inner in enumerate(value) for k, v in flat(inner, f"{name}/{i}").items()}
    return {name: value}


def assert_same_state(a: dict, b: dict) -> None:
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    for name, value in a.items():
        if name == "/seconds":  # the clock's
            continue
        same = torch.equal(value, b[name]) if isinstance(value, torch.Tensor) else value == b[name]
        assert same, name


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(folder)
    return folder


def learned(rows: list[dict]) -> list[dict]:
    """Metrics without those that depend on the clock."""
    return [{k: v for k, v in row.items() if not k.endswith("per_second")} for row in rows]


@pytest.mark.parametrize("killed_at", [3, 5])
def test_a_killed_and_resumed_run_ends_bit_for_bit_where_an_uninterrupted_one_ends(uninterrupted, tmp_path, killed_at):
    with pytest.raises(Killed):
        run(tmp_path, on_step=kill_at(killed_at))
    assert saved_state(tmp_path)["step"] == killed_at - 1
    result = run(tmp_path, resume=True)
    assert result["resumed_from"] == killed_at - 1
    assert_same_state(saved_state(tmp_path), saved_state(uninterrupted))
    one, other = (InterleavedReasoningPipeline.from_pretrained(f / "checkpoint") for f in (tmp_path, uninterrupted))
    assert one.fingerprint == other.fingerprint
    metrics = [RunDirectory(folder).read_metrics() for folder in (tmp_path, uninterrupted)]
    assert learned(metrics[0]) == learned(metrics[1])
    assert [row["step"] for row in metrics[0]] == [1, 2, 3, 4, 5, 6]


def test_a_run_killed_before_its_first_save_starts_anew(uninterrupted, tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, on_step=kill_at(1))
    assert run(tmp_path, resume=True)["resumed_from"] is None
    assert_same_state(saved_state(tmp_path), saved_state(uninterrupted))
    assert [row["step"] for row in RunDirectory(tmp_path).read_metrics()] == [1, 2, 3, 4, 5, 6]


def test_a_run_killed_while_it_wrote_its_last_checkpoint_gets_it_when_it_is_resumed(tmp_path, monkeypatch):
    write = RunDirectory.write_folder

    def dies_at_the_last_checkpoint(self, name, fill) -> None:
        if name == "checkpoint" and saved_state(tmp_path)["step"] == CONFIG.steps:
            raise Killed
        write(self, name, fill)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write_folder", dies_at_the_last_checkpoint)
        with pytest.raises(Killed):
            run(tmp_path)
    result = run(tmp_path, resume=True)
    assert result["resumed_from"] == result["step"] == CONFIG.steps
    average = saved_state(tmp_path)["average"]
    loaded = InterleavedReasoningPipeline.from_pretrained(tmp_path / "checkpoint").transformer.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in average.items())


@pytest.mark.parametrize("dies_in", ["state", "checkpoint", "checkpoint-4", "validation"])
def test_a_kept_checkpoint_is_there_wherever_the_run_was_killed(tmp_path, monkeypatch, dies_in):
    config = replace(CONFIG, keep_steps=2, eval_steps=2)
    monkeypatch.setattr(module, "success_by_difficulty", lambda *_: {"easy": {"mean": 0.5}})
    run(tmp_path / "whole", config=config)
    write, resumed = RunDirectory.write_folder, tmp_path / "resumed"

    def dies_writing(self, name, fill) -> None:
        if name == dies_in and (resumed / "checkpoint-2").is_dir():
            raise Killed
        write(self, name, fill)

    def dies_validating(*_) -> dict:
        if dies_in == "validation" and saved_state(resumed)["step"] == 4:
            raise Killed
        return {"easy": {"mean": 0.5}}

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunDirectory, "write_folder", dies_writing)
        patch.setattr(module, "success_by_difficulty", dies_validating)
        run(resumed, config=config)
    run(resumed, config=config, resume=True)
    for kept in ("checkpoint-2", "checkpoint-4", "checkpoint-6", "checkpoint"):
        folders = (folder / kept for folder in (tmp_path / "whole", resumed))
        one, other = (InterleavedReasoningPipeline.from_pretrained(folder).fingerprint for folder in folders)
        assert one == other


def test_a_run_without_evaluations_learns_the_same(uninterrupted, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "success_by_difficulty", lambda *_: pytest.fail("nothing is to be evaluated"))
    assert "success" not in run(tmp_path, config=replace(CONFIG, eval_steps=0))
    ends = (InterleavedReasoningPipeline.from_pretrained(each / "checkpoint") for each in (uninterrupted, tmp_path))
    assert next(ends).fingerprint == next(ends).fingerprint


def test_a_stop_file_ends_the_run_with_a_checkpoint_and_it_can_go_on(uninterrupted, tmp_path):
    def stop_at_three(row: dict) -> None:
        if row["step"] == 3:
            (tmp_path / "stop").touch()

    early = run(tmp_path, on_step=stop_at_three)
    assert early["step"] == 4
    assert saved_state(tmp_path)["step"] == 4
    assert (tmp_path / "checkpoint" / "model_index.json").is_file()
    run(tmp_path, resume=True)  # the stop file was for the other run
    assert_same_state(saved_state(tmp_path), saved_state(uninterrupted))


def test_sigterm_ends_the_run_with_a_checkpoint_and_it_goes_on_as_if_uninterrupted(uninterrupted, tmp_path):
    def end(row) -> None:
        if row["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("nobody took the signal"))
    try:
        run(tmp_path, on_step=end)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert saved_state(tmp_path)["step"] == RunDirectory(tmp_path).read_metrics()[-1]["step"] < CONFIG.steps
    InterleavedReasoningPipeline.from_pretrained(tmp_path / "checkpoint")
    assert run(tmp_path, resume=True)["step"] == CONFIG.steps
    assert_same_state(saved_state(tmp_path), saved_state(uninterrupted))


def test_it_is_evaluated_when_it_is_due_and_a_run_that_is_told_to_stop_saves_and_goes(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "success_by_difficulty", lambda *_: asked.append(1) or {"easy": {"mean": 0.5}})
    config = replace(CONFIG, logging_steps=4, eval_steps=3)

    def stop_at_four(row: dict) -> None:
        if row["step"] == 4:
            (tmp_path / "stop").touch()

    early = run(tmp_path, config=config, on_step=stop_at_four)
    assert early["step"] == saved_state(tmp_path)["step"] == 5 and "success" not in early and len(asked) == 1
    run(tmp_path, config=config, resume=True)
    rows = RunDirectory(tmp_path).read_metrics()
    assert [(row["step"], "success" in row) for row in rows] == [(3, True), (4, False), (5, False), (6, True)]


@pytest.mark.parametrize("told", [True, False])
def test_an_evaluation_that_the_run_was_killed_in_is_made_up_for(uninterrupted, tmp_path, monkeypatch, told):
    """Of the last step, whether it was told to stop there or not."""
    succeeds = {"easy": {"mean": 0.5}}

    def stop_before_the_last(row: dict) -> None:
        if told and row["step"] == CONFIG.steps - 1:
            (tmp_path / "stop").touch()

    def dies(*_) -> dict:
        raise Killed

    monkeypatch.setattr(module, "success_by_difficulty", dies)
    with pytest.raises(Killed):
        run(tmp_path, on_step=stop_before_the_last)
    assert saved_state(tmp_path)["step"] == CONFIG.steps
    monkeypatch.setattr(module, "success_by_difficulty", lambda *_: succeeds)
    said = run(tmp_path, resume=True)
    assert said["success"] == succeeds and said["resumed_from"] == CONFIG.steps
    rows = RunDirectory(tmp_path).read_metrics()
    assert learned(rows[:-1]) == learned(RunDirectory(uninterrupted).read_metrics()[:-1])
    assert rows[-1]["success"] == succeeds and rows[-1].keys() == RunDirectory(uninterrupted).read_metrics()[-1].keys()
    assert_same_state(saved_state(tmp_path), saved_state(uninterrupted))


@pytest.mark.parametrize("killed_at", [1, 3])
def test_a_run_goes_on_from_its_own_checkpoint_and_image_tokenizer_alone(tmp_path, killed_at):
    """Before its first save, and after it."""
    start = {"resume": False, "on_step": kill_at(killed_at), "tokenizer": text_tokenizer()}
    with pytest.raises(Killed):
        pretrain(RunDirectory(tmp_path), CONFIG, vqvae(), random_policy(), **start)
    again = start | {"resume": True, "on_step": None}
    with pytest.raises(ConfigError, match=r"other settings: checkpoint \(there \w+, now \w+\); --resume"):
        pretrain(RunDirectory(tmp_path), CONFIG, vqvae(), random_policy(1), **again)
    other = copy.deepcopy(vqvae())
    with torch.no_grad():
        next(other.parameters()).add_(0.01)
    with pytest.raises(ConfigError, match="image_tokenizer"):
        pretrain(RunDirectory(tmp_path), CONFIG, other, random_policy(), **again)
    assert pretrain(RunDirectory(tmp_path), CONFIG, vqvae(), random_policy(), **again)["step"] == CONFIG.steps


def test_a_broken_step_is_counted_and_leaves_strict_json(tmp_path, monkeypatch):
    clip, steps = torch.nn.utils.clip_grad_norm_, itertools.count(1)

    def breaks(parameters, most):
        norm = clip(parameters, most)
        return norm * float("nan") if next(steps) in (2, 3) else norm

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", breaks)
    run(tmp_path, config=replace(CONFIG, logging_steps=3))

    def refuse(name: str) -> None:
        raise AssertionError(name)

    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    first, last = (json.loads(line, parse_constant=refuse) for line in lines)
    assert first["skipped"] == 2 and first["grad_norm"] > 0 and "skipped" not in last


def test_what_a_demonstration_is_refused_with_is_one_sentence_from_a_worker_too(tmp_path, monkeypatch):
    shown = TASKS["maze"].demonstrate

    def says_more(spec):
        found = shown(spec)
        return replace(found, answer=f"{found.answer} abracadabra")

    monkeypatch.setattr(TASKS["maze"], "demonstrate", says_more)
    corpus = replace(CONFIG.corpus, tasks={"maze": 1.0})
    with pytest.raises(TaskError, match=r"^the demonstration .* has the words abracadabra") as caught:
        settings = replace(CONFIG, corpus=corpus, workers=1)
        pretrain(RunDirectory(tmp_path), settings, vqvae(), random_policy(), tokenizer=text_tokenizer())
    assert "Traceback" not in str(caught.value)


def test_a_run_whose_seconds_are_over_is_not_trained_further_when_it_is_resumed(tmp_path, monkeypatch):
    clock = itertools.count(step=1.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    config = replace(CONFIG, steps=100, max_seconds=4.0)
    run(tmp_path, config=config)
    before = saved_state(tmp_path)
    assert run(tmp_path, config=config, resume=True)["step"] == before["step"]
    assert_same_state(saved_state(tmp_path), before)


def test_a_second_run_in_a_folder_does_not_mix_its_metrics_with_the_first(tmp_path):
    short = replace(CONFIG, steps=2)
    run(tmp_path, config=short)
    run(tmp_path, config=short)
    assert [row["step"] for row in RunDirectory(tmp_path).read_metrics()] == [1, 2]


def test_the_checkpoint_is_the_moving_average_and_the_config_is_noted(uninterrupted):
    state = saved_state(uninterrupted)
    pipe = InterleavedReasoningPipeline.from_pretrained(uninterrupted / "checkpoint")
    weights = pipe.transformer.state_dict()
    assert all(torch.equal(value, state["average"][name]) for name, value in weights.items())
    assert not torch.equal(state["average"]["output.weight"], state["model"]["output.weight"])
    assert json.loads((uninterrupted / "config.json").read_text())["corpus"]["problems_per_batch"] == 4


def test_the_last_metrics_tell_success_on_validation_problems(uninterrupted):
    rows = RunDirectory(uninterrupted).read_metrics()
    assert set(rows[-1]["success"]["easy"]) == {"maze", "jigsaw", "sudoku", "transform", "mean"}
    assert all("success" not in row for row in rows[:-1])


def test_training_learns_something():
    config = replace(CONFIG, steps=12, corpus=replace(CONFIG.corpus, tasks={"transform": 1.0}))
    state = PretrainState(random_policy(), config)
    losses = [step["loss/text"] + step["loss/image"] for step in pretrain_steps(state, encoder())]
    assert losses[-1] < losses[0] - 1


# The loss


def the_loss(parts) -> tuple[float, dict[str, float], torch.Tensor]:
    policy, loss_of = random_policy(), SupervisedLoss(vocabulary(), hint_weight=0.5)
    counts, total, sums = loss_of.counts(parts), 0.0, {}
    for part in parts:
        loss, metrics = loss_of(policy, policy, part, counts)
        loss.backward()
        total += float(loss.detach())
        for name, value in metrics.items():
            sums[name] = sums.get(name, 0.0) + float(value)
    return total, sums, policy.tokens.weight.grad


@pytest.mark.parametrize(("rows", "multiples"), [(3, AS_LONG_AS_IT_IS), (24, FEW_SHAPES)])
def test_the_loss_does_not_depend_on_how_a_batch_is_cut_into_parts_or_padded(rows, multiples):
    config = CorpusConfig(problems_per_batch=8)
    whole = DemonstrationBatches(config, encoder(), 1)[0]
    cut = DemonstrationBatches(replace(config, rows_per_part=rows), encoder(), 1, multiples=multiples)[0]
    assert [fields.packed.ids_BL.shape for fields in cut] != [fields.packed.ids_BL.shape for fields in whole]
    (one, sums_one, gradient_one), (other, sums_other, gradient_other) = the_loss(whole), the_loss(cut)
    assert one == pytest.approx(other, rel=1e-4)
    assert sums_one == pytest.approx(sums_other, rel=1e-4)
    assert torch.allclose(gradient_one, gradient_other, atol=1e-5)
    expected = sums_one["loss/text"] + sums_one["loss/image"] + 0.5 * sums_one["loss/hint"]
    assert one == pytest.approx(expected, rel=1e-5)


def test_each_modality_is_scored_among_its_own_ids():
    parts = DemonstrationBatches(CorpusConfig(problems_per_batch=4), encoder(), 1)[0]
    policy, loss_of = random_policy().requires_grad_(False), SupervisedLoss(vocabulary(), hint_weight=0.0)
    _, before = loss_of(policy, policy, parts[0], loss_of.counts(parts))
    policy.output.weight[vocabulary().num_text :] *= 3  # image codes are no matter to words
    _, after = loss_of(policy, policy, parts[0], loss_of.counts(parts))
    assert after["loss/text"] == before["loss/text"]
    assert after["loss/image"] != before["loss/image"]


def test_a_step_that_is_not_finite_changes_no_weight_and_is_counted():
    policy = random_policy()
    with torch.no_grad():
        policy.hints.weight.fill_(torch.inf)
    state = PretrainState(policy, replace(CONFIG, steps=2))
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    rows = list(pretrain_steps(state, encoder()))
    assert [row["skipped"] for row in rows] == [1.0, 1.0]
    assert state.step == 2
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())
    assert all(p.grad is None for p in policy.parameters())


# The policy's own decoding as the target


@pytest.mark.parametrize(("task", "problems"), [("maze", 3), ("jigsaw", 3), ("maze", 1)])
def test_a_fully_masked_copy_is_taught_what_the_sampler_decodes_there_and_other_copies_what_was_shown(task, problems):
    config = CorpusConfig(problems_per_batch=problems, num_copies=2, tasks={task: 1.0}, difficulties={"easy": 1.0})
    (part,) = DemonstrationBatches(config, encoder(), 1)[0]
    policy, packed = random_policy(), part.packed
    sampling = SamplingConfig(num_steps=3, temperature=0.0)
    taught_BL = own_decoding(policy, packed, packed.block_mask(), part.target_BL, vocabulary(), sampling)
    whole_BL = (packed.copy_BL == 1) & (part.target_BL != NO_TARGET)
    other_BL = ~whole_BL & (packed.copy_BL != 2)
    assert torch.equal(taught_BL[other_BL], part.target_BL[other_BL])
    pipe = InterleavedReasoningPipeline(policy, vqvae(), text_tokenizer(), MaskedDiffusionScheduler())
    tasks = {int(pipe.words.index(f"<{name}>")): name for name in FIRST_TASKS}
    for row in range(len(taught_BL)):
        canvas = packed.ids_BL[row, 1:65].numpy() - vocabulary().num_text
        (problem,) = [
            problem
            for problem in (make_problem(task, "easy", 0, "train", index) for index in range(3))
            if np.array_equal(atlas().local_ids(task, canvas).reshape(8, 8), problem.canvas)
        ]
        assert tasks[int(packed.ids_BL[row, 0])] == task
        trace = pipe([problem], sampling).traces[0]
        first = (packed.segment_BL[row] == 1) & (packed.copy_BL[row] == 1)
        assert tuple(taught_BL[row, first].tolist()) == trace.segments[0].tokens


def test_the_last_part_of_a_run_learns_from_the_average(monkeypatch):
    teachers = []

    def noted(model, packed, mask, target_BL, vocabulary):
        teachers.append(model)
        return target_BL

    monkeypatch.setattr(loss_module, "own_decoding", noted)
    state = PretrainState(random_policy(), replace(CONFIG, steps=4, own_share=0.5))
    taught = []
    for _ in pretrain_steps(state, encoder()):
        taught.append(len(teachers))
    assert taught[:2] == [0, 0] and 0 < taught[2] < taught[3]
    assert all(teacher is state.average for teacher in teachers)


# Sizes


@pytest.mark.parametrize(
    ("flags", "modes"),
    [((), (False, "blocks", "interleaved")), (("--attention", "full", "--turn", "joint"), (False, "full", "joint"))],
)
def test_a_new_policy_has_the_sizes_that_are_asked_for_and_the_modes_of_the_run(tmp_path, monkeypatch, flags, modes):
    made = []
    monkeypatch.setattr(module, "pretrain", lambda directory, config, *_: made.append((config, _[-2])) or {})
    vqvae().save_pretrained(tmp_path / "vqvae")
    parser = argparse.ArgumentParser()
    pretrain_command.add_arguments(parser)
    sizes = ["--hidden_size", "64", "--num_hidden_layers", "3", "--num_attention_heads", "2"]
    words = ["--output", str(tmp_path), "--resume", "--threads", "0", "--no_bf16", *sizes, *flags]
    pretrain_command.run(parser.parse_args(words))
    ((config, sizes),) = made
    found = build_policy(vocabulary(), 0, **sizes).config
    assert (found.hidden_size, found.num_hidden_layers, found.num_attention_heads) == (64, 3, 2)
    assert (config.corpus.causal, config.corpus.attention, config.corpus.turn) == modes


NEW, GIVEN = ["--vq_steps", "30"], ["--image_tokenizer", "START"]


@pytest.mark.parametrize("killed_at", [0, 3])
@pytest.mark.parametrize(
    ("began", "resumed", "said"),
    [
        (NEW, NEW, None),
        (GIVEN, GIVEN, None),
        (NEW, ["--vq_steps", "40"], r"image_tokenizer_from \(there --vq_steps 30, now --vq_steps 40\)"),
        (NEW, [], r"image_tokenizer_from \(there --vq_steps 30, now --vq_steps 1000\)"),
        (NEW, GIVEN, r"image_tokenizer_from \(there --vq_steps 30, now --image_tokenizer\)"),
        (GIVEN, NEW, r"image_tokenizer_from \(there --image_tokenizer, now --vq_steps 30\)"),
        (GIVEN, ["--image_tokenizer", "OTHER"], r"image_tokenizer \(there \w{12}, now \w{12}\)"),
    ],
)
def test_a_run_goes_on_with_the_image_tokenizer_that_it_began_with(
    tmp_path, monkeypatch, began, resumed, said, killed_at
):
    """Before its policy is trained, and after its first save."""
    folder, others = tmp_path / "run", {"START": vqvae(), "OTHER": build_vqvae(NUM_CODES, width=16, code_width=4)}
    monkeypatch.setattr(vqvae_module, "train_vqvae", lambda *_: vqvae())
    monkeypatch.setattr(vqvae_module, "evaluate_vqvae", lambda *_, **__: SimpleNamespace(recognised=1.0, psnr=40.0))
    monkeypatch.setattr(checkpoint_option, "load_pipeline", lambda name: SimpleNamespace(vqvae=others[name]))

    def killed(directory, config, vqvae, policy, resume, on_step, *more) -> dict:
        if not killed_at:
            raise Killed
        return pretrain(directory, config, vqvae, policy, resume, kill_at(killed_at), *more)

    parser = argparse.ArgumentParser()
    pretrain_command.add_arguments(parser)
    words = ["--output", str(folder), "--threads", "0", "--no_bf16", "--steps", "4", "--save_steps", "2"]
    words += ["--problems_per_batch", "2", "--eval_problems", "4", "--logging_steps", "1", "--hidden_size", "48"]
    words += ["--num_hidden_layers", "2", "--tasks", "maze"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, "pretrain", killed)
        pretrain_command.run(parser.parse_args([*words, *began]))
    again = parser.parse_args([*words, *resumed, "--resume"])
    if said is None:
        assert pretrain_command.run(again)["step"] == 4
    else:
        kept = VQModel.from_pretrained(folder / "vqvae").state_dict()
        with pytest.raises(ConfigError, match=said):
            pretrain_command.run(again)
        assert all(torch.equal(kept[name], each) for name, each in others["START"].state_dict().items())
        settings = json.loads((folder / "config.json").read_text())
        del settings["image_tokenizer_from"]
        (folder / "config.json").write_text(json.dumps(settings))  # as an earlier version has it
        if "OTHER" not in resumed:
            assert pretrain_command.run(again)["step"] == 4


SMALL = "--threads 0 --no_bf16 --problems_per_batch 2 --eval_problems 4 --logging_steps 1 --hidden_size 48".split()
SMALL += "--num_hidden_layers 2 --tasks maze --vq_steps 30".split()


@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), ("stop", 0)])
def test_a_run_that_was_asked_to_end_says_so_and_how_it_goes_on(tmp_path, monkeypatch, capsys, by, code):
    monkeypatch.setattr(vqvae_module, "train_vqvae", lambda *_: vqvae())
    monkeypatch.setattr(vqvae_module, "evaluate_vqvae", lambda *_, **__: SimpleNamespace(recognised=1.0, psnr=40.0))

    def asked(directory, config, vqvae, policy, resume, on_step, *more) -> dict:
        def ask(row: dict) -> None:
            if row["step"] == 1 and by == "stop":
                (directory.path / "stop").touch()
            elif row["step"] == 1:
                os.kill(os.getpid(), by)

        return pretrain(directory, config, vqvae, policy, resume, ask, *more)

    words = ["pretrain", "--output", str(tmp_path / "run"), "--steps", "4", *SMALL, "--json"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "pretrain", asked)
        assert main(words) == code
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert said["stopped"] is True and said["step"] == 2
    assert told.err.splitlines()[-1].endswith("stopped at step 2 of 4; --resume goes on")
    assert main([*words, "--resume"]) == 0
    assert "stopped" not in json.loads(capsys.readouterr().out)


def test_a_run_killed_in_its_image_tokenizer_begins_anew_with_the_same_settings(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(vqvae_module, "evaluate_vqvae", lambda *_, **__: SimpleNamespace(recognised=1.0, psnr=40.0))

    def killed(*_: object) -> None:
        raise Killed

    words = ["pretrain", "--output", str(tmp_path / "run"), "--steps", "2", *SMALL]
    monkeypatch.setattr(vqvae_module, "train_vqvae", killed)
    with pytest.raises(Killed):
        main(words)
    monkeypatch.setattr(vqvae_module, "train_vqvae", lambda *_: vqvae())
    assert main([*words, "--resume", "--vq_steps", "40"]) == 2
    assert "image_tokenizer_from (there --vq_steps 30, now --vq_steps 40)" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    assert (tmp_path / "run" / "checkpoint" / "model_index.json").is_file()


def test_the_help_says_how_many_steps_an_image_tokenizer_takes_in_all():
    parser = argparse.ArgumentParser()
    pretrain_command.add_arguments(parser)
    said = " ".join(parser.format_help().split())
    assert f"{vqvae_module.VQTrainConfig().quantize_steps} more" in said.partition("--vq_steps")[2]


def test_a_run_that_began_from_a_checkpoint_does_not_resume_without_it(uninterrupted, tmp_path, monkeypatch):
    monkeypatch.setattr("mmreason.training.supervised.vqvae.train_vqvae", lambda *_: pytest.fail("a new tokenizer"))
    shutil.copytree(uninterrupted, tmp_path / "run")
    before = saved_state(tmp_path / "run")["step"]
    parser = argparse.ArgumentParser()
    pretrain_command.add_arguments(parser)
    with pytest.raises(ConfigError, match="began from a checkpoint: --resume goes on with --checkpoint"):
        pretrain_command.run(parser.parse_args(["--output", str(tmp_path / "run"), "--resume", "--threads", "0"]))
    assert saved_state(tmp_path / "run")["step"] == before


# The type of numbers


@pytest.mark.parametrize("pays", [False, True])
def test_training_is_in_halves_where_that_is_faster_and_a_resumed_run_stays_what_it_was(tmp_path, monkeypatch, pays):
    taken = {pays: 1.0, not pays: 2.0}  # seconds, by whether they are of halves
    monkeypatch.setattr(hardware, "training_seconds", lambda half: taken[half])
    given = []

    def noted(directory, config, *_) -> dict:
        directory.write_json("config.json", asdict(config))
        given.append(config.bf16)
        return {}

    monkeypatch.setattr(module, "pretrain", noted)
    monkeypatch.setattr("mmreason.sampling.pipeline.fastest_device", lambda: torch.device("cpu"))

    def command(name: str, *flags: str) -> None:
        if not (tmp_path / name).exists():  # a run that was stopped when its image tokenizer was made
            vqvae().save_pretrained(tmp_path / name / "vqvae")
        parser = argparse.ArgumentParser()
        pretrain_command.add_arguments(parser)
        words = ["--output", str(tmp_path / name), "--resume", "--threads", "0", *flags]
        pretrain_command.run(parser.parse_args(words))

    command("one")
    taken = {pays: 2.0, not pays: 1.0}
    command("one")
    command("two")
    command("three", "--no_bf16")
    assert given == [pays, pays, not pays, False]


def test_both_types_are_timed_by_a_forward_and_a_backward():
    assert all(hardware.training_seconds(half, rows=8, width=8, times=2) > 0 for half in (True, False))
    assert hardware.half_pays(torch.device("cuda"))


# A limit of time, kept checkpoints


def test_a_run_ends_when_its_seconds_are_over_with_rates_that_have_fallen(tmp_path, monkeypatch):
    clock = itertools.count(step=1.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))  # its own: others ask, too
    config = replace(CONFIG, steps=100, max_seconds=4.0, keep_steps=2, decay_share=0.5)
    rates = []
    update = PretrainState.update

    def noted(state) -> None:
        rates.append(state.config.rate(state.step, state.seconds))
        update(state)

    monkeypatch.setattr(PretrainState, "update", noted)
    result = run(tmp_path, config=config)
    assert result["step"] == 4 and "success" in result
    assert rates == [0.5, 1.0, 1.0, 0.5]
    kept = InterleavedReasoningPipeline.from_pretrained(tmp_path / "checkpoint-4")
    assert kept.fingerprint == InterleavedReasoningPipeline.from_pretrained(tmp_path / "checkpoint").fingerprint
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-4"}
    assert saved_state(tmp_path)["seconds"] == 4.0


def test_more_makers_of_demonstrations_change_nothing(uninterrupted, tmp_path):
    run(tmp_path, config=replace(CONFIG, workers=2))
    assert_same_state(saved_state(tmp_path), saved_state(uninterrupted))


# Rates, averages, first weights


def test_rates_warm_up_stay_and_fall_to_zero():
    config = PretrainConfig(steps=100, warmup_steps=10, decay_share=0.2)
    rates = [config.rate(step) for step in range(100)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert rates[10:80] == [1.0] * 70
    assert rates[80:] == pytest.approx([(100 - step) / 20 for step in range(80, 100)])
    assert PretrainConfig(steps=10, warmup_steps=1, decay_share=0.0).rate(9) == 1.0


def test_hidden_matrices_are_trained_by_muon_and_everything_else_by_adam_each_once():
    state = PretrainState(random_policy(), CONFIG)
    muon, adam = ({id(p) for g in o.param_groups for p in g["params"]} for o in state.optimizers)
    hidden = {id(p) for name, p in state.model.named_parameters() if name.startswith("blocks") and p.ndim == 2}
    assert muon == hidden
    assert muon | adam == {id(p) for p in state.model.parameters()}
    assert not muon & adam


def test_the_average_follows_the_weights_quickly_at_first():
    state = PretrainState(random_policy(), replace(CONFIG, ema_decay=0.998))
    before = state.average.output.weight.clone()
    for p in state.model.parameters():
        p.grad = torch.ones_like(p)
    state.update()
    share = 1 - 1 / 11  # min(decay, step / (step + 10)) is what stays
    expected = before + share * (state.model.output.weight - before)
    assert torch.allclose(state.average.output.weight, expected, atol=1e-6)


def test_a_new_policy_is_a_pure_function_of_its_seed():
    sizes = {"hidden_size": 48, "num_attention_heads": 2, "num_hidden_layers": 2, "hint_layer": 1}
    one, same, other = (build_policy(vocabulary(), seed, **sizes).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["tokens.weight"], other["tokens.weight"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"save_steps": 0},
        {"logging_steps": 0},
        {"eval_problems": 0},
        {"decay_share": 1.5},
        {"own_share": -0.1},
        {"own_share": 0.1, "corpus": CorpusConfig(causal=True)},
        {"max_seconds": 0.0},
        {"keep_steps": 0},
        {"workers": 0},
    ],
)
def test_a_wrong_setting_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PretrainConfig(**wrong)
