"""How rewards become advantages, against groups worked out by hand and laws that hold for all.

Axes: P problems, G rollouts in a group, S segments.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ConfigError
from mmreason.records import Problem, Segment, Trace, Verdict
from mmreason.rewards.assignment import (
    ASSIGNMENTS,
    EPSILON,
    GRANULARITIES,
    SCALES,
    SWAPPED,
    TO_GO,
    WHITENED,
    AssignmentConfig,
    GroupAdvantages,
    assign,
    interference,
)
from mmreason.tasks import make_problem

KINDS = {"t": "thought", "e": "edit", "a": "answer"}


@cache
def a_problem(turns: int) -> Problem:
    return replace(make_problem("maze", "easy", 0), turns=turns)


def a_trace(*scores: tuple[str, float | None], turns: int = 1) -> Trace:
    """A trace of segments ``("t", reward)``, ``("e", reward)``, ``("a", reward)``; a thought begins a turn."""
    segments, turn = [], 0
    for kind, reward in scores:
        turn += kind != "e"
        segments.append(Segment(KINDS[kind], turn, (), (), reward=reward))
    return Trace(a_problem(turns), (), tuple(segments), "answered")


def advantages(group: Sequence[Trace], **settings: object) -> list[list[float]]:
    """(G)(S) advantages of one group."""
    (out,) = assign([group], AssignmentConfig(**settings))
    return [[segment.advantage for segment in row] for row in out.segments]


def normalised(values: Sequence[float]) -> np.ndarray:
    """The reference: centred, over the unbiased standard deviation."""
    array = np.array(values)
    return (array - array.mean()) / (array.std(ddof=1) + EPSILON)


def flat(rows: list[list[float]]) -> list[float]:
    return [*itertools.chain.from_iterable(rows)]


# By trace


@pytest.fixture
def three() -> list[Trace]:
    """Text rewards 1, 1/2, 0, image rewards 0, 1, 1/2."""
    return [
        a_trace(("t", 1.0), ("e", 0.0), ("a", 1.0)),
        a_trace(("t", 1.0), ("e", 1.0), ("a", 0.0)),
        a_trace(("t", 0.0), ("e", 1.0), ("t", 0.0), ("e", 0.0), ("a", 0.0)),
    ]


def test_factorized_gives_text_reward_to_text_and_image_reward_to_image(three):
    text, image = normalised([1, 0.5, 0]), normalised([0, 1, 0.5])
    expected = [[t, i, t] for t, i in zip(text[:2], image[:2], strict=True)]
    expected.append([text[2], image[2], text[2], image[2], text[2]])
    for row, wanted in zip(advantages(three, assignment="factorized"), expected, strict=True):
        assert row == pytest.approx(wanted)


def test_joint_gives_every_segment_the_same_normalised_sum(three):
    total = normalised([1 + 0, 0.5 + 1, 0 + 0.5])
    for row, trace, wanted in zip(advantages(three, assignment="joint"), three, total, strict=True):
        assert row == pytest.approx([wanted] * len(trace.segments))


def test_joint_is_the_own_and_the_other_difference_over_the_spread_of_their_sum(three):
    (group,) = assign([three], AssignmentConfig(assignment="joint"))
    for segment in (segment for row in group.segments for segment in row):
        assert segment.sigma_joint == pytest.approx(np.std([1, 1.5, 0.5], ddof=1))
        assert segment.advantage == pytest.approx((segment.own + segment.other) / (segment.sigma_joint + EPSILON))
        assert segment.joint == segment.advantage
    text, image = group.segments[0][:2]
    assert (text.own, text.other) == (image.other, image.own) == pytest.approx((0.5, -0.5))
    (factorized,) = assign([three], AssignmentConfig(assignment="factorized"))
    assert [s.factorized for row in group.segments for s in row] == [
        s.advantage for row in factorized.segments for s in row
    ]


def test_stopping_early_does_not_pay():
    """Of three needed turns one answers after one right thought, the others go on and err once."""
    early = a_trace(("t", 1.0), ("e", 1.0), ("a", 0.0), turns=3)
    late = a_trace(("t", 1.0), ("e", 1.0), ("t", 1.0), ("e", 1.0), ("t", 1.0), ("e", 1.0), ("a", 0.0), turns=3)
    rows = advantages([early, late])
    assert rows[0][0] < 0 < rows[1][0]
    (lone,) = assign([[early, late]], AssignmentConfig(assignment="factorized"))
    assert lone.segments[1][0].own - lone.segments[0][0].own == pytest.approx((3 - 1) / 4)


def test_thoughts_beyond_those_needed_must_be_right_too():
    exact = a_trace(("t", 1.0), ("e", 1.0), ("a", 1.0))
    wordy = a_trace(("t", 1.0), ("e", 1.0), ("t", 0.0), ("e", 1.0), ("a", 1.0))
    assert advantages([exact, wordy])[1][0] < 0


def test_null_edits_are_left_out_of_the_image_reward():
    """A null edit beside a right one is not averaged in as a zero."""
    with_null = a_trace(("t", 0.0), ("e", None), ("t", 1.0), ("e", 1.0), ("a", 1.0))
    without = a_trace(("t", 1.0), ("e", 1.0), ("a", 1.0))
    wrong = a_trace(("t", 1.0), ("e", 0.0), ("a", 1.0))
    image = [row[1] for row in advantages([with_null, without, wrong])]
    assert image == pytest.approx(normalised([1, 1, 0]))


def test_a_trace_of_null_edits_only_has_no_part_in_the_image_slot():
    null = a_trace(("t", 0.0), ("e", None), ("a", 0.0))
    others = [a_trace(("t", 1.0), ("e", float(right)), ("a", 1.0)) for right in (True, False)]
    rows = advantages([null, *others], assignment="factorized")
    assert rows[0][1] == 0
    assert [row[1] for row in rows[1:]] == pytest.approx(normalised([1, 0]))  # two members, not three
    joint = advantages([null, *others], assignment="joint")
    text = np.array([0.0, 1, 1]) - 2 / 3
    assert [row[0] for row in joint] == pytest.approx(normalised(text + np.array([0, 0.5, -0.5])))


# Controls of a comparison


def test_whitened_joint_adds_what_each_modality_is_over_its_spread(three):
    total = normalised([1, 0.5, 0]) + normalised([0, 1, 0.5])
    rows = advantages(three, assignment=WHITENED)
    assert [row[0] for row in rows] == pytest.approx(normalised(total))
    assert all(row == pytest.approx([row[0]] * len(row)) for row in rows)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_no_weight_makes_a_modality_outweigh_the_other_in_whitened_joint(three, granularity):
    plain = advantages(three, assignment=WHITENED, granularity=granularity)
    heavy = {"text": 7.0, "image": 0.5}
    weighted = advantages(three, assignment=WHITENED, granularity=granularity, reward_weights=heavy)
    assert flat(weighted) == pytest.approx(flat(plain), abs=1e-3)  # ε beside a spread that was scaled
    joint = advantages(three, assignment="joint", granularity=granularity, reward_weights=heavy)
    assert flat(joint) != pytest.approx(flat(plain), abs=1e-3)


def test_to_go_counts_what_a_segment_and_all_after_it_earn():
    group = [
        a_trace(("t", 1.0), ("e", 0.0), ("t", 1.0), ("e", 1.0), ("a", 1.0), turns=3),
        a_trace(("t", 0.0), ("e", 1.0), ("t", 1.0), ("e", 0.0), ("a", 0.0), turns=3),
        a_trace(("t", 1.0), ("e", 1.0), ("a", 0.0), turns=3),
    ]
    answer = np.array([1.0, 0.0]) - 1 / 2
    second_edit = np.array([1.0, 0.0]) - 1 / 2
    second_text = np.array([1.0, 1.0, 0.0]) - 2 / 3  # the third answers there
    first_edit = np.array([0.0, 1.0, 1.0]) - 2 / 3
    first_text = np.array([1.0, 0.0, 1.0]) - 2 / 3
    rest = second_text + np.append(answer + second_edit, 0.0)
    rows = advantages(group, assignment=TO_GO, granularity="turn")
    assert [row[0] for row in rows] == pytest.approx(normalised(first_text + first_edit + rest))
    assert [row[1] for row in rows] == pytest.approx(normalised(first_edit + rest))
    assert [row[2] for row in rows] == pytest.approx(normalised(rest))
    assert [row[3] for row in rows[:2]] == pytest.approx(normalised(second_edit + answer))
    assert [row[4] for row in rows[:2]] == pytest.approx(normalised(answer))


# By turn


def test_by_turn_a_segment_is_compared_with_the_same_turn_and_modality_only():
    group = [
        a_trace(("t", 1.0), ("e", 1.0), ("t", 0.0), ("e", 1.0), ("a", 1.0)),
        a_trace(("t", 0.0), ("e", 0.0), ("t", 1.0), ("e", 1.0), ("a", 1.0)),
        a_trace(("t", 1.0), ("e", None), ("a", 0.0)),
    ]
    rows = advantages(group, assignment="factorized", granularity="turn")
    first = normalised([1, 0, 1])
    assert [row[0] for row in rows] == pytest.approx(first)
    assert [row[1] for row in rows] == pytest.approx([*normalised([1, 0]), 0])
    assert [row[2] for row in rows] == pytest.approx(normalised([0, 1, 0]))  # the third one answers in turn 2
    assert [row[3] for row in rows[:2]] == [0, 0]
    assert [row[4] for row in rows[:2]] == [0, 0]


def test_by_turn_joint_adds_the_two_differences_of_the_same_turn():
    group = [
        a_trace(("t", 1.0), ("e", 0.0), ("a", 1.0)),
        a_trace(("t", 0.0), ("e", 0.5), ("a", 1.0)),
        a_trace(("t", 0.0), ("e", 1.0), ("a", 0.0)),
    ]
    rows = advantages(group, assignment="joint", granularity="turn")
    total = normalised([1, 0.5, 1])
    assert [row[0] for row in rows] == pytest.approx(total)
    assert [row[1] for row in rows] == pytest.approx(total)
    assert [row[2] for row in rows] == pytest.approx(normalised([1, 1, 0]))  # no picture in this turn


def test_an_answer_that_is_due_beats_a_thought_that_goes_on():
    ends = a_trace(("t", 1.0), ("e", 1.0), ("a", 1.0))
    goes_on = a_trace(("t", 1.0), ("e", 1.0), ("t", 0.0), ("e", None), ("t", 0.0))
    rows = advantages([ends, goes_on, goes_on], granularity="turn")
    assert [row[2] for row in rows] == pytest.approx(normalised([1, 0, 0]))


def test_a_right_thought_beats_an_answer_that_comes_too_early():
    early = a_trace(("a", 0.0))
    thinks = a_trace(("t", 1.0), ("e", 1.0), ("a", 1.0))
    rows = advantages([early, thinks, thinks], granularity="turn")
    assert [row[0] for row in rows] == pytest.approx(normalised([0, 1, 1]))


# Where nothing right can be said


def with_nothing_to_say(trace: Trace, *turns: int) -> Trace:
    """``trace`` in which no text of these turns could have been right."""
    nothing = Verdict(False, "", {"nothing_to_say": 1.0})
    segments = [replace(s, verdict=nothing) if s.turn in turns and s.kind != "edit" else s for s in trace.segments]
    return replace(trace, segments=tuple(segments))


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_by_turn_a_text_that_nothing_could_make_right_is_compared_with_none(assignment):
    group = [a_trace(("t", r), ("e", r), ("t", r), ("e", 1.0)) for r in (1.0, 0.0, 0.0)]
    spoiled = with_nothing_to_say(a_trace(("t", 1.0), ("e", 0.0), ("a", 0.0)), 2)
    settings = {"assignment": assignment, "granularity": "turn"}
    rows = advantages([*group, spoiled], **settings)
    assert rows[-1][2] == 0.0
    assert [row[2:] for row in rows[:-1]] == [row[2:] for row in advantages(group, **settings)]


def test_by_trace_a_text_that_nothing_could_make_right_counts_as_wrong():
    group = [a_trace(("t", 1.0), ("e", 1.0), ("a", r)) for r in (1.0, 0.0, 0.0)]
    assert advantages([*group[:-1], with_nothing_to_say(group[-1], 2)]) == advantages(group)


# No spread


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("scale", SCALES)
def test_one_member_or_equal_rewards_give_zeros_and_are_counted(assignment, granularity, scale):
    settings = AssignmentConfig(assignment=assignment, granularity=granularity, scale_rewards=scale)
    alone = [a_trace(("t", 1.0), ("e", 0.0), ("a", 1.0))]
    equal = [a_trace(("t", 0.1), ("e", 0.1), ("a", 0.1), turns=3)] * 3  # three times 0.1 is not 0.3 in floats
    slots = 2 if granularity == "trace" else 3
    groups = assign([alone, equal], settings)
    for group in groups:
        assert all(segment.advantage == 0 for row in group.segments for segment in row)
        assert (group.slots, group.slots_without_spread) == (slots, slots)
    assert interference(groups) == {"sign_conflict": 0, "idle_push": 0, "sigma_ratio": 1}


def test_a_difference_that_is_rounding_only_has_no_sign():
    """The middle one of three equally spaced rewards lies at their mean, whatever floats make of it."""
    group = [a_trace(("t", x), ("e", i), ("a", x)) for x, i in ((0.2, 1.0), (0.4, 0.0), (0.6, 0.5))]
    (out,) = assign([group], AssignmentConfig())
    assert out.segments[1][0].own == 0
    assert interference([out])["idle_push"] == pytest.approx(3 / 9)  # two texts of the second, the third's edit


def test_only_slots_without_spread_are_counted(three):
    flat = [a_trace(("t", 1.0), ("e", float(i)), ("a", 1.0)) for i in range(2)]
    groups = assign([three, flat], AssignmentConfig())
    assert [(group.slots, group.slots_without_spread) for group in groups] == [(2, 0), (2, 1)]


def test_an_empty_group_of_segments_is_harmless():
    groups = assign([[Trace(a_problem(1), (), (), "")] * 2], AssignmentConfig())
    assert interference(groups) == {"sign_conflict": 0, "idle_push": 0, "sigma_ratio": 1}


# Scale and weights


def test_scale_none_leaves_the_differences(three):
    rows = advantages(three, scale_rewards="none")
    assert rows[0][:2] == pytest.approx([0.5, -0.5])
    assert advantages(three, scale_rewards="none", assignment="joint")[1] == pytest.approx([0.5] * 3)


def test_scale_batch_divides_every_group_by_one_spread_a_modality(three):
    other = [a_trace(("t", t), ("e", i), ("a", t)) for t, i in ((1.0, 0.0), (0.2, 0.1))]
    groups = assign([three, other], AssignmentConfig(scale_rewards="batch"))
    text = np.std([0.5, 0, -0.5, 0.4, -0.4], ddof=1)
    image = np.std([-0.5, 0.5, 0, -0.05, 0.05], ddof=1)
    assert groups[1].segments[0][0].advantage == pytest.approx(0.4 / (text + EPSILON))
    assert groups[0].segments[0][1].advantage == pytest.approx(-0.5 / (image + EPSILON))
    joint = assign([three, other], AssignmentConfig(scale_rewards="batch", assignment="joint"))
    total = np.std([0, 0.5, -0.5, 0.35, -0.35], ddof=1)
    assert joint[1].segments[0][1].advantage == pytest.approx(0.35 / (total + EPSILON))


def test_weights_scale_the_differences_and_a_weight_of_zero_silences_a_modality(three):
    weighted = advantages(three, assignment="joint", reward_weights={"text": 2.0, "image": 0.5})
    assert [row[0] for row in weighted] == pytest.approx(normalised([2 + 0, 1 + 0.5, 0 + 0.25]))
    text_only = {"text": 1.0, "image": 0.0}
    joint = advantages(three, assignment="joint", reward_weights=text_only)
    factorized = advantages(three, assignment="factorized", reward_weights=text_only)
    assert [row[0] for row in joint] == pytest.approx([row[0] for row in factorized])
    assert [row[1] for row in factorized] == [0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"assignment": "both"}, "assignment must be one of joint, factorized, got 'both'"),
        ({"granularity": "token"}, "granularity must be one of trace, turn, got 'token'"),
        ({"assignment": TO_GO}, "granularity must be turn where assignment is to_go, got 'trace'"),
        ({"scale_rewards": "std"}, "scale_rewards must be one of group, batch, none, got 'std'"),
        ({"reward_weights": {"text": 1.0}}, "reward_weights must give text and image"),
        ({"reward_weights": {"text": 1.0, "image": -1.0}}, "from 0 to 100"),
        ({"reward_weights": {"text": math.nan, "image": 1.0}}, "from 0 to 100"),
        ({"reward_weights": {"text": math.inf, "image": 1.0}}, "from 0 to 100"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(settings, says):
    with pytest.raises(ConfigError, match=says) as error:
        AssignmentConfig(**settings)
    assert "\n" not in str(error.value)


# Laws for all groups


rewards = st.sampled_from([0.0, 0.25, 1.0])
traces = st.builds(
    lambda turns, needed, answer: a_trace(
        *(pair for text, image in turns for pair in (("t", text), ("e", image))), ("a", answer), turns=needed
    ),
    st.lists(st.tuples(rewards, st.one_of(st.none(), rewards)), max_size=3),
    st.just(2),
    rewards,
)
configs = st.builds(
    AssignmentConfig,
    st.sampled_from((*ASSIGNMENTS, SWAPPED, WHITENED)),
    st.sampled_from(GRANULARITIES),
    st.sampled_from(SCALES),
) | st.builds(AssignmentConfig, st.just(TO_GO), st.just("turn"), st.sampled_from(SCALES))


@given(st.lists(traces, min_size=1, max_size=5), configs, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_the_order_of_the_rollouts_permutes_the_advantages(group, config, random):
    order = list(range(len(group)))
    random.shuffle(order)
    (straight,), (shuffled,) = assign([group], config), assign([[group[i] for i in order]], config)
    for i, row in zip(order, shuffled.segments, strict=True):
        assert [s.advantage for s in row] == pytest.approx([s.advantage for s in straight.segments[i]], abs=1e-9)
    assert straight.slots_without_spread == shuffled.slots_without_spread


@given(st.lists(traces, min_size=2, max_size=5), configs)
@settings(deadline=None, max_examples=50)
def test_rewards_stay_as_they_are_and_every_segment_gets_a_finite_advantage(group, config):
    before = [[(segment.reward, segment.kind) for segment in trace.segments] for trace in group]
    (out,) = assign([group], config)
    assert [[(segment.reward, segment.kind) for segment in trace.segments] for trace in group] == before
    assert [len(row) for row in out.segments] == [len(trace.segments) for trace in group]
    assert all(math.isfinite(segment.advantage) for row in out.segments for segment in row)
    for trace, row in zip(group, out.segments, strict=True):
        for segment, given_ in zip(trace.segments, row, strict=True):
            if config.granularity == "turn" and segment.reward is None and config.assignment != TO_GO:
                assert given_.own == given_.factorized == 0


@given(st.lists(traces, min_size=2, max_size=5), configs)
@settings(deadline=None, max_examples=50)
def test_the_differences_of_a_slot_sum_to_zero(group, config):
    """Each slot is compared within itself: one term of each of its members."""
    (out,) = assign([group], config)
    slots: dict[object, list[float]] = {}
    for trace, row in zip(group, out.segments, strict=True):
        seen = set()
        for segment, given_ in zip(trace.segments, row, strict=True):
            turn = 0 if config.granularity == "trace" else segment.turn
            if (turn, segment.modality) not in seen:
                seen.add((turn, segment.modality))
                slots.setdefault((turn, segment.modality), []).append(given_.own)
    assert all(sum(values) == pytest.approx(0, abs=1e-9) for values in slots.values())


# Interference


@cache
def gaussian(correlation: float, sigma_image: float, problems: int = 50, generations: int = 64):
    """Advantages of text and image segments for Gaussian rewards, apart: {modality: groups}."""
    rng = np.random.default_rng(0)
    text = rng.standard_normal((problems, generations))
    noise = rng.standard_normal((problems, generations))
    image = sigma_image * (correlation * text + math.sqrt(1 - correlation**2) * noise)
    groups = [
        [a_trace(("t", float(t)), ("e", float(i)), turns=0) for t, i in zip(*pair, strict=True)]
        for pair in zip(text, image, strict=True)
    ]
    out = assign(groups, AssignmentConfig(assignment="joint"))
    return {
        name: [GroupAdvantages(tuple(row[s : s + 1] for row in group.segments), 1, 0) for group in out]
        for s, name in enumerate(("text", "image"))
    }


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_the_share_of_sign_conflicts_of_independent_gaussian_rewards_is_an_arc_tangent(ratio):
    by_modality = gaussian(0.0, ratio)
    for name, other_over_own in (("text", ratio), ("image", 1 / ratio)):
        measured = interference(by_modality[name])
        assert measured["sign_conflict"] == pytest.approx(math.atan(other_over_own) / math.pi, abs=0.03)
        assert measured["idle_push"] == 0
        assert measured["sigma_ratio"] == pytest.approx(math.hypot(1, other_over_own), rel=0.03)


def test_modalities_that_rise_and_fall_together_never_conflict():
    for groups in gaussian(1.0, 3.0).values():
        assert interference(groups)["sign_conflict"] == 0


def test_opposite_modalities_conflict_in_the_weaker_one_only():
    by_modality = gaussian(-1.0, 3.0)
    assert interference(by_modality["text"])["sign_conflict"] == 1
    assert interference(by_modality["image"])["sign_conflict"] == 0


def test_a_segment_that_only_the_other_reward_moves_is_pushed_idly():
    group = [a_trace(("t", 1.0), ("e", float(i)), ("a", 1.0)) for i in range(2)]
    (out,) = assign([group], AssignmentConfig(assignment="factorized"))
    assert interference([out]) == {"sign_conflict": 0, "idle_push": pytest.approx(2 / 3), "sigma_ratio": 1}


# Where the policy chooses when to stop (verl's RFC #7244 asks whether baselines by turn are biased then)


@pytest.mark.parametrize("stop", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_by_turn_the_expected_gradient_is_each_turns_own_however_often_the_policy_stops(stop, size):
    """Every outcome of a group, exactly: rollouts stop at turn 1, or go on and are right at turn 2 or not.

    A turn's term has the direction of that turn's own reward: nothing of turn 2 reaches the choice to stop.  Its
    length is E[(n − 1)⁺] for the n rollouts that get there, as a baseline that holds its own member has it.
    """
    right, rewards = 0.3, {"stop": 0.4, "go": 0.7}
    chance = {"stop": stop, "right": (1 - stop) * right, "wrong": (1 - stop) * (1 - right)}
    traces = {
        "stop": a_trace(("a", rewards["stop"])),
        "right": a_trace(("t", rewards["go"]), ("a", 1.0)),
        "wrong": a_trace(("t", rewards["go"]), ("a", 0.0)),
    }
    of_stop = {"stop": 1 - stop, "right": -stop, "wrong": -stop}  # d log π / d logit of stopping
    of_right = {"right": 1 - right, "wrong": -right}  # d log π / d logit of being right
    gradient, lengths = np.zeros(2), 0.0
    for outcome in itertools.product(traces, repeat=size):
        weight = math.prod(chance[name] for name in outcome)
        rows = advantages([traces[name] for name in outcome], granularity="turn", scale_rewards="none")
        for name, row in zip(outcome, rows, strict=True):
            gradient += weight * np.array([row[0] * of_stop[name], row[1] * of_right[name] if len(row) > 1 else 0.0])
        lengths += weight * max(0, size - outcome.count("stop") - 1)
    own = np.array([stop * (1 - stop) * (rewards["stop"] - rewards["go"]), right * (1 - right)])
    assert gradient == pytest.approx([(size - 1) * own[0], lengths * own[1]], abs=1e-9)
