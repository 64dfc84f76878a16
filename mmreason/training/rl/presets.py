"""What a fine-tune of the page is made of, and settings that are known to be sensible: plain data, easy to tune."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmreason.errors import ConfigError
from mmreason.records import DIFFICULTIES
from mmreason.rewards.assignment import ASSIGNMENTS
from mmreason.settings import settings_of
from mmreason.tasks import task_named
from mmreason.tasks.own import DATA
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.run.remaining import Plan

LEAK_GROUPS = 8  # groups of a step on which leak against signal is measured
BOTH = "both"  # joint and factorized side by side; the same prompts, but for curriculum and resample
SETTINGS = settings_of(GRPOConfig)

_DATASET = re.compile(rf"{DATA}[a-z][a-z0-9_]{{0,39}}\Z", re.ASCII)  # no path: where they lie is not said here


@dataclass(frozen=True, slots=True, init=False)
class TrainSettings:
    """One fine-tune, or two arms of it; ``arguments`` says it as the command line does.

    ``values`` are those of ``GRPOConfig``'s settings by name, as their flags give them; ``assignment`` may be BOTH.
    """

    checkpoint: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __init__(self, checkpoint: str = "base", **values: Any) -> None:
        if not isinstance(checkpoint, str):
            raise ConfigError(f"checkpoint must be a word, got {str(checkpoint)[:40]!r}")
        read = {name: each.start if each.start is None else each.read(each.start) for name, each in SETTINGS.items()}
        read |= {name: SETTINGS[name].read(value) for name, value in values.items() if value is not None}
        if read["tasks"] is None:
            read["tasks"] = SETTINGS["tasks"].default
        object.__setattr__(self, "checkpoint", checkpoint)
        object.__setattr__(self, "values", read)
        if self.assignment not in (*ASSIGNMENTS, BOTH):
            raise ConfigError(
                f"assignment must be one of {', '.join((*ASSIGNMENTS, BOTH))}, got {self.assignment[:40]!r}"
            )
        SETTINGS["granularity"].check(read["granularity"], "granularity")
        if not self.tasks:
            raise ConfigError("tasks must name at least one, got none")
        for task in self.tasks:
            if task not in self.datasets:
                task_named(task)
        if not self.difficulties or not set(self.difficulties) <= set(DIFFICULTIES):
            raise ConfigError(f"difficulty must be one or more of {', '.join(DIFFICULTIES)}, got {self.mix or 'none'}")

    @property
    def assignment(self) -> str:
        return self.values["assignment"]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.values["tasks"])

    @property
    def datasets(self) -> tuple[str, ...]:
        """Those of the tasks that are datasets which came with this fine-tune, ``data:NAME`` each."""
        return tuple(task for task in self.tasks if _DATASET.match(task))

    @property
    def difficulties(self) -> Mapping[str, float]:
        """Their weights."""
        return self.values["difficulties"]

    @property
    def steps(self) -> int:
        return self.values["steps"]

    @property
    def num_problems(self) -> int:
        """Of one step."""
        return self.values["num_problems"]

    @property
    def num_generations(self) -> int:
        return self.values["num_generations"]

    @property
    def num_iterations(self) -> int:
        return self.values["num_iterations"]

    @property
    def resample(self) -> int:
        """How often groups without spread are drawn again, at most."""
        return self.values["resample"]

    @property
    def beta(self) -> float:
        return self.values["beta"]

    @property
    def eval_steps(self) -> int:
        return self.values["eval_steps"]

    @property
    def eval_problems(self) -> int:
        return self.values["eval_problems"]

    @property
    def lora_rank(self) -> int:
        """Of adapters, which are what is trained of a public checkpoint; 0: all weights are."""
        return self.values["lora_rank"]

    @property
    def plan(self) -> Plan:
        """What an arm does step by step; the leak, which is measured on all weights, with each evaluation."""
        return Plan(self.steps, self.eval_steps, 0 if self.lora_rank else self.eval_steps)

    @property
    def arms(self) -> tuple[str, ...]:
        """The assignments that are trained."""
        return ("joint", "factorized") if self.assignment == BOTH else (self.assignment,)

    @property
    def rollouts(self) -> int:
        """Of one step."""
        return self.num_problems * self.num_generations

    @property
    def evaluations(self) -> int:
        """Of one arm, the one before the first step included."""
        return self.plan.evaluations

    @property
    def mix(self) -> str:
        """The difficulties in words."""
        plain = len(set(self.difficulties.values())) == 1
        return ", ".join(name if plain else f"{name} × {weight:g}" for name, weight in self.difficulties.items())

    def but(self, **changes: Any) -> TrainSettings:
        """The same with ``changes``."""
        return TrainSettings(**{"checkpoint": self.checkpoint} | dict(self.values) | changes)

    def arguments(self, arm: str, checkpoint: str, output: str, datasets: str = ".") -> list[str]:
        """What follows ``python -m mmreason`` to train ``arm`` from folder ``checkpoint`` into ``output``.

        Of BOTH each is trained in the folder of its name there.  ``datasets`` is the folder that its datasets lie in.
        """
        which = ["--arms", *self.arms] if arm == BOTH else ["--assignment", arm]
        found = ["train", "--checkpoint", checkpoint, "--output", output, *which]
        for name, value in self._said().items():
            if name == "tasks":
                value = {self._placed(task, datasets): weight for task, weight in value.items()}
            if name != "assignment":
                found += SETTINGS[name].words(value)
        leak_steps = self.plan.leak_steps
        return [*found, "--leak_steps", str(leak_steps)] if leak_steps else found

    def _placed(self, task: str, datasets: str) -> str:
        """``task`` as the command line has it."""
        if task not in self.datasets:
            return task
        return f"{DATA}{Path(datasets) / task.removeprefix(DATA)}"

    def stored(self) -> dict[str, Any]:
        """As JSON, which ``of`` reads."""
        said = {"checkpoint": self.checkpoint} | self._said()
        plain = all(weight == 1 for weight in self.values["tasks"].values())
        return said | ({"tasks": list(self.tasks)} if plain else {})

    def _said(self) -> dict[str, Any]:
        """What the page asks for of any checkpoint, and whatever else is not as it is without a word."""
        asked = {name for name, each in SETTINGS.items() if each.page is not None and each.page.place != "public"}
        return {name: value for name, value in self.values.items() if name in asked or value != SETTINGS[name].start}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> TrainSettings:
        """Settings from JSON of this or another version; raises ConfigError.

        What is missing has its default, and what is not known here is left out.
        """
        return cls(**{name: data[name] for name in ("checkpoint", *SETTINGS) if name in data})


PRESETS: dict[str, TrainSettings] = {
    "Short (CPU)": TrainSettings(  # rollouts so hot that base solves a third of these
        tasks=["jigsaw"],
        difficulties={"hard": 1.0},
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
        tasks=["maze", "jigsaw", "sudoku", "transform"],
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
