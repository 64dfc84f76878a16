"""Chart refocus: a bar chart and a sum of some of its bars; pick each one out and read it.  Axes: H W canvas.

Problem file, one JSON object: ``{"task": "chart_refocus", "unit": 2, "values": [6, 22, 14, 10], "terms":
["+tallest", "-A"]}``.

``values`` are those of 2 to 7 bars, called A, B, C and so on; each is a multiple of ``unit`` (1, 2 or 5), from one
to twelve times.  The axis has a tick at every second unit, so a bar ends at a tick or halfway between two.
``terms`` are 1 to 6 that are added (``+``) or subtracted (``-``) in turn: a bar by its letter, or the ``tallest``,
the ``second`` tallest or the ``shortest`` one.  No bar may occur twice, a rank must belong to one bar alone, and
the result must be from 0 to 64, in the end and on the way.

An edit highlights one bar from top to bottom and writes its value in place of its letter.  Terms may be taken in
any order in which the result stays in that range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from mmreason.errors import ProblemError
from mmreason.records import CELL_PX, GRID, Box, Demonstration, Difficulty, Step, Verdict
from mmreason.tasks.atlas import drawn_at
from mmreason.tasks.drawings.plot import LETTERS, RANKS, draw_axis, draw_bar, draw_foot, draw_header, draw_term
from mmreason.tasks.task import NO_HINT, Task, checked_object, shown, verdict

TURNS: dict[Difficulty, tuple[int, int]] = {"easy": (1, 2), "medium": (3, 4), "hard": (5, 6)}
BARS: dict[Difficulty, tuple[int, int]] = {"easy": (4, 5), "medium": (5, 7), "hard": (7, 7)}  # inclusive range
UNITS = (1, 2, 5)
MAX_TERMS = 6
MAX_RESULT = 64
LEVELS = 2 * (GRID - 2)  # heights of a bar, in halves of a cell

SIGNS = {"+": "plus", "-": "minus"}
SIGN_OF = {word: sign for sign, word in SIGNS.items()}
TERMS = tuple(f"{sign}{name}" for sign in SIGNS for name in (*LETTERS, *RANKS))
TICKS = tuple(sorted({unit * level for unit in UNITS for level in range(2, LEVELS + 1, 2)}))
VALUES = tuple(sorted({unit * level for unit in UNITS for level in range(1, LEVELS + 1)}))
FILLS = ("empty", "half", "top", "full")  # "top" is full, and the bar ends there
CELLS = (
    *(f"bar {fill}" for fill in FILLS),
    *(f"highlight {fill}" for fill in FILLS),
    *(f"foot {letter}" for letter in LETTERS),
    *(f"value {value}" for value in VALUES),
    *(f"tick {value}" for value in TICKS),
    *(f"term {term}" for term in TERMS),
    "origin",
    "foot empty",
    "result",
    "header",
)
CELL_ID = {name: index for index, name in enumerate(CELLS)}
NUMBERS = {str(number): number for number in range(MAX_RESULT + 1)}


def _bar_of(name: str, values: Sequence[int]) -> int:
    """Which bar a letter or a rank means; raises ProblemError, one sentence."""
    if name in LETTERS:
        if LETTERS.index(name) >= len(values):
            raise ProblemError(f"terms must be of the bars A to {LETTERS[len(values) - 1]}, got {name}")
        return LETTERS.index(name)
    ranked = sorted(values, reverse=True)
    value = {"tallest": ranked[0], "second": ranked[1], "shortest": ranked[-1]}[name]
    if ranked.count(value) > 1:
        raise ProblemError(f"values must have one bar that is the {name}, got {ranked.count(value)} of {value}")
    return values.index(value)


def _bars(values: Sequence[int], terms: Sequence[str]) -> list[int]:
    """The bar of each term; raises ProblemError where they are ambiguous or lead out of the range."""
    bars, total = [_bar_of(term[1:], values) for term in terms], 0
    for number, (bar, term) in enumerate(zip(bars, terms, strict=True), 1):
        if bar in bars[: number - 1]:
            raise ProblemError(f"terms must name each bar once, got {LETTERS[bar]} twice")
        total += values[bar] if term[0] == "+" else -values[bar]
        if not 0 <= total <= MAX_RESULT:
            raise ProblemError(f"terms must keep the result from 0 to {MAX_RESULT}, got {total} after term {number}")
    return bars


class ChartRefocus(Task):
    """A bar chart; each turn reads and highlights one bar of a sum, the answer is its result."""

    name = "chart_refocus"
    question = "What do the bars in the top row come to? An arrow up is the tallest bar, one down the shortest."
    words = (*SIGN_OF, "makes", *LETTERS)
    example: Mapping[str, Any] = {
        "task": "chart_refocus",
        "unit": 2,
        "values": [6, 22, 14, 10],
        "terms": ["+tallest", "-A"],
    }
    cells = CELLS
    turns: Mapping[Difficulty, tuple[int, int]] = TURNS
    num_hints = MAX_TERMS + 1 + len(VALUES)

    @property
    def several(self) -> str:
        """More than one of its puzzles, in words."""
        return "charts"

    def draw_cell(self, name: str, cell_px: int = CELL_PX) -> Image.Image:
        """A piece of a bar or of the axis, or a tile of the row above or below."""
        look, _, what = name.partition(" ")
        if look in ("bar", "highlight"):
            return draw_bar(what, look == "highlight", cell_px)
        if look in ("foot", "value"):
            return draw_foot("" if what == "empty" else what, look == "value", cell_px)
        if look in ("tick", "origin"):
            return draw_axis(what or "0", look == "origin", cell_px)
        return draw_term(what, cell_px) if look == "term" else draw_header(look == "result", cell_px)

    def drawn(self, canvas_HW: np.ndarray, cell_px: int) -> np.ndarray:
        """The canvas as pixels, its cells drawn with ``cell_px`` pixels along a side."""
        return drawn_at(self.cells, canvas_HW, lambda name: self.draw_cell(name, cell_px))

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> dict[str, Any] | None:
        """Bars of different heights and a sum of some of them; None if the sum leaves the range."""
        low, high = self.turns[difficulty]
        count = int(rng.integers(low, high + 1))
        for _ in range(200):  # the same number of terms, whatever is turned down
            unit = UNITS[int(rng.integers(len(UNITS)))]
            least, most = BARS[difficulty]
            bars = int(rng.integers(max(least, count), most + 1))
            values = [unit * int(level + 1) for level in rng.permutation(LEVELS)[:bars]]
            names = [LETTERS[i] for i in rng.permutation(bars)[:count]]
            for rank in rng.permutation(RANKS)[: int(rng.integers(min(count, 2) + 1))].tolist():
                names[int(rng.integers(count))] = rank
            signs = ["+", *("-" if rng.random() < 0.4 else "+" for _ in names[1:])]
            terms = [sign + name for sign, name in zip(signs, names, strict=True)]
            try:
                _bars(values, terms)
            except ProblemError:
                continue
            return {"task": self.name, "unit": unit, "values": values, "terms": terms}
        return None

    def parse(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Check a user's JSON object; raises ProblemError with one sentence that says what is wrong."""
        checked_object(self.name, data, "unit", "values", "terms")
        unit, values, terms = data["unit"], data["values"], data["terms"]
        if type(unit) is not int or unit not in UNITS:
            raise ProblemError(f"unit must be 1, 2 or 5, got {shown(unit)}")
        if not isinstance(values, list) or not 2 <= len(values) <= len(LETTERS):
            raise ProblemError(f"values must be a list of 2 to {len(LETTERS)} numbers, got {shown(values)}")
        for value in values:
            if type(value) is not int or value % unit or not unit <= value <= unit * LEVELS:
                raise ProblemError(
                    f"values must be multiples of {unit} from {unit} to {unit * LEVELS}, got {shown(value)}"
                )
        if not isinstance(terms, list) or not 1 <= len(terms) <= MAX_TERMS:
            raise ProblemError(f"terms must be a list of 1 to {MAX_TERMS}, got {shown(terms)}")
        for term in terms:
            if not isinstance(term, str) or term not in TERMS:
                raise ProblemError(
                    f"terms must be + or - and A to G, {', '.join(RANKS[:-1])} or {RANKS[-1]}, got {shown(term)}"
                )
        _bars(values, terms)
        return {"task": self.name, "unit": unit, "values": list(values), "terms": list(terms)}

    def canvas(self, spec: Mapping[str, Any]) -> np.ndarray:
        """The terms, the chart with its axis to the left, and the letters below, (H, W) local cell ids."""
        canvas_HW = np.full((GRID, GRID), CELL_ID["bar empty"], dtype=np.int16)
        terms = spec["terms"]
        canvas_HW[0] = CELL_ID["header"]
        canvas_HW[0, : len(terms)] = [CELL_ID[f"term {term}"] for term in terms]
        canvas_HW[0, len(terms)] = CELL_ID["result"]
        for row in range(1, GRID - 1):
            canvas_HW[row, 0] = CELL_ID[f"tick {2 * (GRID - 1 - row) * spec['unit']}"]
        canvas_HW[-1] = CELL_ID["foot empty"]
        canvas_HW[-1, 0] = CELL_ID["origin"]
        for bar in range(len(spec["values"])):
            canvas_HW[1:, bar + 1] = self._column(spec, bar, highlighted=False)
        return canvas_HW

    def turns_needed(self, spec: Mapping[str, Any]) -> int:
        """A turn for each term."""
        return len(spec["terms"])

    def demonstrate(self, spec: Mapping[str, Any]) -> Demonstration:
        """The terms in their order."""
        canvas_HW, steps = self.canvas(spec), []
        for bar in self._bars(spec):
            thought = self._thought(spec, canvas_HW, bar)
            canvas_HW = self._highlighted(spec, canvas_HW, bar)
            steps.append(Step(thought, canvas_HW))
        return Demonstration(tuple(steps), f"<answer> {self._total(spec, canvas_HW)}")

    def hints(self, spec: Mapping[str, Any]) -> np.ndarray:
        """Below each bar which term it is, 0 for none; on its top its value."""
        hints_HW = np.full((GRID, GRID), NO_HINT, dtype=np.int16)
        bars = self._bars(spec)
        for bar, value in enumerate(spec["values"]):
            level = value // spec["unit"]
            hints_HW[-1, bar + 1] = bars.index(bar) + 1 if bar in bars else 0
            hints_HW[GRID - 1 - (level + 1) // 2, bar + 1] = MAX_TERMS + 1 + VALUES.index(value)
        return hints_HW

    def candidates(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> Iterator[str]:
        """A thought for each bar that is still to be picked out, in the order of the terms."""
        for bar in self._missing(spec, canvas_HW):
            yield self._thought(spec, canvas_HW, bar)

    def check_thought(
        self,
        spec: Mapping[str, Any],
        canvas_HW: np.ndarray,
        words: Sequence[str],
        boxes: Sequence[Box],
        turn: int,
    ) -> Verdict:
        """``plus|minus <letter> <value> makes <total>``: a term that is missing, its value, and what it comes to."""
        if (
            len(words) != 5
            or words[0] not in SIGN_OF
            or words[1] not in LETTERS
            or words[3] != "makes"
            or words[2] not in NUMBERS
            or words[4] not in NUMBERS
        ):
            return verdict("not of the form: plus letter number makes number", False, False, False)
        sign, letter, value, total = SIGN_OF[words[0]], words[1], NUMBERS[words[2]], NUMBERS[words[4]]
        bar, bars = LETTERS.index(letter), self._bars(spec)
        if bar >= len(spec["values"]):
            return verdict(f"there is no bar {letter}", True, False, False)
        useful = bar in self._missing(spec, canvas_HW)
        if value != spec["values"][bar]:
            return verdict(f"{letter} is {spec['values'][bar]}, not {value}", True, False, useful)
        before = self._total(spec, canvas_HW)
        right = before + value if sign == "+" else before - value
        if total != right:
            return verdict(f"{before} {words[0]} {value} is {right}, not {total}", True, False, useful)
        if bar not in bars:
            return verdict(f"{letter} is not asked for", True, True, False)
        if sign != spec["terms"][bars.index(bar)][0]:
            return verdict(f"{letter} counts as {SIGNS['-' if sign == '+' else '+']}", True, True, False)
        if not useful:
            if self._is_highlighted(spec, canvas_HW, bar):
                return verdict(f"{letter} is highlighted already", True, True, False)
            return verdict(f"after {letter} the rest leaves the range of 0 to {MAX_RESULT}", True, True, False)
        if list(boxes) != [_column_box(bar)]:
            return verdict("the box is not the bar with its letter", True, False, True)
        return verdict("true", True, True, True)

    def carry_out(
        self, spec: Mapping[str, Any], canvas_HW: np.ndarray, words: Sequence[str], turn: int
    ) -> np.ndarray | None:
        """The canvas with the named bar highlighted and the value that is said below it."""
        if len(words) != 5 or words[1] not in LETTERS[: len(spec["values"])] or f"value {words[2]}" not in CELL_ID:
            return None
        bar = LETTERS.index(words[1])
        after_HW = self._highlighted(spec, canvas_HW, bar)
        after_HW[-1, bar + 1] = CELL_ID[f"value {words[2]}"]
        return after_HW

    def accepted_edits(
        self, spec: Mapping[str, Any], canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int
    ) -> list[np.ndarray]:
        """The canvas with one missing bar highlighted, for each whose column is inside the region."""
        return [
            self._highlighted(spec, canvas_HW, bar)
            for bar in self._missing(spec, canvas_HW)
            if region_HW[1:, bar + 1].all()
        ]

    def check_answer(self, spec: Mapping[str, Any], canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """``<n>``: every term is highlighted, and n is what they come to."""
        if len(words) != 1 or words[0] not in NUMBERS:
            return verdict("not of the form: number", False, False, False)
        bars = self._bars(spec)
        result = sum(self._signed(spec, bar) for bar in bars)
        true, useful = NUMBERS[words[0]] == result, self.is_solved(spec, canvas_HW)
        reason = "true" if true else f"it comes to {result}, not {words[0]}"
        return verdict(reason if useful else "not all bars that are asked for are highlighted", True, true, useful)

    def is_solved(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> bool:
        """Is every bar that is asked for highlighted, and all else as it was?"""
        after_HW = self.canvas(spec)
        for bar in self._bars(spec):
            after_HW = self._highlighted(spec, after_HW, bar)
        return np.array_equal(after_HW, canvas_HW)

    def _bars(self, spec: Mapping[str, Any]) -> list[int]:
        return _bars(spec["values"], spec["terms"])

    def _signed(self, spec: Mapping[str, Any], bar: int) -> int:
        """The value of a bar that is asked for, as it counts."""
        value = spec["values"][bar]
        return value if spec["terms"][self._bars(spec).index(bar)][0] == "+" else -value

    def _column(self, spec: Mapping[str, Any], bar: int, highlighted: bool) -> np.ndarray:
        """(H - 1) cells of a bar from the top of the chart down to what stands below it."""
        level = spec["values"][bar] // spec["unit"]
        look = "highlight" if highlighted else "bar"
        fills = [FILLS[min(3, max(0, level - 2 * above))] for above in reversed(range(GRID - 2))]
        foot = f"value {spec['values'][bar]}" if highlighted else f"foot {LETTERS[bar]}"
        return np.array([*(CELL_ID[f"{look} {fill}"] for fill in fills), CELL_ID[foot]], dtype=np.int16)

    def _highlighted(self, spec: Mapping[str, Any], canvas_HW: np.ndarray, bar: int) -> np.ndarray:
        copy_HW = np.array(canvas_HW)
        copy_HW[1:, bar + 1] = self._column(spec, bar, highlighted=True)
        return copy_HW

    def _is_highlighted(self, spec: Mapping[str, Any], canvas_HW: np.ndarray, bar: int) -> bool:
        return np.array_equal(canvas_HW[1:, bar + 1], self._column(spec, bar, highlighted=True))

    def _total(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> int:
        """What the highlighted terms come to."""
        return sum(self._signed(spec, bar) for bar in self._bars(spec) if self._is_highlighted(spec, canvas_HW, bar))

    def _missing(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> list[int]:
        """Bars that may be picked out next: in some order of it and the others the result stays in its range.

        A bar that was drawn wrong may be drawn again.
        """
        total = self._total(spec, canvas_HW)
        left = {
            bar: self._signed(spec, bar) for bar in self._bars(spec) if not self._is_highlighted(spec, canvas_HW, bar)
        }
        return [bar for bar in left if _may_follow(total, left[bar], [left[other] for other in left if other != bar])]

    def _thought(self, spec: Mapping[str, Any], canvas_HW: np.ndarray, bar: int) -> str:
        signed = self._signed(spec, bar)
        total = self._total(spec, canvas_HW) + signed
        says = f"{SIGNS['+' if signed > 0 else '-']} {LETTERS[bar]} {abs(signed)} makes {total}"
        return f"{says} <edit> {_column_box(bar).words}"


def _may_follow(total: int, value: int, others: Sequence[int]) -> bool:
    """Does the result stay in its range when ``value`` is added, and then in some order the ``others``?"""
    after = total + value
    return 0 <= after <= MAX_RESULT and (
        not others or any(_may_follow(after, other, [*others[:i], *others[i + 1 :]]) for i, other in enumerate(others))
    )


def _column_box(bar: int) -> Box:
    """The column of a bar and of its letter."""
    return Box(2, bar + 2, GRID, bar + 2)
