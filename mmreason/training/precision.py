"""Half precision as trainings and their tests use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mmreason.models.kernels import quick_attention


@contextmanager
def half_precision(device: torch.device, enabled: bool = True) -> Iterator[None]:
    """bfloat16 autocast on ``device`` if ``enabled``; the weights stay as they are.

    On a GPU without cuDNN's attention: it plans for every new shape, and shapes of rollouts seldom come again.
    """
    with quick_attention(device, enabled), torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield
