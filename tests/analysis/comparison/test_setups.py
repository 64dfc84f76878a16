"""Set-ups that are fixed before their tests: what they hold fixed, when they are summarised, and their intervals."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from mmreason import places
from mmreason.__main__ import main
from mmreason.analysis.comparison import registry
from mmreason.analysis.comparison import series as series_module
from mmreason.analysis.comparison.gains import CELLS, GAINS, PRIMARY, compared, of_values, summary
from mmreason.analysis.comparison.packing import Packing
from mmreason.analysis.comparison.protocol import HEADLINE, Run
from mmreason.analysis.comparison.reproduce import Reproduction
from mmreason.analysis.comparison.series import PILOT_START, Series
from mmreason.analysis.comparison.setups import SETUPS, SHIPPED, Arm, P
from mmreason.analysis.comparison.tables import gains_of, gains_table, readings_of, setup_table
from mmreason.analysis.statistics import t_interval
from mmreason.commands.reproduce import OUT
from mmreason.errors import ConfigError
from mmreason.places import ANALYSIS_PAGE, ROOT
from mmreason.sampling.config import SamplingConfig
from mmreason.wording import change
from tests.helpers.learning import fresh_pipe

SAMPLING = SamplingConfig(num_steps=1, region="full")


# What is fixed


def test_what_is_registered_is_what_stands_in_the_code():
    assert registry.registered().keys() == SETUPS.keys()
    for name, noted in registry.registered().items():
        assert noted["digest"] == SETUPS[name].digest and len(noted["commit"]) == 40


@pytest.mark.parametrize("name", SETUPS)
def test_no_seed_and_no_test_problem_is_of_an_earlier_comparison(name):
    setup = SETUPS[name]
    assert min(setup.seeds) >= HEADLINE.first_seed + HEADLINE.num_seeds
    tests = [setup.protocol_of(1e-4, seed).test_seed for seed in setup.seeds]
    assert len(set(tests)) == len(tests) and HEADLINE.test_seed not in tests
    others = [other for other in SETUPS.values() if other is not setup]
    assert not {*tests} & {other.first_test_seed + seed for other in others for seed in other.seeds}
    pilot, run = setup.pilot(setup.rates[0])
    assert pilot.split == "validation" and setup.protocol.split == "test" and run.seed not in setup.seeds


def settings_of_arm(name: str, granularity: str = "trace") -> dict:
    found = asdict(P.protocol.training(Run(name, granularity, 100), SAMPLING))
    return {"assignment": found.pop("assignment"), "loss": found.pop("loss"), "rest": found}


def test_the_arms_of_the_two_by_two_differ_in_assignment_and_denominator_alone():
    arms = {name: settings_of_arm(name) for name in ("joint_pooled", "factorized", "joint", "factorized_pooled")}
    said = {
        name: (arm["assignment"].pop("assignment"), arm["loss"].pop("loss_denominator")) for name, arm in arms.items()
    }
    assert said == {
        "joint_pooled": ("joint", "pooled"),
        "factorized": ("factorized", "modality"),
        "joint": ("joint", "modality"),
        "factorized_pooled": ("factorized", "pooled"),
    }
    assert all(arm == arms["joint"] for arm in arms.values())


def test_controls_differ_from_joint_in_the_assignment_alone_and_one_in_the_number_of_problems():
    setup = SETUPS["C-controls"]
    arms = {arm.name: asdict(setup.protocol.training(Run(arm.name, "turn", 600), SAMPLING)) for arm in setup.arms}
    said = {name: arm["assignment"].pop("assignment") for name, arm in arms.items()}
    assert said == {
        "joint": "joint", "factorized": "factorized", "swapped": "swapped", "joint_double": "joint",
        "whitened": "whitened", "to_go": "to_go",
    }  # fmt: skip
    assert arms["joint_double"].pop("num_problems") == 2 * arms["joint"]["num_problems"]
    assert all(arm == {name: arms["joint"][name] for name in arm} for arm in arms.values())


def test_a_control_is_set_against_joint_where_a_set_up_has_it():
    setup = SETUPS["C-controls"]
    rates = {"base": 0.5, "joint_turn": 0.6, "swapped_turn": 0.3, "to_go_turn": 0.66}
    found = of_values(setup, {key: dict.fromkeys(range(3), rate) for key, rate in rates.items()})
    assert found["gain_swapped_over_joint"]["mean"] == pytest.approx(-0.5)
    assert found["gain_to_go_over_joint"]["mean"] == pytest.approx(0.1)
    assert found["gain_whitened_over_joint"] is None and "gain_swapped_over_joint" not in of_values(P, values())
    assert {"gain_swapped_over_joint", "gain_to_go_over_joint"} <= gains_of(found).keys()


@pytest.mark.parametrize("name", ["A", "C-controls"])
def test_the_registered_primary_comparison_is_the_first_that_is_said_and_has_its_p_value(name):
    setup = SETUPS[name]
    keys = ["base", *(arm.key for arm in setup.arms)]
    found = of_values(setup, {key: {seed: 0.5 + 0.01 * i for seed in range(6)} for i, key in enumerate(keys)})
    first, *others = gains_of(found | {"primary": PRIMARY[setup.primary[1], setup.primary[0]]}).values()
    granularity = setup.primary[0].rpartition("_")[2]
    assert first.startswith(f"primary: factorized over joint by {granularity}")
    assert others and not [words for words in others if "primary" in words]
    assert found["gain_factorized_turn_over_joint_turn"]["sign_flip_p"] == pytest.approx(2 / 64)


@pytest.mark.parametrize("name", SETUPS)
def test_the_table_of_gains_has_a_row_for_every_reading_with_the_two_arms_that_it_compares(name):
    setup, rng = SETUPS[name], np.random.default_rng(0)
    keys = ["base", *(arm.key for arm in setup.arms)]
    known = {key: dict(enumerate(rng.uniform(0.3, 0.9, 6))) for key in keys}
    found = of_values(setup, known) | {"measure": setup.measure}
    lines = gains_table({"setups": {name: found}}).splitlines()[2:]
    readings = readings_of(found)
    assert readings and len(lines) == len(readings)
    for (gain, words), line in zip(readings.items(), lines, strict=True):
        second, first = compared(gain, found)
        ratios = [known[second][seed] / known[first][seed] for seed in range(6)]
        assert found[gain]["mean"] == pytest.approx(np.exp(np.mean(np.log(ratios))) - 1)
        rates = " | ".join(f"{np.mean([*known[key].values()]):.3f}" for key in ("base", first, second))
        assert f"set-up {name}, {words}" in line
        assert f"(6 seeds) | {rates} | {change(found[gain]['mean'])}" in line
    over_base = change(found["gain_factorized_over_base"]["mean"])
    assert any(line.split(" | ")[-1].startswith(over_base) for line in lines)


def test_set_up_p_is_the_authors_own_as_far_as_their_public_repositories_show():
    arm = settings_of_arm("joint_pooled")
    assert arm["assignment"]["reward_weights"] == {"text": 2.5, "image": 1.0}
    assert (arm["assignment"]["text_score"], arm["assignment"]["image_score"]) == ("answer", "cells")
    assert (arm["assignment"]["scale_rewards"], arm["assignment"]["granularity"]) == ("none", "trace")
    assert (arm["loss"]["beta"], arm["loss"]["epsilon"], arm["loss"]["loss_type"]) == (0.04, 0.2, "grpo")
    rest = arm["rest"]
    assert (rest["likelihood"], rest["mask_share"], rest["num_iterations"]) == ("random_mask", 0.15, 2)
    assert (rest["num_generations"], rest["lr_scheduler_type"]) == (8, "constant")
    for name, silent in (("text_only", "image"), ("image_only", "text")):
        assert settings_of_arm(name)["assignment"]["reward_weights"][silent] == 0


def test_the_primary_pair_comes_first_and_seed_by_seed():
    names = [run.name for run in P.runs]
    assert names[:4] == [
        "joint_pooled-trace-100",
        "factorized-trace-100",
        "joint_pooled-trace-101",
        "factorized-trace-101",
    ]
    assert len(names) == len(set(names)) == 4 * 10 + 2 * 5
    assert all(names.index(name) >= 20 for name in names if name.startswith(("joint-", "text_only")))


# Arms and gains of made-up values


def values(granularity: str = "trace", **changes: float) -> dict[str, dict[int, float]]:
    rates = {"base": 0.5, "joint_pooled": 0.6, "joint": 0.63, "factorized_pooled": 0.66, "factorized": 0.7} | changes
    noise = np.random.default_rng(0).normal(0, 0.01, 10)
    found = {name: {s: rate * float(np.exp(noise[s])) for s in range(10)} for name, rate in rates.items()}
    return {name if name == "base" else f"{name}_{granularity}": rows for name, rows in found.items()}


@pytest.mark.parametrize(("setup", "granularity", "other"), [("P", "trace", "turn"), ("B", "turn", "trace")])
def test_gains_are_relative_and_the_two_by_two_splits_what_differs_between_the_arms_as_theirs(
    setup, granularity, other
):
    found = of_values(SETUPS[setup], values(granularity))
    assert found["gain_separate_over_unified"]["mean"] == pytest.approx(0.7 / 0.6 - 1)
    alike = f"gain_factorized_{granularity}_over_joint_{granularity}"
    assert found[alike]["mean"] == pytest.approx(0.7 / 0.63 - 1)
    assert found["gain_factorized_over_base"]["mean"] == pytest.approx(0.7 / 0.5 - 1)
    parts = (1 + found["gain_assignment"]["mean"]) * (1 + found["gain_denominator"]["mean"])
    assert parts == pytest.approx(0.7 / 0.6)
    assert found[f"joint_{other}"] is None and found[alike.replace(granularity, other)] is None


def test_the_gain_over_the_start_is_of_the_arm_that_its_words_name():
    for more, granularity in ((), "trace"), (("factorized_turn",), "turn"):
        given = values()
        given |= {key: {seed: 2 * rate for seed, rate in given["base"].items()} for key in more}
        found = of_values(P, given)
        gained = found[f"factorized_{granularity}"]["mean"] / found["base"]["mean"] - 1
        assert found["gain_factorized_over_base"]["mean"] == pytest.approx(gained)
        said = gains_of(found)
        assert said["gain_factorized_over_base"].startswith(f"factorized by {granularity} over the start")
        assert "gain_factorized_turn_over_joint_turn" not in said


@pytest.mark.parametrize("missing", [f"{name}_trace" for name in CELLS])
def test_what_lacks_an_arm_is_null(missing):
    rows = values()
    del rows[missing]
    found = of_values(P, rows)
    assert found[missing] is None and found["gain_assignment"] is None and found["gain_denominator"] is None
    assert (found["gain_separate_over_unified"] is None) == (missing in ("joint_pooled_trace", "factorized_trace"))


def test_there_is_no_interval_below_three_seeds():
    two = {key: {seed: rows[seed] for seed in (0, 1)} for key, rows in values().items()}
    found = of_values(P, two)
    assert found["gain_separate_over_unified"]["ci95"] is None and found["base"]["ci95"] is None
    three = {key: {seed: rows[seed] for seed in (0, 1, 2)} for key, rows in values().items()}
    assert of_values(P, three)["base"]["ci95"] is not None


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_interval_of_a_gain_covers_the_truth_as_often_as_it_says(seeds):
    """Seeds that differ, and 1,000 test problems of its own for each, the same in both arms."""
    rng, problems, times = np.random.default_rng(seeds), 1000, 1200
    held, truth = 0, 0.7 / 0.62 - 1
    for _ in range(times):
        luck = rng.normal(0, 0.02, (2, seeds))
        draws = rng.random((seeds, problems))
        arms = [
            {s: float((draws[s] < rate * np.exp(luck[i, s])).mean()) for s in range(seeds)}
            for i, rate in enumerate((0.62, 0.7))
        ]
        found = of_values(P, {"joint_trace": arms[0], "factorized_trace": arms[1]})
        low, high = found["gain_factorized_trace_over_joint_trace"]["ci95"]
        held += low <= truth <= high
    assert abs(held / times - 0.95) < 0.025


def test_students_t_is_that_of_the_tables():
    low, high = t_interval([0.0, 1.0])
    assert high - low == pytest.approx(12.706 * 2**0.5 / 2**0.5, rel=1e-3)
    low, high = t_interval([1.0, 2.0, 3.0])
    assert (low + high) / 2 == pytest.approx(2) and high - 2 == pytest.approx(4.3027 / 3**0.5, rel=1e-4)


# Runs


def tiny_setup(checkpoint: str, seeds: int = 3, rates: tuple[float, ...] = (1e-4, 1e-3)):
    """Set-up P in one small step, with two arms."""
    protocol = replace(
        P.protocol,
        checkpoint=checkpoint,
        tasks=("maze", "transform"),
        difficulties={"easy": 1.0},
        points=(1,),
        num_problems=1,
        num_generations=2,
        problems_at_points=1,
        problems_at_end=1,
        problems_apart=1,
        first_seed=0,
    )
    arms = tuple(Arm(name, "trace", seeds) for name in ("joint_pooled", "factorized"))
    return replace(P, name="tiny", protocol=protocol, arms=arms, rates=rates, pilot_problems=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The same on a policy that knows nothing: two pilots, two seeds."""
    folder = tmp_path_factory.mktemp("start") / "checkpoint"
    fresh_pipe().save_pretrained(folder)
    return tiny_setup(str(folder), seeds=2)


