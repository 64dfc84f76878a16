"""A parquet file that was handed over: what comes out is what was written, and few bytes never become many."""

from __future__ import annotations

import io
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from mmreason.errors import TraceError
from mmreason.parquet import Limits, parquet_rows

LIMITS = Limits(rows=100, row=2**20)


def written(table: pyarrow.Table) -> io.BytesIO:
    data = io.BytesIO()
    pyarrow.parquet.write_table(table, data, compression="zstd")
    data.seek(0)
    return data


def read(table: pyarrow.Table, columns: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    return list(parquet_rows(written(table), "a.parquet", TraceError, LIMITS, columns))


def equal(text: str, count: int) -> pyarrow.Array:
    """``count`` times the same text, which stands there once."""
    return pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * count), pyarrow.array([text]))


ROWS = [{"a": "x" * i, "b": {"bytes": bytes([i])}, "c": [[i, 0.5]] * (i % 5), "d": None} for i in range(99)]


def test_rows_come_back_as_they_were_written_all_columns_or_some():
    table = pyarrow.Table.from_pylist(ROWS)
    assert read(table) == ROWS
    assert read(table, ("c", "a", "e")) == [{"a": row["a"], "c": row["c"]} for row in ROWS]
    assert read(table.slice(0, 0)) == [] and read(table, ()) == [{}] * len(ROWS)


def test_a_column_that_nearly_has_the_name_of_one_that_is_not_there_is_refused():
    table = pyarrow.table({"image": ["1.png"], "tolerence": [2.0]})
    with pytest.raises(TraceError, match="column 'tolerence' is unknown; call it 'tolerance' if it is that"):
        read(table, ("image", "tolerance"))
    assert read(table.append_column("tolerance", [[1.0]]), ("image", "tolerance")) == [
        {"image": "1.png", "tolerance": 1}
    ]
    assert read(table, ("image", "answer")) == [{"image": "1.png"}]


def test_a_number_of_32_bits_is_the_one_that_was_written():
    numbers = [0.1, 1234567.0, 3.14, 1e-7, 0.0, None]
    assert [row["a"] for row in read(pyarrow.table({"a": pyarrow.array(numbers, pyarrow.float32())}))] == numbers


def test_a_large_cell_is_refused_by_its_row_and_equal_ones_are_not_all_unpacked():
    small = equal("x" * 2**18, 100)
    assert [len(row["a"]) for row in read(pyarrow.table({"a": small, "b": small.cast(pyarrow.string())}))] == [
        2**18
    ] * 100
    before, pool = pyarrow.default_memory_pool(), pyarrow.proxy_memory_pool(pyarrow.system_memory_pool())
    for large in (equal("x" * 2**24, 100), equal("x" * 2**24, 4).cast(pyarrow.string())):
        file = written(pyarrow.table({"a": large}))
        assert len(file.getvalue()) < 10_000
        pyarrow.set_memory_pool(pool)
        try:
            said = r"^a\.parquet row 1 must take at most 1 MB in memory, field 'a' takes more$"
            with pytest.raises(TraceError, match=said):
                list(parquet_rows(file, "a.parquet", TraceError, LIMITS))
        finally:
            pyarrow.set_memory_pool(before)
    assert pool.max_memory() < 20 * 2**24, "and not a hundred"


def test_many_values_in_few_bytes_are_refused_in_the_columns_that_are_read():
    many = pyarrow.ListArray.from_arrays(pyarrow.array([0, 100_000], pyarrow.int32()), pyarrow.nulls(100_000))
    table = pyarrow.table({"a": many, "b": ["x"]})
    with pytest.raises(TraceError, match=r"^a\.parquet row 1 must take at most 1 MB in memory, field 'a' takes"):
        read(table)
    assert read(table, ("b",)) == [{"b": "x"}]


def test_too_many_rows_or_columns_and_what_is_no_parquet_are_refused():
    for table in (pyarrow.table({"a": range(101)}), pyarrow.table({f"a{i}": [i] for i in range(1001)})):
        with pytest.raises(TraceError, match=r"^a\.parquet must hold at most 100 rows, 1000 columns and 2 GB a row"):
            read(table)
    content = written(pyarrow.table({"a": ["x"]})).getvalue()
    for forged in (b"", b"PAR1", content[:-1], b"PAR1" + content[-12:], content[:20] + b"\xff" * 9 + content[29:]):
        with pytest.raises(TraceError, match=r"^a\.parquet is not a parquet file that can be read, after row 0$"):
            list(parquet_rows(io.BytesIO(forged), "a.parquet", TraceError, LIMITS))
