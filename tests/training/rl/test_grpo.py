"""One GRPO update on a tiny policy: what it learns from, what it changes, and what it leaves alone.

Axes: N scored tokens.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from accelerate import Accelerator

from mmreason.errors import ConfigError
from mmreason.records import trace_rewards
from mmreason.rewards.assignment import AssignmentConfig, GroupAdvantages, SegmentAdvantage, assign, interference
from mmreason.sampling.config import SamplingConfig
from mmreason.seeds import numpy_generator
from mmreason.training import validation
from mmreason.training.rl import grpo as module
from mmreason.training.rl import learner as learners
from mmreason.training.rl.config import GRPOConfig, LossConfig
from mmreason.training.rl.grpo import GRPO, Rollouts, _sampled, step_problems
from mmreason.training.rl.likelihood import CPU_MAX_TOKENS, pack_traces, score_tokens, token_budget
from mmreason.training.rl.loss import TokenLoss
from mmreason.training.rl.order import changed_orders
from tests.helpers.learning import config, even_tokens, fresh_pipe
from tests.helpers.policies import random_policy


@cache
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


def learner(reference=None, **changes) -> GRPO:
    """A learner with weights of its own whose rewards have spread."""
    return GRPO(fresh_pipe(), config(**changes), accelerator(), reference, [even_tokens])


@cache
def some_rollouts() -> Rollouts:
    return learner().rollouts(0)


def weights(grpo: GRPO) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in grpo.policy.state_dict().items()}


def moved(grpo: GRPO, before: dict[str, torch.Tensor]) -> float:
    """The largest change of a weight."""
    return max(float((weight - before[name]).abs().max()) for name, weight in grpo.policy.state_dict().items())


def with_advantages(rollouts: Rollouts, of) -> Rollouts:
    """The same rollouts with the advantage ``of(SegmentAdvantage)`` of each segment."""
    groups = []
    for group in rollouts.advantages:
        rows = tuple(tuple(replace(s, advantage=of(s)) for s in row) for row in group.segments)
        groups.append(replace(group, segments=rows))
    return replace(rollouts, advantages=groups)


def gradient(grpo: GRPO, rollouts: Rollouts) -> dict[str, torch.Tensor]:
    """The gradient of a step at the old policy, before clipping."""
    batches = pack_traces(rollouts.traces, grpo.pipe.layout)
    grpo.policy.zero_grad()
    for batch in batches:
        grpo._accumulate(batch, *grpo._terms(batch, rollouts), None, _sampled([]))
    return {name: p.grad.clone() for name, p in grpo.policy.named_parameters() if p.grad is not None}


# Problems


def test_the_problems_of_a_step_are_a_pure_function_of_seed_and_step():
    first, again = step_problems(config(), 3), step_problems(config(), 3)
    assert [(p.spec, p.index, seed) for p, seed in first] == [(p.spec, p.index, seed) for p, seed in again]
    other = step_problems(config(seed=1), 3)
    assert [p.spec for p, _ in first] != [p.spec for p, _ in other]


def test_problems_come_from_the_train_split_and_never_twice():
    drawn = [pair for step in range(10) for pair in step_problems(config(), step)]
    assert {p.split for p, _ in drawn} == {"train"}
    assert len({p.index for p, _ in drawn}) == len({seed for _, seed in drawn}) == len(drawn) == 20


def test_tasks_and_difficulties_come_by_their_weights():
    settings = config(num_problems=200, tasks={"maze": 3.0, "sudoku": 1.0}, difficulties={"easy": 1.0, "medium": 1.0})
    problems = [p for p, _ in step_problems(settings, 0)]
    tasks = Counter(p.task for p in problems)
    assert set(tasks) == {"maze", "sudoku"}
    assert tasks["maze"] == pytest.approx(150, abs=25)  # four standard deviations
    assert Counter(p.difficulty for p in problems)["easy"] == pytest.approx(100, abs=28)


# Memory


def test_an_update_forwards_no_more_at_once_than_suits_the_device(monkeypatch):
    grpo, seen = learner(), []
    some = [grpo.rollouts(step) for step in range(8)]
    groups, advantages = ([each for one in some for each in getattr(one, name)] for name in ("groups", "advantages"))
    many = replace(some[0], groups=groups, advantages=advantages)

    def note(model, batch, *rest):
        seen.append((len(batch.packed.ids_BL), batch.packed.ids_BL.numel()))
        return score_tokens(model, batch, *rest)

    monkeypatch.setattr(learners, "score_tokens", note)
    grpo.update(many, 0)
    assert sum(size for _, size in seen) > 3 * CPU_MAX_TOKENS
    assert all(rows == 1 or size <= CPU_MAX_TOKENS for rows, size in seen)
    assert token_budget(torch.device("cuda")) > token_budget(torch.device("cpu")) == CPU_MAX_TOKENS


def test_on_a_cpu_a_step_rolls_out_some_problems_at_a_time_and_draws_the_same(monkeypatch):
    whole, sizes = learner(num_problems=5).rollouts(0), []
    monkeypatch.setattr(validation, "CPU_ROLLOUTS", 9)
    grpo = learner(num_problems=5)
    call = type(grpo.pipe).__call__

    def note(pipe, problems, config, seeds, size):
        sizes.append(len(problems) * size)
        return call(pipe, problems, config, seeds, size)

    monkeypatch.setattr(type(grpo.pipe), "__call__", note)
    parts = grpo.rollouts(0)
    assert sizes == [8, 8, 4]
    tokens = [[[s.tokens for s in t.segments] for t in found.traces] for found in (whole, parts)]
    assert tokens[0] == tokens[1]


# Rollouts


def test_rollouts_are_scored_and_repeat_themselves():
    one, two = some_rollouts(), learner().rollouts(0)
    assert [len(group) for group in one.groups] == [4, 4]
    assert [t.segments for t in one.traces] == [t.segments for t in two.traces]
    assert one.advantages == two.advantages
    assert [t.segments for t in learner().rollouts(1).traces] != [t.segments for t in one.traces]
    assert all(len({t.problem.index for t in group}) == 1 for group in one.groups)


def test_the_counts_are_of_all_generated_tokens_zero_advantage_or_not():
    rollouts = some_rollouts()
    for modality in ("text", "image"):
        lengths = [sum(len(s.tokens) for s in t.segments if s.modality == modality) for t in rollouts.traces]
        count = rollouts.counts[modality]
        assert (count.tokens, count.rollouts_with, count.rollouts) == (
            sum(lengths),
            sum(n > 0 for n in lengths),
            len(lengths),
        )


def test_each_token_gets_the_advantage_of_its_own_segment():
    grpo, rollouts = learner(), some_rollouts()
    for batch in pack_traces(rollouts.traces, grpo.pipe.layout, max_tokens=2000):
        advantage_N, _ = grpo._terms(batch, rollouts)
        for t, s, advantage in zip(
            batch.trace_N.tolist(), batch.segment_N.tolist(), advantage_N.tolist(), strict=True
        ):
            wanted = rollouts.advantages[t // 4].segments[t % 4][s].advantage
            assert advantage == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("loss_type", ["dapo", "grpo"])
def test_the_weights_of_each_modality_sum_to_one_in_both_arms(loss_type):
    grpo = learner(loss=LossConfig(loss_type=loss_type))
    rollouts = some_rollouts()
    batches = list(pack_traces(rollouts.traces, grpo.pipe.layout, max_tokens=2000))
    assert len(batches) > 1
    arms = (rollouts, with_advantages(rollouts, lambda s: s.joint), with_advantages(rollouts, lambda s: 0.0))
    weight_arms = [torch.cat([grpo._terms(batch, arm)[1] for batch in batches]) for arm in arms]
    assert torch.equal(weight_arms[0], weight_arms[1])
    assert torch.equal(weight_arms[0], weight_arms[2])
    is_image_N = torch.cat([batch.is_image_N for batch in batches])
    assert float(weight_arms[0][is_image_N].sum()) == pytest.approx(1, abs=1e-5)
    assert float(weight_arms[0][~is_image_N].sum()) == pytest.approx(1, abs=1e-5)


# Updates


def test_an_update_makes_what_was_good_likelier():
    grpo, rollouts = learner(learning_rate=1e-4), some_rollouts()
    (batch,) = pack_traces(rollouts.traces, grpo.pipe.layout)
    advantage_N, weight_N = grpo._terms(batch, rollouts)

    def gain() -> float:
        with torch.no_grad():
            logp_N = score_tokens(grpo.policy, batch, grpo.pipe.layout, 0.7)
        return float((weight_N * advantage_N * logp_N).sum())

    before, start = gain(), weights(grpo)
    metrics = grpo.update(rollouts, 0)
    assert moved(grpo, start) > 0
    assert gain() > before
    assert metrics["grad_norm"] > 0
    assert metrics["skipped"] == metrics["clip_ratio/region_mean"] == metrics["kl"] == 0


def test_the_loss_of_the_first_iteration_is_the_weighted_mean_advantage_with_its_sign_turned():
    grpo, rollouts = learner(), some_rollouts()
    (batch,) = pack_traces(rollouts.traces, grpo.pipe.layout)
    advantage_N, weight_N = grpo._terms(batch, rollouts)
    assert grpo.update(rollouts, 0)["loss"] == pytest.approx(-float((weight_N * advantage_N).sum()), abs=1e-6)


@pytest.mark.parametrize("likelihood", ["trajectory", "random_mask"])
def test_an_update_that_leaves_out_zero_advantages_is_that_of_all_tokens(likelihood):
    some = with_advantages(some_rollouts(), lambda s: s.own if s.own > 0 else 0.0)
    every, live = (
        learner(likelihood=likelihood, learning_rate=0.1, loss=LossConfig(beta=beta)) for beta in (1e-30, 0.0)
    )
    before = weights(every)
    for grpo in (every, live):
        grpo.optimizer = torch.optim.SGD(grpo.parameters, lr=0.1)
    all_tokens, few = every.update(some, 0), live.update(some, 0)
    assert moved(every, before) > 1e-4
    torch.testing.assert_close(weights(live), weights(every), atol=1e-6, rtol=0)
    assert few["train_flops"] < 0.9 * all_tokens["train_flops"]
    for name in ("loss", "entropy", "grad_norm"):
        assert few[name] == pytest.approx(all_tokens[name], abs=1e-6)


def test_kl_is_the_mean_over_the_tokens_that_were_scored():
    grpo = learner(random_policy(seed=5).requires_grad_(False), likelihood="random_mask", loss=LossConfig(beta=0.1))
    still = with_advantages(some_rollouts(), lambda s: 0.0)
    metrics = grpo.update(still, 0)
    rngs = [
        numpy_generator("likelihood", grpo.config.seed, 0, trace.problem.index or 0, i % grpo.config.num_generations)
        for i, trace in enumerate(still.traces)
    ]
    (batch,) = pack_traces(still.traces, grpo.pipe.layout, "random_mask", max_tokens=10**9, rngs=rngs)
    with torch.no_grad():
        policies = (random_policy(seed=5), learner().policy)
        ref_N, logp_N = (score_tokens(policy, batch, grpo.pipe.layout, 0.7) for policy in policies)
    kl_N = (ref_N - logp_N).exp() - (ref_N - logp_N) - 1
    for modality, chosen_N in (("text", ~batch.is_image_N), ("image", batch.is_image_N)):
        assert metrics[f"kl/{modality}"] == pytest.approx(float(kl_N[chosen_N].mean()), rel=1e-4)


def test_entropy_is_of_all_tokens_as_they_were_sampled():
    grpo, rollouts = learner(), some_rollouts()
    metrics = grpo.update(rollouts, 0)
    for modality in ("text", "image"):
        own = [s for trace in rollouts.traces for s in trace.segments if s.modality == modality]
        logprobs = [logprob for s in own for frame in s.frames for logprob in frame.logprobs]
        assert len(logprobs) == sum(len(s.tokens) for s in own)
        assert metrics[f"entropy/{modality}"] == pytest.approx(-sum(logprobs) / len(logprobs))


def test_zero_advantages_have_no_gradient():
    grpo = learner()
    still = with_advantages(some_rollouts(), lambda s: 0.0)
    assert all(not g.any() for g in gradient(grpo, still).values())
    before = weights(grpo)
    assert grpo.update(still, 0)["grad_norm"] == 0
    assert moved(grpo, before) == 0


def test_with_zero_advantages_the_kl_alone_pulls_back_to_the_reference():
    reference = random_policy(seed=5).requires_grad_(False)
    grpo = learner(reference, loss=LossConfig(beta=0.1))
    still = with_advantages(some_rollouts(), lambda s: 0.0)
    start = {name: weight.clone() for name, weight in reference.state_dict().items()}
    first, second = grpo.update(still, 0), grpo.update(still, 1)
    for name in ("kl", "kl/text", "kl/image"):
        assert 0 < second[name] < first[name]
    assert first["loss"] == pytest.approx(0.1 * (first["kl/text"] + first["kl/image"]), rel=1e-5)
    assert all(torch.equal(weight, start[name]) for name, weight in reference.state_dict().items())


def test_without_beta_a_reference_is_not_asked():
    grpo = learner()
    grpo.reference = "none"  # would fail if it were called
    assert grpo.update(some_rollouts(), 0)["kl"] == 0


def test_a_second_iteration_clips_and_the_first_does_not():
    once = learner(learning_rate=0.02).update(some_rollouts(), 0)
    twice = learner(learning_rate=0.02, num_iterations=2).update(some_rollouts(), 0)
    assert once["clip_ratio/region_mean"] == 0
    assert 0 < twice["clip_ratio/region_mean"] < 1
    assert {"clip_ratio/text", "clip_ratio/image", "entropy", "entropy/text", "entropy/image"} <= set(twice)
    assert once["train_flops"] < twice["train_flops"] < 2 * once["train_flops"]  # the order is looked at once


def test_batches_of_any_size_make_the_same_update():
    large, small = learner(max_tokens=2**24, learning_rate=0.1), learner(max_tokens=1, learning_rate=0.1)
    for grpo in (large, small):  # Adam's first step divides a gradient by its own size, and rounding errors with it
        grpo.optimizer = torch.optim.SGD(grpo.parameters, lr=0.1)
    before = weights(large)
    one, other = (grpo.update(some_rollouts(), 0) for grpo in (large, small))
    assert moved(large, before) > 1e-4
    torch.testing.assert_close(weights(small), weights(large), atol=1e-5, rtol=0)
    for name in ("loss", "entropy", "grad_norm", "clip_ratio/region_mean"):
        assert one[name] == pytest.approx(other[name], abs=1e-5)


@pytest.mark.parametrize("likelihood", ["one_step", "random_mask"])
def test_the_peers_likelihoods_train_too_and_repeat_themselves(likelihood):
    one, two = learner(likelihood=likelihood), learner(likelihood=likelihood)
    before = weights(one)
    for grpo in (one, two):
        metrics = grpo.update(some_rollouts(), 0)
        assert metrics["clip_ratio/region_mean"] == 0  # old and new policy share the masks
    assert moved(one, before) > 0
    assert moved(one, weights(two)) == 0


def test_the_gradient_of_a_pooled_loss_is_that_of_one_mean_over_all_tokens():
    """By finite sums: pooled weighs the two means of the other by their shares of the tokens."""
    pooled = learner(loss=LossConfig(loss_denominator="pooled"))
    apart, rollouts = learner(), some_rollouts()
    shares = {m: rollouts.counts[m].tokens / rollouts.counts["pooled"].tokens for m in ("text", "image")}
    assert sum(shares.values()) == pytest.approx(1)
    found = gradient(pooled, rollouts)
    wanted = {name: torch.zeros_like(value) for name, value in found.items()}
    for modality, share in shares.items():
        rows = [
            replace(
                g,
                segments=tuple(
                    tuple(
                        s if x.modality == modality else replace(s, advantage=0.0)
                        for s, x in zip(row, t.segments, strict=True)
                    )
                    for row, t in zip(g.segments, group, strict=True)
                ),
            )
            for g, group in zip(rollouts.advantages, rollouts.groups, strict=True)
        ]
        for name, value in gradient(apart, replace(rollouts, advantages=rows)).items():
            wanted[name] += share * value
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], atol=1e-6, rtol=1e-4)


def test_the_authors_settings_train_and_repeat_themselves():
    """Graded pictures, answers, one pooled mean, a shared mask of 15 %, two iterations, KL."""
    changes = {
        "loss": LossConfig(beta=0.04, loss_type="grpo", loss_denominator="pooled"),
        "assignment": AssignmentConfig("joint", "trace", "none", {"text": 2.5, "image": 1.0}, "answer", "cells"),
        "likelihood": "random_mask",
        "mask_share": 0.15,
        "num_iterations": 2,
    }
    ends = []
    for _ in range(2):
        grpo = learner(copy.deepcopy(fresh_pipe().transformer), **changes)
        before = weights(grpo)
        metrics = grpo.update(grpo.rollouts(0), 0)
        assert moved(grpo, before) > 0 and metrics["skipped"] == 0
        ends.append(weights(grpo))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_learning_rate_warms_up():
    grpo = learner(warmup_steps=4, learning_rate=1e-3)
    sums = [f"{name}/{m}" for name in ("tokens", "scored", "kl", "entropy", "clipped") for m in ("text", "image")]
    rates = []
    for step in range(6):
        grpo._optimizer_step(step, dict.fromkeys((*sums, "loss", "flops"), 0.0))
        rates.append(grpo.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])


def test_a_linear_schedule_ends_near_zero():
    config = GRPOConfig(max_steps=10, warmup_steps=2, learning_rate=1e-3, lr_scheduler_type="linear")
    rates = [config.rate(step) for step in range(10)]
    assert rates == pytest.approx([0.5e-3, 0.9e-3, *(1e-3 * (10 - step) / 10 for step in range(2, 10))])


# Interference


def test_the_joint_gradient_is_signal_plus_leak():
    """Ratio 1, no KL: the two crossed terms are all that joint adds, over joint's own spread."""
    grpo, rollouts = learner(), some_rollouts()
    joint = gradient(grpo, with_advantages(rollouts, lambda s: s.joint))

    def alone(of) -> dict[str, torch.Tensor]:
        def scaled(s: SegmentAdvantage) -> float:
            return SegmentAdvantage(0.0, of(s), 0.0, 0.0, s.sigma_joint).joint

        return gradient(grpo, with_advantages(rollouts, scaled))

    signal, leak = alone(lambda s: s.own), alone(lambda s: s.other)
    assert any(g.abs().max() > 1e-4 for g in leak.values())
    for name, g in joint.items():
        torch.testing.assert_close(g, signal[name] + leak[name], atol=1e-6, rtol=1e-5)


