"""The checkpoints that a visitor may choose: the shipped ones, and those of the visitor's own runs."""

from __future__ import annotations

from typing import Any

from mmreason.ui.host import checkpoints, public
from mmreason.ui.runs.state import status_of
from mmreason.ui.runs.store import find, runs_of

Choice = tuple[str, str]  # what is shown, and the name that ``checkpoints`` and ``public`` take


def trained_by(token: Any) -> list[Choice]:
    """The checkpoints of the visitor's own runs, the newest first."""
    found = []
    for run in runs_of(token):
        status = status_of(run)
        for arm, name in status.checkpoints.items():
            found.append((f"yours: {arm}, step {status.saved[arm]} ({run.id[:4]})", name))
    return found


def choices_of(token: Any) -> list[Choice]:
    """All that the visitor may choose: of our own kind, of public families, and what the visitor trained."""
    names = [*checkpoints.checkpoint_names(), *public.public_names()]
    return [(name, name) for name in names] + trained_by(token)


def with_linked(choices: list[Choice], name: Any) -> list[Choice]:
    """``choices``, and what another visitor's run has trained if that is ``name``: who knows it may solve by it.

    They stay as they are where it is among them, and where there is no such checkpoint any more.
    """
    match = checkpoints.RUN_CHECKPOINT.match(str(name))
    run = find(match[1]) if match else None
    if match is None or run is None or is_among(choices, name):
        return choices
    status, arm = status_of(run), match[2]
    if status.checkpoints.get(arm) != name:
        return choices
    return [*choices, (f"by link: {arm}, step {status.saved[arm]} ({run.id[:4]})", name)]


def is_among(choices: list[Choice], name: Any) -> bool:
    """Can ``name`` be chosen?"""
    return any(value == name for _, value in choices)


def small_choices_of(token: Any) -> list[Choice]:
    """Those of our own kind only, for what public families have no part in."""
    own = [choice for choice in trained_by(token) if not checkpoints.is_public(choice[1])]
    return [(name, name) for name in checkpoints.checkpoint_names()] + own
