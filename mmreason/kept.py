"""What takes a while to make, kept for who asks next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """What was made, by key; what was asked for last is kept, ``max_bytes`` in all as ``size`` counts them."""

    def __init__(self, max_bytes: int, size: Callable[[T], int]) -> None:
        self._max_bytes, self._size = max_bytes, size
        self._kept: OrderedDict[tuple[Hashable, ...], T] = OrderedDict()
        self._lock = Lock()
        self.num_bytes = 0  # of all that is kept

    def made(self, make: Callable[[], T], *key: Hashable) -> T:
        """What ``make`` makes, or has made for ``key``."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self.num_bytes += self._size(made)
            while self.num_bytes > self._max_bytes:
                self.num_bytes -= self._size(self._kept.popitem(last=False)[1])
        return made
