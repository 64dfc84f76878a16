"""Held-out evaluation: how often a policy solves fresh problems, and what that costs."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from mmreason import limits
from mmreason.analysis.pictures import PICTURES, Replaced, says_the_answer
from mmreason.analysis.statistics import mean_interval, wilson
from mmreason.analysis.statistics import pass_at as pass_at_k
from mmreason.errors import ConfigError
from mmreason.records import DIFFICULTIES, Cost, Trace, mean_rewards
from mmreason.sampling.config import SamplingConfig
from mmreason.tasks import task_named
from mmreason.training.validation import answers_by_task, held_out, solve_problems, success_by_task

BOOTSTRAP = "percentile bootstrap over problems, or the Wilson score interval where all have 0 or all have 1"
WILSON = "Wilson score interval of the mean, over all problems"


def evaluate(
    pipe: Any,
    tasks: Sequence[str],
    difficulties: Sequence[str],
    num_problems: int,
    seed: int,
    config: SamplingConfig,
    batch_size: int = 64,
    split: str = "test",
    on_progress: Callable[[int, int], None] | None = None,
    pass_at: Sequence[int] = (),
    pictures: str = "own",
    on_traces: Callable[[Sequence[Trace]], None] | None = None,
) -> dict[str, Any]:
    """Solve ``num_problems`` fresh problems, split evenly over tasks and difficulties, and score them.

    ``pipe`` is an ``InterleavedReasoningPipeline``, or whatever has its ``words``, ``sheet`` and call.
    Problems and sampling seeds are pure functions of (seed, task, difficulty, index), so a result does not
    depend on ``batch_size``.  Names given twice count once.  ``on_progress`` is told (done, in all),
    ``on_traces`` given all rollouts in the end, those of a problem together.

    Returns a JSON object: ``success`` by task (those that got a problem) and their ``mean``, its ``ci95``
    (Wilson score interval of the mean over all problems, conservative for an even split), ``answer_accuracy``
    likewise (right answers to finished puzzles, whatever happened on the way), ``text_reward``
    and ``image_reward`` (means over traces, those without a scored edit left out of the latter),
    ``by_task``, ``by_difficulty``, ``end_reasons``, ``cost`` in all, ``problems``, ``distinct_problems`` (there are
    few easy jigsaws and sudokus, and some are drawn twice) and ``seconds``.

    ``pass_at`` k's take as many rollouts of each problem as the largest, and add ``pass_at``: for each k the chance
    that one of k is a success, and that one says the right answer, unbiased, each with its ``ci95`` by a bootstrap
    over problems, or Wilson's where all have 0 or all have 1; all else is then of all rollouts, and its ``ci95`` too.
    At temperature 0 all rollouts of a problem are one, and k may be 1 alone.  With other ``pictures`` than ``own`` the
    edits are replaced before the policy goes on (``analysis/pictures.py``).  ``says_answer`` is the share of rollouts
    whose answer's words are right for the finished puzzle, with its ``ci95``.
    """
    tasks, difficulties = list(dict.fromkeys(tasks)), list(dict.fromkeys(difficulties))
    check_choice(tasks, difficulties, num_problems, seed, batch_size)
    check_transfer(pass_at, pictures, config.temperature)
    generations = max(pass_at, default=1)
    began = time.perf_counter()
    problems = held_out(tasks, difficulties, num_problems, seed, split)
    more: dict[str, Any] = {} if pictures == "own" else {"on_edits": Replaced(pipe, pictures)}
    traces = solve_problems(pipe, problems, config, seed, batch_size, on_progress, num_generations=generations, **more)
    if on_traces is not None:
        on_traces(traces)
    distinct = len({(problem.task, problem.canvas.tobytes(), problem.prompt) for problem in problems})
    counts = {"problems": len(problems), "distinct_problems": distinct}
    found = summary(traces, generations) | counts | {"pictures": pictures} | _of_problems(traces, generations, pass_at)
    return found | {"seconds": time.perf_counter() - began}


def _of_problems(traces: Sequence[Trace], generations: int, ks: Sequence[int]) -> dict[str, Any]:
    """What is said of problems rather than rollouts: answers, and pass@k, with intervals over problems."""
    groups = [traces[i : i + generations] for i in range(0, len(traces), generations)]
    solved = [sum(trace.success for trace in group) for group in groups]
    answered = [sum(map(says_the_answer, group)) for group in groups]
    found: dict[str, Any] = {"says_answer": _estimate([count / generations for count in answered])}
    if not ks:
        return found
    found["pass_at"] = {
        str(k): {
            "success": _estimate([pass_at_k(count, generations, k) for count in solved]),
            "answer": _estimate([pass_at_k(count, generations, k) for count in answered]),
        }
        for k in sorted(set(ks))
    }
    low, high = mean_interval([count / generations for count in solved])
    return found | {"generations": generations, "ci95": [low, high], "ci95_method": BOOTSTRAP}


def _estimate(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": sum(values) / len(values), "ci95": list(mean_interval(values))}


def check_transfer(pass_at: Sequence[int], pictures: str, temperature: float) -> None:
    """Refuse what no rollouts are made of; raises ConfigError."""
    for k in pass_at:
        limits.PASS_AT.check(k)
        if k > 1 and not temperature:
            raise ConfigError(f"pass_at must be 1 at temperature 0, where all rollouts of a problem are one, got {k}")
    if pictures not in PICTURES:
        raise ConfigError(f"pictures must be one of {', '.join(PICTURES)}, got {pictures[:40]!r}")


def check_choice(
    tasks: Sequence[str], difficulties: Sequence[str], num_problems: int, seed: int, batch_size: int
) -> None:
    """Refuse what cannot be evaluated, before anything is loaded; raises ConfigError."""
    if not tasks or not difficulties:
        raise ConfigError("tasks and difficulties must name at least one each")
    for task in tasks:
        task_named(task)
    for difficulty in difficulties:
        if difficulty not in DIFFICULTIES:
            raise ConfigError(f"difficulty must be one of {', '.join(DIFFICULTIES)}, got {difficulty!r}")
    for limit, value in ((limits.PROBLEMS, num_problems), (limits.SEED, seed), (limits.BATCH_SIZE, batch_size)):
        limit.check(value)


def summary(traces: Sequence[Trace], generations: int = 1) -> dict[str, Any]:
    """What ``evaluate`` says of scored ``traces``, ``generations`` of each problem."""
    success, answers = success_by_task(traces), answers_by_task(traces)
    text, image = mean_rewards(traces)
    by_task = {}
    for task, own in _grouped(traces, "task").items():
        own_text, own_image = mean_rewards(own)
        by_task[task] = {
            "success": success[task],
            "answer_accuracy": answers[task],
            "text_reward": own_text,
            "image_reward": own_image,
            "problems": len(own) // generations,
        }
    by_difficulty = {
        difficulty: {"success": success_by_task(own), "problems": len(own) // generations}
        for difficulty, own in _grouped(traces, "difficulty").items()
    }
    return {
        "success": success,
        "ci95": list(wilson(success["mean"], len(traces))),
        "ci95_method": WILSON,
        "answer_accuracy": answers,
        "text_reward": text,
        "image_reward": image,
        "by_task": by_task,
        "by_difficulty": by_difficulty,
        "end_reasons": dict(Counter(_reason(trace.end_reason) for trace in traces).most_common()),
        "cost": asdict(sum((trace.cost for trace in traces), Cost())),
    }


def _grouped(traces: Sequence[Trace], name: str) -> dict[str, list[Trace]]:
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        groups.setdefault(getattr(trace.problem, name), []).append(trace)
    return groups


def _reason(sentence: str) -> str:
    """An end reason without the word or number that it quotes, so that equal kinds are counted together."""
    return re.sub(r" '[^']*'| \d+\b", " …", sentence)
