"""Users' own rewards: functions ``(trace) -> scores``, one number or None a segment.

``--reward MODULE:FUNCTION`` or ``FILE.py:FUNCTION`` names one, ``=WEIGHT`` after it says how much it counts, and
several add up.  An ``async`` function is awaited for all traces of a step at once; one whose attribute ``batched`` is
true is given all traces of a step in one call, those that are drawn again in another, and gives a list of scores for
each.  What each gives is kept beside the verifier's components, as ``rewards/<name>``.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import numpy as np

from mmreason.errors import ConfigError, RewardError
from mmreason.limits import REWARD_WEIGHT
from mmreason.own_code import file_fingerprint, module_of
from mmreason.records import MAX_REWARD, Modality, Segment, Trace, Verdict
from mmreason.rewards.verify import NOTHING_TO_SAY

Scores = Sequence[float | None]
RewardFunction = Callable[[Trace], Scores]

AT_ONCE = 32  # awaited scores
COMPONENT = "rewards/"  # begins the component that a reward's score is
TAKEN = get_args(Modality)  # names: rewards/text/mean is the verifier's

_BESIDE, _LOOP = ThreadPoolExecutor(1, "awaited-scores"), asyncio.Runner()  # one of each for the process


@dataclass(frozen=True, slots=True)
class Reward:
    """A function of the user's, what it is called, and how much it counts."""

    name: str
    function: Callable[..., Any]
    weight: float = 1.0
    path: str = ""  # of one that was named: as it was, without its weight

    @property
    def batched(self) -> bool:
        """Is it given all traces at once?"""
        return bool(getattr(self.function, "batched", False))

    @property
    def component(self) -> str:
        return f"{COMPONENT}{self.name}"

    @property
    def source(self) -> str:
        """As ``--reward`` has it."""
        weight = "" if self.weight == 1 else f"={self.weight:g}"
        return (self.path or f"{self._named.__module__}:{self._named.__qualname__}") + weight

    @property
    def fingerprint(self) -> str:
        """Of the file in which it is written."""
        return file_fingerprint(self._named)

    @property
    def _named(self) -> Any:
        """The function, or the class of a callable without a name."""
        return self.function if hasattr(self.function, "__qualname__") else type(self.function)


def load_reward(path: str) -> Reward:
    """The function named ``module:function`` or ``file.py:function``, ``=weight`` after it; raises ConfigError."""
    where, _, last = path.rpartition(":")
    name, equals, weight = last.partition("=")
    if not where or not name:
        raise ConfigError(f"reward must read module:function, got {path!r}")
    counts = REWARD_WEIGHT.check(weight, f"the weight of reward {name!r}") if equals else 1.0
    try:
        function = getattr(module_of(where) if where.endswith(".py") else importlib.import_module(where), name)
    except (Exception, SystemExit) as error:  # a module of the user's may fail in any way while it is imported
        raise ConfigError(f"reward {path!r} cannot be imported: {error}") from error
    if not callable(function):
        raise ConfigError(f"reward {path!r} must be a function of a trace, got {type(function).__name__}")
    return Reward(name, function, counts, f"{where}:{name}")


def load_rewards(paths: Sequence[str]) -> list[Reward]:
    """Several, each by a name of its own; raises ConfigError."""
    rewards = [load_reward(path) for path in paths]
    names = [reward.name for reward in rewards]
    for name in names:
        if name in TAKEN:
            raise ConfigError(
                f"reward must name functions that are not called {' or '.join(TAKEN)}, as the verifier's own rewards "
                f"are, got {name!r}"
            )
        if names.count(name) > 1:
            raise ConfigError(f"reward must name functions that are called differently, got {name!r} twice")
    return rewards


def add_rewards_to(traces: Sequence[Trace], functions: Sequence[Reward | RewardFunction]) -> list[Trace]:
    """Add the weighted scores of ``functions`` to the segments' rewards; None leaves a segment as it is.

    Each sees the traces as the verifier left them.  Raises RewardError, naming the function, the problem and what it
    gave, if one fails or gives what is no score.
    """
    rewards = [as_reward(each) for each in functions]
    given = [(reward, _all_scores(reward, traces)) for reward in rewards]
    out = []
    for i, trace in enumerate(traces):
        segments = list(trace.segments)
        for reward, scores in given:
            for s, score in enumerate(scores[i]):
                if score is not None:
                    segments[s] = _with_reward(segments[s], score, reward)
                    if abs(segments[s].reward or 0.0) > MAX_REWARD:
                        raise RewardError(
                            f"reward {reward.name} must give scores of at most {MAX_REWARD:.0e} in size, "
                            f"got {score}{_on(trace)}"
                        )
        out.append(replace(trace, segments=tuple(segments)))
    return out


