"""The small model: block-causal attention on an exact prefix cache.

A token sees every earlier segment, clean, and all of its own; so a finished segment is forwarded once, and its keys
and values stay.  ``CellRows`` is how the samplers use that: rows that grow by segments.  ``CellBackbone`` does the
same for single views, by the protocol; it gives the same logits.

Axes: B rows, L positions of a block, K slots, W columns of an alphabet, N scored tokens, D width.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmreason.backbones.backbone import Attention, Snapshot, check_guidance
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.cells import CellsLayout, Piece
from mmreason.layouts.packing import PADDING, attention_rule, pack, pack_blocks
from mmreason.layouts.view import View
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
    cached: list[int]  # of each row: tokens that it has cached before
    seconds: float
    config: InterleavedDiffusionConfig

    def cost(self, scored: int) -> Cost:
        """Of one row, its padding to the longest included; ``scored`` positions get logits."""
        flops = forward_flops(self.config, 1, self.hidden_BLD.shape[1], max(self.cached), scored)
        return Cost(1, self.hidden_BLD.shape[1], flops, self.seconds / len(self.widths))

    def cost_alone(self, b: int, scored: int) -> Cost:
        """Of row ``b`` as if it were alone."""
        flops = forward_flops(self.config, 1, self.widths[b], self.cached[b], scored)
        return Cost(1, self.widths[b], flops, self.seconds / len(self.widths))


class CellRows:
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

    def select(self, rows: Sequence[int]) -> CellRows:
        """The given rows, in that order; a row may be taken more than once."""
        chosen = object.__new__(CellRows)
        chosen.model, chosen.pad = self.model, self.pad
        chosen.cache = self.cache.select(torch.tensor(rows, dtype=torch.long, device=self.model.device))
        chosen.pending = [list(self.pending[row]) for row in rows]
        return chosen

    def width(self, row: int, noisy: Sequence[Piece]) -> int:
        """Tokens that a forward of ``noisy`` pieces takes in ``row``, pending ones included."""
        return sum(len(piece.ids) for piece in (*noisy, *self.pending[row]))

    def shrink(self) -> None:
        """Give back the room that no row needs."""
        self.cache.shrink()

    def forward(self, noisy: Sequence[Sequence[Piece]], rows: Sequence[int] | None = None) -> Forwarded:
        """Forward the ``noisy`` pieces of each of ``rows`` (default: all), pending ones behind them."""
        chosen = list(range(len(self.pending))) if rows is None else list(rows)
        everything = len(chosen) == len(self.pending)
        device = self.model.device
        pieces = [[*own, *self.pending[row]] for own, row in zip(noisy, chosen, strict=True)]
        packed = pack(pieces, self.pad).to(device)
        numbers = torch.tensor(chosen, device=device)
        cache = self.cache if everything else self.cache.select(numbers)
        cached, columns = cache.length_B.tolist(), cache.num_columns
        cache.reserve(columns + packed.ids_BL.shape[1])
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
        ).hidden_BLD
        seconds = time.perf_counter() - began
        for row in chosen:
            self.pending[row] = []
        if keeps and cache is not self.cache:
            self.cache.put(numbers, cache)
        widths = [sum(len(piece.ids) for piece in row) for row in pieces]
        return Forwarded(hidden_BLD, widths, cached, seconds, self.model.config)


def new_cache(model: InterleavedDiffusionModel, num_rows: int) -> PrefixCache:
    """A cache for ``num_rows`` empty rows of ``model``."""
    sizes = model.config
    cache = PrefixCache(sizes.num_hidden_layers, sizes.num_attention_heads, sizes.head_dim)
    cache.allocate(model.norm.weight, num_rows)
    return cache


class CellBackbone:
    """The small model by the protocol of all backbones."""

    native = True

    def __init__(self, model: InterleavedDiffusionModel, layout: CellsLayout) -> None:
        self.model, self.layout = model, layout
        self.attention: Attention = "blocks"

    def rows(self, num_rows: int = 0) -> CellRows:
        """Rows without a token."""
        return CellRows(self.model, self.layout.pad, num_rows)

    def open(self, views: Sequence[View], alphabet: Alphabet, guidance: Sequence[float] = ()) -> CellSession:
        """Begin to denoise ``views``; there are no twins to guide away from."""
        check_guidance(guidance)
        return CellSession(self, views, alphabet.to(self.model.device))

    def scored(
        self, snapshots: Sequence[Snapshot], alphabet: Alphabet, guidance: Sequence[float] = ()
    ) -> torch.Tensor:
        """(N, W) logits of every scored token, snapshots in order, with gradients; a view's copies share a row."""
        check_guidance(guidance)
        by_view: dict[int, list[int]] = {}
        for i, snapshot in enumerate(snapshots):
            by_view.setdefault(id(snapshot.view), []).append(i)
        clean, noisy = [], []
        for copies in by_view.values():
            clean.append(self.context(snapshots[copies[0]].view))
            noisy.append([self.blank(snapshots[i].view, snapshots[i].tokens, c) for c, i in enumerate(copies, 1)])
        packed, columns = pack_blocks(clean, noisy, self.layout.pad)
        packed = packed.to(self.model.device)
        hidden_BLD = self.model(packed.ids_BL, packed.positions_BLP, packed.block_mask()).hidden_BLD
        places = {i: (b, columns[b][c]) for b, copies in enumerate(by_view.values()) for c, i in enumerate(copies)}
        hidden = [hidden_BLD[places[i][0], places[i][1] + each.places] for i, each in enumerate(snapshots)]
        return self.model.logits(torch.cat(hidden))[:, alphabet.run]

    def micro_batches(
        self, snapshots: Sequence[Snapshot], max_tokens: int, guidance: Sequence[float] = ()
    ) -> list[list[int]]:
        """Indices of snapshots that fit in ``max_tokens`` at once, those of one view side by side."""
        check_guidance(guidance)
        batches: list[list[int]] = []
        filled, view = max_tokens, None
        for i in sorted(range(len(snapshots)), key=lambda i: (len(snapshots[i].view.ids), id(snapshots[i].view), i)):
            own, whole = len(snapshots[i].view.slots), len(snapshots[i].view.ids)
            needed = own if snapshots[i].view is view else whole
            if filled + needed > max_tokens:
                batches.append([])
                filled, needed = 0, whole
            batches[-1].append(i)
            filled, view = filled + needed, snapshots[i].view
        return batches

    def context(self, view: View) -> list[Piece]:
        """What a view shows besides its slots."""
        assert view.positions is not None, "the small model's views name their places"
        return self.layout.pieces(view.ids[view.context], view.positions[view.context])

    def blank(self, view: View, tokens: np.ndarray, copy: int = 1) -> Piece:
        """A view's slots, filled with ``tokens``."""
        assert view.positions is not None, "the small model's views name their places"
        (piece,) = self.layout.pieces(np.asarray(tokens), view.positions[view.slots], copy)
        return piece


