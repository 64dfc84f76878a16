"""Metrics and rollouts told to a tracker: a stand-in takes what the real packages would."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mmreason import places
from mmreason.__main__ import main
from mmreason.errors import ConfigError
from mmreason.rewards.verify import Verifier
from mmreason.tasks import make_problem
from mmreason.training.run.report import COLUMNS, TRACKERS, Report, tracker_of
from tests.helpers.standin import SHEET, WORDS, stand_in_trace


class Table:
    def __init__(self, dataframe: Any) -> None:
        self.dataframe = dataframe


@pytest.fixture(params=TRACKERS)
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the tracker of that name was told, in order."""
    said: list[Any] = [request.param]
    module = ModuleType(request.param)
    module.init = lambda **fields: said.append(("init", fields))  # type: ignore[attr-defined]
    module.log = lambda values, step: said.append((step, values))  # type: ignore[attr-defined]
    module.finish = lambda: said.append("finish")  # type: ignore[attr-defined]
    module.Table = Table  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, request.param, module)
    return said


def test_rewards_leak_and_rollouts_are_told_by_step(told: list[Any]) -> None:
    trace = Verifier(WORDS, SHEET).score(stand_in_trace(make_problem("maze", "easy", 7)))
    report = Report([told[0], told[0]], Path("runs/first"), {"max_steps": 2})
    report.row({"step": 1, "reward": 0.5, "success": {"maze": 0.25}, "leak_to_signal": 1.5, "cosine": None})
    report.rollouts([trace, trace], 1)
    report.close()
    name, (what, begun), metrics, (step, tables), (last, rewards), (_, leak), end = told
    assert (what, begun) == ("init", {"project": "mmreason", "name": "first", "config": {"max_steps": 2}})
    assert metrics == (1, {"reward": 0.5, "success/maze": 0.25, "leak_to_signal": 1.5})
    rows = tables["rollouts"].dataframe
    assert step == 1 and list(rows.columns) == list(COLUMNS) and len(rows) == 2 * len(trace.segments)
    assert rows["text"][0] == trace.segments[0].text and bool(rows["right"][0]) and end == "finish"
    (rewards,), (leak,) = (table.dataframe.to_dict("records") for table in (rewards["rewards"], leak["leak"]))
    assert (last, rewards["step"], rewards["reward"]) == (1, 1, 0.5) and leak["leak_to_signal"] == 1.5
    assert name in TRACKERS


def test_the_versions_that_are_named_are_those_that_are_pinned() -> None:
    pinned = (places.ROOT / "requirements-trackers.txt").read_text().splitlines()
    assert [line for line in pinned if line and line[0] != "#"] == [f"{n}=={v}" for n, v in TRACKERS.items()]


@pytest.mark.parametrize("name", TRACKERS)
def test_a_package_that_is_not_here_is_one_sentence_and_exit_code_2(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(ConfigError, match=f"pip install {name}"):
        tracker_of(name)
    assert main(["train", "--report_to", name, "--output", str(tmp_path / "run"), "--steps", "1"]) == 2
    said = capsys.readouterr().err
    assert f"pip install {name}" in said and said.count("\n") == 1


def test_without_a_tracker_nothing_is_told() -> None:
    report = Report([], Path("run"), {})
    report.row({"step": 1})
    report.rollouts([], 1)
    report.close()
