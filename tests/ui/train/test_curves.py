"""Figures, estimates and verdicts of the tab Train."""

import json

import pytest
import torch

from mmreason import places
from mmreason.analysis.train_rate import measure_rate, read_rates
from mmreason.training.rl.metrics import Panel
from mmreason.training.rl.presets import BOTH, TrainSettings
from mmreason.ui.runs import estimate
from mmreason.ui.shell.words import duration
from mmreason.ui.train import curves
from mmreason.ui.train.curves import PICTURES, WORDS, figures, lines_of, smoothed
from mmreason.ui.train.verdict import arm_verdict
from tests.helpers.training_runs import evaluation, row

SMALL = {"num_problems": 4, "num_generations": 5, "eval_steps": 5, "eval_problems": 10}
ROWS = [evaluation(0, 0.5), row(1), row(2), evaluation(3, 0.6)]


def test_smoothing_is_a_mean_without_the_bias_of_its_start():
    assert smoothed([1.0, 3.0], 0) == [1.0, 3.0]
    assert smoothed([2.0, 2.0, 2.0], 0.9) == pytest.approx([2.0] * 3)
    assert smoothed([0.0, 1.0], 0.5) == pytest.approx([0.0, 2 / 3])


def test_words_are_indigo_pictures_amber_and_no_two_lines_alike():
    lines = lines_of([("joint", ROWS, 80), ("factorized", ROWS, 80)], [("24 Nov factorized", ROWS, 80)])
    reward, success, leak, update = figures(lines, 60, 0.0)
    assert [curve.line.color for curve in reward.data] == [WORDS, PICTURES] * 3
    for figure, count in ((reward, 6), (success, 3)):
        looks = {(curve.line.color, curve.line.dash, curve.marker.symbol) for curve in figure.data}
        assert len(looks) == len(figure.data) == count
    assert [curve.name for curve in reward.data][:2] == ["joint words", "joint pictures"]
    assert list(success.data[0].y) == [50, 60] and success.data[0].error_y.array[0] > 0
    assert list(leak.data[0].y) == [0.7, 0.7] and list(leak.data[3].y) == pytest.approx([20.0] * 4)
    assert len(update.data) == 6  # entropy alone: nothing was clipped, and KL was not measured


def test_kl_and_clipping_are_drawn_once_there_is_something_of_them():
    rows = [*ROWS, row(4, **{"kl/text": 0.1}), row(5, **{"clip_ratio/image": 0.02})]
    update = figures(lines_of([("", rows, 80)], []), 60, 0.0)[3]
    assert [title.text for title in update.layout.annotations] == ["Entropy", "KL to the start", "Clipped, %"]
    assert max(update.data[5].y) == 2


def test_smoothed_curves_keep_their_points():
    reward = figures(lines_of([("", ROWS, 80)], []), 60, 0.5)[0]
    assert [curve.mode for curve in reward.data] == ["markers", "lines+markers"] * 2


def test_a_figure_without_rows_is_a_figure():
    assert len(figures(lines_of([("", [], 80)], []), 60, 0.5)) == 4


@pytest.mark.parametrize(
    ("after", "said"), [(0.55, "no clear change"), (0.95, "clearly better"), (0.1, "clearly worse")]
)
def test_a_verdict_compares_intervals_on_the_same_problems(after, said):
    text = arm_verdict([evaluation(0, 0.5), row(1), evaluation(2, after)], 80)
    assert text.startswith(f"{said}. Of the same 80 held-out problems it solved 50 % (39 to 61) at the start")
    assert ("overlap" in text) == (said == "no clear change")
    assert arm_verdict([evaluation(0, 0.5)], 80) == ""


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
    assert both.seconds == pytest.approx(2 * found.seconds)
    assert "About 48 s" in estimate.words(settings)


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
    monkeypatch.setattr(curves, "PANELS", (*curves.PANELS, Panel("interference", "Turns", "turns")))
    rows = [row(1, turns=3.0), row(2, turns=4.0)]
    leak = figures(lines_of([("", rows, 80)], []), 60, 0.0)[2]
    assert leak.layout.annotations[-1].text == "Turns" and list(leak.data[-1].y) == [3.0, 4.0]
