"""The schema of a version 1 trace file.

Fields are checked one by one here (types, ranges, lengths) and against each other where a reader
relies on it (frames as long as their segment, one probability a committed token).  What no field
can say, that the whole is plain finite JSON of modest depth, is checked in ``mmreason.traces.plain``.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from mmreason import records
from mmreason.records import CANVAS_PX, GRID, MAX_REWARD, MAX_RUNNERS_UP, MAX_TEXT_TOKENS, NUM_CELLS, Box

VERSION = 1
PNG_PREFIX = "data:image/png;base64,"
PICTURES = ("before", "after")  # of a segment

MAX_IMAGE_CHARS = 200_000
MAX_SEGMENTS = 128
MAX_FRAMES = 64
MAX_CODE = 65_535
MAX_TURN = 64
_LARGE = 1e18  # no count, cost or log-probability of a rollout is larger


def decode_png(url: str) -> Image.Image:
    """The 128 × 128 RGB picture of a PNG data URL; raises ValueError, before decoding where it can."""
    if not url.startswith(PNG_PREFIX):
        raise ValueError(f"must begin with {PNG_PREFIX!r}")
    try:
        data = base64.b64decode(url[len(PNG_PREFIX) :], validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            size = image.size  # from the header: nothing is decoded yet
            if size == (CANVAS_PX, CANVAS_PX):
                return image.convert("RGB")
    except (binascii.Error, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise ValueError("is not a PNG picture") from None
    except Exception:  # Pillow's readers raise further kinds on forged chunks (struct, zlib, index, …)
        raise ValueError("is not a PNG picture") from None
    raise ValueError(f"must be {CANVAS_PX} × {CANVAS_PX} pixels, is {size[0]} × {size[1]}")


def _picture(url: str) -> str:
    decode_png(url)
    return url


def not_bool(value: Any) -> Any:
    """``value``; raises ValueError for true and false, which Python counts as numbers."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def parse_box(words: str) -> Box:
    """The box of two cell words, e.g. ``r2c2 r2c5``; raises ValueError."""
    box = None if ":" in words else records.parse_box(words, GRID)
    if box is None:
        raise ValueError("must name two cells, e.g. 'r2c2 r2c5'")
    return box


def _box(words: str) -> str:
    parse_box(words)
    return words


Picture = Annotated[str, StringConstraints(max_length=MAX_IMAGE_CHARS), AfterValidator(_picture)]
Short = Annotated[str, StringConstraints(max_length=64)]
Line = Annotated[str, StringConstraints(max_length=500)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^\S+$")]
BoxWords = Annotated[str, StringConstraints(max_length=9), AfterValidator(_box)]
Code = Annotated[int, Field(ge=0, le=MAX_CODE)]
CellIndex = Annotated[int, Field(ge=0, lt=NUM_CELLS)]
Turn = Annotated[int, Field(ge=1, le=MAX_TURN)]
Score = Annotated[float, Field(ge=-MAX_REWARD, le=MAX_REWARD)]
Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=int(_LARGE))]
Amount = Annotated[float, Field(ge=0, le=_LARGE)]
Logprob = Annotated[float, Field(ge=-_LARGE, le=1e-3)]  # rounding may lift a sum of zeros a hair above 0
Scalar = str | int | float | bool | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class ProblemEntry(_Strict):
    """The problem: ``spec`` is its problem file, ``image`` the start picture as it was given."""

    task: Short
    spec: dict[Short, Any]
    question: Line
    turns: Annotated[int, Field(ge=0, le=MAX_TURN)]
    difficulty: Short
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None
    split: Short | None
    index: Annotated[int, Field(ge=0, lt=2**64)] | None
    image: Picture


