"""The small model behind the protocol of all backbones, in either of its attention modes.

``BlockRows`` and ``WholeRows`` are how its own samplers use it: rows that grow by segments, in lockstep and without
a view laid out anew for each.  Sessions of single views run on the same rows, and give the same logits.

Axes: B views, K slots, W columns of an alphabet, N scored tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mmreason.backbones.backbone import Attention, Snapshot, check_guidance
from mmreason.backbones.blocks import BlockRows
from mmreason.backbones.whole import WholeRows
from mmreason.errors import CheckpointError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.cells import CellsLayout, Piece
from mmreason.layouts.packing import Packed, pack, pack_blocks
from mmreason.layouts.view import View
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import BlockMask, Cost

ATTENTIONS: tuple[Attention, ...] = ("blocks", "full")


class CellBackbone:
    """The small model by the protocol of all backbones; the mode is the one that it was trained with."""

    native = True

    def __init__(self, model: InterleavedDiffusionModel, layout: CellsLayout) -> None:
        """Raises CheckpointError for a mode that the small model does not have."""
        self.model, self.layout = model, layout
        self.attention = checked_attention(model.config)

    def rows(self, num_rows: int = 0) -> BlockRows | WholeRows:
        """Rows without a token, as samplers grow them."""
        kind = WholeRows if self.attention == "full" else BlockRows
        return kind(self.model, self.layout.pad, num_rows)

    def open(self, views: Sequence[View], alphabet: Alphabet, guidance: Sequence[float] = ()) -> CellSession:
        """Begin to denoise ``views``; there are no twins to guide away from."""
        check_guidance(guidance)
        return CellSession(self, views, alphabet.to(self.model.device))

    def scored(
        self, snapshots: Sequence[Snapshot], alphabet: Alphabet, guidance: Sequence[float] = ()
    ) -> torch.Tensor:
        """(N, W) logits of every scored token, snapshots in order, with gradients.

        In ``blocks`` the snapshots of one view share a row, in ``full`` each has its own.
        """
        check_guidance(guidance)
        if self.attention == "full":
            rows = [[self.blank(each.view, each.tokens), *self.context(each.view)] for each in snapshots]
            packed = pack(rows, self.layout.pad).to(self.model.device)
            hidden_BLD = self._hidden(packed, packed.full_mask())
            hidden = [hidden_BLD[i, each.places] for i, each in enumerate(snapshots)]
            return self.model.logits(torch.cat(hidden))[:, alphabet.run]
        by_view: dict[int, list[int]] = {}
        for i, snapshot in enumerate(snapshots):
            by_view.setdefault(id(snapshot.view), []).append(i)
        clean, noisy = [], []
        for copies in by_view.values():
            clean.append(self.context(snapshots[copies[0]].view))
            noisy.append([self.blank(snapshots[i].view, snapshots[i].tokens, c) for c, i in enumerate(copies, 1)])
        packed, columns = pack_blocks(clean, noisy, self.layout.pad)
        packed = packed.to(self.model.device)
        hidden_BLD = self._hidden(packed, packed.block_mask())
        places = {i: (b, columns[b][c]) for b, copies in enumerate(by_view.values()) for c, i in enumerate(copies)}
        hidden = [hidden_BLD[places[i][0], places[i][1] + each.places] for i, each in enumerate(snapshots)]
        return self.model.logits(torch.cat(hidden))[:, alphabet.run]

    def _hidden(self, packed: Packed, mask: torch.Tensor | BlockMask) -> torch.Tensor:
        """(B, L, D) final states."""
        output = self.model(packed.ids_BL, packed.positions_BLP, mask, tokens_T=packed.tokens_T)
        return output.hidden_BLD

    def micro_batches(
        self, snapshots: Sequence[Snapshot], max_tokens: int, guidance: Sequence[float] = ()
    ) -> list[list[int]]:
        """Indices of snapshots that fit in ``max_tokens`` at once, those of one view side by side."""
        check_guidance(guidance)
        batches: list[list[int]] = []
        filled, view = max_tokens, None
        for i in sorted(range(len(snapshots)), key=lambda i: (len(snapshots[i].view.ids), id(snapshots[i].view), i)):
            own, whole = len(snapshots[i].view.slots), len(snapshots[i].view.ids)
            needed = own if snapshots[i].view is view and self.attention == "blocks" else whole
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


def checked_attention(config: InterleavedDiffusionConfig) -> Attention:
    """The mode that a configuration names; raises CheckpointError."""
    if config.attention == "prefix":
        raise CheckpointError(
            "attention must be blocks or full for the small model, got 'prefix': its blocks are that mode, and native"
        )
    for attention in ATTENTIONS:
        if config.attention == attention:
            if config.causal and (attention != "blocks" or config.turn != "interleaved"):
                raise CheckpointError(
                    "attention must be blocks and turn interleaved for a causal model, "
                    f"got {config.attention} and {config.turn}"
                )
            return attention
    raise CheckpointError(f"attention must be one of {', '.join(ATTENTIONS)}, got {str(config.attention)[:40]!r}")
