"""A dataset as a task: ``data:FOLDER``; what a folder holds is in ``mmreason.tasks.dataset.rows``.

A row with a target takes one turn: the thought reads ``look <edit> r1c1 r2c3`` and names the region, the edit draws
what the target shows there.  A row without one is answered at once.  Answers are judged by the row's own reward,
whatever was drawn; edits by the pixels inside the region against the target, with those outside unchanged.

All of that is judged at 128 × 128, the size that a small policy sees; a public one is shown the file at its own size.

Axes: H W cells, S pixels along a side.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmreason.errors import ProblemError, TaskError
from mmreason.kept import Kept
from mmreason.records import (
    ANSWER,
    CANVAS_PX,
    DIFFICULTIES,
    EDIT,
    GRID,
    Box,
    Demonstration,
    Difficulty,
    Split,
    Step,
    Verdict,
    region_mask,
)
from mmreason.seeds import numpy_generator
from mmreason.tasks.dataset.rows import TOLERANCE, Dataset, Picture, Row, Shares, number_of, words_of
from mmreason.tasks.picture import PictureTask, resized
from mmreason.tasks.task import Spec, checked_object, shown, verdict
from mmreason.wording import percent

LOOK = "look"  # how a thought begins
OVERLAP = 0.5  # of a named region with the true one, intersection over union
REMEMBERED = 96 * 2**20  # bytes of decoded pictures: 2048 of 128 × 128, 8 of 2048 × 2048


class DataTask(PictureTask):
    """The problems of a folder."""

    tolerance = TOLERANCE
    graded = False

    def __init__(self, folder: str | Path, **bounds: float) -> None:
        """``bounds``: as of the ``Dataset``."""
        self.rows = Dataset(folder, **bounds)
        self.too_long, self.notes = self.rows.too_long, self.rows.notes
        slug = re.sub(r"[^a-z0-9]+", "_", self.rows.path.resolve().name.lower()).strip("_")
        self.name = (slug if slug[:1].isalpha() else f"data_{slug}").strip("_")[:40]
        self.question = "What is asked stands in each row."
        self.words = tuple(dict.fromkeys((LOOK, *self.rows.words)))
        turns = {len(row.region) > 0 for row in self.rows.rows.values()}
        needed = (int(min(turns)), int(max(turns)))
        self.turns: Mapping[Difficulty, tuple[int, int]] = {level: needed for level in DIFFICULTIES}
        self.example: Spec = self._spec(next(iter(self.rows.rows)))
        self._by_split: dict[str, list[str]] = {}
        for key in self.rows.rows:
            self._by_split.setdefault(_split(key), []).append(key)
        self._kept: Kept[np.ndarray] = Kept(REMEMBERED, lambda pixels: pixels.nbytes)

    def _spec(self, key: str) -> dict[str, Any]:
        return {"task": self.name, "row": key}

    def row(self, spec: Spec) -> Row:
        """The row of a spec."""
        return self.rows.rows[spec["row"]]

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> Spec:
        """Any row."""
        keys = list(self.rows.rows)
        return self._spec(keys[int(rng.integers(len(keys)))])

    def draw(self, difficulty: Difficulty, split: Split, seed: int, index: int, rng: np.random.Generator) -> Spec:
        """The rows of a split one after the other, shuffled by ``seed`` and anew each time they are through."""
        keys = self._by_split.get(split, [])
        if not keys:
            raise TaskError(
                f"the dataset {self.name} has no rows of the {split} split, which a hash of their content decides; "
                f"of its {len(self.rows.rows)} rows about a tenth should be: it needs more"
            )
        order = numpy_generator("rows", seed, split, index // len(keys)).permutation(len(keys))
        return self._spec(keys[int(order[index % len(keys)])])

    def own_split(self, spec: Spec) -> Split:
        """A hash of picture and prompt: 80 % train and 10 % each of the others."""
        return _split(spec["row"])

    def parse(self, data: Mapping[str, Any]) -> Spec:
        """A row by its key; raises ProblemError."""
        key = checked_object(self.name, data, "row")["row"]
        if not isinstance(key, str) or key not in self.rows.rows:
            raise ProblemError(f"row must be the key of a row of the dataset {self.name}, got {shown(key)}")
        return self._spec(key)

    def asked(self, spec: Spec) -> str:
        return self.row(spec).question

    def prompt(self, spec: Spec) -> str:
        return " ".join(self.row(spec).prompt)

    def canvas(self, spec: Spec) -> np.ndarray:
        """The picture, (S, S, 3)."""
        return self._start(spec, CANVAS_PX)

    def drawn_of(self, spec: Spec, canvas_HW: np.ndarray, cell_px: int) -> np.ndarray | None:
        """The start or the end as the files of the row have it; None of any other picture."""
        if np.array_equal(canvas_HW, self.canvas(spec)):
            return self._start(spec, GRID * cell_px)
        return self._end(spec, GRID * cell_px) if np.array_equal(canvas_HW, self.goal(spec)) else None

    def goal(self, spec: Spec) -> np.ndarray:
        """The picture in the end: the target inside the region, the start outside it."""
        return self._end(spec, CANVAS_PX)

    def _pixels(self, picture: Picture, side: int, frame: Shares) -> np.ndarray:
        """(side, side, 3) uint8, not to be written to."""
        return self._kept.made(lambda: self._decoded(picture, side, frame), picture, side, frame)

    def _decoded(self, picture: Picture, side: int, frame: Shares) -> np.ndarray:
        """The file at ``side``, or its small picture enlarged if the two would be judged as unlike one another."""
        pixels = self.rows.pixels(picture, side, frame)
        if side <= CANVAS_PX:
            return pixels
        small = self._pixels(picture, CANVAS_PX, frame)
        unlike = self.unlike(resized(pixels, CANVAS_PX), small).max() > self.tolerance / 2
        return resized(small, side) if unlike else pixels

    def _start(self, spec: Spec, side: int) -> np.ndarray:
        row = self.row(spec)
        return self._pixels(row.image, side, row.frame)

    def _end(self, spec: Spec, side: int) -> np.ndarray:
        row = self.row(spec)
        if row.target is None:
            return self._start(spec, side)
        cell = np.ones((side // GRID, side // GRID), dtype=bool)
        inside = np.kron(region_mask(self.boxes(spec)), cell)[..., None]
        return np.where(inside, self._pixels(row.target, side, row.frame), self._start(spec, side))

    def boxes(self, spec: Spec) -> list[Box]:
        """The region in whole cells."""
        return self.row(spec).boxes

    def turns_needed(self, spec: Spec) -> int:
        return 1 if self.row(spec).region else 0

    def demonstrate(self, spec: Spec) -> Demonstration:
        """Name the region, draw the target there, answer."""
        *thoughts, answer = self._said(spec)
        return Demonstration(tuple(Step(thought, self.goal(spec)) for thought in thoughts), answer)

    def longest(self, length: Callable[[str], int] = len) -> tuple[str, Spec]:
        """The row whose question is longest by ``length``."""
        row = max(self.rows.rows.values(), key=lambda row: length(row.question))
        return row.place, self._spec(row.key)

    def texts(self) -> Iterator[str]:
        """All that is said in the demonstrations of its rows; no picture is opened."""
        for key in self.rows.rows:
            yield from self._said(self._spec(key))

    def _said(self, spec: Spec) -> list[str]:
        """The thought where there is one, then the answer."""
        boxes, answer = self.boxes(spec), f"{ANSWER} {' '.join(self.row(spec).answer)}"
        return [f"{LOOK} {EDIT} {' '.join(box.words for box in boxes)}", answer] if boxes else [answer]

    def check_thought(
        self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], boxes: Sequence[Box], turn: int
    ) -> Verdict:
        """``look``, and a region that holds all that is to be drawn and overlaps the true one by at least half."""
        if not _looks(words) or not boxes:
            return verdict(f"a thought reads: {LOOK}, and names a region", well_formed=False)
        wanted, named = region_mask(self.boxes(spec)), region_mask(boxes)
        if not wanted.any():
            return verdict("nothing is to be drawn; the answer is due")
        overlap = float((wanted & named).sum() / (wanted | named).sum())
        left = self.differs(canvas_HW, self.goal(spec))
        if not left.any():
            return verdict("it is drawn already", true=overlap >= OVERLAP)
        if overlap < OVERLAP:
            reason = f"the region overlaps the right one by {percent(overlap, 0)}, at least {percent(OVERLAP, 0)}"
            return verdict(reason, useful=True)
        if outside := int((left & ~named).sum()):
            return verdict(f"{outside} cells that are to be drawn lie outside the region", useful=True)
        return verdict("true", true=True, useful=True)

    def carry_out(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str], turn: int) -> np.ndarray | None:
        """The picture in the end, if there is something to draw."""
        return self.goal(spec) if _looks(words) and self.row(spec).region else None

    def accepted_edits(self, spec: Spec, canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int) -> list[np.ndarray]:
        """The target where the picture is not yet as in the end, if all of that lies inside the region."""
        goal = self.goal(spec)
        left = self.region(self.differs(canvas_HW, goal))
        if not left.any() or (left & ~region_HW).any():
            return []
        return [np.where(left[..., None], goal, canvas_HW)]

    def check_answer(self, spec: Spec, canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """The row's own reward, whatever the picture shows."""
        return judge_answer(self.row(spec), words_of(" ".join(words)))

    def is_solved(self, spec: Spec, canvas_HW: np.ndarray) -> bool:
        """Is the target drawn, and nothing else changed?"""
        return not self.differs(canvas_HW, self.goal(spec)).any()


