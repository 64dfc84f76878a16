"""The codec of MMaDA-8B: MAGVIT-v2 in two dimensions, 16 × 16 pixels a code, square pictures.

A code is the signs of 13 numbers, so that there is no codebook to look up (arXiv 2310.05737).  Pixels go in and come
out in [−1, 1].  Attention in the middle lets every code see all others: canvases are decoded whole.  The tensors of
the published checkpoint (showlab/magvitv2) load as they are.

Axes: B pictures, H W rows and columns, Z bits of a code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from mmreason.codecs.codec import as_loaded, check_codes, check_files, fit, shown
from mmreason.codecs.magvit_network import CLASS, Magvit, MagvitShape
from mmreason.disk import one_line
from mmreason.errors import CheckpointError, ConfigError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
COMPUTED = ("quantize.embedding", "quantize.power_vals")  # stored with the weights, and functions of the bits alone


def is_magvit(folder: Path, config: Mapping[str, Any]) -> bool:
    """Is the codec in ``folder``, whose configuration is ``config``, of this kind?"""
    return config.get("_class_name") == CLASS or (folder / WEIGHTS).is_file()


def codes_of(z_BZHW: torch.Tensor) -> torch.Tensor:
    """(B, H, W) codes: the signs as bits, the first channel the highest."""
    powers_Z = 2 ** torch.arange(z_BZHW.shape[1] - 1, -1, -1, device=z_BZHW.device)
    return ((z_BZHW > 0) * powers_Z[:, None, None]).sum(dim=1)


def signs_of(codes_BHW: torch.Tensor, bits: int) -> torch.Tensor:
    """(B, Z, H, W) −1 or 1 for every bit of the codes."""
    shifts_Z = torch.arange(bits - 1, -1, -1, device=codes_BHW.device)
    return ((codes_BHW[:, None] >> shifts_Z[:, None, None]) & 1) * 2.0 - 1.0


class MagvitCodec:
    """Square pictures of any size in steps of ``pixels_per_code``."""

    grid: tuple[int, int] | None = None
    square = True
    local = False  # attention in the middle, and norms over the whole canvas

    def __init__(self, model: Magvit, weights: Path | None = None) -> None:
        self.model, self.weights = model.eval().requires_grad_(False), weights

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> MagvitCodec:
        """The codec in ``folder``; safetensors only, in 32 bits.  Raises CheckpointError, which names the tensor."""
        folder = Path(folder)
        check_files(folder, CONFIG, WEIGHTS)
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{CONFIG} of codec {str(folder)!r} is no JSON: {error}") from None
        with torch.device("meta"):
            model = Magvit(MagvitShape.of(config if isinstance(config, dict) else {}))
        stored = _stored(folder, {name: each.shape for name, each in model.state_dict().items()})
        model.load_state_dict(stored, assign=True)
        return cls(model.to(device), folder / WEIGHTS)

    def to(self, device: torch.device | str) -> MagvitCodec:
        """The same on ``device``."""
        self.model.to(device)
        return self

    @property
    def pixels_per_code(self) -> int:
        return 2 ** (len(self.model.shape.encoder_mult) - 1)

    @property
    def num_codes(self) -> int:
        return 2**self.model.shape.z_channels

    @torch.no_grad()
    def encode(self, image: np.ndarray) -> np.ndarray:
        """(side, side, 3) uint8 → (H, W) codes of the fitted picture.  Raises ConfigError where it is not square."""
        height, width = image.shape[:2]
        if height != width:
            raise ConfigError(f"a picture for this codec must be square, got {width} × {height} pixels")
        pixels = torch.from_numpy(fit(image, self.pixels_per_code).astype(np.float32) / 127.5 - 1.0)
        with as_loaded(self._device):
            return codes_of(self.model.encoder(pixels.permute(2, 0, 1)[None].to(self._device)))[0].cpu().numpy()

    @torch.no_grad()
    def decode_raw(self, codes_HW: np.ndarray) -> torch.Tensor:
        """(3, side, side) as the decoder gives them, not yet clipped to [−1, 1].  Raises ConfigError."""
        codes = check_codes(codes_HW, self.num_codes)
        if codes.shape[0] != codes.shape[1]:
            raise ConfigError(f"codes must be as many rows as columns, got a shape of {list(codes.shape)}")
        signs = signs_of(codes[None].to(self._device), self.model.shape.z_channels)
        with as_loaded(self._device):
            return self.model.decoder(signs)[0]

    def decode(
        self, codes_HW: np.ndarray, before: np.ndarray | None = None, region_HW: np.ndarray | None = None
    ) -> np.ndarray:
        """(side, side, 3) uint8; outside ``region_HW`` the pixels of ``before``, if both are given."""
        return shown((self.decode_raw(codes_HW) + 1) / 2, before, region_HW, self.pixels_per_code)

    def sheet(self) -> np.ndarray | None:
        """None: a code's pixels hang on its neighbours."""
        return None

    @property
    def _device(self) -> torch.device:
        return self.model.decoder.conv_out.weight.device


def _stored(folder: Path, wanted: Mapping[str, Sequence[int]]) -> dict[str, torch.Tensor]:
    """The tensors in ``folder`` in 32 bits, if they are those that are ``wanted``; raises CheckpointError."""
    where = f"codec {str(folder)!r}"
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys() if name not in COMPUTED}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{where} cannot be loaded: {one_line(str(error), 200)}") from None
    for name, tensor in sorted(found.items()):
        if name not in wanted:
            raise CheckpointError(f"{where} has the foreign tensor {name}")
        if tuple(tensor.shape) != tuple(wanted[name]):
            raise CheckpointError(
                f"{where}: tensor {name} must be of size {list(wanted[name])}, got {list(tensor.shape)}"
            )
        if not tensor.is_floating_point():
            raise CheckpointError(f"{where}: tensor {name} must hold floating-point numbers, got {tensor.dtype}")
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise CheckpointError(f"{where} lacks tensor {missing[0]}")
    return {name: tensor.float() for name, tensor in found.items()}
