"""Scores: what of the verdicts is learnt from, by segment and by trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mmreason.records import Problem, Segment, Trace, Verdict, trace_rewards
from mmreason.rewards.assignment import AssignmentConfig, assign
from mmreason.rewards.scores import IMAGE_SCORES, TEXT_SCORES, segment_score, trace_scores
from mmreason.tasks import make_problem

PROBLEM: Problem = replace(make_problem("maze", "easy", 0), turns=1)


def text(kind: str, right: bool, well_formed: bool = True, turn: int = 1, added: float | None = None) -> Segment:
    """``added`` by a user's reward, if one scored it."""
    users = {} if added is None else {"rewards/mine": added}
    verdict = Verdict(right, "", {"well_formed": float(well_formed)} | users)
    return Segment(kind, turn, (), (), reward=float(right) + (added or 0.0), verdict=verdict)


def edit(cells: float | None, turn: int = 1, added: float = 0.0) -> Segment:
    if cells is None:
        return Segment("edit", turn, (), (), reward=None, verdict=Verdict(False, "nothing"))
    return Segment(
        "edit", turn, (), (), reward=(cells == 1) + added, verdict=Verdict(cells == 1, "", {"cells": cells})
    )


def a_trace(*segments: Segment) -> Trace:
    return Trace(PROBLEM, (), segments, "answered")


GOOD = a_trace(text("thought", True), edit(1.0), text("answer", True, turn=2))
NEAR = a_trace(text("thought", False), edit(0.75), text("answer", False, turn=2))


@pytest.mark.parametrize("trace", [GOOD, NEAR])
def test_by_default_scores_are_the_verifiers_rewards(trace):
    assert trace_scores(trace, "segments", "exact") == trace_rewards(trace)
    assert [segment_score(s, "segments", "exact") for s in trace.segments] == [s.reward for s in trace.segments]


def test_a_graded_picture_earns_the_share_of_its_right_cells_and_null_stays_null():
    assert trace_scores(GOOD, "segments", "cells")[1] == 1
    assert trace_scores(NEAR, "segments", "cells")[1] == 0.75
    assert segment_score(edit(None), "segments", "cells") is None
    assert trace_scores(a_trace(text("thought", True), edit(None)), "segments", "cells")[1] is None


def test_at_a_weight_of_two_and_a_half_a_right_answer_earns_two_and_its_form_a_half():
    def earned(*segments: Segment) -> float:
        return 2.5 * trace_scores(a_trace(*segments), "answer", "exact")[0]

    thought = text("thought", True)
    assert earned(thought, edit(1.0), text("answer", True, turn=2)) == pytest.approx(2.5)
    assert earned(thought, edit(1.0), text("answer", False, turn=2)) == pytest.approx(0.5)
    assert earned(thought, edit(1.0), text("answer", False, well_formed=False, turn=2)) == 0
    assert earned(thought, edit(1.0)) == 0  # out of turns
    assert earned(text("thought", False), edit(1.0), text("answer", True, turn=2)) == pytest.approx(2.5)


@pytest.mark.parametrize("text_score", TEXT_SCORES)
@pytest.mark.parametrize("image_score", IMAGE_SCORES)
def test_what_users_rewards_added_is_kept_under_every_score(text_score, image_score):
    plain = a_trace(text("thought", True), edit(0.5), text("answer", True, turn=2))
    more = a_trace(text("thought", True, added=0.3), edit(0.5, added=0.3), text("answer", True, turn=2, added=0.3))
    before, after = (trace_scores(trace, text_score, image_score) for trace in (plain, more))
    assert after[0] - before[0] == pytest.approx(0.3) and after[1] - before[1] == pytest.approx(0.3)


def scores(values: Sequence[float], config: AssignmentConfig, of: int) -> list[float]:
    """Advantages of segment ``of`` in a group whose edits differ in their right cells."""
    group = [a_trace(text("thought", True), edit(cells), text("answer", True, turn=2)) for cells in values]
    return [row[of].advantage for row in assign([group], config)[0].segments]


@pytest.mark.parametrize("granularity", ["trace", "turn"])
def test_advantages_are_of_the_chosen_score(granularity):
    graded = AssignmentConfig("factorized", granularity, "none", image_score="cells")
    assert scores((0.9, 0.8, 0.7, 0.6), graded, 1) == pytest.approx([0.15, 0.05, -0.05, -0.15])
    exact = replace(graded, image_score="exact")
    assert scores((0.9, 0.8, 0.7, 0.6), exact, 1) == [0, 0, 0, 0]


def test_by_turn_thoughts_are_left_out_where_answers_alone_are_judged():
    config = AssignmentConfig("factorized", "turn", "none", text_score="answer")
    (found,) = assign([[GOOD, NEAR]], config)
    assert [row[0].advantage for row in found.segments] == [0, 0]
    assert [row[2].advantage for row in found.segments] == pytest.approx([0.4, -0.4])


def test_a_thought_that_users_rewards_gave_nothing_is_judged_as_one_that_they_gave_something():
    config = AssignmentConfig("factorized", "turn", "none", text_score="answer")
    group = [
        a_trace(text("thought", True, added=added), text("answer", True, turn=2)) for added in (0.0, 0.0, 1.0, 1.0)
    ]
    (found,) = assign([group], config)
    assert [row[0].advantage for row in found.segments] == pytest.approx([-0.5, -0.5, 0.5, 0.5])
