"""The codec of MMaDA-8B: MAGVIT-v2 in two dimensions, 16 × 16 pixels a code, square pictures.

A code is the signs of 13 numbers, so that there is no codebook to look up (arXiv 2310.05737).  Pixels go in and come
out in [−1, 1].  Attention in the middle lets every code see all others: canvases are decoded whole.  Modules are named
as in the published checkpoint (showlab/magvitv2), so that its tensors load as they are.

Axes: B pictures, C channels, H W rows and columns, Z bits of a code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import nn

from mmreason.codecs.codec import check_codes, composite, fit
from mmreason.disk import one_line
from mmreason.errors import CheckpointError, ConfigError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
CLASS = "MAGVITv2"  # by which a configuration names it
COMPUTED = ("quantize.embedding", "quantize.power_vals")  # stored with the weights, and functions of the bits alone
GROUPS, EPSILON = 32, 1e-6  # of every norm


@dataclass(frozen=True, slots=True)
class MagvitShape:
    """Sizes of the network; the defaults are those of the published one."""

    ch: int = 128
    encoder_mult: tuple[int, ...] = (1, 2, 2, 4, 4)
    encoder_blocks: tuple[int, ...] = (4, 3, 4, 3, 4)
    decoder_mult: tuple[int, ...] = (1, 1, 2, 2, 4)
    decoder_blocks: tuple[int, ...] = (4, 4, 3, 4, 3)
    z_channels: int = 13

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> MagvitShape:
        """The sizes in a configuration, which names those that are not the published ones.  Raises CheckpointError."""
        found = {name: config[name] for name in cls.__dataclass_fields__ if name in config}
        for name, value in found.items():
            sizes = value if isinstance(value, list) else [value]
            if not all(type(size) is int and 1 <= size <= 4096 for size in sizes):
                raise CheckpointError(f"{name} of the codec must hold numbers from 1 to 4096, got {value!r}")
        shape = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})
        lists = (shape.encoder_mult, shape.encoder_blocks, shape.decoder_mult, shape.decoder_blocks)
        if any(not isinstance(each, tuple) or len(each) != len(shape.encoder_mult) for each in lists):
            raise CheckpointError("the codec must have as many levels in its decoder as in its encoder")
        if shape.ch % GROUPS:
            raise CheckpointError(f"ch of the codec must be a multiple of {GROUPS}, got {shape.ch}")
        return shape


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=EPSILON)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which is one of 1 × 1 where the width changes."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(before), _norm(after)
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        if before != after:
            self.nin_shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        inner = self.conv1(F.silu(self.norm1(x_BCHW)))
        inner = self.conv2(F.silu(self.norm2(inner)))
        return inner + (self.nin_shortcut(x_BCHW) if hasattr(self, "nin_shortcut") else x_BCHW)


class AttentionBlock(nn.Module):
    """Attention with one head among all places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        normed = self.norm(x_BCHW)
        queries, keys, values = (each(normed).flatten(2).mT[:, None] for each in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(queries, keys, values)[:, 0]
        return x_BCHW + self.proj_out(seen.mT.reshape(x_BCHW.shape))


class Middle(nn.Module):
    """Between the levels, at the resolution of codes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1, self.block_2 = ResidualBlock(channels, channels), ResidualBlock(channels, channels)
        self.attn_1 = AttentionBlock(channels)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.block_2(self.attn_1(self.block_1(x_BCHW)))


class Halving(nn.Module):
    """A convolution of stride 2; the row and the column that it needs more are zeros below and at the right."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.conv(F.pad(x_BCHW, (0, 1, 0, 1)))


class Doubling(nn.Module):
    """Each place four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.conv(F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks of one resolution, and the step to the next one, if there is one."""

    def __init__(self, before: int, after: int, count: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResidualBlock(before if i == 0 else after, after) for i in range(count))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        for block in self.block:
            x_BCHW = block(x_BCHW)
        for name in ("downsample", "upsample"):
            x_BCHW = getattr(self, name)(x_BCHW) if hasattr(self, name) else x_BCHW
        return x_BCHW


class Encoder(nn.Module):
    """Pixels (B, 3, 16 H, 16 W) → numbers (B, Z, H, W) whose signs are the codes."""

    def __init__(self, shape: MagvitShape) -> None:
        super().__init__()
        widths = [shape.ch * mult for mult in (1, *shape.encoder_mult)]
        self.conv_in = nn.Conv2d(3, shape.ch, 3, padding=1)
        self.down = nn.ModuleList(
            Level(before, after, count)
            for before, after, count in zip(widths, widths[1:], shape.encoder_blocks, strict=False)
        )
        for level, width in zip(list(self.down)[:-1], widths[1:], strict=False):
            level.downsample = Halving(width)
        self.mid, self.norm_out = Middle(widths[-1]), _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], shape.z_channels, 3, padding=1)
        self.quant_conv = nn.Conv2d(shape.z_channels, shape.z_channels, 1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        x_BCHW = self.conv_in(x_BCHW)
        for level in self.down:
            x_BCHW = level(x_BCHW)
        return self.quant_conv(self.conv_out(F.silu(self.norm_out(self.mid(x_BCHW)))))


class Decoder(nn.Module):
    """Signs (B, Z, H, W) → pixels (B, 3, 16 H, 16 W); level 0 is the finest."""

    def __init__(self, shape: MagvitShape) -> None:
        super().__init__()
        widths = [shape.ch * mult for mult in shape.decoder_mult]
        self.post_quant_conv = nn.Conv2d(shape.z_channels, shape.z_channels, 1)
        self.conv_in = nn.Conv2d(shape.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        coarser = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(
            Level(before, after, count)
            for before, after, count in zip(coarser, widths, shape.decoder_blocks, strict=True)
        )
        for level, width in zip(list(self.up)[1:], widths[1:], strict=True):
            level.upsample = Doubling(width)
        self.norm_out, self.conv_out = _norm(widths[0]), nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        x_BCHW = self.mid(self.conv_in(self.post_quant_conv(x_BCHW)))
        for level in reversed(list(self.up)):
            x_BCHW = level(x_BCHW)
        return self.conv_out(F.silu(self.norm_out(x_BCHW)))


class Magvit(nn.Module):
    """Encoder and decoder; what quantizes has no weights."""

    def __init__(self, shape: MagvitShape | None = None) -> None:
        super().__init__()
        self.shape = shape or MagvitShape()
        self.encoder, self.decoder = Encoder(self.shape), Decoder(self.shape)

    def config(self) -> dict[str, Any]:
        """What ``MagvitShape.of`` reads."""
        return {"_class_name": CLASS, **asdict(self.shape)}


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
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise CheckpointError(f"codec {str(folder)!r} lacks {name}")
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
        return codes_of(self.model.encoder(pixels.permute(2, 0, 1)[None].to(self._device)))[0].cpu().numpy()

    @torch.no_grad()
    def decode_raw(self, codes_HW: np.ndarray) -> torch.Tensor:
        """(3, side, side) as the decoder gives them, not yet clipped to [−1, 1].  Raises ConfigError."""
        codes = check_codes(codes_HW, self.num_codes)
        if codes.shape[0] != codes.shape[1]:
            raise ConfigError(f"codes must be as many rows as columns, got a shape of {list(codes.shape)}")
        signs = signs_of(codes[None].to(self._device), self.model.shape.z_channels)
        return self.model.decoder(signs)[0]

    def decode(
        self, codes_HW: np.ndarray, before: np.ndarray | None = None, region_HW: np.ndarray | None = None
    ) -> np.ndarray:
        """(side, side, 3) uint8; outside ``region_HW`` the pixels of ``before``, if both are given."""
        raw = ((self.decode_raw(codes_HW) + 1) / 2).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        drawn = (raw * 255).round().astype(np.uint8)
        if before is None or region_HW is None:
            return drawn
        return composite(drawn, before, region_HW, self.pixels_per_code)

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
