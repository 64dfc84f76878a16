"""Group-relative policy optimization of interleaved traces: one update.

Source: GRPO (Shao et al. 2024, arXiv 2402.03300), with advantages by segment.

Axes: P problems, G rollouts in a group, S segments, N scored tokens.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from mmreason.errors import ConfigError, RewardError
from mmreason.records import Problem, Trace
from mmreason.rewards.assignment import GroupAdvantages, assign, interference
from mmreason.rewards.custom import Reward, RewardFunction, add_rewards_to, as_reward
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.seeds import derive_seed, numpy_generator
from mmreason.tasks import make_problem
from mmreason.training.hardware import is_shared
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.curriculum import Curriculum, Outcome, outcomes_of
from mmreason.training.rl.learner import CellsLearner, Learner, Scored
from mmreason.training.rl.loss import TokenCounts, sharing_tokens, token_counts, token_loss, token_weights
from mmreason.training.rl.metrics import metrics_of, scores_of
from mmreason.training.rl.views import ViewsLearner

MEANS = (("kl", "scored", "kl"), ("entropy", "tokens", "entropy"), ("clip_ratio", "scored", "clipped"))  # of, sum


def step_problems(
    config: GRPOConfig, step: int, curriculum: Curriculum | None = None, again: int = 0
) -> list[tuple[Problem, int]]:
    """The problems of a step, over all processes, each with the seed of its rollouts.

    ``again`` counts from 1 those that come in place of problems without spread.
    """
    keys: list[int | str] = ["again", again] if again else []
    rng = numpy_generator("grpo", config.seed, step, *keys)
    chosen = []
    for p in range(config.num_problems):
        task = _draw(config.tasks, rng.random())
        weights = curriculum.weights(task, config.difficulties) if curriculum is not None else config.difficulties
        difficulty = _draw(weights, rng.random())
        index = step * config.num_problems + p
        problem = make_problem(task, difficulty, derive_seed("grpo", config.seed, *keys), "train", index)
        chosen.append((problem, derive_seed("rollouts", config.seed, index, *keys)))
    return chosen


def _draw(weights: Mapping[str, float], share: float) -> str:
    left = share * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return list(weights)[-1]


def _sampled(traces: Sequence[Trace]) -> dict[str, float]:
    """The sums that an update adds to, with what is known before it: tokens and their −log π as sampled."""
    sums = {"loss": 0.0, "flops": 0.0}
    for modality in ("text", "image"):
        segments = [s for trace in traces for s in trace.segments if s.modality == modality]
        sums |= {f"{name}/{modality}": 0.0 for name in ("scored", "kl", "clipped")}
        sums[f"tokens/{modality}"] = float(sum(len(s.tokens) for s in segments))
        sums[f"entropy/{modality}"] = -sum(s.logprob for s in segments)
    return sums


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What a step learns from, on this process."""

    groups: list[list[Trace]]  # (P)(G)
    advantages: list[GroupAdvantages]  # (P)
    counts: dict[str, TokenCounts]  # by modality, over all processes
    seconds: float
    outcomes: list[Outcome] = field(default_factory=list)  # of all groups, those that were replaced included
    resampled: int = 0  # groups that were replaced, as their rewards were all the same
    dropped_flops: float = 0.0  # of their rollouts

    @property
    def traces(self) -> list[Trace]:
        return [trace for group in self.groups for trace in group]


