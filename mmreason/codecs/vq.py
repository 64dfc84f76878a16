"""The codec of Lumina-DiMOO and MMaDA-Parallel-A: aMUSEd's ``VQModel`` of diffusers, 16 × 16 pixels a code.

Pixels go in and come out in [0, 1].  Any code's pixels hang on all others, so canvases are decoded whole.

Axes: H W rows and columns of codes, C codes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import VQModel
from torch import nn

from mmreason.codecs.codec import as_loaded, check_codes, check_files, fit, is_local, shown
from mmreason.disk import one_line
from mmreason.errors import CheckpointError

CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"


def build_vq(widths: tuple[int, ...] = (128, 256, 256, 512, 768), latent: int = 64, groups: int = 32) -> VQModel:
    """An untrained model of aMUSEd's form; the defaults are aMUSEd's sizes."""
    return VQModel(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=2,
        latent_channels=latent,
        num_vq_embeddings=8192,
        norm_num_groups=groups,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )


class VQCodec:
    """Pictures of any size in steps of ``pixels_per_code``."""

    grid: tuple[int, int] | None = None
    square = False

    def __init__(self, vq: VQModel, weights: Path | None = None) -> None:
        self.vq, self.weights = vq.eval().requires_grad_(False), weights
        self._local: bool | None = None
        if not vq.config["lookup_from_codebook"] or vq.config["in_channels"] != 3:
            raise CheckpointError("the codec must be a VQModel that takes RGB and looks codes up in its codebook")

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> VQCodec:
        """The codec in ``folder``; safetensors only, in 32 bits.  Raises CheckpointError."""
        folder = Path(folder)
        check_files(folder, CONFIG, WEIGHTS)
        try:
            loaded: Any = VQModel.from_pretrained(
                str(folder), use_safetensors=True, torch_dtype=torch.float32, output_loading_info=True
            )
        except Exception as error:  # the libraries below raise a dozen kinds for a broken folder
            raise CheckpointError(f"codec {str(folder)!r} cannot be loaded: {one_line(str(error), 200)}") from error
        vq, told = loaded
        for kind, word in (("missing_keys", "lacks"), ("unexpected_keys", "has the foreign")):
            if told[kind]:
                raise CheckpointError(f"codec {str(folder)!r} {word} tensor {sorted(told[kind])[0]}")
        return cls(vq.to(device), folder / WEIGHTS)

    def to(self, device: torch.device | str) -> VQCodec:
        """The same on ``device``."""
        nn.Module.to(self.vq, device)
        return self

    @property
    def pixels_per_code(self) -> int:
        return 2 ** (len(self.vq.config["block_out_channels"]) - 1)

    @property
    def num_codes(self) -> int:
        return self.vq.config["num_vq_embeddings"]

    @torch.no_grad()
    def encode(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 → (H, W) codes of the fitted picture."""
        pixels = torch.from_numpy(fit(image, self.pixels_per_code).astype(np.float32) / 255.0).permute(2, 0, 1)[None]
        with as_loaded(self.vq.device):
            latents = self.vq.encode(pixels.to(self.vq.device, self.vq.dtype)).latents
            codes = self.vq.quantize(latents)[2][2]
        return codes.reshape(latents.shape[2:]).cpu().numpy()

    @torch.no_grad()
    def decode_raw(self, codes_HW: np.ndarray) -> torch.Tensor:
        """(3, height, width) as the decoder gives them, not yet clipped to [0, 1].  Raises ConfigError."""
        codes = check_codes(codes_HW, self.num_codes)
        width = self.vq.config["vq_embed_dim"] or self.vq.config["latent_channels"]
        shape = torch.Size((1, *codes.shape, width))
        codes = codes.to(self.vq.device)[None]
        with as_loaded(self.vq.device):
            return self.vq.decode(codes, force_not_quantize=True, shape=shape, return_dict=False)[0][0]  # type: ignore[arg-type]

    def decode(
        self, codes_HW: np.ndarray, before: np.ndarray | None = None, region_HW: np.ndarray | None = None
    ) -> np.ndarray:
        """(height, width, 3) uint8; outside ``region_HW`` the pixels of ``before``, if both are given."""
        return shown(self.decode_raw(codes_HW).float(), before, region_HW, self.pixels_per_code)

    @property
    def local(self) -> bool:
        """Found by trying, once; False for every model with norms over the canvas."""
        if self._local is None:
            self._local = is_local(
                lambda codes: self.decode_raw(codes).permute(1, 2, 0).cpu().numpy(),
                self.num_codes,
                self.pixels_per_code,
            )
        return self._local

    def sheet(self) -> np.ndarray | None:
        """None, unless a code's pixels are its own."""
        if not self.local:
            return None
        return np.stack([self.decode(np.array([[code]])) for code in range(self.num_codes)])
