"""A board on which a visitor sets up a puzzle by clicks: what its cells may hold, and what a click does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mmreason.records import parse_cell


@dataclass(frozen=True, slots=True)
class Mark:
    """What a cell may hold: as the problem file writes it (one character or digit), its name, and how it looks."""

    value: str | int
    name: str
    glyph: str = ""
    ink: str = ""  # colours as CSS has them; "" is the page's own
    ground: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A list beside the cells: ``field`` of the problem file holds at most ``most`` of ``choices``, in their order."""

    field: str
    name: str
    choices: tuple[tuple[str, str], ...]  # as the problem file writes it, and its name
    most: int

    def holds(self, puzzle: Mapping[str, Any]) -> bool:
        """Does ``puzzle`` have such a list, be it empty?"""
        known, chosen = [value for value, _ in self.choices], puzzle.get(self.field)
        return isinstance(chosen, list) and len(chosen) <= self.most and all(value in known for value in chosen)


@dataclass(frozen=True, slots=True)
class Board:
    """A square of cells; ``field`` of the problem file holds them as rows, each a string or a list.

    Where a click swaps, there are no marks: the cells are tiles, and ``field`` holds pairs of their names, exchanged
    in order.
    """

    field: str
    side: int
    marks: tuple[Mark, ...]  # the first is what an emptied cell holds
    click: Literal[
        "put", "count", "swap"
    ]  # puts down the chosen mark, goes on to the next one, or exchanges two tiles
    single: tuple[str | int, ...] = ()  # marks that a board holds once: put down again, the old one goes
    blocks: int = 0  # side of the blocks of cells that are shaded by turns; 0: none
    row: Row | None = None
    most: int = 0  # of swaps
    nothing: str = ""  # what to say while a list that must not be empty is

    @property
    def plain(self) -> dict[str, Any]:
        """The board as JSON has it, for the page."""
        return asdict(self)

    def holds(self, puzzle: Any) -> bool:
        """Is ``puzzle`` this many rows of this many marks, or swaps of its tiles, solvable or not?"""
        rows = puzzle.get(self.field) if isinstance(puzzle, Mapping) else None
        if self.click == "swap":
            pairs = rows if isinstance(rows, list) and len(rows) <= self.most else [None]
            return all(isinstance(pair, list) and len(pair) == 2 and self._are_tiles(pair) for pair in pairs)
        if self.row is not None and not self.row.holds(puzzle):
            return False
        if not isinstance(rows, list) or len(rows) != self.side:
            return False
        if any(not isinstance(row, str | list) or len(row) != self.side for row in rows):
            return False
        known = [mark.value for mark in self.marks]
        return all(mark in known for row in rows for mark in row)

    def lacks(self, puzzle: Any) -> bool:
        """Is nothing chosen yet where something has to be?"""
        fields = [self.field] if self.row is None else [self.field, self.row.field]
        return isinstance(puzzle, Mapping) and any(puzzle.get(field) == [] for field in fields)

    def _are_tiles(self, names: list[Any]) -> bool:
        return all(isinstance(name, str) and parse_cell(name, self.side) is not None for name in names)
