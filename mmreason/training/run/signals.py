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


@contextlib.contextmanager
def interrupts() -> Iterator[list[int]]:
    """Collect the signals instead of ending; a second Ctrl-C, by somebody who does not want to wait, raises."""
    seen: list[int] = []
    first = 0.0

    def note(number: int, frame: Any) -> None:
        nonlocal first
        now = time.monotonic()
        if number == signal.SIGINT and signal.SIGINT in seen and now - first > SAME:
            raise KeyboardInterrupt
        first = now if number not in seen else first
        seen.append(number)

    previous: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: nothing to catch
        pass
    try:
        yield seen
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
