"""What holds of the layout: where ids and positions lie, and who may see whom.  Axes: L positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts.cells import Piece, clean_length
from mmreason.layouts.packing import PADDING, attention_rule, pack, pack_blocks
from mmreason.layouts.vocabulary import Vocabulary, is_generated
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.records import ANSWER, EDIT, END, GRID, MAX_TEXT_TOKENS, NUM_CELLS, cell_word, parse_cell
from mmreason.sampling.config import SamplingConfig
from tests.helpers.policies import NUM_CODES, layout, text_tokenizer, vocabulary, words

INDEX, ROW, COLUMN, TURN, SLOT = range(5)


# Ids


def test_text_ids_and_image_codes_are_disjoint_and_fill_the_joint_space():
    text, image = vocabulary().allowed("text"), vocabulary().allowed("image")
    assert not (text & image).any()
    assert image.nonzero().flatten().tolist() == list(range(len(words()), len(words()) + NUM_CODES))
    assert text.nonzero().max() < len(words())
    assert len(text) == len(image) == vocabulary().size == len(words()) + NUM_CODES


def test_text_may_hold_every_word_but_the_silent_ones():
    allowed = {words()[i] for i in vocabulary().allowed("text").nonzero().flatten().tolist()}
    assert allowed == set(filter(is_generated, words()))
    assert {END, EDIT, ANSWER} < allowed


def test_cell_words_are_consecutive_in_reading_order():
    first = vocabulary().first_cell
    for cell in range(NUM_CELLS):
        assert parse_cell(words()[first + cell]) == (cell // GRID + 1, cell % GRID + 1)


def test_a_tokenizer_without_consecutive_cell_words_is_refused():
    vocab = text_tokenizer().get_vocab()
    a, b = cell_word(2, 2), cell_word(5, 5)
    vocab[a], vocab[b] = vocab[b], vocab[a]
    swapped = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocab, unk_token="<unk>")))
    with pytest.raises(CheckpointError, match="r1c1 to r8c8"):
        Vocabulary.of(swapped, NUM_CODES)


# Positions


def test_the_running_index_grows_from_segment_to_segment_and_along_a_text():
    last = 0
    for turn in range(1, 18):
        text, image = layout().text_positions(turn)[:, INDEX], layout().image_positions(turn)[:, INDEX]
        assert text.tolist() == list(range(last + 1, last + 1 + MAX_TEXT_TOKENS))
        assert len(set(image)) == 1
        assert image[0] > text[-1]
        last = image[0]


def test_a_prompt_of_more_words_than_a_text_has_slots_is_refused():
    assert len(layout().problem_piece([9, *[20] * MAX_TEXT_TOKENS], np.arange(NUM_CELLS)).ids) == 77
    with pytest.raises(ConfigError, match="the prompt of a problem must have at most 12 words, got 13"):
        layout().problem_piece([9, *[20] * 13], np.arange(NUM_CELLS))


def test_an_edited_cell_has_the_row_and_column_of_the_start_cell_that_it_replaces():
    problem = layout().problem_piece(0, np.arange(NUM_CELLS))
    cells = [3, 17, 40, 63]
    edit = layout().edit_piece([7, 8, 9, 10], cells, turn=5)
    start = problem.positions[1:][cells]
    assert edit.positions[:, [ROW, COLUMN]].tolist() == start[:, [ROW, COLUMN]].tolist()
    assert edit.positions[:, ROW].tolist() == [1, 3, 6, 8]
    assert edit.positions[:, COLUMN].tolist() == [4, 2, 1, 8]
    assert set(edit.positions[:, TURN]) == {5}
    assert set(start[:, TURN]) == {0}


def test_text_has_slots_and_no_place_and_the_task_token_has_nothing():
    text = layout().text_piece(range(MAX_TEXT_TOKENS), turn=3).positions
    assert text[:, SLOT].tolist() == list(range(1, MAX_TEXT_TOKENS + 1))
    assert not text[:, [ROW, COLUMN]].any()
    assert not layout().image_positions(3)[:, SLOT].any()
    assert not layout().problem_piece(0, np.arange(NUM_CELLS)).positions[0].any()


def test_every_position_of_the_longest_rollout_has_an_embedding():
    config, turns = InterleavedDiffusionConfig(), SamplingConfig(max_turns=16).max_turns + 1
    both = np.concatenate([layout().text_positions(turns), layout().image_positions(turns)])
    assert both[:, [ROW, COLUMN]].max() <= config.grid_size
    assert both[:, TURN].max() <= config.max_turns + 1
    assert both[:, SLOT].max() <= config.max_text_tokens


def test_segments_are_numbered_problem_thought_edit_thought_edit():
    numbers = [layout().problem_piece(0, np.arange(NUM_CELLS)).segment]
    for turn in (1, 2, 3):
        numbers += [layout().text_piece([1], turn).segment, layout().edit_piece([1], [0], turn).segment]
    assert numbers == list(range(7))


def test_the_clean_copy_of_a_text_ends_with_its_first_end():
    assert clean_length([5, 6, 9, 7, 9], end=9) == 3
    assert clean_length([9, 9], end=9) == 1
    assert clean_length([5, 6, 7], end=9) == 3


# Who sees whom


def sees(segments: list[int], copies: list[int]) -> np.ndarray:
    row = torch.tensor([segments]), torch.tensor([copies])
    return attention_rule(*row, *row)[0].numpy()


@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 3)), min_size=1, max_size=20))
@settings(deadline=None)
def test_the_attention_rule_is_block_causal_and_keeps_noisy_copies_apart(tokens):
    tokens = [(segment, 0 if segment == PADDING else copy) for segment, copy in tokens]
    seen = sees([t[0] for t in tokens], [t[1] for t in tokens])
    for q, (query, query_copy) in enumerate(tokens):
        for k, (key, key_copy) in enumerate(tokens):
            if PADDING in (query, key):  # padding is seen by padding only, and sees nothing else
                assert seen[q, k] == (query == key)
            elif key > query:  # nobody sees a later segment
                assert not seen[q, k]
            elif key < query:  # of earlier ones the clean copy, and never a noisy one
                assert seen[q, k] == (key_copy == 0)
            else:  # one's own copy in both directions; neither another copy nor the clean answer
                assert seen[q, k] == (query_copy == key_copy)


def test_every_token_sees_itself():
    assert sees([-1, 0, 1, 1, 2, 2], [0, 0, 0, 1, 0, 2]).diagonal().all()


# Packing


def piece(ids: list[int], segment: int, copy: int = 0) -> Piece:
    return Piece(np.array(ids), np.arange(5 * len(ids)).reshape(-1, 5), segment, copy)


def test_pieces_lie_one_after_the_other_and_rows_are_padded_on_the_right():
    packed = pack([[piece([4, 5], 0), piece([6], 1, 2)], [piece([7], 0)]], pad=9)
    assert packed.ids_BL.tolist() == [[4, 5, 6], [7, 9, 9]]
    assert packed.segment_BL.tolist() == [[0, 0, 1], [0, PADDING, PADDING]]
    assert packed.copy_BL.tolist() == [[0, 0, 2], [0, 0, 0]]
    assert packed.positions_BLP[0, 2].tolist() == [0, 1, 2, 3, 4]
    assert packed.positions_BLP[1, 1:].abs().sum() == 0
    assert packed.attention_mask().shape == (2, 1, 3, 3)


@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=4), st.integers(1, 8))
@settings(deadline=None, max_examples=30)
def test_a_row_is_packed_as_it_is_alone_whatever_its_batch(lengths, multiple_of):
    rows = [[piece(list(range(n)), k) for k, n in enumerate(row)] for row in lengths]
    packed = pack(rows, pad=99, multiple_of=multiple_of)
    longest = max(map(sum, lengths))
    assert longest <= packed.ids_BL.shape[1] < longest + multiple_of
    assert packed.ids_BL.shape[1] % multiple_of == 0
    for b, row in enumerate(rows):
        alone, n = pack([row], pad=99), sum(lengths[b])
        assert torch.equal(packed.ids_BL[b, :n], alone.ids_BL[0])
        assert torch.equal(packed.positions_BLP[b, :n], alone.positions_BLP[0])
        assert torch.equal(packed.segment_BL[b, :n], alone.segment_BL[0])
        assert (packed.ids_BL[b, n:] == 99).all()
        assert (packed.segment_BL[b, n:] == PADDING).all()


def a_row(clean: list[int], noisy: list[tuple[int, int]]) -> tuple[list[Piece], list[Piece]]:
    """Clean segments 0, 1, … of the given lengths, and noisy copies (segment, length)."""
    copies = [piece(list(range(n)), segment, copy) for copy, (segment, n) in enumerate(noisy, start=1)]
    return [piece(list(range(n)), segment) for segment, n in enumerate(clean)], copies


BLOCK_ROWS = (
    a_row([5, 3, 2], [(1, 4), (1, 4), (2, 2), (3, 4)]),
    a_row([5, 2], [(2, 6), (1, 4)]),
)


@pytest.mark.parametrize("multiples", [(1, 1), (8, 3)])
def test_blocks_hold_one_noisy_copy_each_after_the_clean_columns(multiples):
    clean, noisy = zip(*BLOCK_ROWS, strict=True)
    packed, columns = pack_blocks(clean, noisy, 99, *multiples)
    assert packed.clean_length % multiples[0] == 0
    assert all(count % multiples[1] == 0 for count, _ in packed.runs)
    assert packed.ids_BL.shape[1] == packed.clean_length + sum(count * width for count, width in packed.runs)
    for b in range(len(BLOCK_ROWS)):
        total = sum(len(p.ids) for p in clean[b])
        assert (packed.segment_BL[b, total : packed.clean_length] == PADDING).all()
        assert (packed.copy_BL[b, : packed.clean_length] == 0).all()
        for start, copy in zip(columns[b], noisy[b], strict=True):
            here = slice(start, start + len(copy.ids))
            assert start >= packed.clean_length
            assert packed.ids_BL[b, here].tolist() == copy.ids.tolist()
            assert (packed.segment_BL[b, here] == copy.segment).all()
            assert (packed.copy_BL[b, here] == copy.copy).all()
        filled = (packed.segment_BL[b] != PADDING).sum()
        assert filled == total + sum(len(copy.ids) for copy in noisy[b])


@pytest.mark.parametrize("multiples", [(1, 1), (8, 3)])
def test_the_mask_by_blocks_is_the_attention_rule_without_its_empty_products(multiples):
    clean, noisy = zip(*BLOCK_ROWS, strict=True)
    packed, _ = pack_blocks(clean, noisy, 99, *multiples)
    mask, length = packed.block_mask(), packed.clean_length
    dense = torch.zeros_like(packed.attention_mask())
    dense[:, :, :length, :length] = mask.clean_B1CC
    dense[:, :, length:, :length] = mask.prefix_B1NC
    start = length
    for own in mask.own_runs:
        for k in range(own.shape[2]):
            stop = start + own.shape[-1]
            dense[:, :, start:stop, start:stop] = own[:, :, k]
            start = stop
    assert start == dense.shape[-1]
    real = packed.segment_BL != PADDING
    for b in range(len(BLOCK_ROWS)):
        rule = packed.attention_mask()[b, 0]
        assert torch.equal(dense[b, 0][real[b]], rule[real[b]])
        assert dense[b, 0].any(-1).all()  # padding sees something, or its softmax would not be finite
