"""What holds of a rebuilt trace: it scores as the recorded one did, and contradictions are found."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mmreason.records import Trace
from mmreason.rewards.verify import Verifier
from mmreason.tasks import FIRST_TASKS, make_problem
from mmreason.traces.file import to_json
from mmreason.traces.rebuild import rebuild
from tests.helpers.standin import SHEET, WORDS, partial, stand_in_trace

VERIFIER = Verifier(WORDS, SHEET)


def recorded(task: str = "maze", **changes: Any) -> tuple[Trace, dict[str, Any]]:
    trace = VERIFIER.score(stand_in_trace(make_problem(task, "easy", 3), **changes))
    return trace, to_json(trace, WORDS, SHEET)


def rescored(trace: Trace, data: dict[str, Any]) -> tuple[Trace, list[str]]:
    rebuilt = rebuild(data, trace.problem)
    return Verifier(rebuilt.words, rebuilt.sheet).score(rebuilt.trace), rebuilt.problems_found


@pytest.mark.parametrize("task", FIRST_TASKS)
@pytest.mark.parametrize("changes", [{}, {"answer": "<answer> 63 moves", "num_turns": 1}])
def test_a_rebuilt_trace_scores_as_the_recorded_one(task: str, changes: dict[str, Any]) -> None:
    trace, data = recorded(task, **changes)
    again, found = rescored(trace, data)
    assert found == [] and again.success == trace.success
    for old, new in zip(trace.segments, again.segments, strict=True):
        assert (old.kind, old.turn, old.text, old.boxes, old.cells) == (
            *(new.kind, new.turn, new.text, new.boxes),
            new.cells,
        )
        assert (old.reward, old.verdict, old.transition) == (new.reward, new.verdict, new.transition)


def test_an_unfinished_edit_stays_unscored() -> None:
    trace, _ = recorded()
    half = VERIFIER.score(partial(trace))
    again, found = rescored(half, to_json(half, WORDS, SHEET))
    assert found == []
    assert [s.reward for s in again.segments] == [s.reward for s in half.segments]
    assert again.segments[-1].reward is None


def test_rewards_follow_the_pictures_and_not_the_recorded_numbers() -> None:
    trace, data = recorded()
    data["segments"][1]["after"] = data["segments"][1]["before"]
    again, found = rescored(trace, data)
    assert again.segments[1].reward == 0.0 and not again.success
    assert any("segments[1]" in sentence for sentence in found)
    assert any("segments[3].before" in sentence for sentence in found)


def test_each_contradiction_is_found() -> None:
    trace, data = recorded()
    for place, key, value in (
        (0, "text", "up 1 total 1 <edit> r1c1 r1c2"),
        (1, "after", None),
        (-1, "kind", "thought"),
    ):
        broken = copy.deepcopy(data)
        broken["segments"][place][key] = value
        assert rescored(trace, broken)[1], (place, key)
