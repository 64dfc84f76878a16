"""The rollouts that the page holds open, for whoever has their token: a bundled group's name, or what nobody guesses.

A visitor's file is in memory only, under a token that only its own page was told.  When there are too many, whoever
holds the most loses the one that was used longest ago, those first whose page is closed.
"""

from __future__ import annotations

import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from threading import RLock
from typing import Any

from mmreason.analysis.rollouts.reading import pictures
from mmreason.errors import ConfigError
from mmreason.traces.footprint import footprint
from mmreason.traces.picture import Picture
from mmreason.traces.reading.growing import Growing
from mmreason.traces.rollouts import Rollout, Rollouts
from mmreason.ui.group.opened import Opened, start_picture
from mmreason.ui.host.visitor import asking, session_asking
from mmreason.ui.host.web.presence import PRESENCE

MAX_GROUPS = 256
MAX_BYTES = 2**30  # of all groups together
_EDITIONS = count()
GONE = "these rollouts are not open on this server any more; open them again"


@dataclass(slots=True, eq=False)
class Group:
    """Rollouts of one or several prompts, what the page says of them, and what only traces of ours have."""

    rollouts: Rollouts
    source: str  # in words
    notes: tuple[str, ...] = ()
    natives: Mapping[int, Opened] = field(default_factory=dict)  # by prompt
    link: str = ""  # what ``?group=`` says of it; empty if no link leads here
    growing: Growing | None = None  # of a file that may grow
    token: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    edition: int = field(init=False, default_factory=_EDITIONS.__next__)  # another one when it has grown
    groups: list[list[Rollout]] = field(init=False)
    pictures: list[Picture] = field(init=False)
    number_of: dict[str, int] = field(init=False)  # of a picture, by its key
    starts: dict[tuple[int, int], str] = field(init=False)  # key of the canvas that a rollout of ours began with
    size: int = field(init=False)  # bytes in memory

    def __post_init__(self) -> None:
        self.groups = self.rollouts.groups
        self.pictures, self.number_of = [], {}
        starts = _starts(self.natives)
        self.starts = {place: picture.key for place, picture in starts.items()}
        for picture in (*pictures(self.rollouts), *_masks(self.rollouts), *starts.values()):
            if picture.key not in self.number_of and not picture.broken:
                self.number_of[picture.key] = len(self.pictures)
                self.pictures.append(picture)
        shown = sum(len(picture.content or b"") for picture in self.pictures)
        self.size = shown + footprint(self.rollouts, self.natives)

    def native(self, prompt: int) -> Opened | None:
        """The traces of ours that the prompt's rollouts are, if they are."""
        return self.natives.get(prompt)

    def judged_by(self, judges: Mapping[str, Sequence[str]]) -> Rollouts:
        """The rollouts as if these components of their rewards judged words and pictures."""
        if not judges:
            return self.rollouts
        return replace(self.rollouts, judges={**self.rollouts.judges, **{m: tuple(n) for m, n in judges.items()}})

    def check_prompt(self, prompt: int) -> int:
        """``prompt`` if there is one of that number; raises ConfigError."""
        if not 0 <= prompt < len(self.groups):
            raise ConfigError(f"prompt must be a whole number from 0 to {len(self.groups) - 1}, got {prompt}")
        return prompt


def _masks(found: Rollouts) -> list[Picture]:
    parts = (part for rollout in found.rollouts for part in rollout.parts)
    return [part.region.mask for part in parts if part.region and part.region.mask]


def _starts(natives: Mapping[int, Opened]) -> dict[tuple[int, int], Picture]:
    """By prompt and rollout."""
    return {
        (prompt, g): start_picture(native, g) for prompt, native in natives.items() for g in range(len(native.traces))
    }


class Shelf:
    """Groups by token; the visitor who holds the most of them makes room, by the one asked for longest ago.

    Those of closed pages go before all others: anybody can open many, as ever new visitors.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[str, Group] = OrderedDict()
        self._whose: dict[str, str] = {}  # the visitor who opened it, by token
        self._session: dict[str, str] = {}  # and the page on which
        self._lock = RLock()

    def put(self, group: Group) -> Group:
        """Hold ``group`` for the visitor who asks, or as it was held if it has grown; returns it."""
        with self._lock:
            self._whose.setdefault(group.token, asking())
            self._session.setdefault(group.token, session_asking())
            self._held[group.token] = group
            self._held.move_to_end(group.token)
            self._make_room(MAX_GROUPS, lambda _: 1)
            self._make_room(MAX_BYTES, lambda one: one.size)
        return group

    def _make_room(self, most: int, taken: Callable[[Group], int]) -> None:
        """Let groups go until the others take at most ``most``; the last one stays."""
        by_visitor: Counter[str] = Counter()
        for token, one in self._held.items():
            by_visitor[self._whose[token]] += taken(one)
        while by_visitor.total() > most and len(self._held) > 1:
            others = list(self._held)[:-1]
            closed = [token for token in others if not PRESENCE.is_here(self._session[token])]
            token = max(closed or others, key=lambda token: by_visitor[self._whose[token]])  # of equals the first
            del self._session[token]
            by_visitor[self._whose.pop(token)] -= taken(self._held.pop(token))

    def get(self, token: Any) -> Group | None:
        """The group of ``token``, or None."""
        with self._lock:
            if not isinstance(token, str) or token not in self._held:
                return None
            self._held.move_to_end(token)
            return self._held[token]

    def of(self, token: Any) -> Group:
        """The same; raises ConfigError."""
        found = self.get(token)
        if found is None:
            raise ConfigError(GONE)
        return found


SHELF = Shelf()
