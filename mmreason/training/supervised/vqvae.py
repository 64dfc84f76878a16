"""Training of the image tokenizer on drawings of all tasks.

Axes: N cells, C codes, D code width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import VQModel

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.records import DIFFICULTIES
from mmreason.sampling.generators import torch_generator
from mmreason.tasks import TASKS, atlas, make_problem
from mmreason.tasks.atlas import split_cells
from mmreason.tokenizers.image import (
    build_vqvae,
    decode_codebook,
    encode_cells,
    reconstruction_loss,
    to_input,
)


@dataclass(frozen=True, slots=True)
class VQTrainConfig:
    """Settings of the tokenizer's training."""

    num_codes: int = 256
    autoencode_steps: int = 1000  # without a codebook, so that every drawing finds its place
    quantize_steps: int = 300  # decoder only, from the codebook set on those places
    learning_rate: float = 2e-3
    problems_per_task: int = 200  # drawings looked at, a task and difficulty
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("autoencode_steps", "quantize_steps"):
            limits.STEPS.check(getattr(self, name), name)


@dataclass(frozen=True, slots=True)
class VQReport:
    """Reconstruction of held-out drawings: share of cells recognised, and PSNR in dB."""

    recognised: float
    psnr: float
    codes_used: int


def drawn_cells(config: VQTrainConfig) -> np.ndarray:
    """(N, 16, 16, 3) distinct cells seen in training drawings: start canvases and demonstrated edits.

    They come in the order of the atlas, so that a cell's code does not depend on which was drawn first.
    """
    seen: set[int] = set()
    for name, task in TASKS.items():
        for difficulty in DIFFICULTIES:
            for index in range(config.problems_per_task):
                problem = make_problem(name, difficulty, config.seed, "train", index)
                canvases = [problem.canvas, *(step.canvas for step in task.demonstrate(problem.spec).steps)]
                seen.update(np.unique(atlas().global_ids(name, np.stack(canvases))).tolist())
    return atlas().pixels[sorted(seen)]


def train_vqvae(config: VQTrainConfig, progress: Callable[[int, int, float], None] | None = None) -> VQModel:
    """Train a ``VQModel``; ``progress`` receives the step, the number of steps, and the loss."""
    pixels_N = drawn_cells(config)
    if config.num_codes < len(pixels_N):
        raise ConfigError(f"num_codes must be at least the {len(pixels_N)} distinct cells, got {config.num_codes}")
    torch.manual_seed(config.seed)  # the layers of VQModel draw their weights from torch's global generator
    vqvae = build_vqvae(config.num_codes)
    inputs = to_input(pixels_N)
    total = config.autoencode_steps + config.quantize_steps
    optimizer = torch.optim.AdamW(vqvae.parameters(), lr=config.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=total)
    for step in range(total):
        quantize = step >= config.autoencode_steps
        if step == config.autoencode_steps:
            _place_codes(vqvae, inputs, config.seed)
            vqvae.encoder.requires_grad_(False)  # a moving encoder would let like drawings share a code
            vqvae.quant_conv.requires_grad_(False)
            vqvae.quantize.requires_grad_(False)
        loss = reconstruction_loss(vqvae, inputs, quantize)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vqvae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, total, float(loss.detach()))
    return vqvae.eval().requires_grad_(False)


@torch.no_grad()
def _place_codes(vqvae: VQModel, inputs: torch.Tensor, seed: int) -> None:
    """Set one code on each drawing's latent, and the spare ones far outside."""
    latents_ND = vqvae.quant_conv(vqvae.encoder(inputs)).flatten(1)
    codes_CD = vqvae.quantize.embedding.weight
    spare = torch.randn(codes_CD.shape, generator=torch_generator("codebook", seed))
    codes_CD.copy_(spare * 10 * latents_ND.std() + 100 * latents_ND.std())
    codes_CD[: len(latents_ND)] = latents_ND


def evaluate_vqvae(vqvae: VQModel, problems_per_task: int = 20, seed: int = 0, split: str = "test") -> VQReport:
    """Encode and decode held-out drawings of every task and difficulty."""
    sheet = decode_codebook(vqvae)
    right = cells = 0
    squared = 0.0
    used: set[int] = set()
    for name in TASKS:
        for difficulty in DIFFICULTIES:
            for index in range(problems_per_task):
                problem = make_problem(name, difficulty, seed, split, index)
                truth = atlas().global_ids(name, problem.canvas)
                patches = split_cells(problem.image)
                codes = encode_cells(vqvae, patches.reshape(-1, *patches.shape[2:]))
                decoded = sheet[codes].reshape(patches.shape)
                right += int((atlas().nearest(decoded) == truth).sum())
                cells += truth.size
                squared += float(((decoded.astype(np.float64) - patches) ** 2).mean()) * truth.size
                used.update(codes.tolist())
    psnr = 10 * np.log10(255**2 / max(squared / cells, 1e-12))
    return VQReport(recognised=right / cells, psnr=float(psnr), codes_used=len(used))
