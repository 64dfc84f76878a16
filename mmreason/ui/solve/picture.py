"""What a visitor asks of a public checkpoint: a picture and an instruction of their own, or a built-in puzzle.

Axes: pictures are (height, width, 3) uint8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from mmreason import limits
from mmreason.backbones.family import LAYOUTS
from mmreason.errors import CheckpointError, ConfigError, MMReasonError
from mmreason.layouts.words import plain
from mmreason.records import GRID, Problem, Segment, region_mask
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.views.canvas import codes_under, fitted
from mmreason.sampling.views.config import ViewsConfig
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.sampling.views.region import boxes_of
from mmreason.settings import NumberSetting, settings_of
from mmreason.tasks import make_problem, task_named
from mmreason.traces.photo import read_picture
from mmreason.traces.versions.views import region_words
from mmreason.ui.host import public
from mmreason.ui.shell.words import sentence

OWN, PUZZLE = "A picture of your own", "A built-in puzzle"
KINDS = (OWN, PUZZLE)
FIELDS: tuple[str, ...] = ("picture", "instruction", "region", "puzzle", "settings")  # where something may be wrong
MAX_LETTERS = 2000  # of an instruction
SIZES = tuple(str(size) for size in (128, 256, 384, 512))  # pixels, as the page asks
WORDS = {  # of settings, as the page calls them
    "num_steps": "steps per segment",
    "text_length": "text length",
    "max_turns": "turns",
    "guidance": "guidance",
}
_PIXELS = re.compile(r"(\d{1,5}),(\d{1,5}):(\d{1,5}),(\d{1,5})", re.ASCII)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class PictureRequest:
    """One solve, exactly; ``picture`` is as large as the model will see it, None for a puzzle."""

    checkpoint: str
    picture: np.ndarray | None = None
    instruction: str = ""
    boxes: str | None = None  # of cells
    mask: np.ndarray | None = None  # (height, width) bool: the pixels to change, in place of boxes
    task: str = "maze"
    difficulty: str = "easy"
    seed: int = 7
    views: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sampling_seed: int = 0

    def pipeline(self) -> ViewsPipeline:
        """The checkpoint, seeing as asked for; raises CheckpointError, ConfigError."""
        return public.load(self.checkpoint, self.views)

    def problem(self, pipe: ViewsPipeline) -> Problem:
        """What is to be solved; raises ConfigError."""
        if self.picture is None:
            return make_problem(self.task, self.difficulty, self.seed)
        return pipe.own_problem(self.picture, self.instruction, self.boxes, self.mask)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What has been chosen so far, to be looked at: a picture, and the cells that are to change."""

    picture: np.ndarray
    grid: tuple[int, int]
    cells: tuple[int, ...] = ()
    question: str = ""


