"""A picture is seen in one way through all doors: as a viewer shows it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmreason.errors import TraceError
from mmreason.tasks.dataset.rows import Dataset
from mmreason.traces.photo import read_picture
from mmreason.traces.picture import Nowhere, Picture, Shelf, sized
from mmreason.traces.recorder import Recorder, picture_url
from mmreason.viewer import as_shown

ORIENTATION = 0x0112
SIDE = 32


def drawn() -> Image.Image:
    """Four quarters of different colours, half of each transparent, wider than high."""
    quarters = np.zeros((SIDE // 2, SIDE, 4), np.uint8)
    quarters[:8, :16], quarters[:8, 16:], quarters[8:, :16] = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
    quarters[::2, :, 3] //= 2
    return Image.fromarray(quarters)


def greys() -> np.ndarray:
    return np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)


def saved(image: Image.Image, kind: str = "PNG", orientation: int = 1, **how) -> bytes:
    data, exif = io.BytesIO(), Image.Exif()
    exif[ORIENTATION] = orientation
    image.save(data, kind, exif=exif, **how)
    return data.getvalue()


def palette() -> Image.Image:
    image = Image.frombytes("P", (SIDE, SIDE), bytes(range(256)) * (SIDE * SIDE // 256))
    image.putpalette(bytes(768))  # all black
    return image


FILES: dict[str, Callable[[], bytes]] = {
    "transparent": lambda: saved(drawn()),
    "transparent grey": lambda: saved(drawn().convert("LA")),
    "transparent WebP": lambda: saved(drawn(), "WEBP", lossless=True),
    "one colour of a palette": lambda: saved(palette(), transparency=7),
    "one grey": lambda: saved(drawn().convert("L"), transparency=0),
    "16 bits": lambda: saved(Image.fromarray(greys())),
    **{
        f"{kind}, orientation {i}": lambda kind=kind, i=i: saved(drawn().convert("RGB"), kind, i)
        for kind in ("PNG", "JPEG")
        for i in range(1, 9)
    },
}


def through_a_dataset(content: bytes, folder: Path) -> np.ndarray:
    (folder / "a.png").write_bytes(content)
    (folder / "data.jsonl").write_text(json.dumps({"image": "a.png", "prompt": "q", "answer": "a"}))
    (row,) = (dataset := Dataset(folder)).rows.values()
    return dataset.pixels(row.image, SIDE)


def held(content: bytes) -> Picture:
    return Shelf(Nowhere()).picture(content)


def recorded(content: bytes) -> Picture:
    return held(base64.b64decode(picture_url(Image.open(io.BytesIO(content))).partition(",")[2]))


@pytest.mark.parametrize("name", FILES)
def test_a_picture_is_the_same_through_every_door_and_its_size_is_known_before_it_is_decoded(name, tmp_path):
    content = FILES[name]()
    (tmp_path / "picture").write_bytes(content)
    seen = read_picture(tmp_path / "picture")
    assert (held(content).height, held(content).width) == seen.shape[:2]
    assert np.array_equal(held(content).pixels(), seen)
    assert np.array_equal(recorded(content).pixels(), seen)
    kind, small = sized(held(content), 1024)
    if kind == "image/png":
        assert np.array_equal(held(small).pixels(), seen)
    stretched = Image.fromarray(seen).resize((SIDE, SIDE), Image.Resampling.BOX)
    assert np.array_equal(through_a_dataset(content, tmp_path), np.asarray(stretched))


def test_a_transparent_picture_lies_on_white():
    line = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    line.paste((0, 0, 0, 255), (0, 3, 8, 4))
    assert (held(saved(line)).pixels()[:, 0, 0] == np.where(np.arange(8) == 3, 0, 255)).all()


def test_greys_of_16_bits_keep_their_order_and_range():
    seen = held(saved(Image.fromarray(greys()))).pixels()[..., 0].ravel()
    assert (seen[0], seen[-1], len(np.unique(seen))) == (0, 255, 256) and (np.diff(seen.astype(int)) >= 0).all()


@pytest.mark.parametrize("i", range(1, 9))
def test_what_is_shown_once_is_shown_again_as_it_is(i):
    once = as_shown(Image.open(io.BytesIO(saved(drawn().convert("RGB"), "PNG", i))))
    assert as_shown(once) is once


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_note_that_cannot_be_read_is_passed_over(kind, tmp_path):
    data = io.BytesIO()
    drawn().convert("RGB").save(data, kind, exif=b"Exif\x00\x00no TIFF at all", lossless=True)
    content = data.getvalue()
    assert held(content).size == "32×16" and held(content).pixels().shape == (16, 32, 3)
    assert through_a_dataset(content, tmp_path).shape == (SIDE, SIDE, 3)


def test_a_mask_is_white_where_it_is_however_transparent(tmp_path):
    white_HW = np.eye(16, 24, dtype=bool)
    mask = np.full((16, 24, 4), 255, np.uint8) * white_HW[..., None]  # elsewhere black, and transparent
    with Recorder(tmp_path / "r.jsonl") as record:
        for region in (white_HW, Image.fromarray(mask)):
            record.rollout("q").image(Image.new("RGB", (24, 16)), region=region)
    for line in (tmp_path / "r.jsonl").read_text().splitlines():
        entry = json.loads(line)["rollouts"][0]["parts"][0]["region"]["mask"]
        assert np.array_equal(held(base64.b64decode(entry.partition(",")[2])).mask(), white_HW)
    assert np.array_equal(held(saved(Image.fromarray(mask))).mask(), white_HW)


@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,), (4,), (0,), (5,), (1, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.bool_, np.float32])
@pytest.mark.parametrize("height", [0, 4])
def test_an_array_is_a_picture_or_is_refused_in_a_sentence(channels, kind, height):
    pixels = np.ones((height, 6, *channels), kind)
    if height and kind != np.float32 and channels in {(), (1,), (2,), (3,), (4,)}:
        assert held(base64.b64decode(picture_url(pixels).partition(",")[2])).size == "6×4"
    else:
        with pytest.raises(TraceError, match=r"a picture must be \(H, W\) or \(H, W, 1 to 4\) uint8 or bool, got"):
            picture_url(pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_a_picture_of_any_mode_is_recorded_and_an_empty_one_refused_in_a_sentence(mode):
    assert held(base64.b64decode(picture_url(Image.new(mode, (6, 4))).partition(",")[2])).size == "6×4"
    with pytest.raises(TraceError, match=f"a picture must be one that PNG can hold, got {mode} of 0 × 4 pixels"):
        picture_url(Image.new(mode, (0, 4)))