def series(setup, folder) -> Series:
    return Series(setup, folder / "results", folder / "work", lambda text: None)


@pytest.mark.parametrize(("of_tasks", "chosen"), [((0.2, 0.26, 0.61, 0.9), 1e-4), ((0.2, 0.26, 0.61, 0.91), 2e-4)])
def test_of_pilots_that_solve_equally_many_the_lowest_rate_is_chosen_whatever_their_tasks(
    of_tasks, chosen, tmp_path, monkeypatch
):
    ends = {1e-4: (0.18, 0.32, 0.61, 0.86), 2e-4: of_tasks, 4e-4: (0.1, 0.1, 0.1, 0.1)}
    assert np.mean(ends[1e-4]) < np.mean((0.2, 0.26, 0.61, 0.9))  # 197 of 400 each, but for rounding
    found = series(SETUPS["B"], tmp_path)
    of_job = {job: {"sampled": {"success": {"mean": np.mean(ends[rate])}}} for job, rate in found.pilots.items()}
    monkeypatch.setattr(found, "has", of_job.__contains__)
    monkeypatch.setattr(found, "pilot_end", of_job.__getitem__)
    assert found.rate == chosen


@pytest.mark.slow
def test_runs_wait_for_the_pilots_and_nothing_is_summarised_before_an_arm_is_complete(tiny, tmp_path, monkeypatch):
    found = series(tiny, tmp_path)
    assert found.rate is None and found.ready == ["rate-0.0001", "rate-0.001", PILOT_START, "start-0", "start-1"]
    with pytest.raises(ConfigError, match="pilots are to be run first"):
        found.carry_out("factorized-trace-0")
    for job in found.ready:
        found.carry_out(job)
    assert found.rate in tiny.rates and found.missing == list(found.runs)
    *most, last = found.runs
    for job in most:
        found.carry_out(job)
    told = summary(found)
    assert told["runs"] == {"finished": 3, "registered": 4} and told["factorized_trace"] is None
    assert told["gain_factorized_over_base"] is None and told["seeds"] is None
    found.carry_out(last)
    told = summary(found)
    assert not found.missing and told["seeds"] == [0, 1] and len(told["factorized_trace"]["seeds"]) == 2
    assert all(name in told for name in GAINS)
    json.dumps(told, allow_nan=False)
    with monkeypatch.context() as patch:  # who waits for jobs looks twice a second
        patch.setattr(Reproduction, "_pipe", lambda self: pytest.fail("the start is loaded at every look"))
        assert found.ready == [] and summary(found) == told
    assert {*told["pilots"]} == {"0.0001", "0.001"} and told["pilots"][str(found.rate)] == max(
        told["pilots"].values(), key=lambda end: end[tiny.measure]
    )
    table = setup_table("P", told | {"registered": "0" * 40})
    assert "factorized as theirs" in table and "| start | " in table and table.count("(chosen) | ") == 1
    (start,) = (tmp_path / "results" / "rate-0.0001").glob("base-*.json")
    assert json.loads(start.read_text())["tested"]["split"] == "validation"


