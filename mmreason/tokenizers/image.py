"""The image tokenizer: a diffusers ``VQModel`` that sees one 16 × 16 cell at a time.

Cells are coded one by one, so a token means the same picture wherever it stands, and an edit can
change no pixel outside its region: decoding a canvas is a lookup of decoded codes.

Axes: N cells, C codes, H W canvas, D code width.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import VQModel
from PIL import Image

from mmreason.records import CELL_PX, GRID

NUM_CODES = 256
MAX_REMEMBERED = 50_000  # cells, of free pictures; about 50 MB


def build_vqvae(num_codes: int = NUM_CODES, width: int = 32, code_width: int = 16) -> VQModel:
    """An untrained ``VQModel`` with four halvings: 16 × 16 pixels become one code."""
    return VQModel(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        block_out_channels=(width // 2, width, width, width * 2, width * 2),
        layers_per_block=1,
        latent_channels=code_width,
        num_vq_embeddings=num_codes,
        vq_embed_dim=code_width,
        norm_num_groups=8,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )


def to_input(pixels: np.ndarray) -> torch.Tensor:
    """(N, 16, 16, 3) uint8 pixels → (N, 3, 16, 16) floats in [−1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def encode_cells(vqvae: VQModel, pixels: np.ndarray) -> np.ndarray:
    """(N, 16, 16, 3) uint8 cells → (N,) codes."""
    latents = vqvae.quant_conv(vqvae.encoder(to_input(pixels).to(vqvae.device)))
    return vqvae.quantize(latents)[2][2].view(-1).cpu().numpy()


def encode_picture(vqvae: VQModel, picture: np.ndarray, known: dict[bytes, int]) -> np.ndarray:
    """(128, 128, 3) uint8 → (H·W) codes; equal cells are encoded once and remembered in ``known``."""
    patches = picture.reshape(GRID, CELL_PX, GRID, CELL_PX, 3).swapaxes(1, 2).reshape(-1, CELL_PX, CELL_PX, 3)
    keys = [patch.tobytes() for patch in patches]
    if len(known) > MAX_REMEMBERED:
        known.clear()
    new = {key: patch for key, patch in zip(keys, patches, strict=True) if key not in known}
    if new:
        codes = encode_cells(vqvae, np.stack(list(new.values())))
        known.update(zip(new, codes.tolist(), strict=True))
    return np.array([known[key] for key in keys])


class PictureCodes:
    """``encode_picture`` with a memory of its own, on the CPU: for processes that make demonstrations."""

    def __init__(self, vqvae: VQModel) -> None:
        self.vqvae = copy.deepcopy(vqvae).cpu()
        self.known: dict[bytes, int] = {}

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        return encode_picture(self.vqvae, picture, self.known)


@torch.no_grad()
def decode_codebook(vqvae: VQModel) -> np.ndarray:
    """(C, 16, 16, 3) uint8: what each code looks like."""
    codes = torch.arange(vqvae.config["num_vq_embeddings"], device=vqvae.device)
    shape = (len(codes), 1, 1, vqvae.config["vq_embed_dim"])
    pixels = vqvae.decode(codes.view(-1, 1, 1), force_not_quantize=True, shape=shape, return_dict=False)[0]
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def canvas_image(sheet: np.ndarray, codes_HW: np.ndarray) -> Image.Image:
    """The 128 × 128 picture of (H, W) codes, from the (C, 16, 16, 3) sheet of ``decode_codebook``."""
    side = GRID * CELL_PX
    return Image.fromarray(sheet[codes_HW].swapaxes(1, 2).reshape(side, side, 3))


def reconstruction_loss(vqvae: VQModel, pixels: torch.Tensor, quantize: bool) -> torch.Tensor:
    """Mean squared error in [−1, 1] units, plus the codebook and commitment terms when quantizing."""
    latents = vqvae.quant_conv(vqvae.encoder(pixels))
    commit = latents.new_zeros(())
    if quantize:
        latents, commit, _ = vqvae.quantize(latents)
    decoded = vqvae.decoder(vqvae.post_quant_conv(latents))
    return F.mse_loss(decoded, pixels) + commit
