"""A group that the inspector has open: its traces, and all that is shown of them and does not change.

Axes: C codes, H W canvas.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from mmreason.errors import ProblemError, TraceError
from mmreason.records import (
    CANVAS_PX,
    CELL_PX,
    END,
    GRID,
    NUM_CELLS,
    Problem,
    Segment,
    Trace,
    claim_words,
    trace_rewards,
)
from mmreason.rewards.verify import NOTHING_TO_SAY, Verifier
from mmreason.tasks import TASKS, picture_of, problem_from_json
from mmreason.tasks.atlas import split_cells
from mmreason.traces.file import draw_codes, to_json
from mmreason.traces.picture import Picture
from mmreason.traces.rebuild import rebuild_group, with_recorded
from mmreason.ui.solve.playback import run_number
from mmreason.ui.solve.solving import Finished


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """Scored traces of one problem, what their ids mean, and the entries that the page shows of them."""

    problem: Problem
    traces: tuple[Trace, ...]
    words: Sequence[str]
    sheet: np.ndarray  # (C, 16, 16, 3), the codebook first, then drawings of what was expected
    rows: list[dict[str, Any]]
    source: str  # in words
    notes: tuple[str, ...] = ()
    codes: Mapping[int, int] | None = None  # what the files call each code; None: the codes are the files' own
    checkpoint: str | None = None  # that the traces come from, as far as known
    checkpoint_hash: str | None = None
    seeds: tuple[tuple[int, int], ...] = ()  # (seed, generation) of each trace
    sample: str | None = None  # the bundled group that it is
    number: int = field(default_factory=run_number)  # rises, so that the page knows what is new


def open_traces(
    traces: Sequence[Trace], words: Sequence[str], sheet: np.ndarray, source: str, **origin: Any
) -> Opened:
    """Traces of one problem, scored, as a group."""
    drawn = _Drawn(words, sheet)
    rows = [_row(g, trace, drawn) for g, trace in enumerate(traces)]
    return Opened(traces[0].problem, tuple(traces), words, drawn.sheet(), rows, source, **origin)


def open_files(members: Sequence[dict[str, Any]], source: str) -> Opened:
    """Checked trace files of one problem as a group, with the rewards that they record; raises TraceError."""
    recorded = members[0]["problem"]
    try:
        problem = problem_from_json({**recorded["spec"], "task": recorded["task"]})
    except ProblemError as error:
        raise TraceError(f"trace field 'problem.spec': {error}") from None
    known = {name: recorded[name] for name in ("difficulty", "seed", "split", "index")}
    group = rebuild_group(members, replace(problem, **known))
    scored = [Verifier(group.words, group.sheet).score(trace) for trace in group.traces]
    recorded_traces = [with_recorded(trace, data) for trace, data in zip(group.traces, members, strict=True)]
    traces = [_with_nothing_to_say(*pair) for pair in zip(recorded_traces, scored, strict=True)]
    notes = [*group.problems_found, *_differences(scored, traces)]
    settings = [data["settings"] for data in members]
    return open_traces(
        traces,
        group.words,
        group.sheet,
        source,
        notes=tuple(notes),
        codes=group.codes,
        checkpoint=settings[0].get("checkpoint"),
        checkpoint_hash=settings[0].get("checkpoint_hash"),
        seeds=tuple((_whole(s.get("seed")), _whole(s.get("generation"))) for s in settings),
    )


def _with_nothing_to_say(trace: Trace, scored: Trace) -> Trace:
    """``trace`` with the verifier's mark of where nothing right can be said, which older files lack."""
    segments = []
    for segment, judged in zip(trace.segments, scored.segments, strict=True):
        if segment.verdict and judged.verdict and NOTHING_TO_SAY in judged.verdict.components and not segment.reward:
            components = {**segment.verdict.components, NOTHING_TO_SAY: 1.0}
            segment = replace(segment, verdict=replace(segment.verdict, components=components))
        segments.append(segment)
    return replace(trace, segments=tuple(segments))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _differences(scored: Sequence[Trace], recorded: Sequence[Trace]) -> list[str]:
    """How many recorded rewards are not the verifier's, in words."""
    pairs = [p for a, b in zip(scored, recorded, strict=True) for p in zip(a.segments, b.segments, strict=False)]
    differ = sum((a.reward is None) != (b.reward is None) or a.reward != b.reward for a, b in pairs)
    return [f"{differ} of {len(pairs)} recorded rewards are not what the verifier gives"] if differ else []


class _Drawn:
    """The codebook, and after it the drawings that are needed to show what was expected."""

    def __init__(self, words: Sequence[str], sheet: np.ndarray) -> None:
        self.words, self.codebook = words, sheet
        self.verifier = Verifier(words, sheet)
        self.added: dict[bytes, int] = {}

    def code(self, pixels: np.ndarray) -> int:
        """A code for a cell of (16, 16, 3) pixels."""
        return self.added.setdefault(pixels.tobytes(), len(self.codebook) + len(self.added))

    def sheet(self) -> np.ndarray:
        added = [np.frombuffer(pixels, np.uint8).reshape(CELL_PX, CELL_PX, 3) for pixels in self.added]
        return np.concatenate([self.codebook, added]) if added else self.codebook