def as_reward(function: Reward | RewardFunction) -> Reward:
    """A plain function as a reward that counts once."""
    if isinstance(function, Reward):
        return function
    return Reward(getattr(function, "__name__", repr(function)), function)


def _all_scores(reward: Reward, traces: Sequence[Trace]) -> list[list[float | None]]:
    """What ``reward`` gives for each trace, checked."""
    where = _on(traces[0]) if traces else ""
    try:
        given = reward.function(list(traces)) if reward.batched else [_tried(reward, trace) for trace in traces]
        if inspect.isawaitable(given):
            given = _awaited(_one(given))
        elif not reward.batched and any(inspect.isawaitable(each) for each in given):
            given = _awaited(_together(reward, given, traces))
        if reward.batched:
            given = _listed(given)
    except RewardError:
        raise
    except (Exception, SystemExit) as error:  # a function of the user's may fail in any way
        raise RewardError(f"reward {reward.name} failed{where}: {type(error).__name__}: {error}") from error
    if not isinstance(given, list) or len(given) != len(traces):
        got = f"{len(given)}" if isinstance(given, list) else _got(given)
        raise RewardError(f"reward {reward.name} must give scores for each of the {len(traces)} traces, got {got}")
    return [_scores(each, reward.name, trace) for each, trace in zip(given, traces, strict=True)]


def _tried(reward: Reward, trace: Trace) -> Any:
    try:
        given = reward.function(trace)
        return given if inspect.isawaitable(given) else _listed(given)
    except (Exception, SystemExit) as error:
        raise RewardError(f"reward {reward.name} failed{_on(trace)}: {type(error).__name__}: {error}") from error


def _awaited(given: Coroutine[Any, Any, Any]) -> Any:
    """What ``given`` comes to, on a loop that lives on, so that a client keeps its connections from step to step.

    It runs in a thread of its own, for where one runs here already, as in a notebook.
    """
    return _BESIDE.submit(_LOOP.run, given).result()


async def _one(given: Awaitable[Any]) -> Any:
    return await given


async def _together(reward: Reward, given: Sequence[Any], traces: Sequence[Trace]) -> list[Any]:
    """Awaits some at a time; the first that fails is told of, and the others are dropped."""
    some = asyncio.Semaphore(AT_ONCE)

    async def one(each: Any, trace: Trace) -> Any:
        async with some:
            try:
                return await each if inspect.isawaitable(each) else each
            except (Exception, SystemExit) as error:
                reason = f"{type(error).__name__}: {error}"
                raise RewardError(f"reward {reward.name} failed{_on(trace)}: {reason}") from error

    tasks = [asyncio.ensure_future(one(each, trace)) for each, trace in zip(given, traces, strict=True)]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _scores(given: Any, name: str, trace: Trace) -> list[float | None]:
    """What a function gave for ``trace``, checked: a finite number or None a segment."""
    scores, wanted = _listed(given), len(trace.segments)
    if not isinstance(scores, list):
        raise RewardError(f"reward {name} must give a list of scores, got {_got(given)}{_on(trace)}")
    if len(scores) != wanted:
        raise RewardError(f"reward {name} must give one score a segment ({wanted}), got {len(scores)}{_on(trace)}")
    return [None if score is None else _number(score, name, trace) for score in scores]


def _listed(given: Any) -> Any:
    """Scores as a list; what is none, or has keys or no order, as it is."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, Mapping | Set) else given


def _got(given: Any) -> str:
    return type(given).__name__ if isinstance(given, Mapping | Set) else repr(given)


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


def _with_reward(segment: Segment, score: float, reward: Reward) -> Segment:
    """``segment`` with the weighted score added, so that it counts where the verifier alone left it out."""
    verdict = segment.verdict or Verdict(False, "judged by rewards of one's own alone")
    kept = {name: value for name, value in verdict.components.items() if name != NOTHING_TO_SAY}
    verdict = replace(verdict, components={**kept, reward.component: score})
    return replace(segment, reward=(segment.reward or 0.0) + reward.weight * score, verdict=verdict)
