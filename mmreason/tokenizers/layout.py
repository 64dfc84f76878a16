"""Where everything lies: id ranges, positions, segments, and the attention rule.

Axes: B rows, L sequence positions, H W canvas.  A token carries five position numbers
(``index``, ``row``, ``column``, ``turn``, ``slot``), the ``segment`` it belongs to and the ``copy``
of that segment: 0 is the clean one, any other number a noisy one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from mmreason.errors import CheckpointError
from mmreason.records import ANSWER, EDIT, END, GRID, MAX_TEXT_TOKENS, NUM_CELLS, BlockMask, Problem, cell_word
from mmreason.tokenizers.text import MASK, PAD, UNKNOWN, check_known, is_generated

POSITION_FIELDS = ("index", "row", "column", "turn", "slot")
NEXT_FIELDS = (1, 2, 4)  # row, column and slot: what an autoregressive model is told of the token to come
TURN_STRIDE = MAX_TEXT_TOKENS + 1  # index steps of one turn: a thought's slots, then its edit
PADDING = -1  # segment number of padding

Integers = Sequence[int] | np.ndarray


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The joint id space: text ids first, image codes after them."""

    num_text: int
    num_codes: int
    pad: int
    mask: int
    end: int
    edit: int
    answer: int
    first_cell: int  # id of r1c1; cell words follow by row and column
    generable_text: tuple[int, ...]  # text ids that may be sampled
    tasks: Mapping[str, int] = field(hash=False)  # the token of each task that is known
    words: Mapping[str, int] = field(hash=False, repr=False)  # the id of every word

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast, num_codes: int) -> Vocabulary:
        """Read the id ranges off ``tokenizer`` and a codebook of ``num_codes`` entries."""
        vocab = tokenizer.get_vocab()
        first_cell = vocab.get(cell_word(1, 1), -1)
        cells = [vocab.get(cell_word(i // GRID + 1, i % GRID + 1)) for i in range(NUM_CELLS)]
        if cells != list(range(first_cell, first_cell + NUM_CELLS)):
            raise CheckpointError("the tokenizer lacks consecutive cell words r1c1 to r8c8")
        return cls(
            num_text=len(vocab),
            num_codes=num_codes,
            pad=vocab[PAD],
            mask=vocab[MASK],
            end=vocab[END],
            edit=vocab[EDIT],
            answer=vocab[ANSWER],
            first_cell=first_cell,
            generable_text=tuple(sorted(i for word, i in vocab.items() if is_generated(word))),
            tasks={
                word[1:-1]: i
                for word, i in sorted(vocab.items(), key=lambda item: item[1])
                if not is_generated(word) and word not in (PAD, MASK, UNKNOWN)
            },
            words=vocab,
        )

    @property
    def size(self) -> int:
        return self.num_text + self.num_codes

    def task_token(self, task: str) -> int:
        """The token that begins a problem of ``task``; raises ConfigError where a checkpoint does not know it."""
        check_known(task, self.tasks, self.words)
        return self.tasks[task]

    def prompt(self, problem: Problem) -> list[int]:
        """The ids that say what is asked: the task's token, then the words of ``problem.prompt`` if it has some."""
        return [
            self.task_token(problem.task),
            *(self.words.get(w, self.words[UNKNOWN]) for w in problem.prompt.split()),
        ]

    def known(self, tasks: Iterable[str]) -> list[str]:
        """Those of ``tasks`` that are known."""
        return [task for task in tasks if task in self.tasks]

    def allowed(self, modality: str) -> torch.Tensor:
        """Boolean (V,): the ids that a segment of ``modality`` may hold."""
        allowed_V = torch.zeros(self.size, dtype=torch.bool)
        if modality == "text":
            allowed_V[list(self.generable_text)] = True
        else:
            allowed_V[self.num_text :] = True
        return allowed_V


def thought_segment(turn: int) -> int:
    """Number of the text segment of ``turn`` (from 1); its edit has the next number, the problem 0."""
    return 2 * turn - 1


def _text_positions(turn: int) -> np.ndarray:
    slot = np.arange(MAX_TEXT_TOKENS)
    zero = np.zeros_like(slot)
    index = 1 + TURN_STRIDE * (turn - 1) + slot
    return np.stack([index, zero, zero, zero + turn, slot + 1], axis=1)


def _image_positions(turn: int) -> np.ndarray:
    cell = np.arange(NUM_CELLS)
    zero = np.zeros_like(cell)
    index = zero + (0 if turn == 0 else TURN_STRIDE * turn)
    return np.stack([index, cell // GRID + 1, cell % GRID + 1, zero + turn, zero], axis=1)


_POSITIONS: dict[tuple[str, int], np.ndarray] = {}


def positions(modality: str, turn: int) -> np.ndarray:
    """(12 or H·W, 5) positions of a text segment or of the whole canvas at ``turn`` (0: the problem)."""
    key = (modality, turn)
    if key not in _POSITIONS:
        _POSITIONS[key] = _text_positions(turn) if modality == "text" else _image_positions(turn)
    return _POSITIONS[key]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of tokens of one segment copy: ids (n,), positions (n, 5), segment and copy number."""

    ids: np.ndarray
    positions: np.ndarray
    segment: int
    copy: int

    @property
    def is_edit(self) -> bool:
        return self.segment > 0 and self.segment % 2 == 0

    @property
    def last(self) -> Piece:
        """Its last token alone."""
        return replace(self, ids=self.ids[-1:], positions=self.positions[-1:])


def problem_piece(prompt: int | Sequence[int], canvas_tokens: Integers) -> Piece:
    """The problem: its task token, the start canvas in raster order, then up to 12 further words of the prompt."""
    task_token, *asked = [prompt] if isinstance(prompt, int) else prompt
    slots = np.zeros((len(asked), len(POSITION_FIELDS)), np.int64)
    slots[:, -1] = np.arange(1, len(asked) + 1)
    ids = np.concatenate([[task_token], np.asarray(canvas_tokens), asked]).astype(np.int64)
    return Piece(ids, np.concatenate([np.zeros((1, 5), np.int64), positions("image", 0), slots]), 0, 0)


def text_piece(ids: Integers, turn: int, copy: int = 0) -> Piece:
    """The first ``len(ids)`` positions of the text segment of ``turn``."""
    return Piece(np.asarray(ids), positions("text", turn)[: len(ids)], thought_segment(turn), copy)


def edit_piece(ids: Integers, cells: Integers, turn: int, copy: int = 0) -> Piece:
    """The image tokens ``ids`` at the flat canvas indices ``cells``, edited at ``turn``."""
    return Piece(np.asarray(ids), positions("image", turn)[np.asarray(cells)], thought_segment(turn) + 1, copy)


def clean_length(ids: Integers, end: int) -> int:
    """Tokens of a text segment that its clean copy keeps: up to and with the first ``<end>``."""
    for i, token in enumerate(ids):
        if token == end:
            return i + 1
    return len(ids)


@dataclass(frozen=True, slots=True)
class Packed:
    """A batch of packed rows, padded.

    With ``runs`` the first ``clean_length`` columns hold clean copies only; after them come runs of blocks,
    (number of blocks, their width) each, and every block holds one noisy copy: first texts, then edits.
    """

    ids_BL: torch.Tensor
    positions_BLP: torch.Tensor
    segment_BL: torch.Tensor  # PADDING where padded
    copy_BL: torch.Tensor
    clean_length: int = 0
    runs: tuple[tuple[int, int], ...] = ()

    def to(self, device: torch.device) -> Packed:
        """The same batch on ``device``."""
        return replace(
            self,
            ids_BL=self.ids_BL.to(device),
            positions_BLP=self.positions_BLP.to(device),
            segment_BL=self.segment_BL.to(device),
            copy_BL=self.copy_BL.to(device),
        )

    def attention_mask(self) -> torch.Tensor:
        """Boolean (B, 1, L, L) of the attention rule."""
        return attention_rule(self.segment_BL, self.copy_BL, self.segment_BL, self.copy_BL)[:, None]

    def causal_mask(self) -> torch.Tensor:
        """Boolean (B, 1, L, L): a token sees those before it; the problem, which is given, sees all of itself."""
        problem_BL = self.segment_BL == 0
        length = self.segment_BL.shape[1]
        before_LL = torch.ones(length, length, dtype=torch.bool, device=self.segment_BL.device).tril()
        return (before_LL | (problem_BL[:, :, None] & problem_BL[:, None]))[:, None]

    def with_next(self) -> Packed:
        """The same batch with the row, column and slot of the token after each one as further positions."""
        following = torch.zeros_like(self.positions_BLP[..., NEXT_FIELDS])
        following[:, :-1] = self.positions_BLP[:, 1:, NEXT_FIELDS]
        return replace(self, positions_BLP=torch.cat((self.positions_BLP, following), dim=-1))

    def block_mask(self) -> BlockMask:
        """The attention rule by blocks: the same as ``attention_mask``, without its empty products."""
        clean = self.clean_length
        segment_BC, copy_BC = self.segment_BL[:, :clean], self.copy_BL[:, :clean]
        segment_BN, copy_BN = self.segment_BL[:, clean:], self.copy_BL[:, clean:]
        among = attention_rule(segment_BC, copy_BC, segment_BC, copy_BC)
        prefix = attention_rule(segment_BN, copy_BN, segment_BC, copy_BC) & (segment_BC != PADDING)[:, None]
        own, start = [], 0
        for count, width in self.runs:
            block_BKW = segment_BN[:, start : start + count * width].unflatten(1, (count, width))
            own.append((block_BKW[..., :, None] == block_BKW[..., None, :])[:, None])
            start += count * width
        return BlockMask(among[:, None], prefix[:, None], tuple(own))


def attention_rule(
    query_segment_BL: torch.Tensor,
    query_copy_BL: torch.Tensor,
    key_segment_BM: torch.Tensor,
    key_copy_BM: torch.Tensor,
) -> torch.Tensor:
    """Boolean (B, L, M): may a query see a key?

    A token sees the clean copy of every earlier segment and all of its own copy: block-causal over
    clean segments, and a noisy copy sees what the sampler saw when it denoised it.  Padding is seen
    by padding only.
    """
    qs, qc = query_segment_BL[:, :, None], query_copy_BL[:, :, None]
    ks, kc = key_segment_BM[:, None, :], key_copy_BM[:, None, :]
    earlier = (ks < qs) & (kc == 0) & (ks != PADDING)
    return earlier | ((ks == qs) & (kc == qc))


def pack(rows: Sequence[Sequence[Piece]], pad: int, multiple_of: int = 1) -> Packed:
    """Lay the pieces of each row one after the other and pad rows to one length."""
    placed = [_in_sequence(row) for row in rows]
    return _lay(placed, _round_up(max(map(_row_length, rows)), multiple_of), pad)


def pack_blocks(
    clean_rows: Sequence[Sequence[Piece]],
    noisy_rows: Sequence[Sequence[Piece]],
    pad: int,
    multiple_of: int = 1,
    blocks_multiple_of: int = 1,
    edit_multiple_of: int = 1,
) -> tuple[Packed, list[list[int]]]:
    """Lay out clean pieces first, then each noisy piece in a block of its own; see ``Packed``.

    Also returns the column at which each noisy piece of each row starts.  The clean length, the number
    of blocks and the width of edits are rounded up, so that few shapes occur.
    """
    clean = _round_up(max(map(_row_length, clean_rows)), multiple_of)
    placed = [_in_sequence(row) for row in clean_rows]
    columns = [[0] * len(row) for row in noisy_rows]
    runs, start = [], clean
    for is_edit in (False, True):
        chosen = [[i for i, piece in enumerate(row) if piece.is_edit is is_edit] for row in noisy_rows]
        width = max((len(noisy_rows[b][i].ids) for b, row in enumerate(chosen) for i in row), default=0)
        count = _round_up(max(map(len, chosen)), blocks_multiple_of)
        if not width:
            continue
        if is_edit:
            width = _round_up(width, edit_multiple_of)
        for b, row in enumerate(chosen):
            for block, i in enumerate(row):
                columns[b][i] = start + block * width
                placed[b].append((columns[b][i], noisy_rows[b][i]))
        runs.append((count, width))
        start += count * width
    return replace(_lay(placed, start, pad), clean_length=clean, runs=tuple(runs)), columns


def _round_up(number: int, multiple_of: int) -> int:
    return -(-number // multiple_of) * multiple_of


def _row_length(row: Sequence[Piece]) -> int:
    return sum(len(piece.ids) for piece in row)


def _in_sequence(row: Sequence[Piece]) -> list[tuple[int, Piece]]:
    starts = np.cumsum([0, *(len(piece.ids) for piece in row)]).tolist()
    return list(zip(starts, row, strict=False))


def _lay(placed: Sequence[Sequence[tuple[int, Piece]]], length: int, pad: int) -> Packed:
    """Rows whose pieces start at given columns, padding between and after them."""
    ids_BL = np.full((len(placed), length), pad, dtype=np.int64)
    positions_BLP = np.zeros((len(placed), length, len(POSITION_FIELDS)), dtype=np.int64)
    segment_BL = np.full((len(placed), length), PADDING, dtype=np.int64)
    copy_BL = np.zeros((len(placed), length), dtype=np.int64)
    for b, row in enumerate(placed):
        for start, piece in row:
            stop = start + len(piece.ids)
            ids_BL[b, start:stop] = piece.ids
            positions_BLP[b, start:stop] = piece.positions
            segment_BL[b, start:stop] = piece.segment
            copy_BL[b, start:stop] = piece.copy
    return Packed(
        torch.from_numpy(ids_BL),
        torch.from_numpy(positions_BLP),
        torch.from_numpy(segment_BL),
        torch.from_numpy(copy_BL),
    )
