"""One segment in whole: text, tokens with probabilities, pictures with the region, rewards, the four advantages."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from mmreason.disk import one_line
from mmreason.records import GRID
from mmreason.traces.file import draw_codes, png_url
from mmreason.traces.rollouts import Part, Rollout
from mmreason.ui.group.held import Group
from mmreason.ui.group.opened import Opened
from mmreason.ui.group.view import before, boxes_of, mask_number, picture_number, shown_text
from mmreason.ui.group.whatif import WhatIf, check_place, four_ways, pushed
from mmreason.wording import formatted

MAX_TOKENS = 4000  # shown one by one
MAX_MORE = 4000  # letters of what nobody here knows
CELLS_RIGHT = "share of its cells drawn right"
Row = tuple[str, str]


def segment_detail(group: Group, prompt: int, g: int, s: int, chosen: WhatIf) -> dict[str, Any]:
    """The drawer's content; raises ConfigError if there is no such segment."""
    part = check_place(group, prompt, g, s)
    rollout = group.groups[prompt][g]
    native = group.native(prompt)
    known = pushed(group, prompt, chosen)
    entry: dict[str, Any] = {
        "text": shown_text(part) if part.modality == "text" else None,
        "tokens": _tokens(part) if part.modality == "text" else [],
        "rewards": _rewards(part, rollout),
        "more": _more(part),
        "four": four_ways(known, g, s, chosen) if g < len(known.rollouts) else [],
        "pictures": None,
        "mind": None,
        "reason": "",
        "dropped": 0,
    }
    if part.modality == "image":
        entry["pictures"] = _pictures(group, prompt, rollout, s)
    return entry if native is None else entry | _of_ours(group, native, (prompt, g), s, entry)


def _tokens(part: Part) -> list[dict[str, Any]]:
    """Each token with the probability it was chosen with and the step it was committed at, where the file says so."""
    if part.tokens:
        tokens = [str(token) if token is not None else "masked" for token in part.tokens[:MAX_TOKENS]]
        chances = [None if value is None else math.exp(min(0.0, value)) for value in part.logprobs[:MAX_TOKENS]]
        chances += [None] * (len(tokens) - len(chances))
        return [{"word": word, "probability": p, "step": None} for word, p in zip(tokens, chances, strict=True)]
    last = next((step["tokens"] for step in reversed(part.steps) if step.get("tokens")), [])
    known = _commitments(part.steps)
    return [
        {"word": "masked" if word is None else str(word), **known.get(i, {"probability": None, "step": None})}
        for i, word in enumerate(last[:MAX_TOKENS])
    ]


