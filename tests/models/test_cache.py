"""What holds of the prefix cache: rows have no holes, and nothing that is cached ever changes.

Axes: B rows, A heads, M cached positions, D head width.
"""

from __future__ import annotations

import pytest
import torch

from mmreason.models.cache import GROWTH, PrefixCache

LAYERS, HEADS, WIDTH, ROWS = 2, 3, 4, 3


@pytest.fixture
def cache() -> PrefixCache:
    cache = PrefixCache(LAYERS, HEADS, WIDTH)
    cache.allocate(torch.zeros(1), ROWS)
    return cache


def a_block(first: float, rows: int, length: int) -> torch.Tensor:
    """(rows, A, length, D): position ``l`` of row ``b`` holds ``first + 10 b + l``."""
    number_BL = first + 10 * torch.arange(rows)[:, None] + torch.arange(length)
    return number_BL[:, None, :, None].expand(-1, HEADS, -1, WIDTH).float()


def append(cache: PrefixCache, first: float, keep: list[list[int]]) -> None:
    """Append what is kept of a block of keys; its values are minus these."""
    keep_BL = torch.tensor(keep, dtype=torch.bool)
    block = a_block(first, *keep_BL.shape)
    for layer in range(LAYERS):
        cache.write(layer, block + 1000 * layer, -block - 1000 * layer, keep_BL)
    cache.advance(keep_BL)


def numbers(cache: PrefixCache, layer: int = 0) -> list[list[float]]:
    """What each row holds, after checking that all heads and both tensors agree."""
    keys, values = (each[layer, :, :, : cache.num_columns] for each in (cache.keys_NBAMD, cache.values_NBAMD))
    assert torch.equal(keys, -values)
    assert torch.equal(keys, keys[:, :1, :, :1].expand_as(keys))
    filled = cache.filled(cache.num_columns)
    return [keys[b, 0, filled[b], 0].tolist() for b in range(len(filled))]


def test_kept_positions_are_appended_to_each_row_without_holes(cache):
    append(cache, 100, [[1, 0, 1], [0, 0, 0], [0, 1, 1]])
    append(cache, 200, [[0, 1], [1, 1], [0, 0]])
    assert numbers(cache) == [[100, 102, 201], [210, 211], [121, 122]]
    assert numbers(cache, layer=1) == [[1100, 1102, 1201], [1210, 1211], [1121, 1122]]
    assert cache.length_B.tolist() == [3, 2, 2]
    assert cache.num_columns == 3
    assert cache.filled(4).tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_reserving_room_keeps_what_is_there_and_never_shrinks(cache):
    append(cache, 100, [[1, 1], [1, 0], [0, 1]])
    before = numbers(cache)
    for columns in (GROWTH + 1, 5, 3 * GROWTH):
        cache.reserve(columns)
        assert cache.keys_NBAMD.shape[3] >= columns
        assert cache.values_NBAMD.shape == cache.keys_NBAMD.shape
        assert numbers(cache) == before
    assert cache.keys_NBAMD.shape[3] == 3 * GROWTH


def test_writing_beyond_the_first_room_works_once_it_is_reserved(cache):
    wide = [[1] * (GROWTH + 7)] * ROWS
    cache.reserve(GROWTH + 7)
    append(cache, 0, wide)
    assert cache.length_B.tolist() == [GROWTH + 7] * ROWS
    assert numbers(cache)[2][-1] == 20 + GROWTH + 6


def test_selected_rows_come_in_the_order_asked_for_and_may_repeat(cache):
    append(cache, 100, [[1, 0], [1, 1], [0, 1]])
    chosen = cache.select(torch.tensor([2, 0, 2, 1]))
    assert numbers(chosen) == [[121], [100], [121], [110, 111]]
    assert chosen.length_B.tolist() == [1, 1, 1, 2]


def test_a_selection_and_its_source_do_not_share_memory(cache):
    append(cache, 100, [[1], [1], [1]])
    chosen = cache.select(torch.tensor([0, 0, 1]))
    append(chosen, 500, [[1], [0], [1]])
    assert numbers(cache) == [[100], [110], [120]]
    assert numbers(chosen) == [[100, 500], [100], [110, 520]]


def test_what_is_written_to_some_rows_alone_is_written_to_the_cache(cache):
    append(cache, 100, [[1, 0], [1, 1], [0, 1]])
    some = cache.only(torch.tensor([2, 0]))
    assert (some.length_B.tolist(), some.num_columns) == ([1, 1], 1)
    append(some, 500, [[1, 1], [0, 1]])
    assert numbers(cache) == [[100, 511], [110, 111], [121, 500, 501]]
    assert numbers(cache, layer=1) == [[1100, 1511], [1110, 1111], [1121, 1500, 1501]]
    assert (some.length_B.tolist(), some.filled(3).tolist()) == ([3, 2], [[1, 1, 1], [1, 1, 0]])


@pytest.mark.parametrize("rows", [None, [2, 0]])
def test_a_block_is_read_behind_what_is_cached_and_leaves_no_trace(cache, rows):
    append(cache, 100, [[1, 0], [1, 1], [0, 1]])
    before = numbers(cache, layer=1)
    some = cache if rows is None else cache.only(torch.tensor(rows))
    chosen, columns = range(ROWS) if rows is None else rows, some.num_columns
    block = a_block(700, len(chosen), 2)
    keys, values = some.read_with(1, block, -block, columns)
    assert torch.equal(keys, -values) and torch.equal(keys[:, :, columns:], block)
    for b, row in enumerate(chosen):
        assert keys[b, 0, : len(before[row]), 0].tolist() == before[row]
    assert numbers(cache, layer=1) == before
    append(some, 500, [[1]] * len(chosen))  # stands where the block has stood
    after = numbers(cache, layer=1)
    assert [row[: len(was)] for row, was in zip(after, before, strict=True)] == before
    assert [len(row) for row in after] == [len(row) + (b in chosen) for b, row in enumerate(before)]


def test_an_empty_cache_has_no_columns(cache):
    assert cache.num_columns == 0
    assert PrefixCache(1, 1, 1).num_columns == 0
    assert cache.filled(0).shape == (ROWS, 0)


def test_rows_are_added_empty_and_what_grew_apart_is_taken_back(cache):
    append(cache, 100, [[1, 1], [1, 0], [0, 1]])
    cache.append_row()
    apart = cache.select(torch.tensor([3, 1]))
    append(apart, 300, [[1, 1], [0, 1]])
    cache.put(torch.tensor([3, 1]), apart)
    assert numbers(cache) == [[100, 101], [110, 311], [121], [300, 301]]
    assert numbers(cache, layer=1) == [[1100, 1101], [1110, 1311], [1121], [1300, 1301]]


def test_room_that_no_row_needs_is_given_back(cache):
    append(cache, 100, [[1, 1], [1, 0], [0, 1]])
    cache.reserve(3 * GROWTH)
    before = numbers(cache)
    cache.shrink()
    assert cache.keys_NBAMD.shape[3] == cache.values_NBAMD.shape[3] == GROWTH
    assert numbers(cache) == before


def test_under_autocast_the_cache_has_its_type():
    cache = PrefixCache(LAYERS, HEADS, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        cache.allocate(torch.zeros(1), 2)
    assert cache.keys_NBAMD.dtype == cache.values_NBAMD.dtype == torch.bfloat16
    cache.allocate(torch.zeros(1), 2)
    assert cache.keys_NBAMD.dtype == cache.values_NBAMD.dtype == torch.float32
