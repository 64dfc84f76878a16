"""A trace as an animated GIF: the canvas and the thought under it, unmasking step by step.

Where codes are no pictures of their own it is the canvas after every edit.

Axes: C codes, H W canvas.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmreason.disk import write_whole
from mmreason.errors import TraceError
from mmreason.records import CANVAS_PX, CELL_PX, GRID, Box, Trace
from mmreason.traces.file import check, draw_codes, shown_words
from mmreason.traces.schema import EditSegment, TextSegment, TraceFile, parse_box
from mmreason.traces.versions.views import first_canvas

ZOOM = 3
SIDE = CANVAS_PX * ZOOM  # 384 pixels
CELL = CELL_PX * ZOOM
MARGIN = 12
CAPTION = 136  # height under the canvas
SIZE = (SIDE + 2 * MARGIN, SIDE + 2 * MARGIN + CAPTION)

STEP_MS, SEGMENT_MS, START_MS, END_MS = 350, 1100, 1200, 3000
MAX_STEPS_SHOWN = 8  # a segment denoised in more steps is shown at these many of them
COLOURS = 240
PHOTO_SIDE, PHOTO_MS, PHOTO_COLOURS = 512, 900, 128  # of canvases that are no codes
NAME = "mmreason · arXiv 2606.14792"

PAPER, INK, FAINT = (250, 249, 246), (31, 41, 55), (107, 114, 128)
AMBER, BLOCK, HATCH, HATCH_LINE = (245, 158, 11), (209, 213, 219), (229, 231, 235), (156, 163, 175)
GREEN, RED = (21, 128, 61), (185, 28, 28)


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture of the replay: canvas ``codes`` (−1: masked), what is outlined, what is said."""

    codes: np.ndarray  # (H·W)
    caption: str
    words: tuple[str | None, ...]  # None: still masked
    boxes: tuple[Box, ...] = ()
    right: bool | None = None
    verdict: str = ""
    milliseconds: int = STEP_MS


def write_gif(data: dict[str, Any], sheet: np.ndarray, path: str | Path, link: str = "") -> None:
    """Write the replay of the trace ``data`` to ``path``, whole or not at all, with where it is from and ``link``.

    ``sheet`` is (C, 16, 16, 3) uint8; raises TraceError for a trace that is not valid or names codes that
    the sheet lacks, and WriteError.
    """
    file = check(data)
    highest = max(file.canvas_codes + [c for s in file.segments if s.kind == "edit" for c in _codes(s)])
    if highest >= len(sheet):
        raise TraceError(f"codes must be below {len(sheet)}, the size of the codebook, got {highest}")
    shown = scenes(file)
    credit = f"{NAME} · {_cut(link, 30)}" if link else NAME
    pictures = [draw_scene(scene, sheet, credit) for scene in shown]
    palette = _palette(sheet[sorted({code for scene in shown for code in scene.codes.tolist() if code >= 0})])
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=[scene.milliseconds for scene in shown],
        loop=0,
        optimize=False,
        comment=(link or NAME).encode(),
    )
    write_whole(path, buffer.getvalue())


def shown_pictures(trace: Trace) -> list[np.ndarray]:
    """The start and the canvas after each finished edit, at one size."""
    return [first_canvas(trace), *(s.picture for s in trace.segments if s.picture is not None)]


def write_pictures_gif(trace: Trace, path: str | Path) -> None:
    """An animated replay: the canvas after every edit."""
    frames = []
    for picture in shown_pictures(trace):
        image = Image.fromarray(picture)
        image.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
        frames.append(image.quantize(PHOTO_COLOURS))
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=PHOTO_MS, loop=0)
    write_whole(path, buffer.getvalue())


