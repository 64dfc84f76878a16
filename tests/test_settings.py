"""The laws of settings: each field says what it is, and a value stays itself from its flag to a stored run."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mmreason.__main__ import Parser
from mmreason.analysis.comparison.protocol import HEADLINE, Run
from mmreason.commands import pretrain, train
from mmreason.commands._options.settings import values_of
from mmreason.errors import ConfigError
from mmreason.limits import Whole, exactly
from mmreason.records import DIFFICULTIES
from mmreason.sampling.config import SamplingConfig
from mmreason.settings import (
    ChoiceSetting,
    NumberSetting,
    RegionSetting,
    Setting,
    SharesSetting,
    SwitchSetting,
    WeightsSetting,
    build,
    settings_of,
    weights,
)
from mmreason.tasks import TASKS
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.presets import BOTH, SETTINGS, TrainSettings
from mmreason.training.supervised.config import PretrainConfig
from mmreason.ui.train import form

CONFIGS = {GRPOConfig: train, PretrainConfig: pretrain}
NO_SETTINGS: set[tuple[str, ...]] = {("sampling", "runners_up")}  # for watching: training asks for none
OF_TWO_SETTINGS = (  # values within their limits that do not go together, or are for watching
    "epsilon_high must be at least epsilon",
    "mask_share is of the likelihood random_mask",
    "block_length must divide text_length",
    "block_length must be left out where turns are joint",
    "pixels must be a multiple of 32",
    "region_share must be above 0",
    "order must be confidence or entropy in training",
    "curriculum needs several difficulties",
    "reward_weights must be above 0 for text or image",
)
EACH = [(config, setting) for config in CONFIGS for setting in settings_of(config).values()]
IDS = [f"{config.__name__}.{setting.name}" for config, setting in EACH]


def paths(config: type, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Of every field, and every field of a config inside."""
    found = []
    for each in fields(config):
        inner = each.default_factory
        if isinstance(inner, type) and is_dataclass(inner):
            found += paths(inner, (*at, each.name))
        else:
            found.append((*at, each.name))
    return found


def parser_of(config: type) -> argparse.ArgumentParser:
    parser = Parser(prog="it")
    CONFIGS[config].add_arguments(parser)
    return parser


@pytest.mark.parametrize("config", CONFIGS)
def test_every_field_of_a_config_is_a_setting(config: type) -> None:
    found = [setting.path for setting in settings_of(config).values()]
    assert len(set(found)) == len(found)
    assert set(found) | NO_SETTINGS == set(paths(config)) | NO_SETTINGS


@pytest.mark.parametrize(("config", "setting"), EACH, ids=IDS)
def test_every_setting_has_a_flag_with_words_and_what_it_may_be(config: type, setting: Setting) -> None:
    (action,) = [each for each in parser_of(config)._actions if f"--{setting.flag}" in each.option_strings]
    assert action.dest == setting.name and setting.says and setting.says in (action.help or "")
    if isinstance(setting, NumberSetting):
        assert setting.limit.words in (action.help or "")
        if setting.default is not None:
            assert setting.limit.check(setting.default) == setting.default
    if isinstance(setting, RegionSetting):
        assert all(word in (action.help or "") for word in setting.choices) and setting.default in setting.choices
    elif isinstance(setting, ChoiceSetting):
        assert set(action.choices) >= set(setting.choices) and setting.default in setting.choices
    if setting.page is not None:
        assert setting.page.label and setting.page.info.endswith(".")


@pytest.mark.parametrize("config", CONFIGS)
def test_without_flags_the_config_is_as_it_is_by_default(config: type) -> None:
    values = values_of(parser_of(config).parse_args(["--output", "x"]), config)
    assert build(config, values) == config()


def test_no_setting_is_missing_on_the_page_that_asks_for_it() -> None:
    asked = {name for name, each in SETTINGS.items() if each.page is not None}
    own = {"tasks", "difficulties", "assignment"}
    placed = {each.name for each in (*form.FEW, *form.MORE, *form.PUBLIC)}
    assert asked == own | placed
    assert placed <= set(form.CONTROLS)
    assert {each.page.place for each in SETTINGS.values() if each.page} == {"first", "more", "own", "public"}


def weights_of(names: Any) -> st.SearchStrategy[dict[str, float]]:
    return st.dictionaries(st.sampled_from(sorted(names)), st.floats(0.001, 100), min_size=1)


