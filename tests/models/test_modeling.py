"""What holds of the policy: cached equals packed, padded equals alone, saved equals loaded.

Axes: B rows, L sequence positions, D width, V vocabulary.
"""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModel

from mmreason.layouts.packing import PADDING, attention_rule, pack, pack_blocks
from mmreason.models.cache import PrefixCache
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.modeling import InterleavedDiffusionModel, axial_rotary, rotate
from mmreason.records import GRID
from mmreason.seeds import numpy_generator
from mmreason.tasks import make_problem, num_hints
from mmreason.training.supervised.corpus import Row, noisy_row
from tests.helpers.policies import clean_pieces, encoder, forward, layout, random_policy, vocabulary

CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def model() -> InterleavedDiffusionModel:
    return random_policy().requires_grad_(False)


@pytest.fixture(scope="module")
def rows():
    """Clean pieces of three problems of unlike length."""
    wanted = (("maze", "hard"), ("jigsaw", "easy"), ("transform", "medium"))
    return [clean_pieces(make_problem(task, difficulty, 5)) for task, difficulty in wanted]


def lengths(rows) -> list[int]:
    return [sum(len(piece.ids) for piece in row) for row in rows]


def empty_cache(model: InterleavedDiffusionModel, num_rows: int) -> PrefixCache:
    config = model.config
    heads = config.num_attention_heads
    cache = PrefixCache(config.num_hidden_layers, heads, config.hidden_size // heads)
    cache.allocate(model.norm.weight, num_rows)
    return cache


def cached_forward(model, cache, pieces) -> torch.Tensor:
    """Forward one piece a row (or none) on ``cache`` and keep it there."""
    packed = pack(pieces, vocabulary().pad)
    own = packed.segment_BL, packed.copy_BL
    inside, columns = attention_rule(*own, *own), cache.num_columns
    cache.reserve(columns + inside.shape[1])
    past = cache.filled(columns)[:, None].expand(-1, inside.shape[1], -1)
    mask = torch.cat((past, inside), dim=-1)[:, None]
    keep = packed.segment_BL != PADDING
    return model(packed.ids_BL, packed.positions_BLP, mask, cache=cache, keep_BL=keep).hidden_BLD


def test_segment_by_segment_through_the_cache_equals_one_packed_forward(model, rows):
    together = forward(model, pack(rows, vocabulary().pad))
    cache, done = empty_cache(model, len(rows)), [0] * len(rows)
    for k in range(max(map(len, rows))):
        block = [row[k : k + 1] for row in rows]
        hidden = cached_forward(model, cache, block)
        for b, length in enumerate(lengths(block)):
            expected = together[b, done[b] : done[b] + length]
            assert torch.allclose(hidden[b, :length], expected, **CLOSE), (b, k)
            done[b] += length
    assert cache.length_B.tolist() == done == lengths(rows)


def noisy_rows() -> list[Row]:
    """Demonstrations with two noisy copies of every segment, of unlike lengths."""
    wanted = (("sudoku", "easy"), ("jigsaw", "easy"), ("maze", "medium"))
    problems = [make_problem(task, difficulty, 2) for task, difficulty in wanted]
    rng = numpy_generator("noise")
    return [noisy_row(encoder().example(problem), 2, layout(), rng) for problem in problems]


def test_a_noisy_copy_in_a_packed_row_sees_what_it_sees_alone_on_the_finished_segments(model):
    row = noisy_rows()[0]
    together = forward(model, pack([[*row.clean, *row.noisy]], vocabulary().pad))[0]
    start = sum(len(piece.ids) for piece in row.clean)
    for piece in row.noisy:
        before = [clean for clean in row.clean if clean.segment < piece.segment]
        alone = forward(model, pack([[*before, piece]], vocabulary().pad))[0]
        stop = start + len(piece.ids)
        assert torch.allclose(together[start:stop], alone[-len(piece.ids) :], **CLOSE)
        start = stop


@pytest.mark.parametrize("multiples", [(1, 1), (32, 4)])
def test_attention_by_blocks_equals_attention_under_the_dense_mask(model, multiples):
    rows = noisy_rows()
    packed, _ = pack_blocks([r.clean for r in rows], [r.noisy for r in rows], vocabulary().pad, *multiples)
    real = packed.segment_BL != PADDING
    by_blocks = model(packed.ids_BL, packed.positions_BLP, packed.block_mask()).hidden_BLD
    assert by_blocks.isfinite().all()
    assert torch.allclose(by_blocks[real], forward(model, packed)[real], **CLOSE)


def test_a_padded_row_equals_that_row_alone(model, rows):
    padded = forward(model, pack(rows, vocabulary().pad, multiple_of=64))
    for b, row in enumerate(rows):
        alone = forward(model, pack([row], vocabulary().pad))[0]
        assert torch.allclose(padded[b, : len(alone)], alone, **CLOSE)


@pytest.mark.parametrize("blocks", [False, True])
def test_tokens_are_encoded_alike_whether_padding_passes_the_linear_maps_or_not(model, blocks):
    rows, pad = noisy_rows(), vocabulary().pad
    packed = pack([[*row.clean, *row.noisy] for row in rows], pad)
    if blocks:
        packed, _ = pack_blocks([row.clean for row in rows], [row.noisy for row in rows], pad, 32, 4)
    real = packed.segment_BL != PADDING
    assert packed.num_tokens == int(real.sum()) < real.numel()
    given = packed.ids_BL, packed.positions_BLP, packed.mask_of("blocks")
    everything, tokens = model(*given), model(*given, tokens_T=packed.tokens_T)
    for of_all, of_tokens in (
        (everything.hidden_BLD, tokens.hidden_BLD),
        (everything.hint_states_BLD, tokens.hint_states_BLD),
    ):
        assert torch.allclose(of_tokens[real], of_all[real], **CLOSE)
        assert not of_tokens[~real].any()


def test_gradients_are_the_same_without_the_padding(rows):
    packed = pack(rows, vocabulary().pad)
    real, found = packed.segment_BL != PADDING, []
    for tokens_T in (None, packed.tokens_T):
        model = random_policy()
        given = packed.ids_BL, packed.positions_BLP, packed.mask_of("blocks")
        model(*given, tokens_T=tokens_T).hidden_BLD[real].square().sum().backward()
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    assert len(found[0]) == len(found[1])
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("wanted", [[], [4, -1, 20]])
def test_final_states_asked_for_are_those_among_all_and_have_the_same_gradients(blocks, padding, wanted):
    rows, pad = noisy_rows(), vocabulary().pad
    packed = pack([[*row.clean, *row.noisy] for row in rows], pad)
    if blocks:
        packed, _ = pack_blocks([row.clean for row in rows], [row.noisy for row in rows], pad)
    tokens_T = None if padding else packed.tokens_T
    wanted_N = (packed.segment_BL != PADDING).flatten().nonzero()[wanted, 0]
    found = []
    for some in (None, wanted_N):
        model = random_policy()
        given = packed.ids_BL, packed.positions_BLP, packed.mask_of("blocks")
        hidden_BLD = model(*given, tokens_T=tokens_T, wanted_N=some).hidden_BLD
        hidden_BLD.flatten(0, 1)[wanted_N].square().sum().backward()
        found.append((hidden_BLD.flatten(0, 1), [p.grad for p in model.parameters() if p.grad is not None]))
    (all_TD, grads), (some_TD, same_grads) = found
    assert torch.allclose(some_TD[wanted_N], all_TD[wanted_N], **CLOSE)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(grads, same_grads, strict=True))
    some_TD = some_TD.detach().clone()
    some_TD[wanted_N] = 0
    assert not some_TD.any()


