"""The cost formulas against what real rollouts count, and these against torch's own counter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from accelerate import Accelerator
from torch.utils.flop_counter import FlopCounterMode

from mmreason.analysis.cost.scaling import break_even_share, scaling
from mmreason.analysis.cost.workload import (
    ARMS,
    Workload,
    floor_flops,
    forward_passes,
    rollout_flops,
    tokens_forwarded,
)
from mmreason.errors import ConfigError
from mmreason.records import MAX_TEXT_TOKENS
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import make_problem
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.grpo import GRPO
from tests.helpers.policies import pipeline_of, scripted_policy, talking_policy

TURNS = 3
SHAPE = Workload(
    turns=TURNS, region=3, thought=6, text_slots=MAX_TEXT_TOKENS, text_steps=3, image_steps=3, num_generations=1
)


def scripted(arm: str) -> InterleavedReasoningPipeline:
    return pipeline_of(scripted_policy(causal=arm.startswith("ar")))


def settings(arm: str) -> SamplingConfig:
    return SamplingConfig(num_steps=3, max_turns=TURNS, region="full" if arm.endswith("full") else "stated")


@pytest.mark.parametrize("slots", [MAX_TEXT_TOKENS, 7])
@pytest.mark.parametrize("arm", ARMS)
def test_the_formula_of_an_arm_is_what_a_rollout_of_that_shape_counts(arm, slots):
    pipe, shape = scripted(arm), replace(SHAPE, text_slots=slots)
    pipe.layout.text_slots = {"maze": slots}
    (trace,) = pipe([make_problem("maze", "easy", 5)], settings(arm), [0]).traces
    assert trace.cost.flops == pytest.approx(rollout_flops(pipe.transformer.config, arm, shape))
    assert trace.cost.tokens_forwarded == tokens_forwarded(arm, shape)
    assert trace.cost.forward_passes == forward_passes(arm, shape)


@pytest.mark.parametrize("arm", ARMS)
def test_a_rollouts_account_is_within_one_percent_of_torchs_counter(arm):
    pipe = scripted(arm)
    pipe.transformer.set_attn_implementation("eager")
    problem = make_problem("maze", "easy", 5)
    pipe.encode_image(problem.image)  # the image tokenizer is no part of the account
    with FlopCounterMode(display=False) as counter:
        traces = pipe([problem], settings(arm), [0], 3).traces
    assert sum(t.cost.flops for t in traces) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_a_grpo_steps_account_is_within_one_percent_of_torchs_counter():
    pipe = pipeline_of(talking_policy())
    pipe.transformer.set_attn_implementation("eager")
    config = GRPOConfig(num_problems=2, num_generations=3, sampling=SamplingConfig(num_steps=2, max_turns=2))
    grpo = GRPO(pipe, config, Accelerator(cpu=True))
    grpo.rollouts(0)  # the image tokenizer has seen the problems
    with FlopCounterMode(display=False) as counter:
        rollouts = grpo.rollouts(0)
        metrics = grpo.rollout_metrics(rollouts) | grpo.update(rollouts, 0)
    assert metrics["rollout_flops"] + metrics["train_flops"] == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_a_group_encodes_its_problem_once():
    pipe = scripted("diffusion_local")
    problem = make_problem("maze", "easy", 5)
    traces = pipe([problem], settings("diffusion_local"), [0], 4).traces
    expected = rollout_flops(pipe.transformer.config, "diffusion_local", replace(SHAPE, num_generations=4))
    assert sum(t.cost.flops for t in traces) / 4 == pytest.approx(expected)


def test_no_arm_is_cheaper_than_the_floor_of_what_it_draws():
    config = scripted_policy().config
    for load in (SHAPE, replace(SHAPE, text_steps=1, image_steps=1), replace(SHAPE, region=64, num_generations=8)):
        for arm in ARMS:
            assert rollout_flops(config, arm, load) >= floor_flops(config, arm.endswith("local"), load)


def test_fewer_steps_smaller_regions_and_fewer_turns_cost_less_and_a_full_redraw_is_the_largest_region():
    config = scripted_policy().config
    base = rollout_flops(config, "diffusion_local", SHAPE)
    for smaller in ({"text_steps": 2}, {"image_steps": 1}, {"region": 2}, {"turns": 2}, {"num_generations": 4}):
        assert rollout_flops(config, "diffusion_local", replace(SHAPE, **smaller)) < base
    whole = replace(SHAPE, region=SHAPE.canvas)
    for family in ("ar", "diffusion"):
        assert rollout_flops(config, f"{family}_local", whole) == rollout_flops(config, f"{family}_full", whole)


def test_where_every_step_redraws_everything_ar_with_a_cache_is_cheaper():
    config = scripted_policy().config
    for load in (SHAPE, replace(SHAPE, text_steps=1, image_steps=1)):
        assert rollout_flops(config, "ar_full", load) < rollout_flops(config, "diffusion_full", load)
    share = break_even_share(config, SHAPE)
    assert share is not None and 0 < share < 1
    at = replace(SHAPE, region=round(share * SHAPE.canvas))
    below = replace(at, region=at.region - 1)
    assert rollout_flops(config, "diffusion_local", at) >= rollout_flops(config, "ar_full", at)
    assert rollout_flops(config, "diffusion_local", below) < rollout_flops(config, "ar_full", below)


@pytest.mark.slow
def test_the_scaling_table_agrees_with_the_formula_it_stands_for():
    config = scripted_policy().config
    rows = scaling(config, SHAPE)
    assert {row["model"] for row in rows} == {"this one", "0.1 billion", "1 billion", "8 billion"}
    for row in rows[:5]:
        load = replace(SHAPE, canvas=row["canvas"], turns=row["turns"], region=max(1, round(row["region_share"] * 64)))
        assert row["flops"] == {arm: rollout_flops(config, arm, load) for arm in ARMS}


@pytest.mark.parametrize("wrong", [{"region": 65}, {"turns": 0}, {"text_steps": 0.5}, {"image_steps": float("nan")}])
def test_an_impossible_workload_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Workload(**wrong)
