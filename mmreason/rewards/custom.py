"""Users' own rewards: plain functions ``(trace) -> scores``, one number or None a segment."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from mmreason.errors import ConfigError, RewardError
from mmreason.records import MAX_REWARD, Segment, Trace
from mmreason.rewards.verify import NOTHING_TO_SAY

RewardFunction = Callable[[Trace], Sequence[float | None]]


def load_reward(path: str) -> RewardFunction:
    """The function named ``module:function``; raises ConfigError."""
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise ConfigError(f"reward must read module:function, got {path!r}")
    try:
        function = getattr(importlib.import_module(module_name), name)
    except (Exception, SystemExit) as error:  # a module of the user's may fail in any way while it is imported
        raise ConfigError(f"reward {path!r} cannot be imported: {error}") from error
    if not callable(function):
        raise ConfigError(f"reward {path!r} must be a function of a trace, got {type(function).__name__}")
    return cast(RewardFunction, function)


def add_rewards(trace: Trace, functions: Sequence[RewardFunction]) -> Trace:
    """Add the scores of ``functions`` to the segments' rewards; None leaves a segment as it is.

    Raises RewardError, naming the function, the problem and what it gave, if one fails or gives what is no score.
    """
    segments = list(trace.segments)
    for function in functions:
        name = getattr(function, "__name__", repr(function))
        for i, score in enumerate(_scores(function, name, trace)):
            if score is not None:
                segments[i] = _with_reward(segments[i], score)
                if abs(segments[i].reward or 0.0) > MAX_REWARD:
                    raise RewardError(
                        f"reward {name} must give scores of at most {MAX_REWARD:.0e} in size, got {score}{_on(trace)}"
                    )
    return replace(trace, segments=tuple(segments))


def _scores(function: RewardFunction, name: str, trace: Trace) -> list[float | None]:
    """What ``function`` gives for ``trace``, checked: a finite number or None a segment."""
    try:
        given = function(trace)
        scores = list(given) if isinstance(given, Iterable) else None
    except (Exception, SystemExit) as error:  # a function of the user's may fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise RewardError(f"reward {name} failed{_on(trace)}: {reason}") from error
    if scores is None:
        raise RewardError(f"reward {name} must give a list of scores, got {given!r}{_on(trace)}")
    wanted = len(trace.segments)
    if len(scores) != wanted:
        raise RewardError(f"reward {name} must give one score a segment ({wanted}), got {len(scores)}{_on(trace)}")
    return [None if score is None else _number(score, name, trace) for score in scores]


def _number(score: object, name: str, trace: Trace) -> float:
    try:
        if isinstance(score, str | bytes | bool | np.bool_):
            raise TypeError
        number = float(cast(Any, score))
    except (TypeError, ValueError, RuntimeError, OverflowError):  # RuntimeError: of a tensor with several numbers
        raise RewardError(f"reward {name} must give numbers or None, got {score!r}{_on(trace)}") from None
    if not math.isfinite(number):
        raise RewardError(f"reward {name} must give finite scores, got {number}{_on(trace)}")
    return number


def _on(trace: Trace) -> str:
    """Which problem it was, so that it can be made again."""
    problem = trace.problem
    whence = [
        f"{what} {value}" for what in ("seed", "split", "index") if (value := getattr(problem, what)) is not None
    ]
    return f" on {problem.task} ({', '.join([problem.difficulty, *whence])})"


def _with_reward(segment: Segment, number: float) -> Segment:
    """``segment`` with ``number`` added to its reward, so that it counts where the verifier alone left it out."""
    verdict = segment.verdict
    if verdict is not None and NOTHING_TO_SAY in verdict.components:
        others = {name: score for name, score in verdict.components.items() if name != NOTHING_TO_SAY}
        verdict = replace(verdict, components=others)
    return replace(segment, reward=(segment.reward or 0.0) + number, verdict=verdict)