# Guards


def test_a_loss_that_is_not_finite_skips_the_step_and_leaves_weights_and_moments(monkeypatch):
    grpo = learner()
    grpo.update(some_rollouts(), 0)
    before, moments = weights(grpo), copy.deepcopy(grpo.optimizer.state_dict()["state"])
    good = module.token_loss

    def broken(logp_N, *args) -> TokenLoss:
        terms = good(logp_N, *args)
        return replace(terms, loss_N=terms.loss_N * float("nan"))

    with monkeypatch.context() as patch:
        patch.setattr(module, "token_loss", broken)
        metrics = grpo.update(some_rollouts(), 1)
    assert metrics["skipped"] == 1
    assert math.isnan(metrics["loss"])
    assert moved(grpo, before) == 0
    after = grpo.optimizer.state_dict()["state"]
    assert all(torch.equal(moments[i][name], after[i][name]) for i in moments for name in moments[i])
    assert grpo.update(some_rollouts(), 2)["skipped"] == 0
    assert moved(grpo, before) > 0


def test_every_skipped_iteration_is_counted(monkeypatch):
    grpo = learner(num_iterations=3)
    calls = []

    def break_second(parameters, limit):
        calls.append(1)
        return torch.tensor(math.inf if len(calls) == 2 else 1.0)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", break_second)
    assert grpo.update(some_rollouts(), 0)["skipped"] == 1


