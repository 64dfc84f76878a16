"""Our own traces as version 2: what anybody's reader sees, and beside it what our replay and branching need.

In memory a trace is the object of version 1 (``schema``), which older files hold as it is.  ``two_of`` and ``ones_of``
lead from one to the other and lose nothing: fields that version 2 itself does not know stand beside those that it does
(``problem`` at a prompt; ``canvas_codes`` and ``end_reason`` at a rollout; ``cells``, ``reason``, ``transition``,
``logprob``, ``before`` and ``runners_up`` at a part).

Rollouts of one puzzle are one group, in however many lines and files they stand, unless their prompts have a
``group``: a few words that tell apart whose rollouts they are, of which policy or which step of a training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mmreason.disk import quoted
from mmreason.errors import TraceError
from mmreason.records import GRID
from mmreason.traces.plain import rounded
from mmreason.traces.schema import parse_box

VERSION_TWO = 2
JUDGES = {"text": ["text"], "image": ["image"]}
OF_PROMPT, OF_ROLLOUT = "problem", "canvas_codes"  # the fields by which a file is known as one of ours
GROUP, MAX_GROUP_CHARS = "group", 200

_SHORT = ("steps", "logprob")  # what of a part holds probabilities
_PROBLEM = ("task", "spec", "turns", "difficulty", "seed", "split", "index")


def two_of(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Checked version 1 traces as the JSON of one version 2 file."""
    prompts: dict[str, dict[str, Any]] = {}
    rollouts = []
    for data in members:
        problem = data["problem"]
        told = {name: problem[name] for name in _PROBLEM}
        key = json.dumps([told, problem["question"], problem["image"]], sort_keys=True)
        if key not in prompts:
            parts = [{"type": "image", "image": problem["image"]}, {"type": "text", "text": problem["question"]}]
            prompts[key] = {"id": f"puzzle {len(prompts) + 1}", "parts": parts, OF_PROMPT: told}
        rollouts.append(_rollout(data, prompts[key]["id"], len(rollouts) + 1))
    return {"version": VERSION_TWO, "prompts": list(prompts.values()), "rollouts": rollouts, "judges": JUDGES}


def shortened(content: Mapping[str, Any]) -> dict[str, Any]:
    """A version 2 file of ours with its many probabilities to six digits; all else stays as it is."""
    rollouts = [entry | {"parts": [_shortened(part) for part in entry["parts"]]} for entry in content["rollouts"]]
    return {**content, "rollouts": rollouts}


def _shortened(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rounded(value, 6) if name in _SHORT else value for name, value in part.items()}


def _rollout(data: Mapping[str, Any], prompt: str, number: int) -> dict[str, Any]:
    shown = data["problem"]["image"]
    parts = []
    for segment in data["segments"]:
        parts.append(_part(segment, shown))
        shown = segment["after"] or shown
    return {
        "id": f"r{number}",
        "prompt": prompt,
        "parts": parts,
        "rewards": data["reward"],
        **{name: data[name] for name in ("success", "settings", "cost", OF_ROLLOUT, "end_reason")},
    }


def _part(segment: Mapping[str, Any], shown: str) -> dict[str, Any]:
    verdict = segment["verdict"]
    shared = {
        "turn": segment["turn"],
        "reward": segment["reward"],
        "steps": segment["frames"],
        "transition": segment["transition"],
        "logprob": segment["logprob"],
    }
    if "runners_up" in segment:
        shared["runners_up"] = segment["runners_up"]
    if verdict is not None:
        shared |= {"rewards": verdict["components"], "right": verdict["right"], "reason": verdict["reason"]}
    if segment["kind"] != "edit":
        return {"type": "text", "kind": segment["kind"], "text": segment["text"], **shared}
    boxes = [parse_box(words) for words in segment["region"]]
    region = {"unit": "cells", "boxes": [[box.top, box.left, box.bottom, box.right] for box in boxes]}
    before = {} if segment["before"] == shown else {"before": segment["before"]}
    place = {"region": region, "grid": [GRID, GRID], "cells": segment["cells"], "words": segment["region"]}
    return {"type": "image", "image": segment["after"], **place, **before, **shared}


