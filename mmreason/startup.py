"""What a process of ours does before it imports anything large."""

from __future__ import annotations

import gc

COLLECTED_AFTER = (100_000, 50, 100)  # objects, and runs of the two younger generations; Python's own: 700, 10, 10


def collect_seldom() -> None:
    """Let the garbage collector run seldom: a million objects of imported modules are looked through each time.

    It takes a quarter of the time of importing torch, transformers and diffusers.  What has no cycle, as tensors
    and pictures, is freed at once all the same.
    """
    gc.set_threshold(*COLLECTED_AFTER)
