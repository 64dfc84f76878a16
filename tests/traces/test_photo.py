"""Pictures of one's own: what is read of them, and how what is broken is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mmreason.errors import ConfigError
from mmreason.traces.photo import read_picture


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_with_a_broken_note_beside_its_pixels_is_refused_in_a_sentence(tmp_path, kind):
    path = tmp_path / "picture"
    Image.new("RGB", (32, 32)).save(path, kind, exif=b"Exif\x00\x00no TIFF at all")
    with pytest.raises(ConfigError, match="this file is damaged: "):
        read_picture(path, "this file")


def test_a_picture_is_turned_as_its_note_says(tmp_path):
    drawn, exif = np.zeros((16, 32, 3), dtype=np.uint8), Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    Image.fromarray(drawn).save(tmp_path / "picture.png", exif=exif)
    assert read_picture(tmp_path / "picture.png").shape == (32, 16, 3)
