"""How rewards push anybody's rollouts under joint and factorized assignment; no weights are needed.

Axes: P prompts, G rollouts of a prompt, S segments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from mmreason.records import MODALITIES
from mmreason.rewards.assignment import (
    GRANULARITIES,
    NO_SPREAD,
    AssignmentConfig,
    GroupAdvantages,
    Judged,
    assign_judged,
    interference,
)
from mmreason.rewards.verify import NOTHING_TO_SAY
from mmreason.traces.rollouts import Rollout, Rollouts, mean

MIN_PAIRS = 3  # of rewards, for a correlation


def pushes(found: Rollouts) -> dict[str, Any]:
    """By granularity: shares of segments, σ ratio, the correlation of words' and pictures' rewards, and advantages.

    None for a granularity at which words or pictures have no reward: there is nothing to cross.
    """
    return {granularity: _pushes(found, granularity) for granularity in GRANULARITIES}


def _pushes(found: Rollouts, granularity: str) -> dict[str, Any] | None:
    judged_PG = judged_groups(found, granularity)
    seen = {name for group in judged_PG for one in group for by_name in one.rewards.values() for name in by_name}
    if seen != set(MODALITIES):
        return None
    groups = assign_judged(judged_PG, AssignmentConfig("joint", granularity))
    return {
        **interference(groups),
        "correlation": correlation(judged_PG),
        "slots": sum(group.slots for group in groups),
        "slots_without_spread": sum(group.slots_without_spread for group in groups),
        "advantages_joint": _advantages(groups, "joint"),
        "advantages_factorized": _advantages(groups, "factorized"),
    }


def judged_groups(found: Rollouts, granularity: str) -> list[list[Judged]]:
    """(P)(G) rollouts as assignment sees them."""
    return [[judged_rollout(found, rollout, granularity) for rollout in group] for group in found.groups]


def judged_rollout(found: Rollouts, rollout: Rollout, granularity: str, discount: float = 0.0) -> Judged:
    """One of them.  By turn, a turn's reward is its return: what later turns earned counts ``discount`` times a turn
    less; at 0 each turn stands for itself."""
    modalities = [part.modality for part in rollout.parts]
    if granularity == "trace":
        scores = {name: found.reward_of(rollout, name) for name in MODALITIES}
        known = {name: score for name, score in scores.items() if score is not None}
        whole: dict[Hashable, dict[str, float]] = {"trace": known}
        return Judged(["trace"] * len(modalities), modalities, whole)
    values: dict[Hashable, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for part in rollout.parts:
        if part.reward is not None and not (part.modality == "text" and part.rewards.get(NOTHING_TO_SAY)):
            values[part.turn][part.modality].append(part.reward)
    means = {
        turn: {name: score for name, scores in by_name.items() if (score := mean(scores)) is not None}
        for turn, by_name in values.items()
    }
    if discount > 0:
        means = _returns(means, sorted({part.turn for part in rollout.parts}), discount)
    return Judged([part.turn for part in rollout.parts], modalities, means)


def _returns(
    means: dict[Hashable, dict[str, float]], turns: Sequence[int], discount: float
) -> dict[Hashable, dict[str, float]]:
    """By turn and modality the discounted sum of what this turn and those after it earned, where any was judged."""
    found: dict[Hashable, dict[str, float]] = {}
    for turn in turns:
        later = [(other - turn, means[other]) for other in turns if other >= turn and other in means]
        found[turn] = {
            name: sum(discount**ahead * rewards[name] for ahead, rewards in later if name in rewards)
            for name in MODALITIES
            if any(name in rewards for _, rewards in later)
        }
    return found


def correlation(judged_PG: Sequence[Sequence[Judged]]) -> float | None:
    """Pearson's r of what words and pictures earned in the same slot, each less the mean of its group's slot.

    None below three pairs or without spread.
    """
    pairs: list[tuple[float, float]] = []
    for group in judged_PG:
        slots: dict[Hashable, list[tuple[float, float]]] = defaultdict(list)
        for judged in group:
            for place, rewards in judged.rewards.items():
                if set(MODALITIES) <= set(rewards):
                    slots[place].append((rewards["text"], rewards["image"]))
        for members in slots.values():
            centred = np.array(members) - np.mean(members, axis=0)
            pairs += [(float(text), float(image)) for text, image in centred]
    if len(pairs) < MIN_PAIRS:
        return None
    text, image = np.array(pairs).T
    scale = float(np.sqrt((text**2).sum() * (image**2).sum()))
    return None if scale < NO_SPREAD else float((text * image).sum() / scale)


def _advantages(groups: Sequence[GroupAdvantages], assignment: str) -> list[list[list[float]]]:
    """(P)(G)(S)."""
    return [[[getattr(segment, assignment) for segment in row] for row in group.segments] for group in groups]
