"""A group's first look, as links that filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmreason.analysis.rollouts.first_look import WORDS, first_look
from mmreason.disk import one_line
from mmreason.ui.group.held import Group
from mmreason.ui.group.whatif import WhatIf

MAX_LINES = 12


def look_value(group: Group, chosen: WhatIf) -> list[dict[str, Any]]:
    """Findings of the whole file, each with the places (prompt, rollout) and turns (prompt, rollout, turn) of it."""
    places = {rollout.id: (p, g) for p, members in enumerate(group.groups) for g, rollout in enumerate(members)}
    return [
        {
            "finding": one["finding"],
            "sentence": _said(one, places, len(group.groups)),
            "places": [places[name] for name in one["rollouts"] if name in places],
            "turns": [(*places[name], turn) for name, turn in one.get("turns", ()) if name in places],
        }
        for one in first_look(group.judged_by(chosen.judges))[:MAX_LINES]
    ]


def _said(one: Mapping[str, Any], places: Mapping[str, tuple[int, int]], prompts: int) -> str:
    """The sentence as the page says it: rollouts by the number of their row, words and pictures by these names."""
    said = str(one["sentence"]).replace(" by --map", " under “What if”")
    if one["finding"] == "flat_components":
        begins, names = said.removesuffix(".").split(": ", 1)
        called = [WORDS.get(name, name) for name in names.split(", ")]
        said = f"{begins}: {', '.join(called)}."
    if len(one["rollouts"]) == 1:
        (name,) = one["rollouts"]
        p, g = places[name]
        where = f"number {g + 1}" + (f" of prompt {p + 1}" if prompts > 1 else "")
        said = said.replace(f"rollout, {one_line(name, 60)}, has", f"rollout, {where}, has")
    return said
