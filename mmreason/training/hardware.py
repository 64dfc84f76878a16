"""What trainings ask of the hardware: half precision, shares of a model, and memory to keep or give back."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from mmreason.backbones.shape import Shape
from mmreason.errors import ConfigError
from mmreason.models.kernels import quick_attention

if TYPE_CHECKING:
    from accelerate import Accelerator

NOT_HERE = ("DEEPSPEED", "MEGATRON_LM")  # ways of accelerate's launcher to cut a model
FSDP_WISHED = "ACCELERATE_USE_FSDP"
PATIENCE = timedelta(hours=12)  # of a process with the others; rollouts of 8B take very unlike times
CPU_TOKENS, GPU_TOKENS = 8_192, 16_384  # of a public checkpoint in one backward pass, where nothing else is said
ACTIVATIONS = 24 * 2**30  # bytes that may be kept for it on a GPU
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_NEVER = 2**31 - 1


@contextmanager
def half_precision(device: torch.device, enabled: bool = True) -> Iterator[None]:
    """bfloat16 autocast on ``device`` if ``enabled``; the weights stay as they are.

    On a GPU without cuDNN's attention: it plans for every new shape, and shapes of rollouts seldom come again.
    """
    with quick_attention(device, enabled), torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield


def is_wished(way: str) -> bool:
    """Does accelerate's launcher, or whoever sets its variable, wish the model to be cut in this ``way``?"""
    return os.environ.get(f"ACCELERATE_USE_{way}", "").lower() in ("1", "true")


def is_shared(accelerator: Accelerator) -> bool:
    """Do several processes keep a share of the base each?"""
    return accelerator.num_processes > 1 and is_wished("FSDP")


def processes() -> Accelerator:
    """This process and those that train with it, each on its own device.

    Raises ConfigError where a launcher wishes the model to be cut in a way in which processes whose rollouts end at
    different steps would wait for each other for ever.
    """
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    for name in NOT_HERE:
        if is_wished(name):
            raise ConfigError(f"processes must hold the whole model each, or share it by FSDP, got {name}")
    wished = os.environ.pop(FSDP_WISHED, None)  # else accelerate wraps models its own way, on GPUs only
    try:
        patient = InitProcessGroupKwargs(timeout=PATIENCE)
        return Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[patient])
    finally:
        if wished is not None:
            os.environ[FSDP_WISHED] = wished


def recomputes(asked: bool | None, device: torch.device) -> bool:
    """Does a backward pass of a public checkpoint compute activations again?  On a GPU, where nothing is ``asked``."""
    return device.type != "cpu" if asked is None else asked


def tokens_at_once(shape: Shape, device: torch.device, checkpointing: bool) -> int:
    """How many tokens of a network of ``shape`` go through one backward pass, where nobody says it."""
    if device.type == "cpu":
        return CPU_TOKENS
    return max(1, min(GPU_TOKENS, ACTIVATIONS // shape.activation_bytes(checkpointing)))


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


def fair_clock() -> Callable[[], float]:
    """What to time this process by: the processor's seconds on one thread of a CPU, so that neighbours on the machine
    do not matter, and those of the wall otherwise.
    """
    alone = not torch.cuda.is_available() and torch.get_num_threads() == 1
    return time.process_time if alone else time.perf_counter


def keep_freed_memory() -> None:
    """Tell glibc to give nothing back between steps; does nothing without glibc.

    Page faults on freshly mapped tensors otherwise cost as much as the arithmetic of a small model.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)


def give_back_freed_memory() -> None:
    """Hand all that is free back to the kernel, whichever thread freed it; does nothing without glibc.

    Each thread allocates from its own arena, which keeps the peak of whatever has run in it.
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
