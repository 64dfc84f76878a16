"""A board on which a visitor sets up a puzzle by clicks: what its cells may hold, and what a click does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Mark:
    """What a cell may hold: as the problem file writes it (one character or digit), its name, and how it looks."""

    value: str | int
    name: str
    glyph: str = ""
    ink: str = ""  # colours as CSS has them; "" is the page's own
    ground: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """A square of cells; ``field`` of the problem file holds them as rows, each a string or a list."""

    field: str
    side: int
    marks: tuple[Mark, ...]  # the first is what an emptied cell holds
    click: Literal["put", "count"]  # puts down the chosen mark, or goes on to the next one
    single: tuple[str | int, ...] = ()  # marks that a board holds once: put down again, the old one goes
    blocks: int = 0  # side of the blocks of cells that are shaded by turns; 0: none

    @property
    def plain(self) -> dict[str, Any]:
        """The board as JSON has it, for the page."""
        return asdict(self)

    def holds(self, puzzle: Any) -> bool:
        """Is ``puzzle`` this many rows of this many marks, solvable or not?"""
        rows = puzzle.get(self.field) if isinstance(puzzle, Mapping) else None
        if not isinstance(rows, list) or len(rows) != self.side:
            return False
        if any(not isinstance(row, str | list) or len(row) != self.side for row in rows):
            return False
        known = [mark.value for mark in self.marks]
        return all(mark in known for row in rows for mark in row)
