"""How the sea creatures of the visual search, their speech bubbles and their cards are drawn, at any cell size.

A colour is never told by hue alone: red is plain, blue striped, yellow spotted, black dark.
"""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mmreason.tasks.drawings.enlarged import SCALE, SIDE, box, shrunk

SHAPES = ("fish", "star", "crab", "shell", "jelly")
COLOURS = {"red": "#e0452f", "blue": "#2f74d8", "yellow": "#ffd02e", "black": "#2b3038"}

SEA, DEEP, WEED = "#cfe6ea", "#7fb2c0", "#4f8d70"
FOUND, FRAME = "#fff3c4", "#c2410c"  # behind and around what was found
BAND, CARD, SLOT = "#20364f", "#fffdf6", "#8fa6bf"  # the top row
BUBBLE, INK = "#ffffff", "#17202c"


def _outline(shape: str) -> Image.Image:
    """The silhouette of a shape, white on black, filling the square."""
    mask = Image.new("L", (SIDE, SIDE), 0)
    draw = ImageDraw.Draw(mask)
    middle = SIDE / 2

    def at(*points: float) -> list[float]:  # from -1 … 1 to pixels
        return [middle + 0.98 * middle * value for value in points]

    if shape == "fish":
        draw.ellipse(at(-1, -0.62, 0.5, 0.62), fill=255)
        draw.polygon(at(0.2, 0, 1, -0.75, 0.8, 0, 1, 0.75), fill=255)
    elif shape == "star":
        points = []
        for corner in range(10):
            angle, radius = math.pi * (corner / 5 - 0.5), 1.05 if corner % 2 == 0 else 0.46
            points += [radius * math.cos(angle), radius * math.sin(angle) + 0.06]
        draw.polygon(at(*points), fill=255)
    elif shape == "crab":
        draw.ellipse(at(-0.72, -0.2, 0.72, 0.72), fill=255)
        for side in (-1, 1):
            draw.line(at(0.5 * side, 0, 0.8 * side, -0.45), fill=255, width=round(0.2 * middle))
            draw.ellipse(
                at(*sorted((0.42 * side, 1.0 * side))[:1], -0.95, max(0.42 * side, 1.0 * side), -0.3), fill=255
            )
            for height in (0.25, 0.6):
                draw.line(at(0.5 * side, height, 1.0 * side, height + 0.3), fill=255, width=round(0.17 * middle))
        for side in (-1, 1):  # the gaps of the claws
            draw.polygon(at(0.7 * side, -0.6, 0.55 * side, -1, 0.85 * side, -1), fill=0)
    elif shape == "shell":
        draw.pieslice(at(-1.1, -0.9, 1.1, 1.3), 190, 350, fill=255)
        draw.polygon(at(-1.05, 0.05, 1.05, 0.05, 0.3, 0.75, -0.3, 0.75), fill=255)
        draw.rectangle(at(-0.5, 0.62, 0.5, 0.92), fill=255)
    else:  # jelly
        draw.pieslice(at(-0.85, -1, 0.85, 0.75), 180, 360, fill=255)
        for x in (-0.6, -0.2, 0.2, 0.6):
            draw.line(at(x, -0.2, x * 1.12, 0.95), fill=255, width=round(0.2 * middle))
    return mask


def _pattern(colour: str) -> Image.Image:
    """The square that a silhouette is cut from."""
    square = Image.new("RGB", (SIDE, SIDE), COLOURS[colour])
    draw = ImageDraw.Draw(square)
    step = SIDE / 4
    if colour == "blue":
        for stripe in range(5):
            x = stripe * step - step * 0.2
            draw.rectangle((x, 0, x + step * 0.42, SIDE), fill="#e8f1ff")
    elif colour == "yellow":
        for row in range(5):
            for column in range(5):
                x, y = (column + (row % 2) / 2 - 0.25) * step, (row + 0.1) * step
                draw.ellipse((x, y, x + step * 0.42, y + step * 0.42), fill="#5b3a00")
    return square


