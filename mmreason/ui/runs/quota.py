"""What the page's trainings may take: of the machine, by one visitor, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmreason.errors import ConfigError
from mmreason.training.rl.presets import TrainSettings
from mmreason.ui.host.settings import MB, read_settings
from mmreason.ui.runs.state import waits
from mmreason.ui.runs.store import Run, size_of


def check_work(settings: TrainSettings) -> None:
    """Refuse a run that would take too long, whoever asks for it; raises ConfigError."""
    most = read_settings().run_rollouts
    learning, looking = (
        settings.steps * settings.rollouts * (1 + settings.resample),
        settings.evaluations * settings.eval_problems,
    )
    asked = len(settings.arms) * (learning + looking)
    if asked > most:
        raise ConfigError(
            f"one run may have {most} rollouts in all, evaluations included, and this one asks for {asked}: "
            "take fewer steps, problems a step or held-out problems, or a smaller group"
        )


def check_room(settings: TrainSettings, token: Any, known: Sequence[Run], from_there: Sequence[str] = ()) -> None:
    """Refuse what would be too much for all, for one address or for one visitor; raises ConfigError.

    ``known``: all runs; ``from_there``: ids of those that were asked for from the visitor's address.
    """
    check_work(settings)
    bound, active = read_settings(), [run for run in known if waits(run)]
    if len(active) >= bound.max_runs:
        raise ConfigError(
            f"{len(active)} trainings are waiting or running here already: try again when some have ended"
        )
    if sum(run.id in from_there for run in active) >= bound.address_runs:
        raise ConfigError(
            f"one address may have at most {bound.address_runs} trainings waiting or running: wait for one"
        )
    _check_visitor(settings, [run for run in known if run.is_of(token)], [run for run in active if run.is_of(token)])


def _check_visitor(settings: TrainSettings, own: Sequence[Run], active: Sequence[Run]) -> None:
    bound = read_settings()
    if len(active) >= bound.visitor_runs:
        raise ConfigError(
            f"one visitor may have at most {bound.visitor_runs} runs waiting or running, and you have {len(active)}: "
            "wait for one, or stop one"
        )
    steps = sum(run.settings.steps * len(run.settings.arms) for run in active)
    asked = settings.steps * len(settings.arms)
    if steps + asked > bound.visitor_steps:
        raise ConfigError(
            f"your waiting and running runs may have {bound.visitor_steps} steps in all; "
            f"{steps} are taken and this one asks for {asked}"
        )
    disk = sum(map(size_of, own)) / MB
    if disk > bound.visitor_mb:
        raise ConfigError(f"your runs may take {bound.visitor_mb} MB and take {disk:.0f}: delete one first")
