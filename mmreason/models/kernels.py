"""Which of torch's attention kernels serve shapes that seldom come again."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

QUICK_TO_START = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def quick_attention(device: torch.device, enabled: bool = True) -> AbstractContextManager[Any]:
    """On a GPU without cuDNN's attention, which plans for every new shape; elsewhere nothing changes."""
    return sdpa_kernel(QUICK_TO_START) if enabled and device.type == "cuda" else nullcontext()
