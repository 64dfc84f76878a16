"""The small model's codec: a diffusers ``VQModel`` that sees one cell of p × p pixels at a time (16 × 16 as shipped).

Cells are coded one by one, so a token means the same picture wherever it stands, and an edit can
change no pixel outside its region: decoding a canvas is a lookup of decoded codes.

Axes: N cells, C codes, H W canvas, D code width; p pixels along the side of a cell.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import VQModel

from mmreason.codecs.codec import as_loaded, composite
from mmreason.errors import ConfigError

NUM_CODES = 256
MAX_REMEMBERED = 50_000  # cells, of free pictures; about 50 MB


def build_vqvae(num_codes: int = NUM_CODES, width: int = 32, code_width: int = 16, halvings: int = 4) -> VQModel:
    """An untrained ``VQModel``; with four halvings 16 × 16 pixels become one code."""
    widths = (width // 2, *[width] * (halvings - 2), width * 2, width * 2)
    return VQModel(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=code_width,
        num_vq_embeddings=num_codes,
        vq_embed_dim=code_width,
        norm_num_groups=8,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )


def to_input(pixels: np.ndarray) -> torch.Tensor:
    """(N, p, p, 3) uint8 pixels → (N, 3, p, p) floats in [−1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def encode_cells(vqvae: VQModel, pixels: np.ndarray) -> np.ndarray:
    """(N, p, p, 3) uint8 cells → (N,) codes."""
    with as_loaded(vqvae.device):
        latents = vqvae.quant_conv(vqvae.encoder(to_input(pixels).to(vqvae.device)))
        return vqvae.quantize(latents)[2][2].view(-1).cpu().numpy()


@torch.no_grad()
def decode_codebook(vqvae: VQModel) -> np.ndarray:
    """(C, p, p, 3) uint8: what each code looks like."""
    codes = torch.arange(vqvae.config["num_vq_embeddings"], device=vqvae.device)
    shape = (len(codes), 1, 1, vqvae.config["vq_embed_dim"])
    with as_loaded(vqvae.device):
        pixels = vqvae.decode(codes.view(-1, 1, 1), force_not_quantize=True, shape=shape, return_dict=False)[0]
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def reconstruction_loss(vqvae: VQModel, pixels: torch.Tensor, quantize: bool) -> torch.Tensor:
    """Mean squared error in [−1, 1] units, plus the codebook and commitment terms when quantizing."""
    latents = vqvae.quant_conv(vqvae.encoder(pixels))
    commit = latents.new_zeros(())
    if quantize:
        latents, commit, _ = vqvae.quantize(latents)
    decoded = vqvae.decoder(vqvae.post_quant_conv(latents))
    return F.mse_loss(decoded, pixels) + commit


class CellCodec:
    """Pixels to codes and back, cell by cell; cells that were seen are remembered."""

    local = square = True

    def __init__(self, vqvae: VQModel, grid: tuple[int, int]) -> None:
        self.vqvae, self.grid = vqvae, grid
        self._code_of_cell: dict[bytes, int] = {}
        self._sheet: np.ndarray | None = None

    @property
    def pixels_per_code(self) -> int:
        return 2 ** (len(self.vqvae.config["block_out_channels"]) - 1)

    @property
    def num_codes(self) -> int:
        return self.vqvae.config["num_vq_embeddings"]

    def encode(self, image: np.ndarray) -> np.ndarray:
        """(H·p, W·p, 3) uint8 → (H, W) codes; raises ConfigError for a picture of another size."""
        height, width, side = *self.grid, self.pixels_per_code
        if image.shape != (height * side, width * side, 3):
            raise ConfigError(
                f"a picture for this checkpoint must be {height * side} × {width * side} pixels, "
                f"got {' × '.join(map(str, image.shape[:2]))}"
            )
        patches = image.reshape(height, side, width, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
        keys = [patch.tobytes() for patch in patches]
        if len(self._code_of_cell) > MAX_REMEMBERED:
            self._code_of_cell.clear()
        new = {key: patch for key, patch in zip(keys, patches, strict=True) if key not in self._code_of_cell}
        if new:
            codes = encode_cells(self.vqvae, np.stack(list(new.values())))
            self._code_of_cell.update(zip(new, codes.tolist(), strict=True))
        return np.array([self._code_of_cell[key] for key in keys]).reshape(self.grid)

    def apart(self) -> CellCodec:
        """The same on the CPU with weights and a memory of its own: for processes that make demonstrations."""
        return CellCodec(copy.deepcopy(self.vqvae).cpu(), self.grid)

    def decode(
        self, codes_HW: np.ndarray, before: np.ndarray | None = None, region_HW: np.ndarray | None = None
    ) -> np.ndarray:
        """(H·p, W·p, 3) uint8 pixels; outside ``region_HW`` those of ``before``, if given."""
        drawn = canvas_pixels(self.sheet(), codes_HW)
        if before is None or region_HW is None:
            return drawn
        return composite(drawn, before, region_HW, self.pixels_per_code)

    def sheet(self) -> np.ndarray:
        """(C, p, p, 3) uint8: what each code looks like."""
        if self._sheet is None:
            self._sheet = decode_codebook(self.vqvae)
        return self._sheet


def canvas_pixels(sheet: np.ndarray, codes_HW: np.ndarray) -> np.ndarray:
    """(H·p, W·p, 3) uint8: the picture of (H, W) codes, from a (C, p, p, 3) sheet."""
    height, width = codes_HW.shape
    side = sheet.shape[1]
    return np.ascontiguousarray(sheet[codes_HW].swapaxes(1, 2).reshape(height * side, width * side, 3))