@pytest.mark.parametrize("wanted", [[], [30]])
def test_a_block_of_which_little_is_asked_for_is_cached_whole(model, wanted):
    packed = pack([noisy_rows()[0].clean], vocabulary().pad)
    length, kept = packed.ids_BL.shape[1], []
    for some in (None, torch.tensor(wanted, dtype=torch.long)):
        cache = empty_cache(model, 1)
        cache.reserve(length)
        keep_BL, given = torch.ones(1, length, dtype=torch.bool), (packed.ids_BL, packed.positions_BLP)
        model(*given, packed.attention_mask(), cache=cache, keep_BL=keep_BL, wanted_N=some)
        kept.append((cache.keys_NBAMD, cache.values_NBAMD))
    assert all(torch.equal(a, b) for a, b in zip(*kept, strict=True))


def test_a_later_segment_changes_nothing_before_it(model, rows):
    packed = pack(rows[:1], vocabulary().pad)
    before = forward(model, packed)
    last = packed.segment_BL[0] == packed.segment_BL.max()
    packed.ids_BL[0, last] = vocabulary().mask
    after = forward(model, packed)
    assert torch.allclose(after[0, ~last], before[0, ~last], **CLOSE)
    assert not torch.allclose(after[0, last], before[0, last], atol=1e-2)


def test_every_token_of_a_segment_and_before_it_counts(model, rows):
    packed = pack(rows[:1], vocabulary().pad)
    before = forward(model, packed)
    thought = (packed.segment_BL[0] == 1).nonzero().flatten()
    for changed in (3, int(thought[-1])):  # a cell of the start canvas; the end of the thought itself
        ids = packed.ids_BL.clone()
        ids[0, changed] = vocabulary().mask
        after = model(ids, packed.positions_BLP, packed.attention_mask()).hidden_BLD
        assert ((after - before)[0, thought].abs().amax(-1) > 1e-4).all()


def test_sdpa_equals_eager_attention(model, rows):
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    assert model.config._attn_implementation == "sdpa"
    packed = pack(rows, vocabulary().pad)
    real = packed.segment_BL != PADDING
    assert torch.allclose(forward(model, packed)[real], forward(eager, packed)[real], **CLOSE)


