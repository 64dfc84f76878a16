"""What rollouts cost, measured: four arms on the same problems, in one run.

    ar_full          autoregressive, redraws the whole image after each thought
    ar_local         autoregressive, draws the stated region only
    diffusion_full   masked diffusion, redraws the whole image
    diffusion_local  masked diffusion, draws the stated region only

Or, of two diffusion policies, what seeing everything costs: one in blocks, whose prefixes are cached exactly, and one
of full attention, which forwards its whole view at every step.

Costs are means over rollouts.  A problem is encoded once and shared by its group, in every arm; finished rows leave
the batch, padding costs attention only, and masked products count.  What is only encoded, for others to look back at,
costs nothing after the last layer's attention, in every arm.  Seconds on one thread of a CPU are the processor's, so
that neighbours on the machine do not matter.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmreason.analysis.cost.workload import (
    ARMS,
    Workload,
    floor_flops,
    forward_passes,
    rollout_flops,
    tokens_forwarded,
)
from mmreason.analysis.statistics import wilson
from mmreason.errors import ConfigError
from mmreason.layouts.cells import clean_length
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.flops import forward_flops
from mmreason.records import GRID, Problem, Trace
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import problem_seed
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.seeds import numpy_generator
from mmreason.training.hardware import fair_clock
from mmreason.training.rl.likelihood import pack_traces
from mmreason.training.validation import success_by_task

COMPARED = ("flops", "tokens_forwarded", "forward_passes", "seconds", "seconds_single", "update_flops")
FRONTIER_STEPS = (1, 2, 3, 4, 8)
FRONTIER_THRESHOLDS = (0.5, 0.8, 0.9, 0.95, 0.99)
DRAWS = 2000  # of the bootstrap

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """A policy and the region that it redraws."""

    name: str
    pipe: InterleavedReasoningPipeline
    region: str

    def settings(self, config: SamplingConfig) -> SamplingConfig:
        """``config`` with this arm's region."""
        return replace(config, region=self.region)  # pyright: ignore[reportArgumentType]


def check_compared(pipe: InterleavedReasoningPipeline, attention: str = "blocks") -> None:
    """Refuse a policy of another geometry or mode than those that are compared.  Raises ConfigError."""
    layout = pipe.layout
    if not pipe.one_code_a_cell or layout.joint or layout.attention != attention:
        turn, (rows, columns) = "joint" if layout.joint else "interleaved", layout.grid
        raise ConfigError(
            f"checkpoint must draw {GRID} × {GRID} cells of one token each, in interleaved turns, with attention in "
            f"{attention}, to be compared arm by arm; got {rows} × {columns} tokens, {turn} turns and "
            f"{layout.attention}"
        )


def four_arms(base: InterleavedReasoningPipeline, ar: InterleavedReasoningPipeline) -> list[Arm]:
    """The arms in the order of ``ARMS``; ``ar`` may be ``base`` where no autoregressive arm is looked at.

    Raises ConfigError for policies that cannot be compared.
    """
    if base.transformer.config.causal or not (ar is base or ar.transformer.config.causal):
        kinds = ["an autoregressive" if pipe.transformer.config.causal else "a diffusion" for pipe in (base, ar)]
        raise ConfigError(
            "checkpoint must be a diffusion policy and ar an autoregressive one, "
            f"got {kinds[0]} policy and {kinds[1]} one"
        )
    for pipe in (base, ar):
        check_compared(pipe)
    return [
        Arm(name, ar if name.startswith("ar") else base, "full" if name.endswith("full") else "stated")
        for name in ARMS
    ]


def two_attentions(base: InterleavedReasoningPipeline, full: InterleavedReasoningPipeline) -> list[Arm]:
    """A diffusion policy in blocks and one of full attention, with either edit; raises ConfigError for others."""
    check_compared(base)
    check_compared(full, "full")
    regions = {"full": "full", "local": "stated"}
    policies = {"blocks": base, "whole": full}
    return [Arm(f"{name}_{edit}", pipe, regions[edit]) for name, pipe in policies.items() for edit in regions]


