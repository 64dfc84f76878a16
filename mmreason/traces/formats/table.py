"""The rows of a file: lines of JSON, one JSON document, or parquet; each is checked before anybody reads it.

A last line that has no end and whose JSON breaks off is one that is being written: it is left out, and noted.  NaN and
Infinity, which JSON has no word for and Python writes, are null, as they are in parquet.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from mmreason.disk import quoted
from mmreason.errors import TraceError
from mmreason.handed import MAX_DEPTH, Handed
from mmreason.parquet import MAGIC, Limits, parquet_rows
from mmreason.traces.picture import MAX_PICTURE_BYTES
from mmreason.traces.plain import MAX_VALUES, check_plain
from mmreason.traces.rollouts import MAX_ROLLOUTS

ROLLOUTS = Handed("file", 512 * 2**20, TraceError, "a file of JSON, JSON lines or parquet, or a zip of such")

_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_CUT = re.compile(r"(?:\.|[eE][+-]?|\\?u[0-9a-fA-F]{0,4})\Z")  # what is left over of half a number or letter

_LIMITS = Limits(MAX_ROLLOUTS, row=8 * MAX_PICTURE_BYTES)  # a rollout may hold many


def rows_of(file: BinaryIO, name: str, notes: list[str], before: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with how errors call it (empty if it is all there is), lines counted on from ``before``.

    Raises TraceError.
    """
    head = file.read(4)
    file.seek(0)
    yield from _parquet_rows(file, name) if head == MAGIC else _json_rows(file, name, notes, before)


def _json_rows(file: BinaryIO, name: str, notes: list[str], before: int) -> Iterator[tuple[str, dict[str, Any]]]:
    unheard = f"NaN or Infinity in {quoted(name)} is read as null"

    def null(_: str) -> None:
        if unheard not in notes:
            notes.append(unheard)

    lines = ((before + number, line) for number, line in ROLLOUTS.lines(file, name))
    number, first = next(lines, (before + 1, b""))
    try:
        value = _parsed(first, null, name)
    except TraceError:  # a document over several lines, or not JSON at all
        file.seek(0)
        value = _parsed(file.read(ROLLOUTS.max_bytes + 1), null, name)
        lines = iter(())
    if isinstance(value, list):
        for i, row in enumerate(value):
            yield f"entry {i + 1}", _checked(row, f"entry {i + 1}")
        return
    following = next(lines, None)
    called = "" if following is None and not before else f"line {number}"
    yield called, _checked(value, called)
    while following is not None:
        number, line = following
        try:
            value = _parsed(line, null)
        except TraceError as error:
            if not line.endswith(b"\n") and _breaks_off(line):
                notes.append(f"line {number} of {quoted(name)} is not finished and left out")
                return
            raise TraceError(f"line {number} of {quoted(name)}: {error}") from None
        yield f"line {number}", _checked(value, f"line {number}")
        following = next(lines, None)


def _parsed(content: bytes, constant: Callable[[str], Any], name: str | None = None) -> Any:
    """The JSON of ``content``; raises TraceError, of more than ``check_plain`` takes before it fills the memory."""
    if (count := _containers(content)) > MAX_VALUES:
        called = f"file {quoted(name)}" if name else "it"
        raise TraceError(f"{called} must hold at most {MAX_VALUES} lists and objects, holds about {count}")
    return ROLLOUTS.parse(content, name, constant)


def _containers(content: bytes) -> int:
    return content.count(b"[") + content.count(b"{")


def _breaks_off(line: bytes) -> bool:
    """Whether a line that cannot be read is the beginning of JSON, and not JSON with a fault in it."""
    if _containers(line) > MAX_VALUES:
        return False
    try:
        json.loads(line.decode("utf-8", "ignore"))  # it may end inside a letter
    except json.JSONDecodeError as error:
        rest = error.doc[error.pos :].strip()
        return "Unterminated" in error.msg or any(word.startswith(rest) for word in _WORDS) or bool(_CUT.match(rest))
    except (ValueError, RecursionError):
        pass
    return False


def _checked(row: Any, called: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        what = called or "a file of rollouts"
        raise TraceError(f"{what} must be a JSON object, got {type(row).__name__}")
    try:
        check_plain(row)
    except TraceError as error:
        raise TraceError(f"{called}: {error}" if called else str(error)) from None
    return row


def _parquet_rows(file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = parquet_rows(file, f"file {quoted(name)}", TraceError, _LIMITS)
    for number, row in enumerate(rows, 1):
        yield f"row {number}", {str(key): _cell(value, number, 1) for key, value in row.items()}


def _cell(value: Any, number: int, depth: int) -> Any:
    """A cell as plain JSON, but for bytes, which pictures are made of; what JSON has no word for becomes text."""
    if depth > MAX_DEPTH:
        raise TraceError(f"row {number} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {str(key): _cell(item, number, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cell(item, number, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bytes | None) else str(value)
