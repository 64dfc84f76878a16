"""Visual search: a crowd of sea creatures that pass on clues; find each one that is wanted.  Axes: H W canvas.

Problem file, one JSON object: ``{"task": "visual_search", "wanted": "blue fish", "clues": 2, "creatures":
[["r3c2", "blue fish", "red star"], ["r6c5", "red star", "yellow crab"], ...]}``.

``wanted`` is on the first card of the top row.  A creature takes two cells of rows 2 to 8, itself and what it
says: ``["r3c2", "blue fish", "red star"]`` is a blue fish at r3c2 whose speech bubble at r3c3 shows a red star.
What the wanted creature says is wanted next; ``clues`` (1 to 6) are followed, and what the last one says is the
answer.  Every creature that is wanted on the way is there exactly once, and none is wanted twice.  A creature is
red (plain), blue (striped), yellow (spotted) or black, and a fish, star, crab, shell or jelly.

An edit frames the creature and its bubble and lays what it says, enlarged, on the next card.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from mmreason.errors import ProblemError
from mmreason.records import CELL_PX, GRID, Box, Demonstration, Difficulty, Step, Verdict, cell_word, parse_cell
from mmreason.tasks.atlas import drawn_at
from mmreason.tasks.drawings.creatures import (
    COLOURS,
    SHAPES,
    draw_bubble,
    draw_card,
    draw_creature,
    draw_header,
    draw_water,
)
from mmreason.tasks.task import NO_HINT, Task, checked_object, shown, verdict

TURNS: dict[Difficulty, tuple[int, int]] = {"easy": (1, 2), "medium": (3, 4), "hard": (5, 6)}
CROWD: dict[Difficulty, int] = {"easy": 8, "medium": 13, "hard": 20}  # creatures of a generated scene
MAX_CLUES = 6
MAX_CREATURES = (GRID - 1) * (GRID // 2)

KINDS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
LOOKS = ("creature", "creature found", "says", "says found", "card")  # how a kind is drawn
GROUNDS = ("water", "ripple", "weed")
CELLS = (*(f"{look} {kind}" for look in LOOKS for kind in KINDS), *GROUNDS, "empty card", "header")
CELL_ID = {name: index for index, name in enumerate(CELLS)}
KIND_ID = {kind: index for index, kind in enumerate(KINDS)}

Place = tuple[int, int]  # row and column of a creature, from 0 as arrays have them; its bubble is to the right


def _cell(look: str, kind: str) -> int:
    return CELL_ID[f"{look} {kind}"]


def _kind_of(cell: int, *looks: str) -> str | None:
    """The kind that a cell shows in one of ``looks``, or None."""
    look, kind = divmod(int(cell), len(KINDS))
    return KINDS[kind] if 0 <= look < len(LOOKS) and LOOKS[look] in looks else None


def _ground(row: int, column: int) -> str:
    """Which drawing of the sea is at a place: always the same, so that it says nothing."""
    return {2: "ripple", 5: "weed"}.get((7 * row + 3 * column + row * column) % 9, "water")


def _pair_box(place: Place) -> Box:
    return Box(place[0] + 1, place[1] + 1, place[0] + 1, place[1] + 2)


def _card_box(number: int) -> Box:
    """The card of the top row that lies ``number`` places behind the first."""
    return Box(1, number + 1, 1, number + 1)


def _trail(wanted: str, clues: int, creatures: Sequence[Sequence[str]]) -> tuple[list[str], list[Place]]:
    """Kinds on the cards, the first and the answer included, and where each wanted creature is; ProblemError."""
    kinds, places = [wanted], []
    for number in range(1, clues + 1):
        found = [creature for creature in creatures if creature[1] == kinds[-1]]
        if len(found) != 1:
            raise ProblemError(f"creatures must have exactly one {kinds[-1]} for clue {number}, got {len(found)}")
        at, _, says = found[0]
        if says in kinds:
            raise ProblemError(f"clue {number} must lead to something new, got {says}, which was wanted before")
        row, column = parse_cell(at) or (0, 0)
        places.append((row - 1, column - 1))
        kinds.append(says)
    return kinds, places


class VisualSearch(Task):
    """A crowd of creatures; each turn finds the wanted one and shows what it says, the answer is the last clue."""

    name = "visual_search"
    question = "Each creature that is wanted says what is wanted next: what does the last one say?"
    words = ("says", *COLOURS, *SHAPES)
    example: Mapping[str, Any] = {
        "task": "visual_search",
        "wanted": "blue fish",
        "clues": 2,
        "creatures": [
            ["r2c6", "blue star", "red crab"],
            ["r3c2", "blue fish", "red star"],
            ["r4c5", "red fish", "black jelly"],
            ["r6c1", "yellow star", "blue fish"],
            ["r6c5", "red star", "yellow crab"],
            ["r8c3", "black shell", "red star"],
        ],
    }
    cells = CELLS
    turns: Mapping[Difficulty, tuple[int, int]] = TURNS
    num_hints = MAX_CLUES + 1 + len(KINDS)

    @property
    def several(self) -> str:
        """More than one of its puzzles, in words."""
        return "visual searches"

    def draw_cell(self, name: str, cell_px: int = CELL_PX) -> Image.Image:
        """A creature on water, a speech bubble, a card of the top row, or what lies between."""
        if name in GROUNDS:
            return draw_water(name, cell_px)
        if name == "header":
            return draw_header(cell_px)
        if name == "empty card":
            return draw_card(None, cell_px)
        look, colour, shape = name.rsplit(" ", 2)
        if look == "card":
            return draw_card((colour, shape), cell_px)
        draw = draw_creature if look.startswith("creature") else draw_bubble
        return draw(colour, shape, look.endswith("found"), cell_px)

    def drawn(self, canvas_HW: np.ndarray, cell_px: int) -> np.ndarray:
        """The canvas as pixels, its cells drawn with ``cell_px`` pixels along a side."""
        return drawn_at(self.cells, canvas_HW, lambda name: self.draw_cell(name, cell_px))

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> dict[str, Any] | None:
        """A random crowd and a trail through it; those that are not wanted look like those that are."""
        low, high = self.turns[difficulty]
        clues = int(rng.integers(low, high + 1))
        places = _scatter(CROWD[difficulty], rng)
        if places is None:
            return None
        kinds = [KINDS[i] for i in rng.permutation(len(KINDS))]
        trail, others = kinds[: clues + 1], kinds[clues:]  # the answer itself may swim about
        creatures = [[place, *pair] for place, pair in zip(places, itertools.pairwise(trail), strict=False)]
        for place in places[clues:]:
            kind = others[int(rng.integers(len(others)))]
            says = [other for other in KINDS if other != kind]
            creatures.append([place, kind, says[int(rng.integers(len(says)))]])
        spec = {"task": self.name, "wanted": trail[0], "clues": clues}
        return spec | {"creatures": sorted([cell_word(*place), kind, says] for place, kind, says in creatures)}

    def parse(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Check a user's JSON object; raises ProblemError with one sentence that says what is wrong."""
        checked_object(self.name, data, "wanted", "clues", "creatures")
        wanted, clues, creatures = data["wanted"], data["clues"], data["creatures"]
        _check_kind(wanted, "wanted")
        if type(clues) is not int or not 1 <= clues <= MAX_CLUES:
            raise ProblemError(f"clues must be an integer from 1 to {MAX_CLUES}, got {shown(clues)}")
        if not isinstance(creatures, list) or not 1 <= len(creatures) <= MAX_CREATURES:
            got = f"{len(creatures)} creatures" if isinstance(creatures, list) else shown(creatures)
            raise ProblemError(f"creatures must be a list of 1 to {MAX_CREATURES}, got {got}")
        taken: dict[Place, str] = {}
        for number, creature in enumerate(creatures, 1):
            if not isinstance(creature, list) or len(creature) != 3:
                raise ProblemError(
                    f"creature {number} must be its cell, what it is and what it says, got {shown(creature)}"
                )
            at, *kinds = creature
            cell = parse_cell(at) if isinstance(at, str) else None
            if cell is None or cell[0] == 1 or cell[1] == GRID:
                raise ProblemError(f"creature {number} must be at a cell from r2c1 to r8c7, got {shown(at)}")
            for kind in kinds:
                _check_kind(kind, f"creature {number}")
            for place in (cell, (cell[0], cell[1] + 1)):
                if place in taken:
                    raise ProblemError(f"creature {number} at {at} must not overlap that at {taken[place]}")
                taken[place] = at
        _trail(wanted, clues, creatures)
        return {"task": self.name, "wanted": wanted, "clues": clues, "creatures": sorted(map(list, creatures))}

    def canvas(self, spec: Mapping[str, Any]) -> np.ndarray:
        """The crowd below a row with the first card and empty ones, (H, W) local cell ids."""
        canvas_HW = np.array(
            [[CELL_ID[_ground(row, column)] for column in range(GRID)] for row in range(GRID)], dtype=np.int16
        )
        canvas_HW[0] = CELL_ID["header"]
        canvas_HW[0, 1 : spec["clues"] + 1] = CELL_ID["empty card"]
        canvas_HW[0, 0] = _cell("card", spec["wanted"])
        for at, kind, says in spec["creatures"]:
            row, column = parse_cell(at) or (0, 0)
            canvas_HW[row - 1, column - 1 : column + 1] = _cell("creature", kind), _cell("says", says)
        return canvas_HW

    def turns_needed(self, spec: Mapping[str, Any]) -> int:
        """A turn for each clue."""
        return spec["clues"]

    def demonstrate(self, spec: Mapping[str, Any]) -> Demonstration:
        """Each turn finds the creature on the last card."""
        kinds, places = self._trail(spec)
        canvas_HW, steps = self.canvas(spec), []
        for number, place in enumerate(places, 1):
            canvas_HW = _found(canvas_HW, place, number, kinds[number - 1], kinds[number])
            steps.append(Step(self._thought(kinds, places, number), canvas_HW))
        return Demonstration(tuple(steps), f"<answer> {kinds[-1]}")

    def hints(self, spec: Mapping[str, Any]) -> np.ndarray:
        """On a wanted creature which clue it gives; on the others, on bubbles and on cards the kind, however drawn."""
        canvas_HW = self.canvas(spec)
        kinds_HW = MAX_CLUES + 1 + canvas_HW % len(KINDS)
        hints_HW = np.where(canvas_HW < len(LOOKS) * len(KINDS), kinds_HW, NO_HINT).astype(np.int16)
        for number, place in enumerate(self._trail(spec)[1], 1):
            hints_HW[place] = number
        return hints_HW

    def candidates(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> Iterator[str]:
        """The thought of the next clue."""
        number = self._next(spec, canvas_HW)
        if number is not None:
            yield self._thought(*self._trail(spec), number)

    def check_thought(
        self,
        spec: Mapping[str, Any],
        canvas_HW: np.ndarray,
        words: Sequence[str],
        boxes: Sequence[Box],
        turn: int,
    ) -> Verdict:
        """``<kind> says <kind>``: the creature in the box says so, it is the wanted one, and the card is the next."""
        kind, says = _kinds_said(words)
        if kind is None or says is None:
            return verdict("not of the form: colour creature says colour creature", False, False, False)
        pair = [box for box in boxes if box.top == box.bottom > 1 and box.right == box.left + 1]
        if len(boxes) != 2 or len(pair) != 1:
            return verdict("the boxes are not a creature with its bubble and a card", False, False, False)
        place = (pair[0].top - 1, pair[0].left - 1)
        there = _kind_of(canvas_HW[place], "creature", "creature found")
        said = _kind_of(canvas_HW[place[0], place[1] + 1], "says", "says found")
        number = self._next(spec, canvas_HW)
        kinds, places = self._trail(spec)
        useful = number is not None and place == places[number - 1]
        at = cell_word(place[0] + 1, place[1] + 1)
        if there != kind:
            return verdict(f"{at} shows {'no creature' if there is None else f'a {there}'}", True, False, useful)
        if said != says:
            return verdict(f"it says {'nothing' if said is None else said}, not {says}", True, False, useful)
        if number is None:
            return verdict("there is no clue left to follow on this canvas", True, True, False)
        if not useful:
            return verdict(f"a {kinds[number - 1]} is wanted, not a {kind}", True, True, False)
        if _card_box(number) not in boxes:
            return verdict(f"the next card is {cell_word(1, number + 1)}", True, False, True)
        return verdict("true", True, True, True)

    def carry_out(
        self, spec: Mapping[str, Any], canvas_HW: np.ndarray, words: Sequence[str], turn: int
    ) -> np.ndarray | None:
        """The canvas with the only creature of that kind framed, and what it is said to say on the next card."""
        kind, says = _kinds_said(words)
        if kind is None or says is None:
            return None
        swimming = np.argwhere(canvas_HW[1:, :-1] == _cell("creature", kind)).tolist()
        empty = np.flatnonzero(canvas_HW[0] == CELL_ID["empty card"]).tolist()
        if len(swimming) != 1 or not empty:
            return None
        row, column = swimming[0]
        return _found(canvas_HW, (row + 1, column), empty[0], kind, says)

    def accepted_edits(
        self, spec: Mapping[str, Any], canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int
    ) -> list[np.ndarray]:
        """The canvas with the wanted creature framed and its clue on the next card, if all three are inside."""
        number = self._next(spec, canvas_HW)
        if number is None:
            return []
        kinds, places = self._trail(spec)
        place = places[number - 1]
        touched = (place, (place[0], place[1] + 1), (0, number))
        if not all(region_HW[cell] for cell in touched):
            return []
        return [_found(canvas_HW, place, number, kinds[number - 1], kinds[number])]

    def check_answer(self, spec: Mapping[str, Any], canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """``<colour> <creature>``: every clue was followed, and that is what the last creature says."""
        answer = self._trail(spec)[0][-1]
        said = " ".join(words)
        if said not in KIND_ID:
            return verdict("not of the form: colour creature", False, False, False)
        true, useful = said == answer, self.is_solved(spec, canvas_HW)
        reason = "true" if true else f"the last clue is {answer}, not {said}"
        return verdict(reason if useful else "the clues were not all followed", True, true, useful)

    def is_solved(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> bool:
        """Is every wanted creature framed, every card filled, and all else as it was?"""
        return np.array_equal(canvas_HW, self.demonstrate(spec).steps[-1].canvas)

    def _trail(self, spec: Mapping[str, Any]) -> tuple[list[str], list[Place]]:
        return _trail(spec["wanted"], spec["clues"], spec["creatures"])

    def _next(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> int | None:
        """Number of the first empty card, if those before it show the trail and those after it are empty."""
        kinds, _ = self._trail(spec)
        cards = [None if cell == CELL_ID["empty card"] else _kind_of(cell, "card") or "" for cell in canvas_HW[0]]
        cards = cards[: len(kinds)]
        filled = list(itertools.takewhile(lambda card: card is not None, cards))
        lost = filled != kinds[: len(filled)] or any(card is not None for card in cards[len(filled) :])
        return None if lost or len(filled) == len(kinds) else len(filled)

    @staticmethod
    def _thought(kinds: Sequence[str], places: Sequence[Place], number: int) -> str:
        boxes = f"{_pair_box(places[number - 1]).words} {_card_box(number).words}"
        return f"{kinds[number - 1]} says {kinds[number]} <edit> {boxes}"


def _check_kind(kind: object, where: str) -> None:
    if not isinstance(kind, str) or kind not in KIND_ID:
        colours, shapes = " or ".join(COLOURS), " or ".join(SHAPES)
        raise ProblemError(f"{where} must be a colour ({colours}) and a creature ({shapes}), got {shown(kind)}")


def _kinds_said(words: Sequence[str]) -> tuple[str | None, str | None]:
    """Who says what in ``<kind> says <kind>``; None for a kind that it does not name."""
    if len(words) != 5 or words[2] != "says":
        return None, None
    kinds = (" ".join(words[:2]), " ".join(words[3:]))
    first, second = (kind if kind in KIND_ID else None for kind in kinds)
    return first, second


def _found(canvas_HW: np.ndarray, place: Place, number: int, kind: str, says: str) -> np.ndarray:
    """A copy of the canvas on which the creature at ``place`` is framed and card ``number`` shows its clue."""
    copy_HW = np.array(canvas_HW)
    row, column = place
    copy_HW[row, column : column + 2] = _cell("creature found", kind), _cell("says found", says)
    copy_HW[0, number] = _cell("card", says)
    return copy_HW


def _scatter(count: int, rng: np.random.Generator) -> list[tuple[int, int]] | None:
    """Cells (from 1) of ``count`` creatures at random, no two overlapping; None if this draw has no room."""
    free = np.ones((GRID + 1, GRID + 2), dtype=bool)
    places: list[tuple[int, int]] = []
    for number in rng.permutation((GRID - 1) * (GRID - 1)).tolist():
        row, column = number // (GRID - 1) + 2, number % (GRID - 1) + 1
        if free[row, column : column + 2].all():
            free[row, column : column + 2] = False
            places.append((row, column))
            if len(places) == count:
                return places
    return None
