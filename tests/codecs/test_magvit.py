"""MAGVIT-v2: the published network's tensors, signs as bits, and a second route through the same weights.

No number of the reference implementation is at hand; the second route below is written from its description.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from mmreason.backbones.family import codec_of, load_public
from mmreason.codecs.codec import is_local
from mmreason.codecs.magvit import MagvitCodec, codes_of, signs_of
from mmreason.codecs.magvit_network import Magvit, MagvitShape
from mmreason.errors import CheckpointError, ConfigError
from tests.helpers import public

UNEVEN = MagvitShape(32, (1, 2, 2), (2, 1, 1), (1, 1, 2), (1, 2, 1), 5)
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of uneven levels, as a checkpoint stores it."""
    path = tmp_path_factory.mktemp("magvit")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Magvit(UNEVEN)
        for each in model.parameters():
            torch.nn.init.normal_(each, std=0.2)
    (path / "config.json").write_text(json.dumps(model.config()))
    bits = torch.arange(31, -1, -1)
    computed = {
        "quantize.embedding": bits[:, None] * torch.ones(5),
        "quantize.power_vals": 2 ** torch.arange(4, -1, -1),
    }
    save_file(model.state_dict() | computed, path / "model.safetensors")
    return path


def picture(side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)


def test_the_published_network_has_these_tensors() -> None:
    with torch.device("meta"):
        sizes = {name: tuple(each.shape) for name, each in Magvit().state_dict().items()}
    assert sizes["encoder.conv_in.weight"] == (128, 3, 3, 3) and sizes["decoder.conv_out.weight"] == (3, 128, 3, 3)
    assert sizes["encoder.down.1.block.0.nin_shortcut.weight"] == (256, 128, 1, 1)
    assert sizes["encoder.down.3.block.0.conv1.weight"] == (512, 256, 3, 3)
    assert sizes["decoder.up.3.block.0.nin_shortcut.weight"] == (256, 512, 1, 1)
    assert sizes["decoder.up.2.upsample.conv.weight"] == (256, 256, 3, 3)
    assert sizes["encoder.quant_conv.weight"] == sizes["decoder.post_quant_conv.weight"] == (13, 13, 1, 1)
    assert sizes["decoder.mid.attn_1.proj_out.weight"] == (512, 512, 1, 1)
    for part, counts in (("encoder.down", (4, 3, 4, 3, 4)), ("decoder.up", (4, 4, 3, 4, 3))):
        found = [len({n.split(".")[4] for n in sizes if n.startswith(f"{part}.{level}.block.")}) for level in range(5)]
        assert tuple(found) == counts
    assert "encoder.down.4.downsample.conv.weight" not in sizes and "decoder.up.0.upsample.conv.weight" not in sizes


def test_every_code_is_its_signs_and_comes_back() -> None:
    codes = torch.arange(8192).reshape(1, 64, 128)
    signs = signs_of(codes, 13)
    assert torch.equal(codes_of(signs * 0.3), codes) and set(signs.unique().tolist()) == {-1.0, 1.0}
    assert signs[0, :, 0, 1].tolist() == [-1.0] * 12 + [1.0] and signs[0, 0, 32, 0] == 1  # the first bit is 4096
    assert int(codes_of(torch.zeros(1, 13, 1, 1))) == 0  # a zero is no one


def norm(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    """Means and variances over 32 groups, written out."""
    groups = x.reshape(1, 32, -1)
    centred = (groups - groups.mean(-1, keepdim=True)) / (groups.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    return centred.reshape(x.shape) * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def conv(x: torch.Tensor, w: Weights, name: str, **more: int) -> torch.Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], **more)