@lru_cache(maxsize=256)
def _figure(colour: str, shape: str, size: float) -> Image.Image:
    """A creature with a dark rim on a transparent cell; ``size`` is its width in sixteenths of the cell."""
    side = round(size * SCALE)
    mask = _outline(shape).resize((side, side), Image.Resampling.LANCZOS).point([0] * 128 + [255] * 128)
    whole = Image.new("L", (SIDE, SIDE), 0)
    corner = (SIDE - side) // 2
    whole.paste(mask, (corner, corner))
    rim = whole.filter(ImageFilter.MaxFilter(2 * round(0.45 * SCALE) + 1))
    figure = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    figure.paste(Image.new("RGBA", (SIDE, SIDE), INK), (0, 0), rim)
    skin = Image.new("RGBA", (SIDE, SIDE))
    skin.paste(_pattern(colour).resize((side, side)), (corner, corner))
    figure.paste(skin, (0, 0), ImageChops.multiply(whole, whole))
    if shape in ("fish", "crab", "jelly"):
        draw = ImageDraw.Draw(figure)
        half = side / 2
        eyes = {"fish": [(-0.58, -0.18)], "crab": [(-0.25, 0.1), (0.25, 0.1)], "jelly": [(-0.3, -0.4), (0.3, -0.4)]}
        for x, y in eyes[shape]:
            x, y = SIDE / 2 + x * half, SIDE / 2 + y * half
            for radius, ink in ((0.2 * half, "#ffffff"), (0.1 * half, INK)):
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return figure


def _laid(ground: Image.Image, colour: str, shape: str, size: float, x: float = 0, y: float = 0) -> Image.Image:
    figure = _figure(colour, shape, size)
    ground.paste(figure, (round(x * SCALE), round(y * SCALE)), figure)
    return ground


def _framed(left: bool) -> Image.Image:
    """The bright ground of one half of a frame around two cells."""
    ground = Image.new("RGB", (SIDE, SIDE), FRAME)
    ImageDraw.Draw(ground).rectangle(box(1.5 if left else 0, 1.5, 16 if left else 14.5, 14.5), fill=FOUND)
    return ground


def draw_water(name: str, cell_px: int) -> Image.Image:
    """``water``, or water with a ``ripple`` or with ``weed``."""
    image = Image.new("RGB", (SIDE, SIDE), SEA)
    draw = ImageDraw.Draw(image)
    if name == "ripple":
        for left, top in ((1, 3), (6, 9)):
            draw.arc(box(left, top, left + 5, top + 4), 180, 360, fill=DEEP, width=SCALE * 3 // 2)
            draw.arc(box(left + 4, top, left + 9, top + 4), 180, 360, fill=DEEP, width=SCALE * 3 // 2)
    elif name == "weed":
        for x, height in ((5, 5), (8, 2), (11, 6)):
            draw.line(
                [c * SCALE for c in (x, 16, x - 1, (16 + height) / 2 + 1, x + 0.6, height)],
                fill=WEED,
                width=SCALE * 3 // 2,
                joint="curve",
            )
    return shrunk(image, cell_px)


def draw_creature(colour: str, shape: str, found: bool, cell_px: int) -> Image.Image:
    """A creature on water; found, it is larger and in the left half of a frame."""
    if found:
        return shrunk(_laid(_framed(left=True), colour, shape, 12.5, x=0.7), cell_px)
    return shrunk(_laid(Image.new("RGB", (SIDE, SIDE), SEA), colour, shape, 11), cell_px)


def draw_bubble(colour: str, shape: str, found: bool, cell_px: int) -> Image.Image:
    """A speech bubble that shows a creature; found, it is in the right half of a frame."""
    image = _framed(left=False) if found else Image.new("RGB", (SIDE, SIDE), SEA)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = (1.5, 2, 14, 14) if found else (1.5, 1.5, 15.5, 14.5)
    tail = [c * SCALE for c in (left + 2, 10.5, 0, 13.5, left + 3, 12.5)]
    draw.rounded_rectangle(box(left, top, right, bottom), 4.5 * SCALE, fill=BUBBLE, outline=INK, width=SCALE)
    draw.polygon(tail, fill=INK)
    return shrunk(_laid(image, colour, shape, 8, x=(left + right) / 2 - 8), cell_px)


def draw_card(kind: tuple[str, str] | None, cell_px: int) -> Image.Image:
    """A card of the top row with a large creature, or an empty one."""
    image = Image.new("RGB", (SIDE, SIDE), BAND)
    draw = ImageDraw.Draw(image)
    if kind is None:
        draw.rounded_rectangle(box(1.5, 1.5, 14.5, 14.5), 3 * SCALE, outline=SLOT, width=SCALE * 3 // 2)
        draw.rectangle(box(5, 7.2, 11, 8.8), fill=SLOT)
        return shrunk(image, cell_px)
    draw.rounded_rectangle(box(0.5, 0.5, 15.5, 15.5), 3 * SCALE, fill=CARD)
    return shrunk(_laid(image, *kind, 13), cell_px)


def draw_header(cell_px: int) -> Image.Image:
    """The band behind the cards."""
    return Image.new("RGB", (cell_px, cell_px), BAND)
