"""Users' own rewards: plain functions ``(trace) -> scores``, one number or None a segment."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from mmreason.errors import ConfigError
from mmreason.records import Segment, Trace
from mmreason.rewards.verify import NOTHING_TO_SAY

RewardFunction = Callable[[Trace], Sequence[float | None]]


def load_reward(path: str) -> RewardFunction:
    """The function named ``module:function``; raises ConfigError."""
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ConfigError(f"reward must read module:function, got {path!r}")
    try:
        function = getattr(importlib.import_module(module_name), name)
    except Exception as error:  # a module of the user's may fail in any way while it is imported
        raise ConfigError(f"reward {path!r} cannot be imported: {error}") from error
    if not callable(function):
        raise ConfigError(f"reward {path!r} must be a function of a trace, got {type(function).__name__}")
    return cast(RewardFunction, function)


def add_rewards(trace: Trace, functions: Sequence[RewardFunction]) -> Trace:
    """Add the scores of ``functions`` to the segments' rewards; None leaves a segment as it is."""
    segments = list(trace.segments)
    for function in functions:
        name, scores = getattr(function, "__name__", repr(function)), function(trace)
        try:
            scores = list(scores)
        except TypeError:
            raise ConfigError(f"reward {name} must give a list of scores, got {scores!r}") from None
        if len(scores) != len(segments):
            raise ConfigError(f"reward {name} must give one score a segment ({len(segments)}), got {len(scores)}")
        for i, score in enumerate(scores):
            if score is None:
                continue
            try:
                number = float(score)
            except (TypeError, ValueError):
                raise ConfigError(f"reward {name} must give numbers or None, got {score!r}") from None
            if not math.isfinite(number):
                raise ConfigError(f"reward {name} must give finite scores, got {number}")
            segments[i] = _with_reward(segments[i], number)
    return replace(trace, segments=tuple(segments))


def _with_reward(segment: Segment, number: float) -> Segment:
    """``segment`` with ``number`` added to its reward, so that it counts where the verifier alone left it out."""
    verdict = segment.verdict
    if verdict is not None and NOTHING_TO_SAY in verdict.components:
        others = {name: score for name, score in verdict.components.items() if name != NOTHING_TO_SAY}
        verdict = replace(verdict, components=others)
    return replace(segment, reward=(segment.reward or 0.0) + number, verdict=verdict)