def write_picture(trace: Trace, path: str | Path) -> None:
    """The last canvas as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(shown_pictures(trace)[-1]).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())


def scenes(file: TraceFile) -> list[Scene]:
    """The pictures of the replay in order."""
    canvas = np.array(file.canvas_codes)
    question = tuple(file.problem.question.split())
    shown = [Scene(canvas.copy(), f"{file.problem.task}: the question", question, milliseconds=START_MS)]
    words: tuple[str | None, ...] = ()
    for segment in file.segments:
        title = f"turn {segment.turn}: {segment.kind}"
        scored = segment.verdict is not None and segment.reward is not None
        right = segment.verdict.right if segment.verdict and scored else None
        verdict = _said(segment)
        boxes = ()
        states: list[tuple[np.ndarray, tuple[str | None, ...]]] = []
        if segment.kind == "edit":
            boxes = tuple(parse_box(box) for box in segment.region)
            masked = canvas.copy()
            masked[segment.cells] = -1
            states.append((masked, words))
            for frame in _thin(segment.frames):
                state = canvas.copy()
                state[segment.cells] = [-1 if code is None else code for code in frame.tokens]
                states.append((state, words))
            canvas = states[-1][0] if segment.frames else canvas
        else:
            states.append((canvas, (None,) * (len(segment.frames[0].tokens) if segment.frames else 0)))
            states += [(canvas, tuple(shown_words(frame.tokens))) for frame in _thin(segment.frames)]
            if not segment.frames:
                states.append((canvas, tuple(segment.text.split())))
            words = states[-1][1]
        shown += [Scene(codes, title, text, boxes) for codes, text in states]
        codes, text = states[-1]
        shown.append(Scene(codes, title, text, boxes, right, verdict, SEGMENT_MS))
    ending = "solved" if file.success else file.end_reason or "unfinished"
    if file.end_reason == "answered" and not file.success:
        ending = "not solved"
    shown.append(Scene(canvas, "the end", words, (), file.success, ending, END_MS))
    return shown


def draw_scene(scene: Scene, sheet: np.ndarray, credit: str = NAME) -> Image.Image:
    """``scene`` as an RGB picture of ``SIZE``, with ``credit`` at its foot."""
    picture = Image.new("RGB", SIZE, PAPER)
    pixels = Image.fromarray(draw_codes(sheet, np.maximum(scene.codes, 0)))
    picture.paste(pixels.resize((SIDE, SIDE), Image.Resampling.NEAREST), (MARGIN, MARGIN))
    draw = ImageDraw.Draw(picture)
    for cell in np.flatnonzero(scene.codes < 0).tolist():
        picture.paste(_hatched(), (MARGIN + cell % GRID * CELL, MARGIN + cell // GRID * CELL))
    for box in scene.boxes:
        corners = (box.left - 1, box.top - 1, box.right, box.bottom)
        x0, y0, x1, y1 = (MARGIN + corner * CELL for corner in corners)
        draw.rectangle((x0 - 2, y0 - 2, x1 + 1, y1 + 1), outline=AMBER, width=4)
    draw_caption(draw, scene)
    draw.text((MARGIN, SIZE[1] - 18), credit, font=ImageFont.load_default(size=11), fill=FAINT)
    return picture


def draw_caption(draw: ImageDraw.ImageDraw, scene: Scene) -> None:
    """Title, words (grey blocks where masked) and verdict under the canvas."""
    left, right = MARGIN, SIZE[0] - MARGIN
    top = SIDE + 2 * MARGIN
    small, large = ImageFont.load_default(size=13), ImageFont.load_default(size=17)
    draw.text((left, top - 4), scene.caption, font=small, fill=FAINT)
    x, y = left, top + 18
    for word in scene.words:
        width = draw.textlength(_cut(word), font=large) if word is not None else 38.0
        if x > left and x + width > right:
            x, y = left, y + 24
        if word is None:
            draw.rounded_rectangle((x, y + 2, x + width, y + 18), radius=3, fill=BLOCK)
        else:
            draw.text((x, y), _cut(word), font=large, fill=INK)
        x += width + 7
    if scene.verdict:
        y = SIZE[1] - 44
        draw_mark(draw, left, y + 2, scene.right)
        draw.text((left + 22, y), _cut(scene.verdict, 52), font=small, fill=_verdict_colour(scene.right))


def draw_mark(draw: ImageDraw.ImageDraw, x: int, y: int, right: bool | None) -> None:
    """A tick, a cross, or a dash where nothing was judged: lines, as the default font lacks the glyphs."""
    if right is None:
        draw.line([(x + 1, y + 7), (x + 13, y + 7)], fill=FAINT, width=3)
    elif right:
        draw.line([(x, y + 7), (x + 5, y + 12), (x + 14, y)], fill=GREEN, width=3, joint="curve")
    else:
        draw.line([(x + 1, y + 1), (x + 12, y + 12)], fill=RED, width=3)
        draw.line([(x + 12, y + 1), (x + 1, y + 12)], fill=RED, width=3)


def _hatched() -> Image.Image:
    tile = Image.new("RGB", (CELL, CELL), HATCH)
    draw = ImageDraw.Draw(tile)
    for start in range(-CELL, CELL, CELL // 4):  # a whole number of lines, so that tiles join
        draw.line([(start, CELL), (start + CELL, 0)], fill=HATCH_LINE, width=1)
    return tile


def _said(segment: TextSegment | EditSegment) -> str:
    """The verdict in words; "true" alone would leave out what is."""
    if segment.verdict is None:
        return ""
    if segment.reward is None:
        return f"not scored: {segment.verdict.reason}"
    return "right" if segment.verdict.right else segment.verdict.reason or "wrong"


def _verdict_colour(right: bool | None) -> tuple[int, int, int]:
    return FAINT if right is None else GREEN if right else RED


def _thin(frames: list[Any]) -> list[Any]:
    """At most ``MAX_STEPS_SHOWN`` frames, evenly spread, the last among them."""
    if len(frames) <= MAX_STEPS_SHOWN:
        return frames
    return [frames[round((i + 1) * len(frames) / MAX_STEPS_SHOWN) - 1] for i in range(MAX_STEPS_SHOWN)]


def _codes(segment: EditSegment) -> list[int]:
    return [code for frame in segment.frames for code in frame.tokens if code is not None]


def _cut(text: str, limit: int = 22) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _palette(drawings: np.ndarray) -> Image.Image:
    """One palette for the whole replay, so that still parts stay still.

    ``drawings`` (C, 16, 16, 3) count once each, however small a part of the pictures they are; the colours of what
    is drawn over them are there exactly.
    """
    count, height, width, _ = drawings.shape
    strip = Image.fromarray(np.ascontiguousarray(drawings.reshape(count * height, width, 3)))
    found = strip.quantize(colors=COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    colours = (found.getpalette() or [])[: 3 * COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours + [value for colour in _FIXED for value in colour])
    return palette


_FIXED = (PAPER, INK, FAINT, AMBER, BLOCK, HATCH, HATCH_LINE, GREEN, RED)
