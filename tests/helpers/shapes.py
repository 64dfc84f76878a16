"""A dataset that nobody has seen: a coloured square somewhere, to be framed and named."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"red": "#d02020", "green": "#20a040", "blue": "#2040d0"}
SIDE = 64  # pixels of a picture: cells of 8


def row(number: int) -> tuple[Image.Image, Image.Image, list[int], str]:
    """The picture, what it is to become, the box in pixels, and the colour."""
    rng = np.random.default_rng(number)
    name = list(COLOURS)[int(rng.integers(3))]
    left, top = (rng.integers(0, 7, size=2) * 8).tolist()
    box = [left, top, left + 16, top + 16]
    image = Image.new("RGB", (SIDE, SIDE), "#f0f0f0")
    ImageDraw.Draw(image).rectangle((left + 3, top + 3, left + 12, top + 12), fill=COLOURS[name])
    target = image.copy()
    ImageDraw.Draw(target).rectangle((left, top, left + 15, top + 15), outline="#000000", width=2)
    return image, target, box, name


def write_shapes(folder: Path, count: int = 60, parquet: bool = False) -> Path:
    """The dataset as JSON lines with pictures beside them, or as parquet with the pictures in it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        image, target, box, colour = row(number)
        asked = {"prompt": f"Which colour is square {number}?", "answer": colour, "region": [box]}
        pictures: dict[str, Any] = {}
        for name, picture in (("image", image), ("target", target)):
            if parquet:
                buffer = io.BytesIO()
                picture.save(buffer, "PNG")
                pictures[name] = {"bytes": buffer.getvalue(), "path": None}
            else:
                pictures[name] = f"{name}_{number}.png"
                picture.save(folder / pictures[name])
        rows.append(pictures | asked)
    if parquet:
        import pyarrow
        import pyarrow.parquet

        (folder / "data").mkdir(exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "data" / "train-00000-of-00001.parquet")
    else:
        (folder / "data.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    return folder
