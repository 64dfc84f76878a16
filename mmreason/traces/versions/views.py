"""Traces of checkpoints whose codes are no pictures of their own, as version 2: every canvas is a picture.

Axes: H W rows and columns of codes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from mmreason.disk import finite, write_json
from mmreason.records import Problem, Segment, Trace, trace_rewards
from mmreason.traces.recorder import picture_url
from mmreason.traces.versions.ours import VERSION_TWO
from mmreason.traces.versions.two import check_two


class Ids(Protocol):
    """What the ids of a trace mean."""

    @property
    def mask(self) -> int: ...

    @property
    def first_code(self) -> int: ...

    def word(self, id: int) -> str:
        """The text of one id."""
        ...


def to_two(traces: Sequence[Trace], ids: Ids) -> dict[str, Any]:
    """``traces`` as the checked object of a version 2 file, prompts once each; unfinished traces too.

    Regions are in pixels; tokens of a text are strings, of an edit codes, null where masked.  Raises TraceError.
    """
    prompts: dict[str, dict[str, Any]] = {}
    rollouts = []
    for trace in traces:
        prompt = _prompt(trace.problem)
        prompts[prompt["id"]] = prompt
        rollouts.append(_rollout(trace, prompt["id"], ids))
    data: dict[str, Any] = {"version": VERSION_TWO, "prompts": list(prompts.values()), "rollouts": rollouts}
    if any(rollout["rewards"] for rollout in rollouts):
        data["judges"] = {"text": ["text"], "image": ["image"]}
    check_two(data)
    return data


def save_two(path: str | Path, data: dict[str, Any]) -> None:
    """Check ``data`` and write it, whole or not at all; raises TraceError or WriteError."""
    check_two(data)
    write_json(path, data)


def region_words(segment: Segment, grid: tuple[int, int]) -> list[str]:
    """The region of an edit in words: its boxes as named, or the rectangle of codes that it is, or their number."""
    if segment.boxes:
        return [box.words for box in segment.boxes]
    top, left, bottom, right = _bounds(segment, grid)
    if (bottom - top + 1) * (right - left + 1) == len(segment.cells):
        return [f"r{top}c{left} r{bottom}c{right}"]
    return [f"{len(segment.cells)} of {grid[0] * grid[1]} codes"]


def _prompt(problem: Problem) -> dict[str, Any]:
    spec = problem.plain_spec
    parts = [
        {"type": "image", "image": picture_url(problem.image)},
        {"type": "text", "text": problem.question},
    ]
    about = {name: getattr(problem, name) for name in ("task", "difficulty", "seed", "split", "index", "turns")}
    key = json.dumps([problem.task, spec, parts], sort_keys=True)
    return {"id": hashlib.sha256(key.encode()).hexdigest()[:16], "parts": parts, "problem": about | {"spec": spec}}


def _rollout(trace: Trace, prompt: str, ids: Ids) -> dict[str, Any]:
    text, image = trace_rewards(trace)
    judged = any(segment.reward is not None for segment in trace.segments)
    cost = trace.cost
    return {
        "prompt": prompt,
        "parts": [_part(segment, trace, ids) for segment in trace.segments],
        "rewards": {"text": text, "image": image} if judged else None,
        "success": bool(trace.success) if judged else None,
        "settings": finite(dict(trace.settings)),
        "cost": {
            "forward_passes": int(cost.forward_passes),
            "tokens_forwarded": int(cost.tokens_forwarded),
            "flops": float(cost.flops),
            "seconds": float(cost.seconds),
        },
        "end_reason": trace.end_reason,
        "start": picture_url(first_canvas(trace)),
    }


def _part(segment: Segment, trace: Trace, ids: Ids) -> dict[str, Any]:
    is_edit = segment.kind == "edit"
    verdict = segment.verdict
    logprobs: list[float | None] = [None] * len(segment.tokens)
    for frame in segment.frames:
        for position, logprob in zip(frame.committed, frame.logprobs, strict=True):
            logprobs[position] = min(0.0, float(logprob))
    shared: dict[str, Any] = {
        "turn": segment.turn,
        "reward": None if segment.reward is None else float(segment.reward),
        "right": None if verdict is None else bool(verdict.right),
        "tokens": _tokens(segment.tokens, is_edit, ids),
        "logprobs": logprobs,
        "steps": [
            {
                "step": frame.step,
                "tokens": _tokens(frame.tokens, is_edit, ids),
                "committed": [int(position) for position in frame.committed],
                "probability": [math.exp(min(0.0, logprob)) for logprob in frame.logprobs],
            }
            for frame in segment.frames
        ],
    }
    if verdict is not None:
        shared |= {"reason": verdict.reason, "components": {k: float(v) for k, v in verdict.components.items()}}
    if segment.transition is not None:
        shared["transition"] = float(segment.transition)
    if not is_edit:
        return {"type": "text", "kind": segment.kind, "text": segment.text, **shared}
    picture = None if segment.picture is None else picture_url(segment.picture)
    region = _region(segment, trace)
    return {"type": "image", "image": picture, "region": region, "grid": list(trace.grid), **shared}


def _tokens(tokens: Sequence[int], is_edit: bool, ids: Ids) -> list[str | int | None]:
    return [
        None if token == ids.mask else int(token) - ids.first_code if is_edit else ids.word(int(token))
        for token in tokens
    ]


def _region(segment: Segment, trace: Trace) -> Mapping[str, Any]:
    """In pixels of the canvas: one box if the codes fill it, else a mask that is white where they lie."""
    height, width = first_canvas(trace).shape[:2]
    down, across = height // trace.grid[0], width // trace.grid[1]
    top, left, bottom, right = _bounds(segment, trace.grid)
    if (bottom - top + 1) * (right - left + 1) == len(segment.cells):
        box = [(top - 1) * down + 1, (left - 1) * across + 1, bottom * down, right * across]
        return {"unit": "pixels", "boxes": [box]}
    mask = np.zeros(trace.grid[0] * trace.grid[1], dtype=bool)
    mask[list(segment.cells)] = True
    pixels = mask.reshape(trace.grid).repeat(down, axis=0).repeat(across, axis=1)
    return {"unit": "pixels", "mask": picture_url(pixels)}


def _bounds(segment: Segment, grid: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of an edit's codes, inclusive and from 1."""
    rows, columns = np.divmod(np.array(segment.cells), grid[1])
    return int(rows.min()) + 1, int(columns.min()) + 1, int(rows.max()) + 1, int(columns.max()) + 1


def first_canvas(trace: Trace) -> np.ndarray:
    """The first canvas, as large as those that follow."""
    drawn = next((s.picture for s in trace.segments if s.picture is not None), None)
    image = trace.problem.image
    if drawn is None or drawn.shape == image.shape:
        return image
    return np.asarray(Image.fromarray(image).resize(drawn.shape[1::-1], Image.Resampling.NEAREST))
