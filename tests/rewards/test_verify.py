"""What holds of the verifier: demonstrations earn everything, each corruption loses its own reward only.

Axes: H W canvas.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from mmreason.records import DIFFICULTIES, EDIT, GRID, Box, Segment, Trace, cell_word, region_mask, trace_rewards
from mmreason.rewards.scores import segment_score
from mmreason.rewards.verify import Verifier
from mmreason.sampling.views.region import boxes_in
from mmreason.seeds import numpy_generator
from mmreason.tasks import FIRST_TASKS, TASKS, atlas, atlas_for, make_problem
from mmreason.tasks.task import FOREIGN
from tests.helpers.policies import (
    committed_at_once,
    demonstrated_trace,
    edit_segment,
    encoder,
    sheet,
    text_segment,
    verifier,
    vocabulary,
    words,
)

JUDGE = verifier()


def a_trace(task: str, difficulty: str = "medium", index: int = 0) -> Trace:
    return demonstrated_trace(make_problem(task, difficulty, 4, index=index))


def with_segment(trace: Trace, at: int, segment: Segment) -> Trace:
    return replace(trace, segments=(*trace.segments[:at], segment, *trace.segments[at + 1 :]))


def with_token(segment: Segment, at: int, token: int) -> Segment:
    tokens = (*segment.tokens[:at], token, *segment.tokens[at + 1 :])
    return replace(segment, tokens=tokens, frames=(replace(segment.frames[0], tokens=tokens),))


# Demonstrations


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("task", FIRST_TASKS)
def test_a_demonstration_solves_its_problem_and_earns_every_reward(task, difficulty):
    for index in range(10):
        scored = JUDGE.score(a_trace(task, difficulty, index))
        assert scored.success
        assert [s.reward for s in scored.segments] == [1.0] * len(scored.segments)
        assert all(s.verdict.right for s in scored.segments)
        assert trace_rewards(scored) == (1.0, 1.0)
        assert {s.transition for s in scored.segments if s.kind == "edit"} == {1.0}  # text_to_image
        texts = [s.transition for s in scored.segments if s.modality == "text"]  # image_to_text
        assert texts == [None] + [1.0] * (len(texts) - 1)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("task", FIRST_TASKS)
def test_carrying_out_a_demonstrated_thought_gives_the_demonstrated_canvas(task, difficulty):
    for index in range(10):
        problem = make_problem(task, difficulty, 4, index=index)
        canvas_HW = problem.canvas
        for turn, step in enumerate(TASKS[task].demonstrate(problem.spec).steps, start=1):
            said = step.thought.partition(EDIT)[0].split()
            carried_HW = TASKS[task].carry_out(problem.spec, canvas_HW, said, turn)
            assert np.array_equal(carried_HW, step.canvas)
            canvas_HW = step.canvas


def test_scoring_changes_nothing_that_was_generated():
    trace = a_trace("maze")
    scored = JUDGE.score(trace)
    blank = [replace(s, reward=None, verdict=None, transition=None) for s in scored.segments]
    assert blank == list(trace.segments)
    assert JUDGE.score(scored) == scored


# Where nothing right can be said


def every_thought(task: str, canvas_HW: np.ndarray) -> list[tuple[str, Box]]:
    """All well-formed thoughts of a task whose thoughts can be listed."""
    if task == "sudoku":
        reasons = ("row lacks", "column lacks", "box lacks")
        return [
            (f"{cell_word(r, c)} is {digit} {why}", Box(2 * r - 1, 2 * c - 1, 2 * r, 2 * c))
            for r, c, digit in product(range(1, 5), repeat=3)
            for why in (*(f"{reason} {digit}" for reason in reasons), f"only {digit} fits")
        ]
    shown = [TASKS[task].cells[i] if i != FOREIGN else "" for i in canvas_HW.ravel()]
    agents = [divmod(i, GRID) for i, name in enumerate(shown) if name in ("agent", "agent_on_goal")]
    trail = shown.count("trail")
    steps = {"right": (0, 1), "down": (1, 0), "left": (0, -1), "up": (-1, 0)}
    return [
        (f"{name} {k} total {trail + k}", Box.between((r + 1, c + 1), (r + k * dr + 1, c + k * dc + 1)))
        for r, c in agents
        for name, (dr, dc) in steps.items()
        for k in range(1, GRID)
        if 0 <= r + k * dr < GRID and 0 <= c + k * dc < GRID
    ]


@pytest.mark.parametrize("task", ["maze", "sudoku"])
def test_nothing_can_be_said_exactly_where_every_thought_is_wrong_and_the_puzzle_is_not_solved(task):
    rng, kinds = numpy_generator("nothing to say", task), set()
    first, count = vocabulary().num_text + atlas().first[task], atlas().count[task]
    for index in range(12):
        trace = a_trace(task, index=index)
        tokens = np.array(trace.canvas_tokens)
        for edit in [s for s in trace.segments if s.kind == "edit"][: int(rng.integers(index % 2 * 20, 21))]:
            tokens[list(edit.cells)] = edit.tokens
        for cell in rng.integers(tokens.size, size=int(rng.integers(4))):
            tokens[cell] = first + rng.integers(count)
        malformed = replace(trace, canvas_tokens=tuple(tokens.tolist()), segments=(text_segment("<answer>", 1),))
        canvas_HW, spec = JUDGE.shown(task, tokens), trace.problem.spec
        some = any(
            TASKS[task].check_thought(spec, canvas_HW, said.split(), [box], 1).right
            for said, box in every_thought(task, canvas_HW)
        )
        says = not some and not TASKS[task].is_solved(spec, canvas_HW)
        (scored,) = JUDGE.score(malformed).segments
        assert scored.verdict.components.get("nothing_to_say", 0.0) == float(says)
        assert scored.reward == 0.0
        kinds.add(says)
    assert kinds == {True, False}


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_along_a_demonstration_something_right_can_always_be_said(task):
    for index in range(4):
        trace = a_trace(task, index=index)
        for at in [i for i, s in enumerate(trace.segments) if s.kind != "edit"]:
            nonsense = text_segment("<answer>", trace.segments[at].turn)
            scored = JUDGE.score(replace(trace, segments=(*trace.segments[:at], nonsense)))
            assert "nothing_to_say" not in scored.segments[at].verdict.components


# Corruptions of an edit


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_a_single_wrong_cell_loses_the_reward_of_its_edit_and_of_no_earlier_segment(task):
    rng = numpy_generator("wrong cell", task)
    for index in range(4):
        trace = a_trace(task, index=index)
        edits = [i for i, s in enumerate(trace.segments) if s.kind == "edit"]
        for at in edits:
            edit = trace.segments[at]
            first, count = atlas().first[task], atlas().count[task]
            for place in range(len(edit.tokens)):
                token = vocabulary().num_text + first + int(rng.integers(count))
                if token == edit.tokens[place]:
                    continue
                scored = JUDGE.score(with_segment(trace, at, with_token(edit, place, token)))
                wrong = scored.segments[at]
                assert wrong.reward == 0.0
                assert wrong.verdict.components["cells"] == pytest.approx(1 - 1 / len(edit.cells))
                assert wrong.verdict.reason == f"1 of {len(edit.cells)} cells wrong"
                assert wrong.transition == 0.0
                assert [s.reward for s in scored.segments[:at]] == [1.0] * at
                assert not scored.success


def test_a_cell_of_another_task_is_wrong_and_never_crashes_the_verifier():
    trace = a_trace("sudoku")
    foreign = vocabulary().num_text + atlas().first["maze"]
    scored = JUDGE.score(with_segment(trace, 1, with_token(trace.segments[1], 0, foreign)))
    assert scored.segments[1].reward == 0.0
    assert not scored.success
    tokens = list(trace.canvas_tokens)
    tokens[5] = foreign
    assert (JUDGE.shown("sudoku", tokens) == FOREIGN).sum() == 1
    assert JUDGE.shown("sudoku", tokens)[0, 5] == FOREIGN


def test_what_counts_is_the_decoded_picture_and_not_the_code():
    pixels = sheet().copy()
    trace = a_trace("maze")
    edit = trace.segments[1]
    twin = len(atlas_for(FIRST_TASKS[0]).pixels)  # a code of its own that looks like the right one, a little brighter
    pixels[twin] = np.clip(pixels[edit.tokens[0] - vocabulary().num_text].astype(int) + 3, 0, 255)
    other = with_segment(trace, 1, with_token(edit, 0, vocabulary().num_text + twin))
    assert Verifier(words(), pixels).score(other).success
    assert not JUDGE.score(other).success


def test_an_edit_on_a_useful_region_is_judged_by_the_picture_and_not_by_the_thought():
    for index in range(5):
        trace = a_trace("maze", index=index)
        thought = trace.segments[0]
        _, moves, rest = thought.text.split(" ", 2)
        lie = "down" if not thought.text.startswith("down") else "up"
        scored = JUDGE.score(with_segment(trace, 0, text_segment(f"{lie} {moves} {rest}", 1)))
        assert scored.segments[0].reward == 0.0
        assert scored.segments[1].reward == 1.0
        assert scored.segments[1].transition == 0.0  # but it does not do what the thought said
        assert not scored.success


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_an_edit_where_nothing_useful_can_be_drawn_is_left_out_and_not_zero(task):
    trace = a_trace(task)
    problem = trace.problem
    box = Box(8, 8, 8, 8)  # a single cell holds no leg, no tile, no digit and no pattern
    cells = np.flatnonzero(region_mask([box]))
    said = trace.segments[0].text.partition(EDIT)[0]
    thought = text_segment(f"{said}{EDIT} {box.words}", 1)
    edit = edit_segment(problem, problem.canvas, cells, [box], 1)
    scored = JUDGE.score(replace(trace, segments=(thought, edit)))
    assert scored.segments[0].reward == 0.0
    assert scored.segments[1].reward is None
    assert not scored.segments[1].verdict.right
    assert scored.segments[1].verdict.reason == "nothing useful can be drawn there"
    assert trace_rewards(scored)[1] is None
    assert not scored.success


# Thoughts, answers and unfinished traces


@pytest.mark.parametrize(
    "text",
    ["right 3", "<edit>", "<edit> r1c1", "<edit> r1c1 total", "", "<edit> r1c1 <edit>"],
)
def test_a_thought_that_names_no_region_earns_nothing_in_every_component(text):
    trace = a_trace("maze")
    scored = JUDGE.score(replace(trace, segments=(text_segment(text, 1),), end_reason="…"))
    (thought,) = scored.segments
    assert thought.reward == 0.0
    assert set(thought.verdict.components.values()) == {0.0}
    assert thought.verdict.reason == "names no region that can be followed"


@pytest.mark.parametrize("task", ["maze", "sudoku"])
def test_marks_that_are_glued_to_their_words_are_read_as_the_sampler_reads_them(task):
    trace = a_trace(task)
    for glue in ((" <edit> ", " <edit>"), (" <edit> ", "<edit>"), ("<answer> ", "<answer>")):
        glued = [replace(segment, text=segment.text.replace(*glue)) for segment in trace.segments]
        assert tuple(glued) != trace.segments
        scored = JUDGE.score(replace(trace, segments=tuple(glued)))
        assert scored.success and {segment.reward for segment in scored.segments} == {1.0}
        for segment, edit in zip(glued[::2], glued[1::2], strict=False):
            assert tuple(boxes_in(segment.text, (GRID, GRID))) == edit.boxes


def test_a_wrong_answer_loses_success_and_its_own_reward_only():
    trace = a_trace("jigsaw")
    wrong = text_segment("<answer> 64 swaps", trace.segments[-1].turn)
    scored = JUDGE.score(with_segment(trace, len(trace.segments) - 1, wrong))
    assert [s.reward for s in scored.segments] == [1.0] * (len(trace.segments) - 1) + [0.0]
    assert not scored.success


def test_a_right_answer_without_the_work_is_no_success():
    for task in FIRST_TASKS:
        trace = a_trace(task)
        answer = replace(trace.segments[-1], turn=1)
        scored = JUDGE.score(replace(trace, segments=(answer,)))
        assert not scored.success
        assert trace_rewards(scored)[0] < 1


def test_a_trace_without_an_answer_is_no_success_even_if_all_it_did_is_right():
    trace = a_trace("sudoku")
    scored = JUDGE.score(replace(trace, segments=trace.segments[:-1], end_reason="out of turns"))
    assert {s.reward for s in scored.segments} == {1.0}
    assert not scored.success


def test_a_segment_that_is_still_being_denoised_is_not_judged_yet():
    trace = a_trace("transform")
    edit = trace.segments[1]
    half = replace(edit.frames[0], committed=(0, 1), logprobs=(0.0, 0.0))
    scored = JUDGE.score(replace(trace, segments=(trace.segments[0], replace(edit, frames=(half,))), end_reason=""))
    assert [s.reward for s in scored.segments] == [1.0, None]
    assert scored.segments[1].verdict is None
    unfinished_answer = replace(
        trace.segments[-1], frames=(replace(trace.segments[-1].frames[0], committed=(0,), logprobs=(0.0,)),)
    )
    scored = JUDGE.score(with_segment(trace, len(trace.segments) - 1, unfinished_answer))
    assert not scored.success


def test_a_later_thought_is_judged_on_the_canvas_as_the_model_drew_it():
    trace = a_trace("sudoku")
    edit = trace.segments[1]
    blank = encoder().canvas_ids("sudoku", trace.problem.canvas)[list(edit.cells)]
    undrawn = edit
    for place, token in enumerate(blank.tolist()):
        undrawn = with_token(undrawn, place, token)
    again = replace(trace.segments[0], turn=2)  # says once more what is still to be drawn
    scored = JUDGE.score(replace(trace, segments=(trace.segments[0], undrawn, again), end_reason="out of turns"))
    assert [s.reward for s in scored.segments] == [1.0, 0.0, 1.0]
    assert scored.segments[2].transition == 1.0
    scored = JUDGE.score(replace(trace, segments=(trace.segments[0], edit, again), end_reason="out of turns"))
    assert [s.reward for s in scored.segments] == [1.0, 1.0, 0.0]  # the cell is filled already
    assert scored.segments[2].transition == 0.0


# Rewards of a trace


def rewarded(turns: int, *rewards: float | None) -> Trace:
    """A trace of thoughts and edits by turns with the given rewards, for a problem of ``turns`` turns."""
    base = a_trace("maze")
    thought, edit = base.segments[:2]
    segments = [replace((thought, edit)[i % 2], reward=reward) for i, reward in enumerate(rewards)]
    return replace(base, problem=replace(base.problem, turns=turns), segments=tuple(segments))


@pytest.mark.parametrize(
    ("turns", "rewards", "text", "image"),
    [
        (2, (1.0, 1.0, 1.0, 1.0, 1.0), 1.0, 1.0),
        (2, (1.0,), 1 / 3, None),  # stopping after one right thought earns a third
        (2, (1.0, 1.0, 1.0), 2 / 3, 1.0),
        (1, (1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0), 2 / 4, 1.0),  # more than needed dilutes
        (2, (0.0, None, 1.0, 0.0, 1.0), 2 / 3, 0.0),
        (2, (0.0, None, 1.0, 1.0, 1.0), 2 / 3, 1.0),  # null is left out
        (2, (0.0, None, 0.0, None), 0.0, None),
    ],
)
def test_text_is_averaged_over_what_is_present_or_needed_and_images_over_what_is_not_null(turns, rewards, text, image):
    got_text, got_image = trace_rewards(rewarded(turns, *rewards))
    assert got_text == pytest.approx(text)
    assert got_image == (None if image is None else pytest.approx(image))


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_stopping_early_never_pays(task):
    trace = JUDGE.score(a_trace(task, "hard"))
    rewards = [
        trace_rewards(replace(trace, segments=trace.segments[:n]))[0] for n in range(1, len(trace.segments) + 1, 2)
    ]
    assert rewards == sorted(set(rewards))
    assert rewards[-1] == 1.0


def test_the_picture_beside_an_answer_is_right_if_it_keeps_the_canvas():
    """Of a joint turn: its words are the answer, and nothing is left to draw."""
    for task in ("maze", "sudoku"):
        trace = demonstrated_trace(make_problem(task, "easy", 3))
        drawn = np.array(trace.canvas_tokens)
        for segment in trace.segments:
            if segment.kind == "edit":
                drawn[list(segment.cells)] = segment.tokens
        kept = replace(trace.segments[1], turn=trace.segments[-1].turn, cells=(0, 1), tokens=tuple(drawn[:2].tolist()))
        kept = replace(kept, frames=(committed_at_once(kept.tokens),))
        scored = verifier().score(replace(trace, segments=(*trace.segments, kept)))
        assert scored.success and (scored.segments[-1].reward, scored.segments[-1].verdict.reason) == (1, "kept")
        assert segment_score(scored.segments[-1], "segments", "cells") == 1
        other = replace(kept, tokens=(kept.tokens[0], int(drawn[2:][drawn[2:] != drawn[1]][0])))
        other = replace(other, frames=(committed_at_once(other.tokens),))
        spoiled = verifier().score(replace(trace, segments=(*trace.segments, other)))
        assert not spoiled.success and spoiled.segments[-1].reward == 0
        assert segment_score(spoiled.segments[-1], "segments", "cells") == 0.5
        assert "cells changed beside the answer" in spoiled.segments[-1].verdict.reason
