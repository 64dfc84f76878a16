"""Keys and values of contexts, kept while their slots are denoised.

Axes: B rows, A heads, C context tokens, L tokens of this forward, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


class ContextKeys:
    """Stands where transformers expects a cache: the first forward fills it, later ones only read it."""

    def __init__(self) -> None:
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []  # (B, A, C, D) keys and values
        self.filling = True
        self.rows: list[int] | None = None  # None: all, in order

    @property
    def cached(self) -> int:
        """Context tokens of each row that a forward reads; 0 while it is being filled."""
        return 0 if self.filling or not self.layers else self.layers[0][0].shape[2]

    def of_rows(self, rows: Sequence[int]) -> ContextKeys:
        """The same keys, to be read for these rows."""
        chosen = ContextKeys()
        chosen.layers, chosen.filling = self.layers, False
        everything = list(range(self.layers[0][0].shape[0]))
        chosen.rows = None if list(rows) == everything else list(rows)
        return chosen

    def update(
        self, keys_BALD: torch.Tensor, values_BALD: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by each layer: store what it has while filling, else put the context's before it.

        Keys come rotated in 32 bits, and are kept in the type of the values.
        """
        keys_BALD = keys_BALD.to(values_BALD.dtype)
        if self.filling:
            self.layers.append((keys_BALD, values_BALD))
            return keys_BALD, values_BALD
        before_keys, before_values = self.layers[layer_idx]
        if self.rows is not None:
            before_keys, before_values = before_keys[self.rows], before_values[self.rows]
        return torch.cat((before_keys, keys_BALD), dim=2), torch.cat((before_values, values_BALD), dim=2)
