"""How checkpoints of public families lay out and denoise their views; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.layouts import TURNS
from mmreason.limits import Number, Whole
from mmreason.sampling.config import SamplingConfig
from mmreason.settings import Control, build, check, choice, number

ATTENTIONS = ("full", "prefix")
STEP = 32  # pixels; sides of a picture's budget are multiples of it
PUZZLE_STEP = 128  # the same of a puzzle: a code of 16 pixels for each of its 8 cells along a side
PUZZLE_PIXELS, OWN_PIXELS = 256, 512
NUM_STEPS, MAX_TURNS, OWN_TURNS = 8, 10, 1  # where nothing else is said
SCALE = Number("guidance", 0, 20, "how far an edit is moved away from what it would be without the text; 0 is off")
OF_PUBLIC = "for checkpoints of public families"


@dataclass(frozen=True, slots=True)
class ViewsConfig:
    """What ``SamplingConfig`` does not say, since our own small checkpoints know no choice there."""

    attention: Literal["full", "prefix"] = choice(
        "full",
        ATTENTIONS,
        f"{OF_PUBLIC}: full is how they were trained; prefix computes a context once, which their weights do not know",
        left="full, or as an adapter was trained",
        page=Control(
            "Attention",
            "Full is native and looks at all in every step; prefix is quicker, not native.",
            place="public",
        ),
    )
    turn: Literal["interleaved", "joint"] = choice(
        "interleaved",
        TURNS,
        f"{OF_PUBLIC}: joint denoises a turn's words and picture together, as MMaDA-Parallel does",
        left="the checkpoint's own, or as an adapter was trained",
    )
    guidance: float = number(0.0, SCALE, f"{OF_PUBLIC}: {SCALE.says}", left="0")
    guidance_image: float = number(
        0.0,
        Number("guidance_image", 0, 20, "the same, away from what it would be without the picture; 0 is off"),
        left="0",
    )
    text_length: int = number(
        64,
        Whole("text_length", 1, 1024, "tokens of a thought or an answer"),
        f"{OF_PUBLIC}: tokens of a text",
        left="64",
        page=Control("Text length", "Tokens of a thought or an answer.", place="public"),
    )
    text_steps: int | None = number(
        None,
        Whole("text_steps", 1, 1024, "denoising steps of a text"),
        f"{OF_PUBLIC}: steps of a text",
        left="num_steps",
    )
    block_length: int | None = number(
        None,
        Whole("block_length", 1, 1024, "tokens of a text that are denoised before the next ones"),
        left="the whole text at once",
    )
    pixels: int | None = number(
        None,
        Whole("pixels", STEP, 2048, "side of the square that holds as many pixels as a picture may have"),
        left=f"{PUZZLE_PIXELS} for puzzles, {OWN_PIXELS} for pictures of one's own",
    )
    region_share: float | None = number(
        None,
        limits.SHARE,
        "share of the cells, the least certain ones, that an edit redraws where nobody names a region",
        left="a quarter of a puzzle, all of a picture of one's own",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.pixels is not None and self.pixels % STEP:
            raise ConfigError(f"pixels must be a multiple of {STEP}, of {PUZZLE_STEP} for puzzles, got {self.pixels}")
        if self.region_share is not None and not self.region_share:
            raise ConfigError("region_share must be above 0, got 0")
        if self.block_length is not None and self.turn == "joint":
            raise ConfigError(f"block_length must be left out where turns are joint, got {self.block_length}")
        if self.block_length is not None and self.text_length % self.block_length:
            raise ConfigError(f"block_length must divide text_length ({self.text_length}), got {self.block_length}")

    @property
    def scales(self) -> tuple[float, ...]:
        """Of guidance, a number for each twin of an edit; none where it is off."""
        both = (self.guidance, self.guidance_image)
        return both if self.guidance_image else both[:1] if self.guidance else ()

    def steps_of_text(self, sampling: SamplingConfig) -> int:
        """Denoising steps of a text; raises ConfigError where its blocks cannot share them."""
        steps = self.text_steps or sampling.num_steps or 1
        blocks = self.text_length // (self.block_length or self.text_length)
        if self.block_length is not None and steps % blocks:
            raise ConfigError(f"text_steps must be a multiple of the {blocks} blocks of a text, got {steps}")
        return steps

    def stored(self) -> dict[str, Any]:
        """The settings as ``views_config`` reads them."""
        return asdict(self)

    def recorded(self) -> dict[str, Any]:
        """What a trace records of these settings."""
        return {"cache": "none" if self.attention == "full" else "exact", **asdict(self)}


def views_config(values: Mapping[str, Any]) -> ViewsConfig:
    """The settings stored as ``values``; those of a later version are left out.  Raises ConfigError."""
    return build(ViewsConfig, values)
