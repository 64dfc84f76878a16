"""The signals that ask a training to end: the step is finished, saved, and can be resumed from.

Ctrl-C sends SIGINT; SIGTERM comes from a restarting Space, Slurm, Kubernetes and ``docker stop``.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any

SAME = 1.0  # seconds within which a second Ctrl-C is the first: a launcher passes on what its processes got already


class _Collecting:
    """The handler."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._first = 0.0

    def __call__(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if number == signal.SIGINT and signal.SIGINT in self.seen and now - self._first > SAME:
            raise KeyboardInterrupt
        self._first = now if number not in self.seen else self._first
        self.seen.append(number)


@contextlib.contextmanager
def interrupts() -> Iterator[list[int]]:
    """Collect the signals instead of ending; a second Ctrl-C, by somebody who does not want to wait, raises.

    Within another of these it is the same list, so that who began a training sees what has ended it.
    """
    outer = signal.getsignal(signal.SIGTERM)
    if isinstance(outer, _Collecting):
        yield outer.seen
        return
    note, previous = _Collecting(), {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: nothing to catch
        pass
    try:
        yield note.seen
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
