"""Random generators built from names and numbers, so that nothing depends on call order."""

from __future__ import annotations

import hashlib

import numpy as np

MAX_SEED = 2**64 - 1  # of what files hold and is derived; what a user gives is in ``limits``


def derive_seed(*keys: int | str) -> int:
    """Map ``keys`` to a 63-bit seed; neighbouring numbers give unrelated seeds."""
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(*keys: int | str) -> np.random.Generator:
    """A NumPy generator that is a pure function of ``keys``."""
    return np.random.default_rng(derive_seed(*keys))
