"""Figures, estimates and verdicts of the tab Train."""

import json

import pytest
import torch

from mmreason import places
from mmreason.analysis.train_rate import measure_rate, read_rates
from mmreason.training.rl.metrics import Panel
from mmreason.training.rl.presets import BOTH, TrainSettings
from mmreason.ui.runs import estimate, store
from mmreason.ui.runs.state import status_of
from mmreason.ui.train import curves
from mmreason.ui.train.curves import PICTURES, WORDS, figures, lines_of, smoothed
from mmreason.ui.train.verdict import arm_verdict, verdict
from mmreason.wording import duration
from tests.helpers.training_runs import OWNER, empty_store, evaluation, leave, row

SMALL = {"num_problems": 4, "num_generations": 5, "eval_steps": 5, "eval_problems": 10}
ROWS = [evaluation(0, 0.5), row(1), row(2), evaluation(3, 0.6)]


def test_smoothing_is_a_mean_without_the_bias_of_its_start():
    assert smoothed([1.0, 3.0], 0) == [1.0, 3.0]
    assert smoothed([2.0, 2.0, 2.0], 0.9) == pytest.approx([2.0] * 3)
    assert smoothed([0.0, 1.0], 0.5) == pytest.approx([0.0, 2 / 3])


def of_arms(*arms, rows=None, earlier=()):
    """Lines of ``arms`` of a run, and of earlier ones."""
    return lines_of([(arm, arm, rows or ROWS, 80) for arm in arms], [(name, name, ROWS, 80) for name in earlier])


def look(line):
    return line["colour"], line["dash"], line["mark"]


def test_words_are_indigo_pictures_amber_arms_have_colours_of_their_own_and_no_two_lines_are_alike():
    lines = of_arms("joint", "factorized", earlier=["24 Nov factorized"])
    success, reward, leak, conflict, entropy = figures(lines, 60, 0.0)
    assert [line["colour"] for line in reward["lines"]] == [WORDS, PICTURES] * 3
    assert len({line["colour"] for line in success["lines"]}) == 3
    for figure, count in ((reward, 6), (success, 3), (entropy, 6)):
        assert len({look(line) for line in figure["lines"]}) == len(figure["lines"]) == count
        assert len({look(line)[1:] for line in success["lines"]}) == 3  # a dash and a mark, not the colour alone
    assert [line["name"] for line in reward["lines"]][:2] == ["joint words", "joint pictures"]
    (_, first, low, high, _), (_, last, *_) = success["lines"][0]["points"]
    assert low < first == 50 < high and last == 60
    assert [point[1] for point in leak["lines"][0]["points"]] == [0.7, 0.7]
    assert [point[1] for point in conflict["lines"][0]["points"]] == pytest.approx([20.0] * 4)


def test_kl_and_clipping_are_drawn_once_there_is_something_of_them():
    rows = [*ROWS, row(4, **{"kl/text": 0.1}), row(5, **{"clip_ratio/image": 0.02})]
    drawn = {figure["title"]: figure for figure in figures(of_arms("factorized", rows=rows), 60, 0.0)}
    assert [*drawn][-3:] == ["Entropy", "KL to the start", "Clipped"]
    assert max(point[1] for point in drawn["Clipped"]["lines"][1]["points"]) == 2


def test_smoothed_curves_keep_their_points():
    reward = figures(of_arms("joint"), 60, 0.5)[1]
    assert [line.get("weight", 2) for line in reward["lines"]] == [0, 2] * 2
    raw, smooth = reward["lines"][:2]
    assert len(raw["points"]) == len(smooth["points"]) and raw["points"] != [each[:2] for each in smooth["points"]]


def test_a_figure_without_rows_is_a_figure():
    assert len(figures(lines_of([("", "joint", [], 80)], []), 60, 0.5)) == 2


def solved(step, right, of=80):
    """An evaluation that solved the first ``right`` problems."""
    return evaluation(step, right / of, solved="1" * right + "0" * (of - right))


