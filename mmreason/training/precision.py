"""Half precision as trainings and their tests use it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

# The weights stay in 32 bits, so that norms of halves take several kernels, which is told at the first of them.
warnings.filterwarnings("ignore", message="Mismatch dtype between input and weight")

QUICK_TO_START = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@contextmanager
def half_precision(device: torch.device, enabled: bool = True) -> Iterator[None]:
    """bfloat16 autocast on ``device`` if ``enabled``; the weights stay as they are.

    On a GPU without cuDNN's attention: it plans for every new shape, and shapes of rollouts seldom come again.
    """
    attention = sdpa_kernel(QUICK_TO_START) if enabled and device.type == "cuda" else nullcontext()
    with attention, torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield
