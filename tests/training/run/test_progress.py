"""What holds of the progress line: one line on a terminal, few lines in a log."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from mmreason.training.run import progress
from mmreason.training.run.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_log_gets_a_line_every_ten_seconds_and_the_last_one(clock):
    out = io.StringIO()
    line = ProgressLine("policy", out)
    for step in range(1, 31):
        clock[0] += 1
        line.show(step, 30, {"loss": 0.12345})
    lines = out.getvalue().splitlines()
    assert [text.split()[1] for text in lines] == ["1/30", "11/30", "21/30", "30/30"]
    assert "loss 0.123" in lines[0]


def test_the_time_left_follows_the_speed(clock):
    out = io.StringIO()
    line = ProgressLine("policy", out)
    for step in (10, 40):  # 30 steps in 60 seconds: 60 more take two minutes
        line.show(step, 100, {})
        clock[0] += 60
    assert "2 min left" in out.getvalue().splitlines()[1]
    assert "left" not in out.getvalue().splitlines()[0]


def test_a_terminal_rewrites_its_line_and_closing_ends_it(clock):
    out = Terminal()
    line = ProgressLine("policy", out)
    for step in (1, 2, 3):
        clock[0] += 1
        line.show(step, 3, {})
    line.close("done")
    assert out.getvalue().count("\r") == 3
    assert out.getvalue().endswith("done\n")


def test_on_a_terminal_nothing_of_a_longer_line_is_left_and_none_is_so_long_that_it_breaks(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    line = ProgressLine("factorized step", out)
    line.show(1, 3, {"text": 0.8, "image": 0.9, "seconds": 12.3}, "1.5 min + 30 s evaluating left")
    line.close("evaluated")
    shown, ended = out.getvalue().split("\r")
    assert shown == "factorized step 1/3  text 0.8  image 0." + progress.CLEAR and len(shown) == 39 + len(
        progress.CLEAR
    )
    assert ended == f"{progress.CLEAR}evaluated\n"
    log = io.StringIO()
    ProgressLine("step", log).show(1, 3, {}, "30 s left")
    assert log.getvalue() == "step 1/3  30 s left\n"
