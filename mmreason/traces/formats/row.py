"""One row of another system's table (a line of JSON, a row of parquet) on its way to a rollout.

A picture's place in running text is a placeholder, ``<image>`` or ``<image_start>[…]<image_end>``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmreason.disk import one_line, quoted
from mmreason.errors import TraceError
from mmreason.records import MAX_REWARD
from mmreason.traces.picture import Picture, Shelf, marked_broken
from mmreason.traces.rollouts import MAX_CHARS, MAX_PARTS, Part

Row = dict[str, Any]
Piece = tuple[str, Any]  # ("text", words) or ("image", what Shelf.picture takes)

_NUMBER = re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Read:
    """What a row holds; where ``prompt_id`` is empty prompts are told by ``called`` and their words and pictures."""

    format: str
    prompt: tuple[Part, ...]
    parts: tuple[Part, ...]
    rewards: Mapping[str, float] = field(default_factory=dict)
    prompt_id: str = ""
    called: str = ""  # what the row's id seems to call its prompt
    id: str = ""
    step: int | None = None  # of the training, where the table has it
    answer: Any = None
    judges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    success: bool | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    beyond: tuple[str, ...] = ()  # columns of numbers that are too large for rewards; they stand in ``more``
    notes: tuple[str, ...] = ()  # what was not taken for what it may have been meant as, a sentence each


def text_part(text: Any, place: str, **fields: Any) -> Part:
    """Generated words; raises TraceError."""
    if not isinstance(text, str):
        raise TraceError(f"field '{place}' must be text, got {type(text).__name__}")
    if len(text) > MAX_CHARS:
        raise TraceError(f"field '{place}' must hold at most {MAX_CHARS} characters, holds {len(text)}")
    return Part("text", "thought", text=text, **fields)


def image_part(picture: Picture, **fields: Any) -> Part:
    """A generated picture."""
    return Part("image", "edit", picture=picture, **fields)


def pieces_of(text: Any, place: str, mark: re.Pattern[str], image: Callable[[str], Piece | None]) -> list[Piece]:
    """Running text cut at its placeholders: trimmed stretches of words, and ``image(placeholder)`` between them.

    A placeholder for which that is None is words as well.
    """
    if not isinstance(text, str):
        raise TraceError(f"field '{place}' must be text, got {type(text).__name__}")
    pieces: list[Piece] = []
    end = 0
    for match in mark.finditer(text):
        if (found := image(match[0])) is None:
            continue
        pieces += [("text", text[end : match.start()]), found]
        end = match.end()
        if len(pieces) > 2 * MAX_PARTS:
            break
    pieces.append(("text", text[end:]))
    return [
        (kind, value.strip() if kind == "text" else value) for kind, value in pieces if kind != "text" or value.strip()
    ]


def given(pieces: Sequence[Piece], shelf: Shelf, place: str, role: str = "user") -> list[Part]:
    """``pieces`` as a prompt's parts."""
    _check_count(len(pieces), place)
    parts = []
    for kind, value in pieces:
        part = text_part(value, place) if kind == "text" else image_part(shelf.picture(value))
        parts.append(replace(part, kind="given", role=role))
    return parts


def generated(pieces: Sequence[Piece], shelf: Shelf, place: str) -> list[Part]:
    """``pieces`` as a rollout's parts, without turns yet."""
    _check_count(len(pieces), place)
    return [text_part(value, place) if kind == "text" else image_part(shelf.picture(value)) for kind, value in pieces]


def _check_count(count: int, place: str) -> None:
    if count > MAX_PARTS:
        raise TraceError(f"field '{place}' must hold at most {MAX_PARTS} parts, holds {count}")


def in_turns(parts: Sequence[Part]) -> tuple[Part, ...]:
    """``parts`` numbered by turn, a text after a picture begins the next; a text at the end is the answer."""
    found: list[Part] = []
    turn = 1
    for part in parts:
        if part.modality == "text" and found and found[-1].modality == "image":
            turn += 1
        found.append(replace(part, turn=turn))
    if len(found) > 1 and found[-1].modality == "text":
        found[-1] = replace(found[-1], kind="answer")
    return tuple(found)


def number(value: Any, place: str) -> float | None:
    """A reward, true and false as 1 and 0; None for null and the NaN that stands for it.  Raises TraceError."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, int | float) or not abs(value) <= MAX_REWARD:
        raise TraceError(f"field '{place}' must be a number from -1e6 to 1e6 or null, got {one_line(repr(value), 40)}")
    return float(value)


def rewards_of(value: Any, place: str) -> dict[str, float]:
    """Rewards by component, those that are null left out; one number alone is called ``reward``."""
    if not isinstance(value, dict):
        found = number(value, place)
        return {} if found is None else {"reward": found}
    scores = {str(name)[:200]: number(score, f"{place}.{name}") for name, score in value.items()}
    return {name: score for name, score in scores.items() if score is not None}


def judged(part: Part, value: Any, place: str) -> Part:
    """``part`` with its reward: null, a number, or numbers by component."""
    if not isinstance(value, dict):
        return replace(part, reward=number(value, place))
    rewards = rewards_of(value, place)
    return replace(part, reward=sum(rewards.values()) if rewards else None, rewards=rewards)


def components(row: Row, apart: frozenset[str]) -> tuple[dict[str, float], tuple[str, ...]]:
    """The columns of numbers or of true and false as components, except those ``apart``: they are known to be others.

    Also which columns are none of them because their number is too large: a time, say.
    """
    found, beyond = {}, []
    for name, value in row.items():
        if name in apart or not isinstance(value, int | float):
            continue
        if abs(value) > MAX_REWARD:
            beyond.append(name)
        elif (score := number(value, name)) is not None:
            found[name[:200]] = score
    return found, tuple(beyond)


def numbers_as_text(row: Row, apart: frozenset[str]) -> tuple[str, ...]:
    """A sentence for each column that ``components`` leaves out though its text is a number: a reward, perhaps."""
    return tuple(
        f"column {quoted(name)} holds numbers as text: if it is a reward, write them as numbers"
        for name, value in row.items()
        if name not in apart and isinstance(value, str) and _NUMBER.fullmatch(value.strip())
    )


def whole(row: Mapping[str, Any], name: str) -> int | None:
    """A whole number, also as digits or as the float that a table makes of it; None without one."""
    value = _integral(row.get(name))
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def label(row: Row, name: str) -> str:
    """A name or number that tells rows apart, as text; empty without one."""
    value = _integral(row.get(name))
    return str(value)[:500] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Images:
    """The pictures of a row's list, which its placeholders take in order."""

    def __init__(self, row: Row) -> None:
        self.name = next((name for name in ("images", "image") if row.get(name) is not None), "images")
        value = row.get(self.name)
        self.values = value if isinstance(value, list) else [] if value is None else [value]
        self._taken = 0
        self.repeated = False  # the row's parts say themselves which pictures they are
        self.notes: tuple[str, ...] = ()

    def marked(self, mark: str) -> Piece | None:
        """The next one, for a placeholder in running text; None if there is none: then somebody said that word."""
        if self._taken >= len(self.values):
            self.note(f"a text says {mark} where no picture is left for it; it is kept as words")
            return None
        return "image", self.take()

    def take(self) -> Any:
        """The next one, marked as missing where it is null or there are fewer pictures than parts that take one."""
        self._taken += 1
        if self._taken > len(self.values):
            return marked_broken(f"field '{self.name}' holds {len(self.values)} pictures, fewer than the row names")
        value = self.values[self._taken - 1]
        return marked_broken(f"field '{self.name}' holds null where a picture must stand") if value is None else value

    def unnamed(self) -> list[Piece]:
        """All of them where no placeholder says where they stand: they were given with the prompt.

        Where placeholders take only some, the others are left out, and noted.
        """
        if self.repeated:
            return []
        if 0 < self._taken < len(self.values):
            self.note(
                f"field '{self.name}' holds {len(self.values)} pictures, the row names {self._taken}; "
                "the others are left out"
            )
            return []
        return [("image", self.take()) for _ in self.values[self._taken :]]

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes += (sentence,)
