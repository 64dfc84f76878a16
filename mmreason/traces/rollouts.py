"""The records of anybody's rollouts: prompts of several parts, rollouts whose parts are texts and pictures in order.

Whatever the file was, version 1 or 2 or another system's, this is what it is read as.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mmreason.records import Modality
from mmreason.traces.picture import Picture

MAX_PROMPTS = MAX_ROLLOUTS = 20_000
MAX_PARTS = 1024  # of one prompt or rollout
MAX_CHARS = 1_000_000  # of one text

PartKind = Literal["thought", "answer", "edit", "given"]


@dataclass(frozen=True, slots=True)
class Region:
    """Where a picture was edited: boxes (top, left, bottom, right), inclusive and from 1, or a mask as a picture."""

    unit: str  # cells or pixels
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    mask: Picture | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One text or picture of a prompt (``given``) or a rollout; in a rollout it is a segment."""

    modality: Modality
    kind: PartKind
    turn: int = 1
    text: str | None = None
    picture: Picture | None = None  # None for an edit that is not finished
    region: Region | None = None  # None: the whole picture
    grid: tuple[int, int] | None = None  # rows, columns of image tokens
    reward: float | None = None  # the sum of ``rewards`` unless the file says otherwise; None: not judged
    rewards: Mapping[str, float] = field(default_factory=dict)
    right: bool | None = None  # as a verifier said, if one did
    tokens: tuple[str | int | None, ...] = ()
    logprobs: tuple[float | None, ...] = ()
    steps: tuple[Mapping[str, Any], ...] = ()  # of denoising
    role: str = ""  # of a prompt's part: user or system; what the system says is shown and not counted
    more: Mapping[str, Any] = field(default_factory=dict)  # fields that nobody here knows


@dataclass(frozen=True, slots=True)
class Prompt:
    """What was given."""

    id: str
    parts: tuple[Part, ...]
    more: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None  # of a training, where the file is of several

    @property
    def given(self) -> list[Part]:
        """The parts that count: all but what the system says."""
        return [part for part in self.parts if part.role != "system"]


@dataclass(frozen=True, slots=True)
class Rollout:
    """What was generated for the prompt called ``prompt``, and what it earned as a whole, by component."""

    id: str
    prompt: str
    parts: tuple[Part, ...]
    rewards: Mapping[str, float] = field(default_factory=dict)
    success: bool | None = None
    answer: Any = None  # the answer that would be right
    settings: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def of(self, modality: str) -> list[Part]:
        """Its segments of ``modality``."""
        return [part for part in self.parts if part.modality == modality]


@dataclass(frozen=True, slots=True)
class Rollouts:
    """All that was handed over; ``judges`` says which components of a rollout's rewards judge which modality."""

    format: str
    prompts: tuple[Prompt, ...]
    rollouts: tuple[Rollout, ...]
    judges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what was left out in reading, a sentence each

    @property
    def groups(self) -> list[list[Rollout]]:
        """Rollouts by prompt, in the order of the prompts."""
        found: dict[str, list[Rollout]] = {prompt.id: [] for prompt in self.prompts}
        for rollout in self.rollouts:
            found[rollout.prompt].append(rollout)
        return list(found.values())

    def judged(self, rollout: Rollout, modality: str) -> float | None:
        """The sum of what ``rollout`` earned in the components that judge ``modality``; None if there is none."""
        found = [rollout.rewards[name] for name in self.judges.get(modality, ()) if name in rollout.rewards]
        return sum(found) if found else None

    def reward_of(self, rollout: Rollout, modality: str) -> float | None:
        """One number for ``rollout``'s words or pictures: what its components say, else its segments' mean."""
        judged = self.judged(rollout, modality)
        if judged is not None:
            return judged
        return mean([part.reward for part in rollout.of(modality) if part.reward is not None])


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None
