"""What the page shows of a prompt's rollouts and does not change with what-if: excerpts, pictures, rewards.

Axes: G rollouts, S segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmreason.disk import one_line
from mmreason.records import EDIT
from mmreason.tasks.task import label_of
from mmreason.traces.rollouts import Part, Prompt, Rollout
from mmreason.ui.group.held import Group
from mmreason.ui.shell.words import puzzle_name

EXCERPT = 140  # letters of a card
MAX_LISTED = 200  # prompts whose names are sent


def group_view(group: Group, prompt: int) -> dict[str, Any]:
    """The rollouts of ``prompt`` (from 0) as rows of cards; raises ConfigError."""
    group.check_prompt(prompt)
    found = group.rollouts
    rows = group.groups[prompt]
    native = group.native(prompt)
    return {
        "prompts": [
            {"name": prompt_name(group, number), "rollouts": len(members)}
            for number, members in enumerate(group.groups[:MAX_LISTED])
        ],
        "count": len(found.prompts),
        "prompt": prompt,
        "name": prompt_name(group, prompt),
        "given": [_given(group, part) for part in found.prompts[prompt].parts],
        "rows": [_row(group, rollout) for rollout in rows],
        "components": sorted({name for rollout in found.rollouts for name in rollout.rewards}),
        "judges": {modality: list(names) for modality, names in found.judges.items()},
        "format": found.format,
        "source": group.source,
        "notes": list(group.notes[:6]),
        "link": group.link,
        "follows": group.growing is not None,
        "native": native is not None,
        "drawings": [] if native is None else _drawings(native.problem.task),
    }


def prompt_name(group: Group, number: int) -> str:
    """A few words that tell the prompt from others: of a puzzle of ours its name, else its first words."""
    native = group.native(number)
    if native is not None:
        problem = native.problem
        if problem.difficulty == "custom":
            return f"own {label_of(problem.task)}"
        return puzzle_name(problem.task, problem.difficulty, problem.seed)
    prompt = group.rollouts.prompts[number]
    words = next((part.text for part in prompt.given if part.text), "") or prompt.id
    at = "" if prompt.step is None else f" · step {prompt.step}"
    return one_line(" ".join(words.split()), 80 - len(at)) + at


def shown_text(part: Part) -> str:
    """The words of a segment; of ours, without the marks that the sampler reads."""
    text = part.text or ""
    thought, mark, region = text.partition(f" {EDIT} ")
    return f"{thought} → {region}" if mark else text.removeprefix("<answer> ")


def picture_number(group: Group, part: Part) -> int | None:
    """The number of a part's picture; None where there is none that can be shown."""
    if part.picture is None or part.picture.broken:
        return None
    return group.number_of[part.picture.key]


def mask_number(group: Group, part: Part) -> int | None:
    """The number of the picture that masks an edit's region, if one does that can be shown."""
    mask = part.region.mask if part.region else None
    return None if mask is None or mask.broken else group.number_of[mask.key]


def _given(group: Group, part: Part) -> dict[str, Any]:
    if part.picture is None or part.picture.broken:
        text = part.text if part.picture is None else f"✗ {part.picture.broken}"
        return {"modality": "text", "text": (text or "")[:20_000], "role": part.role}
    return {
        "modality": "image",
        "picture": picture_number(group, part),
        "width": part.picture.width,
        "height": part.picture.height,
        "role": part.role,
    }


def _row(group: Group, rollout: Rollout) -> dict[str, Any]:
    return {
        "id": one_line(rollout.id, 80),
        "success": rollout.success,
        "rewards": {name[:60]: value for name, value in rollout.rewards.items()},
        "letters": sum(len(part.text or "") for part in rollout.parts),
        "segments": [_card(group, part) for part in rollout.parts],
    }


def _card(group: Group, part: Part) -> dict[str, Any]:
    shared = {"modality": part.modality, "kind": part.kind, "turn": part.turn, "reward": part.reward}
    if part.modality == "text":
        text = shown_text(part)
        return {**shared, "text": " ".join(text[: 2 * EXCERPT].split())[:EXCERPT], "letters": len(text)}
    size = {} if part.picture is None else {"width": part.picture.width, "height": part.picture.height}
    return {
        **shared,
        "picture": picture_number(group, part),
        "boxes": boxes_of(part),
        "mask": mask_number(group, part),
        "broken": (part.picture.broken or None) if part.picture else None,
        **size,
    }


def boxes_of(part: Part) -> list[list[float]]:
    """The boxes of an edit's region as shares of the picture: left, top, right, bottom."""
    if part.region is None or not part.region.boxes:
        return []
    if part.region.unit == "cells":
        if part.grid is None:
            return []
        rows, columns = part.grid
    elif part.picture is not None:
        rows, columns = part.picture.height, part.picture.width
    else:
        return []
    return [
        [
            round(min(1.0, value), 5)
            for value in ((left - 1) / columns, (top - 1) / rows, right / columns, bottom / rows)
        ]
        for top, left, bottom, right in part.region.boxes[:256]
    ]


def before(parts: Sequence[Part], s: int, prompt: Prompt) -> Part | None:
    """The part whose picture segment ``s`` edited: the last one drawn before it, else the prompt's last."""
    drawn = [part for part in parts[:s] if part.picture is not None and not part.picture.broken]
    if drawn:
        return drawn[-1]
    given = [part for part in prompt.given if part.picture is not None and not part.picture.broken]
    now = parts[s].picture
    same = [part for part in given if part.picture and now and part.picture.size == now.size]
    return (same or given or [None])[-1]


def found_in(group: Group, prompt: int, words: str) -> list[list[int]]:
    """The places (g, s) of the prompt's rollouts whose texts hold ``words``; case is of no matter."""
    wanted = words.casefold()
    return [
        [g, s]
        for g, rollout in enumerate(group.groups[group.check_prompt(prompt)])
        for s, part in enumerate(rollout.parts)
        if part.text and wanted in part.text.casefold()
    ]


def _drawings(task: str) -> list[str]:
    from mmreason.tasks import TASKS

    return [TASKS[task].cell_label(name) for name in TASKS[task].cells]