@pytest.mark.parametrize(
    ("before", "after", "said", "counts"),
    [
        (40, 44, "no clear change", "4 gained, 0 lost, +5.0 points"),
        (40, 50, "clearly better", "10 gained, 0 lost, +12.5 points"),  # the intervals of the rates overlap
        (40, 20, "clearly worse", "0 gained, 20 lost, −25.0 points"),
    ],
)
def test_a_verdict_is_paired_on_the_same_problems(before, after, said, counts):
    text = arm_verdict([solved(0, before), row(1), solved(2, after)], 80)
    assert text.startswith(f"{said}, from 50 % to ") and "of the same 80 held-out problems by step 2" in text
    assert counts in text and "exact McNemar test" in text
    assert arm_verdict([solved(0, 40)], 80) == ""


def test_a_run_that_has_not_noted_its_problems_is_judged_by_intervals():
    text = arm_verdict([evaluation(0, 0.5), row(1), evaluation(2, 0.55)], 80)
    assert text.startswith("no clear change, from 50 % to 55 %") and "overlap" in text
    assert arm_verdict([evaluation(0, 0.5), evaluation(2, 0.95)], 80).startswith("clearly better")


def test_the_arms_are_compared_on_the_same_problems(tmp_path, monkeypatch):
    empty_store(tmp_path, monkeypatch)
    run = store.create(TrainSettings(assignment=BOTH, eval_problems=80, steps=2), OWNER, [])
    leave(run, "joint", [solved(0, 40), solved(2, 42)], saved=2)
    leave(run, "factorized", [solved(0, 40), solved(2, 60)], saved=2)
    text = verdict(status_of(store.find(run.id)))[-1][1]
    assert text.startswith(
        "Factorized against joint after step 2, on the same problems: factorized is ahead, 18 gained"
    )


# The estimate