def test_an_infinite_loss_is_skipped_even_if_its_gradient_is_finite(monkeypatch):
    grpo = learner()
    good = module.token_loss
    monkeypatch.setattr(module, "token_loss", lambda *args: replace(good(*args), loss_N=good(*args).loss_N + math.inf))
    before = weights(grpo)
    assert grpo.update(some_rollouts(), 0)["skipped"] == 1
    assert moved(grpo, before) == 0


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_gradient_that_is_not_finite_skips_the_step():
    grpo, rollouts = learner(), some_rollouts()
    before = weights(grpo)
    next(grpo.policy.parameters()).register_hook(lambda gradient: gradient * math.inf)
    assert grpo.update(rollouts, 0)["skipped"] == 1
    assert moved(grpo, before) == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"max_steps": 0}, "max_steps must be a whole number from 1 to 100000, got '0'"),
        ({"num_generations": 1}, "num_generations must be a whole number from 2"),
        ({"learning_rate": math.nan}, "learning_rate must be a number from"),
        ({"seed": 2**53}, "seed must be a whole number"),
        ({"num_problems": True}, "num_problems must be"),
        ({"max_grad_norm": math.inf}, "max_grad_norm must be"),
        ({"max_grad_norm": 0.0}, "max_grad_norm must be a number from"),
        ({"likelihood": "exact"}, "likelihood must be one of trajectory"),
        ({"sampling": SamplingConfig(temperature=0)}, "temperature must be a number from 0.01"),
        (
            {"assignment": AssignmentConfig(reward_weights={"text": 0.0, "image": 0.0})},
            "reward_weights must be above 0 for text or image, got 0 for both",
        ),
        ({"tasks": {"chess": 1.0}}, "tasks must be of maze"),
        ({"difficulties": {"extreme": 1.0}}, "difficulty must be one of easy"),
        ({"tasks": {}}, "tasks must name at least one"),
        ({"difficulties": {}}, "difficulties must name at least one"),
        ({"tasks": {"maze": float("nan")}}, "the weight of 'maze' must be a number from 0 to 100, got 'nan'"),
        ({"tasks": {"maze": -1.0, "sudoku": 2.0}}, "the weight of 'maze' must be a number from 0 to 100, got '-1.0'"),
        (
            {"difficulties": {"easy": 0.0, "hard": 0.0}},
            "difficulties must have a weight above 0, got easy, hard with none",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(changes, says):
    with pytest.raises(ConfigError, match=says):
        GRPOConfig(**changes)


def test_a_weight_of_zero_leaves_one_modality_out_and_may_be_given():
    for name, other in (("text", "image"), ("image", "text")):
        GRPOConfig(assignment=AssignmentConfig(reward_weights={name: 0.0, other: 1.0}))


# The order of commitment


@pytest.mark.parametrize("threshold", [None, 0.2])
@pytest.mark.parametrize("order", ["confidence", "entropy"])
def test_the_policy_that_sampled_would_commit_in_the_same_order(order, threshold):
    grpo = learner(sampling=SamplingConfig(num_steps=3, temperature=1.3, order=order, threshold=threshold))
    rollouts = grpo.rollouts(0)
    frames = sum(len(s.frames) for trace in rollouts.traces for s in trace.segments)
    counts = [
        changed_orders(grpo.policy, batch, grpo.pipe.layout, grpo.config.sampling)
        for batch in pack_traces(rollouts.traces, grpo.pipe.layout)
    ]
    assert sum(steps for _, steps, _ in counts) == frames
    assert sum(changed for changed, _, _ in counts) == 0
    with torch.no_grad():
        grpo.policy.output.weight.normal_()
    (batch,) = pack_traces(rollouts.traces, grpo.pipe.layout, max_tokens=10**9)
    assert changed_orders(grpo.policy, batch, grpo.pipe.layout, grpo.config.sampling)[0] > 0


def test_a_large_update_changes_orders_and_a_tiny_one_does_not():
    tiny = learner(learning_rate=1e-8).update(some_rollouts(), 0)
    large = learner(learning_rate=0.1).update(some_rollouts(), 0)
    assert tiny["order_changed"] == 0
    assert 0 < large["order_changed"] <= 1


def test_of_segments_drawn_in_one_step_the_order_is_not_looked_at(monkeypatch):
    grpo = learner(sampling=SamplingConfig(num_steps=1))
    monkeypatch.setattr(learners, "changed_orders", None)  # would fail if it were called
    assert grpo.update(grpo.rollouts(0), 0)["order_changed"] == 0


# Rewards of one's own


def test_a_reward_that_compares_all_traces_of_a_step_is_refused_where_each_process_has_its_share():
    def ranked(traces):
        return [[0.0] * len(trace.segments) for trace in traces]

    def plain(trace):
        return [0.0] * len(trace.segments)

    ranked.batched = True
    two = cast(Accelerator, SimpleNamespace(num_processes=2, process_index=0))
    GRPO(fresh_pipe(), config(), two, reward_functions=[plain])
    with pytest.raises(ConfigError, match=r"reward ranked must be given all traces .*: train in one process, got 2"):
        GRPO(fresh_pipe(), config(), two, reward_functions=[plain, ranked])


# Metrics


def test_metrics_have_the_names_of_trl_and_are_what_they_say():
    grpo, rollouts = learner(), some_rollouts()
    metrics = grpo.rollout_metrics(rollouts)
    rewards = [[trace_rewards(trace) for trace in group] for group in rollouts.groups]
    totals = [torch.tensor([t + (i or 0.0) for t, i in group]) for group in rewards]
    assert metrics["reward"] == pytest.approx(float(torch.stack(totals).mean()), abs=1e-6)
    assert metrics["reward_std"] == pytest.approx(sum(float(t.std()) for t in totals) / len(totals), abs=1e-6)
    text = [t for group in rewards for t, _ in group]
    image = [i for group in rewards for _, i in group if i is not None]
    assert metrics["rewards/text/mean"] == pytest.approx(sum(text) / len(text))
    assert metrics["rewards/image/mean"] == pytest.approx(sum(image) / len(image))
    assert metrics["frac_reward_zero_std"] == 0
    assert metrics["rollout_flops"] == sum(trace.cost.flops for trace in rollouts.traces)


def test_interference_is_of_all_segments_and_not_a_mean_over_groups():
    grpo, rollouts = learner(), some_rollouts()
    group, (conflicting, *_) = rollouts.groups[0], rollouts.advantages
    idle = assign([[group[0]] * len(group)], grpo.config.assignment)  # one rollout, again and again: no spread
    for advantages in ([conflicting, *idle], [conflicting, *idle * 3]):
        metrics = grpo.rollout_metrics(replace(rollouts, groups=[group] * len(advantages), advantages=advantages))
        for name, value in interference(advantages).items():
            assert metrics[name] == value, name
        assert metrics["sigma_ratio"] == interference([conflicting])["sigma_ratio"] != 1


def test_reward_is_the_weighted_sum_as_in_trl():
    grpo = learner(assignment=AssignmentConfig(reward_weights={"text": 2.0, "image": 0.0}))
    metrics = grpo.rollout_metrics(some_rollouts())
    assert metrics["reward"] == pytest.approx(2 * metrics["rewards/text/mean"])


def test_edits_without_a_reward_do_not_count_as_zeros():
    grpo, rollouts = learner(), some_rollouts()
    first = rollouts.groups[0][0]
    segments = tuple(replace(s, reward=None) if s.kind == "edit" else s for s in first.segments)
    null = replace(first, segments=segments)
    groups = [[null, *rollouts.groups[0][1:]], *rollouts.groups[1:]]
    image = [i for group in groups for i in (trace_rewards(t)[1] for t in group) if i is not None]
    assert grpo.rollout_metrics(replace(rollouts, groups=groups))["rewards/image/mean"] == pytest.approx(
        sum(image) / len(image)
    )
    none = [[replace(t, segments=t.segments[:1]) for t in group] for group in rollouts.groups]
    cut = [GroupAdvantages(tuple(row[:1] for row in g.segments), 1, 0) for g in rollouts.advantages]
    assert grpo.rollout_metrics(replace(rollouts, groups=none, advantages=cut))["rewards/image/mean"] is None
