"""Freed memory: kept for the next step of a training, given back by a server after heavy work."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Tell glibc to give nothing back between steps; does nothing where there is no glibc.

    Page faults on freshly mapped tensors otherwise cost as much as the arithmetic of a small model.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)


def give_back_freed_memory() -> None:
    """Hand all that is free back to the kernel, whichever thread freed it; does nothing where there is no glibc.

    Each thread allocates from an arena of its own, and that keeps the peak of whatever has run in it.
    """
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:  # another C library
        return None
    return libc if hasattr(libc, "malloc_trim") else None