def measure(
    arms: Sequence[Arm],
    problems: Sequence[Problem],
    config: SamplingConfig,
    seed: int,
    num_generations: int,
    batch_size: int,
    on_progress: Progress = lambda name, done, total: None,
) -> dict[str, tuple[list[Trace], float]]:
    """Scored traces of each arm, and its seconds; the arms take turns at every batch of rollouts."""
    out: dict[str, tuple[list[Trace], float]] = {arm.name: ([], 0.0) for arm in arms}
    clock = fair_clock()
    verifiers = {arm.name: judge_of(arm.pipe) for arm in arms}
    per_batch = max(1, batch_size // num_generations)
    for start in range(0, len(problems), per_batch):
        batch = problems[start : start + per_batch]
        seeds = [problem_seed("compute", seed, problem) for problem in batch]  # the same for every arm
        for arm in arms:
            began = clock()
            traces = arm.pipe(batch, arm.settings(config), seeds, num_generations).traces
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds = clock() - began
            done, before = out[arm.name]
            done += [verifiers[arm.name].score(trace) for trace in traces]
            out[arm.name] = (done, before + seconds)
            on_progress(arm.name, start + len(batch), len(problems))
    return out


def arm_summary(arm: Arm, traces: Sequence[Trace], seconds: float, num_generations: int) -> dict[str, Any]:
    """Costs a rollout, and success with its interval."""
    count = len(traces)
    success = success_by_task(traces)
    steps = {
        kind: [len(s.frames) for t in traces for s in t.segments if s.modality == kind] for kind in ("text", "image")
    }
    return {
        "flops": sum(t.cost.flops for t in traces) / count,
        "forward_passes": sum(t.cost.forward_passes for t in traces) / count,
        "tokens_forwarded": sum(t.cost.tokens_forwarded for t in traces) / count,
        "seconds": seconds / count,
        "success": success["mean"],
        "ci95": success_interval(traces, num_generations),
        "success_by_task": {task: rate for task, rate in success.items() if task != "mean"},
        "rollouts": count,
        "turns": sum(s.kind == "edit" for t in traces for s in t.segments) / count,
        "text_steps": float(np.mean(steps["text"])),
        "image_steps": float(np.mean(steps["image"])) if steps["image"] else None,
        "floor_flops": sum(trace_floor(arm.pipe, t, num_generations) for t in traces) / count,
        "update_flops": 3 * likelihood_flops(arm.pipe, traces) / count,
    }


def success_interval(traces: Sequence[Trace], num_generations: int) -> list[float]:
    """95 % bootstrap interval of the mean success over tasks; problems are drawn, with their whole groups.

    With one rollout a problem: the Wilson score interval, which also holds for rates near 0 and 1.
    """
    if num_generations == 1:
        return list(wilson(success_by_task(traces)["mean"], len(traces)))
    rates: dict[str, list[float]] = {}
    for start in range(0, len(traces), num_generations):
        group = traces[start : start + num_generations]
        rates.setdefault(group[0].problem.task, []).append(sum(t.success for t in group) / len(group))
    rng = numpy_generator("bootstrap", len(traces))
    means = np.mean(
        [rng.choice(values, (DRAWS, len(values))).mean(axis=1) for values in map(np.array, rates.values())], axis=0
    )
    return [float(bound) for bound in np.quantile(means, (0.025, 0.975))]


def clean_lengths(pipe: InterleavedReasoningPipeline, trace: Trace) -> list[int]:
    """Tokens that each segment of ``trace`` keeps."""
    end = pipe.vocabulary.end
    return [len(s.tokens) if s.kind == "edit" else clean_length(s.tokens, end) for s in trace.segments]


def trace_floor(pipe: InterleavedReasoningPipeline, trace: Trace, num_generations: int) -> float:
    """FLOPs if every token that ``trace`` keeps were forwarded once, seeing what came before it."""
    config, given = pipe.transformer.config, len(trace.canvas_tokens)
    encoding = forward_flops(config, 1, 1 + given, 0, 0, wanted=0) / num_generations
    return encoding + sum(forward_flops(config, 1, 1, given + i, 1) for i in range(sum(clean_lengths(pipe, trace))))


def likelihood_flops(pipe: InterleavedReasoningPipeline, traces: Sequence[Trace]) -> float:
    """FLOPs of one forward that scores ``traces``, as in training; a whole update costs three times this."""
    config = pipe.transformer.config
    total = 0.0
    if config.causal:
        for trace in traces:
            generated = sum(clean_lengths(pipe, trace))
            length = 1 + len(trace.canvas_tokens) + generated
            total += forward_flops(config, 1, length, 0, generated, wanted=generated)
        return total
    for batch in pack_traces(traces, pipe.layout):
        total += batch.flops(config)
    return total


def frontier(
    arms: Sequence[Arm],
    problems: Sequence[Problem],
    config: SamplingConfig,
    seed: int,
    num_generations: int,
    batch_size: int,
    on_progress: Progress = lambda name, done, total: None,
) -> list[dict[str, Any]]:
    """Success against FLOPs of the diffusion arms, by steps a segment and by threshold; groups as of the arms."""
    points = []
    settings = [(steps, None) for steps in FRONTIER_STEPS] + [(None, tau) for tau in FRONTIER_THRESHOLDS]
    for arm in (arm for arm in arms if not arm.pipe.transformer.config.causal):
        for steps, threshold in settings:
            name = f"{arm.name}, {f'{steps} steps' if steps else f'threshold {threshold}'}"
            setting = replace(config, num_steps=steps, threshold=threshold)

            def show(_: str, done: int, total: int, name: str = name) -> None:
                on_progress(name, done, total)

            one = measure([arm], problems, setting, seed, num_generations, batch_size, show)
            summary = arm_summary(arm, *one[arm.name], num_generations)
            kept = ("flops", "forward_passes", "tokens_forwarded", "success", "ci95", "text_steps", "image_steps")
            points.append(
                {"arm": arm.name, "num_steps": steps, "threshold": threshold} | {k: summary[k] for k in kept}
            )
    return points


def unlearned(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """A sentence for each arm whose policy solves less than half of what it solves in its other format."""
    notes = {}
    for family in ("ar", "diffusion"):
        full, local = f"{family}_full", f"{family}_local"
        for arm, other in ((full, local), (local, full)):
            mine, best = rows[arm]["success"], rows[other]["success"]
            if mine < best / 2:
                notes[arm] = (
                    f"This policy solves {100 * mine:.0f} % in this format and {100 * best:.0f} % in its other "
                    "one: it has not learned this format, so only its cost means anything here."
                )
    return notes


def typical_load(traces: Sequence[Trace], pipe: InterleavedReasoningPipeline, num_generations: int) -> Workload:
    """The sizes of a typical rollout, from those of a diffusion arm that draws locally."""
    texts = [
        (n, s) for t in traces for n, s in zip(clean_lengths(pipe, t), t.segments, strict=True) if s.modality == "text"
    ]
    edits = [s for t in traces for s in t.segments if s.modality == "image"]
    return Workload(
        turns=max(1, round(len(edits) / len(traces))),
        region=max(1, round(float(np.mean([len(s.tokens) for s in edits])))) if edits else 1,
        thought=max(1, round(float(np.mean([n for n, _ in texts])))),
        text_steps=float(np.mean([len(s.frames) for _, s in texts])),
        image_steps=float(np.mean([len(s.frames) for s in edits])) if edits else 1.0,
        num_generations=num_generations,
    )


def arms_by_formula(config: InterleavedDiffusionConfig, load: Workload) -> dict[str, dict[str, float]]:
    """FLOPs, tokens and passes of every arm for one workload, and the floor of its format."""
    return {
        arm: {
            "flops": rollout_flops(config, arm, load),
            "tokens_forwarded": tokens_forwarded(arm, load),
            "forward_passes": forward_passes(arm, load),
            "floor_flops": floor_flops(config, arm.endswith("local"), load),
        }
        for arm in ARMS
    }


def peak_memory(checkpoint: str, problems: Sequence[Problem], config: SamplingConfig, num_generations: int) -> int:
    """Bytes that a batch of rollouts adds to a fresh process at its peak (on a GPU: what torch allocated)."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_of, checkpoint, list(problems), config, num_generations).result()


def _peak_of(checkpoint: str, problems: list[Problem], config: SamplingConfig, generations: int) -> int:
    pipe = InterleavedReasoningPipeline.from_pretrained(checkpoint)
    _ = pipe.sheet
    pipe(problems[:1], replace(config, max_turns=1), [0], 1)  # what the first forward leaves for good
    if torch.cuda.is_available():
        pipe.to("cuda")
        torch.cuda.reset_peak_memory_stats()
        pipe(problems, config, [0] * len(problems), generations)
        return torch.cuda.max_memory_allocated()
    before = _high_water()
    pipe(problems, config, [0] * len(problems), generations)
    return _high_water() - before


def _high_water() -> int:
    """Bytes of memory that this process has held at most."""
    try:  # ru_maxrss would begin with what the parent held
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def side_by_side(
    arms: Sequence[Arm],
    problems: Sequence[Problem],
    config: SamplingConfig,
    seed: int,
    num_generations: int,
    batch_size: int,
    num_single: int,
    on_progress: Progress = lambda name, done, total: None,
) -> tuple[dict[str, dict[str, Any]], dict[str, list[Trace]]]:
    """What each arm costs and solves, ``seconds_single`` of ``num_single`` of the problems alone; and its traces."""
    single = problems[:: max(1, len(problems) // num_single)][:num_single]
    for arm in arms:  # the first call of a policy pays for what later ones find ready
        arm.pipe(single[:1], arm.settings(config), [0], 1)
    batched = measure(arms, problems, config, seed, num_generations, batch_size, on_progress)
    alone = measure(arms, single, config, seed, 1, 1, lambda n, d, t: on_progress(f"{n} alone", d, t))
    rows = {}
    for arm in arms:
        traces, seconds = batched[arm.name]
        rows[arm.name] = arm_summary(arm, traces, seconds, num_generations)
        rows[arm.name]["seconds_single"] = alone[arm.name][1] / len(single)
    return rows, {name: traces for name, (traces, _) in batched.items()}


def comparison(rows: Mapping[str, Any], load: Workload, config: InterleavedDiffusionConfig) -> dict[str, Any]:
    """Of the four arms' ``rows``, ``flops_reduction`` (1 − diffusion_local over ar_full) and the time ratios.

    ``load`` holds the sizes of a typical rollout of ``diffusion_local``; ``config`` those of its policy.
    """
    full, local = rows["ar_full"], rows["diffusion_local"]
    return {
        "arms": rows,
        "flops_reduction": 1 - local["flops"] / full["flops"],
        "time_ratio": full["seconds"] / local["seconds"],
        "time_ratio_single": full["seconds_single"] / local["seconds_single"],
        "success_difference": local["success"] - full["success"],
        "notes": unlearned(rows),
        "workload": asdict(load),
        "formula": arms_by_formula(config, load),
    }


def attention_cost(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Of the arms of ``two_attentions``, ``times``: by edit, how often full attention costs what blocks do."""
    times = {
        edit: {cost: rows[f"whole_{edit}"][cost] / rows[f"blocks_{edit}"][cost] for cost in COMPARED}
        for edit in ("full", "local")
    }
    return {"arms": rows, "times": times}