def read(values: Mapping[str, Any]) -> tuple[PictureRequest | None, dict[str, str]]:
    """Values of the controls as a request, or None; and what is wrong, a sentence a field."""
    says: dict[str, str] = {name: "" for name in FIELDS}
    checkpoint = str(values["checkpoint"])

    def tried(name: str, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except MMReasonError as error:
            says[name] = says[name] or sentence(error)
            return None

    views = tried("settings", lambda: _views(values))
    sampling = tried("settings", lambda: _sampling(values))
    seed = tried("settings", lambda: limits.SAMPLING_SEED.check(values["sampling_seed"], "sampling seed"))
    asked: dict[str, Any] = {}
    if values["kind"] == OWN:
        picture = tried("picture", lambda: _picture(values))
        asked |= {"picture": picture, "instruction": tried("instruction", lambda: _instruction(values))}
        if picture is not None:
            asked |= tried("region", lambda seen=picture: _region(values, seen)) or {}
    else:
        asked |= tried("puzzle", lambda: _puzzle(values)) or {}
    if any(says.values()):
        return None, says
    assert views is not None and sampling is not None and seed is not None
    return PictureRequest(checkpoint, **asked, views=views, sampling=sampling, sampling_seed=seed), says


def look(values: Mapping[str, Any]) -> tuple[Chosen | None, dict[str, str]]:
    """What has been chosen, if it can be shown, and what is wrong; nobody is told of words they have yet to write."""
    _, says = read(values)
    if not str(values["instruction"] or "").strip():
        says["instruction"] = ""
    try:
        if values["kind"] != OWN:
            problem = make_problem(**_puzzle(values))
            return Chosen(problem.image, (GRID, GRID), question=problem.question), says
        picture, step = _picture(values), _step(values)
    except MMReasonError:
        return None, says
    grid = (picture.shape[0] // step, picture.shape[1] // step)
    try:
        found = _region(values, picture)
    except MMReasonError:
        found = {}
    if found.get("mask") is not None:
        region = codes_under(found["mask"], step)
    else:
        region = region_mask(boxes_of(found["boxes"], grid) if found.get("boxes") else [], grid)
    return Chosen(picture, grid, tuple(np.flatnonzero(region).tolist())), says


def cells_words(cells: tuple[int, ...], grid: tuple[int, int]) -> str:
    """``r3c4 to r8c9``, or how many cells there are."""
    return named(region_words(Segment("edit", 1, (), (), cells=cells), grid))


def named(words: list[str]) -> str:
    """Boxes as the page says them."""
    return ", ".join(" to ".join(dict.fromkeys(each.split(" "))) if each[:1] == "r" else each for each in words)


def _views(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: _limit(name).check(values[name], WORDS[name]) for name in ("guidance", "text_length")
    }
    found |= {"attention": str(values["attention"]), "pixels": _pixels(values)}
    ViewsConfig(**found)
    return found


def _limit(name: str) -> limits.Number:
    setting = settings_of(ViewsConfig)[name]
    assert isinstance(setting, NumberSetting)
    return setting.limit


def _pixels(values: Mapping[str, Any]) -> int:
    if str(values["pixels"]) not in SIZES:
        raise ConfigError(f"size must be one of {', '.join(SIZES)} pixels, got {str(values['pixels'])[:20]!r}")
    return int(values["pixels"])


def _sampling(values: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "num_steps": limits.NUM_STEPS.check(values["num_steps"], WORDS["num_steps"]),
        "max_turns": limits.MAX_TURNS.check(values["max_turns"], WORDS["max_turns"]),
        "temperature": limits.TEMPERATURE.check(values["temperature"]),
        "order": str(values["order"]),
    }
    SamplingConfig(**found)
    return found


def _step(values: Mapping[str, Any]) -> int:
    return _found(values).pixels_per_code


def _found(values: Mapping[str, Any]) -> public.Public:
    found = public.usable(str(values["checkpoint"]))
    if found is None:
        raise CheckpointError(f"checkpoint {str(values['checkpoint'])[:60]!r} is not here any more")
    return found


def _picture(values: Mapping[str, Any]) -> np.ndarray:
    path = values["picture"]
    if not path:
        raise ConfigError("picture must be one of those here, or a PNG, JPEG or WebP file of yours; none is chosen")
    if not Path(path).is_file():  # uploads go after some hours
        raise ConfigError("picture is no longer on this server; choose it again")
    return _fitted(path, Path(path).stat().st_mtime_ns, _pixels(values), _found(values))


@lru_cache(maxsize=8)  # the fields are read anew at every change of one
def _fitted(path: str, _written: int, pixels: int, found: public.Public) -> np.ndarray:
    codec = cast(Any, found)  # what of its codec the size hangs on
    picture = fitted(read_picture(path, "this file"), pixels, codec)
    picture.flags.writeable = False
    return picture


def _instruction(values: Mapping[str, Any]) -> str:
    text = str(values["instruction"] or "").strip()
    if not text:
        raise ConfigError("instruction must say what to do with the picture, got nothing")
    if len(text) > MAX_LETTERS:
        raise ConfigError(f"instruction must have at most {MAX_LETTERS} letters, got {len(text)}")
    return plain(text, LAYOUTS[_found(values).family].prompt_marks)


def _region(values: Mapping[str, Any], picture: np.ndarray) -> dict[str, Any]:
    """Boxes of cells as they are typed, or a mask of pixels; nothing where the model is to choose."""
    text = str(values["region"] or "").strip().replace(" ", "")
    if not text:
        return {}
    height, width = picture.shape[:2]
    match = _PIXELS.fullmatch(text)
    if match is None:
        step = _step(values)
        if "," in text and "r" not in text:
            raise ConfigError(f"region in pixels must be like 16,32:128,96 (left,top:right,bottom), got {text[:40]!r}")
        boxes_of(text, (height // step, width // step))
        return {"boxes": text}
    left, top, right, bottom = (int(part) for part in match.groups())
    if not (left < right <= width and top < bottom <= height):
        raise ConfigError(f"region must lie inside the picture of {width} × {height} pixels, got {text}")
    mask = np.zeros((height, width), dtype=bool)
    mask[top:bottom, left:right] = True
    return {"mask": mask}


def _puzzle(values: Mapping[str, Any]) -> dict[str, Any]:
    task = task_named(str(values["task"])).name
    found = {"task": task, "difficulty": str(values["difficulty"]), "seed": limits.SEED.check(values["seed"])}
    make_problem(**found)
    return found
