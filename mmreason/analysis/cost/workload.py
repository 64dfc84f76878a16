"""What a rollout forwards, by formula: four arms, any canvas, region, number of turns and model size.

A rollout is a list of forwards, each of some tokens on some cached ones.  Its FLOPs are those of
``mmreason.models.flops``; ``tests/analysis/cost/test_workload.py`` holds the list against what real rollouts count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mmreason.errors import ConfigError
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.flops import forward_flops

ARMS = ("ar_full", "ar_local", "diffusion_full", "diffusion_local")


@dataclass(frozen=True, slots=True)
class Workload:
    """A typical rollout: sizes in tokens, steps in forward passes (means over segments may be fractions)."""

    canvas: int = 64
    turns: int = 5
    region: int = 6  # cells of a localized edit
    thought: int = 8  # words of a thought, <end> included
    text_slots: int = 9  # positions of a text segment that is denoised, as the shipped base has on average
    text_steps: float = 1.5
    image_steps: float = 1.2
    num_generations: int = 8  # rollouts that share the encoding of their problem

    def __post_init__(self) -> None:
        for name in ("canvas", "turns", "region", "thought", "text_slots", "num_generations"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("text_steps", "image_steps"):
            if not getattr(self, name) >= 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.region > self.canvas:
            raise ConfigError(f"region must be at most the canvas ({self.canvas} cells), got {self.region}")


@dataclass(frozen=True, slots=True)
class Forward:
    """``count`` forward passes (a share, where rollouts share one) of ``width`` tokens on ``cached`` ones."""

    width: int
    cached: int
    scored: int
    count: float = 1.0


def forwards(arm: str, load: Workload) -> Iterator[Forward]:
    """The forwards of one rollout alone in its batch, in order.

    AR forwards every token once, and predicts the next one from it.  Diffusion forwards a segment once a
    step, and its clean copy once more, together with the first step of the segment after it.
    """
    if arm not in ARMS:
        raise ConfigError(f"arm must be one of {', '.join(ARMS)}, got {arm!r}")
    cells = load.canvas if arm.endswith("full") else load.region
    cached = 1 + load.canvas
    yield Forward(cached, 0, 0, 1 / load.num_generations)
    if arm.startswith("ar"):
        cached -= 1  # the problem's last token is forwarded again, to begin the first thought
        for length in [load.thought, cells] * load.turns + [load.thought]:
            for _ in range(length):
                yield Forward(1, cached, 1)
                cached += 1
        return
    pending = 0  # the clean copy of the segment before
    segments = [(load.text_slots, load.thought, load.text_steps), (cells, cells, load.image_steps)] * load.turns
    for slots, clean, steps in [*segments, (load.text_slots, load.thought, load.text_steps)]:
        yield Forward(slots + pending, cached, slots)
        cached += pending
        if steps > 1:
            yield Forward(slots, cached, slots, steps - 1)
        pending = clean


def rollout_flops(config: InterleavedDiffusionConfig, arm: str, load: Workload) -> float:
    """FLOPs of one rollout of ``arm``."""
    return sum(
        f.count * forward_flops(config, 1, f.width, f.cached, f.scored, wanted=f.scored) for f in forwards(arm, load)
    )


def floor_flops(config: InterleavedDiffusionConfig, local: bool, load: Workload) -> float:
    """FLOPs if every token were forwarded once, seeing what came before it: what AR does in the same format."""
    return rollout_flops(config, "ar_local" if local else "ar_full", load)


def tokens_forwarded(arm: str, load: Workload) -> float:
    """Tokens forwarded in one rollout of ``arm``."""
    return sum(f.count * f.width for f in forwards(arm, load))


def forward_passes(arm: str, load: Workload) -> float:
    """Forward passes of one rollout of ``arm``, one after the other."""
    return sum(f.count if f.cached else 1.0 for f in forwards(arm, load))
