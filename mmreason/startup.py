"""What a process of ours does before it imports anything large."""

from __future__ import annotations

import gc
from contextlib import suppress
from importlib.util import find_spec

COLLECTED_AFTER = (100_000, 50, 100)  # objects, and runs of the two younger generations; Python's own: 700, 10, 10

MOST_OPEN = 65_536  # files and connections


def open_many() -> None:
    """Let the process have as many files and connections open as it may; the usual 1,024 are soon used up."""
    if find_spec("resource") is None:  # Windows has no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_OPEN if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # of a system that has a lower bound still
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def collect_seldom() -> None:
    """Let the garbage collector run seldom: a million objects of imported modules are looked through each time.

    It takes a quarter of the time of importing torch, transformers and diffusers.  What has no cycle, as tensors
    and pictures, is freed at once all the same.
    """
    gc.set_threshold(*COLLECTED_AFTER)