def _looks(words: Sequence[str]) -> bool:
    return words_of(" ".join(words)) == (LOOK,)


def judge_answer(row: Row, said: tuple[str, ...]) -> Verdict:
    """Is ``said`` an answer of ``row``, by its reward?"""
    answers, told = (row.answer, *row.also), " ".join(said)
    if row.reward == "number":
        number, off = number_of(said), Fraction(str(row.tolerance))  # of 0.1 a tenth, not the float nearest to it
        if number is None:
            return verdict(f"{told!r} is no number", well_formed=False)
        true = any(abs(number - wanted) <= off for wanted in map(number_of, answers) if wanted is not None)
    elif row.reward == "choice":
        if said not in row.choices:
            return verdict(f"{told!r} is none of the choices", well_formed=False)
        true = said in answers
    elif row.reward == "contains":
        true = any(said[k : k + len(right)] == right for right in answers for k in range(len(said)))
    else:
        true = said in answers
    right = " or ".join(" ".join(each) for each in answers)
    return verdict("true" if true else f"the answer is {right}, not {told}", bool(said), true, useful=True)


def _split(key: str) -> Split:
    share = hashlib.blake2b(key.encode(), digest_size=4).digest()[0] % 10
    return "test" if share == 0 else "validation" if share == 1 else "train"