@pytest.mark.slow
def test_a_file_of_other_test_problems_is_refused(tiny, tmp_path):
    found = series(tiny, tmp_path)
    found.carry_out("start-0")
    moved = series(replace(tiny, first_test_seed=5), tmp_path)
    with pytest.raises(ConfigError, match="of other problems or another checkpoint"):
        moved.starts([0])


def test_of_a_set_up_the_medians_of_the_granularity_that_ends_higher_are_shipped(tmp_path, monkeypatch):
    found = Series(SETUPS["A"], tmp_path / "results", tmp_path / "work")
    missing = ["joint-turn-203"]
    monkeypatch.setattr(Series, "missing", property(lambda _: missing))
    with pytest.raises(ConfigError, match="--ship needs all runs of joint and factorized, missing: joint-turn-203"):
        found.ship(tmp_path / "shipped", "the command")
    missing.clear()
    ends = {
        ("joint", "trace"): 0.3,
        ("factorized", "trace"): 0.35,
        ("joint", "turn"): 0.2,
        ("factorized", "turn"): 0.5,
    }

    def outcomes(runs):
        means = [ends[run.arm, run.granularity] + 0.01 * (run.seed % 10) for run in runs]
        return [
            asdict(run) | {"end": {"sampled": {"success": {"mean": rate}}}}
            for run, rate in zip(runs, means, strict=True)
        ]

    shipped = []
    monkeypatch.setattr(found, "outcomes", outcomes)
    monkeypatch.setattr(series_module, "ship_median", lambda own, *more: shipped.append(own) or own[0]["arm"])
    assert found.ship(tmp_path / "shipped", "the command") == ["joint", "factorized"]
    of = [{(run["arm"], run["granularity"]) for run in own} for own in shipped]
    assert of == [{("joint", "turn")}, {("factorized", "turn")}] and {len(own) for own in shipped} == {10}


