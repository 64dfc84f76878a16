"""How much each modality's reward pushes the other's tokens: signal and leak of joint's gradient.

With d_m = w_m (r_m − mean of its slot) joint's advantage is (d_own + d_other) / (σ_joint + ε).  So joint's
gradient at ratio 1, without KL, is exactly

    signal   Σ w d_own   / (σ_joint + ε) ∇ log π      each modality's own reward on its own tokens
    leak     Σ w d_other / (σ_joint + ε) ∇ log π      the crossed terms

and the factorized arm's differs from the signal by σ_joint / σ_own alone.  Gradients point uphill.

The leak is not noise alone: it holds what a segment does to the other modality's reward, as the words of a turn do to
its picture.  Factorized leaves out both, the noise and that.  Which of them weighs more is told by the *progress* of a
step along either gradient.

Axes: P problems, G rollouts in a group, N scored tokens.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import DIFFICULTIES, MODALITIES, Trace
from mmreason.rewards.assignment import (
    EPSILON,
    NO_SPREAD,
    AssignmentConfig,
    GroupAdvantages,
    SegmentAdvantage,
    assign,
    interference,
)
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import problem_seed
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import FIRST_TASKS, task_named
from mmreason.training.rl.config import LossConfig
from mmreason.training.rl.likelihood import pack_traces, score_tokens, token_budget
from mmreason.training.rl.loss import TokenCounts, constant_lengths, sharing_tokens, token_counts, token_weights
from mmreason.training.validation import held_out

USE = "interference"  # which of a problem's random streams its rollouts take
TERMS: dict[str, Callable[[SegmentAdvantage], float]] = {
    "signal": lambda s: _over(s.own, s.sigma_joint),
    "leak": lambda s: _over(s.other, s.sigma_joint),
    "factorized": lambda s: s.factorized,
}

Gradient = dict[str, torch.Tensor]  # layer → flat vector


def _over(centred: float, sigma: float) -> float:
    """As the advantage scales its sum; the whole is zero where joint has no spread."""
    return 0.0 if sigma < NO_SPREAD else centred / (sigma + EPSILON)


@dataclass(frozen=True, slots=True)
class MeasureConfig:
    """Which rollouts, and which advantages are compared."""

    tasks: Sequence[str] = FIRST_TASKS
    difficulties: Sequence[str] = ("medium", "hard")
    num_problems: int = 12  # groups in all, split evenly over tasks and difficulties
    num_generations: int = 8
    seed: int = 0
    assignment: AssignmentConfig = field(default_factory=lambda: AssignmentConfig("joint"))
    loss: LossConfig = field(default_factory=LossConfig)  # how tokens are weighed

    def __post_init__(self) -> None:
        for limit in (limits.NUM_PROBLEMS, limits.NUM_GENERATIONS, limits.SEED):
            limit.check(getattr(self, limit.name))
        for name in ("tasks", "difficulties"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must name at least one, got none")
        for task in self.tasks:
            task_named(task)
        for difficulty in self.difficulties:
            if difficulty not in DIFFICULTIES:
                raise ConfigError(f"difficulty must be one of {', '.join(DIFFICULTIES)}, got {str(difficulty)[:40]!r}")


def roll_out(
    pipe: InterleavedReasoningPipeline, config: MeasureConfig, sampling: SamplingConfig, batch_size: int = 64
) -> list[list[Trace]]:
    """Scored groups (P)(G) on validation problems, each problem with its own random stream."""
    problems = held_out(config.tasks, config.difficulties, config.num_problems, config.seed, "validation")
    seeds = [problem_seed(USE, config.seed, problem) for problem in problems]
    verifier, groups = judge_of(pipe), []
    at_once, size = max(1, batch_size // config.num_generations), config.num_generations
    for start in range(0, len(problems), at_once):
        stop = start + at_once
        traces = pipe(problems[start:stop], sampling, seeds[start:stop], size).traces
        scored = [verifier.score(trace) for trace in traces]
        groups += [scored[i : i + size] for i in range(0, len(scored), size)]
    return groups


def measure(
    pipe: InterleavedReasoningPipeline,
    groups: Sequence[Sequence[Trace]],
    config: MeasureConfig,
    temperature: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Leak against signal over ``groups`` of scored traces, in all, by modality, by layer and by task.

    ``leak_to_signal`` and ``cosine`` compare the summed gradients; None if there is no signal.
    ``snr_joint``, ``snr_signal`` (joint without its leak) and ``snr_factorized`` are lengths of the mean
    gradient over groups, in units of its standard error: about 1 is noise alone; None below two groups.
    ``progress_joint`` and ``progress_factorized`` tell how steeply a step along either mean gradient goes up joint's
    objective: the product of joint's gradient and the arm's, of different groups, so that noise is no agreement, over
    the lengths of both means; 1 without noise or leak, about 0 of noise alone.  Joint's own is 1 − 1 / ``snr_joint``².
    """
    advantages = assign(groups, config.assignment)
    counts = token_counts([trace for group in groups for trace in group])
    sums = Sums()
    for done, (group, group_advantages) in enumerate(zip(groups, advantages, strict=True), start=1):
        sums.add(group_gradients(pipe, group, group_advantages, counts, config, temperature))
        if on_progress is not None:
            on_progress(done, len(groups))
    by_task: dict[str, list[GroupAdvantages]] = defaultdict(list)
    for group, group_advantages in zip(groups, advantages, strict=True):
        by_task[group[0].problem.task].append(group_advantages)
    return {
        **sums.compare(),
        **interference(advantages),
        "snr_joint": sums.snr("joint"),
        "snr_signal": sums.snr("signal"),
        "snr_factorized": sums.snr("factorized"),
        "progress_joint": sums.progress("joint"),
        "progress_factorized": sums.progress("factorized"),
        "by_modality": {modality: sums.compare((modality,)) for modality in MODALITIES},
        "layers": [
            {"name": layer, **sums.compare(layers=(layer,))}
            | {modality: sums.compare((modality,), (layer,)) for modality in MODALITIES}
            for layer in layer_names(pipe.transformer)
        ],
        "by_task": {task: interference(found) for task, found in by_task.items()},
        "groups": len(groups),
        "groups_with_spread": sum(a.slots > a.slots_without_spread for a in advantages),
        "rollouts": sum(map(len, groups)),
        "success": sum(t.success for group in groups for t in group) / max(1, sum(map(len, groups))),
    }


