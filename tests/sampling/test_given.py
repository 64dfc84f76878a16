"""What holds of a rollout that goes on from given segments: unchanged ones lead to the trace they came from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmreason.errors import ConfigError
from mmreason.records import Frame, Segment, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.given import check_given, redrawn, reworded
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import make_problem
from tests.helpers.policies import layout, pipeline_of, talking_policy, vocabulary

SAMPLED = SamplingConfig(num_steps=3, temperature=0.9, max_turns=4)
PROBLEM = make_problem("maze", "medium", 8)


@pytest.fixture(scope="module")
def pipe() -> InterleavedReasoningPipeline:
    return pipeline_of(talking_policy().requires_grad_(False))


def whole(pipe: InterleavedReasoningPipeline, config: SamplingConfig) -> list[Trace]:
    """Three generations of one problem."""
    return pipe([PROBLEM], config, [5], 3).traces


def resumed(pipe, segments, config=SAMPLED, generation=0) -> Trace:
    *_, last = pipe.resume(PROBLEM, segments, config, 5, generation)
    return last[0]


def said(segments) -> list[tuple]:
    return [(s.kind, s.turn, s.tokens, s.boxes, s.cells, [f.committed for f in s.frames]) for s in segments]


@pytest.mark.parametrize(
    "config",
    [SAMPLED, replace(SAMPLED, threshold=0.3), replace(SAMPLED, temperature=0.0), replace(SAMPLED, region="full")],
    ids=["sampled", "threshold", "greedy", "full"],
)
def test_going_on_from_any_segment_unchanged_gives_the_same_trace(pipe, config):
    traces = whole(pipe, config)
    assert max(len(trace.segments) for trace in traces) > 4
    for generation, trace in enumerate(traces):
        for k in range(1, len(trace.segments)):
            again = resumed(pipe, trace.segments[:k], config, generation)
            assert said(again.segments) == said(trace.segments), (generation, k)
            assert again.end_reason == trace.end_reason
            assert [s.logprob for s in again.segments] == pytest.approx([s.logprob for s in trace.segments], abs=1e-3)


def test_every_step_shows_the_given_segments_first(pipe):
    trace = max(whole(pipe, SAMPLED), key=lambda t: len(t.segments))
    for traces in pipe.resume(PROBLEM, trace.segments[:3], SAMPLED, 5):
        assert traces[0].segments[:3] == trace.segments[:3]


def test_a_reworded_thought_is_followed(pipe):
    trace = max(whole(pipe, SAMPLED), key=lambda t: len(t.segments))
    thought = reworded(trace.segments[2], "right 3 total 3 <edit> r2c2 r2c5", layout())
    after = resumed(pipe, [*trace.segments[:2], thought])
    assert after.segments[:2] == trace.segments[:2]
    assert after.segments[2].text == "right 3 total 3 <edit> r2c2 r2c5"
    assert after.segments[3].cells == (9, 10, 11, 12)


def test_a_thought_that_names_no_region_ends_the_trace(pipe):
    trace = whole(pipe, SAMPLED)[0]
    after = resumed(pipe, [reworded(trace.segments[0], "right 3", layout())])
    assert len(after.segments) == 1 and "<edit> is missing" in after.end_reason


def test_a_redrawn_cell_is_what_the_model_sees_next(pipe):
    trace = max(whole(pipe, SAMPLED), key=lambda t: len(t.segments))
    edit = trace.segments[1]
    other = vocabulary().num_text + (edit.tokens[0] - vocabulary().num_text + 7) % 100
    changed = redrawn(edit, edit.cells[0], other, vocabulary().mask)
    assert changed.tokens == (other, *edit.tokens[1:])
    assert changed.frames[-1].tokens == changed.tokens
    assert [f.committed for f in changed.frames] == [f.committed for f in edit.frames]
    after = resumed(pipe, [trace.segments[0], changed])
    unchanged = resumed(pipe, trace.segments[:2])
    assert after.segments[2].logprob != unchanged.segments[2].logprob


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "1 to 11 words"), ("right " * 12, "1 to 11 words"), ("fly <edit>", "'fly'"), ("<mask>", "'<mask>'"),
     ("right <end> 3", "'<end>'")],
)  # fmt: skip
def test_words_that_no_thought_can_hold_are_refused(pipe, text, says):
    thought = whole(pipe, SAMPLED)[0].segments[0]
    with pytest.raises(ConfigError, match=says):
        reworded(thought, text, layout())


def test_a_thought_that_is_longer_than_the_model_s_is_refused(pipe):
    trace = whole(pipe, SAMPLED)[0]
    ids = tuple(layout().write("right " * 13))
    frame = Frame(1, ids, tuple(range(13)), (0.0,) * 13)
    long = replace(trace.segments[0], tokens=ids, frames=(frame,), text="right " * 13)
    with pytest.raises(ConfigError, match=r"segments\[0\] must be a thought of at most 12 tokens, got 13"):
        resumed(pipe, [long])
    filled = tuple([*layout().write("right <edit> r2c2 r2c5"), *[vocabulary().end] * 9])
    fits = replace(long, tokens=filled, frames=(replace(frame, tokens=filled),), text="right <edit> r2c2 r2c5")
    assert resumed(pipe, [fits]).segments[1].cells == (9, 10, 11, 12)


def test_what_no_rollout_begins_with_is_refused(pipe):
    first, second, *_ = max(whole(pipe, SAMPLED), key=lambda t: len(t.segments)).segments
    half = replace(first, frames=first.frames[:1])
    wrong: list[tuple[list[Segment], str]] = [
        ([second], "thought of turn 1"),
        ([first, first], "edit of turn 1"),
        ([half], "finished"),
    ]
    for segments, says in wrong:
        with pytest.raises(ConfigError, match=says):
            check_given(segments, 4, layout(), "maze")
    with pytest.raises(ConfigError, match="no cell"):
        redrawn(second, -1, 300, vocabulary().mask)
