"""The same few held-out problems before and now, as the component ``held_out`` draws them."""

from __future__ import annotations

import base64
import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from mmreason.records import GRID
from mmreason.traces.sheet import sheet_pixels
from mmreason.training.run.traces import held_out, held_out_traces, is_of_a_public_checkpoint
from mmreason.ui.host.web.sheets import picture_link, sheet_link
from mmreason.ui.runs.store import Run
from mmreason.ui.shell.words import puzzle_name

KEPT = ("kind", "turn", "region", "cells", "reward", "verdict", "text")
SHOWN = 3


def held_out_key(run: Run) -> str:
    """Changes when there is something else to draw."""
    return " ".join(f"{arm}{max(held_out(run.arm_folder(arm)), default=-1)}" for arm in run.settings.arms)


def held_out_value(run: Run) -> dict[str, Any] | None:
    """Columns "before" and one an arm, a row for each of ``SHOWN`` problems, first those that changed; None before the
    first evaluation.
    """
    columns: list[tuple[str, dict[str, Any]]] = []
    for arm in run.settings.arms:
        steps = held_out(run.arm_folder(arm))
        if steps and not columns and (first := _read(steps[min(steps)])):
            columns.append(("Before", first))
        if len(steps) > 1 and (last := _read(steps[max(steps)])):
            name = (
                f"Now, step {max(steps)}" if len(run.settings.arms) == 1 else f"{arm.capitalize()}, step {max(steps)}"
            )
            columns.append((name, last))
    if not columns:
        return None
    count = min(len(content["traces"]) for _, content in columns)
    problems = [
        {
            "title": columns[0][1]["traces"][i]["title"],
            "sides": [{"name": name, **_linked(content["traces"][i])} for name, content in columns],
        }
        for i in range(count)
    ]
    rows = sorted(problems, key=lambda row: not _has_changed(row["sides"]))[:SHOWN]
    pixels = columns[0][1]["pixels"]
    sheet = None if pixels is None else sheet_link(pixels)
    return {"sheet": sheet, "says": _says(problems, len(rows)), "rows": rows}


def _has_changed(sides: list[dict[str, Any]]) -> bool:
    """Is the problem solved on one side and not on another?"""
    return len({side["success"] for side in sides}) > 1


def _says(problems: list[dict[str, Any]], shown: int) -> str:
    """Which of the problems are shown."""
    if shown == len(problems):
        return ""
    changed = any(_has_changed(problem["sides"]) for problem in problems)
    return f"{shown} of {len(problems)} that were kept" + "; those that changed come first" * changed + "."


@lru_cache(maxsize=32)
def _read(path: Path) -> dict[str, Any] | None:
    """What is drawn of a kept evaluation, without the frames and pictures of its files."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if is_of_a_public_checkpoint(content):
            prompts = {prompt["id"]: prompt for prompt in content["prompts"]}
            traces = [_pictured(rollout, prompts[rollout["prompt"]]) for rollout in content["rollouts"]]
            return {"pixels": None, "traces": traces}
        return {
            "pixels": sheet_pixels(content["sheet"]),
            "traces": [_side(trace) for trace in held_out_traces(content)],
        }
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _side(trace: dict[str, Any]) -> dict[str, Any]:
    codes = list(trace["canvas_codes"])
    for segment in trace["segments"]:
        if segment["kind"] == "edit" and segment["frames"]:
            for cell, code in zip(segment["cells"], segment["frames"][-1]["tokens"], strict=True):
                codes[cell] = codes[cell] if code is None else code
    problem = trace["problem"]
    return {
        "title": puzzle_name(problem["task"], problem["difficulty"]),
        "codes": codes,
        "segments": [{name: segment[name] for name in KEPT} for segment in trace["segments"]],
        "success": trace["success"],
        "end_reason": trace["end_reason"],
    }


def _pictured(rollout: dict[str, Any], prompt: dict[str, Any]) -> dict[str, Any]:
    """The same of a public checkpoint's rollout: its last picture, packed as it is in the file."""
    drawn = [part["image"] for part in rollout["parts"] if part["type"] == "image" and part["image"] is not None]
    content = base64.b64decode((drawn[-1] if drawn else rollout["start"]).partition(",")[2])
    with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
        size = picture.size
    return {
        "title": puzzle_name(prompt["problem"]["task"], prompt["problem"]["difficulty"]),
        "picture": {"content": content, "width": size[0], "height": size[1]},
        "segments": [_segment(part, size) for part in rollout["parts"]],
        "success": rollout["success"],
        "end_reason": rollout["end_reason"],
    }


def _segment(part: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    judged = None if part["right"] is None else {name: part.get(name) for name in ("right", "reason", "components")}
    shared = {"turn": part["turn"], "reward": part["reward"], "verdict": judged}
    if part["type"] == "text":
        return {"kind": part["kind"], "text": part["text"], **shared}
    return {"kind": "edit", "region": _region(part["region"], size), "cells": part["tokens"], **shared}


def _region(region: dict[str, Any], size: tuple[int, int]) -> list[str] | None:
    """Its boxes in the cells that the page frames; None where they are no whole ones."""
    width, height = size[0] / GRID, size[1] / GRID
    found = []
    for left, top, right, bottom in region.get("boxes", ()):
        edges = (top - 1) / height, (left - 1) / width, bottom / height, right / width
        if any(edge % 1 for edge in edges):
            return None
        first, begin, last, end = map(int, edges)
        found.append(f"r{first + 1}c{begin + 1} r{last}c{end}")
    return found or None


def _linked(side: dict[str, Any]) -> dict[str, Any]:
    """``side`` with the address of its picture, if it has one."""
    if "picture" not in side:
        return side
    size = {name: side["picture"][name] for name in ("width", "height")}
    return side | {"picture": {"src": picture_link(side["picture"]["content"], "png"), **size}}
