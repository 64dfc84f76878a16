"""GRPO on a public checkpoint: only adapters learn, exactly, resumably, and what has no likelihood is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from mmreason.__main__ import main
from mmreason.errors import ConfigError
from mmreason.records import Trace
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.training.rl.config import GRPOConfig, LossConfig
from mmreason.training.rl.grpo import GRPO
from mmreason.training.rl.learner import CellsLearner
from mmreason.training.rl.trainer import Trainer
from mmreason.training.rl.views import ViewsLearner
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.validation import held_out, solve_problems
from tests.helpers import public
from tests.helpers.learning import config, shared_pipe


def low_ids(trace: Trace) -> list[float]:
    """A reward that any policy can raise: the share of even ids."""
    return [float(np.mean([token % 2 == 0 for token in segment.tokens])) for segment in trace.segments]


def config_of(pipe: ViewsPipeline, **changes: Any) -> GRPOConfig:
    sampling = pipe.sampling_config(num_steps=2, temperature=1.0, max_turns=1, **changes.pop("sampling", {}))
    small = {"max_steps": 2, "num_problems": 2, "num_generations": 2, "eval_problems": 1, "save_steps": 1}
    chosen = {"tasks": {"maze": 1.0}, "difficulties": {"easy": 1.0}, "lora_rank": 4, "learning_rate": 1e-2} | changes
    return GRPOConfig(**small | chosen, sampling=sampling, views=pipe.views)


def grpo_of(pipe: ViewsPipeline, **changes: Any) -> GRPO:
    return GRPO(pipe, config_of(pipe, **changes), Accelerator(cpu=True), None, [low_ids])


def gradient(grpo: GRPO, rollouts: Any, rngs: Sequence[Any]) -> torch.Tensor:
    """Of the loss, all adapters in a row."""
    traces = rollouts.traces
    for batch in grpo.learner.batches(traces, rngs, None):
        advantage_N, weight_N = grpo._terms(batch, rollouts)
        (advantage_N * weight_N * grpo.learner.score(batch)).sum().backward()
    found = torch.cat([each.grad.ravel() for each in grpo.parameters if each.grad is not None])
    grpo.optimizer.zero_grad()
    return found


@pytest.mark.parametrize(("family", "attention"), [("dimoo", "full"), ("dimoo", "prefix"), ("parallel", "full")])
def test_an_update_moves_adapters_alone_and_starts_on_policy(family: str, attention: str) -> None:
    pipe = public.pipeline(family, attention=attention, guidance=1.0)
    grpo = grpo_of(pipe, num_problems=1, loss=LossConfig(beta=0.1), gradient_checkpointing=True)
    bits = {n: p.clone() for n, p in grpo.policy.named_parameters() if "lora_" not in n}
    before = [p.detach().clone() for p in grpo.parameters]
    rollouts = grpo.rollouts(0)
    rngs = [np.random.default_rng(0)] * len(rollouts.traces)
    for batch in grpo.learner.batches(rollouts.traces, rngs, None):
        tokens = [target for snapshot in batch.snapshots for target in snapshot.targets.tolist()]
        scored = grpo.learner.score(batch).detach().tolist()
        found: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for t, s, token, logp in zip(batch.trace_N.tolist(), batch.segment_N.tolist(), tokens, scored, strict=True):
            found.setdefault((t, s), []).append((token, logp))
        for (t, s), both in found.items():
            segment = rollouts.traces[t].segments[s]
            noted = [
                (frame.tokens[place], logprob)
                for frame in segment.frames
                for place, logprob in zip(frame.committed, frame.logprobs, strict=True)
            ]
            assert [token for token, _ in both] == [token for token, _ in noted]
            assert [logp for _, logp in both] == pytest.approx([logp for _, logp in noted], abs=2e-3)
            of_it = batch.is_image_N[(batch.trace_N == t) & (batch.segment_N == s)]
            assert bool(of_it.all()) == bool(of_it.any()) == (segment.modality == "image")
        assert grpo.learner.changed_orders(batch)[0] == 0
    metrics = grpo.update(rollouts, 0)
    assert metrics["kl"] == pytest.approx(0, abs=1e-5) and metrics["grad_norm"] > 0 and metrics["train_flops"] > 0
    assert any(not torch.equal(a, b) for a, b in zip(before, grpo.parameters, strict=True))
    assert all(torch.equal(p, bits[n]) for n, p in grpo.policy.named_parameters() if "lora_" not in n)
    assert grpo.update(rollouts, 1)["kl"] > 0  # measured from the base, which is the policy without adapters


@pytest.mark.parametrize("attention", ["full", "prefix"])
def test_bf16_computes_in_half_precision_what_is_sampled_scored_and_learnt(attention: str) -> None:
    """The base keeps its bits, the policy its likelihood but for rounding, and KL from an adapter its gradient."""
    pipe = public.pipeline(attention=attention)
    first = grpo_of(pipe, num_problems=1)
    first.update(first.rollouts(0), 0)  # an adapter that says something
    grpo = grpo_of(pipe, num_problems=1, lora_rank=0, bf16=True, loss=LossConfig(beta=0.1))
    bits = {n: p.clone() for n, p in grpo.policy.named_parameters() if "lora_" not in n}
    seen: set[torch.dtype] = set()
    layer = grpo.policy.get_submodule("base_model.model.model.layers.0.mlp.down_proj.lora_B.default")
    hook = layer.register_forward_hook(lambda _, args, out: seen.add(out.dtype))
    rollouts = grpo.rollouts(0)
    assert seen == {torch.bfloat16}, "of rollouts"
    for batch in grpo.learner.batches(rollouts.traces, [np.random.default_rng(0)] * len(rollouts.traces), None):
        with torch.no_grad():
            whole = grpo.learner.score(batch)
            with grpo.learner.half():
                half = grpo.learner.score(batch)
        off = (half - whole).abs()
        assert 0 < off.mean() < 0.05 and off.max() < 0.5 and torch.isfinite(half).all()
    seen.clear()
    metrics = grpo.update(rollouts, 0)
    assert seen == {torch.bfloat16}, "of updates"
    hook.remove()
    assert metrics["kl"] == pytest.approx(0, abs=1e-5) and metrics["grad_norm"] > 0
    assert grpo.update(rollouts, 1)["kl"] > 0  # measured from the adapter as it was
    assert all(torch.equal(p, bits[n]) for n, p in grpo.policy.named_parameters() if "lora_" not in n)


def test_a_run_solves_held_out_problems_in_the_precision_in_which_it_samples(tmp_path: Path) -> None:
    pipe = public.pipeline()
    trainer = Trainer(pipe, config_of(pipe, bf16=True), RunDirectory(tmp_path), Accelerator(cpu=True), [low_ids])
    seen: set[torch.dtype] = set()
    layer = trainer.grpo.policy.get_submodule("base_model.model.model.layers.0.mlp.down_proj.lora_B.default")
    layer.register_forward_hook(lambda _, args, out: seen.add(out.dtype))
    trainer._solve_held_out(lambda: False)
    assert seen == {torch.bfloat16}


def test_a_public_policy_recomputes_as_it_is_told() -> None:
    checkpointing = [grpo_of(public.pipeline(), gradient_checkpointing=given).learner for given in (None, False, True)]
    assert [each.backbone.checkpointing for each in checkpointing if isinstance(each, ViewsLearner)] == [
        False,
        False,
        True,
    ]


def test_a_share_of_the_steps_has_the_whole_gradient_as_its_mean() -> None:
    class Always:
        """Chooses the same of two steps."""

        def __init__(self, step: int) -> None:
            self.step = step

        def choice(self, *_: Any, **__: Any) -> np.ndarray:
            return np.array([self.step])

    grpo = grpo_of(public.pipeline(), score_steps=0.5)
    rollouts = grpo.rollouts(0)
    halves = [gradient(grpo, rollouts, [Always(step)] * len(rollouts.traces)) for step in (0, 1)]
    whole = grpo_of(public.pipeline())
    full = gradient(whole, rollouts, [np.random.default_rng(0)] * len(rollouts.traces))
    assert not torch.allclose(halves[0], full, rtol=1e-2)
    torch.testing.assert_close((halves[0] + halves[1]) / 2, full, rtol=1e-3, atol=1e-7)


def test_dr_grpo_divides_by_the_lengths_of_the_checkpoint() -> None:
    assert grpo_of(public.pipeline(pixels=256)).learner.lengths == {"text": 8 * 17, "image": 16 * 16}


def test_micro_batches_and_two_processes_add_up_to_one() -> None:
    """The gradient of a step is the sum of those of any parts of its traces, at any number of tokens at once."""
    grpo = grpo_of(public.pipeline())
    rollouts = grpo.rollouts(0)
    rngs = [np.random.default_rng(0)] * len(rollouts.traces)
    whole = gradient(grpo, rollouts, rngs)
    small = grpo_of(public.pipeline(), max_tokens=300)
    assert len(small.learner.batches(rollouts.traces, rngs, None)) > len(
        grpo.learner.batches(rollouts.traces, rngs, None)
    )
    torch.testing.assert_close(gradient(small, rollouts, rngs), whole, rtol=1e-3, atol=1e-7)
    parts = []
    for half in (0, 1):
        live = [[t // 2 == half] * len(trace.segments) for t, trace in enumerate(rollouts.traces)]
        for batch in grpo.learner.batches(rollouts.traces, rngs, live):
            advantage_N, weight_N = grpo._terms(batch, rollouts)
            (advantage_N * weight_N * grpo.learner.score(batch)).sum().backward()
        parts.append(torch.cat([each.grad.ravel() for each in grpo.parameters if each.grad is not None]))
        grpo.optimizer.zero_grad()
    torch.testing.assert_close(parts[0] + parts[1], whole, rtol=1e-3, atol=1e-7)


def test_a_run_leaves_an_adapter_that_every_command_goes_on_from(tmp_path: Path) -> None:
    pipe = public.pipeline()
    config = config_of(pipe, max_steps=1, num_problems=1)
    Trainer(pipe, config, RunDirectory(tmp_path), Accelerator(cpu=True), [low_ids]).train()
    whole = tmp_path / "checkpoint"
    assert (whole / "adapter_model.safetensors").stat().st_size < 100_000
    again = ViewsPipeline.from_pretrained(str(whole))
    assert again.views == public.pipeline().views and again.model.adapter is not None
    problems = held_out(["maze"], ["easy"], 1, 0, "test")
    (trace,) = solve_problems(again, problems, again.sampling_config(num_steps=1, temperature=0, max_turns=1), 0)
    assert trace.segments and again.fingerprint != public.pipeline().fingerprint
    on = grpo_of(again, lora_rank=0)
    reference = on.learner.reference()  # goes on from an adapter, so KL is measured from that one
    assert not isinstance(reference, str) and torch.equal(reference[1], on.parameters[1])


def test_an_alpha_is_kept_with_its_adapter_and_no_other_is_taken_later(tmp_path: Path) -> None:
    pipe = public.pipeline()
    grpo_of(pipe, lora_alpha=3.5)
    pipe.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["lora_alpha"] == 3.5
    again = ViewsPipeline.from_pretrained(str(tmp_path))
    assert again.model.adapter is not None and again.model.adapter.alpha == 3.5
    for alpha in (None, 3.5):
        grpo_of(again, lora_rank=0, lora_alpha=alpha)
    with pytest.raises(ConfigError, match=r"lora_alpha must be that of the adapter, 3\.5, or left out, got 4"):
        grpo_of(again, lora_alpha=4.0)


def test_views_that_no_rollout_can_have_are_refused_before_an_earlier_run_is_removed(tmp_path: Path) -> None:
    pipe = public.pipeline(pixels=96)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(ConfigError, match="pixels must be a multiple of 128 for puzzles"):
        Trainer(pipe, config_of(pipe), RunDirectory(tmp_path), Accelerator(cpu=True), [low_ids]).train()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_the_command_ignores_no_flag_that_a_public_checkpoint_knows_nothing_of(tmp_path: Path, capsys: Any) -> None:
    words = ["train", "--checkpoint", str(public.folder()), "--lora_rank", "2", "--tasks", "maze", "--steps", "1"]
    assert main([*words, "--output", str(tmp_path / "run"), "--leak_steps", "5"]) == 2
    assert "leak_steps must be 0" in capsys.readouterr().err


def test_a_share_of_steps_is_refused_where_one_forward_scores_them_all() -> None:
    with pytest.raises(ConfigError, match=r"score_steps must be 1 for checkpoints of our own, .*, got 0\.5"):
        CellsLearner(shared_pipe(), config(score_steps=0.5))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lora_rank": 0}, "lora_rank must be at least 1"),
        ({"lora_rank": 4096}, "lora_rank must be from 1 to 64"),
        ({"likelihood": "one_step"}, "likelihood must be trajectory"),
        ({"sampling": {"order": "maskgit"}}, "order must be confidence or entropy in training"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        grpo_of(public.pipeline(), **changes)
