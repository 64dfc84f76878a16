"""Requests and links: what is asked for survives the link; what lies outside the limits is refused in a sentence."""

import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ConfigError, MMReasonError, ProblemError
from mmreason.limits import NUM_STEPS, SEED, TEMPERATURE
from mmreason.tasks import TASKS, make_problem
from mmreason.ui.solve.request import SolveRequest, checked, is_link, link_query, parse_puzzle, read_link

FINE = {"task": "maze", "difficulty": "easy", "seed": 3, "checkpoint": "base"}


def params_of(query):
    return dict(parse_qsl(query.removeprefix("?"), strict_parsing=True))


@settings(deadline=None)
@given(
    task=st.sampled_from(sorted(TASKS)),
    difficulty=st.sampled_from(["easy", "medium"]),
    seed=st.integers(0, SEED.high),
    temperature=st.just(0.0) | st.floats(TEMPERATURE.low, TEMPERATURE.high),
    num_steps=st.integers(1, NUM_STEPS.high),
    region=st.sampled_from(["stated", "full", "confidence"]),
    threshold=st.none() | st.floats(1e-9, 1),
    sampling_seed=st.integers(0, SEED.high),
)
def test_a_link_carries_every_input(**inputs):
    request = SolveRequest(**inputs, checkpoint="base", checkpoint_hash="0123456789ab")
    assert read_link(params_of(link_query(request, "0123456789ab"))) == request


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_link_carries_the_visitors_own_puzzle(task):
    spec = json.dumps(make_problem(task, "easy", 4).spec, separators=(",", ":"))
    request = SolveRequest(task=task, own=spec, checkpoint="base", checkpoint_hash="ab" * 6)
    again = read_link(params_of(link_query(request, "ab" * 6)))
    assert again == request
    assert (again.problem().canvas == request.problem().canvas).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("seed", 2**53),
        ("seed", 1.5),
        ("seed", None),
        ("seed", "seven"),
        ("seed", float("nan")),
        ("seed", True),
        ("temperature", 1e-40),
        ("temperature", 0.009),
        ("temperature", False),
        ("threshold", True),
        ("threshold", []),
        ("num_steps", True),
        ("temperature", 2.1),
        ("temperature", float("inf")),
        ("num_steps", 0),
        ("num_steps", 65),
        ("num_steps", 10**400),
        ("threshold", 1.1),
        ("threshold", -0.1),
        ("sampling_seed", -1),
        ("region", "everywhere"),
        ("task", "chess"),
    ],
)
def test_a_value_outside_its_limits_is_refused_in_one_sentence(field, value):
    with pytest.raises(ConfigError) as refused:
        checked(**FINE | {field: value})
    message = str(refused.value)
    assert "must be" in message
    assert "\n" not in message
    assert len(message) < 200


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_field_is_said_to_hold_nothing(value):
    with pytest.raises(ConfigError, match="seed must be a whole number from 0 to 9007199254740991, got nothing"):
        checked(**FINE | {"seed": value})


def test_only_a_link_that_names_a_puzzle_is_one():
    assert not is_link({})
    assert not is_link({"__theme": "dark", "seed": "3"})
    assert is_link({"task": "maze"})


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["task", "puzzle", "seed", "temperature", "threshold"]), st.text()))
def test_no_link_raises_anything_but_a_sentence(params):
    try:
        read_link(params)
    except MMReasonError as error:
        assert str(error)


@pytest.mark.parametrize("text", ["", "[1]", "{", "nul", "[" * 100_000, "x" * 100_000])
def test_what_is_no_puzzle_is_refused(text):
    with pytest.raises(ProblemError):
        parse_puzzle(text)
