"""What the page's trainings may take: of the machine, by one visitor, and for how long."""

from __future__ import annotations

from mmreason.errors import ConfigError
from mmreason.training.presets import TrainSettings
from mmreason.ui.run_state import waits
from mmreason.ui.runs import runs_of, size_of
from mmreason.ui.settings import read_settings

MB = 2**20


def check_visitor(token: str, settings: TrainSettings) -> None:
    """Refuse what would be too much for one visitor; raises ConfigError."""
    bound, own = read_settings(), runs_of(token)
    active = [run for run in own if waits(run)]
    if len(active) >= bound.visitor_runs:
        raise ConfigError(
            f"at most {bound.visitor_runs} runs of one visitor may wait or run, and {len(active)} of yours do: "
            "wait for one, or stop one"
        )
    steps = sum(run.settings.steps * len(run.settings.arms) for run in active)
    asked = settings.steps * len(settings.arms)
    if steps + asked > bound.visitor_steps:
        raise ConfigError(
            f"steps of your runs that wait or run may be {bound.visitor_steps} in all; "
            f"{steps} are taken and this one asks for {asked}"
        )
    disk = sum(map(size_of, own)) / MB
    if disk > bound.visitor_mb:
        raise ConfigError(f"your runs may take {bound.visitor_mb} MB and take {disk:.0f}: delete one first")
