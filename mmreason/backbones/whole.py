"""The small model with bidirectional attention: every token of a view sees every other, masks too.

Nothing can be kept, since what was generated before looks at what is being denoised: every step is a whole forward.

Axes: B rows, L tokens of a row, D width.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from mmreason.backbones.blocks import Forwarded
from mmreason.layouts.cells import Piece
from mmreason.layouts.packing import pack, row_length
from mmreason.models.modeling import InterleavedDiffusionModel


class WholeRows:
    """Rows of finished segments that grow; each forward shows all of them beside what is denoised."""

    def __init__(self, model: InterleavedDiffusionModel, pad: int, num_rows: int = 0) -> None:
        self.model, self.pad = model, pad
        self.finished: list[list[Piece]] = [[] for _ in range(num_rows)]

    def append_row(self) -> None:
        """One empty row more, the last."""
        self.finished.append([])

    def add(self, row: int, pieces: Sequence[Piece]) -> None:
        """Let ``row`` go on with finished ``pieces``."""
        self.finished[row] += pieces

    def select(self, rows: Sequence[int]) -> WholeRows:
        """The given rows, in that order; a row may be taken more than once."""
        chosen = WholeRows(self.model, self.pad)
        chosen.finished = [list(self.finished[row]) for row in rows]
        return chosen

    def shrink(self) -> None:
        """There is no room to give back."""

    def width(self, row: int, noisy: Sequence[Piece]) -> int:
        """Tokens that a forward of ``noisy`` pieces takes in ``row``; nothing where there are none."""
        return row_length([*noisy, *self.finished[row]]) if noisy else 0

    def forward(self, noisy: Sequence[Sequence[Piece]], rows: Sequence[int] | None = None) -> Forwarded:
        """Forward the ``noisy`` pieces of each of ``rows`` (default: all) before all that is finished there."""
        chosen = list(range(len(self.finished))) if rows is None else list(rows)
        pieces = [[*own, *self.finished[row]] if own else [] for own, row in zip(noisy, chosen, strict=True)]
        widths, slots = [row_length(row) for row in pieces], [row_length(row) for row in noisy]
        nothing = [0] * len(chosen)
        if not any(widths):
            empty = self.model.norm.weight.new_zeros(len(chosen), 0, self.model.config.hidden_size)
            return Forwarded(empty, widths, slots, nothing, 0.0, self.model.config)
        packed, device = pack(pieces, self.pad), self.model.device
        wanted_N, packed = packed.noisy_N.to(device), packed.to(device)
        began = time.perf_counter()
        hidden_BLD = self.model(
            packed.ids_BL, packed.positions_BLP, packed.full_mask(), tokens_T=packed.tokens_T, wanted_N=wanted_N
        ).hidden_BLD
        return Forwarded(hidden_BLD, widths, slots, nothing, time.perf_counter() - began, self.model.config)
