"""The network of MAGVIT-v2 in two dimensions, its modules named as the published checkpoint names them.

Axes: B pictures, C channels, H W rows and columns, Z bits of a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mmreason.errors import CheckpointError

CLASS = "MAGVITv2"  # by which a configuration names it
GROUPS, EPSILON = 32, 1e-6  # of every norm
MAX_BITS = 24  # of a code


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
        sizes: dict[str, Any] = {}
        for name, value in found.items():
            one = name in ("ch", "z_channels")
            numbers = [value] if one else value
            if not isinstance(numbers, list) or not all(type(each) is int and 1 <= each <= 4096 for each in numbers):
                kind = "a number" if one else "a list of numbers"
                raise CheckpointError(f"{name} of the codec must be {kind} from 1 to 4096, got {value!r}")
            sizes[name] = value if one else tuple(value)
        shape = cls(**sizes)
        lists = (shape.encoder_blocks, shape.decoder_mult, shape.decoder_blocks)
        if any(len(each) != len(shape.encoder_mult) for each in lists):
            raise CheckpointError("the codec must have as many levels in its decoder as in its encoder")
        if shape.z_channels > MAX_BITS:
            raise CheckpointError(f"z_channels of the codec must be at most {MAX_BITS}, got {shape.z_channels}")
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
