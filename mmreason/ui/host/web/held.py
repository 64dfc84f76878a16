"""How many bytes requests under way hold together, and those of each address that is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Held:
    """The bytes; nothing of an address is kept when it holds none.  For one event loop, as it has no lock."""

    def __init__(self) -> None:
        self.total = 0
        self.of: Counter[str] = Counter()

    @contextmanager
    def by(self, address: str | None, most: int, most_of_one: int) -> Iterator[Callable[[int], bool]]:
        """A function with which one request takes bytes, if there is room; all are given back when it ends."""
        taken = 0

        def take(size: int) -> bool:
            nonlocal taken
            if self.total + size > most or (address is not None and self.of[address] + size > most_of_one):
                return False
            taken += size
            self._add(address, size)
            return True

        try:
            yield take
        finally:
            self._add(address, -taken)

    def _add(self, address: str | None, size: int) -> None:
        self.total += size
        if address is not None:
            self.of[address] += size
            if not self.of[address]:
                del self.of[address]
