"""Jigsaw: a halftone picture whose tiles were swapped; put each one back.  Axes: H W canvas rows, columns.

Problem file, one JSON object: ``{"task": "jigsaw", "picture_seed": 7, "swaps": [["r1c1", "r2c4"], ...]}``.

``picture_seed`` is an integer from 0 to 2147483647 and chooses one of 16 pictures.  A tile is 2 × 2 canvas
cells; the 16 tiles are named by their own row and column, ``r1c1`` to ``r4c4``.  ``swaps`` holds 1 to 16
pairs of tiles that are exchanged in order, starting from the whole picture; pairs may share tiles, but
something has to be out of place in the end.

In a picture the colour runs along one axis and the size of the dots along the other, both strictly one
way, so each tile tells by itself which way the picture runs and where the tile belongs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mmreason.errors import ProblemError
from mmreason.records import CELL_PX, GRID, Box, Demonstration, Difficulty, Step, Verdict, cell_word
from mmreason.seeds import derive_seed
from mmreason.tasks.board import Board
from mmreason.tasks.task import Task, checked_object, shown, verdict

TURNS: dict[Difficulty, tuple[int, int]] = {"easy": (1, 2), "medium": (2, 3), "hard": (4, 5)}
MAX_SWAPS = 16
MAX_PICTURE_SEED = 2**31 - 1

SIDE = 4  # tiles along one side
NUM_TILES = SIDE * SIDE
LEVELS = GRID  # colour levels and dot sizes: one for each row or column of cells
TILES = tuple(cell_word(row, column) for row in range(1, SIDE + 1) for column in range(1, SIDE + 1))
NUMBERS = frozenset(str(number) for number in range(65))
TILE_INDEX = {name: index for index, name in enumerate(TILES)}
TILE_BOXES = tuple(
    Box(2 * row + 1, 2 * column + 1, 2 * row + 2, 2 * column + 2) for row in range(SIDE) for column in range(SIDE)
)

# Two inks, dark to light; lightness grows by even steps, so the order shows without telling hues apart.
RAMPS = {
    "dusk": ("#160f3d", "#33155c", "#561a6c", "#7d2271", "#a4306a", "#c8455b", "#e36347", "#f08a3c"),
    "sea": ("#04202f", "#063a4b", "#0a5561", "#166f6e", "#338973", "#5da273", "#8fb76f", "#c4c56f"),
}
PAPER = (255, 248, 230)  # the dots
SMALLEST, LARGEST = 1.6, {"dusk": 7.4, "sea": 7.7}  # dot radii, and half diagonals of diamonds, in pixels


def _pictures() -> tuple[np.ndarray, ...]:
    """All pictures, as (H, W) cell ids: two ramps, each mirrored and turned in eight ways."""
    pictures = []
    for ramp in range(len(RAMPS)):
        for way in range(8):
            first = np.arange(LEVELS) if way & 1 else np.arange(LEVELS)[::-1]
            second = np.arange(LEVELS) if way & 2 else np.arange(LEVELS)[::-1]
            picture_HW = ramp * LEVELS**2 + LEVELS * first[:, None] + second[None, :]
            if way & 4:  # colour from left to right, dot size from top to bottom
                picture_HW = ramp * LEVELS**2 + LEVELS * second[None, :] + first[:, None]
            pictures.append(picture_HW.astype(np.int16))
    return tuple(pictures)


def _tiles(canvas_HW: np.ndarray) -> np.ndarray:
    """The four cells of each tile, (16, 4), tiles and cells in reading order."""
    return np.asarray(canvas_HW).reshape(SIDE, 2, SIDE, 2).transpose(0, 2, 1, 3).reshape(NUM_TILES, 4)


def _untile(tiles: np.ndarray) -> np.ndarray:
    """The canvas that consists of these tiles; undoes ``_tiles``."""
    return np.ascontiguousarray(tiles.reshape(SIDE, SIDE, 2, 2).transpose(0, 2, 1, 3).reshape(GRID, GRID))


PICTURES = _pictures()
PICTURE_TILES = tuple(_tiles(picture_HW) for picture_HW in PICTURES)
HOME_OF = tuple({tuple(four): home for home, four in enumerate(tiles.tolist())} for tiles in PICTURE_TILES)


def picture_index(picture_seed: int) -> int:
    """Which of the 16 pictures a seed stands for; neighbouring seeds give unrelated pictures."""
    return derive_seed("jigsaw picture", int(picture_seed)) % len(PICTURES)


def arrangement(swaps: Sequence[Sequence[str]]) -> list[int]:
    """Home tile index of what lies at each tile after ``swaps``."""
    homes = list(range(NUM_TILES))
    for first, second in swaps:
        a, b = TILE_INDEX[first], TILE_INDEX[second]
        homes[a], homes[b] = homes[b], homes[a]
    return homes


def count_swaps(homes: Sequence[int]) -> int:
    """The fewest swaps that sort a permutation: its length less its cycles."""
    seen: set[int] = set()
    cycles = 0
    for start in range(len(homes)):
        if start not in seen:
            cycles += 1
            here = start
            while here not in seen:
                seen.add(here)
                here = homes[here]
    return len(homes) - cycles


class Jigsaw(Task):
    """Swapped tiles of a halftone picture; each turn swaps two tiles, the answer counts the swaps."""

    name = "jigsaw"
    question = "How many swaps put the picture back together?"
    words = ("swap", "swaps")
    example: Mapping[str, Any] = {"task": "jigsaw", "picture_seed": 7, "swaps": [["r1c1", "r2c4"], ["r3c2", "r4c3"]]}
    board = Board(field="swaps", side=SIDE, marks=(), click="swap", most=MAX_SWAPS, nothing="no two tiles are swapped")
    cells = tuple(f"{ramp}_colour{c}_dot{d}" for ramp in RAMPS for c in range(LEVELS) for d in range(LEVELS))
    turns: Mapping[Difficulty, tuple[int, int]] = TURNS
    num_hints = NUM_TILES

    def cell_label(self, name: str) -> str:
        """Such as ``dusk, colour 3 of 8, dot 1 of 8``: the darkest and the smallest is 1."""
        ramp, colour, dot = name.split("_")
        mark = "dot" if ramp == "dusk" else "diamond"
        return f"{ramp}, colour {int(colour[-1]) + 1} of {LEVELS}, {mark} {int(dot[-1]) + 1} of {LEVELS}"

    def draw_cell(self, name: str) -> Image.Image:
        """A light dot (dusk) or diamond (sea) on one colour of the ramp."""
        ramp, colour, dot = name.split("_")
        scale = 8
        middle = CELL_PX * scale / 2
        image = Image.new("RGB", (CELL_PX * scale, CELL_PX * scale), RAMPS[ramp][int(colour[-1])])
        draw = ImageDraw.Draw(image)
        size = scale * (SMALLEST + (LARGEST[ramp] - SMALLEST) * int(dot[-1]) / (LEVELS - 1))
        if ramp == "dusk":
            draw.ellipse((middle - size, middle - size, middle + size - 1, middle + size - 1), fill=PAPER)
        else:
            corners = ((0, -size), (size, 0), (0, size), (-size, 0))
            draw.polygon([(middle - 0.5 + x, middle - 0.5 + y) for x, y in corners], fill=PAPER)
        return image.resize((CELL_PX, CELL_PX), Image.Resampling.BOX)

    def generate(self, difficulty: Difficulty, rng: np.random.Generator) -> dict[str, Any]:
        """A random picture with a uniform number of disjoint pairs of tiles exchanged."""
        low, high = self.turns[difficulty]
        num_swaps = int(rng.integers(low, high + 1))
        picture_seed = int(rng.integers(MAX_PICTURE_SEED + 1))
        chosen = rng.permutation(NUM_TILES)[: 2 * num_swaps].tolist()
        pairs = [sorted(chosen[i : i + 2]) for i in range(0, len(chosen), 2)]
        return {
            "task": self.name,
            "picture_seed": picture_seed,
            "swaps": [[TILES[a], TILES[b]] for a, b in sorted(pairs)],
        }

    def parse(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Check a user's JSON object; raises ProblemError with one sentence that says what is wrong."""
        checked_object(self.name, data, "picture_seed", "swaps")
        seed, swaps = data["picture_seed"], data["swaps"]
        if type(seed) is not int or not 0 <= seed <= MAX_PICTURE_SEED:
            raise ProblemError(f"picture_seed must be an integer from 0 to {MAX_PICTURE_SEED}, got {shown(seed)}")
        if not isinstance(swaps, list) or not 1 <= len(swaps) <= MAX_SWAPS:
            got = f"{len(swaps)} pairs" if isinstance(swaps, list) else shown(swaps)
            raise ProblemError(f"swaps must be a list of 1 to {MAX_SWAPS} pairs of tiles, got {got}")
        for number, pair in enumerate(swaps, 1):
            if not isinstance(pair, list) or len(pair) != 2:
                raise ProblemError(f"swap {number} must be a pair of tiles like ['r1c1', 'r2c4'], got {shown(pair)}")
            for tile in pair:
                if not isinstance(tile, str) or tile not in TILE_INDEX:
                    raise ProblemError(f"swap {number} must name tiles from r1c1 to r4c4, got {shown(tile)}")
            if pair[0] == pair[1]:
                raise ProblemError(f"swap {number} must name two different tiles, got {pair[0]} twice")
        if count_swaps(arrangement(swaps)) == 0:
            raise ProblemError(f"swaps must leave a tile out of place, but after all {len(swaps)} nothing is")
        return {"task": self.name, "picture_seed": seed, "swaps": [list(pair) for pair in swaps]}

    def canvas(self, spec: Mapping[str, Any]) -> np.ndarray:
        """The shuffled picture, (H, W) local cell ids."""
        return self._arranged(spec, arrangement(spec["swaps"]))

    def turns_needed(self, spec: Mapping[str, Any]) -> int:
        """The fewest swaps that restore the picture."""
        return count_swaps(arrangement(spec["swaps"]))

    def demonstrate(self, spec: Mapping[str, Any]) -> Demonstration:
        """Each turn fills the first wrong place with its own tile."""
        homes = arrangement(spec["swaps"])
        steps = []
        for place in range(NUM_TILES):
            if homes[place] != place:
                other = homes.index(place)
                homes[place], homes[other] = homes[other], homes[place]
                thought = f"swap {TILES[place]} {TILES[other]}"
                boxes = f"{TILE_BOXES[place].words} {TILE_BOXES[other].words}"
                steps.append(Step(f"{thought} <edit> {boxes}", self._arranged(spec, homes)))
        return Demonstration(tuple(steps), f"<answer> {len(steps)} swaps")

    def hints(self, spec: Mapping[str, Any]) -> np.ndarray:
        """For each cell, the home of the tile that lies there now."""
        homes = np.array(arrangement(spec["swaps"])).reshape(SIDE, SIDE)
        return homes.repeat(2, axis=0).repeat(2, axis=1)

    def check_thought(
        self,
        spec: Mapping[str, Any],
        canvas_HW: np.ndarray,
        words: Sequence[str],
        boxes: Sequence[Box],
        turn: int,
    ) -> Verdict:
        """``swap <tile> <tile>``: both are out of place, and at least one comes home."""
        if len(words) != 3 or words[0] != "swap" or any(word not in TILE_INDEX for word in words[1:]):
            return verdict("not of the form: swap tile tile", False, False, False)
        a, b = (TILE_INDEX[word] for word in words[1:])
        if a == b:
            return verdict(f"{words[1]} is named twice", False, False, False)
        if len(boxes) != 2:
            return verdict(f"a swap needs two boxes, not {len(boxes)}", False, False, False)
        homes = self._homes(spec, canvas_HW)
        useful = self._is_useful(homes, a, b)
        for place in (a, b):
            if homes[place] == place:
                return verdict(f"{TILES[place]} is already in place", True, False, useful)
        if set(boxes) != {TILE_BOXES[a], TILE_BOXES[b]}:
            return verdict("the boxes are not the two tiles", True, False, useful)
        for place in (a, b):
            if homes[place] is None:
                return verdict(f"{TILES[place]} shows no tile of the picture", True, True, False)
        if not useful:
            return verdict(f"neither {words[1]} nor {words[2]} gets its own tile", True, True, False)
        return verdict("true", True, True, True)

    def carry_out(
        self, spec: Mapping[str, Any], canvas_HW: np.ndarray, words: Sequence[str], turn: int
    ) -> np.ndarray | None:
        """The canvas with the contents of the two named tiles exchanged."""
        if len(words) != 3 or any(word not in TILE_INDEX for word in words[1:]):
            return None
        a, b = (TILE_INDEX[word] for word in words[1:])
        tiles = _tiles(canvas_HW).copy()
        tiles[[a, b]] = tiles[[b, a]]
        return _untile(tiles)

    def accepted_edits(
        self, spec: Mapping[str, Any], canvas_HW: np.ndarray, region_HW: np.ndarray, turn: int
    ) -> list[np.ndarray]:
        """The canvas after each useful swap of two tiles that lie inside the region."""
        homes = self._homes(spec, canvas_HW)
        inside = np.all(_tiles(region_HW), axis=1)
        places = [place for place in range(NUM_TILES) if inside[place] and homes[place] not in (None, place)]
        edits = []
        for i, a in enumerate(places):
            for b in places[i + 1 :]:
                if self._is_useful(homes, a, b):
                    tiles = _tiles(canvas_HW).copy()
                    tiles[[a, b]] = tiles[[b, a]]
                    edits.append(_untile(tiles))
        return edits

    def check_answer(self, spec: Mapping[str, Any], canvas_HW: np.ndarray, words: Sequence[str]) -> Verdict:
        """``<n> swaps``: the picture is whole, and restoring it took n swaps at least."""
        needed = self.turns_needed(spec)
        if len(words) != 2 or words[1] != "swaps" or words[0] not in NUMBERS:
            return verdict("not of the form: number swaps", False, False, False)
        true, useful = words[0] == str(needed), self.is_solved(spec, canvas_HW)
        reason = "true" if true else f"it takes {needed} swaps, not {words[0]}"
        return verdict(reason if useful else "the picture is not whole", True, true, useful)

    def is_solved(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> bool:
        """Is every cell of the picture in its place?"""
        return np.array_equal(canvas_HW, PICTURES[picture_index(spec["picture_seed"])])

    def _arranged(self, spec: Mapping[str, Any], homes: Sequence[int]) -> np.ndarray:
        return _untile(PICTURE_TILES[picture_index(spec["picture_seed"])][list(homes)])

    def _homes(self, spec: Mapping[str, Any], canvas_HW: np.ndarray) -> list[int | None]:
        """Home of the tile shown at each place; None where the four cells are no tile of this picture."""
        home_of = HOME_OF[picture_index(spec["picture_seed"])]
        return [home_of.get(tuple(four)) for four in _tiles(canvas_HW).tolist()]

    @staticmethod
    def _is_useful(homes: Sequence[int | None], a: int, b: int) -> bool:
        """Does the swap bring a tile home and take none away?  On a permutation it then also saves a swap."""
        if homes[a] is None or homes[b] is None or homes[a] == a or homes[b] == b:
            return False
        return homes[a] == b or homes[b] == a
