"""What holds of the limits: one table for every door, and no number outside it comes in."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmreason.__main__ import main
from mmreason.commands.limits import rows
from mmreason.errors import ConfigError
from mmreason.limits import SEED, TEMPERATURE, Whole, table

README = Path(__file__).parents[1] / "mmreason" / "tasks" / "README.md"
LIMITS = rows()
NAMES = [limit.name for limit in LIMITS]


def test_readme_has_the_same_table() -> None:
    begin, end = "<!-- limits -->\n", "\n<!-- /limits -->"
    assert README.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0] == table(LIMITS)


def test_every_number_has_a_name_of_its_own_and_a_range() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(limit.low < limit.high and limit.says for limit in LIMITS)


@pytest.mark.parametrize("limit", LIMITS, ids=NAMES)
def test_the_ends_are_inside_and_what_is_no_number_never_is(limit) -> None:
    for end in (limit.low, limit.high):
        assert limit.check(end) == limit.check(str(end)) == end
    beyond = (
        limit.low - 1,
        math.nextafter(limit.low, -math.inf),
        limit.high + 1,
        math.nextafter(limit.high, math.inf),
    )
    for bad in (*beyond, math.nan, math.inf, -math.inf, True, False, np.True_, None, "", "x", "nan", [], {}, 10**400):
        with pytest.raises(ConfigError) as refused:
            limit.check(bad)
        assert str(refused.value).startswith(f"{limit.name} must be {limit.words}, got ")
        assert len(str(refused.value)) < 200


@pytest.mark.parametrize("limit", LIMITS, ids=NAMES)
def test_a_stored_number_is_no_text_and_a_whole_one_has_no_point(limit) -> None:
    low = int(limit.low) if isinstance(limit, Whole) else limit.low
    assert limit.check_stored(low) == low
    for bad in (str(low), [low], None, True, math.nan, *([float(low)] if isinstance(limit, Whole) else [])):
        with pytest.raises(ConfigError, match=re.escape(f"{limit.name} must be {limit.words}, got ")):
            limit.check_stored(bad)


@given(st.integers(0, SEED.high))
def test_a_seed_stays_itself_through_text_json_and_the_numbers_of_javascript(seed) -> None:
    assert SEED.check(str(seed)) == SEED.check(json.loads(json.dumps(float(seed)))) == seed


def test_whole_numbers_have_no_halves_and_come_back_as_integers() -> None:
    for limit in LIMITS:
        if isinstance(limit, Whole):
            assert isinstance(limit.check(float(limit.low)), int)
            with pytest.raises(ConfigError, match="must be a whole number"):
                limit.check(limit.low + 0.5)


def test_a_temperature_is_greedy_or_warm_enough() -> None:
    assert TEMPERATURE.check(0) == TEMPERATURE.check("-0.0") == 0
    for cold in (1e-40, 1e-320, 0.0099, -0.01):
        with pytest.raises(ConfigError, match=r"temperature must be 0 \(greedy\) or a number from 0.01 to 2, got"):
            TEMPERATURE.check(cold)


def test_the_command_lists_the_limits_and_brings_a_readme_up_to_date(tmp_path, capsys) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- limits -->\nold\n<!-- /limits -->\nafter\n")
    assert main(["limits", "--readme", str(readme), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == NAMES
    assert listed["num_steps"]["high"] == 64 and listed["num_steps"]["words"] == "a whole number from 1 to 64"
    assert readme.read_text() == f"before\n<!-- limits -->\n{table(LIMITS)}\n<!-- /limits -->\nafter\n"