def _row(g: int, trace: Trace, drawn: _Drawn) -> dict[str, Any]:
    """What is shown of one rollout."""
    text, image = trace_rewards(trace)
    words = [s for s in trace.segments if s.modality == "text"]
    edits = [s for s in trace.segments if s.modality == "image"]
    right, scored = sum(s.reward or 0.0 for s in words), [s for s in edits if s.reward is not None]
    left_out = f", {len(edits) - len(scored)} left out" if len(scored) < len(edits) else ""
    got = sum(s.reward or 0.0 for s in scored)
    needed = trace.problem.turns + 1
    tokens = np.array(trace.canvas_tokens)
    segments, thought = [], ""
    for segment in trace.segments:
        entry = _entry(segment, drawn)
        if segment.kind == "edit":
            entry |= _pictures(trace.problem, segment, thought, tokens, drawn)
            if entry["done"]:
                tokens[list(segment.cells)] = segment.tokens
        thought = segment.text or thought
        segments.append(entry)
    return {
        "g": g,
        "success": trace.success,
        "text": text,
        "image": image,
        "end": trace.end_reason,
        "how_text": f"{right:g} right / max({len(words)} present, {needed} needed) = {text:.2f}",
        "how_image": f"{got:g} right / {len(scored)} scored{left_out} = {image:.2f}" if image is not None else "",
        "canvas": [token - len(drawn.words) for token in trace.canvas_tokens],
        "segments": segments,
    }


def _entry(segment: Segment, drawn: _Drawn) -> dict[str, Any]:
    """Tokens with the step and probability of their commitment, verdict and components."""
    is_edit, verdict = segment.kind == "edit", segment.verdict
    step, probability = [0] * len(segment.tokens), [0.0] * len(segment.tokens)
    for frame in segment.frames:
        for i, logprob in zip(frame.committed, frame.logprobs, strict=True):
            step[i], probability[i] = frame.step, round(math.exp(min(0.0, logprob)), 4)
    done = all(step)
    tokens: list[Any] = [drawn.words[t] if t < len(drawn.words) else t - len(drawn.words) for t in segment.tokens]
    shown = tokens.index(END) + 1 if END in tokens else len(tokens)
    if not is_edit:
        tokens, step, probability = tokens[:shown], step[:shown], probability[:shown]
    return {
        "kind": segment.kind,
        "modality": segment.modality,
        "turn": segment.turn,
        "done": done,
        "text": segment.text,
        "tokens": tokens,
        "step": step,
        "probability": probability,
        "dropped": 0 if is_edit else len(segment.tokens) - shown,
        "region": [box.words for box in segment.boxes] if is_edit else None,
        "cells": list(segment.cells) if is_edit else None,
        "reward": segment.reward,
        "transition": segment.transition,
        "verdict": verdict
        and {"right": verdict.right, "reason": verdict.reason, "components": dict(verdict.components)},
    }


def _pictures(problem: Problem, segment: Segment, thought: str, tokens: np.ndarray, drawn: _Drawn) -> dict[str, Any]:
    """Codes of the canvas before, after and as expected, and the cells (flat) that are wrong."""
    before = (tokens - len(drawn.words)).tolist()
    region = np.zeros(NUM_CELLS, dtype=bool)
    region[list(segment.cells)] = True
    if any(token < len(drawn.words) for token in segment.tokens):
        return {"before": before, "after": None, "expected": None, "wrong": []}
    after = tokens.copy()
    after[list(segment.cells)] = segment.tokens
    task = TASKS[problem.task]
    before_HW, after_HW = drawn.verifier.shown(task.name, tokens), drawn.verifier.shown(task.name, after)
    accepted = task.accepted_edits(problem.spec, before_HW, task.region(region.reshape(GRID, GRID)), segment.turn)
    codes = (after - len(drawn.words)).tolist()
    if not accepted:
        return {"before": before, "after": codes, "expected": None, "wrong": []}
    said_HW = task.carry_out(problem.spec, before_HW, claim_words(thought), segment.turn)
    best = min(
        accepted,
        key=lambda c: (int(task.differs(after_HW, c).sum()), said_HW is None or not np.array_equal(c, said_HW)),
    )
    expected = list(before)
    known = best.ravel() >= 0 if task.cells else np.ones(NUM_CELLS, dtype=bool)
    cells = split_cells(picture_of(problem.task, np.maximum(best, 0))).reshape(NUM_CELLS, CELL_PX, CELL_PX, 3)
    for cell in np.flatnonzero(region & known).tolist():
        expected[cell] = drawn.code(cells[cell])
    wrong = np.flatnonzero(task.differs(after_HW, best).ravel()).tolist()
    return {"before": before, "after": codes, "expected": expected, "wrong": wrong}


def start_picture(opened: Opened, g: int) -> Picture:
    """The canvas that rollout ``g`` began with, through the codec: what its first edit is to be compared with."""
    out = io.BytesIO()
    Image.fromarray(draw_codes(opened.sheet, np.array(opened.rows[g]["canvas"]))).save(out, "PNG")
    content = out.getvalue()
    return Picture(CANVAS_PX, CANVAS_PX, "PNG", hashlib.sha256(content).hexdigest(), content)


def open_finished(finished: Finished) -> Opened:
    """A run of the tab Watch."""
    return open_files([finished.data], "the run from Watch")


def finished_of(opened: Opened, g: int) -> Finished:
    """Rollout ``g`` as the tab Watch keeps a run."""
    return Finished(to_json(opened.traces[g], opened.words, opened.sheet), opened.sheet)