class SettingsEntry(BaseModel):
    """How it was sampled; other systems may add settings of their own, each a number, word or null."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, frozen=True)
    __pydantic_extra__: dict[str, Scalar] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    temperature: Annotated[float, Field(ge=0, le=1000)] | None = None
    num_steps: Annotated[int, Field(ge=1, le=10_000)] | None = None
    threshold: Probability | None = None
    order: Short | None = None
    region: Short | None = None
    max_turns: Annotated[int, Field(ge=1, le=MAX_TURN)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    checkpoint: Line | None = None
    checkpoint_hash: Short | None = None


class VerdictEntry(_Strict):
    """What a verifier said of a segment, in words and by component."""

    right: bool
    reason: Line
    components: Annotated[dict[Short, Score], Field(max_length=32)]


RunnerUp = Annotated[list[Word | Code | Probability], Field(min_length=2, max_length=2)]  # token and probability
RunnersUp = list[list[Annotated[list[RunnerUp], Field(max_length=MAX_RUNNERS_UP)]]]


class _FrameEntry(_Strict):
    step: Annotated[int, Field(ge=1, le=10_000)]
    committed: Annotated[list[CellIndex], Field(max_length=NUM_CELLS)]
    probability: Annotated[list[Probability], Field(max_length=NUM_CELLS)]

    @model_validator(mode="after")
    def _aligned(self) -> _FrameEntry:
        if len(self.probability) != len(self.committed):
            raise ValueError("'probability' must be as long as 'committed'")
        if len(set(self.committed)) != len(self.committed):
            raise ValueError("'committed' must not repeat a position")
        return self


class TextFrame(_FrameEntry):
    """A denoising step of a text segment: words, null where still masked."""

    tokens: Annotated[list[Word | None], Field(min_length=1, max_length=MAX_TEXT_TOKENS)]


class EditFrame(_FrameEntry):
    """A denoising step of an edit: image codes aligned with its cells, null where still masked."""

    tokens: Annotated[list[Code | None], Field(min_length=1, max_length=NUM_CELLS)]


class _SegmentEntry(_Strict):
    turn: Turn
    reward: Score | None
    verdict: VerdictEntry | None
    transition: Score | None
    logprob: Logprob | None
    runners_up: RunnersUp | None = None  # by frame and committed token, likeliest first


class TextSegment(_SegmentEntry):
    """A thought or an answer."""

    kind: Literal["thought", "answer"]
    modality: Literal["text"]
    text: Line
    region: None
    cells: None
    frames: Annotated[list[TextFrame], Field(max_length=MAX_FRAMES)]
    before: None
    after: None

    @model_validator(mode="after")
    def _consistent(self) -> TextSegment:
        _check_frames(self.frames, len(self.frames[0].tokens) if self.frames else 0)
        _check_runners_up(self.runners_up, self.frames, str)
        return self


class EditSegment(_SegmentEntry):
    """An edit: ``cells`` are the flat canvas indices that it redraws; ``after`` is null until finished."""

    kind: Literal["edit"]
    modality: Literal["image"]
    text: None
    region: Annotated[list[BoxWords], Field(min_length=1, max_length=NUM_CELLS)]
    cells: Annotated[list[CellIndex], Field(min_length=1, max_length=NUM_CELLS)]
    frames: Annotated[list[EditFrame], Field(max_length=MAX_FRAMES)]
    before: Picture
    after: Picture | None

    @model_validator(mode="after")
    def _consistent(self) -> EditSegment:
        if len(set(self.cells)) != len(self.cells):
            raise ValueError("'cells' must not repeat a cell")
        _check_frames(self.frames, len(self.cells))
        _check_runners_up(self.runners_up, self.frames, int)
        return self


def _check_frames(frames: Sequence[TextFrame | EditFrame], length: int) -> None:
    last = 0
    for number, frame in enumerate(frames):
        if len(frame.tokens) != length:
            found = len(frame.tokens)
            raise ValueError(f"'frames[{number}].tokens' must hold {length} entries, holds {found}")
        if any(position >= length for position in frame.committed):
            raise ValueError(f"'frames[{number}].committed' must name positions below {length}")
        if any(frame.tokens[position] is None for position in frame.committed):
            raise ValueError(f"'frames[{number}].tokens' must hold a token wherever 'committed' says so")
        if frame.step <= last:
            raise ValueError(f"'frames[{number}].step' must rise from frame to frame")
        last = frame.step


def _check_runners_up(
    runners_up: list[list[list[RunnerUp]]] | None, frames: Sequence[TextFrame | EditFrame], kind: type
) -> None:
    if runners_up is None:
        return
    if [len(of_frame) for of_frame in runners_up] != [len(frame.committed) for frame in frames]:
        raise ValueError("'runners_up' must hold a list for each token that a frame committed")
    for token, probability in (pair for of_frame in runners_up for others in of_frame for pair in others):
        if not isinstance(token, kind) or isinstance(probability, str) or probability > 1:
            raise ValueError("'runners_up' must hold pairs of a token and its probability")


SegmentEntry = Annotated[TextSegment | EditSegment, Field(discriminator="kind")]


class RewardEntry(_Strict):
    """The rewards of the whole trace; null where nothing was scored."""

    text: Score | None
    image: Score | None


class CostEntry(_Strict):
    """What it cost; ``full_redraw_tokens``: had every edit redrawn all 64 cells."""

    forward_passes: Count
    tokens_forwarded: Count
    flops: Amount
    seconds: Amount
    full_redraw_tokens: Count


class TraceFile(_Strict):
    """One trace: a problem, what was generated for it, what it earned and what it cost."""

    version: Annotated[Literal[1], BeforeValidator(not_bool)]
    problem: ProblemEntry
    settings: SettingsEntry
    canvas_codes: Annotated[list[Code], Field(min_length=NUM_CELLS, max_length=NUM_CELLS)]
    segments: Annotated[list[SegmentEntry], Field(max_length=MAX_SEGMENTS)]
    end_reason: Line
    success: bool
    reward: RewardEntry
    cost: CostEntry
