"""Rows of pieces laid one after the other, padded, and who may see whom in them.

Axes: B rows, L sequence positions.  ``segment`` numbers the segment that a token belongs to, ``copy`` the copy of that
segment: 0 is the clean one, any other number a noisy one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mmreason.layouts.cells import NEXT_FIELDS, POSITION_FIELDS, Piece
from mmreason.records import BlockMask

PADDING = -1  # segment number of padding


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
    branches_BL: torch.Tensor  # bits, as of ``Piece``
    tokens_T: torch.Tensor | None  # flat indices of all that is no padding; None where nothing is padded
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
            branches_BL=self.branches_BL.to(device),
            tokens_T=None if self.tokens_T is None else self.tokens_T.to(device),
        )

    @property
    def num_tokens(self) -> int:
        """Positions of all rows that are no padding."""
        return self.ids_BL.numel() if self.tokens_T is None else len(self.tokens_T)

    @property
    def noisy_N(self) -> torch.Tensor:
        """Flat indices of all noisy copies' positions."""
        return self.copy_BL.flatten().nonzero()[:, 0]

    def attention_mask(self) -> torch.Tensor:
        """Boolean (B, 1, L, L) of the attention rule."""
        everything = slice(None)
        return self._rule(everything, everything)[:, None]

    def _rule(self, queries: slice, keys: slice) -> torch.Tensor:
        """Boolean (B, L, M) of the attention rule between columns, those of other branches left out."""
        query, key = ((self.segment_BL[:, at], self.copy_BL[:, at]) for at in (queries, keys))
        shared = self.branches_BL[:, queries, None] & self.branches_BL[:, None, keys]
        return attention_rule(*query, *key) & (shared != 0)

    def mask_of(self, attention: str) -> torch.Tensor | BlockMask:
        """Who sees whom with ``full`` attention, or by the attention rule."""
        if attention == "full":
            return self.full_mask()
        return self.block_mask() if self.runs else self.attention_mask()

    def full_mask(self) -> torch.Tensor:
        """Boolean (B, 1, L, L): every token of a row sees every other; padding is seen by padding only."""
        real_BL = self.segment_BL != PADDING
        return (real_BL[:, :, None] == real_BL[:, None])[:, None]

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
        first, others = slice(clean), slice(clean, None)
        segment_BC, segment_BN = self.segment_BL[:, first], self.segment_BL[:, others]
        among = self._rule(first, first)
        prefix = self._rule(others, first) & (segment_BC != PADDING)[:, None]
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
    return _lay(placed, _round_up(max(map(row_length, rows)), multiple_of), pad)


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
    clean = _round_up(max(map(row_length, clean_rows)), multiple_of)
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


def row_length(row: Sequence[Piece]) -> int:
    """Tokens of all pieces."""
    return sum(len(piece.ids) for piece in row)


def widest_edit(row: Sequence[Piece]) -> int:
    """Tokens of the largest edit, 0 without any; rows of like edits are packed together."""
    return max((len(piece.ids) for piece in row if piece.is_edit), default=0)


def _in_sequence(row: Sequence[Piece]) -> list[tuple[int, Piece]]:
    starts = np.cumsum([0, *(len(piece.ids) for piece in row)]).tolist()
    return list(zip(starts, row, strict=False))


def _lay(placed: Sequence[Sequence[tuple[int, Piece]]], length: int, pad: int) -> Packed:
    """Rows whose pieces start at given columns, padding between and after them."""
    ids_BL = np.full((len(placed), length), pad, dtype=np.int64)
    positions_BLP = np.zeros((len(placed), length, len(POSITION_FIELDS)), dtype=np.int64)
    segment_BL = np.full((len(placed), length), PADDING, dtype=np.int64)
    copy_BL = np.zeros((len(placed), length), dtype=np.int64)
    branches_BL = np.ones((len(placed), length), dtype=np.int64)
    for b, row in enumerate(placed):
        for start, piece in row:
            stop = start + len(piece.ids)
            ids_BL[b, start:stop] = piece.ids
            positions_BLP[b, start:stop] = piece.positions
            segment_BL[b, start:stop] = piece.segment
            copy_BL[b, start:stop] = piece.copy
            branches_BL[b, start:stop] = piece.branches
    tokens_T = np.flatnonzero(segment_BL != PADDING)
    return Packed(
        torch.from_numpy(ids_BL),
        torch.from_numpy(positions_BLP),
        torch.from_numpy(segment_BL),
        torch.from_numpy(copy_BL),
        torch.from_numpy(branches_BL),
        None if len(tokens_T) == segment_BL.size else torch.from_numpy(tokens_T),
    )
