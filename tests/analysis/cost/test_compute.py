"""The four arms in one run, on tiny policies: shared problems, honest sums, and notes where an arm is unlearned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmreason.__main__ import main
from mmreason.analysis.cost.compute import (
    COMPARED,
    attention_cost,
    clean_lengths,
    comparison,
    four_arms,
    frontier,
    measure,
    peak_memory,
    side_by_side,
    success_interval,
    two_attentions,
    typical_load,
    unlearned,
)
from mmreason.analysis.cost.workload import ARMS
from mmreason.errors import ConfigError
from mmreason.sampling.config import SamplingConfig
from mmreason.training.validation import held_out
from tests.helpers.policies import pipeline_of, scripted_policy

CONFIG = SamplingConfig(num_steps=3, max_turns=2)
PROBLEMS = held_out(["maze", "jigsaw"], ["easy"], 4, 3, "test")


@pytest.fixture(scope="module")
def arms():
    return four_arms(pipeline_of(scripted_policy()), pipeline_of(scripted_policy(causal=True)))


def test_the_arms_are_named_as_their_policies_generate(tmp_path, capsys):
    diffusion, causal = pipeline_of(scripted_policy()), pipeline_of(scripted_policy(causal=True))
    assert [arm.pipe for arm in four_arms(diffusion, diffusion)] == [diffusion] * 4
    for base, ar in ((diffusion, pipeline_of(scripted_policy())), (causal, causal), (causal, diffusion)):
        with pytest.raises(ConfigError, match="checkpoint must be a diffusion policy and ar an autoregressive one"):
            four_arms(base, ar)
    diffusion.save_pretrained(tmp_path / "base")
    policies = ["--checkpoint", str(tmp_path / "base"), "--ar", str(tmp_path / "base")]
    for command, out in (("race", "--out"), ("compute", "--output")):
        assert main([command, out, str(tmp_path / "out.json"), *policies]) == 2
        assert "got a diffusion policy and a diffusion one" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


@pytest.fixture(scope="module")
def result(arms):
    rows, traces = side_by_side(arms, PROBLEMS, CONFIG, 0, num_generations=2, batch_size=4, num_single=2)
    pipe = arms[-1].pipe
    return comparison(rows, typical_load(traces["diffusion_local"], pipe, 2), pipe.transformer.config)


def test_every_arm_is_measured_on_the_same_rollouts(result):
    assert list(result["arms"]) == list(ARMS)
    assert {row["rollouts"] for row in result["arms"].values()} == {8}


def test_the_ratios_are_those_of_the_arms(result):
    full, local = result["arms"]["ar_full"], result["arms"]["diffusion_local"]
    assert result["flops_reduction"] == 1 - local["flops"] / full["flops"]
    assert result["time_ratio"] == full["seconds"] / local["seconds"]
    assert result["time_ratio_single"] == full["seconds_single"] / local["seconds_single"]


def test_costs_do_not_depend_on_how_rollouts_alike_are_batched(arms):
    one = measure(arms, PROBLEMS, CONFIG, 0, 2, 2)
    many = measure(arms, PROBLEMS, CONFIG, 0, 2, 100)
    for name in ARMS:
        a, b = ([t.cost.flops for t in traces[name][0]] for traces in (one, many))
        assert a == pytest.approx(b)
        a, b = ([[s.tokens for s in t.segments] for t in traces[name][0]] for traces in (one, many))
        assert a == b


def test_no_arm_is_below_its_floor_and_ar_alone_is_at_it(result):
    for name, row in result["arms"].items():
        assert row["flops"] >= row["floor_flops"] * (1 - 1e-9)
        assert (row["flops"] == pytest.approx(row["floor_flops"])) is name.startswith("ar")


def test_the_frontier_costs_more_with_every_step(arms):
    points = frontier(arms, PROBLEMS[:2], CONFIG, 0, 2, 4)
    assert {point["arm"] for point in points} == {"diffusion_full", "diffusion_local"}
    for arm in ("diffusion_full", "diffusion_local"):
        flops = [p["flops"] for p in points if p["arm"] == arm and p["num_steps"]]
        assert flops == sorted(flops) and flops[0] < flops[-1]


def test_the_frontier_at_an_arms_own_setting_is_that_arm(arms):
    """Prompts are shared by groups of the same size, so that its points stand beside the arms."""
    measured = measure(arms, PROBLEMS[:2], replace(CONFIG, num_steps=2, threshold=None), 0, 2, 4)
    points = {(p["arm"], p["num_steps"]): p for p in frontier(arms, PROBLEMS[:2], CONFIG, 0, 2, 4)}
    for name in ("diffusion_full", "diffusion_local"):
        flops = [trace.cost.flops for trace in measured[name][0]]
        assert points[name, 2]["flops"] == pytest.approx(sum(flops) / len(flops))


def test_an_arm_whose_format_was_not_learned_is_named():
    rows = {name: {"success": 0.8} for name in ARMS} | {"diffusion_full": {"success": 0.1}}
    assert list(unlearned(rows)) == ["diffusion_full"]
    assert unlearned({name: {"success": 0.5} for name in ARMS}) == {}


def test_the_interval_draws_whole_groups(arms):
    traces = measure(arms[:1], PROBLEMS, CONFIG, 0, 2, 8)["ar_full"][0]
    low, high = success_interval(traces, 2)
    assert 0 <= low <= high <= 1


@pytest.mark.slow
def test_peak_memory_grows_with_the_batch(tmp_path):
    folder = tmp_path / "checkpoint"
    pipeline_of(scripted_policy()).save_pretrained(folder)
    few, many = (peak_memory(str(folder), PROBLEMS[:1] * n, CONFIG, 8) for n in (1, 16))
    assert 0 <= few < many


# What full attention costs beside blocks


@pytest.fixture(scope="module")
def both():
    return two_attentions(pipeline_of(scripted_policy()), pipeline_of(scripted_policy(attention="full")))


def test_full_attention_forwards_all_that_is_there_at_every_step(both):
    problems = PROBLEMS[:2]
    for arm in both[2:]:
        for trace in measure([arm], problems, CONFIG, 0, 1, 1)[arm.name][0]:
            there, forwarded = 1 + len(trace.canvas_tokens), 0
            for segment, kept in zip(trace.segments, clean_lengths(arm.pipe, trace), strict=True):
                forwarded += len(segment.frames) * (there + len(segment.tokens))
                there += kept
            assert trace.cost.tokens_forwarded == forwarded


def test_full_attention_never_costs_less_and_is_so_many_times_as_dear(both):
    result = attention_cost(side_by_side(both, PROBLEMS, CONFIG, 0, 2, 4, 2)[0])
    assert list(result["arms"]) == ["blocks_full", "blocks_local", "whole_full", "whole_local"]
    for edit, times in result["times"].items():
        blocks, whole = result["arms"][f"blocks_{edit}"], result["arms"][f"whole_{edit}"]
        assert times == {cost: whole[cost] / blocks[cost] for cost in COMPARED}
        assert all(times[cost] > 1 for cost in ("flops", "tokens_forwarded", "update_flops"))


def test_only_one_policy_of_each_attention_is_compared(both):
    blocks, whole = both[0].pipe, both[2].pipe
    for pair in ((whole, blocks), (blocks, blocks), (whole, whole)):
        with pytest.raises(ConfigError, match="attention in"):
            two_attentions(*pair)
