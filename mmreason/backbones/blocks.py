"""The small model with block-causal attention, on an exact prefix cache.

A token sees every earlier segment, clean, and all of its own; so a finished segment is forwarded once, and its keys
and values stay.

Axes: B rows, L positions of a block, D width.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mmreason.layouts.cells import Piece
from mmreason.layouts.packing import PADDING, attention_rule, pack, row_length
from mmreason.models.cache import PrefixCache
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.flops import forward_flops
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Cost


@dataclass(frozen=True, slots=True, eq=False)
class Forwarded:
    """One forward: hidden states (those of a row's slots come first), and what it took."""

    hidden_BLD: torch.Tensor
    widths: list[int]  # of each row: tokens of its own, padding left out
    slots: list[int]  # of each row: how many of these, the first, have final states
    cached: list[int]  # of each row: tokens that it has cached before
    seconds: float
    config: InterleavedDiffusionConfig

    def cost(self, b: int, scored: int) -> Cost:
        """Of row ``b``, attention to and from its padding included; ``scored`` positions get logits."""
        return self._cost(b, self.hidden_BLD.shape[1], max(self.cached), scored)

    def cost_alone(self, b: int, scored: int) -> Cost:
        """Of row ``b`` as if it were alone."""
        return self._cost(b, self.widths[b], self.cached[b], scored)

    def _cost(self, b: int, block: int, cached: int, scored: int) -> Cost:
        if not block:
            return Cost()
        flops = forward_flops(self.config, 1, block, cached, scored, self.widths[b], self.slots[b])
        return Cost(1, self.widths[b], flops, self.seconds / len(self.widths))


class BlockRows:
    """Rows of clean segments that grow; noisy ones are forwarded on top of them and leave no trace."""

    def __init__(self, model: InterleavedDiffusionModel, pad: int, num_rows: int = 0) -> None:
        self.model, self.pad = model, pad
        self.cache = new_cache(model, num_rows)
        self.pending: list[list[Piece]] = [[] for _ in range(num_rows)]  # finished, not forwarded yet

    def append_row(self) -> None:
        """One empty row more, the last."""
        self.cache.append_row()
        self.pending.append([])

    def add(self, row: int, pieces: Sequence[Piece]) -> None:
        """Let ``row`` go on with finished ``pieces``; they are forwarded with whatever is forwarded next."""
        self.pending[row] += pieces

    def select(self, rows: Sequence[int]) -> BlockRows:
        """The given rows, in that order; a row may be taken more than once."""
        chosen = object.__new__(BlockRows)
        chosen.model, chosen.pad = self.model, self.pad
        chosen.cache = self.cache.select(torch.tensor(rows, dtype=torch.long, device=self.model.device))
        chosen.pending = [list(self.pending[row]) for row in rows]
        return chosen

    def width(self, row: int, noisy: Sequence[Piece]) -> int:
        """Tokens that a forward of ``noisy`` pieces takes in ``row``, pending ones included."""
        return row_length([*noisy, *self.pending[row]])

    def shrink(self) -> None:
        """Give back the room that no row needs."""
        self.cache.shrink()

    def forward(self, noisy: Sequence[Sequence[Piece]], rows: Sequence[int] | None = None) -> Forwarded:
        """Forward the ``noisy`` pieces of each of ``rows`` (default: all), pending ones behind them."""
        every = list(range(len(self.pending)))
        chosen = every if rows is None else list(rows)
        device = self.model.device
        pieces = [[*own, *self.pending[row]] for own, row in zip(noisy, chosen, strict=True)]
        packed = pack(pieces, self.pad)
        wanted_N, packed = packed.noisy_N.to(device), packed.to(device)
        lengths = self.cache.lengths.tolist()
        cached = [lengths[row] for row in chosen]
        columns = max(cached, default=0)
        self.cache.reserve(columns + packed.ids_BL.shape[1])
        cache = self.cache if chosen == every else self.cache.only(torch.tensor(chosen, device=device))
        inside = attention_rule(packed.segment_BL, packed.copy_BL, packed.segment_BL, packed.copy_BL)
        before = cache.filled(columns)[:, None].expand(-1, inside.shape[1], -1)
        keeps = any(self.pending[row] for row in chosen)
        keep_BL = (packed.segment_BL != PADDING) & (packed.copy_BL == 0)
        began = time.perf_counter()
        hidden_BLD = self.model(
            packed.ids_BL,
            packed.positions_BLP,
            torch.cat((before, inside), dim=-1)[:, None],
            cache=cache,
            keep_BL=keep_BL if keeps else None,
            tokens_T=packed.tokens_T,
            wanted_N=wanted_N,
        ).hidden_BLD
        seconds = time.perf_counter() - began
        for row in chosen:
            self.pending[row] = []
        widths, slots = [row_length(row) for row in pieces], [row_length(row) for row in noisy]
        return Forwarded(hidden_BLD, widths, slots, cached, seconds, self.model.config)


def new_cache(model: InterleavedDiffusionModel, num_rows: int) -> PrefixCache:
    """A cache for ``num_rows`` empty rows of ``model``."""
    sizes = model.config
    cache = PrefixCache(sizes.num_hidden_layers, sizes.num_attention_heads, sizes.head_dim)
    cache.allocate(model.norm.weight, num_rows)
    return cache
