"""Rollouts of a policy on given problems, scored: the ground of validation and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mmreason.records import Problem, Trace
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import problem_seed
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.sampler import OnEdits
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.tasks import make_problem, task_named

CPU_ROLLOUTS, GPU_ROLLOUTS = 32, 1024  # at once; each takes about 10 MB for its keys and values
PUBLIC_ROLLOUTS = 32  # of a public checkpoint, each of which may hold a gigabyte of them


def held_out(tasks: Sequence[str], difficulties: Sequence[str], count: int, seed: int, split: str) -> list[Problem]:
    """``count`` problems in all, split evenly over tasks and difficulties; the first ones get the rest.

    Of a task whose difficulties are one, each difficulty goes on where the one before has ended.
    """
    cells = [(task, difficulty) for difficulty in difficulties for task in tasks]
    problems = []
    begin = dict.fromkeys(tasks, 0)
    for i, (task, difficulty) in enumerate(cells):
        first, share = begin[task], count // len(cells) + (i < count % len(cells))
        problems += [make_problem(task, difficulty, seed, split, index) for index in range(first, first + share)]
        if not task_named(task).graded:
            begin[task] += share
    return problems


def rollouts_at_once(pipe: InterleavedReasoningPipeline | ViewsPipeline) -> int:
    """Rollouts of a batch: with more a CPU is slower."""
    if isinstance(pipe, ViewsPipeline):
        return PUBLIC_ROLLOUTS
    return CPU_ROLLOUTS if pipe.device.type == "cpu" else GPU_ROLLOUTS


def solve_problems(
    pipe: InterleavedReasoningPipeline | ViewsPipeline,
    problems: Sequence[Problem],
    config: SamplingConfig,
    seed: int,
    batch_size: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    is_stopped: Callable[[], bool] | None = None,
    num_generations: int = 1,
    on_edits: OnEdits | None = None,
) -> list[Trace]:
    """Scored traces of ``problems``, in order, ``num_generations`` of each one after the other.

    Each problem has its own random stream, a function of ``seed`` and the problem, so that results do not
    depend on the batch; without a ``batch_size`` it is what suits the device.  ``is_stopped`` is asked before each
    batch; at a yes the traces are those of the batches so far.
    """
    at_once = max(1, (batch_size or rollouts_at_once(pipe)) // num_generations)
    more: dict[str, Any] = {} if on_edits is None else {"on_edits": on_edits}
    if num_generations > 1:
        more["num_generations"] = num_generations
    verifier = judge_of(pipe)
    traces: list[Trace] = []
    for start in range(0, len(problems), at_once):
        if is_stopped is not None and is_stopped():
            break
        batch = problems[start : start + at_once]
        seeds = [problem_seed("sampling", seed, problem) for problem in batch]
        traces += [verifier.score(trace) for trace in pipe(batch, config, seeds, **more).traces]
        if on_progress is not None:
            on_progress(len(traces) // num_generations, len(problems))
    return traces


def success_by_task(traces: Sequence[Trace]) -> dict[str, float]:
    """Share of solved problems of each task that occurs, and ``mean`` over tasks."""
    return _by_task(traces, lambda trace: trace.success)


def answers_by_task(traces: Sequence[Trace]) -> dict[str, float]:
    """Share of right answers of each task that occurs, and ``mean`` over tasks."""
    return _by_task(traces, answered_right)


def answered_right(trace: Trace) -> bool:
    """Is the answer right, of a puzzle that is finished, whatever the thoughts and pictures on the way were?"""
    return trace.answer is not None and trace.answer.verdict is not None and trace.answer.verdict.right


def _by_task(traces: Sequence[Trace], holds: Callable[[Trace], bool]) -> dict[str, float]:
    outcomes: dict[str, list[bool]] = {}
    for trace in traces:
        outcomes.setdefault(trace.problem.task, []).append(holds(trace))
    rates = {task: sum(found) / len(found) for task, found in outcomes.items()}
    return rates | {"mean": sum(rates.values()) / len(rates)}
