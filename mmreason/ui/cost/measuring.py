"""Measure here: the comparison on a few problems, on the visitor's machine, a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mmreason.analysis.cost.compute import arm_summary, four_arms, measure
from mmreason.analysis.cost.results import Row
from mmreason.errors import ConfigError
from mmreason.records import Trace
from mmreason.tasks import TASKS
from mmreason.training.validation import held_out
from mmreason.ui.cost.words import arm_words
from mmreason.ui.host import checkpoints

DIFFUSION, AUTOREGRESSIVE = "base", "ar"
COUNTS = (4, 8, 16)
SEED = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What the tab shows next; ``rows`` at the end only."""

    notice: str
    rows: dict[str, Row] | None = None
    busy: bool = True


def both_know() -> list[str]:
    """The tasks that both policies were trained on."""
    known = checkpoints.tasks_of(AUTOREGRESSIVE)
    return [task for task in checkpoints.tasks_of(DIFFUSION) if task in known]


def measure_here(count: Any, generations: int, is_stopped: Callable[[], bool]) -> Iterator[Measured]:
    """The four arms on ``count`` problems; yields after every arm of every problem, and ends there if stopped.

    Each problem is rolled out ``generations`` times in one batch, as the shipped results are in theirs, and
    once alone for the seconds of a single visitor.  Raises ConfigError and CheckpointError.
    """
    if count not in COUNTS:
        raise ConfigError(f"problems must be one of {', '.join(map(str, COUNTS))}, got {str(count)[:20]!r}")
    yield Measured("Loading the policies.")
    base, ar = checkpoints.load_pipeline(DIFFUSION), checkpoints.load_pipeline(AUTOREGRESSIVE)
    arms, config = four_arms(base, ar), base.scheduler.sampling_config()
    tasks = ar.vocabulary.known(base.vocabulary.known(TASKS))
    problems = held_out(tasks, ["medium"], count, SEED, "test")
    for arm in arms:  # the first call of a policy pays for what later ones find ready
        arm.pipe(problems[:1], arm.settings(config), [0], 1)
        if is_stopped():
            yield Measured("Stopped.", busy=False)
            return
    traces: dict[str, list[Trace]] = {arm.name: [] for arm in arms}
    batched, alone = ({arm.name: 0.0 for arm in arms} for _ in range(2))
    for i, problem in enumerate(problems, start=1):
        for arm in arms:
            yield Measured(f"Problem {i} of {count}: {arm_words(arm.name)}.")
            if is_stopped():
                yield Measured(f"Stopped at problem {i} of {count}; nothing is shown for less than all.", busy=False)
                return
            some, seconds = measure([arm], [problem], config, SEED, generations, generations)[arm.name]
            traces[arm.name] += some
            batched[arm.name] += seconds
            alone[arm.name] += measure([arm], [problem], config, SEED, 1, 1)[arm.name][1]
    rows = {}
    for arm in arms:
        row = arm_summary(arm, traces[arm.name], batched[arm.name], generations)
        rows[arm.name] = Row.model_validate(row | {"seconds_single": alone[arm.name] / count})
    ratio = rows["ar_full"].seconds_single / rows["diffusion_local"].seconds_single
    saving = 1 - rows["diffusion_local"].flops / rows["ar_full"].flops
    says = (
        f"Measured here on {count} medium problems: diffusion with local edits takes "
        f"{1 / ratio:.2f} of the time of the autoregressive full redraw for one visitor, and spends "
        f"{abs(100 * saving):.1f} % {'fewer' if saving >= 0 else 'more'} FLOPs."
    )
    yield Measured(says, rows, busy=False)
