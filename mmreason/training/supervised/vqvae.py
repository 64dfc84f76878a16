"""Training of the image tokenizer on drawings of all tasks.

Axes: N cells, C codes, D code width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import VQModel

from mmreason import limits
from mmreason.codecs.cells import (
    NUM_CODES,
    build_vqvae,
    decode_codebook,
    encode_cells,
    reconstruction_loss,
    to_input,
)
from mmreason.errors import ConfigError
from mmreason.records import CELL_PX, DIFFICULTIES
from mmreason.sampling.generators import torch_generator
from mmreason.seeds import numpy_generator
from mmreason.tasks import FIRST_TASKS, TASKS, atlas, atlas_for, demonstrated, make_problem
from mmreason.tasks.atlas import join_cells, split_cells
from mmreason.tasks.picture import PictureTask, resized


@dataclass(frozen=True, slots=True)
class VQTrainConfig:
    """Settings of the tokenizer's training."""

    num_codes: int = NUM_CODES
    autoencode_steps: int = 1000  # without a codebook, so that every drawing finds its place
    quantize_steps: int = 300  # decoder only, from the codebook set on those places
    learning_rate: float = 2e-3
    problems_per_task: int = 200  # drawings looked at, a task and difficulty
    seed: int = 0
    tasks: tuple[str, ...] = FIRST_TASKS
    cells_at_once: int = 512  # cells of one step

    def __post_init__(self) -> None:
        for name in ("autoencode_steps", "quantize_steps"):
            limits.STEPS.check(getattr(self, name), name)


@dataclass(frozen=True, slots=True)
class VQReport:
    """Reconstruction of held-out drawings: share of cells recognised, and PSNR in dB."""

    recognised: float
    psnr: float


def codes_needed(tasks: Sequence[str]) -> int:
    """A codebook's size that holds every drawing of ``tasks``: a multiple of 64, and as shipped at least."""
    return max(NUM_CODES, -(-sum(len(TASKS[task].cells) for task in tasks) // 64) * 64)


def drawn_cells(config: VQTrainConfig) -> np.ndarray:
    """(N, 16, 16, 3) distinct cells seen in training drawings: start canvases and demonstrated edits.

    They come in the order of the atlas, so that a cell's code does not depend on which was drawn first; those of
    pictures follow as they were seen.
    """
    seen: set[int] = set()
    patches: dict[bytes, np.ndarray] = {}
    for name in config.tasks:
        task = TASKS[name]
        for difficulty in DIFFICULTIES:
            for index in range(config.problems_per_task):
                problem = make_problem(name, difficulty, config.seed, "train", index)
                steps = demonstrated(name, problem.spec).steps if task.demonstrates else ()
                for canvas_HW in (problem.canvas, *(step.canvas for step in steps)):
                    picture = task.image(canvas_HW)
                    if picture is None:
                        seen.update(np.unique(atlas().global_ids(name, canvas_HW)).tolist())
                        continue
                    for patch in split_cells(picture).reshape(-1, CELL_PX, CELL_PX, 3):
                        patches.setdefault(patch.tobytes(), patch)
    drawn = [atlas().pixels[cell] for cell in sorted(seen)]
    return np.stack([*drawn, *patches.values()])


def train_vqvae(config: VQTrainConfig, progress: Callable[[int, int, float], None] | None = None) -> VQModel:
    """Train a ``VQModel``; ``progress`` receives the step, the number of steps, and the loss.

    Every drawing of a cell gets a code of its own; cells of free pictures, of which there are more, share codes by
    likeness.
    """
    pixels_N = drawn_cells(config)
    free = any(isinstance(TASKS[task], PictureTask) for task in config.tasks)
    if config.num_codes < len(pixels_N) and not free:
        raise ConfigError(f"num_codes must be at least the {len(pixels_N)} distinct cells, got {config.num_codes}")
    torch.manual_seed(config.seed)  # the layers of VQModel draw their weights from torch's global generator
    vqvae = build_vqvae(config.num_codes)
    inputs = to_input(pixels_N)
    rng = numpy_generator("image tokenizer", config.seed)
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
        some = inputs
        if len(inputs) > config.cells_at_once:
            some = inputs[torch.from_numpy(rng.integers(len(inputs), size=config.cells_at_once))]
        loss = reconstruction_loss(vqvae, some, quantize)
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
    """Set one code on each drawing's latent, and the spare ones far outside; with too few codes, on their means."""
    latents_ND = torch.cat([vqvae.quant_conv(vqvae.encoder(part)).flatten(1) for part in inputs.split(1024)])
    codes_CD = vqvae.quantize.embedding.weight
    if len(latents_ND) > len(codes_CD):
        codes_CD.copy_(_means(latents_ND, len(codes_CD), seed))
        return
    spare = torch.randn(codes_CD.shape, generator=torch_generator("codebook", seed))
    codes_CD.copy_(spare * 10 * latents_ND.std() + 100 * latents_ND.std())
    codes_CD[: len(latents_ND)] = latents_ND


def _means(latents_ND: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """(C, D): ``count`` means of like latents, by Lloyd's algorithm from a random choice of them."""
    generator = torch_generator("means", seed)
    means_CD = latents_ND[torch.randperm(len(latents_ND), generator=generator)[:count]].clone()
    for _ in range(20):
        nearest_N = torch.cdist(latents_ND, means_CD).argmin(dim=1)
        count_C = torch.bincount(nearest_N, minlength=count)
        sum_CD = torch.zeros_like(means_CD).index_add_(0, nearest_N, latents_ND)
        means_CD = torch.where(count_C[:, None] > 0, sum_CD / count_C.clamp(min=1)[:, None], means_CD)
    return means_CD


def evaluate_vqvae(
    vqvae: VQModel,
    problems_per_task: int = 20,
    tasks: Sequence[str] = FIRST_TASKS,
) -> VQReport:
    """Encode and decode held-out drawings of every difficulty of ``tasks``; cells of pictures count by tolerance."""
    sheet = decode_codebook(vqvae)
    right = cells = 0
    squared = 0.0
    for name in tasks:
        task = TASKS[name]
        for difficulty in DIFFICULTIES:
            for index in range(problems_per_task):
                problem = make_problem(name, difficulty, 0, "test", index)
                patches = split_cells(problem.image)
                codes = encode_cells(vqvae, patches.reshape(-1, *patches.shape[2:]))
                decoded = sheet[codes].reshape(patches.shape)
                if isinstance(task, PictureTask):
                    right += int((~task.differs(resized(join_cells(decoded), task.side), problem.canvas)).sum())
                else:
                    sheet_of = atlas_for(name)
                    right += int((sheet_of.nearest(decoded) == sheet_of.global_ids(name, problem.canvas)).sum())
                cells += codes.size
                squared += float(((decoded.astype(np.float64) - patches) ** 2).mean()) * codes.size
    psnr = 10 * np.log10(255**2 / max(squared / cells, 1e-12))
    return VQReport(recognised=right / cells, psnr=float(psnr))
