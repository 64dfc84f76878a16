"""The FLOPs formula against torch's own counter, which sees the products of eager attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmreason.layouts.cells import Piece
from mmreason.layouts.packing import pack, pack_blocks
from mmreason.models.cache import PrefixCache
from mmreason.models.flops import forward_flops, packed_flops
from tests.helpers.policies import random_policy, vocabulary


def counted(rows: int, block: int, cached: int, scored: int, **sizes: int) -> tuple[float, float]:
    """FLOPs of one forward by formula and by torch's counter; ``scored`` positions a row get logits."""
    model = random_policy(**sizes).requires_grad_(False)
    model.set_attn_implementation("eager")
    config = model.config
    ids = torch.randint(vocabulary().size, (rows, block), generator=torch.Generator().manual_seed(0))
    positions = torch.zeros(rows, block, 5, dtype=torch.long)
    cache = None
    if cached:
        heads = config.num_attention_heads
        cache = PrefixCache(config.num_hidden_layers, heads, config.hidden_size // heads)
        cache.allocate(model.norm.weight, rows)
        cache.reserve(cached + block)
        cache.lengths += cached
    mask = torch.ones(rows, 1, block, cached + block, dtype=torch.bool)
    with FlopCounterMode(display=False) as counter:
        hidden = model(ids, positions, mask, cache=cache).hidden_BLD
        if scored:
            model.logits(hidden[:, :scored])
    return forward_flops(config, rows, block, cached, rows * scored), float(counter.get_total_flops())


@pytest.mark.parametrize(
    ("rows", "block", "cached", "scored"),
    [(1, 65, 0, 0), (3, 90, 0, 90), (1, 24, 65, 12), (4, 20, 130, 12)],
)
def test_the_formula_is_within_one_percent_of_torchs_counter(rows, block, cached, scored):
    formula, truth = counted(rows, block, cached, scored)
    assert formula == pytest.approx(truth, rel=0.01)


def test_the_formula_holds_for_other_depths_widths_and_heads():
    sizes = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 200}
    formula, truth = counted(2, 30, 50, 10, **sizes)
    assert formula == pytest.approx(truth, rel=0.01)


def test_a_longer_prefix_costs_attention_only():
    config = random_policy().config
    more = forward_flops(config, 1, 12, 200, 12) - forward_flops(config, 1, 12, 100, 12)
    assert more == config.num_hidden_layers * 4 * 12 * 100 * config.hidden_size


def a_piece(length: int, segment: int, copy: int = 0) -> Piece:
    return Piece(np.zeros(length, np.int64), np.zeros((length, 5), np.int64), segment, copy)


def test_attention_by_blocks_costs_what_its_formula_says_and_less_than_the_dense_mask():
    clean = [a_piece(65, 0), a_piece(8, 1), a_piece(6, 2)]
    noisy = [a_piece(12, 1, 1), a_piece(12, 1, 2), a_piece(6, 2, 1), a_piece(12, 3, 1)]
    packed, _ = pack_blocks([clean, clean[:2]], [noisy, noisy[:2]], vocabulary().pad)
    model = random_policy().requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        hidden = model(packed.ids_BL, packed.positions_BLP, packed.block_mask()).hidden_BLD
        model.logits(hidden[:, -12:])
    formula = packed_flops(model.config, 2, packed.clean_length, packed.runs, 24)
    assert formula == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert formula < forward_flops(model.config, 2, packed.ids_BL.shape[1], 0, 24)


@pytest.mark.parametrize("wanted", [0, 5])
def test_final_states_that_nobody_asks_for_cost_nothing_after_the_last_attention(wanted):
    model = random_policy().requires_grad_(False)
    model.set_attn_implementation("eager")
    ids, positions = torch.zeros(2, 40, dtype=torch.long), torch.zeros(2, 40, 5, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model(ids, positions, torch.ones(2, 1, 40, 40, dtype=torch.bool), wanted_N=torch.arange(wanted))
    formula = forward_flops(model.config, 2, 40, 0, 0, wanted=wanted)
    assert formula == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert formula < forward_flops(model.config, 2, 40, 0, 0)


@pytest.mark.parametrize("blocks", [False, True])
def test_padding_costs_attention_only(blocks):
    rows, pad = [[a_piece(65, 0), a_piece(12, 1, 1)], [a_piece(20, 0), a_piece(4, 1, 1)]], vocabulary().pad
    packed = pack_blocks([row[:1] for row in rows], [row[1:] for row in rows], pad)[0] if blocks else pack(rows, pad)
    model = random_policy().requires_grad_(False)
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model(packed.ids_BL, packed.positions_BLP, packed.mask_of("blocks"), tokens_T=packed.tokens_T)
    assert packed.num_tokens == 101
    if blocks:
        formula = packed_flops(model.config, 2, packed.clean_length, packed.runs, 0, packed.num_tokens)
    else:
        formula = forward_flops(model.config, 2, packed.ids_BL.shape[1], 0, 0, packed.num_tokens)
    assert formula == pytest.approx(counter.get_total_flops(), rel=0.01)
