"""Speed as ratios within one run: the cache, the packed likelihood, and a whole GRPO step.

Axes: B traces in a batch, N scored tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from accelerate import Accelerator

from mmreason import limits
from mmreason.layouts.packing import pack, row_length
from mmreason.records import Trace
from mmreason.rewards.assignment import AssignmentConfig, assign
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import make_problem
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.grpo import GRPO
from mmreason.training.rl.likelihood import ScoredTokens, noisy_copies, pack_traces, score_tokens

PEAK_SIZE = 2048  # side of the square product that measures the machine's peak


def stepwise_batches(pipe: InterleavedReasoningPipeline, traces: Sequence[Trace]) -> Iterator[ScoredTokens]:
    """One batch a segment and step, each with the whole clean prefix: no cache, nothing packed.

    This is what a sampler without a prefix cache forwards, and how a likelihood is computed that scores
    every stored state on its own (CJ-GRPO).
    """
    layout = pipe.layout
    asked = [layout.vocabulary.prompt(trace.problem) for trace in traces]
    prefixes = [[layout.problem_piece(prompt, t.canvas_tokens)] for prompt, t in zip(asked, traces, strict=True)]
    units = [layout.units(trace.segments) for trace in traces]
    for u in range(max(map(len, units))):
        alive = [i for i in range(len(traces)) if u < len(units[i])]
        copies = {i: noisy_copies(units[i][u], "trajectory", layout.mask, None) for i in alive}
        for step in range(max(len(copies[i]) for i in alive)):
            rows, entries = [], []
            for i in alive:
                if step >= len(copies[i]):
                    continue
                unit, first = units[i][u], sum(map(len, units[i][:u]))
                ids, positions = copies[i][step]
                start = row_length(prefixes[i])
                tokens = [token for segment in unit for token in segment.tokens]
                owner = [s for s, segment in enumerate(unit, first) for _ in segment.tokens]
                entries += [(len(rows), start + p, tokens[p], i, owner[p]) for p in positions.tolist()]
                rows.append([*prefixes[i], layout.unit_piece(unit, ids, 1)])
            row_N, column_N, token_N, trace_N, segment_N = torch.tensor(entries, dtype=torch.long).T
            is_image_N = torch.tensor([traces[i].segments[s].kind == "edit" for *_, i, s in entries])
            packed = pack(rows, layout.pad)
            yield ScoredTokens(packed, row_N, column_N, token_N, trace_N, segment_N, is_image_N)
        for i in alive:
            prefixes[i].append(layout.clean_piece(*units[i][u]))


def seconds(work: Callable[[], Any]) -> float:
    """Wall seconds of ``work``, device work included."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def matmul_peak(device: torch.device) -> float:
    """FLOPs a second of the best of ten square 32-bit products."""
    a = torch.randn(PEAK_SIZE, PEAK_SIZE, device=device)
    best = min(seconds(lambda: a @ a) for _ in range(10))
    return 2 * PEAK_SIZE**3 / best


def benchmark(
    pipe: InterleavedReasoningPipeline,
    seed: int = 0,
    num_problems: int = 16,
    num_generations: int = 8,
    on_progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Times rollouts, likelihoods and one GRPO step on medium mazes and transforms.

    Returns the policy's mode, seconds of each, ``cache_speedup`` (uncached forwards of the same tokens over cached
    rollouts), ``packing_speedup`` (forward and backward, one forward a segment and step over one packed, in which what
    rollouts have alike stands once),
    ``bf16_speedup`` (a GRPO step without over one with it), ``live_speedup`` (the packed likelihood of all segments
    over that of those with an advantage, factorized by turn, which is what an update needs) and ``utilisation``
    (FLOPs a second of a GRPO step, by formula, over the matrix-multiply peak).
    """
    sampling = SamplingConfig()
    problems = [make_problem(("maze", "transform")[i % 2], "medium", seed, "train", i) for i in range(num_problems)]
    seeds = list(range(num_problems))
    pipe(problems[:2], sampling, seeds[:2], num_generations)  # warm-up
    peak = matmul_peak(pipe.transformer.device)
    on_progress("cached rollouts")
    traces: list[Trace] = []
    cached = seconds(lambda: traces.extend(pipe(problems, sampling, seeds, num_generations).traces))

    verifier = judge_of(pipe)
    scored = [verifier.score(trace) for trace in traces]
    groups = [scored[i : i + num_generations] for i in range(0, len(scored), num_generations)]
    found = assign(groups, AssignmentConfig("factorized", "turn"))
    live = [row for group in found for row in group.live]

    def score(batches: Iterator[ScoredTokens], backward: bool) -> None:
        for batch in batches:
            with torch.set_grad_enabled(backward):
                logp_N = score_tokens(pipe.transformer, batch, pipe.layout, sampling.temperature)
                if backward:
                    logp_N.sum().backward()
        pipe.transformer.zero_grad(set_to_none=True)

    on_progress("uncached rollouts")
    uncached = seconds(lambda: score(stepwise_batches(pipe, traces), backward=False))
    on_progress("stepwise likelihood")
    stepwise = seconds(lambda: score(stepwise_batches(pipe, traces), backward=True))
    on_progress("packed likelihood")
    packed = seconds(lambda: score(pack_traces(traces, pipe.layout), backward=True))
    on_progress("packed likelihood of what has an advantage")
    of_live = seconds(lambda: score(pack_traces(traces, pipe.layout, wanted=live), backward=True))
    on_progress("one GRPO step with bf16 and one without")
    config = GRPOConfig(
        num_problems=num_problems,
        num_generations=num_generations,
        seed=seed,
        learning_rate=limits.LEARNING_RATE.low,
        tasks={"maze": 1.0, "transform": 1.0},
    )
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    metrics: dict[str, Any] = {}

    def step(grpo: GRPO) -> None:
        rollouts = grpo.rollouts(0)
        metrics.update(grpo.rollout_metrics(rollouts) | grpo.update(rollouts, 0))
        metrics["rollout_seconds"] = rollouts.seconds

    half = seconds(lambda: step(GRPO(pipe, replace(config, bf16=True), accelerator)))
    whole = seconds(lambda: step(GRPO(pipe, config, accelerator)))
    flops = metrics["rollout_flops"] + metrics["train_flops"]
    return pipe.layout.recorded | {
        "rollouts": len(traces),
        "threads": torch.get_num_threads(),
        "cached_seconds": cached,
        "uncached_seconds": uncached,
        "cache_speedup": uncached / cached,
        "stepwise_seconds": stepwise,
        "packed_seconds": packed,
        "packing_speedup": stepwise / packed,
        "live_seconds": of_live,
        "live_speedup": packed / of_live,
        "grpo_step_seconds": whole,
        "grpo_rollout_seconds": metrics["rollout_seconds"],
        "bf16_speedup": whole / half,
        "grpo_step_flops": flops,
        "peak_flops_per_second": peak,
        "utilisation": flops / whole / peak,
    }
