"""The autoregressive baseline's rows: one token a forward, on the same cache.

The problem, which is given, is encoded at once and sees all of itself; after it every token sees those before it.

Axes: B rows, L positions, P position fields, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from mmreason.backbones.blocks import Forwarded, new_cache
from mmreason.layouts.cells import NEXT_FIELDS, Piece
from mmreason.layouts.packing import PADDING, pack
from mmreason.models.cache import PrefixCache
from mmreason.models.modeling import InterleavedDiffusionModel


class CausalRows:
    """Rows of tokens that grow by one."""

    def __init__(self, model: InterleavedDiffusionModel, cache: PrefixCache) -> None:
        self.model, self.cache = model, cache

    @classmethod
    def encoded(
        cls, model: InterleavedDiffusionModel, problems: Sequence[Piece], pad: int, following: np.ndarray
    ) -> tuple[CausalRows, Forwarded]:
        """A row of each problem but its last token, which is forwarded again with the place of the one to come.

        ``following`` (P) is that place.
        """
        packed = pack([[piece] for piece in problems], pad).with_next()
        row_B, keep_BL = torch.arange(len(problems)), packed.segment_BL != PADDING
        last_B = keep_BL.sum(dim=1) - 1
        packed.positions_BLP[row_B, last_B, -len(NEXT_FIELDS) :] = torch.from_numpy(following[list(NEXT_FIELDS)])
        keep_BL[row_B, last_B] = False
        rows = cls(model, new_cache(model, len(problems)))
        width = packed.ids_BL.shape[1]
        rows.cache.reserve(width)
        packed = packed.to(model.device)
        keep_BL = keep_BL.to(model.device)
        began = time.perf_counter()
        output = model(
            packed.ids_BL,
            packed.positions_BLP,
            packed.causal_mask(),
            cache=rows.cache,
            keep_BL=keep_BL,
            wanted_N=row_B.new_zeros(0).to(model.device),
        )
        seconds = time.perf_counter() - began
        nothing = [0] * len(problems)
        return rows, Forwarded(output.hidden_BLD, [width] * len(problems), nothing, nothing, seconds, model.config)

    def select(self, rows: Sequence[int]) -> CausalRows:
        """The given rows, in that order; a row may be taken more than once."""
        numbers = torch.tensor(rows, dtype=torch.long, device=self.model.device)
        return CausalRows(self.model, self.cache.select(numbers))

    def put(self, rows: Sequence[int], chosen: CausalRows) -> None:
        """Take back what ``select`` gave for ``rows`` and has grown since."""
        self.cache.put(torch.tensor(rows, device=self.model.device), chosen.cache)

    def forward(self, ids_B: torch.Tensor, positions_BP: torch.Tensor) -> Forwarded:
        """Forward one token more of each row, which stays; its place and that of the next one are its positions."""
        cached, columns = self.cache.length_B.tolist(), self.cache.num_columns
        self.cache.reserve(columns + 1)
        seen_BM = F.pad(self.cache.filled(columns), (0, 1), value=True)
        began = time.perf_counter()
        hidden_BLD = self.model(
            ids_B[:, None],
            positions_BP[:, None].to(self.model.device),
            seen_BM[:, None, None],
            cache=self.cache,
            keep_BL=torch.ones(len(ids_B), 1, dtype=torch.bool, device=self.model.device),
        ).hidden_BLD
        seconds = time.perf_counter() - began
        each = [1] * len(cached)
        return Forwarded(hidden_BLD, each, each, cached, seconds, self.model.config)