# Beside each other


class Made:
    """Jobs that a process marks as done by making a file."""

    def __init__(self, folder, jobs) -> None:
        self.work, self.folder, self.jobs = folder / "work", folder, jobs

    @property
    def missing(self) -> list[str]:
        return [job for job in self.jobs if not (self.folder / job).exists()]

    ready = missing


PROGRAM = """
import pathlib, sys, time
job = sys.argv[1]
if job == "bad": sys.exit("no such luck")
time.sleep(60 if job == "long" else 0)
pathlib.Path(job).touch()
"""


@pytest.mark.parametrize("beside", [1, 3])
def test_jobs_beside_each_other_are_all_done_and_one_that_fails_is_tried_once(beside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made, said = Made(tmp_path, ["a", "bad", "b", "c"]), []
    packing = Packing(made, [sys.executable, "-c", PROGRAM], beside, said.append)
    packing.run()
    assert made.missing == ["bad"] and packing.failed == {"bad": "no such luck"}
    assert said.count("bad begins") == 1


def test_of_the_jobs_only_those_that_are_named_are_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Made(tmp_path, ["a", "b", "c", "d"])
    Packing(made, [sys.executable, "-c", PROGRAM], 2, lambda words: None, ["d", "b"]).run()
    assert made.missing == ["a", "c"]


def test_at_the_deadline_what_runs_is_told_to_stop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made, said = Made(tmp_path, ["long"]), []
    packing = Packing(made, [sys.executable, "-c", PROGRAM], 1, said.append)
    packing.run(deadline=1.5)
    assert made.missing == ["long"] and not packing.running
    assert "1.5 s are over: 1 running jobs are told to stop" in said


SETUP_JOB = """
import sys
from pathlib import Path
from tests.analysis.comparison.test_setups import series, tiny_setup
series(tiny_setup(sys.argv[1], seeds=1, rates=(1e-3,)), Path(sys.argv[2])).carry_out(sys.argv[3])
"""


@pytest.mark.slow
def test_processes_beside_each_other_carry_out_a_whole_set_up(tiny, tmp_path):
    """As on a GPU, at a tiny size: every job a process, and run files and nothing else among the results."""
    checkpoint = tiny.protocol.checkpoint
    found = series(tiny_setup(checkpoint, seeds=1, rates=(1e-3,)), tmp_path)
    packing = Packing(found, [sys.executable, "-c", SETUP_JOB, checkpoint, str(tmp_path)], 3, print)
    packing.run(deadline=300)
    assert not packing.failed and not found.missing
    kept = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert kept == ["factorized-trace-0.json", "joint_pooled-trace-0.json", "start-0.json"]
    assert summary(found)["gain_factorized_over_base"]["ci95"] is None


# The command


def test_a_summary_into_another_file_is_the_one_that_is_shipped_and_changes_no_page(tmp_path):
    """Of all run files that are there: what is published is what they say."""
    page, out = ROOT / ANALYSIS_PAGE, tmp_path / "new.json"
    before = page.read_bytes()
    assert main(["reproduce", "--setup", "P", "--summary", "--out", str(out)]) == 0
    assert json.loads(out.read_text()) == json.loads((ROOT / OUT).read_text())
    assert page.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--setup", "Z"], "--setup must be one of P, P-trajectory, A, B, B-masks, C, C-controls, C-long, got 'Z'"),
        (["--setup", "P", "--quick"], "--quick is of the comparison without a --setup"),
        (["--setup", ""], "--setup must be one of P"),
        (["--setup", "P", "--only", "start-100", "--ship", "here"], "--ship is of all runs of an arm"),
        (["--setup", "P", "--only", "start-100", "--summary"], "--summary runs nothing, and not with --only"),
        (["--setup", "P", "--plan", "--ship", "here"], "--plan only says what there is, and not with --ship"),
        (["--setup", "P", "--out", "README.md", "--readme", "README.md"], "--readme must be another file than --out"),
        (["--setup", "P", "--summary", "--out", "README.md"], "README.md' is not JSON"),
        (["--setup", "P", "--only", "joint-trace-1"], "--only must be of the set-up's runs"),
        (["--deadline", "3"], "--beside and --deadline are of a --setup"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(words, says, capsys):
    assert main(["reproduce", *words]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--beside", "0"], "--beside must be a whole number from 1 to 1024, got '0'"),
        (["--deadline", "nan"], "--deadline must be 0 (none) or a number from 1 to 10000000, got 'nan'"),
    ],
)
def test_a_number_out_of_range_is_refused(words, says, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["reproduce", "--setup", "P", *words])
    assert says in capsys.readouterr().err


def test_the_plan_of_a_set_up_names_pilots_starts_and_runs(tmp_path, capsys):
    assert main(["reproduce", "--setup", "P", "--plan", "--results", str(tmp_path), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    pilots = ["rate-1e-05", "rate-3e-05", "rate-0.0001", "rate-0.0003", "rate-0.001"]
    assert state["finished"] == [] and state["missing"][:5] == pilots
    assert "factorized-trace-109" in state["missing"] and "start-104" in state["missing"]


def test_a_set_up_that_is_not_registered_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "registered", dict)
    with pytest.raises(ConfigError, match=r"set-up P is not registered: commit it and note that in registered\.json"):
        registry.check_registered(P)


def test_a_set_up_that_was_changed_after_it_was_registered_is_refused(monkeypatch):
    noted = {"P": {"commit": "c" * 40, "digest": "another"}}
    monkeypatch.setattr(registry, "registered", lambda: noted)
    with pytest.raises(ConfigError, match="set-up P differs from what was registered at cccccccccccc"):
        registry.check_registered(P)


@pytest.mark.parametrize("name", ["joint", "factorized"])
def test_the_shipped_checkpoints_are_of_the_set_up_that_is_named(name):
    card = " ".join((places.ROOT / "checkpoints" / name / "TRAINING.md").read_text(encoding="utf-8").split())
    assert f"reproduce --setup {SHIPPED} --only {name}-turn-" in card
