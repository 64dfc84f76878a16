"""What a fine-tune of the page is made of, and settings that are known to be sensible: plain data, easy to tune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mmreason.errors import ConfigError
from mmreason.limits import exactly
from mmreason.records import DIFFICULTIES
from mmreason.rewards.assignment import ASSIGNMENTS, GRANULARITIES
from mmreason.tasks import task_named

LEAK_GROUPS = 8  # groups of a step on which leak against signal is measured
BOTH = "both"  # joint, then factorized, on the same prompts

_KINDS: dict[Any, tuple[Any, str]] = {  # of a field's annotation: what JSON gives for it
    "int": (int, "a whole number"),
    "float": (int | float, "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "a word"),
    "tuple[str, ...]": (list | tuple, "a list"),
    "Mapping[str, float]": (dict, "an object"),
}


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """One fine-tune, or two arms of it; ``arguments`` says it as the command line does."""

    checkpoint: str = "base"
    tasks: tuple[str, ...] = ("sudoku",)
    difficulties: Mapping[str, float] = field(default_factory=lambda: {"medium": 1.0})  # weights
    assignment: str = "factorized"  # or "joint", or BOTH
    granularity: str = "trace"
    steps: int = 60
    num_problems: int = 8  # a step
    num_generations: int = 8
    num_iterations: int = 1
    learning_rate: float = 1e-4
    epsilon: float = 0.2
    beta: float = 0.0
    temperature: float = 1.0
    seed: int = 0
    eval_steps: int = 20
    eval_problems: int = 80
    save_steps: int = 20
    bf16: bool = False

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("assignment", self.assignment, (*ASSIGNMENTS, BOTH)),
            ("granularity", self.granularity, GRANULARITIES),
        ):
            if value not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, got {str(value)[:40]!r}")
        if not self.tasks:
            raise ConfigError("tasks must name at least one, got none")
        for task in self.tasks:
            task_named(task)
        if not self.difficulties or not set(self.difficulties) <= set(DIFFICULTIES):
            raise ConfigError(f"difficulty must be one or more of {', '.join(DIFFICULTIES)}, got {self.mix or 'none'}")

    @property
    def arms(self) -> tuple[str, ...]:
        """The assignments that are trained, in turn."""
        return ("joint", "factorized") if self.assignment == BOTH else (self.assignment,)

    @property
    def rollouts(self) -> int:
        """Of one step."""
        return self.num_problems * self.num_generations

    @property
    def evaluations(self) -> int:
        """Of one arm, the one before the first step included."""
        return 1 + -(-self.steps // self.eval_steps)

    @property
    def mix(self) -> str:
        """The difficulties in words."""
        plain = len(set(self.difficulties.values())) == 1
        return ", ".join(name if plain else f"{name} × {weight:g}" for name, weight in self.difficulties.items())

    def arguments(self, arm: str, checkpoint: str, output: str) -> list[str]:
        """What follows ``python -m mmreason`` to train ``arm`` from folder ``checkpoint`` into ``output``."""
        numbers = (
            *("steps", "num_problems", "num_generations", "num_iterations", "learning_rate", "epsilon", "beta"),
            *("temperature", "seed", "eval_steps", "eval_problems", "save_steps"),
        )
        found = ["train", "--checkpoint", checkpoint, "--output", output, "--assignment", arm]
        found += ["--granularity", self.granularity, "--tasks", *self.tasks]
        found += ["--difficulty", *(f"{name}={exactly(weight)}" for name, weight in self.difficulties.items())]
        for name in numbers:
            found += [f"--{name}", exactly(getattr(self, name))]
        return [*found, "--leak_steps", str(self.eval_steps), *(["--bf16"] if self.bf16 else [])]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> TrainSettings:
        """Settings from JSON of this or another version; raises ConfigError.

        What is missing has its default, and what is not known here is left out.
        """
        known = {each.name: data[each.name] for each in fields(cls) if each.name in data}
        for name, value in known.items():
            wanted, said = _KINDS[next(each.type for each in fields(cls) if each.name == name)]
            if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
                raise ConfigError(f"{name} must be {said}, got {str(value)[:40]!r}")
        if "tasks" in known:
            known["tasks"] = tuple(map(str, known["tasks"]))
        return cls(**known)


PRESETS: dict[str, TrainSettings] = {
    "Two minutes on a CPU": TrainSettings(  # so bold that the start slips, which a few updates mend
        tasks=("jigsaw",),
        difficulties={"medium": 1.0},
        granularity="turn",
        steps=16,
        num_problems=8,
        num_generations=8,
        learning_rate=2e-4,
        temperature=1.5,
        eval_steps=8,
        eval_problems=150,
        save_steps=4,
    ),
    "GPU": TrainSettings(
        tasks=("maze", "jigsaw", "sudoku", "transform"),
        difficulties={"medium": 1.0, "hard": 1.0},
        granularity="turn",
        steps=300,
        num_problems=32,
        num_generations=16,
        learning_rate=1e-4,
        eval_steps=20,
        eval_problems=320,
        save_steps=20,
    ),
}
