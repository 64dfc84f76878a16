"""What the page's trainings may take: of the machine, by one visitor, and for how long."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from mmreason.errors import ConfigError
from mmreason.training.presets import TrainSettings
from mmreason.ui.run_state import waits
from mmreason.ui.runs import runs_of, size_of

MB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Read from the environment (``MMREASON_MAX_TRAININGS`` and so on) each time they are asked for."""

    max_trainings: float = 1  # at the same time, on this machine
    visitor_runs: float = 4  # of one visitor that wait or run
    visitor_steps: float = 2000  # of these, in all
    visitor_mb: float = 600  # of all runs of one visitor
    runs_mb: float = 4000  # of all runs; beyond it the oldest go
    runs_days: float = 7  # after which a run that has ended goes


def limits() -> Limits:
    """As the environment sets them; what is no number there is as if it were not."""
    found = {}
    for name in Limits.__dataclass_fields__:
        try:
            value = float(os.environ.get(f"MMREASON_{name.upper()}", ""))
        except ValueError:
            continue
        if math.isfinite(value) and value >= 0:
            found[name] = value
    return Limits(**found)


def check_visitor(token: str, settings: TrainSettings) -> None:
    """Refuse what would be too much for one visitor; raises ConfigError."""
    bound, own = limits(), runs_of(token)
    active = [run for run in own if waits(run)]
    if len(active) >= bound.visitor_runs:
        raise ConfigError(
            f"at most {bound.visitor_runs:g} runs of one visitor may wait or run, and {len(active)} of yours do: "
            "wait for one, or stop one"
        )
    steps = sum(run.settings.steps * len(run.settings.arms) for run in active)
    asked = settings.steps * len(settings.arms)
    if steps + asked > bound.visitor_steps:
        raise ConfigError(
            f"steps of your runs that wait or run may be {bound.visitor_steps:g} in all; "
            f"{steps} are taken and this one asks for {asked}"
        )
    disk = sum(map(size_of, own)) / MB
    if disk > bound.visitor_mb:
        raise ConfigError(f"your runs may take {bound.visitor_mb:g} MB and take {disk:.0f}: delete one first")
