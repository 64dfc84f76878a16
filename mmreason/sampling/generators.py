"""Random generators of torch, built from names and numbers."""

from __future__ import annotations

import torch

from mmreason.seeds import derive_seed


def torch_generator(*keys: int | str, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator on ``device`` that is a pure function of ``keys``."""
    return torch.Generator(device=device).manual_seed(derive_seed(*keys))