def value_of(setting: Setting) -> st.SearchStrategy[Any]:
    """Any value that the flag takes."""
    match setting:
        case NumberSetting(limit=limit):
            numbers = st.integers if isinstance(limit, Whole) else st.floats
            return numbers(limit.low, limit.high)
        case ChoiceSetting(choices=choices):
            return st.sampled_from(choices)
        case SwitchSetting():
            return st.booleans()
        case SharesSetting(limit=limit, names=names):
            return st.fixed_dictionaries({name: st.floats(limit.low, limit.high) for name in names})
        case WeightsSetting():
            return weights_of(TASKS if setting.name == "tasks" else DIFFICULTIES)
    raise AssertionError(setting)


VALUES = st.fixed_dictionaries({}, optional={name: value_of(setting) for name, setting in SETTINGS.items()})


@given(VALUES, st.sampled_from(("joint", "factorized")))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
def test_a_value_stays_itself_from_flag_to_config_to_stored_settings_to_flag(values: dict[str, Any], arm: str) -> None:
    values["assignment"] = arm
    parser = parser_of(GRPOConfig)
    words = [word for name, value in values.items() for word in SETTINGS[name].words(value)]
    given_ = values_of(parser.parse_args(["--output", "x", *words]), GRPOConfig)
    try:
        config = build(GRPOConfig, given_)
    except ConfigError as error:
        assume(not any(said in str(error) for said in OF_TWO_SETTINGS))
        raise
    for name, value in values.items():
        found: Any = config
        for step in SETTINGS[name].path:
            found = getattr(found, step)
        assert found == value or (name == "threshold" and not value)
    kept = TrainSettings(**given_)
    again = TrainSettings.of(json.loads(json.dumps(kept.stored())))
    assert again == kept
    _, *line = shlex.split(shlex.join(again.arguments(arm, "base", "x")))
    assert build(GRPOConfig, values_of(parser.parse_args(line), GRPOConfig)) == config


def test_the_page_keeps_the_last_digit_of_a_seed() -> None:
    line = TrainSettings(seed=2**53 - 1).arguments("joint", "base", "x")
    assert line[line.index("--seed") + 1] == str(2**53 - 1)


@given(st.integers(0, 2**53 - 1) | st.floats(0, 100))
def test_the_text_of_a_number_is_that_number(number: float) -> None:
    assert type(number)(exactly(number)) == number


def test_what_the_protocol_sets_is_what_its_trainings_have() -> None:
    config = asdict(HEADLINE.training(Run("joint", "turn", 3), SamplingConfig(region="full", num_steps=1)))
    assert config["assignment"] == {
        "assignment": "joint",
        "granularity": "turn",
        "scale_rewards": "group",
        "reward_weights": {"text": 1.0, "image": 1.0},
        "text_score": "segments",
        "image_score": "exact",
    }
    for name in ("learning_rate", "lr_scheduler_type", "num_problems", "num_generations", "difficulties"):
        assert config[name] == getattr(HEADLINE, name)
    assert (config["max_steps"], config["seed"], config["bf16"]) == (HEADLINE.max_steps, 3, True)
    assert config["tasks"] == dict.fromkeys(HEADLINE.tasks, 1.0) and config["loss"]["beta"] == HEADLINE.beta


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"steps": "many"}, "steps must be a whole number, got 'many'"),
        ({"steps": True}, "steps must be a whole number, got 'True'"),
        ({"steps": 2.5}, "steps must be a whole number, got '2.5'"),
        ({"beta": None}, ""),
        ({"bf16": 1}, "bf16 must be true or false, got '1'"),
        ({"tasks": "maze"}, "tasks must be a list, got 'maze'"),
        ({"tasks": []}, "tasks must name at least one"),
        ({"difficulties": {"medium": "x"}}, "the weight of 'medium' must be a number"),
        ({"reward_weights": [1]}, "reward_weights must be a list, got '[1]'"),
        ({"assignment": "new"}, f"assignment must be one of joint, factorized, {BOTH}, got 'new'"),
        ({"checkpoint": 3}, "checkpoint must be a word, got '3'"),
        ({"of_a_later_version": 1}, ""),
    ],
)
def test_stored_settings_of_the_wrong_kind_are_named(data: dict[str, Any], said: str) -> None:
    try:
        TrainSettings.of(data)
    except ConfigError as error:
        assert said and said in str(error)
    else:
        assert not said


def test_a_weight_of_0_leaves_out_and_nobody_is_named_twice():
    assert weights(["maze=2", "sudoku", "jigsaw=0"]) == {"maze": 2.0, "sudoku": 1.0}
    with pytest.raises(ConfigError, match="the weight of one at least must be above 0, got 'maze=0 sudoku=0'"):
        weights(["maze=0", "sudoku=0"])
    with pytest.raises(ConfigError, match="'sudoku' must be named once, got 'sudoku=5' as well"):
        weights(["sudoku=2", "maze", "sudoku=5"])