def test_saved_and_loaded_through_the_auto_classes_nothing_changes(model, rows, tmp_path):
    model.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), InterleavedDiffusionConfig)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert isinstance(loaded, InterleavedDiffusionModel)
    assert loaded.config.to_diff_dict() == model.config.to_diff_dict()
    saved = model.state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in loaded.state_dict().items())
    packed = pack(rows, vocabulary().pad)
    assert torch.equal(forward(loaded.eval(), packed), forward(model, packed))


def test_gradient_checkpointing_gives_the_same_gradients(rows):
    packed = pack(rows[1:2], vocabulary().pad)
    gradients = []
    for checkpointing in (False, True):
        policy = random_policy().train()
        if checkpointing:
            policy.activation_checkpointing_enable()
        hidden = forward(policy, packed)
        policy.logits(hidden).float().logsumexp(-1).sum().backward()
        gradients.append({name: p.grad for name, p in policy.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert len(gradients[0]) > 20
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-5, atol=1e-6), name


def test_gradient_checkpointing_runs_each_block_a_second_time(rows):
    policy = random_policy().train()
    policy.activation_checkpointing_enable()
    calls = []
    policy.blocks[0].up.register_forward_hook(lambda *_: calls.append(1))
    forward(policy, pack(rows[1:2], vocabulary().pad)).sum().backward()
    assert len(calls) == 2


def test_a_new_policys_blocks_do_nothing_yet():
    config = InterleavedDiffusionConfig(hidden_size=48, num_hidden_layers=2, num_attention_heads=2)
    model = InterleavedDiffusionModel(config).requires_grad_(False)
    x = torch.randn(1, 5, 48, generator=torch.Generator().manual_seed(0))
    rotary = axial_rotary(torch.zeros(1, 5, 5), config)
    for block in model.blocks:
        assert torch.equal(block(x, rotary, torch.ones(1, 1, 5, 5, dtype=torch.bool)), x)
        assert block.up.weight.std() > 0.01
    assert abs(model.tokens.weight.std() - config.initializer_range) < 1e-3
    assert (model.norm.weight == 1).all()


def test_rotated_products_depend_on_differences_of_index_row_and_column_only():
    config = InterleavedDiffusionConfig(hidden_size=48, num_attention_heads=2)
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 1, 1, 1, 24, generator=generator).unbind(0)

    def product(at_q: list[int], at_k: list[int]) -> float:
        cos_q, sin_q = axial_rotary(torch.tensor([[at_q]]), config)
        cos_k, sin_k = axial_rotary(torch.tensor([[at_k]]), config)
        return float((rotate(q, cos_q, sin_q) * rotate(k, cos_k, sin_k)).sum())

    base = product([7, 3, 2, 0, 0], [2, 1, 5, 0, 0])
    assert product([107, 6, 4, 9, 0], [102, 4, 7, 1, 3]) == pytest.approx(base, abs=1e-3)
    for moved in ([8, 3, 2, 0, 0], [7, 4, 2, 0, 0], [7, 3, 3, 0, 0]):
        assert abs(product(moved, [2, 1, 5, 0, 0]) - base) > 1e-2


def test_a_shift_of_every_running_index_changes_nothing_and_one_within_the_row_does(model, rows):
    packed = pack(rows[:1], vocabulary().pad)
    before = forward(model, packed)
    packed.positions_BLP[..., 0] += 7
    assert torch.allclose(forward(model, packed), before, atol=1e-4)
    packed.positions_BLP[packed.segment_BL > 0, 0] += 7
    assert not torch.allclose(forward(model, packed), before, atol=1e-2)


def test_cell_words_carry_the_embeddings_of_the_row_and_column_that_they_name():
    policy = random_policy().requires_grad_(False)
    hidden = torch.randn(3, 48, generator=torch.Generator().manual_seed(2))
    before = policy.logits(hidden)
    policy.rows.weight[3] += 1
    changed = ((policy.logits(hidden) - before).abs() > 1e-4).any(0).nonzero().flatten()
    first = vocabulary().first_cell
    assert changed.tolist() == [first + GRID * 2 + column for column in range(GRID)]
    before = policy.logits(hidden)
    policy.columns.weight[5] += 1
    changed = ((policy.logits(hidden) - before).abs() > 1e-4).any(0).nonzero().flatten()
    assert changed.tolist() == [first + GRID * row + 4 for row in range(GRID)]


def test_the_hint_head_reads_the_states_after_its_layer(rows):
    policy = random_policy(num_hidden_layers=3, hint_layer=2).requires_grad_(False)
    packed = pack(rows[:1], vocabulary().pad)
    inputs = packed.ids_BL, packed.positions_BLP, packed.attention_mask()
    states = policy(*inputs).hint_states_BLD
    assert policy.hint_logits(states).shape == (*packed.ids_BL.shape, num_hints())
    policy.blocks[2].down.weight.zero_()
    assert torch.equal(policy(*inputs).hint_states_BLD, states)
    policy.blocks[1].down.weight.zero_()
    assert not torch.allclose(policy(*inputs).hint_states_BLD, states)
