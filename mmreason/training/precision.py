"""Half precision as trainings and their tests use it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from mmreason.models.kernels import quick_attention


@contextmanager
def half_precision(device: torch.device, enabled: bool = True) -> Iterator[None]:
    """bfloat16 autocast on ``device`` if ``enabled``; the weights stay as they are.

    On a GPU without cuDNN's attention: it plans for every new shape, and shapes of rollouts seldom come again.
    """
    with quick_attention(device, enabled), torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield


def half_pays(device: torch.device) -> bool:
    """Does ``half_precision`` make training faster on ``device``?

    On a GPU it does; a CPU is asked, since one without units for bfloat16, and some with them, are slower in it.
    """
    return device.type != "cpu" or training_seconds(half=True) < training_seconds(half=False)


def training_seconds(half: bool, rows: int = 2048, width: int = 192, times: int = 5) -> float:
    """Least processor seconds of a few passes, forward and backward, through a small feed-forward net on the CPU."""
    x_ND = torch.ones(rows, width, requires_grad=True)
    up, down = torch.ones(4 * width, width, requires_grad=True), torch.ones(width, 4 * width, requires_grad=True)
    taken = []
    for _ in range(times + 1):
        began = time.process_time()  # of this process alone: what else the machine does is no matter
        with half_precision(x_ND.device, half):
            out_ND = F.linear(F.relu(F.linear(x_ND, up)).square(), down)
        out_ND.sum().backward()
        taken.append(time.process_time() - began)
    return min(taken[1:])  # the first one warms up
