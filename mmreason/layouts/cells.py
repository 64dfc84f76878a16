"""The small model's layout: a problem, then thoughts and edits in turn, at places of their own.

A token carries five position numbers (``index``, ``row``, ``column``, ``turn``, ``slot``).  What a turn draws is laid
out as the patches that it changes, so that the view of a segment repeats those before it and adds to them.
``interleaved`` turns denoise a thought, then its edit; ``joint`` ones denoise both together, as one unit.

Axes: N tokens, H W canvas, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, pairwise

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts import TURNS
from mmreason.layouts.layout import State
from mmreason.layouts.view import View
from mmreason.layouts.vocabulary import Vocabulary
from mmreason.records import END, MAX_TEXT_TOKENS, Box, Modality, Segment, SegmentKind, region_mask

POSITION_FIELDS = ("index", "row", "column", "turn", "slot")
NEXT_FIELDS = (1, 2, 4)  # row, column and slot: what an autoregressive model is told of the token to come

Integers = Sequence[int] | np.ndarray


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of tokens of one segment copy: ids (n,), positions (n, 5), segment and copy number.

    The problem is segment 0, the text of turn t 2t − 1, its edit 2t; a joint turn is 2t as a whole.  ``branches`` has
    a bit for each trace of a packed row that holds it: pieces that share none do not see one another.
    """

    ids: np.ndarray
    positions: np.ndarray
    segment: int
    copy: int
    branches: int = 1

    @property
    def is_edit(self) -> bool:
        """Does it hold image tokens that were generated, and so have a length of its own?"""
        return self.segment > 0 and self.segment % 2 == 0

    @property
    def last(self) -> Piece:
        """Its last token alone."""
        return replace(self, ids=self.ids[-1:], positions=self.positions[-1:])


def clean_length(ids: Integers, end: int) -> int:
    """Tokens of a text segment that its clean copy keeps: up to and with the first ``<end>``."""
    for i, token in enumerate(ids):
        if token == end:
            return i + 1
    return len(ids)


def thought_segment(turn: int) -> int:
    """Number of the text segment of ``turn`` (from 1); its edit has the next number, the problem 0."""
    return 2 * turn - 1


@lru_cache(maxsize=512)
def _text_positions(length: int, turn: int) -> np.ndarray:
    slot = np.arange(length)
    zero = np.zeros_like(slot)
    index = 1 + (length + 1) * (turn - 1) + slot  # a turn: the slots of a thought, then one step for its edit
    return np.stack([index, zero, zero, zero + turn, slot + 1], axis=1)


@lru_cache(maxsize=512)
def _image_positions(grid: int, length: int, turn: int) -> np.ndarray:
    cell = np.arange(grid * grid)
    zero = np.zeros_like(cell)
    index = zero + (length + 1) * turn
    return np.stack([index, cell // grid + 1, cell % grid + 1, zero + turn, zero], axis=1)


class CellsLayout:
    """Views of the small model, and the pieces that its own samplers and packed rows are made of."""

    family = "cells"
    prompt_marks: tuple[str, ...] = ()  # it is not asked in words

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        num_codes: int,
        text_length: int = MAX_TEXT_TOKENS,
        attention: str = "blocks",
        turn: str = "interleaved",
        cell_tokens: int = 1,
        text_slots: Mapping[str, int] | None = None,
    ) -> None:
        """The cells are those of the tokenizer's words; raises CheckpointError where they are not consecutive.

        ``attention`` says who sees whom, and so what may share a packed row; ``cell_tokens`` is how many image
        tokens lie along a cell's side.  ``text_slots`` are those of each task's texts, ``text_length`` where it does
        not name the task.
        """
        if turn not in TURNS:
            raise CheckpointError(f"turn must be one of {', '.join(TURNS)}, got {turn!r}")
        self.vocabulary = Vocabulary.of(tokenizer, num_codes)
        self.words: list[str] = list(tokenizer.convert_ids_to_tokens(list(range(self.vocabulary.num_text))))
        self.text_length, self.attention, self.turn = text_length, attention, turn
        if not isinstance(text_slots or {}, Mapping):
            raise CheckpointError(f"text_slots must be a number for each task, got {text_slots!r:.60}")
        self.cell_tokens, self.text_slots = cell_tokens, dict(text_slots or {})
        odd = (
            f"{name}={n!r:.40}"
            for name, n in self.text_slots.items()
            if type(n) is not int or not 1 <= n <= text_length
        )
        wrong = next(odd, None)
        if wrong is not None or (self.text_slots and turn == "joint"):
            right = f"from 1 to {text_length} for each task" if turn != "joint" else "left out where turns are joint"
            raise CheckpointError(f"text_slots must be {right}, got {wrong or ', '.join(self.text_slots)}")
        self.pad, self.mask = self.vocabulary.pad, self.vocabulary.mask
        self.first_code, self.num_codes = self.vocabulary.num_text, num_codes

    @property
    def joint(self) -> bool:
        """Are a turn's words and picture denoised together?"""
        return self.turn == "joint"

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells that words name."""
        return self.vocabulary.grid, self.vocabulary.grid

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of image tokens."""
        side = self.vocabulary.grid * self.cell_tokens
        return side, side

    @property
    def num_cells(self) -> int:
        """Image tokens of a canvas."""
        return self.grid[0] * self.grid[1]

    def tokens_in(self, boxes: Sequence[Box]) -> np.ndarray:
        """Flat indices of the image tokens inside boxes of cells."""
        region = region_mask(boxes, self.cells)
        return np.flatnonzero(region.repeat(self.cell_tokens, axis=0).repeat(self.cell_tokens, axis=1))

    def boxes_around(self, tokens: np.ndarray) -> tuple[Box, ...]:
        """The one box of cells that flat indices of image tokens fill, or the cell of each."""
        rows, columns = (each // self.cell_tokens + 1 for each in np.divmod(np.asarray(tokens), self.grid[1]))
        around = Box(int(rows.min()), int(columns.min()), int(rows.max()), int(columns.max()))
        if np.array_equal(self.tokens_in([around]), tokens) and around != Box(*2 * (around.top, around.left)):
            return (around,)
        places = dict.fromkeys(zip(rows.tolist(), columns.tolist(), strict=True))
        return tuple(Box(*2 * (row, column)) for row, column in places)

    @property
    def recorded(self) -> dict[str, str]:
        """What a trace records of it."""
        return {"attention": self.attention, "turn": self.turn}

    def allowed(self, modality: Modality) -> torch.Tensor:
        """Boolean (V,): the ids that a segment of ``modality`` may hold."""
        return self.vocabulary.allowed(modality)

    def read(self, ids: Integers) -> str:
        """The words of a text segment before ``<end>``."""
        words = [self.words[int(id)] for id in ids]
        return " ".join(words[: words.index(END)] if END in words else words)

    def write(self, text: str) -> list[int]:
        """The ids of the words of ``text``; raises ConfigError for a word that the model does not say."""
        ids = []
        for word in text.split():
            id = self.words.index(word) if word in self.words else -1
            if id not in self.vocabulary.generable_text or word == END:
                raise ConfigError(f"the model does not know the word {word[:40]!r}")
            ids.append(id)
        return ids

    def slots(self, task: str) -> int:
        """Slots of a text about a problem of ``task``."""
        return self.text_slots.get(task, self.text_length)

    def filled(self, ids: Integers, slots: int) -> list[int]:
        """``ids``, ended and filled up to ``slots``."""
        return [*ids, *[self.vocabulary.end] * (slots - len(ids))]

    def view(self, state: State, kind: SegmentKind, cells: np.ndarray | None = None) -> View:
        """What the model is shown for the next segment after ``state.segments``, or for the next joint turn.

        The instruction is a task's name and what else is asked; after the start canvas, ``codes_HW``, come patches.
        """
        codes = np.asarray(state.codes_HW).ravel() + self.first_code
        task, _, asked = state.instruction.partition(" ")
        before = [self.problem_piece(self.vocabulary.asked(task, asked), codes)]
        before += self.clean_pieces(state.segments)
        turn = 1 + sum(segment.kind == "edit" for segment in state.segments)
        where = np.arange(self.num_cells) if cells is None else np.asarray(cells)
        if not self.joint and kind != "edit":
            where = where[:0]
        words = self.slots(task) if self.joint or kind != "edit" else 0
        slots = words + len(where)
        blank = self.blank_piece(np.full(slots, self.mask), words, where, turn)
        ids = np.concatenate([piece.ids for piece in (*before, blank)])
        positions = np.concatenate([piece.positions for piece in (*before, blank)])
        return View(ids, np.arange(len(ids) - slots, len(ids)), positions)

    def pieces(self, ids: np.ndarray, positions: np.ndarray, copy: int = 0) -> list[Piece]:
        """The tokens of a view, or some of them, cut into segments."""
        turn, slot = positions[:, POSITION_FIELDS.index("turn")], positions[:, POSITION_FIELDS.index("slot")]
        segment = np.where(turn == 0, 0, 2 * turn - ((slot > 0) & (not self.joint)))
        cuts = [0, *(np.flatnonzero(np.diff(segment)) + 1).tolist(), len(ids)]
        spans = [slice(a, b) for a, b in pairwise(cuts) if a < b]
        return [Piece(ids[span], positions[span], int(segment[span.start]), copy) for span in spans]

    def text_positions(self, turn: int) -> np.ndarray:
        """(T, 5) positions of the text segment of ``turn``."""
        return _text_positions(self.text_length, turn)

    def image_positions(self, turn: int) -> np.ndarray:
        """(H·W, 5) positions of the whole canvas at ``turn`` (0: the problem)."""
        return _image_positions(self.grid[0], self.text_length, turn)

    def problem_piece(self, prompt: int | Sequence[int], canvas_tokens: Integers) -> Piece:
        """The problem: its task token, the start canvas in raster order, then further words of the prompt.

        These take the slots of a text; raises ConfigError where there are more.
        """
        task_token, *asked = [prompt] if isinstance(prompt, int) else prompt
        if len(asked) > self.text_length:
            raise ConfigError(f"the prompt of a problem must have at most {self.text_length} words, got {len(asked)}")
        slots = np.zeros((len(asked), len(POSITION_FIELDS)), np.int64)
        slots[:, -1] = np.arange(1, len(asked) + 1)
        ids = np.concatenate([[task_token], np.asarray(canvas_tokens), asked]).astype(np.int64)
        return Piece(ids, np.concatenate([np.zeros((1, 5), np.int64), self.image_positions(0), slots]), 0, 0)

    def text_piece(self, ids: Integers, turn: int, copy: int = 0) -> Piece:
        """The first ``len(ids)`` positions of the text segment of ``turn``."""
        return Piece(np.asarray(ids), self.text_positions(turn)[: len(ids)], thought_segment(turn), copy)

    def edit_piece(self, ids: Integers, cells: Integers, turn: int, copy: int = 0) -> Piece:
        """The image tokens ``ids`` at the flat canvas indices ``cells``, edited at ``turn``."""
        places = self.image_positions(turn)[np.asarray(cells)]
        return Piece(np.asarray(ids), places, thought_segment(turn) + 1, copy)

    def blank_piece(self, ids: Integers, words: int, cells: Integers, turn: int, copy: int = 0) -> Piece:
        """``words`` of the text of ``turn`` and then its edit of ``cells``; either may be nothing."""
        if not words:
            return self.edit_piece(ids, cells, turn, copy)
        if not len(cells):
            text = self.text_piece(ids, turn, copy)
            return replace(text, segment=text.segment + self.joint)
        places = (self.text_positions(turn)[:words], self.image_positions(turn)[np.asarray(cells)])
        return Piece(np.asarray(ids), np.concatenate(places), thought_segment(turn) + 1, copy)

    def units(self, segments: Sequence[Segment]) -> list[tuple[Segment, ...]]:
        """What was denoised in one go: each segment, or the text and edit of each joint turn."""
        if not self.joint:
            return [(segment,) for segment in segments]
        return [tuple(unit) for _, unit in groupby(segments, key=lambda segment: segment.turn)]

    def unit_piece(self, unit: Sequence[Segment], ids: Integers, copy: int = 0) -> Piece:
        """A unit with other ``ids``, words first."""
        words = sum(len(segment.tokens) for segment in unit if segment.modality == "text")
        cells = [cell for segment in unit for cell in segment.cells]
        return self.blank_piece(ids, words, cells, unit[0].turn, copy)

    def clean_piece(self, *unit: Segment) -> Piece:
        """The clean copy of a finished unit; a text's ends with its first ``<end>``."""
        ids: list[int] = []
        words, cells = 0, []
        for segment in unit:
            if segment.modality == "text":
                words = clean_length(segment.tokens, self.vocabulary.end)
                ids += segment.tokens[:words]
            else:
                cells += segment.cells
                ids += segment.tokens
        return self.blank_piece(ids, words, cells, unit[0].turn)

    def clean_pieces(self, segments: Sequence[Segment]) -> list[Piece]:
        """The clean copies of all units in ``segments``."""
        return [self.clean_piece(*unit) for unit in self.units(segments)]