def group_gradients(
    pipe: InterleavedReasoningPipeline,
    group: Sequence[Trace],
    advantages: GroupAdvantages,
    counts: dict[str, TokenCounts],
    config: MeasureConfig,
    temperature: float,
) -> dict[tuple[str, str], Gradient]:
    """Gradient of each (term, modality of the tokens) of one group; terms that are zero throughout are left out."""
    model = pipe.transformer
    parameters = [p.requires_grad_(True) for _, p in trained(model)]
    gradients: dict[tuple[str, str], list[torch.Tensor]] = {}
    values = {term: [[of(s) for s in row] for row in advantages.segments] for term, of in TERMS.items()}
    lengths = constant_lengths(pipe.layout.text_length, pipe.layout.num_cells)
    factors = {modality: _factor(group, advantages, modality) for modality in MODALITIES}
    if not any(value for rows in values.values() for row in rows for value in row):
        return {}
    for batch in pack_traces(group, pipe.layout, "trajectory", token_budget(model.device)):
        logp_N = score_tokens(model, batch, pipe.layout, temperature)
        where = list(zip(batch.trace_N.tolist(), batch.segment_N.tolist(), strict=True))
        tokens_N = sharing_tokens([(group[t], s) for t, s in where], config.loss)
        weight_N = token_weights(batch.is_image_N, tokens_N, counts, config.loss, lengths)
        for modality, chosen_N in (("text", ~batch.is_image_N), ("image", batch.is_image_N)):
            for term, rows in values.items():
                push_N = weight_N * torch.tensor([rows[t][s] for t, s in where], dtype=torch.float64)
                pull_N = torch.where(chosen_N, push_N, 0.0)
                if not bool(pull_N.any()) or (term == "factorized" and factors[modality] is not None):
                    continue
                found = torch.autograd.grad(
                    logp_N, parameters, pull_N.to(logp_N), retain_graph=True, materialize_grads=True
                )
                kept = gradients.setdefault((term, modality), [torch.zeros_like(p) for p in parameters])
                for total, gradient in zip(kept, found, strict=True):
                    total += gradient
    for modality, factor in factors.items():
        if factor is not None and ("signal", modality) in gradients:
            gradients["factorized", modality] = [factor * vector for vector in gradients["signal", modality]]
    return {key: by_layer(model, found) for key, found in gradients.items()}


def _factor(group: Sequence[Trace], advantages: GroupAdvantages, modality: str) -> float | None:
    """factorized / signal where it is one number for all segments of ``modality``; it spares a backward pass."""
    ratios = []
    for trace, row in zip(group, advantages.segments, strict=True):
        for segment, numbers in zip(trace.segments, row, strict=True):
            signal, factorized = TERMS["signal"](numbers), numbers.factorized
            if segment.modality == modality and (signal or factorized):
                ratios.append(factorized / signal if signal else math.inf)
    alike = bool(ratios) and max(ratios) - min(ratios) <= 1e-9 * max(ratios) < math.inf
    return ratios[0] if alike else None


