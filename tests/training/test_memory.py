"""Freed memory goes back to the kernel when it is asked for, whichever thread has freed it."""

import sys
import threading

import psutil
import pytest

from mmreason.training.hardware import give_back_freed_memory

COUNT, SIZE = 3000, 100_000  # below glibc's threshold for maps of their own


def resident_mb() -> float:
    return psutil.Process().memory_info().rss / 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_what_threads_have_freed_is_given_back():
    kept: list[bytearray] = []

    def work() -> None:
        blocks = [bytearray(b"x" * SIZE) for _ in range(COUNT)]
        kept.extend(blocks[::20])  # in the way of all that lies below

    before = resident_mb()
    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    held = resident_mb()
    give_back_freed_memory()
    assert held - before > 0.8 * COUNT * SIZE / 2**20
    assert resident_mb() - before < 0.4 * (held - before)
    assert len(kept) == 2 * COUNT // 20
