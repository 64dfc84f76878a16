"""How long a training still takes: seconds of its steps, of its evaluations and of its measurements of the leak.

An evaluation lasts as long as several steps and a measurement as long as one or two, but few steps have either.  So
each kind has its own pace, and what is left of each is counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

RECENT = 10  # rows of an arm whose pace counts

TIMED = ("step", "seconds", "measure_seconds", "eval_seconds", "success")  # fields of a row that are looked at

Rows = Sequence[Mapping[str, Any]]  # of a run's metrics, in their order


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training does: its steps, those after which it evaluates, and those that measure the leak."""

    steps: int
    eval_steps: int  # 0: none is evaluated
    leak_steps: int = 0  # 0: none does

    def evaluates(self, step: int) -> bool:
        """Is there an evaluation after ``step``?  Before the first step there is, where there are any."""
        return bool(self.eval_steps) and (step % self.eval_steps == 0 or step == self.steps)

    @property
    def evaluations(self) -> int:
        """How many there are in all."""
        return self.evaluates(0) + self.evaluations_after(0)

    def measures(self, step: int) -> bool:
        """Is the leak measured in ``step``?"""
        return bool(self.leak_steps) and (step == 1 or step % self.leak_steps == 0)

    def evaluations_after(self, step: int) -> int:
        """How many there are after the steps that follow ``step``."""
        if not self.eval_steps or step >= self.steps:
            return 0
        return self.steps // self.eval_steps - step // self.eval_steps + (self.steps % self.eval_steps != 0)

    def measurements_after(self, step: int) -> int:
        """How many there are in the steps that follow ``step``."""
        if not self.leak_steps or step >= self.steps:
            return 0
        return self.steps // self.leak_steps - step // self.leak_steps + (step == 0 and self.leak_steps > 1)


@dataclass(frozen=True, slots=True)
class Left:
    """Seconds that a training still needs, all its arms together; ``evaluates``: is it evaluating now?"""

    steps: float
    evaluations: float
    evaluates: bool = False

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.steps + self.evaluations


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of one step, one evaluation and one measurement, each None where none has been done."""

    step: float | None
    evaluation: float | None
    measurement: float | None


def pace_of(rows: Mapping[str, Rows]) -> Pace:
    """The pace of a run whose arms have written ``rows``: medians of the last few, arms taken together."""
    return Pace(
        *(
            statistics.median(found) if (found := [value for arm in rows.values() for value in recent(arm)]) else None
            for recent in (_steps, _evaluations, _measurements)
        )
    )


def left_of(rows: Mapping[str, Rows], plan: Plan, before: Left | None = None, passed: float = 0.0) -> Left | None:
    """What is left of a run, by its arms' ``rows``; None as long as that is not known.

    ``before`` is what all of it was expected to take: what has not been done yet is taken from there, as much slower
    or faster as what has been done.  ``passed`` seconds have gone by since the last row was written.
    """
    done = {arm: last_step(each) for arm, each in rows.items()}
    lacking = {arm: _lacks_evaluation(each, plan) for arm, each in rows.items()}
    steps = sum(plan.steps - step for step in done.values())
    evaluations = sum(plan.evaluations_after(step) + lacking[arm] for arm, step in done.items())
    measurements = sum(plan.measurements_after(step) for step in done.values())
    pace = pace_of(rows)
    step, evaluation = pace.step, pace.evaluation
    if before is not None:
        arms = len(rows)
        expected_step = before.steps / (arms * plan.steps)
        expected = before.evaluations / max(1, arms * plan.evaluations)
        if step is None:
            step = expected_step * (evaluation / expected if evaluation is not None and expected else 1.0)
        elif evaluation is None:
            evaluation = expected * (step / expected_step if expected_step else 1.0)
        evaluation = expected if evaluation is None else evaluation
    if (step is None and steps) or (evaluation is None and evaluations):
        return None
    step, evaluation, measurement = step or 0.0, evaluation or 0.0, pace.measurement or 0.0
    of_steps, of_evaluations = steps * step + measurements * measurement, evaluations * evaluation
    if not steps and not evaluations:
        return Left(0.0, 0.0)
    going = [arm for arm in rows if done[arm] < plan.steps or lacking[arm]]
    arm = min(going, key=lambda arm: done[arm] - lacking[arm])  # whose turn it is, as ``in_turn`` has it
    now, then = 0.0, evaluation
    if not lacking[arm]:
        now = step + measurement * plan.measures(done[arm] + 1)
        then = evaluation * plan.evaluates(done[arm] + 1)
    since = max(0.0, passed - now)
    return Left(of_steps - min(passed, now), of_evaluations - min(since, then), bool(then) and since > 0)


class Countdown:
    """What is left of a training as its arms tell their rows, of which no more is kept than their times."""

    def __init__(self, plan: Plan, rows: Mapping[str, Rows]) -> None:
        """``rows`` are what the arms told before they were resumed, none of those that begin."""
        self.plan = plan
        self.rows = {arm: [_times(row) for row in each] for arm, each in rows.items()}

    def add(self, arm: str, row: Mapping[str, Any]) -> Left | None:
        """Note a row of ``arm``, in place of those that a run which was killed wrote after it; what is left then."""
        told = self.rows[arm]
        while told and told[-1]["step"] >= row["step"]:
            told.pop()
        told.append(_times(row))
        return left_of(self.rows, self.plan)


def _times(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in TIMED if name in row}


def last_step(rows: Rows) -> int:
    """The step of the last row."""
    return int(rows[-1].get("step", 0)) if rows else 0


def _lacks_evaluation(rows: Rows, plan: Plan) -> bool:
    """Has nothing been evaluated yet, or was the evaluation after the last step broken off?"""
    return plan.evaluates(last_step(rows)) and not (rows and "success" in rows[-1])


def _steps(rows: Rows) -> list[float]:
    """Seconds of the last steps, without what they measured."""
    found = ((row.get("seconds"), row.get("measure_seconds") or 0.0) for row in reversed(rows))
    return list(islice((seconds - measured for seconds, measured in found if seconds), RECENT))


def _evaluations(rows: Rows) -> list[float]:
    return list(islice(_values(rows, "eval_seconds"), RECENT))


def _measurements(rows: Rows) -> list[float]:
    return list(islice(_values(rows, "measure_seconds"), RECENT))


def _values(rows: Rows, name: str) -> Iterator[float]:
    return (row[name] for row in reversed(rows) if row.get(name))
