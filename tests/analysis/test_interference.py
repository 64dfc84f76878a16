"""What holds of interference: joint's gradient is signal and leak, and nothing else.

Axes: P problems, G rollouts in a group.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from mmreason.analysis import interference as interference_module
from mmreason.analysis.interference import (
    MeasureConfig,
    Sums,
    arm,
    by_layer,
    group_gradients,
    layer_names,
    measure,
    most_conflicted,
    roll_out,
    trained,
)
from mmreason.errors import ConfigError
from mmreason.records import Box, Segment, Trace
from mmreason.rewards.assignment import AssignmentConfig, assign, interference
from mmreason.rewards.custom import add_rewards_to
from mmreason.tasks import make_problem
from mmreason.training.rl import likelihood
from mmreason.training.rl.grpo import GRPO, Rollouts, _sampled
from mmreason.training.rl.likelihood import pack_traces, score_tokens
from mmreason.training.rl.loss import token_counts
from tests.helpers.learning import SAMPLING, config, even_tokens, fresh_pipe
from tests.helpers.policies import text_segment

MEASURE = MeasureConfig(difficulties=("easy",), num_problems=4, num_generations=4)


@cache
def pipe():
    """A policy of double precision, so that the algebra is held to 1e-6."""
    made = fresh_pipe()
    made.transformer.double()
    return made


@cache
def groups() -> list[list[Trace]]:
    """Scored rollouts whose rewards have spread in both modalities."""
    return [add_rewards_to(group, [even_tokens]) for group in roll_out(pipe(), MEASURE, SAMPLING)]


def gradients(assignment: AssignmentConfig, group: list[Trace], found) -> dict:
    counts = token_counts([trace for each in groups() for trace in each])
    return group_gradients(pipe(), group, found, counts, replace(MEASURE, assignment=assignment), SAMPLING.temperature)


def flat(gradient: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([gradient[layer].double() for layer in layer_names(pipe().transformer)])


def trained_gradient(assignment: AssignmentConfig) -> torch.Tensor:
    """The gradient that training itself takes, uphill."""
    learner = GRPO(pipe(), config(sampling=SAMPLING, assignment=assignment), Accelerator(cpu=True))
    traces = [trace for group in groups() for trace in group]
    rollouts = Rollouts(groups(), assign(groups(), assignment), token_counts(traces), 0.0)
    pipe().transformer.requires_grad_(True).zero_grad()
    for batch in pack_traces(traces, learner.pipe.layout):
        learner._accumulate(batch, *learner._terms(batch, rollouts), None, _sampled([]))
    found = [-p.grad if p.grad is not None else torch.zeros_like(p) for _, p in trained(pipe().transformer)]
    return flat(by_layer(pipe().transformer, found))


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


# The algebra


@pytest.mark.parametrize("granularity", ["trace", "turn"])
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_the_gradient_of_joint_training_is_signal_and_leak(granularity, scale):
    assignment = AssignmentConfig("joint", granularity, scale, {"text": 1.0, "image": 0.5})
    sums = Sums()
    for group, found in zip(groups(), assign(groups(), assignment), strict=True):
        sums.add(gradients(assignment, group, found))
    whole = flat(arm(sums.total, "signal")) + flat(arm(sums.total, "leak"))
    assert relative(whole, trained_gradient(assignment)) < 1e-6
    assert relative(flat(arm(sums.total, "joint")), whole) < 1e-12


@pytest.mark.parametrize("granularity", ["trace", "turn"])
def test_the_factorized_gradient_is_that_of_factorized_training(granularity):
    joint = AssignmentConfig("joint", granularity)
    sums = Sums()
    for group, found in zip(groups(), assign(groups(), joint), strict=True):
        sums.add(gradients(joint, group, found))
    trained_so = trained_gradient(AssignmentConfig("factorized", granularity))
    assert relative(flat(arm(sums.total, "factorized")), trained_so) < 1e-6


def test_without_the_other_modality_there_is_no_leak():
    rows = groups()
    alone = [[with_rewards(trace, image=0.0) for trace in group] for group in rows]
    result = measure(pipe(), alone, MEASURE, SAMPLING.temperature)
    assert result["by_modality"]["text"]["leak_to_signal"] == 0.0
    assert result["by_modality"]["image"]["leak_to_signal"] is None  # no signal there, leak alone
    assert result["leak_to_signal"] > 0


def with_rewards(trace: Trace, image: float) -> Trace:
    """The trace with one reward for all of its edits."""
    segments = [replace(s, reward=image) if s.modality == "image" else s for s in trace.segments]
    return replace(trace, segments=tuple(segments))


def test_the_figures_fit_together():
    result = measure(pipe(), groups(), MEASURE, SAMPLING.temperature)
    assert [layer["name"] for layer in result["layers"]] == ["embeddings", "block 1", "block 2", "output"]
    assert result["groups"] == 4 and result["rollouts"] == 16
    assert -1 <= result["cosine"] <= 1
    assert all(layer["leak_to_signal"] > 0 for layer in result["layers"])
    ratios = [layer["leak_to_signal"] for layer in result["layers"]]
    assert min(ratios) <= result["leak_to_signal"] <= max(ratios)
    assert {f"snr_{name}" for name in ("joint", "signal", "factorized")} <= set(result)
    assert result["progress_factorized"] <= 1
    assert result["progress_joint"] == pytest.approx(1 - 1 / result["snr_joint"] ** 2)
    assert result["sign_conflict"] == interference(assign(groups(), MEASURE.assignment))["sign_conflict"]


def test_groups_without_spread_push_nothing():
    flat_groups = [[replace(t, segments=tuple(replace(s, reward=1.0) for s in t.segments)) for t in [g[0]] * 3]
                   for g in groups()]  # fmt: skip
    result = measure(pipe(), flat_groups, MEASURE, SAMPLING.temperature)
    assert result["leak_to_signal"] is None and result["cosine"] is None
    assert result["groups_with_spread"] == 0 and result["snr_joint"] is None


def test_one_gradient_repeated_has_no_noise_and_opposite_ones_no_mean():
    vector = {"block 1": torch.tensor([3.0, 4.0])}
    against = {"block 1": torch.tensor([-3.0, -4.0])}
    alike, opposed = Sums(), Sums()
    for _ in range(4):
        alike.add({("signal", "text"): vector})
    for gradient in (vector, against):
        opposed.add({("signal", "text"): gradient})
    assert alike.snr("joint") is None  # no spread at all
    assert opposed.snr("joint") == 0.0


def test_noise_alone_has_a_ratio_of_about_one():
    rng, ratios = torch.Generator().manual_seed(0), []
    for _ in range(40):
        sums = Sums()
        for _ in range(8):
            sums.add({("signal", "text"): {"block 1": torch.randn(300, generator=rng)}})
        ratios.append(sums.snr("signal"))
    assert float(np.mean(ratios)) == pytest.approx(1.0, abs=0.05)


def summed(signal_PD: np.ndarray, leak_PD: np.ndarray) -> Sums:
    """Groups with these gradients; factorized is the signal, as where rewards are not scaled."""
    sums = Sums()
    for signal_D, leak_D in zip(torch.as_tensor(signal_PD), torch.as_tensor(leak_PD), strict=True):
        terms = {"signal": signal_D, "leak": leak_D, "factorized": signal_D}
        sums.add({(term, "text"): {"block 1": vector_D} for term, vector_D in terms.items()})
    return sums


def test_progress_is_the_mean_product_over_pairs_of_groups_by_the_lengths_of_the_means():
    signal_PD, leak_PD = np.random.default_rng(4).normal(0.3, 1.0, size=(2, 6, 5))
    sums, joint_PD = summed(signal_PD, leak_PD), signal_PD + leak_PD
    for name, arm_PD in (("joint", joint_PD), ("factorized", signal_PD)):
        pairs = [joint_PD[i] @ arm_PD[j] for i in range(6) for j in range(6) if i != j]
        lengths = np.linalg.norm(joint_PD.mean(axis=0)) * np.linalg.norm(arm_PD.mean(axis=0))
        assert sums.progress(name) == pytest.approx(np.mean(pairs) / lengths)


def test_a_leak_that_is_noise_costs_joint_progress_and_one_that_is_credit_factorized():
    rng = np.random.default_rng(5)
    signal_PD = np.tile(np.eye(40)[0], (8, 1))
    credit = summed(signal_PD, np.tile(np.eye(40)[1], (8, 1)))
    assert credit.progress("joint") == pytest.approx(1)
    assert credit.progress("factorized") == pytest.approx(math.sqrt(0.5))
    noise = [summed(signal_PD, rng.normal(size=(8, 40))) for _ in range(60)]
    of = {name: float(np.mean([sums.progress(name) for sums in noise])) for name in ("joint", "factorized")}
    assert of["factorized"] > 2 * of["joint"] > 0
    nothing = [summed(*rng.normal(size=(2, 8, 40))) for _ in range(200)]
    for name in of:
        assert float(np.mean([sums.progress(name) for sums in nothing])) == pytest.approx(0, abs=0.1)
    assert summed(*np.ones((2, 1, 40))).progress("joint") is None  # of one group


# Memory


def test_the_measurement_forwards_no_more_at_once_than_suits_the_device(monkeypatch):
    many, seen, budget = [trace for group in groups() for trace in group], [], 512
    monkeypatch.setattr(likelihood, "CPU_MAX_TOKENS", budget)

    def note(model, batch, *rest):
        seen.append((len(batch.packed.ids_BL), batch.packed.ids_BL.numel()))
        return score_tokens(model, batch, *rest)

    monkeypatch.setattr(interference_module, "score_tokens", note)
    gradients(MEASURE.assignment, many, assign([many], MEASURE.assignment)[0])
    assert sum(size for _, size in seen) > 2 * budget
    assert all(rows == 1 or size <= budget for rows, size in seen)


# Signs


@cache
def bare_trace() -> Trace:
    """One thought and one edit."""
    problem = replace(make_problem("maze", "easy", 0), turns=0)
    thought = text_segment("right 1 total 1 <edit> r1c1 r1c2", 1)
    edit = Segment("edit", 1, (300,), (), boxes=(Box(1, 1, 1, 1),), cells=(0,))
    return Trace(problem, (300,) * 64, (thought, edit), "out of turns")


def two_segment_trace(text: float, image: float) -> Trace:
    """The same with the given rewards."""
    thought, edit = bare_trace().segments
    return replace(bare_trace(), segments=(replace(thought, reward=text), replace(edit, reward=image)))


@pytest.mark.parametrize("granularity", ["trace", "turn"])
def test_perfectly_correlated_rewards_never_conflict(granularity):
    values = np.random.default_rng(0).normal(size=64)
    group = [two_segment_trace(float(v), float(3 * v + 2)) for v in values]
    found = interference(assign([group], AssignmentConfig("joint", granularity)))
    assert found["sign_conflict"] == 0.0 and found["idle_push"] == 0.0


@pytest.mark.parametrize(("sigma_text", "sigma_image"), [(1.0, 1.0), (0.3, 1.0), (2.0, 0.5)])
def test_independent_gaussian_rewards_conflict_as_the_closed_form_says(sigma_text, sigma_image):
    rng, size = np.random.default_rng(1), 2000
    rewards = np.stack([rng.normal(0, sigma_text, size), rng.normal(0, sigma_image, size)], axis=1)
    group = [two_segment_trace(*map(float, pair)) for pair in rewards]
    rows = assign([group], AssignmentConfig("joint"))[0].segments
    for s, (own, other) in enumerate(((sigma_text, sigma_image), (sigma_image, sigma_text))):
        share = sum(row[s].own * row[s].joint < 0 for row in rows) / size
        wanted = math.atan(other / own) / math.pi
        assert share == pytest.approx(wanted, abs=4 * math.sqrt(wanted * (1 - wanted) / size))


def test_the_most_conflicted_groups_come_first_and_from_different_tasks():
    rng = np.random.default_rng(3)
    rewards = {name: rng.normal(size=(16, 2)) for name in ("much", "also", "none")}
    rewards["none"][:, 1] = rewards["none"][:, 0]
    made = {name: [two_segment_trace(*map(float, pair)) for pair in rows] for name, rows in rewards.items()}
    other = [replace(t, problem=replace(t.problem, task="sudoku")) for t in made["also"]]
    shares = {n: interference(assign([g], MEASURE.assignment))["sign_conflict"] for n, g in made.items()}
    assert shares["none"] == 0 < min(shares["much"], shares["also"])
    rows = [made["none"], made["much"], made["also"], other]
    picked = most_conflicted(rows, MEASURE.assignment, 3)
    assert 0 not in picked and len(picked) == 3
    assert {rows[i][0].problem.task for i in picked[:2]} == {"maze", "sudoku"}


# Rollouts


def test_rollouts_are_a_function_of_the_seed_and_of_no_batch():
    one, two = roll_out(pipe(), MEASURE, SAMPLING), roll_out(pipe(), MEASURE, SAMPLING, batch_size=4)
    assert [[t.segments for t in g] for g in one] == [[t.segments for t in g] for g in two] or all(
        [s.tokens for s in a.segments] == [s.tokens for s in b.segments]
        for x, y in zip(one, two, strict=True)
        for a, b in zip(x, y, strict=True)
    )
    assert {t.problem.split for g in one for t in g} == {"validation"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_generations": 1}, "num_generations must be a whole number from 2"),
        ({"num_problems": 0}, "num_problems must be a whole number from 1"),
        ({"tasks": ("chess",)}, "task must be one of"),
        ({"tasks": ()}, "tasks must name at least one"),
        ({"difficulties": ("brutal",)}, "difficulty must be one of"),
    ],
)
def test_settings_that_cannot_be_measured_are_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        replace(MEASURE, **changes)
