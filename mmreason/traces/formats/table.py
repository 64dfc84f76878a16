"""The rows of a file: lines of JSON, one JSON document, or parquet; each is checked before anybody reads it.

A last line that has no end and is no JSON is one that is being written: it is left out, and noted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, BinaryIO

from mmreason.disk import quoted
from mmreason.errors import TraceError
from mmreason.handed import MAX_DEPTH, Handed
from mmreason.traces.plain import MAX_VALUES, check_plain
from mmreason.traces.rollouts import MAX_ROLLOUTS

ROLLOUTS = Handed("file", 512 * 2**20, TraceError)

_MAX_COLUMNS = 1000
_MAX_GROUP = 2 * 2**30  # bytes of a row group, unpacked
_MAX_ROW = 256 * 2**20  # bytes of a row in memory: what is equal may stand in the file once
_VALUE = 64  # bytes of a value in memory, beside what it holds

PARQUET = b"PAR1"


def rows_of(file: BinaryIO, name: str, notes: list[str], before: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with how errors call it (empty if it is all there is), lines counted on from ``before``.

    Raises TraceError.
    """
    head = file.read(4)
    file.seek(0)
    yield from _parquet_rows(file, name) if head == PARQUET else _json_rows(file, name, notes, before)


def _json_rows(file: BinaryIO, name: str, notes: list[str], before: int) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = ((before + number, line) for number, line in ROLLOUTS.lines(file, name))
    number, first = next(lines, (before + 1, b""))
    try:
        value = _parsed(first, name)
    except TraceError:  # a document over several lines, or not JSON at all
        file.seek(0)
        value = _parsed(file.read(ROLLOUTS.max_bytes + 1), name)
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
            value = _parsed(line)
        except TraceError as error:
            if not line.endswith(b"\n"):
                notes.append(f"line {number} of {quoted(name)} is not finished and left out")
                return
            raise TraceError(f"line {number} of {quoted(name)}: {error}") from None
        yield f"line {number}", _checked(value, f"line {number}")
        following = next(lines, None)


def _parsed(content: bytes, name: str | None = None) -> Any:
    """The JSON of ``content``; raises TraceError, of more than ``check_plain`` takes before it fills the memory."""
    if (count := content.count(b"[") + content.count(b"{")) > MAX_VALUES:
        called = f"file {quoted(name)}" if name else "it"
        raise TraceError(f"{called} must hold at most {MAX_VALUES} lists and objects, holds about {count}")
    return ROLLOUTS.parse(content, name)


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
    try:
        import pyarrow.parquet
    except ImportError:
        raise TraceError(f"file {quoted(name)} is parquet, which needs pyarrow: pip install pyarrow") from None
    number = 0
    try:
        table = pyarrow.parquet.ParquetFile(
            file, thrift_string_size_limit=2**24, thrift_container_size_limit=2**20, pre_buffer=False
        )
        groups = [table.metadata.row_group(i).total_byte_size for i in range(table.metadata.num_row_groups)]
        count, columns = table.metadata.num_rows, table.metadata.num_columns
        if count > MAX_ROLLOUTS or columns > _MAX_COLUMNS or any(not 0 <= size <= _MAX_GROUP for size in groups):
            raise TraceError(
                f"file {quoted(name)} must hold at most {MAX_ROLLOUTS} rows, {_MAX_COLUMNS} columns and "
                f"{_MAX_GROUP // 2**30} GB a row group, holds {count} rows and {columns} columns"
            )
        for batch in table.iter_batches(batch_size=1, use_threads=False):
            number += 1
            if (size := sum(map(_unpacked, batch.columns))) > _MAX_ROW:
                raise TraceError(
                    f"row {number} must take at most {_MAX_ROW // 2**20} MB in memory, takes {size // 2**20} MB"
                )
            row = batch.to_pylist()[0]
            yield f"row {number}", {str(key): _cell(value, number, 1) for key, value in row.items()}
    except TraceError:
        raise
    except Exception:  # pyarrow raises many kinds on forged files
        raise TraceError(f"file {quoted(name)} is not a parquet file that can be read") from None


def _unpacked(column: Any) -> int:
    """About how many bytes the values of an arrow array take as objects of Python, at all its levels."""
    size = _VALUE * len(column)
    if hasattr(column, "dictionary"):
        return size + column.dictionary.nbytes * len(column)
    if hasattr(column, "keys"):  # a map
        return size + _unpacked(column.keys) + _unpacked(column.items)
    if not hasattr(column, "flatten"):
        return size + column.nbytes
    inner = column.flatten()
    return size + sum(map(_unpacked, inner if isinstance(inner, list) else [inner]))


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
