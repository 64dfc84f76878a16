"""The rows of a dataset folder, each checked before anybody learns from it.

A folder holds ``data.jsonl``, one JSON object a line, with pictures beside it, or parquet files, a Hub dataset's for
instance.  The fields of a row:

- ``image``: the path of a picture inside the folder; in parquet its bytes, too, as ``{"bytes": …}``
- ``prompt`` (or ``question``): what is asked, up to 512 words
- ``answer``: what is right, up to 128 words or a number; or a list of such, all of them right, the first demonstrated
- ``target``, optional: the picture as it should become, of any size
- ``region``, with a target: where it changes, boxes ``[left, top, right, bottom]`` in pixels of ``image``
- ``fit``, optional: how the picture becomes a square, ``stretch`` or ``pad`` (on white, with its proportions)
- ``reward``, optional: how answers are judged, ``exact``, ``number``, ``contains`` or ``choice``; with ``choices`` the
  answers to choose from, with ``tolerance`` how far a number may be off

A small policy is told 12 words and says 10, of at most 4096 different ones: ``too_long`` names the first row that has
more.  Nothing outside the folder is opened, no link is followed, nothing is fetched.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from PIL import Image

from mmreason.disk import one_line, quoted
from mmreason.errors import TaskError
from mmreason.handed import Folder, Handed
from mmreason.kept import Kept
from mmreason.limits import exactly
from mmreason.parquet import Limits, parquet_rows
from mmreason.records import CANVAS_PX, GRID, Box, region_mask
from mmreason.tasks.picture import unlike
from mmreason.viewer import as_shown
from mmreason.wording import counted

ROWS = "data.jsonl"
MAX_ROWS = 20_000
MAX_PICTURE_BYTES = 16 * 2**20
MAX_PICTURE_SIDE = 4096
MAX_PROMPT, MAX_ANSWER, MAX_BOXES, MAX_CHOICES, MAX_ANSWERS = 512, 128, 4, 64, 16
MAX_LETTERS = 8000  # of one text
MAX_WORDS = 100_000  # different ones in all
SHORT_PROMPT, SHORT_ANSWER, FEW_WORDS = 12, 10, 4096  # the same for a small policy
TOLERANCE = 24.0  # of 255: cells that differ by less on average count as alike
REWARDS = ("exact", "number", "contains", "choice")
FITS = ("stretch", "pad")
FIELDS = ("image", "prompt", "question", "answer", "target", "region", "fit", "reward", "choices", "tolerance")

DECODED_BYTES = 96 * 2**20  # of pictures that are kept decoded while a folder is read
_LIMITS = Limits(MAX_ROWS, row=4 * MAX_PICTURE_BYTES)
HANDED = Handed("dataset", 256 * 2**20, TaskError)
_ROW = Handed("row", 2**20, TaskError)
SIGNS = str.maketrans("<>", "‹›")  # words like ``<edit>`` are a policy's own
_EDGES = ".,;:!?\"'()[]{}"
_POINT = re.compile(r"\A[,;:!?\"'(\[{]*([+-]?)(\.\d+)[.,;:!?\"')\]}]*\Z", re.ASCII)  # a number without its 0
_IN_BRACKETS = re.compile(r"\A<([^<>]+)>\Z")
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,17})?\Z", re.ASCII)

Picture = str | bytes
Shares = tuple[float, float, float, float]  # left, top, right, bottom as shares of a square
WHOLE: Shares = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A picture that can be decoded."""

    picture: Picture
    size: tuple[int, int]  # width, height
    hash: hashlib.blake2b  # of its content


@dataclass(frozen=True, slots=True)
class Row:
    """One problem of a dataset; texts are in the words that a small policy reads and says."""

    place: str  # as errors call it
    key: str  # twelve hex digits of picture and prompt
    image: Picture
    question: str  # as it is written
    prompt: tuple[str, ...]
    answer: tuple[str, ...]
    also: tuple[tuple[str, ...], ...]  # other right answers
    target: Picture | None
    region: tuple[Shares, ...]
    frame: Shares  # where the picture is in its square
    reward: str
    choices: tuple[tuple[str, ...], ...]
    tolerance: float

    @property
    def boxes(self) -> list[Box]:
        """The region in whole cells."""
        return [
            Box(top, left, bottom, right)
            for left, right, top, bottom in ((*_cells(x, z), *_cells(y, w)) for x, y, z, w in self.region)
        ]


