"""What a resumed run must share with the one that it goes on with: settings of this version and of others."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace

import pytest

from mmreason.errors import CheckpointError, ConfigError
from mmreason.rewards.assignment import AssignmentConfig
from mmreason.training.rl.config import GRPOConfig, LossConfig
from mmreason.training.rl.grpo import step_problems
from mmreason.training.run.resume import check_resumable, differences, write_settings
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised.config import PretrainConfig
from tests.helpers.learning import config


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    """A directory in which ``config()`` trained."""
    directory = RunDirectory(tmp_path / "run")
    write_settings(directory, config(), {"checkpoint": "aaaa"}, resumed=False)
    return directory


def settings_in(run: RunDirectory) -> dict:
    return json.loads((run.path / "config.json").read_text())


def put(run: RunDirectory, settings: object) -> None:
    (run.path / "config.json").write_text(json.dumps(settings))


def drawn(config: GRPOConfig) -> list[tuple[str, str]]:
    problems = [problem for step in range(4) for problem, _ in step_problems(config, step)]
    return [(problem.task, problem.difficulty) for problem in problems]


def test_the_same_settings_go_on(run):
    assert differences(config(), settings_in(run)) == {}
    check_resumable(run, config(), {"checkpoint": "aaaa"}, done=2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rate": 0.05}, r"learning_rate \(there 0.001, now 0.05\)"),
        ({"seed": 3}, r"seed \(there 0, now 3\)"),
        ({"lora_rank": 2}, r"lora_rank \(there 0, now 2\)"),
        ({"loss": LossConfig(beta=0.25)}, r"loss\.beta \(there 0.0, now 0.25\)"),
        ({"assignment": AssignmentConfig(granularity="turn")}, r"assignment\.granularity \(there trace, now turn\)"),
        ({"difficulties": {"easy": 1.0, "hard": 1.0}}, r"difficulties \(there \{'easy': 1.0\}, now .*hard"),
        ({"seed": 3, "num_problems": 4}, r"seed .*num_problems|num_problems .*seed"),
    ],
)
def test_other_settings_are_refused_and_each_is_named_with_both_values(run, changes, said):
    with pytest.raises(ConfigError, match=said):
        check_resumable(run, config(**changes), {}, done=2)
    with pytest.raises(ConfigError, match=r"checkpoint \(there aaaa, now bbbb\)"):
        check_resumable(run, config(), {"checkpoint": "bbbb"}, done=2)


@pytest.mark.parametrize(
    ("name", "names"), [("tasks", ("maze", "sudoku")), ("difficulties", ("easy", "medium", "hard"))]
)
def test_weights_in_another_order_are_other_settings_for_they_draw_other_problems(run, name, names):
    for there, now in itertools.product(itertools.permutations(names), repeat=2):
        before, given = (config(**{name: dict.fromkeys(order, 1.0)}) for order in (there, now))
        put(run, asdict(before))
        if there == now:
            check_resumable(run, given, {}, done=2)
            continue
        assert drawn(before) != drawn(given)
        with pytest.raises(ConfigError, match=rf"{name} \(there \{{'{there[0]}.*, now \{{'{now[0]}.*\}}\)"):
            check_resumable(run, given, {}, done=2)


def test_what_the_run_came_from_is_compared_one_by_one_and_only_where_it_was_stored(run):
    more = {"came_from": {"gems": "1a", "puz": "2b"}, "checkpoint": "aaaa"}
    write_settings(run, config(), more, resumed=False)
    check_resumable(run, config(), more | {"rewards": {"length": "3c"}}, done=2)
    check_resumable(run, config(), {"came_from": {"gems": "1a", "of_later": "4d"}}, done=2)
    with pytest.raises(ConfigError, match=r"other settings: came_from\.puz \(there 2b, now 9f\); --resume"):
        check_resumable(run, config(), {"came_from": {"gems": "1a", "puz": "9f"}}, done=2)


def test_when_to_save_tell_and_measure_may_change_and_so_may_an_end_that_changes_no_step_before(run):
    check_resumable(run, config(save_steps=7, logging_steps=2, eval_steps=9, eval_problems=8), {}, done=2)
    check_resumable(run, config(max_steps=50), {}, done=2)
    with pytest.raises(ConfigError, match="max_steps must be at least the 2 that"):
        check_resumable(run, config(max_steps=1), {}, done=2)
    falling = {"lr_scheduler_type": "linear"}
    put(run, asdict(config(**falling)))
    check_resumable(run, config(max_steps=3, **falling), {}, done=2)
    with pytest.raises(ConfigError, match=r"max_steps \(there 3, now 50\)"):
        check_resumable(run, config(max_steps=50, **falling), {}, done=2)


def test_the_supervised_stage_may_be_made_longer_until_its_rates_fall(run):
    before = PretrainConfig(steps=100, decay_share=0.2)
    put(run, asdict(before))
    check_resumable(run, replace(before, steps=200), {}, done=80)
    with pytest.raises(ConfigError, match=r"steps \(there 100, now 200\)"):
        check_resumable(run, replace(before, steps=200), {}, done=90)


def test_a_field_less_is_the_default_of_then_and_a_field_more_is_kept(run):
    stored = settings_in(run)
    del stored["bf16"], stored["loss"]["beta"], stored["assignment"]
    stored["loss"]["of_a_later_version"] = 2
    put(run, stored | {"of_a_later_version": [1]})
    check_resumable(run, config(), {"rewards": ["a:b"]}, done=2)
    with pytest.raises(ConfigError, match=r"bf16 \(there False, now True\)"):
        check_resumable(run, config(bf16=True), {}, done=2)
    write_settings(run, config(save_steps=9), {}, resumed=True)
    assert settings_in(run)["of_a_later_version"] == [1] and settings_in(run)["loss"]["of_a_later_version"] == 2
    assert settings_in(run)["loss"]["beta"] == 0
    assert settings_in(run)["save_steps"] == 9 and settings_in(run)["bf16"] is False


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"name": "of another program"}'])
def test_settings_that_are_none_are_refused_in_a_sentence(run, content):
    (run.path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json in .*run"):
        check_resumable(run, config(), {}, done=2)
