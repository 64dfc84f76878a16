"""A run of a public checkpoint as the film shows it: thoughts as text, and edits on the picture itself.

The first picture is sent once, and of each edit only what lies round its region, so that nothing outside can change.
While an edit is drawn, what is committed so far is decoded as a sketch.

Axes: H W rows and columns of codes; pictures are (height, width, 3) uint8.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mmreason.disk import write_json
from mmreason.errors import MMReasonError
from mmreason.records import Problem, Trace
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.config import WATCHED_ORDER
from mmreason.sampling.views.canvas import start_picture
from mmreason.sampling.views.pipeline import FREE, ViewsPipeline
from mmreason.traces.replay import write_picture, write_pictures_gif
from mmreason.traces.versions.views import region_words, to_two
from mmreason.ui.host.files import new_place
from mmreason.ui.host.web.sheets import picture_link
from mmreason.ui.shell.words import sentence
from mmreason.ui.solve.picture import Chosen, PictureRequest, cells_words, named
from mmreason.ui.solve.playback import Judged, is_finished, run_number
from mmreason.ui.solve.solving import Showing, Shown
from mmreason.ui.solve.worker import Ticket

SKETCH_QUALITY = 80
FULL = "Full attention, native: every step looks at the whole view, as these weights were trained."
PREFIX = (
    "Prefix attention, not native: the context is computed once and does not look at what is being written. These "
    "weights were not trained to see that way, so what comes is an approximation of this checkpoint."
)
INEXACT = "The order maskgit hangs on what was drawn: it is for watching, and has no exact likelihood."

Region = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclass(frozen=True, slots=True)
class Filmed:
    """The files of a run that ended."""

    trace: str
    replay: str
    picture: str


def mode_words(settings: Mapping[str, Any]) -> str:
    """Which attention runs, whether it is the checkpoint's own, and what is approximate."""
    said = [FULL if settings.get("attention", "full") == "full" else PREFIX]
    return " ".join([*said, INEXACT] if settings.get("order") == WATCHED_ORDER else said)