class GRPO:
    """Rolls out, scores and updates; holds the policy, its reference and the optimizer."""

    def __init__(
        self,
        pipe: InterleavedReasoningPipeline | ViewsPipeline,
        config: GRPOConfig,
        accelerator: Accelerator,
        reference: Any = None,
        reward_functions: Sequence[Reward | RewardFunction] = (),
    ) -> None:
        """``reference`` is what KL is measured from, for a public checkpoint found by itself."""
        self.learner: Learner
        if isinstance(pipe, ViewsPipeline):
            self.learner = learner = ViewsLearner(pipe, config, accelerator.device if is_shared(accelerator) else None)
            reference = learner.reference() if config.loss.beta else None
        else:
            self.learner = CellsLearner(pipe, config)
        self.pipe, self.config, self.accelerator = pipe, config, accelerator
        self.policy, self.reference = self.learner.policy, reference
        self.rewards = [as_reward(each) for each in reward_functions]
        self.curriculum = Curriculum() if config.curriculum else None
        self.verifier = judge_of(pipe)
        self.parameters = self.learner.parameters()
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
        )
        if accelerator.num_processes > config.num_problems:
            raise ConfigError(
                f"num_problems must be at least the {accelerator.num_processes} processes, got {config.num_problems}"
            )
        for reward in self.rewards:
            if reward.batched and accelerator.num_processes > 1:
                raise ConfigError(
                    f"reward {reward.name} must be given all traces of a step, being batched: train in one process, "
                    f"got {accelerator.num_processes}"
                )

    def rollouts(self, step: int) -> Rollouts:
        """Roll out and score this process's share of the step's problems.

        Raises RewardError, in all processes where one of them has it: none waits for another that is gone.
        """
        began, config, world = time.perf_counter(), self.config, self.accelerator.num_processes
        self.policy.eval()
        share = failed = None
        try:
            share = self._share(step)
        except RewardError as error:
            failed = error
        self.learner.meet()
        if self._sum(torch.tensor([float(failed is not None)])).item():
            raise failed or RewardError("a reward failed in another process")
        assert share is not None
        groups, advantages, outcomes, resampled, dropped = share
        traces = [trace for group in groups for trace in group]
        if config.assignment.scale_rewards == "batch" and world > 1:
            everyone = gather_object(groups)
            first = sum(gather_object([len(groups)])[: self.accelerator.process_index])
            advantages = assign(everyone, config.assignment)[first : first + len(groups)]
        seconds = time.perf_counter() - began
        return Rollouts(groups, advantages, token_counts(traces, self._sum), seconds, outcomes, resampled, dropped)

    def _share(self, step: int) -> tuple[list[list[Trace]], list[GroupAdvantages], list[Outcome], int, float]:
        """Groups, advantages and outcomes of this process's problems, and what resampling replaced and dropped."""
        config = self.config
        mine = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        groups = self._groups(step_problems(config, step, self.curriculum)[mine])
        advantages, outcomes = assign(groups, config.assignment), outcomes_of(groups)
        resampled, dropped = 0, 0.0
        for again in range(1, config.resample + 1):
            flat = [g for g, found in enumerate(advantages) if not any(any(row) for row in found.live)]
            if not flat:
                break
            others = step_problems(config, step, self.curriculum, again)[mine]
            replaced = self._groups([others[g] for g in flat])
            outcomes += outcomes_of(replaced)
            resampled, dropped = resampled + len(flat), dropped + sum(t.cost.flops for g in flat for t in groups[g])
            for g, group in zip(flat, replaced, strict=True):
                groups[g] = group
            advantages = assign(groups, config.assignment)
        return groups, advantages, outcomes, resampled, dropped

    def _groups(self, chosen: Sequence[tuple[Problem, int]]) -> list[list[Trace]]:
        """Scored rollouts of each problem."""
        with self.learner.half():
            traces = self._roll_out([problem for problem, _ in chosen], [seed for _, seed in chosen])
        traces = add_rewards_to([self.verifier.score(trace) for trace in traces], self.rewards)
        size = self.config.num_generations
        return [traces[i : i + size] for i in range(0, len(traces), size)]

    def _roll_out(self, problems: Sequence[Problem], seeds: Sequence[int]) -> list[Trace]:
        """``num_generations`` traces a problem, some problems at a time."""
        size, traces = self.config.num_generations, []
        at_once = max(1, self.learner.at_once // size)
        for start in range(0, len(problems), at_once):
            here = slice(start, start + at_once)
            traces += self.pipe(problems[here], self.config.sampling, seeds[here], size).traces
        return traces

    def _sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of ``values`` over all processes."""
        return cast(torch.Tensor, self.accelerator.reduce(values.to(self.accelerator.device), "sum"))

    def update(self, rollouts: Rollouts, step: int) -> dict[str, float]:
        """``num_iterations`` optimizer steps on the rollouts; returns the metrics of the last.

        Where there is no KL, segments of zero advantage have no gradient and are not scored: ``clip_ratio``, ``kl``
        and ``order_changed`` are of scored tokens.  ``entropy`` is the mean of −log π over all tokens as they were
        sampled, an estimate of the rollout policy's.
        ``skipped`` counts the steps left out, and ``train_flops`` is of all iterations.  ``order_changed`` is the
        share of denoising steps, of one packed batch, that would commit other positions after the update.
        """
        config, traces = self.config, rollouts.traces
        rngs = [  # a function of the trace, whichever process has it
            numpy_generator("likelihood", config.seed, step, trace.problem.index or 0, i % config.num_generations)
            for i, trace in enumerate(traces)
        ]
        live = None if config.loss.beta else [row for group in rollouts.advantages for row in group.live]
        batches = self.learner.batches(traces, rngs, live)
        terms = [self._terms(batch, rollouts) for batch in batches]
        old: list[tuple[torch.Tensor, torch.Tensor | None] | None] = [None] * len(batches)
        metrics = {"skipped": 0.0, "train_flops": 0.0}
        self.policy.train()
        for _ in range(config.num_iterations):
            sums = _sampled(traces)
            for i, (batch, (advantage_N, weight_N)) in enumerate(zip(batches, terms, strict=True)):
                old[i] = self._accumulate(batch, advantage_N, weight_N, old[i], sums)
            self.learner.meet()
            before = metrics
            metrics = self._optimizer_step(step, sums)
            for name in ("skipped", "train_flops"):
                metrics[name] += before[name]
        self.policy.eval()
        if config.likelihood == "trajectory":
            counts = (0, 0, 0.0)  # what is committed in one step has no order
            if batches and config.sampling.num_steps != 1:
                batch = batches[len(batches) // 2]
                with self.learner.half():
                    counts = self.learner.changed_orders(batch)
            self.learner.meet()
            changed, steps, flops = self._sum(torch.tensor(counts, dtype=torch.float64)).tolist()
            metrics["order_changed"] = changed / max(1.0, steps)
            metrics["train_flops"] += flops
        return metrics

    def _terms(self, batch: Scored, rollouts: Rollouts) -> tuple[torch.Tensor, torch.Tensor]:
        """Advantage and weight of every scored token, (N,) each."""
        size = self.config.num_generations
        traces = rollouts.traces
        where = list(zip(batch.trace_N.tolist(), batch.segment_N.tolist(), strict=True))
        advantage_N = torch.tensor(
            [rollouts.advantages[t // size].segments[t % size][s].advantage for t, s in where], dtype=torch.float32
        )
        tokens_N = sharing_tokens([(traces[t], s) for t, s in where], self.config.loss)
        weight_N = token_weights(batch.is_image_N, tokens_N, rollouts.counts, self.config.loss, self.learner.lengths)
        return advantage_N, weight_N * self.learner.shares(batch)

    def _accumulate(
        self,
        batch: Scored,
        advantage_N: torch.Tensor,
        weight_N: torch.Tensor,
        before: tuple[torch.Tensor, torch.Tensor | None] | None,
        sums: dict[str, float],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Add one batch's gradient and metrics; returns the log-probabilities of the old policy and the reference.

        They are ``before`` in the iterations that follow the first.
        """
        config, device = self.config, self.learner.device
        advantage_N, weight_N = advantage_N.to(device), weight_N.to(device)
        old_logp_N, ref_logp_N = before or (None, None)
        asks = before is None and bool(config.loss.beta) and self.reference is not None
        if asks:  # apart: autocast keeps what it has rounded, and without gradients here
            with self.learner.half():
                ref_logp_N = self.learner.score_reference(self.reference, batch)
        with self.learner.half():
            logp_N = self.learner.score(batch)
        if old_logp_N is None:
            old_logp_N = logp_N.detach()
        terms = token_loss(logp_N, old_logp_N, advantage_N, config.loss, ref_logp_N)
        loss = (weight_N * terms.loss_N).sum()
        loss.backward()
        sums["loss"] += float(loss.detach())
        for modality, chosen_N in (("text", ~batch.is_image_N), ("image", batch.is_image_N)):
            chosen_N = chosen_N.to(device)
            for name, value_N in (
                ("scored", torch.ones_like(terms.kl_N)),
                ("kl", terms.kl_N),
                ("clipped", terms.clipped_N.float()),
            ):
                sums[f"{name}/{modality}"] += float(value_N[chosen_N].sum())
        sums["flops"] += self.learner.flops(batch, asks)
        return old_logp_N, ref_logp_N

    def _optimizer_step(self, step: int, sums: dict[str, float]) -> dict[str, float]:
        """Sum gradients over processes, step unless something is not finite, and make metrics of the sums."""
        config, accelerator = self.config, self.accelerator
        names = sorted(sums)
        totals = self._sum(torch.tensor([sums[name] for name in names], dtype=torch.float64))
        total = dict(zip(names, totals.tolist(), strict=True))
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if accelerator.num_processes > 1:
                parameter.grad = self._sum(parameter.grad)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm)
        finite = bool(torch.isfinite(norm)) and math.isfinite(total["loss"])
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = config.rate(step)
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        metrics = {"loss": total["loss"], "grad_norm": float(norm), "skipped": float(not finite)}
        for modality in ("text", "image"):
            for name, of, key in MEANS:
                metrics[f"{name}/{modality}"] = total[f"{key}/{modality}"] / max(1.0, total[f"{of}/{modality}"])
        for name, of, key in MEANS:
            whole = "clip_ratio/region_mean" if name == "clip_ratio" else name
            summed, counted = (sum(total[f"{k}/{m}"] for m in ("text", "image")) for k in (key, of))
            metrics[whole] = summed / max(1.0, counted)
        return metrics | {"train_flops": total["flops"]}

    def rollout_metrics(self, rollouts: Rollouts) -> dict[str, Any]:
        """Of the groups of all processes means of rewards, success and spread, and their interference."""
        rows: list[dict[str, Any]] = []
        images: list[float] = []  # traces whose edits are all null have no image reward
        config = self.config.assignment
        for group, advantages in zip(rollouts.groups, rollouts.advantages, strict=True):
            images += [image for _, image in scores_of(group, config) if image is not None]
            row = metrics_of(group, advantages, config)
            rows.append(row | {"rollout_flops": sum(trace.cost.flops for trace in group)})
        rows, images = gather_object(rows), gather_object(images)
        means: dict[str, float | None] = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
        means["rewards/image/mean"] = sum(images) / len(images) if images else None
        flops = sum(row["rollout_flops"] for row in rows) + sum(gather_object([rollouts.dropped_flops]))
        means |= {"rollout_flops": flops, **interference(gather_object(rollouts.advantages))}
        means |= self._own_rewards(rollouts)
        if self.config.resample:
            means["resampled"] = sum(gather_object([rollouts.resampled]))
        if self.curriculum is not None:
            self.curriculum.update(gather_object(rollouts.outcomes))
            means |= self.curriculum.metrics(self.config.tasks, self.config.difficulties)
        return means

    def _own_rewards(self, rollouts: Rollouts) -> dict[str, float | None]:
        """The mean score of each of the user's rewards over the segments that it judged."""
        means: dict[str, float | None] = {}
        for reward in self.rewards:
            components = [s.verdict.components for t in rollouts.traces for s in t.segments if s.verdict is not None]
            scores = gather_object([found[reward.component] for found in components if reward.component in found])
            means[f"rewards/{reward.name}/mean"] = sum(scores) / len(scores) if scores else None
        return means
