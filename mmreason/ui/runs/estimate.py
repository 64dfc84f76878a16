"""What a training will take, before it starts: from the rates that ``analysis.train_rate`` measured, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mmreason.analysis.results_file import results_path
from mmreason.analysis.train_rate import FILES, read_rates
from mmreason.training.rl.presets import LEAK_GROUPS, TrainSettings
from mmreason.training.run.remaining import Left
from mmreason.ui.host import gpu, public
from mmreason.ui.host.checkpoints import is_cached
from mmreason.ui.host.settings import read_settings
from mmreason.wording import count, duration

COMMAND = "python -m mmreason make train-rate"


@dataclass(frozen=True, slots=True)
class Estimate:
    """All arms together, which one process trains."""

    seconds: float  # the start of the process included
    left: Left
    tokens: float
    machine: str


def rates_path() -> Path:
    """Where the rates of this kind of machine are."""
    return results_path(FILES[torch.cuda.is_available()])


def estimate(settings: TrainSettings) -> Estimate | None:
    """Seconds and tokens of ``settings``, at most: as if every group were rolled out as often as ``resample`` lets it.

    None where nothing was measured for these tasks, or such a policy, on this kind of machine.
    """
    measured = read_rates(rates_path())
    if measured is None or settings.lora_rank or settings.beta or not is_cached(settings.checkpoint):
        return None  # what was measured is of our own kind, in blocks, without a reference
    try:
        seconds_of = {name: _batch(measured["rates"], settings, name) for name in ("rollout", "update")}
        tokens = _mean(measured["rates"], settings, "tokens")
    except KeyError:
        return None
    rollout, update = seconds_of["rollout"], seconds_of["update"]
    arms, steps = len(settings.arms), settings.steps
    batches = 1 + settings.resample
    learning = steps * (batches * rollout(settings.rollouts) + settings.num_iterations * update(settings.rollouts))
    evaluating = settings.evaluations * rollout(settings.eval_problems)
    groups = min(LEAK_GROUPS, settings.num_problems)  # four backward passes and one forward, of three in an update
    leak = settings.plan.measurements_after(0) * 3 * update(groups * settings.num_generations)
    seconds = measured["start_seconds"] + arms * (learning + evaluating + leak)
    left = Left(arms * (learning + leak), arms * evaluating)
    return Estimate(seconds, left, arms * steps * settings.rollouts * tokens, measured["machine"])


def _batch(rates: Mapping[str, Any], settings: TrainSettings, name: str) -> Callable[[int], float]:
    """Seconds of a batch by its rollouts; raises KeyError where a task was not measured."""
    each = _mean(rates, settings, f"{name}_seconds")
    cells = [rates[task][difficulty] for task in settings.tasks for difficulty in settings.difficulties]
    besides = max(cell.get(f"{name}_batch_seconds", 0.0) for cell in cells)  # it lasts as long as its longest trace
    return lambda rollouts: besides + each * rollouts


def _mean(rates: Mapping[str, Any], settings: TrainSettings, name: str) -> float:
    """The mean of a rate over tasks (alike) and difficulties (by weight); raises KeyError."""
    total = sum(settings.difficulties.values())
    return sum(
        weight / total * sum(rates[task][difficulty][name] for task in settings.tasks) / len(settings.tasks)
        for difficulty, weight in settings.difficulties.items()
    )


def words(settings: TrainSettings) -> str:
    """The estimate as a sentence, or why it is missing."""
    if settings.lora_rank:
        return _of_adapters(settings)
    if settings.beta:
        return "How long this takes is known after the first step: what a beta above 0 adds was not measured."
    found = estimate(settings)
    if found is None:
        return f"How long this takes is known after the first step; nothing was measured for it here ({COMMAND})."
    arms = " for both arms" if len(settings.arms) > 1 else ""
    about = "At most" if settings.resample else "About"
    return (
        f"{about} {duration(found.seconds)}{arms} and {count(float(f'{found.tokens:.3g}'))} tokens to learn from, "
        f"on an otherwise idle machine ({found.machine}).{_limit_words(found.seconds)}"
    )


def _limit_words(seconds: float) -> str:
    """What becomes of a run that takes longer than this host lets one run at a time."""
    most = read_settings().run_minutes
    if gpu.is_lent() or seconds <= 60 * most:
        return ""
    return f" This host stops a run after {duration(60 * most)}; Resume then goes on where it was."


def _of_adapters(settings: TrainSettings) -> str:
    """What is known of a training of adapters: how much is trained and rolled out, not how long it takes."""
    found = public.find(settings.checkpoint)
    trained = ""
    if found is not None and found.shape is not None:
        adapters = found.shape.adapter_parameters(settings.lora_rank)
        trained = f"{count(adapters)} parameters of adapters are trained, {count(found.shape.parameters)} stay. "
    arms = len(settings.arms)
    rollouts, held_out = settings.steps * settings.rollouts, settings.evaluations * settings.eval_problems
    return (
        f"{trained}{count(arms * rollouts)} rollouts to learn from and {count(arms * held_out)} held out. How long a "
        "step takes is known after the first one: nothing was measured for this checkpoint here."
    )