def _commitments(steps: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for step in steps:
        chances = step.get("probability") or []
        for i, position in enumerate(step.get("committed") or []):
            found[position] = {"probability": chances[i] if i < len(chances) else None, "step": step.get("step")}
    return found


def _pictures(group: Group, prompt: int, rollout: Rollout, s: int) -> dict[str, Any]:
    part = rollout.parts[s]
    earlier = before(rollout.parts, s, group.rollouts.prompts[prompt])
    size = part.picture if part.picture and not part.picture.broken else earlier.picture if earlier else None
    return {
        "before": None if earlier is None else picture_number(group, earlier),
        "after": picture_number(group, part),
        "expected": None,
        "width": size.width if size else 1,
        "height": size.height if size else 1,
        "boxes": boxes_of(part),
        "mask": mask_number(group, part),
        "whole": part.region is None,
        "broken": (part.picture.broken or None) if part.picture else None,
        "wrong": [],
        "sure": _sureness(part),
    }


def _sureness(part: Part) -> dict[str, Any] | None:
    """By cell of the region the probability it was committed with; None where that is unknown or the cells many."""
    known = _commitments(part.steps)
    if part.grid is None or not known or not part.region or part.region.unit != "cells" or not part.region.boxes:
        return None
    within: set[tuple[int, int]] = set()
    for top, left, bottom, right in part.region.boxes:
        rows, columns = range(top, min(bottom, part.grid[0]) + 1), range(left, min(right, part.grid[1]) + 1)
        if len(rows) * len(columns) > MAX_TOKENS:
            return None
        within.update(product(rows, columns))
        if len(within) > MAX_TOKENS:
            return None
    cells = sorted(within)
    if max(known) >= len(cells):
        return None
    return {
        "grid": list(part.grid),
        "cells": [[*cells[i], known[i]["probability"]] for i in sorted(known) if known[i]["probability"] is not None],
    }


def _rewards(part: Part, rollout: Rollout) -> list[Row]:
    """All components of the segment and of its rollout."""
    lines = [("this segment", "left out (no reward)" if part.reward is None else _number(part.reward))]
    lines += [(_name(name), _number(value)) for name, value in part.rewards.items() if name != "nothing_to_say"]
    lines += [(f"rollout: {_name(name)}", _number(value)) for name, value in rollout.rewards.items()]
    if rollout.answer is not None:
        lines.append(("right answer", one_line(str(rollout.answer), 200)))
    return lines


def _number(value: float) -> str:
    return formatted(value, ".4g")


def _name(name: str) -> str:
    return one_line(name.replace("_", " "), 60)


def _more(part: Part) -> str:
    """What the file holds of the segment and nobody here knows, as text."""
    if not part.more:
        return ""
    text = json.dumps(dict(part.more), ensure_ascii=False, indent=1, default=str)
    return text if len(text) <= MAX_MORE else f"{text[:MAX_MORE]} …"


# Of ours


def _of_ours(group: Group, native: Opened, place: tuple[int, int], s: int, entry: dict[str, Any]) -> dict[str, Any]:
    """What the verifier says besides, what was expected, and what a visitor may change; ``place``: prompt, rollout."""
    row = native.rows[place[1]]
    found = row["segments"][s]
    verdict, is_edit = found["verdict"], found["kind"] == "edit"
    lines = [(CELLS_RIGHT if is_edit and name == "cells" else name, value) for name, value in entry["rewards"]]
    if verdict and verdict["components"].get("nothing_to_say"):
        lines[0] = (lines[0][0], f"{lines[0][1]}; by turn left out, as nothing right could be said here")
    if found["transition"] is not None:
        name = "draws what its words said" if is_edit else "true of the picture drawn before"
        lines.append((name, f"{found['transition']:.2f}"))
    lines += [("words of the rollout", row["how_text"]), ("pictures of the rollout", row["how_image"])]
    lines.append(("ended", row["end"]))
    more: dict[str, Any] = {
        "rewards": [line for line in lines if line[1]],
        "reason": verdict["reason"] if verdict and not verdict["right"] else "",
        "dropped": found["dropped"],
    }
    if not is_edit:
        tokens = zip(found["tokens"], found["probability"], found["step"], strict=True)
        more["tokens"] = [{"word": word, "probability": p, "step": step or None} for word, p, step in tokens]
    else:
        pictures = entry["pictures"] | {"wrong": [_box(cell) for cell in found["wrong"]]}
        if all(earlier["kind"] != "edit" for earlier in row["segments"][:s]):
            # Nothing is redrawn yet: the puzzle as the model has it, through the codec, as what comes after is.
            pictures["before"] = group.number_of[group.starts[place]]
        if found["expected"] is not None:
            pictures["expected"] = png_url(draw_codes(native.sheet, np.array(found["expected"])))
        more["pictures"] = pictures
    if found["kind"] != "answer" and found["done"]:
        cells = found["cells"] or []
        wrong = found["wrong"] if is_edit else []
        first = next((cell for cell in wrong if cell in cells), cells[0] if cells else None)
        more["mind"] = {"kind": found["kind"], "text": found["text"], "cells": cells, "cell": first}
    return more


def _box(cell: int) -> list[float]:
    row, column = divmod(cell, GRID)
    return [column / GRID, row / GRID, (column + 1) / GRID, (row + 1) / GRID]
