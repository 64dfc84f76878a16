"""The records that every room passes on: cells, boxes, problems, segments and traces.

Axes: H W canvas rows and columns.  Rows and columns count from 1 at the top left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

Modality = Literal["text", "image"]
SegmentKind = Literal["thought", "edit", "answer"]
Difficulty = Literal["easy", "medium", "hard"]
Split = Literal["train", "validation", "test"]

MODALITIES: tuple[Modality, ...] = ("text", "image")
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
MAX_REWARD = 1e6  # of a segment, either way; a sum of them stays exact

CELL_PX = 16  # pixels along the side of one canvas cell
GRID = 8  # canvas cells along one side
NUM_CELLS = GRID * GRID
CANVAS_PX = GRID * CELL_PX  # pixels along the side of a puzzle's picture
MAX_GRID = 99  # rows or columns that a cell word can name
MAX_TEXT_TOKENS = 12  # length of a text segment, <end> included
MAX_RUNNERS_UP = 8  # likeliest other tokens that a frame keeps of each committed one

EDIT, ANSWER, END, MASK = "<edit>", "<answer>", "<end>", "<mask>"

_CELL_WORD = re.compile(r"r([1-9]\d{0,4})c([1-9]\d{0,4})\Z", re.ASCII)


def cell_word(row: int, column: int) -> str:
    """Name a cell, e.g. ``r2c5``; rows and columns count from 1."""
    return f"r{row}c{column}"


def marked_words(text: str) -> list[str]:
    """The words of a thought or an answer; its marks are words of their own, whatever they are glued to."""
    for mark in (EDIT, ANSWER):
        text = text.replace(mark, f" {mark} ")
    return text.split()


def claim_words(thought: str) -> list[str]:
    """What a thought says before the region that it names; all of it where it names none."""
    words = marked_words(thought)
    return words[: words.index(EDIT)] if EDIT in words else words


def parse_cell(word: str, size: int | tuple[int, int] = GRID) -> tuple[int, int] | None:
    """Row and column (from 1) that ``word`` names on a grid of ``size`` rows and columns, or None."""
    match = _CELL_WORD.match(word)
    if match is None:
        return None
    row, column = int(match[1]), int(match[2])
    rows, columns = (size, size) if isinstance(size, int) else size
    return (row, column) if row <= rows and column <= columns else None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of canvas cells, corners inclusive, counted from 1."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def between(cls, a: tuple[int, int], b: tuple[int, int]) -> Box:
        """The box with opposite corners ``a`` and ``b`` (row, column), in any order."""
        return cls(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))

    @property
    def words(self) -> str:
        return f"{cell_word(self.top, self.left)} {cell_word(self.bottom, self.right)}"

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns, as an array's index."""
        return slice(self.top - 1, self.bottom), slice(self.left - 1, self.right)

    def mask(self, grid: tuple[int, int] = (GRID, GRID)) -> np.ndarray:
        """Boolean (H, W): True inside the box."""
        mask_HW = np.zeros(grid, dtype=bool)
        mask_HW[self.slices] = True
        return mask_HW


FULL_BOX = Box(1, 1, GRID, GRID)


def parse_box(words: str, size: int | tuple[int, int] = MAX_GRID) -> Box | None:
    """The box that two cells name, e.g. ``r2c2:r5c6`` or ``r2c2 r5c6``, on a grid of ``size``; None if none."""
    corners = [parse_cell(word, size) for word in words.replace(":", " ").split(" ")]
    return Box.between(*corners) if len(corners) == 2 and all(corners) else None  # pyright: ignore[reportArgumentType]


def parse_boxes(words: Sequence[str], grid: tuple[int, int] = (GRID, GRID)) -> list[Box] | str:
    """The boxes that a thought names after ``<edit>``, or a sentence that says why it names none."""
    if EDIT not in words:
        return "the thought names no region: <edit> is missing"
    corners = words[words.index(EDIT) + 1 :]
    if not corners or len(corners) % 2:
        return f"the thought must name its region by pairs of corners, got {len(corners)} words after <edit>"
    cells = [parse_cell(word, grid) for word in corners]
    for word, cell in zip(corners, cells, strict=True):
        if cell is None:
            return f"the thought's region holds {word!r}, which is no cell of the canvas"
    return [Box.between(a, b) for a, b in zip(cells[::2], cells[1::2], strict=True) if a and b]


def region_mask(boxes: Sequence[Box], grid: tuple[int, int] = (GRID, GRID)) -> np.ndarray:
    """Boolean (H, W): True in any of ``boxes``."""
    mask_HW = np.zeros(grid, dtype=bool)
    for box in boxes:
        mask_HW |= box.mask(grid)
    return mask_HW


