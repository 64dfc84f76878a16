"""The groups that come with the page: rollouts of the earlier base, and one group of another system."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from mmreason import places
from mmreason.errors import ConfigError, MMReasonError, TraceError
from mmreason.traces.group import load_group
from mmreason.traces.opening import open_rollouts
from mmreason.traces.schema import VERSION
from mmreason.ui.group.gather import group_of, group_of_members
from mmreason.ui.group.held import SHELF, Group

OURS = "rollouts of an earlier base, chosen because joint pushes many segments the wrong way"
_OPENING = Lock()


@dataclass(frozen=True, slots=True)
class Bundled:
    """A group of ``assets/groups``: a file of ours, or a folder with ``origin.json`` that says whose it is."""

    token: str  # also what ``?group=`` says
    name: str
    path: Path


@cache
def bundled() -> dict[str, Bundled]:
    """The groups by token: ours, then another system's.

    Of ours those with solved and unsolved rollouts come first; else they are in the order of their files, the most
    conflicted first.
    """
    mixed, alike, foreign = [], [], []
    root = places.ASSETS / "groups"
    for path in sorted(root.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            problem, ends = _problem(content), {one["success"] for one in _rollouts(content)}
            one = Bundled(path.stem.split("-", 1)[-1], f"{problem['task']}, {problem['difficulty']}", path)
            (mixed if len(ends) > 1 else alike).append(one)
        except (OSError, ValueError, LookupError, TypeError):
            logging.getLogger(__name__).warning("group %s cannot be read", path)
    for path in sorted(root.glob("*/origin.json")):
        try:
            name = json.loads(path.read_text(encoding="utf-8"))["name"]
            foreign.append(Bundled(path.parent.name, name, path.parent))
        except (OSError, ValueError, KeyError, TypeError):
            logging.getLogger(__name__).warning("group %s cannot be read", path.parent)
    return {one.token: one for one in (*mixed, *alike, *foreign)}


def _problem(content: dict[str, Any]) -> dict[str, Any]:
    """The problem of a group file of either version; nothing is checked yet."""
    return content["problem"] if content["version"] == VERSION else content["prompts"][0]["problem"]


def _rollouts(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Its rollouts, likewise."""
    return content["traces" if content["version"] == VERSION else "rollouts"]


def open_bundled(token: object) -> Group:
    """The bundled group called ``token``; raises ConfigError or TraceError."""
    there = bundled()
    if not isinstance(token, str) or token not in there:
        raise ConfigError(f"sample must be one of {', '.join(there) or 'none'}, got {str(token)[:60]!r}")
    with _OPENING:
        held = SHELF.get(token)
        if held is not None:
            return held
        one = there[token]
        if one.path.is_file():
            return group_of_members(load_group(one.path), OURS, link=token, token=token)
        origin = json.loads((one.path / "origin.json").read_text(encoding="utf-8"))
        found = open_rollouts(one.path / origin["file"])
        return group_of(found, origin["source"], link=token, token=token)


def open_bundled_token(token: str) -> Group | None:
    """The same for whoever asks by token; None where there is no such group."""
    try:
        return open_bundled(token) if token in bundled() else None
    except MMReasonError as error:
        logging.getLogger(__name__).warning("group %s cannot be opened: %s", token, error)
        return None


def first_group() -> Group | None:
    """What is shown on arrival."""
    for token in bundled():
        try:
            return open_bundled(token)
        except (ConfigError, TraceError):
            logging.getLogger(__name__).warning("group %s cannot be opened", token)
    return None
