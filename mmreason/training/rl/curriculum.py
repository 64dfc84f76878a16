"""Difficulties drawn by what is neither always nor never solved: what a policy can learn from now.

A group whose rollouts are all solved, or all not, teaches little.  Of every task and difficulty a running share of
solved rollouts is kept; difficulties are drawn in proportion to share × (1 − share), at least a tenth of the most,
times their own weight.  The shares are part of what a run saves, so that a resumed one draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mmreason.records import Trace

KEPT = 0.9  # of the counts, a step
LEAST = 0.1  # of the weight that a difficulty solved half the time has
PRIOR = 1.0  # solved and unsolved rollouts that are thought to have been, before any were


Outcome = tuple[str, str, int, int]  # task, difficulty, solved, rollouts


def outcomes_of(groups: Iterable[Sequence[Trace]]) -> list[Outcome]:
    """What each group says of its task and difficulty."""
    return [
        (group[0].problem.task, group[0].problem.difficulty, sum(trace.success for trace in group), len(group))
        for group in groups
    ]


@dataclass(slots=True)
class Curriculum:
    """Solved and all rollouts of each task and difficulty, older steps counting less."""

    counts: dict[str, list[float]] = field(default_factory=dict)  # "task/difficulty" → solved, all

    def share(self, task: str, difficulty: str) -> float:
        """The share of rollouts that are solved, as far as is known."""
        solved, tried = self.counts.get(f"{task}/{difficulty}", (0.0, 0.0))
        return (solved + PRIOR) / (tried + 2 * PRIOR)

    def weights(self, task: str, difficulties: Mapping[str, float]) -> dict[str, float]:
        """How often each difficulty of ``task`` is to be drawn."""
        found = {}
        for name, weight in difficulties.items():
            share = self.share(task, name)
            found[name] = weight * max(LEAST, 4 * share * (1 - share))
        return found

    def update(self, outcomes: Iterable[Outcome]) -> None:
        """Take in a step's outcomes, those of all processes."""
        for counts in self.counts.values():
            counts[:] = [KEPT * count for count in counts]
        for task, difficulty, solved, tried in outcomes:
            counts = self.counts.setdefault(f"{task}/{difficulty}", [0.0, 0.0])
            counts[0] += solved
            counts[1] += tried

    def metrics(self, tasks: Iterable[str], difficulties: Mapping[str, float]) -> dict[str, float]:
        """Of each task and difficulty the share that is solved and how often it is drawn next."""
        found = {}
        for task in tasks:
            weights = self.weights(task, difficulties)
            for name in difficulties:
                found[f"curriculum/{task}/{name}/solved"] = self.share(task, name)
                found[f"curriculum/{task}/{name}/drawn"] = weights[name] / sum(weights.values())
        return found
