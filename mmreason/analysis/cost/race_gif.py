"""A race as an animated GIF: both canvases side by side, on one clock of forward passes."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmreason.disk import write_whole
from mmreason.traces.file import shown_words
from mmreason.traces.replay import PAPER, SIZE, Scene, draw_scene
from mmreason.traces.schema import parse_box

PASS_MS = 80  # of one forward pass; GIF viewers slow down what is shorter than 20
EVERY = 6  # passes between two pictures while only the slower arm runs
START_MS, END_MS = 1200, 4000
COLOURS = 96
NAMES = {
    "ar_full": "AR, full redraw",
    "diffusion_full": "diffusion, full redraw",
    "diffusion_local": "diffusion, local edits",
}


def write_race_gif(race: dict[str, Any], sheet: np.ndarray, path: str | Path) -> None:
    """Write ``race`` to ``path``, whole or not at all; ``sheet`` is (C, 16, 16, 3) uint8."""
    times = clock_times(race)
    pictures = [draw_moment(race, sheet, passes) for passes in times]
    strip = Image.new("RGB", (pictures[0].width, 4 * pictures[0].height), PAPER)
    for i, at in enumerate(np.linspace(0, len(pictures) - 1, 4).round().astype(int)):
        strip.paste(pictures[at], (0, i * pictures[0].height))
    palette = strip.quantize(colors=COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    lengths = [PASS_MS * (after - before) for before, after in pairwise(times)]
    lengths = [max(START_MS, lengths[0]), *lengths[1:], END_MS]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=lengths, loop=0, optimize=False)
    write_whole(path, buffer.getvalue())


def clock_times(race: dict[str, Any]) -> list[int]:
    """The forward passes at which there is a picture: each step of the faster arm, then every few."""
    quick = min(race["lanes"], key=lambda lane: lane["passes"])
    last = max(lane["passes"] for lane in race["lanes"])
    return sorted({0, *(step[0] for step in quick["steps"]), *range(quick["passes"], last, EVERY), last})


def draw_moment(race: dict[str, Any], sheet: np.ndarray, passes: int) -> Image.Image:
    """Both lanes after ``passes`` forward passes."""
    picture = Image.new("RGB", (2 * SIZE[0], SIZE[1]), PAPER)
    for place, lane in enumerate(race["lanes"]):
        picture.paste(draw_scene(scene_at(lane, passes), sheet), (place * SIZE[0], 0))
    return picture


def scene_at(lane: dict[str, Any], passes: int) -> Scene:
    """What ``lane`` shows after ``passes`` forward passes."""
    done = [step for step in lane["steps"] if step[0] <= passes]
    codes, words, boxes = np.array(lane["canvas_codes"]), [], ()
    seen = done[-1][2] if done else -1
    for s, segment in enumerate(lane["segments"][: seen + 1]):
        tokens: list[Any] = [None] * segment["length"]
        for step in (step for step in done if step[2] == s):
            for position, token in zip(step[3], step[4], strict=True):
                tokens[position] = token
        if segment["kind"] == "edit":
            codes[segment["cells"]] = [-1 if token is None else token for token in tokens]
            boxes = tuple(parse_box(box) for box in segment["region"])
        else:
            words, boxes = shown_words(tokens), ()
    spent = done[-1] if done else (0, 0)
    is_over = passes >= lane["steps"][-1][0]
    passes_shown, tokens_shown = (lane["passes"], lane["tokens"]) if is_over else spent[:2]
    caption = f"{NAMES[lane['arm']]}: {passes_shown} passes, {tokens_shown} tokens forwarded"
    ending = ("finished, solved" if lane["success"] else "finished, not solved") if is_over else ""
    return Scene(
        codes, caption, tuple(words), boxes if not is_over else (), lane["success"] if is_over else None, ending
    )
