"""Version 1 traces as the records of anybody's rollouts."""

from __future__ import annotations

import json
from typing import Any

from mmreason.records import GRID
from mmreason.traces.formats.row import Read, given
from mmreason.traces.picture import Shelf
from mmreason.traces.rollouts import Part, Region
from mmreason.traces.schema import parse_box

JUDGES = {"text": ("text",), "image": ("image",)}


def read_one(data: dict[str, Any], shelf: Shelf, version: int = 1) -> Read:
    """The rollout of a checked trace of ours from a file of ``version``; its rewards are called as their modality."""
    problem = data["problem"]
    prompt = given([("image", problem["image"]), ("text", problem["question"])], shelf, "problem")
    return Read(
        f"trace version {version}",
        tuple(prompt),
        tuple(_part(segment, shelf) for segment in data["segments"]),
        {name: value for name, value in data["reward"].items() if value is not None},
        prompt_id=json.dumps([problem["task"], problem["spec"]], sort_keys=True),
        judges=JUDGES,
        success=data["success"],
        settings=data["settings"],
        cost=data["cost"],
        more={"problem": problem, "end_reason": data["end_reason"]},
    )


def _part(segment: dict[str, Any], shelf: Shelf) -> Part:
    verdict = segment["verdict"]
    shared: dict[str, Any] = {
        "turn": segment["turn"],
        "reward": segment["reward"],
        "rewards": verdict["components"] if verdict else {},
        "right": verdict["right"] if verdict else None,
        "steps": tuple(segment["frames"]),
    }
    if segment["kind"] != "edit":
        return Part("text", segment["kind"], text=segment["text"], **shared)
    boxes = [parse_box(words) for words in segment["region"]]
    region = Region("cells", tuple((box.top, box.left, box.bottom, box.right) for box in boxes))
    picture = None if segment["after"] is None else shelf.picture(segment["after"])
    return Part("image", "edit", picture=picture, region=region, grid=(GRID, GRID), **shared)
