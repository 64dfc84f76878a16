"""How the bar chart of the chart refocus is drawn, at any cell size: bars, axis, and the tiles above and below.

A highlighted bar is hatched and on a bright ground, so that it is not told by hue alone.
"""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from mmreason.tasks.drawings.enlarged import SCALE, SIDE, box, shrunk

LETTERS = ("A", "B", "C", "D", "E", "F", "G")
RANKS = ("tallest", "second", "shortest")

PAPER, LINE, AXIS = "#fbfaf6", "#d5d3ca", "#3b4252"
BAR, EDGE = "#7f9bbd", "#34506f"
BRIGHT, HIGHLIGHT, HATCH = "#fff0c9", "#f08c00", "#7a3e00"
BAND, TILE, PLUS, MINUS = "#4a3f6b", "#ffffff", "#1f2430", "#b3261e"
PLATE, INK = "#3a2a08", "#1f2430"


def _square(colour: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (SIDE, SIDE), colour)
    return image, ImageDraw.Draw(image)


def _write(draw: ImageDraw.ImageDraw, text: str, x: float, y: float, size: float, ink: str, bold: float = 0.5) -> None:
    """``text`` centred at (x, y)."""
    font = ImageFont.load_default(size * SCALE)
    draw.text((x * SCALE, y * SCALE), text, ink, font, anchor="mm", stroke_width=round(bold * SCALE), stroke_fill=ink)


def draw_bar(fill: str, highlighted: bool, cell_px: int) -> Image.Image:
    """A cell of the chart: ``empty``, its lower ``half`` bar, the ``top`` of a bar or ``full``, below a grid line."""
    image, draw = _square(BRIGHT if highlighted else PAPER)
    draw.rectangle(box(0, 0, 16, 1), fill=LINE)
    if fill == "empty":
        return shrunk(image, cell_px)
    top, cap = {"half": (8, 1.5), "top": (0, 1.5), "full": (0, 0)}[fill]
    left, right = (1.5, 14.5) if highlighted else (2.5, 13.5)
    draw.rectangle(box(left, top, right, 16), fill=HATCH if highlighted else EDGE)
    inside = (round((left + 1) * SCALE), round((top + cap) * SCALE), round((right - 1) * SCALE), SIDE)
    image.paste((_hatched() if highlighted else Image.new("RGB", (SIDE, SIDE), BAR)).crop(inside), inside[:2])
    return shrunk(image, cell_px)


def _hatched() -> Image.Image:
    """Slanted stripes that go on in the cells above and below."""
    image, draw = _square(HIGHLIGHT)
    for start in range(-32, 32, 8):
        draw.line([c * SCALE for c in (start - 8, 24, start + 24, -8)], fill=HATCH, width=SCALE * 2)
    return image


def draw_axis(value: str, origin: bool, cell_px: int) -> Image.Image:
    """A piece of the vertical axis with a tick and its value at the top."""
    image, draw = _square(PAPER)
    draw.rectangle(box(14, 0, 16, 1.5 if origin else 16), fill=AXIS)
    draw.rectangle(box(10 if origin else 11, 0, 16, 1.5), fill=AXIS)
    _write(draw, value, 6.5 if len(value) > 1 else 9, 7, 10, AXIS, bold=0.3)
    return shrunk(image, cell_px)


def draw_foot(text: str, plate: bool, cell_px: int) -> Image.Image:
    """What stands below a bar: its letter, its value on a dark plate, or nothing."""
    image, draw = _square(BRIGHT if plate else PAPER)
    draw.rectangle(box(0, 0, 16, 1.5), fill=AXIS)
    if plate:
        draw.rounded_rectangle(box(0.5, 2.5, 15.5, 15.5), 2.5 * SCALE, fill=PLATE)
        _write(draw, text, 8, 9.2, 11.5, "#ffffff", bold=0.4)
    elif text:
        _write(draw, text, 8, 9, 12, INK)
    return shrunk(image, cell_px)


def draw_term(term: str, cell_px: int) -> Image.Image:
    """A tile of the top row: a sign, and a letter or the arrow of a rank."""
    image, draw = _square(BAND)
    draw.rounded_rectangle(box(0.5, 1, 15.5, 15), 2.5 * SCALE, fill=TILE)
    sign, name = term[0], term[1:]
    ink = PLUS if sign == "+" else MINUS
    draw.rectangle(box(1.6, 7.2, 6, 8.8), fill=ink)
    if sign == "+":
        draw.rectangle(box(3, 5.8, 4.6, 10.2), fill=ink)
    if name in LETTERS:
        _write(draw, name, 10.6, 8, 11.5, INK)
        return shrunk(image, cell_px)
    up = name != "shortest"
    x = 8.8 if name == "second" else 10.6

    def at(*points: float) -> list[float]:
        flipped = [16 - value if index % 2 and not up else value for index, value in enumerate(points)]
        return [value * SCALE for value in flipped]

    draw.polygon(at(x - 3, 7, x, 3, x + 3, 7), fill=INK)
    draw.line(at(x, 6, x, 13), fill=INK, width=round(1.8 * SCALE))
    if name == "second":
        _write(draw, "2", 12.8, 10.2, 7.5, INK, bold=0.3)
    else:
        draw.line(at(x - 3, 2.6, x + 3, 2.6), fill=INK, width=round(1.2 * SCALE))
    return shrunk(image, cell_px)


def draw_header(result: bool, cell_px: int) -> Image.Image:
    """The band of the top row, with an equals sign after the terms."""
    image, draw = _square(BAND)
    if result:
        for top in (5, 9):
            draw.rectangle(box(4, top, 12, top + 2), fill=TILE)
    return shrunk(image, cell_px)