@dataclass(frozen=True, slots=True)
class Problem:
    """One puzzle: what is drawn, what is asked, and what a verifier needs.

    ``spec`` is the problem as a JSON object in its task's file format.  ``canvas`` holds the start
    image as (H, W) cell ids local to the task (indices into the task's ``CELLS``), of a task on pictures as
    (S, S, 3) pixels.
    """

    task: str
    spec: Mapping[str, Any]
    canvas: np.ndarray
    image: np.ndarray  # (height, width, 3) uint8, the start picture; of a puzzle 128 × 128
    question: str
    turns: int  # turns that a shortest solution needs
    difficulty: str = "custom"  # easy, medium, hard, or custom for one that a user wrote
    seed: int | None = None
    split: str | None = None
    index: int | None = None
    prompt: str = ""  # words that a policy is told besides the task's name
    region: np.ndarray | None = field(default=None, compare=False)
    # (height, width) bool: the pixels to redraw where a thought names none

    @property
    def plain_spec(self) -> dict[str, Any]:
        """``spec`` as a file gives it back, a copy of its own."""
        return json.loads(json.dumps(dict(self.spec)))

    @property
    def summary(self) -> dict[str, Any]:
        """What is said of it beside its picture."""
        return {name: getattr(self, name) for name in ("task", "difficulty", "seed", "question", "turns")}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one segment: right or wrong, why in words, and the components."""

    right: bool
    reason: str  # "true", or what is wrong, e.g. "wall at r3c4"
    components: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of a demonstration: the thought in words, and the canvas after its edit."""

    thought: str  # e.g. "right 3 total 7 <edit> r2c2 r2c5"
    canvas: np.ndarray  # (H, W) local cell ids


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A canonical solution: turns of thought and edit, then the answer."""

    steps: tuple[Step, ...]
    answer: str  # e.g. "<answer> 7 moves"


@dataclass(frozen=True, slots=True)
class Frame:
    """The state after one denoising step of one segment."""

    step: int  # from 1
    tokens: tuple[int, ...]  # the segment's token ids, the mask id where still masked
    committed: tuple[int, ...]  # positions within the segment committed at this step
    logprobs: tuple[float, ...]  # of the committed tokens, at the sampling temperature
    runners_up: tuple[tuple[tuple[int, float], ...], ...] = ()
    # of each committed token the likeliest other ids and their log-probabilities, where they were asked for


@dataclass(frozen=True, slots=True)
class Segment:
    """What was generated in one go, with how it came about and what it earned."""

    kind: SegmentKind
    turn: int  # from 1
    tokens: tuple[int, ...]  # every sampled token id, those after <end> included
    frames: tuple[Frame, ...]
    text: str = ""  # thoughts and answers: the words before <end>
    boxes: tuple[Box, ...] = ()  # edits: the region as stated
    cells: tuple[int, ...] = ()  # edits: flat canvas indices of ``tokens``
    reward: float | None = None  # None: left out (an edit that no correct action fits)
    verdict: Verdict | None = None
    transition: float | None = None  # edits: text_to_image; thoughts: image_to_text
    picture: np.ndarray | None = field(default=None, compare=False)
    # edits by a codec whose codes are no pictures of their own: (height, width, 3) uint8, the canvas afterwards

    @property
    def modality(self) -> Modality:
        return "image" if self.kind == "edit" else "text"

    @property
    def logprob(self) -> float:
        """Log-probability of the segment under the policy that sampled it."""
        return sum(sum(frame.logprobs) for frame in self.frames)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a rollout cost: attention to padding and masked products included; finished rows leave."""

    forward_passes: int = 0
    tokens_forwarded: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.forward_passes + other.forward_passes,
            self.tokens_forwarded + other.tokens_forwarded,
            self.flops + other.flops,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """A problem, the segments that a policy generated for it, and what they cost."""

    problem: Problem
    canvas_tokens: tuple[int, ...]  # (H·W) image-token ids of the start canvas, ``grid`` says of which H and W
    segments: tuple[Segment, ...]
    end_reason: str  # "answered", "out of turns", or why a thought could not be followed
    success: bool = False
    cost: Cost = Cost()
    settings: Mapping[str, Any] = field(default_factory=dict)  # sampling settings and checkpoint hash
    grid: tuple[int, int] = (GRID, GRID)  # rows and columns of image tokens

    @property
    def answer(self) -> Segment | None:
        """The segment that answers, which a joint turn's picture follows; None before there is one."""
        return next((segment for segment in self.segments[-2:] if segment.kind == "answer"), None)


def trace_rewards(trace: Trace) -> tuple[float, float | None]:
    """Text and image reward of a whole trace.

    Text: the sum over text segments, divided by those present or those needed, whichever is more, so
    that stopping early does not pay.  Image: the mean of the edits that are not null, None without any.
    """
    text, image = ([s.reward for s in trace.segments if s.modality == modality] for modality in MODALITIES)
    return whole_rewards(text, image, trace.problem.turns)


def whole_rewards(
    text: Sequence[float | None], image: Sequence[float | None], turns: int
) -> tuple[float, float | None]:
    """The same from the rewards of text segments and of edits, and the ``turns`` that a problem needs."""
    judged = [reward for reward in image if reward is not None]
    mean = sum(judged) / len(judged) if judged else None
    return sum(reward or 0.0 for reward in text) / max(len(text), turns + 1), mean


def mean_rewards(traces: Sequence[Trace]) -> tuple[float, float | None]:
    """Text and image reward of ``traces`` on average: image of those that have one, None where none has."""
    rewards = [trace_rewards(trace) for trace in traces]
    image = [score for _, score in rewards if score is not None]
    return sum(score for score, _ in rewards) / len(rewards), sum(image) / len(image) if image else None


@dataclass(frozen=True, slots=True)
class BlockMask:
    """Who sees whom in packed rows that split into C clean columns and noisy blocks.

    ``clean_B1CC`` among the clean columns, ``prefix_B1NC`` from the N noisy columns to them, and for each
    run of K blocks of one width W an ``own_B1KWW`` inside each block; boolean, True where a query may
    see a key, or floats that are added to the scores.
    """

    clean_B1CC: torch.Tensor
    prefix_B1NC: torch.Tensor
    own_runs: tuple[torch.Tensor, ...]  # (B, 1, K, W, W) each, in column order

    def mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> BlockMask:
        """The same after ``change``."""
        return BlockMask(change(self.clean_B1CC), change(self.prefix_B1NC), tuple(map(change, self.own_runs)))
