"""A base in shares forwards and learns as the whole one does, whoever forwards how often."""

from __future__ import annotations

import multiprocessing
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from mmreason.backbones.adapter import Adapter
from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import random_llama
from mmreason.backbones.shape import Shape

SHAPE = Shape(width=16, layers=3, heads=2, inner=24, vocab=40)
LENGTHS = ([5, 9, 7, 4], [6])  # of the rows that each of two processes forwards; the other one comes to an end first


def learned(backbone: LlamaBackbone, adapter: Adapter, lengths: list[int]) -> list[torch.Tensor]:
    """Hidden states of rows of ``lengths``, one after another, then the gradients of all of them in one pass."""
    ids = [np.arange(length)[None] % 40 for length in lengths]
    with torch.no_grad():
        sampled = [backbone.forward(each, each) for each in ids]
    torch.stack([backbone.forward(each, each).pow(2).mean() for each in ids]).sum().backward()
    return [*sampled, *(each.grad for each in adapter.parameters if each.grad is not None)]


def ready(checkpointing: bool) -> tuple[LlamaBackbone, Adapter]:
    backbone = random_llama(SHAPE)
    backbone.checkpointing = checkpointing
    adapter = Adapter(backbone, 2)
    with torch.no_grad():
        for each in adapter.parameters:
            each.copy_(torch.linspace(-0.1, 0.1, each.numel()).view_as(each))
    return backbone, adapter


def process(rank: int, meeting: Path) -> None:
    """One of two processes: what it has in shares equals what it has whole."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    for checkpointing in (False, True):
        expected = learned(*ready(checkpointing), LENGTHS[rank])
        backbone, adapter = ready(checkpointing)
        backbone.shard(torch.device("cpu"), timedelta(hours=3))
        assert backbone.shards is not None
        options: Any = backbone.shards.voters._get_backend(torch.device("cpu")).options
        assert options._timeout == timedelta(hours=3)
        for _ in range(2):
            found = learned(backbone, adapter, LENGTHS[rank])
            backbone.meet()
            for a, b in zip(expected, found, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=0)
            for each in adapter.parameters:
                each.grad = None
        weight = backbone.model.get_submodule("model.layers.0.mlp.up_proj.base_layer").weight
        assert weight.to_local().numel() == SHAPE.width * SHAPE.inner // 2  # a share is all that stays
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_that_forward_unlike_numbers_of_times_share_a_base(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    both = [fork.Process(target=process, args=(rank, tmp_path / "meeting")) for rank in range(2)]
    for each in both:
        each.start()
    deadline = time.monotonic() + 60
    for each in both:
        each.join(max(0.0, deadline - time.monotonic()))
    codes = [each.exitcode for each in both]  # None: it waits for ever
    for each in both:
        each.kill()
    assert codes == [0, 0]
