"""The fields of a training: their words, their limits, and the settings that their values make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmreason import limits
from mmreason.errors import CheckpointError, ConfigError
from mmreason.limits import Number
from mmreason.records import DIFFICULTIES
from mmreason.rewards.assignment import GRANULARITIES
from mmreason.tasks import TASKS
from mmreason.training.rl.presets import BOTH, PRESETS, TrainSettings
from mmreason.ui.host import checkpoints
from mmreason.ui.runs.quota import check_work
from mmreason.ui.runs.store import find

MAX_ROLLOUTS = 1024  # of one step
ASSIGNMENT_CHOICES = (("factorized", "factorized"), ("joint", "joint"), ("joint against factorized", BOTH))


@dataclass(frozen=True, slots=True)
class NumberField:
    """A number that a visitor may set."""

    name: str  # of ``TrainSettings``
    label: str
    help: str
    limit: Number


STEPS = NumberField("steps", "Steps", "How often the weights are updated.", limits.STEPS)
PROBLEMS = NumberField("num_problems", "Problems a step", "Fresh puzzles for each update.", limits.NUM_PROBLEMS)
GROUP = NumberField("num_generations", "Group size", "Rollouts of each puzzle, compared.", limits.NUM_GENERATIONS)
RATE = NumberField("learning_rate", "Learning rate", "Too high, and both rewards fall.", limits.LEARNING_RATE)
SEED = NumberField("seed", "Seed", "The same seed gives the same prompts.", limits.SEED)
TEMPERATURE = NumberField("temperature", "Temperature", "How bold the rollouts are.", limits.TRAIN_TEMPERATURE)
EPSILON = NumberField("epsilon", "Epsilon", "The probability ratio is clipped to 1 ± this.", limits.EPSILON)
BETA = NumberField("beta", "Beta", "Holds it to the start by KL; 0 is off.", limits.BETA)
ITERATIONS = NumberField("num_iterations", "Updates a batch", "Above 1, the clipping matters.", limits.NUM_ITERATIONS)
EVAL_PROBLEMS = NumberField("eval_problems", "Held-out problems", "Solved by each evaluation.", limits.EVAL_PROBLEMS)
EVAL_STEPS = NumberField("eval_steps", "Evaluate every", "Steps from one evaluation to the next.", limits.EVAL_STEPS)
SAVE_STEPS = NumberField("save_steps", "Save every", "Steps from one checkpoint to the next.", limits.SAVE_STEPS)

FEW = (STEPS, PROBLEMS, GROUP, RATE, SEED)
MORE = (TEMPERATURE, EPSILON, BETA, ITERATIONS, EVAL_PROBLEMS, EVAL_STEPS, SAVE_STEPS)
WEIGHTS = tuple(f"weight_{name}" for name in DIFFICULTIES)
CONTROLS = (
    *("checkpoint", "tasks", *WEIGHTS, "assignment"),
    *(field.name for field in (*FEW, *MORE)),
    *("granularity", "bf16"),
)
"""Names of the controls, in their order on the page."""


def checked_settings(values: dict[str, Any], token: Any) -> TrainSettings:
    """Values as they come from the controls, checked; raises ConfigError or CheckpointError in one sentence."""
    checkpoint = _checkpoint(values["checkpoint"], token)
    tasks = values["tasks"]
    if not isinstance(tasks, list) or not tasks:
        raise ConfigError(f"tasks must name at least one of {', '.join(TASKS)}, got none")
    weights = {name: limits.WEIGHT.check(values[f"weight_{name}"], f"weight of {name}") for name in DIFFICULTIES}
    if not any(weights.values()):
        raise ConfigError("weight of easy, medium or hard must be above 0, got 0 for all three")
    numbers = {}
    for field in (*FEW, *MORE):
        numbers[field.name] = field.limit.check(values[field.name], field.label.lower())
    if numbers["num_problems"] * numbers["num_generations"] > MAX_ROLLOUTS:
        raise ConfigError(
            f"problems a step × group size must be at most {MAX_ROLLOUTS}, "
            f"got {numbers['num_problems']} × {numbers['num_generations']}"
        )
    if values["granularity"] not in GRANULARITIES:
        raise ConfigError(
            f"compared by must be one of {', '.join(GRANULARITIES)}, got {str(values['granularity'])[:40]!r}"
        )
    settings = TrainSettings(
        checkpoint=checkpoint,
        tasks=tuple(str(task) for task in TASKS if task in tasks) or tuple(map(str, tasks)),
        difficulties={name: weight for name, weight in weights.items() if weight},
        assignment=str(values["assignment"]),
        granularity=values["granularity"],
        bf16=bool(values["bf16"]),
        **numbers,
    )
    check_work(settings)
    return settings


def _checkpoint(name: Any, token: Any) -> str:
    """A shipped checkpoint, or one that the visitor trained."""
    match = checkpoints.RUN_CHECKPOINT.match(str(name))
    run = find(match[1]) if match else None
    is_theirs = run is not None and run.is_of(token)
    if checkpoints.checkpoint_folder(str(name)) is None or (match and not is_theirs):
        there = ", ".join(checkpoints.checkpoint_names()) or "none"
        raise CheckpointError(f"checkpoint must be one that is here ({there}), got {str(name)[:60]!r}")
    return str(name)


def filled(settings: TrainSettings) -> dict[str, Any]:
    """The controls' values that make ``settings``; the checkpoint stays as it is."""
    values: dict[str, Any] = {field.name: getattr(settings, field.name) for field in (*FEW, *MORE)}
    values |= {f"weight_{name}": settings.difficulties.get(name, 0) for name in DIFFICULTIES}
    values |= {"tasks": list(settings.tasks), "assignment": settings.assignment}
    return values | {"granularity": settings.granularity, "bf16": settings.bf16}


def preset(name: Any) -> TrainSettings:
    """The preset called ``name``; raises ConfigError."""
    if name not in PRESETS:
        raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, got {str(name)[:40]!r}")
    return PRESETS[name]