class CellSession:
    """Views that are being denoised on a ``CellBackbone``; contexts are forwarded when it is opened."""

    @torch.no_grad()
    def __init__(self, backbone: CellBackbone, views: Sequence[View], alphabet: Alphabet) -> None:
        self.backbone, self.views, self.alphabet = backbone, views, alphabet
        self.rows = backbone.rows(len(views))
        for row, view in enumerate(views):
            self.rows.add(row, backbone.context(view))
        self.cost = Cost()
        first = self.rows.forward([[] for _ in views])
        for b in range(len(views)):
            self.cost = self.cost + first.cost_alone(b, 0)

    @torch.no_grad()
    def logits(self, tokens_BK: torch.Tensor, rows: Sequence[int] | None = None) -> torch.Tensor:
        """(B, K, W) logits of the slots of the views ``rows`` (default: all), given the ids in them now."""
        chosen = list(range(len(self.views)) if rows is None else rows)
        tokens = tokens_BK.cpu().numpy()
        sizes = [len(self.views[row].slots) for row in chosen]
        noisy = [[self.backbone.blank(self.views[row], tokens[b, : sizes[b]])] for b, row in enumerate(chosen)]
        done = self.rows.forward(noisy, chosen)
        for b, size in enumerate(sizes):
            self.cost = self.cost + done.cost_alone(b, size)
        hidden_BKD = done.hidden_BLD[:, : max(sizes)]
        return self.backbone.model.logits(hidden_BKD)[..., self.alphabet.run]