def is_ours(data: Any) -> bool:
    """Whether a version 2 object holds traces that this module wrote."""
    if not isinstance(data, dict) or data.get("version") != VERSION_TWO or isinstance(data["version"], bool):
        return False
    prompts, rollouts = data.get("prompts"), data.get("rollouts")
    return bool(_all_have(prompts, OF_PROMPT) and _all_have(rollouts, OF_ROLLOUT))


def groups_of(data: Mapping[str, Any]) -> list[str]:
    """What a version 2 object of which ``ones_of`` reads calls the group of each rollout; raises TraceError."""
    found = {entry["id"]: entry.get(GROUP, "") for entry in data["prompts"]}
    for group in found.values():
        if not isinstance(group, str) or len(group) > MAX_GROUP_CHARS:
            raise TraceError(
                f"trace field 'prompts.{GROUP}': must be text of at most {MAX_GROUP_CHARS} characters, "
                f"got {quoted(str(group))}"
            )
    return [found[entry["prompt"]] for entry in data["rollouts"]]


def _all_have(entries: Any, name: str) -> bool:
    return isinstance(entries, list) and bool(entries) and all(isinstance(e, dict) and name in e for e in entries)


def ones_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The version 1 objects of such a file, to be checked as any; raises TraceError."""
    if not is_ours(data):
        raise TraceError(
            "a version 2 file of another system holds no puzzle of ours, so it cannot be played or scored again; "
            "python -m mmreason inspect and the page's Inspect show it"
        )
    try:
        prompts = {entry["id"]: entry for entry in data["prompts"]}
        return [_one(entry, prompts[entry["prompt"]]) for entry in data["rollouts"]]
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        missing = f": {quoted(str(error.args[0]))}" if isinstance(error, KeyError) and error.args else ""
        raise TraceError(f"a version 2 trace of ours lacks a field that its replay needs{missing}") from None


def _one(rollout: Mapping[str, Any], prompt: Mapping[str, Any]) -> dict[str, Any]:
    image, question = (next(part for part in prompt["parts"] if part["type"] == kind) for kind in ("image", "text"))
    shown, segments = image["image"], []
    for part in rollout["parts"]:
        segments.append(_segment(part, shown))
        shown = segments[-1]["after"] or shown
    told = prompt[OF_PROMPT]
    problem = {name: told[name] for name in _PROBLEM} | {"question": question["text"], "image": image["image"]}
    return {
        "version": 1,
        "problem": problem,
        **{name: rollout[name] for name in ("settings", OF_ROLLOUT)},
        "segments": segments,
        **{name: rollout[name] for name in ("end_reason", "success")},
        "reward": rollout["rewards"],
        "cost": rollout["cost"],
    }


def _segment(part: Mapping[str, Any], shown: str) -> dict[str, Any]:
    is_edit = part["type"] == "image"
    verdict = None
    if part.get("right") is not None:
        verdict = {"right": part["right"], "reason": part["reason"], "components": part["rewards"]}
    return {
        "kind": "edit" if is_edit else part["kind"],
        "modality": "image" if is_edit else "text",
        "turn": part["turn"],
        "text": None if is_edit else part["text"],
        "region": part["words"] if is_edit else None,
        "cells": part["cells"] if is_edit else None,
        "reward": part["reward"],
        "verdict": verdict,
        "transition": part["transition"],
        "logprob": part["logprob"],
        "frames": part["steps"],
        "before": part.get("before", shown) if is_edit else None,
        "after": part["image"] if is_edit else None,
        **({"runners_up": part["runners_up"]} if "runners_up" in part else {}),
    }