def ready_value(chosen: Chosen, kind_is_own: bool, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The film's value for what is chosen and not solved yet."""
    words = cells_words(chosen.cells, chosen.grid) if chosen.cells else ""
    return {
        "run": run_number(),
        "state": "ready",
        "picture": shown_picture(chosen.picture),
        "grid": list(chosen.grid),
        "marks": list(chosen.grid),
        "own": kind_is_own,
        "question": chosen.question,
        "mode": mode_words(settings),
        "chosen": {"cells": list(chosen.cells), "words": words},
        "segments": [],
        "end_reason": "",
        "success": None,
        "cost": None,
    }


def shown_picture(picture: np.ndarray) -> dict[str, Any]:
    """Address and size of a picture, pixel for pixel."""
    return {"src": picture_link(_png(picture), "png"), "width": picture.shape[1], "height": picture.shape[0]}


class Film:
    """Turns the partial traces of one run into the film's values; what is finished is judged and drawn once."""

    def __init__(self, pipe: ViewsPipeline, problem: Problem) -> None:
        self.pipe, self.run, self.problem = pipe, run_number(), problem
        self.start, self.marks = start_picture(problem, pipe.model.codec, pipe.views.pixels)
        self.picture = shown_picture(self.start)
        self._judged = Judged(judge_of(pipe).score, settled)
        self._entries: list[dict[str, Any]] = []
        self._sketches: dict[tuple[int, int], str] = {}  # by segment and frame

    def update(self, trace: Trace, state: str) -> tuple[Trace, dict[str, Any]]:
        """The judged trace, and the film's value for it."""
        trace = self._judged(trace)
        judged = any(segment.reward is not None for segment in trace.segments)
        cost = trace.cost
        value = {
            "run": self.run,
            "state": state,
            "picture": self.picture,
            "grid": list(trace.grid),
            "marks": list(self.marks),
            "own": self.problem.task == FREE,
            "question": self.problem.question,
            "mode": mode_words(trace.settings),
            "chosen": {"cells": [], "words": ""},
            "segments": self._segments(trace),
            "end_reason": trace.end_reason,
            "success": bool(trace.success) if judged else None,
            "cost": {
                "passes": int(cost.forward_passes),
                "tokens": int(cost.tokens_forwarded),
                "seconds": float(cost.seconds),
            },
        }
        return trace, value

    def _segments(self, trace: Trace) -> list[dict[str, Any]]:
        """One entry a segment; those finished before are the same objects as last time."""
        kept, done = sum(entry["done"] for entry in self._entries), settled(trace)
        fresh = [self._entry(trace, s, s < done) for s in range(kept, len(trace.segments))]
        self._entries = [*self._entries[:kept], *fresh]
        return list(self._entries)

    def _entry(self, trace: Trace, s: int, done: bool) -> dict[str, Any]:
        segment, verdict = trace.segments[s], trace.segments[s].verdict
        shared = {
            "kind": segment.kind,
            "turn": segment.turn,
            "done": done,
            "reward": segment.reward,
            "verdict": verdict and {"right": verdict.right, "reason": verdict.reason},
        }
        if segment.kind != "edit":
            frames = [{"pieces": self._pieces(frame.tokens)} for frame in segment.frames]
            return shared | {"text": segment.text, "frames": frames}
        box = _box(segment.cells, trace.grid, self.pipe.model.codec.pixels_per_code)
        patch = None
        if segment.picture is not None:
            patch = picture_link(_png(_crop(segment.picture, box)), "png")
        elif segment.frames and (s, len(segment.frames)) not in self._sketches:
            self._sketches[s, len(segment.frames)] = self._sketch(trace, s, box)
        frames = [
            {"committed": list(frame.committed), "sketch": self._sketches.get((s, f))}
            for f, frame in enumerate(segment.frames, 1)
        ]
        words = named(region_words(segment, trace.grid))
        return shared | {
            "words": words,
            "cells": list(segment.cells),
            "box": list(box),
            "patch": patch,
            "frames": frames,
        }

    def _pieces(self, tokens: Sequence[int]) -> list[str | int]:
        """The words of a frame up to its end: runs of text, and how many tokens are masked between them."""
        layout, pieces = self.pipe.model.layout, list[str | int]()
        runs: list[list[int]] = []
        for token in tokens:
            is_masked = token == layout.mask
            if not runs or (runs[-1][0] == layout.mask) != is_masked:
                runs.append([])
            runs[-1].append(token)
        for run in runs:
            if run[0] == layout.mask:
                pieces.append(len(run))
                continue
            text = layout.read(run)
            pieces.append(text)
            if text != layout.words.text(run):  # it ends there
                break
        return pieces

    def _sketch(self, trace: Trace, s: int, box: Region) -> str:
        """The picture as it would be with what is committed of edit ``s``, round its region."""
        layout, codec = self.pipe.model.layout, self.pipe.model.codec
        codes, before = np.array(trace.canvas_tokens) - layout.first_code, self.start
        for segment in trace.segments[:s]:
            if segment.kind == "edit" and segment.picture is not None:
                codes[list(segment.cells)] = np.array(segment.tokens) - layout.first_code
                before = segment.picture
        segment = trace.segments[s]
        tokens, cells = np.array(segment.tokens), np.array(segment.cells)
        there = tokens != layout.mask
        codes[cells[there]] = tokens[there] - layout.first_code
        region = np.zeros(codes.size, dtype=bool)
        region[cells[there]] = True
        drawn = codec.decode(codes.reshape(trace.grid), before, region.reshape(trace.grid))
        out = io.BytesIO()
        Image.fromarray(_crop(drawn, box)).save(out, "WEBP", quality=SKETCH_QUALITY, method=1)
        return picture_link(out.getvalue(), "webp")


def settled(trace: Trace) -> int:
    """How many segments will not change any more; the two of a joint turn settle together."""
    count = 0
    for segment in trace.segments:
        if not is_finished(segment) or (segment.kind == "edit" and segment.picture is None):
            break
        count += 1
    return count - count % 2 if trace.settings.get("turn") == "joint" else count


class FilmRun(Showing):
    """A solve by a public checkpoint, in the film."""

    def __init__(self, request: PictureRequest, pipe: ViewsPipeline, problem: Problem) -> None:
        super().__init__(request, pipe.fingerprint)
        self.pipe, self.film = pipe, Film(pipe, problem)

    def update(self, trace: Trace, state: str) -> tuple[Trace, dict[str, Any]]:
        return self.film.update(trace, state)

    def finished(self, trace: Trace, value: dict[str, Any]) -> Shown:
        try:
            return Shown(value, "", self._files(trace), busy=False)
        except MMReasonError as error:  # of the disk: what was made is shown all the same
            return Shown(value, sentence(error), busy=False)

    def _files(self, trace: Trace) -> Filmed:
        """Trace, replay and last picture, written to be taken away; raises ConfigError."""
        problem = trace.problem
        name = "-".join(str(part) for part in ("mmreason", problem.task, problem.seed) if part is not None)
        with new_place() as place:
            paths = [place / f"{name}.{ending}" for ending in ("json", "gif", "png")]
            write_json(paths[0], to_two([trace], self.pipe))
            write_pictures_gif(trace, paths[1])
            write_picture(trace, paths[2])
        return Filmed(*(str(path) for path in paths))


def prepare(request: PictureRequest, session: str, address: str | None = None) -> tuple[Ticket, FilmRun]:
    """A ticket for the worker's line and what is shown of it; raises what a visitor can cause."""
    pipe = request.pipeline()
    config, problem = pipe.sampling_config(**request.sampling), request.problem(pipe)
    run = FilmRun(request, pipe, problem)
    return Ticket(session, pipe, problem, config, request.sampling_seed, address), run


def _png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(out, "PNG", compress_level=3)
    return out.getvalue()


def _crop(picture: np.ndarray, box: Region) -> np.ndarray:
    left, top, width, height = box
    return picture[top : top + height, left : left + width]


def _box(cells: Sequence[int], grid: tuple[int, int], step: int) -> Region:
    """The pixels round ``cells``."""
    rows, columns = np.divmod(np.array(cells), grid[1])
    top, left = int(rows.min()) * step, int(columns.min()) * step
    return left, top, (int(columns.max()) + 1) * step - left, (int(rows.max()) + 1) * step - top
