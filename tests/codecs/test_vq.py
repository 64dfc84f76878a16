"""Codes and pixels are the references', a code is no picture of its own, and a composite keeps what it must."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreason.codecs.codec import composite, fit, is_local, spread
from mmreason.codecs.vq import VQCodec, build_vq
from mmreason.errors import CheckpointError, ConfigError
from tests.helpers import golden

GIVEN = golden.numbers("codec")


@pytest.fixture(scope="module")
def codec() -> VQCodec:
    return VQCodec.load(golden.PARITY / "codec")


@pytest.mark.parametrize("name", ["square", "wide", "odd"])
def test_codes_are_the_references(name: str, codec: VQCodec) -> None:
    assert np.array_equal(codec.encode(GIVEN[f"{name}_picture"]), GIVEN[f"{name}_codes"])


@pytest.mark.parametrize("name", ["square", "wide", "odd", "random", "random_changed"])
def test_pixels_are_the_references(name: str, codec: VQCodec) -> None:
    codes, right = GIVEN[f"{name}_codes"], GIVEN[f"{name}_decoded"]
    assert np.abs(codec.decode(codes).astype(int) - right.astype(int)).max() <= 1
    raw = GIVEN.get(f"{name}_decoded_raw")
    if raw is not None:
        np.testing.assert_allclose(codec.decode_raw(codes).numpy(), raw, atol=2e-5)
        assert (raw < 0).any() and (raw > 1).any()  # so that clipping is tested


def test_codes_and_pixels_are_the_same_inside_of_autocast(codec: VQCodec) -> None:
    codes = GIVEN["wide_codes"]
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    outside = codec.encode(noise), codec.decode_raw(codes)
    with torch.autocast("cpu", torch.bfloat16):
        inside = codec.encode(noise), codec.decode_raw(codes)
    assert np.array_equal(inside[0], outside[0]) and torch.equal(inside[1], outside[1])


def test_pixels_of_minus_one_to_one_would_be_other_codes(codec: VQCodec) -> None:
    picture = GIVEN["wide_picture"]
    halved = ((picture.astype(float) + 255) / 2).astype(np.uint8)  # [0, 1] squeezed as the other convention would
    assert (codec.encode(halved) != GIVEN["wide_codes"]).mean() > 0.5


def test_a_picture_of_an_odd_size_is_resampled_as_the_reference_does(codec: VQCodec) -> None:
    assert np.array_equal(fit(GIVEN["odd_picture"], codec.pixels_per_code), GIVEN["odd_resized"])
    with pytest.raises(ConfigError, match="at least 16 × 16"):
        codec.encode(np.zeros((15, 40, 3), np.uint8))


def test_a_code_is_not_a_picture_of_its_own(codec: VQCodec) -> None:
    assert codec.local is False and codec.sheet() is None
    moved = (
        GIVEN["random_decoded_raw"] != GIVEN["random_changed_decoded_raw"]
        if ("random_changed_decoded_raw" in GIVEN)
        else GIVEN["random_decoded"] != GIVEN["random_changed_decoded"]
    )
    assert moved.mean() > 0.5


def test_locality_is_seen_where_it_holds() -> None:
    sheet = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8)

    def looked_up(codes_HW: np.ndarray) -> np.ndarray:
        rows, columns = codes_HW.shape
        return sheet[codes_HW].swapaxes(1, 2).reshape(rows * 16, columns * 16, 3)

    def leaking(codes_HW: np.ndarray) -> np.ndarray:
        pixels = looked_up(codes_HW).astype(float)
        pixels[0, 0] += pixels.mean() * 1e-9
        return pixels

    assert is_local(looked_up, 32, 16) is True
    assert is_local(leaking, 32, 16) is False


def test_outside_the_region_pixels_are_those_of_before(codec: VQCodec) -> None:
    before = GIVEN["square_picture"]
    region = np.zeros((4, 4), dtype=bool)
    region[1:3, 2] = True
    codes = GIVEN["square_codes"].copy()
    codes[region] = 77
    after = codec.decode(codes, before, region)
    inside = spread(region, 16)
    assert np.array_equal(after[~inside], before[~inside])
    assert np.array_equal(after[inside], codec.decode(codes)[inside])
    assert inside.sum() == 2 * 256 and (after != before).any()
    with pytest.raises(ConfigError, match="one size"):
        composite(after, before[:32], region, 16)


@pytest.mark.parametrize("codes", [[[8192]], [[-1]], [1, 2], np.zeros((0, 3), int)])
def test_what_is_no_code_is_refused(codes: object, codec: VQCodec) -> None:
    with pytest.raises(ConfigError, match="codes must be"):
        codec.decode(np.array(codes))


def test_a_broken_folder_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks config\.json"):
        VQCodec.load(tmp_path)
    folder = Path(shutil.copytree(golden.PARITY / "codec", tmp_path / "codec"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"layers_per_block": 3}))
    with pytest.raises(CheckpointError, match="lacks tensor"):
        VQCodec.load(folder)
    (folder / "config.json").write_text(json.dumps(config | {"lookup_from_codebook": False}))
    with pytest.raises(CheckpointError, match="codebook"):
        VQCodec.load(folder)
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        VQCodec.load(folder)


def test_the_default_form_is_amuseds() -> None:
    with torch.device("meta"):
        vq = build_vq()
    assert 140e6 < sum(each.numel() for each in vq.parameters()) < 150e6
    assert VQCodec(vq).pixels_per_code == 16 and VQCodec(vq).num_codes == 8192
