"""Rollouts of another system as trace files: words and pictures by turn, with the rewards they earned there.

Axes: H W canvas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmreason.errors import TraceError
from mmreason.records import ANSWER, CANVAS_PX, CELL_PX, GRID, MODALITIES, Problem, region_mask, whole_rewards
from mmreason.traces.file import check, png_url
from mmreason.traces.schema import VERSION, parse_box


@dataclass(frozen=True, slots=True)
class ForeignTurn:
    """What another system thought and drew in one turn; ``picture`` is the whole canvas after it."""

    thought: str  # without the region
    region: Sequence[str]  # boxes of two cells each, e.g. ["r2c2 r2c5"]
    picture: np.ndarray  # (128, 128, 3) uint8
    thought_reward: float | None = None
    picture_reward: float | None = None


def foreign_trace(
    problem: Problem,
    turns: Sequence[ForeignTurn],
    answer: str | None = None,
    answer_reward: float | None = None,
    success: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The checked object of a trace, as ``file.save`` and ``two_of`` take it; raises TraceError.

    There are no frames, so the inspector shows no probabilities; it has all else.  A reward of 1 counts as
    right, None as not judged.
    """
    start = shown = problem.image
    segments = []
    for number, turn in enumerate(turns, start=1):
        picture = np.asarray(turn.picture)
        if picture.shape != (CANVAS_PX, CANVAS_PX, 3) or picture.dtype != np.uint8:
            raise TraceError(
                f"turns[{number - 1}].picture must be ({CANVAS_PX}, {CANVAS_PX}, 3) uint8, got {picture.shape}"
            )
        try:
            cells = np.flatnonzero(region_mask([parse_box(words) for words in turn.region])).tolist()
        except ValueError as error:
            raise TraceError(f"turns[{number - 1}].region {error}") from None
        said = f"{turn.thought} <edit> {' '.join(turn.region)}"
        segments.append(_segment("thought", number, turn.thought_reward, text=said))
        pictures = {"before": png_url(shown), "after": png_url(picture)}
        drawn = {"region": list(turn.region), "cells": cells, **pictures}
        segments.append(_segment("edit", number, turn.picture_reward, **drawn))
        shown = picture
    if answer is not None:
        segments.append(_segment("answer", len(turns) + 1, answer_reward, text=f"{ANSWER} {answer}"))
    of_text, of_image = ([s["reward"] for s in segments if s["modality"] == modality] for modality in MODALITIES)
    text, image = whole_rewards(of_text, of_image, problem.turns)
    data = {
        "version": VERSION,
        "problem": {
            **{name: getattr(problem, name) for name in ("task", "question", "turns", "difficulty")},
            **{name: getattr(problem, name) for name in ("seed", "split", "index")},
            "spec": problem.plain_spec,
            "image": png_url(start),
        },
        "settings": dict(settings or {}),
        "canvas_codes": _codes(start),
        "segments": segments,
        "end_reason": "answered" if answer is not None else "out of turns",
        "success": success,
        "reward": {"text": text, "image": image},
        "cost": {
            **dict.fromkeys(("forward_passes", "tokens_forwarded", "full_redraw_tokens"), 0),
            **dict.fromkeys(("flops", "seconds"), 0.0),
        },
    }
    check(data)
    return data


def _segment(kind: str, turn: int, reward: float | None, **fields: Any) -> dict[str, Any]:
    """An entry without frames, judged as its reward says."""
    verdict = None
    if reward is not None:
        verdict = {"right": reward == 1, "reason": "right" if reward == 1 else "wrong", "components": {}}
    empty = dict.fromkeys(("text", "region", "cells", "transition", "logprob", "before", "after"))
    modality = "image" if kind == "edit" else "text"
    return {**empty, "kind": kind, "modality": modality, "turn": turn, "frames": [], "verdict": verdict} | {
        "reward": None if reward is None else float(reward),
        **fields,
    }


def _codes(picture: np.ndarray) -> list[int]:
    """A number for each distinct cell."""
    cells = picture.reshape(GRID, CELL_PX, GRID, CELL_PX, 3).swapaxes(1, 2).reshape(GRID * GRID, -1)
    known: dict[bytes, int] = {}
    return [known.setdefault(cell.tobytes(), len(known)) for cell in cells]
