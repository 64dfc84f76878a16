"""What holds of one rollout: which words name a region, and when a trace ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.records import EDIT, FULL_BOX, GRID, NUM_CELLS, Box, cell_word, parse_boxes, region_mask
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.rollout import ANSWERED, OUT_OF_TURNS, Rollout
from mmreason.tasks import make_problem
from tests.helpers.policies import encoder, layout, text_tokenizer, vocabulary

CELL = st.tuples(st.integers(1, GRID), st.integers(1, GRID))


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=4))
@settings(deadline=None)
def test_pairs_of_corners_in_any_order_are_boxes(corners):
    said = [cell_word(*cell) for pair in corners for cell in pair]
    boxes = parse_boxes(["right", "3", EDIT, *said])
    assert boxes == [Box.between(a, b) for a, b in corners]
    for box, (a, b) in zip(boxes, corners, strict=True):
        assert (box.top, box.bottom) == tuple(sorted((a[0], b[0])))
        assert (box.left, box.right) == tuple(sorted((a[1], b[1])))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("right 3 r1c1 r2c2", "<edit> is missing"),
        ("right 3 <edit>", "got 0 words"),
        ("<edit> r1c1 r2c2 r3c3", "got 3 words"),
        ("<edit> r1c1 r9c9", "'r9c9', which is no cell"),
        ("<edit> r1c1 total", "'total', which is no cell"),
        ("<edit> r1c1 <edit>", "'<edit>', which is no cell"),
    ],
)
def test_words_that_name_no_region_are_refused_with_a_sentence(text, reason):
    assert reason in parse_boxes(text.split())


def a_rollout() -> Rollout:
    problem = make_problem("maze", "easy", 0)
    canvas = encoder().canvas_ids("maze", problem.canvas)
    return Rollout(problem, canvas, torch_generator("rollout"), layout())


def say(rollout: Rollout, text: str, turn: int) -> None:
    ids = encoder().text_ids(text).tolist()
    rollout.begin_text(turn, len(ids))
    rollout.add_frame(1, ids, [True] * len(ids), [0.0] * len(ids))


def test_words_after_end_are_sampled_but_neither_read_nor_kept_in_the_clean_copy():
    rollout, vocab = a_rollout(), vocabulary()
    ids = [*text_tokenizer()("<edit> r1c1 r2c2 <end> total").input_ids] + [vocab.answer] * 7
    rollout.begin_text(1, 12)
    rollout.add_frame(1, ids, [True] * 12, [0.0] * 12)
    rollout.follow(1, SamplingConfig())
    assert rollout.segments[0].text == "<edit> r1c1 r2c2"
    assert rollout.segments[0].tokens == tuple(ids)
    assert layout().clean_piece(rollout.segments[-1]).ids.tolist() == ids[:4]
    assert rollout.boxes == [Box(1, 1, 2, 2)]
    assert not rollout.end_reason


@pytest.mark.parametrize(
    ("text", "turn", "reason"),
    [
        ("<answer> 7 moves", 1, ANSWERED),
        ("<answer> 7 moves", 17, ANSWERED),
        ("right 1 total 1 <edit> r1c1 r1c2", 16, ""),
        ("right 1 total 1 <edit> r1c1 r1c2", 17, OUT_OF_TURNS),
        ("right 1 <answer>", 1, "the thought names no region: <edit> is missing"),
    ],
)
def test_a_trace_ends_with_an_answer_an_unreadable_thought_or_the_last_turn(text, turn, reason):
    rollout = a_rollout()
    say(rollout, text, turn)
    rollout.follow(turn, SamplingConfig())
    assert rollout.end_reason == reason
    assert rollout.segments[-1].kind == ("answer" if text.startswith("<answer>") else "thought")


def test_an_edit_changes_the_canvas_inside_its_region_only_once_it_is_finished():
    rollout, first = a_rollout(), vocabulary().num_text
    say(rollout, "<edit> r1c2 r2c3", 1)
    rollout.follow(1, SamplingConfig())
    cells = np.flatnonzero(region_mask(rollout.boxes))
    assert cells.tolist() == [1, 2, 9, 10]
    before = rollout.canvas_tokens.copy()
    rollout.begin_edit(1, cells, stated=True)
    rollout.add_frame(1, [first + 90, vocabulary().mask, first + 91, vocabulary().mask], [True, False] * 2, [0.0] * 4)
    assert np.array_equal(rollout.canvas_tokens, before)
    unfinished = rollout.trace({}).segments[-1]
    assert (unfinished.kind, len(unfinished.frames), unfinished.tokens[1]) == ("edit", 1, vocabulary().mask)
    rollout.add_frame(2, [first + 90, first + 92, first + 91, first + 93], [False, True] * 2, [0.0] * 4)
    assert (rollout.canvas_tokens[cells] - first).tolist() == [90, 92, 91, 93]
    outside = np.setdiff1d(np.arange(NUM_CELLS), cells)
    assert np.array_equal(rollout.canvas_tokens[outside], before[outside])
    assert rollout.start_tokens == tuple(before.tolist())


def test_frames_after_the_last_commitment_are_not_noted():
    rollout = a_rollout()
    say(rollout, "<edit> r1c1 r1c1", 1)
    rollout.add_frame(2, [0] * 12, [True] * 12, [0.0] * 12)
    assert len(rollout.segments[0].frames) == 1


def test_regions_not_stated_are_noted_cell_by_cell_or_as_the_whole_canvas():
    rollout = a_rollout()
    rollout.begin_edit(1, np.array([0, 63]), stated=False)
    assert rollout.draft.boxes == (Box(1, 1, 1, 1), Box(8, 8, 8, 8))
    rollout.begin_edit(1, np.arange(NUM_CELLS), stated=False)
    assert rollout.draft.boxes == (FULL_BOX,)
