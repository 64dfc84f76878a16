"""What processes that train together expect of one another."""

from __future__ import annotations

from datetime import timedelta

import torch

from mmreason.backbones.shape import DIMOO
from mmreason.training.hardware import processes, recomputes, tokens_at_once


def test_processes_wait_hours_for_one_whose_step_takes_longer() -> None:
    handler = processes().init_handler
    assert handler is not None and handler.timeout is not None and handler.timeout >= timedelta(hours=2)


def test_a_public_checkpoint_on_a_gpu_computes_activations_again_unless_told_otherwise() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert recomputes(None, cuda) and not recomputes(None, cpu)
    assert not recomputes(False, cuda) and recomputes(True, cpu)


def test_tokens_at_once_shrink_where_all_activations_are_kept() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert tokens_at_once(DIMOO, cuda, checkpointing=True) == 16_384
    assert 1_000 < tokens_at_once(DIMOO, cuda, checkpointing=False) < 4_000  # 24 GiB of activations
    assert tokens_at_once(DIMOO, cpu, checkpointing=False) == 8_192