@pytest.fixture
def rates(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ASSETS", tmp_path)
    (tmp_path / "results").mkdir()
    cell = {"rollout_seconds": 0.1, "update_seconds": 0.05, "tokens": 100}
    content = {"machine": "one CPU thread", "start_seconds": 6, "rates": {"sudoku": {"medium": cell, "hard": cell}}}
    estimate.rates_path().write_text(json.dumps(content))
    return content


def test_the_estimate_is_arithmetic_on_measured_rates(rates):
    settings = TrainSettings(steps=10, tasks=["sudoku"], **SMALL)
    found = estimate.estimate(settings)
    learning, evaluating, leak = 10 * 20 * 0.15, 3 * 10 * 0.1, 3 * 20 * 3 * 0.05
    assert found.seconds == pytest.approx(6 + learning + evaluating + leak)
    assert found.tokens == 10 * 20 * 100
    both = estimate.estimate(settings.but(assignment=BOTH))
    assert both.seconds == pytest.approx(6 + 2 * (found.seconds - 6))  # one process trains both
    often = estimate.estimate(settings.but(resample=2))
    assert often.seconds - found.seconds == pytest.approx(10 * 2 * 20 * 0.1)  # every group once more, and again
    assert estimate.words(settings.but(resample=2)).startswith("At most ")
    assert estimate.estimate(settings.but(beta=0.04)) is None
    assert "what a beta above 0 adds was not measured" in estimate.words(settings.but(beta=0.04))
    assert "About 48 s" in estimate.words(settings) and "stops a run" not in estimate.words(settings)
    assert "This host stops a run after 4.0 h; Resume" in estimate.words(settings.but(steps=100_000))


@pytest.mark.usefixtures("real_checkpoints")
def test_what_was_measured_in_blocks_is_not_said_of_a_bidirectional_policy(rates):
    of_blocks = TrainSettings(steps=10, tasks=["sudoku"], **SMALL)
    whole = TrainSettings("base-full", steps=10, tasks=["sudoku"], **SMALL)
    assert estimate.estimate(of_blocks) is not None and estimate.estimate(whole) is None
    assert "nothing was measured for it here" in estimate.words(whole)


def test_on_a_gpu_a_batch_costs_something_besides_its_rollouts(rates, monkeypatch):
    settings = TrainSettings(steps=10, tasks=["sudoku"], **SMALL)
    on_cpu = estimate.estimate(settings)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert estimate.estimate(settings) is None  # a CPU's rates say nothing of a GPU
    besides = {"rollout_batch_seconds": 0.5, "update_batch_seconds": 0.25}
    cell = rates["rates"]["sudoku"]["medium"] | besides
    content = rates | {"machine": "a card", "rates": {"sudoku": {"medium": cell, "hard": cell}}}
    estimate.rates_path().write_text(json.dumps(content))
    found = estimate.estimate(settings)
    assert found.machine == "a card"
    assert found.seconds - on_cpu.seconds == pytest.approx(10 * 0.75 + 3 * 0.5 + 3 * 3 * 0.25)


def test_two_sizes_of_batch_tell_what_a_rollout_costs_and_what_the_batch(tiny_pipe):
    sizes, ticks = (1, 3), iter([0.0, 1.0, 3.0, 10.0, 12.0, 20.0])
    rate = measure_rate(tiny_pipe, ["sudoku"], ["easy"], sizes, 2, clock=lambda: next(ticks))["sudoku"]["easy"]
    assert rate.pop("tokens") > 0
    assert rate == {  # 2 rollouts in 1 s, 6 in 2 s; updates in 2 s and 8 s: no batch costs less than nothing
        "rollout_seconds": 0.25,
        "rollout_batch_seconds": 0.5,
        "update_seconds": pytest.approx(8 / 6, abs=1e-4),
        "update_batch_seconds": 0.0,
    }


def test_what_was_not_measured_is_not_estimated(rates):
    unknown = TrainSettings(tasks=("maze",))
    assert estimate.estimate(unknown) is None
    assert "is known after the first step" in estimate.words(unknown)
    estimate.rates_path().write_text("{")
    assert read_rates(estimate.rates_path()) is None
    assert "python -m mmreason make train-rate" in estimate.words(TrainSettings())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (59, "59 s"), (102, "1 min 40 s"), (120, "2 min"), (900, "15 min"), (7200, "2.0 h")],
)
def test_durations_are_said_as_exactly_as_they_are_known(seconds, said):
    assert duration(seconds) == said


def test_a_metric_is_drawn_by_its_panel_alone(monkeypatch):
    monkeypatch.setattr(curves, "PANELS", (*curves.PANELS, Panel("Turns", "turns")))
    rows = [row(1, turns=3.0), row(2, turns=4.0)]
    last = figures(of_arms("joint", rows=rows), 60, 0.0)[-1]
    assert last["title"] == "Turns" and [point[1] for point in last["lines"][0]["points"]] == [3.0, 4.0]


def test_steps_that_pushed_nothing_the_wrong_way_are_drawn_at_zero():
    rows = [row(step, sign_conflict=0.0, clip_ratio=0.0) for step in (1, 2)]
    drawn = {each["title"]: each for each in figures(of_arms("joint", rows=rows), 2, 0.0)}
    pushed = drawn["Pushed the wrong way"]
    assert [point[1] for point in pushed["lines"][0]["points"]] == [0.0, 0.0] and pushed["y"]["high"] == 1.0
    assert not any(title.startswith("Clipped") for title in drawn)


def test_every_reward_of_ones_own_has_a_figure_by_its_name():
    rows = [row(step, **{"rewards/length/mean": 3.5 * step, "rewards/judge/mean": None}) for step in (1, 2)]
    drawn = figures(of_arms("joint", rows=rows), 2, 0.0)
    assert [each["title"] for each in drawn if "Own reward" in each["title"]] == ["Own reward: length"]
    assert not any("Own reward" in each["title"] for each in figures(of_arms("joint"), 2, 0.0))