def trained(model: InterleavedDiffusionModel) -> list[tuple[str, torch.nn.Parameter]]:
    """The weights that reinforcement learning changes; the auxiliary head is the supervised stage's."""
    return [(name, p) for name, p in model.named_parameters() if not name.startswith("hint")]


def layer_of(name: str) -> str:
    """The layer of a weight in the words of the page."""
    parts = name.split(".")
    if parts[0] == "blocks":
        return f"block {int(parts[1]) + 1}"
    return "output" if parts[0] in ("norm", "output") else "embeddings"


def layer_names(model: InterleavedDiffusionModel) -> list[str]:
    """From input to output."""
    return ["embeddings", *(f"block {i + 1}" for i in range(model.config.num_hidden_layers)), "output"]


def by_layer(model: InterleavedDiffusionModel, gradients: Sequence[torch.Tensor]) -> Gradient:
    """One flat vector a layer."""
    parts: dict[str, list[torch.Tensor]] = defaultdict(list)
    for (name, _), gradient in zip(trained(model), gradients, strict=True):
        parts[layer_of(name)].append(gradient.flatten())
    return {layer: torch.cat(found) for layer, found in parts.items()}


class Sums:
    """Gradients summed over groups, and the products within groups that a standard error needs."""

    def __init__(self) -> None:
        self.total: dict[tuple[str, str], Gradient] = {}
        names = ("joint", "signal", "factorized")
        self.within = {(name, name): 0.0 for name in names} | {("joint", "factorized"): 0.0}
        self.groups = 0

    def add(self, gradients: Mapping[tuple[str, str], Gradient]) -> None:
        """Add one group's gradients; a group without spread has none, and counts."""
        self.groups += 1
        for key, gradient in gradients.items():
            kept = self.total.setdefault(key, {})
            for layer, vector in gradient.items():
                kept[layer] = kept[layer] + vector if layer in kept else vector
        arms = {name: arm(gradients, name) for name in ("joint", "signal", "factorized")}
        for one, other in self.within:
            self.within[one, other] += _dot(arms[one], arms[other])

    def compare(self, modalities: Sequence[str] = MODALITIES, layers: Sequence[str] | None = None) -> dict[str, Any]:
        """Length of leak over signal and the cosine between them, on some tokens and layers."""
        total = {key: gradient for key, gradient in self.total.items() if key[1] in modalities}
        signal, leak = arm(total, "signal", layers), arm(total, "leak", layers)
        along, own, other = _dot(signal, leak), math.sqrt(_dot(signal, signal)), math.sqrt(_dot(leak, leak))
        return {
            "leak_to_signal": other / own if own else None,
            "cosine": along / (own * other) if own and other else None,
        }

    def snr(self, name: str) -> float | None:
        """Length of the mean over groups in units of its standard error."""
        total, n = arm(self.total, name), self.groups
        length = _dot(total, total)
        variance = (self.within[name, name] - length / n) / (n - 1) if n > 1 else 0.0
        return math.sqrt(length / n / variance) if variance > 0 else None

    def progress(self, name: str) -> float | None:
        """Mean product of joint's gradient and that of ``name`` over pairs of groups, by the lengths of both means."""
        joint, own, n = arm(self.total, "joint"), arm(self.total, name), self.groups
        lengths = math.sqrt(_dot(joint, joint) * _dot(own, own))
        if n < 2 or not lengths:
            return None
        return (_dot(joint, own) - self.within["joint", name]) / (n - 1) * n / lengths


def arm(gradients: Mapping[tuple[str, str], Gradient], name: str, layers: Sequence[str] | None = None) -> Gradient:
    """The whole gradient of a term over both modalities' tokens; ``joint`` is signal and leak together."""
    terms = ("signal", "leak") if name == "joint" else (name,)
    whole: Gradient = {}
    for (term, _), gradient in gradients.items():
        for layer, vector in gradient.items() if term in terms else ():
            if layers is None or layer in layers:
                whole[layer] = whole[layer] + vector if layer in whole else vector
    return whole


def _dot(a: Gradient, b: Gradient) -> float:
    return sum(float(a[layer].double() @ b[layer].double()) for layer in a.keys() & b.keys())


def most_conflicted(groups: Sequence[Sequence[Trace]], config: AssignmentConfig, count: int) -> list[int]:
    """Indices of the ``count`` groups with the largest share of segments pushed against their own reward,
    at most one a task while there are other tasks left."""
    shares = [interference([found])["sign_conflict"] for found in assign(groups, config)]
    ranked = sorted((i for i, share in enumerate(shares) if share > 0), key=lambda i: (-shares[i], i))
    first: list[int] = []
    for i in ranked:
        if all(groups[i][0].problem.task != groups[j][0].problem.task for j in first):
            first.append(i)
    return (first + [i for i in ranked if i not in first])[:count]
