"""The view: what a model is shown for one segment.

Axes: N tokens of the view, K slots, P position fields of a token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One segment's input: its context, and the mask id at the slots that the segment fills.

    ``positions`` defaults to the token's place (P = 1).  ``unseen`` leading tokens are padding: they stand in
    ``ids`` as the family writes them, and no token sees them.  ``twins`` are the views to guide away from, each
    with the same slots in the same order; there are none where a family knows no guidance.  Of a turn denoised
    together the last ``words`` slots are text and the others codes.
    """

    ids: np.ndarray  # (N,)
    slots: np.ndarray  # (K,) places in ids, in the order of the segment's tokens
    positions: np.ndarray | None = None  # (N, P)
    unseen: int = 0
    twins: tuple[View, ...] = ()
    words: int = 0

    def __post_init__(self) -> None:
        assert self.ids.ndim == 1 and self.slots.ndim == 1, "ids and slots are lists"
        assert len(self.slots) == 0 or self.unseen <= self.slots.min() <= self.slots.max() < len(self.ids)
        assert self.words <= len(self.slots)
        assert all(len(twin.slots) == len(self.slots) for twin in self.twins), "a twin has the same slots"

    @classmethod
    def of(
        cls, ids: list[int] | np.ndarray, mask: int, twins: tuple[View, ...] = (), unseen: int = 0, words: int = 0
    ) -> View:
        """The view of ``ids`` whose slots are the places of ``mask``, in raster order."""
        array = np.asarray(ids, dtype=np.int64)
        return cls(array, np.flatnonzero(array == mask), twins=twins, unseen=unseen, words=words)

    @property
    def is_word(self) -> np.ndarray:
        """(K,) bool: the slots of text in a turn denoised together."""
        return np.arange(len(self.slots)) >= len(self.slots) - self.words

    @property
    def seen_ids(self) -> np.ndarray:
        """The ids without the padding before them."""
        return self.ids[self.unseen :]

    @property
    def seen_slots(self) -> np.ndarray:
        """The places of the slots in ``seen_ids``."""
        return self.slots - self.unseen

    @property
    def seen_positions(self) -> np.ndarray:
        """(N,) position of each of ``seen_ids`` along the sequence; rotary positions are relative."""
        return np.arange(self.unseen, len(self.ids)) if self.positions is None else self.positions[self.unseen :, 0]

    @property
    def context(self) -> np.ndarray:
        """Places in ``seen_ids`` that are no slots."""
        inside = np.ones(len(self.seen_ids), dtype=bool)
        inside[self.seen_slots] = False
        return np.flatnonzero(inside)