def swish(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(x)


def residual(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    inner = conv(swish(norm(x, w, f"{name}.norm1")), w, f"{name}.conv1", padding=1)
    inner = conv(swish(norm(inner, w, f"{name}.norm2")), w, f"{name}.conv2", padding=1)
    return inner + (conv(x, w, f"{name}.nin_shortcut") if f"{name}.nin_shortcut.weight" in w else x)


def middle(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    x = residual(x, w, f"{name}.block_1")
    normed = norm(x, w, f"{name}.attn_1.norm")
    q, k, v = (conv(normed, w, f"{name}.attn_1.{part}")[0].flatten(1) for part in "qkv")
    weights = (q.T @ k / q.shape[0] ** 0.5).softmax(dim=1)  # from each place to all
    x = x + conv((v @ weights.T).reshape(x.shape), w, f"{name}.attn_1.proj_out")
    return residual(x, w, f"{name}.block_2")


def test_codes_and_pixels_are_the_same_inside_of_autocast(folder: Path) -> None:
    codec = MagvitCodec.load(folder)
    codes = np.random.default_rng(0).integers(0, 32, (8, 8))
    outside = codec.encode(picture(128)), codec.decode_raw(codes)
    with torch.autocast("cpu", torch.bfloat16):
        inside = codec.encode(picture(128)), codec.decode_raw(codes)
    assert np.array_equal(inside[0], outside[0]) and torch.equal(inside[1], outside[1])


def test_a_second_route_gives_the_same_codes_and_pixels(folder: Path) -> None:
    codec, w = MagvitCodec.load(folder), load_file(folder / "model.safetensors")
    x = torch.from_numpy(picture(32)).permute(2, 0, 1)[None].double() / 255 * 2 - 1
    w = {name: each.double() for name, each in w.items()}
    x = conv(x, w, "encoder.conv_in", padding=1)
    for level, count in enumerate(UNEVEN.encoder_blocks):
        for block in range(count):
            x = residual(x, w, f"encoder.down.{level}.block.{block}")
        if level < 2:
            wider = torch.zeros(*x.shape[:2], x.shape[2] + 1, x.shape[3] + 1, dtype=x.dtype)
            wider[..., :-1, :-1] = x
            x = conv(wider, w, f"encoder.down.{level}.downsample.conv", stride=2)
    x = swish(norm(middle(x, w, "encoder.mid"), w, "encoder.norm_out"))
    z = conv(conv(x, w, "encoder.conv_out", padding=1), w, "encoder.quant_conv")[0]
    codes = sum((z[bit] > 0).long() * 2 ** (4 - bit) for bit in range(5))
    assert isinstance(codes, torch.Tensor) and len(codes.unique()) > 4
    assert codec.encode(picture(32)).tolist() == codes.tolist()
    x = torch.stack([2.0 * ((codes >> (4 - bit)) & 1) - 1 for bit in range(5)])[None].double()
    x = conv(conv(x, w, "decoder.post_quant_conv"), w, "decoder.conv_in", padding=1)
    x = middle(x, w, "decoder.mid")
    for level in (2, 1, 0):
        for block in range(UNEVEN.decoder_blocks[level]):
            x = residual(x, w, f"decoder.up.{level}.block.{block}")
        if level:
            x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            x = conv(x, w, f"decoder.up.{level}.upsample.conv", padding=1)
    x = conv(swish(norm(x, w, "decoder.norm_out")), w, "decoder.conv_out", padding=1)[0]
    torch.testing.assert_close(codec.decode_raw(codes.numpy()).double(), x, atol=1e-4, rtol=1e-4)
    shown = ((x + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert np.abs(codec.decode(codes.numpy()) - shown).max() <= 0.51


def test_a_code_is_not_a_picture_of_its_own(folder: Path) -> None:
    codec = MagvitCodec.load(folder)
    drawn = is_local(lambda codes: codec.decode_raw(codes).permute(1, 2, 0).numpy(), 32, codec.pixels_per_code)
    assert codec.local is drawn is False and codec.sheet() is None
    before, region = picture(16), np.zeros((4, 4), dtype=bool)
    region[1, 2] = True
    after = codec.decode(codec.encode(before), before, region)
    assert (after != before).any(axis=-1).sum() <= 16 and (after[:4] == before[:4]).all()


def test_pictures_are_square(folder: Path) -> None:
    codec = MagvitCodec.load(folder)
    with pytest.raises(ConfigError, match="must be square, got 24 × 16 pixels"):
        codec.encode(picture(24)[:16])
    with pytest.raises(ConfigError, match="as many rows as columns"):
        codec.decode(np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(ConfigError, match="from 0 to 31, got 0 to 32"):
        codec.decode(np.array([[0, 32]] * 2))
    pipe = public.pipeline("mmada")
    problem = pipe.own_problem(np.repeat(picture(64), 2, axis=1), "make it blue")
    assert problem.image.shape == (64, 64, 3) and (problem.image == np.repeat(picture(64), 2, axis=1)[:, 32:96]).all()


def test_a_wrong_tensor_is_refused_by_its_name(folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    tensors = load_file(folder / "model.safetensors")
    name = "decoder.up.1.block.0.conv1.weight"
    for changed, says in (
        ({k: v for k, v in tensors.items() if k != name}, f"lacks tensor {name}"),
        (tensors | {"decoder.more": torch.zeros(1)}, "has the foreign tensor decoder.more"),
        (tensors | {name: torch.zeros(1, 2)}, rf"tensor {name} must be of size \[32, 64, 3, 3\], got \[1, 2\]"),
        (tensors | {name: tensors[name].long()}, f"tensor {name} must hold floating-point numbers"),
    ):
        save_file({k: v.contiguous() for k, v in changed.items()}, broken / "model.safetensors")
        with pytest.raises(CheckpointError, match=says):
            MagvitCodec.load(broken)
    (broken / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        MagvitCodec.load(broken)
    (broken / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"lacks model\.safetensors"):
        MagvitCodec.load(broken)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"ch": 20}, "ch of the codec must be a multiple of 32, got 20"),
        ({"encoder_mult": [1, 2]}, "as many levels in its decoder as in its encoder"),
        ({"decoder_blocks": [1, 0, 1, 1, 1]}, "decoder_blocks of the codec must be a list of numbers from 1"),
        ({"decoder_mult": 4}, "decoder_mult of the codec must be a list of numbers"),
        ({"z_channels": "13"}, "z_channels of the codec must be a number"),
        ({"ch": [32]}, "ch of the codec must be a number"),
        ({"z_channels": 64}, "z_channels of the codec must be at most 24, got 64"),
    ],
)
def test_sizes_that_cannot_be_are_refused(config: dict, says: str) -> None:
    assert MagvitShape.of({"_class_name": "MAGVITv2", "in_ch": 3}) == MagvitShape()
    with pytest.raises(CheckpointError, match=says):
        MagvitShape.of(config)


def test_mmada_goes_with_it(tmp_path: Path) -> None:
    model = load_public(str(public.folder("mmada")))
    assert isinstance(model.codec, MagvitCodec) and model.codec.num_codes == 8192 and model.codec.pixels_per_code == 16
    assert not isinstance(codec_of(public.folder("dimoo")), MagvitCodec)
    with pytest.raises(CheckpointError, match=r"put config\.json and model\.safetensors of showlab/magvitv2 there"):
        codec_of(tmp_path, family="mmada")
    with pytest.raises(CheckpointError, match="lacks the folder vqvae with its codec, a diffusers VQModel"):
        codec_of(tmp_path, family="dimoo")
