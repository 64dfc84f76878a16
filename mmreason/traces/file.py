"""Trace files: a trace as the object that the engine works with, saved as version 2, loaded from either version.

Axes: C codes, H W canvas.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import BaseModel, ValidationError

from mmreason.disk import one_line, write_json
from mmreason.errors import TraceError
from mmreason.handed import Handed
from mmreason.records import CANVAS_PX, END, MASK, NUM_CELLS, Segment, Trace, trace_rewards
from mmreason.traces.plain import check_plain, place_of
from mmreason.traces.schema import PNG_PREFIX, VERSION, TraceFile
from mmreason.traces.versions.ours import VERSION_TWO, ones_of, two_of

HANDED = Handed("trace file", 32 * 2**20, TraceError)


# Writing


def to_json(trace: Trace, words: Sequence[str], sheet: np.ndarray) -> dict[str, Any]:
    """``trace`` as the JSON object of version 1, which the engine works with; unfinished traces too.

    ``words`` maps text ids to words; an id ``i >= len(words)`` is image code ``i - len(words)``, drawn as
    ``sheet[code]`` ((C, 16, 16, 3) uint8).  Masked positions become null, the ``after`` picture of an edit
    that is still being denoised too.

    ``cost.full_redraw_tokens`` is what ``tokens_forwarded`` would have been had each finished edit
    regenerated all 64 cells instead of its region.  It is an estimate: tokens_forwarded plus, for each edit,
    (64 − cells) × (frames + 1), one forward a denoising step and one for the clean copy.
    """
    codes = np.asarray(trace.canvas_tokens) - len(words)
    shown = codes.copy()
    segments = []
    for segment in trace.segments:
        entry = _segment(segment, words)
        if segment.kind == "edit":
            entry["before"] = _canvas_url(sheet, shown)
            if _is_finished(segment, words):
                shown[list(segment.cells)] = np.asarray(segment.tokens) - len(words)
                entry["after"] = _canvas_url(sheet, shown)
        segments.append(entry)
    problem, cost = trace.problem, trace.cost
    return {
        "version": VERSION,
        "problem": {
            "task": problem.task,
            "spec": problem.plain_spec,
            "question": problem.question,
            "turns": problem.turns,
            "difficulty": problem.difficulty,
            "seed": problem.seed,
            "split": problem.split,
            "index": problem.index,
            "image": png_url(problem.image),
        },
        "settings": dict(trace.settings),
        "canvas_codes": codes.tolist(),
        "segments": segments,
        "end_reason": trace.end_reason,
        "success": bool(trace.success),
        "reward": _trace_reward(trace),
        "cost": {
            "forward_passes": int(cost.forward_passes),
            "tokens_forwarded": int(cost.tokens_forwarded),
            "flops": float(cost.flops),
            "seconds": float(cost.seconds),
            "full_redraw_tokens": int(cost.tokens_forwarded) + _redraw_tokens(trace, words),
        },
    }


def png_url(pixels: np.ndarray) -> str:
    """(h, w, 3) uint8 pixels as a PNG data URL."""
    return _data_url(pixels, "PNG", PNG_PREFIX)


def webp_url(pixels: np.ndarray) -> str:
    """The same without loss as WebP, half as large, for what a browser alone reads."""
    return _data_url(pixels, "WEBP", "data:image/webp;base64,", lossless=True, quality=100, method=6)


def _data_url(pixels: np.ndarray, kind: str, prefix: str, **options: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8)).save(buffer, kind, **options)
    return prefix + base64.b64encode(buffer.getvalue()).decode("ascii")


def draw_codes(sheet: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(H·W) codes → (128, 128, 3) uint8 pixels."""
    cells = sheet[codes].reshape(-1, CANVAS_PX // sheet.shape[1], *sheet.shape[1:])
    return cells.swapaxes(1, 2).reshape(CANVAS_PX, CANVAS_PX, 3)


def _canvas_url(sheet: np.ndarray, codes: np.ndarray) -> str:
    return png_url(draw_codes(sheet, codes))


def _is_finished(segment: Segment, words: Sequence[str]) -> bool:
    """Whether no token of ``segment`` is masked; of an edit, a masked one holds a text id."""
    if segment.kind == "edit":
        return all(token >= len(words) for token in segment.tokens) and len(segment.tokens) > 0
    return bool(segment.tokens) and all(words[token] != MASK for token in segment.tokens)


def _segment(segment: Segment, words: Sequence[str]) -> dict[str, Any]:
    """The entry of ``segment``, its pictures still missing."""
    is_edit = segment.kind == "edit"
    logprob = float(segment.logprob)
    verdict = segment.verdict
    return {
        "kind": segment.kind,
        "modality": segment.modality,
        "turn": segment.turn,
        "text": None if is_edit else segment.text if _is_finished(segment, words) else "",
        "region": [box.words for box in segment.boxes] if is_edit else None,
        "cells": [int(cell) for cell in segment.cells] if is_edit else None,
        "reward": _number(segment.reward),
        "verdict": verdict
        and {
            "right": bool(verdict.right),
            "reason": verdict.reason,
            "components": {name: float(value) for name, value in verdict.components.items()},
        },
        "transition": _number(segment.transition),
        "logprob": logprob if math.isfinite(logprob) else None,
        "frames": [
            {
                "step": frame.step,
                "tokens": [_token(token, words, is_edit) for token in frame.tokens],
                "committed": [int(position) for position in frame.committed],
                "probability": [min(1.0, math.exp(min(0.0, logprob))) for logprob in frame.logprobs],
            }
            for frame in segment.frames
        ],
        "before": None,
        "after": None,
        **_runners_up(segment, words),
    }


def _runners_up(segment: Segment, words: Sequence[str]) -> dict[str, Any]:
    """By frame and committed token the likeliest others as [token, probability]; nothing where none are kept."""
    if not any(frame.runners_up for frame in segment.frames):
        return {}
    is_edit = segment.kind == "edit"
    return {
        "runners_up": [
            [
                [[_token(id, words, is_edit), round(math.exp(sure), 6)] for id, sure in others]
                for others in frame.runners_up
            ]
            for frame in segment.frames
        ]
    }


def _token(token: int, words: Sequence[str], is_edit: bool) -> str | int | None:
    if is_edit:
        return int(token) - len(words) if token >= len(words) else None
    return None if words[token] == MASK else words[token]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _trace_reward(trace: Trace) -> dict[str, float | None]:
    """By trace; null while nothing of the modality is scored."""
    text, image = trace_rewards(trace)
    scored = any(s.modality == "text" and s.reward is not None for s in trace.segments)
    return {"text": float(text) if scored else None, "image": image}


def _redraw_tokens(trace: Trace, words: Sequence[str]) -> int:
    edits = [s for s in trace.segments if s.kind == "edit" and _is_finished(s, words)]
    return sum((NUM_CELLS - len(edit.cells)) * (len(edit.frames) + 1) for edit in edits)


def shown_words(tokens: Sequence[str | None]) -> list[str | None]:
    """The words of a text frame up to, without, the first ``<end>``; null where masked."""
    return list(tokens[: tokens.index(END)] if END in tokens else tokens)


def save(path: str | Path, data: dict[str, Any]) -> None:
    """Check ``data`` and write it to ``path`` as version 2, whole or not at all; raises TraceError or WriteError."""
    check(data)
    write_json(path, two_of([data]))


def export_schema(path: str | Path, model: type[BaseModel]) -> None:
    """Write the JSON schema of ``model``, a file or a line of one, to ``path``."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema()
    write_json(path, schema, indent=1)


# Reading


def load(path: str | Path) -> dict[str, Any]:
    """The checked JSON object of the trace file at ``path``; raises TraceError with one clear sentence."""
    data = HANDED.load(path)
    if isinstance(data, dict) and data.get("version") == VERSION_TWO:
        check_plain(data)
        ones = ones_of(data)
        if len(ones) != 1:
            raise TraceError(f"a trace file must hold one rollout, holds {len(ones)}")
        data = ones[0]
    check(data)
    return data


def check(data: Any) -> TraceFile:
    """``data`` as the validated model; raises TraceError that names the first field that is wrong."""
    if not isinstance(data, dict):
        raise TraceError(f"a trace must be a JSON object, got {type(data).__name__}")
    check_plain(data)
    if "version" not in data:
        raise TraceError(f"trace field 'version' is missing; it must be {VERSION}")
    if isinstance(data["version"], bool) or data["version"] != VERSION:
        found = one_line(repr(data["version"]), 40)
        raise TraceError(f"trace field 'version' must be {VERSION}, got {found}")
    try:
        return TraceFile.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        message = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
        raise TraceError(f"trace field {place_of(first['loc'])}: {one_line(message, 200)}") from None