def _cells(low: float, high: float) -> tuple[int, int]:
    """First and last cell, from 1, that a span of shares touches; a touch of less than a tenth of a cell is none."""
    first, last = int(low * GRID + 0.1), int(np.ceil(high * GRID - 0.1))
    return min(first, GRID - 1) + 1, max(min(last, GRID), min(first, GRID - 1) + 1)


def words_of(text: str) -> tuple[str, ...]:
    """A text in words as a small policy has them: lower case, without marks at their edges.

    A pair of ``<`` and ``>`` around a word are marks; others are written ‹ and ›.  ``.5`` is 0.5.
    """
    shown = (_POINT.sub(r"\g<1>0\2", part).strip(_EDGES) for part in text.lower().split())
    parts = [_POINT.sub(r"\g<1>0\2", _IN_BRACKETS.sub(r"\1", part)).strip(_EDGES) for part in shown]
    return tuple(sys.intern(part.translate(SIGNS)) for part in parts if part)


def number_of(words: tuple[str, ...]) -> Fraction | None:
    """The number that one word writes, as it is written."""
    return Fraction(words[0]) if len(words) == 1 and _NUMBER.match(words[0]) else None


class Dataset:
    """The rows of ``folder``, by key in their order; raises TaskError that names file, line and field."""

    def __init__(
        self,
        folder: str | Path,
        max_pixels: float = math.inf,
        max_bytes: float = math.inf,
        max_letters: float = math.inf,
    ) -> None:
        """``max_pixels`` of all pictures, equal ones counted once; ``max_bytes`` of those in parquet, row by row.

        ``max_letters`` of all texts.
        """
        self.max_pixels, self.max_bytes, self.max_letters = max_pixels, max_bytes, max_letters
        self.too_long = ""  # why no small policy can be told of it: the first row that has too many words
        self._pixels = self._bytes_in_rows = self._letters = 0
        self._elsewhere: list[str] = []  # places of rows that change more outside their region than inside
        self._pictures: dict[Picture, _Checked] = {}
        self._decoded: Kept[Image.Image] = Kept(DECODED_BYTES, lambda found: 3 * found.width * found.height)
        self.path = Path(folder)
        if not self.path.is_dir():
            raise TaskError(f"data:{folder} must name a folder, which {quoted(str(folder))} is not")
        self._inside = Folder(self.path, "picture", MAX_PICTURE_BYTES, TaskError)
        self.rows: dict[str, Row] = {}
        words: dict[str, None] = {}
        for place, data in self._read():
            row = self._row(place, data)
            there = self.rows.setdefault(row.key, row)
            if there is not row:
                same = "with another answer" if (there.answer, there.also) != (row.answer, row.also) else "twice"
                raise TaskError(f"{place}: image and prompt are those of {there.place}, {same}")
            words |= dict.fromkeys((*row.prompt, *row.answer, *(word for each in row.choices for word in each)))
            if len(words) > MAX_WORDS:
                raise TaskError(f"{place}: a dataset may have at most {MAX_WORDS} different words")
            if len(words) > FEW_WORDS and not self.too_long:
                self.too_long = f"{place}: a dataset for a small policy may have at most {FEW_WORDS} different words"
            if len(self.rows) > MAX_ROWS:
                raise TaskError(f"{place}: a dataset may have at most {MAX_ROWS} rows")
        if not self.rows:
            raise TaskError(f"{self._called()} has no rows")
        self._decoded = Kept(0, lambda _: 1)  # what is asked for from now on is kept at its size by the task
        self.words = tuple(words)  # of prompts, answers and choices, each once

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits of all rows in their order, pictures included, wherever the folder is."""
        digest = hashlib.blake2b(digest_size=6)
        for row in self.rows.values():
            target = None if row.target is None else self._pictures[row.target].hash.hexdigest()
            judged = row.answer, target, row.region, row.reward, row.choices, row.tolerance
            later = () if row.frame == WHOLE else (row.frame,)  # not told of rows that older versions knew
            later += (row.also,) if row.also else ()
            digest.update(repr((row.key, row.question, *judged, *later)).encode())
        return digest.hexdigest()

    def pixels(self, picture: Picture, side: int, frame: Shares = WHOLE) -> np.ndarray:
        """(side, side, 3) uint8: a picture of the folder, stretched to ``frame`` of a white square.

        Above 128 pixels photographs are resampled smoothly; a drawing that is itself small stays sharp.
        """
        found = self._opened(picture, "").convert("RGB")
        smooth = side > CANVAS_PX and min(found.size) >= 2 * CANVAS_PX
        left, top, right, bottom = (round(share * side) for share in frame)
        size = max(right - left, 1), max(bottom - top, 1)
        square = Image.new("RGB", (side, side), "white")
        square.paste(found.resize(size, Image.Resampling.LANCZOS if smooth else Image.Resampling.BOX), (left, top))
        return np.asarray(square)

    def _called(self) -> str:
        return f"dataset {quoted(str(self.path))}"

    def _read(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        lines = self.path / ROWS
        if lines.is_file():
            with self._lines() as file:
                for number, line in HANDED.lines(file, ROWS):
                    place = f"{ROWS} line {number}"
                    try:
                        row = _ROW.parse(line)
                    except TaskError as error:
                        raise TaskError(f"{place}: {error}") from None
                    if not isinstance(row, dict):
                        raise TaskError(f"{place}: must be a JSON object, got {type(row).__name__}")
                    yield place, row
            return
        files = sorted(path.relative_to(self.path).as_posix() for path in self.path.rglob("*.parquet"))
        if not files:
            there = sorted(path.name for path in self.path.iterdir())
            held = f"; it holds {', '.join(map(quoted, there[:3]))}{' and others' * (len(there) > 3)}" if there else ""
            raise TaskError(f"{self._called()} must hold {ROWS} or parquet files, and holds neither{held}")
        for name in files:
            yield from self._parquet(name)

    def _lines(self):
        return Folder(self.path, "dataset", HANDED.max_bytes, TaskError).open(ROWS)

    def _parquet(self, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        with Folder(self.path, "dataset", HANDED.max_bytes, TaskError).open(name) as file:
            rows = parquet_rows(file, name, TaskError, _LIMITS, FIELDS)
            for number, row in enumerate(rows, 1):
                yield f"{name} row {number}", {k: v for k, v in row.items() if k in FIELDS}

    def _row(self, place: str, data: Mapping[str, Any]) -> Row:
        for key in data:
            if key not in FIELDS:
                raise TaskError(f"{place}: field {str(key)[:40]!r} is unknown; a row has {', '.join(FIELDS)}")
        data = {key: value for key, value in data.items() if value is not None}  # as if it were not there
        if "question" in data and "prompt" in data:
            raise TaskError(f"{place}: a row has a 'prompt' or a 'question', got both")
        asked = "question" if "question" in data else "prompt"
        question, answers = _text(place, data, asked, MAX_PROMPT), _answers(place, data)
        image = _picture(place, data.get("image"), "image")
        start, target = self._checked(image, f"{place}: field 'image': "), None
        if data.get("target") is not None:
            target = self._checked(_picture(place, data["target"], "target"), f"{place}: field 'target': ").picture
        frame = _frame(place, data, start.size)
        region = _region(place, data, start.size, frame)
        answer, *also = dict.fromkeys(map(words_of, answers))
        reward, choices, tolerance = _judging(place, data, (answer, *also))
        self._letters += sum(map(len, (question, *answers, *(word for each in choices for word in each))))
        if self._letters > self.max_letters:
            raise TaskError(f"{place}: the texts may have at most {self.max_letters / 1e6:g} million letters in all")
        self.too_long = self.too_long or _too_long(place, asked, words_of(question), (answer, *choices))
        content = start.hash.copy()
        content.update("\x1f".join(words_of(question)).encode())
        row = Row(
            place=place,
            key=content.hexdigest(),
            image=start.picture,
            question=" ".join(question.split()),
            prompt=words_of(question),
            answer=answer,
            also=tuple(also),
            target=target,
            region=region,
            frame=frame,
            reward=reward,
            choices=choices,
            tolerance=tolerance,
        )
        self._look_at_target(row)
        return row

    def _look_at_target(self, row: Row) -> None:
        """Refuse one that nobody could tell from its start, and count those of another region; raises TaskError."""
        if row.target is None:
            return
        start, target = (self.pixels(picture, CANVAS_PX, row.frame) for picture in (row.image, row.target))
        apart, inside = unlike(start, target), region_mask(row.boxes)
        most = float(apart[inside].max())
        if most <= TOLERANCE:
            raise TaskError(
                f"{row.place}: field 'target' must differ from 'image' by more than {TOLERANCE:g} of 255 on average "
                f"in one of the {GRID} × {GRID} cells, inside the region, got {most:.1f}"
            )
        if (apart > TOLERANCE)[~inside].sum() > (apart > TOLERANCE)[inside].sum():
            self._elsewhere.append(row.place)

    @property
    def notes(self) -> tuple[str, ...]:
        """What may not be meant, in sentences."""
        if not self._elsewhere:
            return ()
        many, first = counted(len(self._elsewhere), "row"), self._elsewhere[0]
        have = "has a target that differs" if len(self._elsewhere) == 1 else "have targets that differ"
        return (
            f"{many} {have} from the image in more cells outside the region than inside it ({first} for one): what "
            "lies outside is to stay as it is",
        )

    def _checked(self, picture: Picture, place: str) -> _Checked:
        """The first of equal pictures, which alone is decoded and kept; a TaskError begins with ``place``."""
        if isinstance(picture, bytes):
            self._bytes_in_rows += len(picture)
            if self._bytes_in_rows > self.max_bytes:
                raise TaskError(f"{place}the pictures may take at most {self.max_bytes / 2**20:.0f} MB in all")
        if picture not in self._pictures:
            width, height = self._opened(picture, place).size
            self._pixels += width * height
            if self._pixels > self.max_pixels:
                most = f"{self.max_pixels / 1e6:g} million"
                raise TaskError(f"{place}the pictures may have at most {most} pixels in all")
            content = hashlib.blake2b(self._bytes(picture), digest_size=6)
            self._pictures[picture] = _Checked(picture, (width, height), content)
        return self._pictures[picture]

    def _bytes(self, picture: Picture) -> bytes:
        return picture if isinstance(picture, bytes) else self._inside.read(picture)

    def _opened(self, picture: Picture, place: str) -> Image.Image:
        """A decoded picture, as a viewer shows it; raises TaskError that begins with ``place``."""
        return self._decoded.made(lambda: self._read_picture(picture, place), picture)

    def _read_picture(self, picture: Picture, place: str) -> Image.Image:
        try:
            content = self._bytes(picture)
        except TaskError as error:
            raise TaskError(f"{place}{error}") from None
        called = "the picture" if isinstance(picture, bytes) else quoted(picture)
        if len(content) > MAX_PICTURE_BYTES:
            raise TaskError(f"{place}{called} is larger than {MAX_PICTURE_BYTES // 2**20} MB")
        try:
            found = Image.open(io.BytesIO(content))
        except Exception:
            raise TaskError(f"{place}{called} is no picture that can be read (PNG, JPEG, WebP)") from None
        if found.format not in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
            raise TaskError(f"{place}{called} must be PNG, JPEG, WebP, GIF or BMP, got {found.format}")
        if not 8 <= min(found.size) <= max(found.size) <= MAX_PICTURE_SIDE:
            sides = " × ".join(map(str, found.size))
            raise TaskError(f"{place}{called} must be 8 to {MAX_PICTURE_SIDE} pixels a side, got {sides}")
        try:
            found.load()
            return as_shown(found)
        except Exception:
            raise TaskError(f"{place}{called} is damaged or cut off") from None


def _text(place: str, data: Mapping[str, Any], name: str, most: int) -> str:
    value = data.get(name)
    if type(value) is int:
        value = str(value)
    elif _is_number(value):
        value = exactly(value)
    if not isinstance(value, str):
        got = "nothing" if value is None else f"{type(value).__name__}"
        raise TaskError(f"{place}: field {name!r} must be text, got {got}")
    _check_text(f"{place}: field {name!r}", value, most)
    return value


def _answers(place: str, data: Mapping[str, Any]) -> list[str]:
    """The right answers, the one that is demonstrated first."""
    given = data.get("answer")
    if not isinstance(given, list):
        return [_text(place, data, "answer", MAX_ANSWER)]
    if not 1 <= len(given) <= MAX_ANSWERS:
        raise TaskError(f"{place}: field 'answer' must be a text or a list of 1 to {MAX_ANSWERS}, got {len(given)}")
    return [_text(place, {"answer": each}, "answer", MAX_ANSWER) for each in given]


def _check_text(called: str, text: str, most: int) -> None:
    if len(text) > MAX_LETTERS:
        raise TaskError(f"{called} must have at most {MAX_LETTERS} letters, got {len(text)}")
    if not "".join(text.split()).isprintable():
        raise TaskError(f"{called} must be text that can be printed, got {text[:40]!a}")
    words = words_of(text)
    if not 1 <= len(words) <= most:
        raise TaskError(f"{called} must have 1 to {most} words, got {len(words)}")
    if any(len(word) > 40 for word in words):
        raise TaskError(f"{called} must have words of at most 40 letters")


def _too_long(place: str, asked: str, prompt: tuple[str, ...], said: Sequence[tuple[str, ...]]) -> str:
    """Which text has too many words for a small policy; "" if none has.  ``said``: the answer, then the choices."""
    texts = [(asked, prompt, SHORT_PROMPT), ("answer", said[0], SHORT_ANSWER)]
    for name, words, most in (*texts, *(("choices", each, SHORT_ANSWER) for each in said[1:])):
        if len(words) > most:
            return f"{place}: field {name!r} must have 1 to {most} words for a small policy, got {len(words)}"
    return ""


def _picture(place: str, value: Any, name: str) -> Picture:
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, str | bytes) and value:
        return value
    got = "nothing" if value is None else type(value).__name__
    raise TaskError(f"{place}: field {name!r} must be the path of a picture in the folder, got {got}")


def _frame(place: str, data: Mapping[str, Any], size: tuple[int, int]) -> Shares:
    """Where the picture is in its square."""
    fit = data.get("fit", FITS[0])
    if fit not in FITS:
        raise TaskError(f"{place}: field 'fit' must be {' or '.join(FITS)}, got {str(fit)[:40]!r}")
    if fit == FITS[0]:
        return WHOLE
    across, down = ((1 - length / max(size)) / 2 for length in size)
    return across, down, 1 - across, 1 - down


def _region(place: str, data: Mapping[str, Any], size: tuple[int, int], frame: Shares) -> tuple[Shares, ...]:
    boxes = data.get("region")
    if boxes is None:
        if data.get("target") is not None:
            raise TaskError(f"{place}: field 'region' must say where 'target' differs, got nothing")
        return ()
    if data.get("target") is None:
        raise TaskError(f"{place}: field 'target' must be the picture that 'region' is to become, got nothing")
    if not isinstance(boxes, list) or not 1 <= len(boxes) <= MAX_BOXES:
        got = f"{len(boxes)}" if isinstance(boxes, list) else type(boxes).__name__
        raise TaskError(f"{place}: field 'region' must be a list of 1 to {MAX_BOXES} boxes, got {got}")
    found = []
    for number, box in enumerate(boxes, 1):
        called = f"{place}: field 'region', box {number}"
        if not isinstance(box, list) or len(box) != 4 or not all(_is_number(each) for each in box):
            raise TaskError(f"{called} must be [left, top, right, bottom] in pixels, got {one_line(str(box), 60)}")
        left, top, right, bottom = box
        width, height = size
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise TaskError(f"{called} must lie in the picture of {width} × {height} pixels, got {box}")
        begin, down, end, low = frame
        wide, high = (end - begin) / width, (low - down) / height
        found.append((begin + left * wide, down + top * high, begin + right * wide, down + bottom * high))
    return tuple(found)


def _is_number(value: Any) -> TypeGuard[int | float]:
    """One that a float holds; whole numbers of JSON may be longer."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _judging(
    place: str, data: Mapping[str, Any], answers: Sequence[tuple[str, ...]]
) -> tuple[str, tuple[tuple[str, ...], ...], float]:
    """How answers are judged: the reward's name, the choices, the tolerance."""
    given, numbers = data.get("choices"), all(number_of(answer) is not None for answer in answers)
    reward = data.get("reward", "choice" if given is not None else "number" if numbers else "exact")
    if reward not in REWARDS:
        raise TaskError(f"{place}: field 'reward' must be one of {', '.join(REWARDS)}, got {str(reward)[:40]!r}")
    choices: tuple[tuple[str, ...], ...] = ()
    if reward == "choice":
        if (
            not isinstance(given, list)
            or not 2 <= len(given) <= MAX_CHOICES
            or not all(isinstance(each, str) for each in given)
        ):
            got = one_line(str(given), 40)
            raise TaskError(f"{place}: field 'choices' must be a list of 2 to {MAX_CHOICES} texts, got {got}")
        for each in given:
            _check_text(f"{place}: field 'choices'", each, MAX_ANSWER)
        choices = tuple(words_of(each) for each in given)
        if len(set(choices)) < len(choices):
            raise TaskError(f"{place}: field 'choices' must be different texts")
        if missing := [answer for answer in answers if answer not in choices]:
            raise TaskError(f"{place}: field 'answer' must be one of the choices, got {' '.join(missing[0])!r}")
    if reward == "number" and not numbers:
        other = next(answer for answer in answers if number_of(answer) is None)
        raise TaskError(f"{place}: field 'answer' must be a number for the reward 'number', got {' '.join(other)!r}")
    tolerance = data.get("tolerance", 0.0)
    if not _is_number(tolerance) or tolerance < 0:
        raise TaskError(f"{place}: field 'tolerance' must be a number from 0, got {str(tolerance)[:40]!r}")
    if tolerance and reward != "number":
        raise TaskError(f"{place}: field 'tolerance' must be 0 or left out for the reward {reward!r}, got {tolerance}")
    return reward, choices, float(tolerance)
