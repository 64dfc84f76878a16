"""A parquet file that was handed over: its rows one by one, none larger than is said; in one way for all doors.

Equal cells stand in the file once and packed, so a few bytes may stand for many large rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, BinaryIO

import numpy as np

from mmreason.disk import quoted
from mmreason.errors import MMReasonError

MAGIC = b"PAR1"  # how the file begins

_MAX_COLUMNS = 1000
_MAX_GROUP = 2 * 2**30  # bytes of a row group, unpacked
_VALUE = 64  # bytes of a value in memory, beside what it holds
_BATCH, _BATCH_BYTES = 8, 2**26  # rows at once, if they cannot take more than this however often a cell is repeated


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may hold at most."""

    rows: int
    row: int  # bytes in memory, as Python has it


def parquet_rows(
    file: BinaryIO, called: str, error: type[MMReasonError], limits: Limits, columns: Collection[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Each row as Python has it, of all columns or those named; others are passed over.

    A column whose name is nearly that of one which is not there is refused, since it may be meant.
    Raises ``error``, which names ``called``, also where pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise error(f"{called} is parquet, which needs pyarrow: pip install pyarrow") from None
    number = 0
    try:
        table = pyarrow.parquet.ParquetFile(
            file, thrift_string_size_limit=2**24, thrift_container_size_limit=2**20, pre_buffer=False
        )
        count, width = table.metadata.num_rows, table.metadata.num_columns
        sizes = [table.metadata.row_group(i).total_byte_size for i in range(table.metadata.num_row_groups)]
        if count > limits.rows or width > _MAX_COLUMNS or any(not 0 <= size <= _MAX_GROUP for size in sizes):
            raise error(
                f"{called} must hold at most {limits.rows} rows, {_MAX_COLUMNS} columns and "
                f"{_MAX_GROUP // 2**30} GB a row group, holds {count} rows and {width} columns"
            )
        size = max(1, min(_BATCH, _BATCH_BYTES // max([1, *sizes])))
        there = table.schema_arrow.names
        wanted = there if columns is None else columns
        for name in set(there).difference(wanted):
            if meant := get_close_matches(name, set(wanted).difference(there), 1, 0.8):
                called_so = f"column {quoted(name)} is unknown; call it {meant[0]!r} if it is that, else drop it"
                raise error(f"{called}: {called_so}")
        names = [name for name in there if name in wanted]
        for batch in table.iter_batches(batch_size=size, columns=names, use_threads=False):
            for i in range(batch.num_rows):
                number += 1
                row, left = {}, limits.row
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    cell = _plain(column.slice(i, 1))
                    left -= _unpacked(cell)
                    if left < 0:
                        most = f"{limits.row // 2**20} MB in memory"
                        raise error(f"{called} row {number} must take at most {most}, field {quoted(name)} takes more")
                    row[name] = _value(cell)
                yield row
    except error:
        raise
    except Exception:  # pyarrow raises many kinds on forged files
        raise error(f"{called} is not a parquet file that can be read, after row {number}") from None


def _plain(cell: Any) -> Any:
    """An array of one value, without the others of its dictionary."""
    return cell.dictionary_decode() if hasattr(cell, "dictionary_decode") else cell


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


def _value(cell: Any) -> Any:
    """The value of an array of one; of 32 bits it is the number that was written, 0.1, not 0.10000000149011612."""
    value = cell[0].as_py()
    return float(str(np.float32(value))) if str(cell.type) == "float" and value is not None else value
