"""Decoded pictures, kept while they are used.  Axes: S pixels along a side."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import numpy as np

from mmreason.tasks.dataset.rows import Picture


class KeptPictures:
    """What ``decoded`` gives for a picture and a side; those asked for last are kept, ``max_bytes`` in all."""

    def __init__(self, decoded: Callable[[Picture, int], np.ndarray], max_bytes: int) -> None:
        self._decoded, self._max_bytes = decoded, max_bytes
        self._kept: OrderedDict[tuple[Picture, int], np.ndarray] = OrderedDict()
        self._lock = Lock()
        self.num_bytes = 0  # of all that is kept

    def __call__(self, picture: Picture, side: int) -> np.ndarray:
        """(S, S, 3) uint8, not to be written to."""
        key = (picture, side)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        pixels = self._decoded(picture, side)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = pixels
                self.num_bytes += pixels.nbytes
            while self.num_bytes > self._max_bytes:
                self.num_bytes -= self._kept.popitem(last=False)[1].nbytes
        return pixels
