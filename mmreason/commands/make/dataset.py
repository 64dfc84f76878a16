"""``make dataset``: a folder of pictures and rows to start from, in the form that ``data:FOLDER`` reads."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.numbers import add_number

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

HELP = "a dataset to start from: squares to be framed and named, as data:FOLDER reads them"

COLOURS = {"red": "#c8322b", "green": "#2f8f4e", "blue": "#2f5fc4", "yellow": "#e0b020"}
PLACES, PLACE_PX = 4, 32  # places along a side, and pixels along the side of one
ROWS = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make dataset``."""
    parser.add_argument("output", metavar="DIR", help="folder to write it to, such as my_data")
    add_number(parser, limits.Whole("rows", 10, 20_000, "rows of it, one problem each"), ROWS)
    add_number(parser, limits.SEED, 0)
    parser.add_argument("--overwrite", action="store_true", help="replace what a folder of that name holds of one")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write it; returns ``written`` and the ``task`` as ``--tasks`` takes it."""
    import io
    import itertools
    import json
    from pathlib import Path

    from mmreason.disk import names_in, write_whole
    from mmreason.errors import ConfigError
    from mmreason.seeds import numpy_generator

    folder = Path(args.output)
    if names_in(folder, "DIR") and not args.overwrite:
        raise ConfigError(f"DIR holds files already: {args.output}; --overwrite replaces those of these names")
    lines: list[str] = []
    there: set[bytes] = set()  # no two rows may ask the same of the same picture
    for number in itertools.count():
        if len(lines) == args.rows:
            break
        image, target, region, colour = drawn(numpy_generator("made dataset", args.seed, number))
        if image.tobytes() in there:
            continue
        there.add(image.tobytes())
        names = {"image": f"{len(lines):05d}.png", "target": f"{len(lines):05d}-framed.png"}
        for name, picture in zip(names.values(), (image, target), strict=True):
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            write_whole(folder / name, buffer.getvalue())
        row = names | {"prompt": "Which colour is the square?", "answer": colour, "region": [region]}
        lines.append(json.dumps(row) + "\n")
    write_whole(folder / "data.jsonl", "".join(lines).encode())
    return {"written": [str(folder / "data.jsonl")], "pictures": 2 * len(lines), "task": f"data:{args.output}"}


def drawn(rng: np.random.Generator) -> tuple[Image.Image, Image.Image, list[int], str]:
    """A square among grey circles, the same with the square framed, the region as a box in pixels, and its colour."""
    from PIL import Image, ImageDraw

    side = PLACES * PLACE_PX
    image = Image.new("RGB", (side, side), "#f4f1ea")
    square, *circles = rng.permutation(PLACES * PLACES)[: 1 + int(rng.integers(2, 6))].tolist()
    colour = list(COLOURS)[int(rng.integers(len(COLOURS)))]
    draw = ImageDraw.Draw(image)
    for place in circles:
        top, left = (PLACE_PX * index for index in divmod(place, PLACES))
        draw.ellipse((left + 5, top + 5, left + PLACE_PX - 6, top + PLACE_PX - 6), fill="#9a9a9a")
    top, left = (PLACE_PX * index for index in divmod(square, PLACES))
    draw.rectangle((left + 6, top + 6, left + PLACE_PX - 7, top + PLACE_PX - 7), fill=COLOURS[colour])
    target = image.copy()
    box = (left, top, left + PLACE_PX - 1, top + PLACE_PX - 1)
    ImageDraw.Draw(target).rectangle(box, outline="#111111", width=3)
    return image, target, [left, top, left + PLACE_PX, top + PLACE_PX], colour
