"""Errors, puzzles and places in a line as the page says them."""

from __future__ import annotations

from mmreason.disk import one_line
from mmreason.errors import MMReasonError
from mmreason.tasks.task import label_of

OUR_FAULT = "Something went wrong on our side, and this puzzle was given up; please try again."


def place_in_line(ahead: int) -> str:
    """What a waiting visitor reads."""
    if not ahead:
        return ""
    others = "1 other visitor is" if ahead == 1 else f"{ahead} other visitors are"
    return f"{others} ahead; yours is next after that."


def sentence(error: MMReasonError) -> str:
    """The error's message as a sentence, on one line and no longer than anybody reads."""
    text = one_line(str(error), 600)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def puzzle_name(task: str, difficulty: str, seed: int | None = None) -> str:
    """Such as ``visual search, easy, seed 7``."""
    return f"{label_of(task)}, {difficulty}" + ("" if seed is None else f", seed {seed}")
