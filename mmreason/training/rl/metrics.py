"""The metrics of a step: what is computed of its rollouts, and which metrics are drawn on the page.

A further one takes an entry in ``OF_GROUPS`` and, to be drawn, one in ``PANELS``, where any metric of
``metrics.jsonl`` may stand by its name.  Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmreason.records import Trace
from mmreason.rewards.assignment import AssignmentConfig, GroupAdvantages
from mmreason.rewards.scores import trace_scores

OfGroup = Callable[[Sequence[Trace], GroupAdvantages, AssignmentConfig], float]


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure of the page; by ``modality``, with a curve of text and one of image."""

    title: str  # per cent where it ends so
    name: str  # of the metric
    by_modality: bool = False
    smooth: bool = True  # False: each point stands for itself
    zeros: bool = False  # True: drawn where it is 0 at every step, too


PANELS = (
    Panel("Leak / signal", "leak_to_signal", smooth=False),  # measured at evaluations only
    Panel("Pushed the wrong way, %", "sign_conflict", zeros=True),
    Panel("Entropy", "entropy", by_modality=True),
    Panel("KL to the start", "kl", by_modality=True),
    Panel("Clipped, %", "clip_ratio", by_modality=True),
)


def scores_of(group: Sequence[Trace], config: AssignmentConfig) -> list[tuple[float, float | None]]:
    """Text and image score of each rollout, as they are learnt from."""
    return [trace_scores(trace, config.text_score, config.image_score) for trace in group]


def _totals(group: Sequence[Trace], config: AssignmentConfig) -> np.ndarray:
    """(G): the weighted scores of both modalities."""
    weights = config.reward_weights
    return np.array(
        [weights["text"] * text + weights["image"] * (image or 0.0) for text, image in scores_of(group, config)]
    )


def _edits(trace: Trace) -> int:
    return sum(segment.kind == "edit" for segment in trace.segments)


OF_GROUPS: dict[str, OfGroup] = {  # the mean over groups is logged
    "reward": lambda group, _, config: float(_totals(group, config).mean()),
    "reward_std": lambda group, _, config: float(_totals(group, config).std(ddof=1)),
    "rewards/text/mean": lambda group, _, config: sum(text for text, _ in scores_of(group, config)) / len(group),
    "success_train": lambda group, *_: sum(trace.success for trace in group) / len(group),
    "frac_reward_zero_std": lambda _, advantages, __: advantages.slots_without_spread / max(1, advantages.slots),
    "turns": lambda group, *_: sum(map(_edits, group)) / len(group),
}


def metrics_of(group: Sequence[Trace], advantages: GroupAdvantages, config: AssignmentConfig) -> dict[str, float]:
    """What is logged of the rollouts of one problem."""
    return {name: of(group, advantages, config) for name, of in OF_GROUPS.items()}
