"""What holds of the loop around a supervised run, whatever it trains."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised.config import SupervisedConfig
from mmreason.training.supervised.loop import run_supervised

STEPS = 12


class Killed(BaseException):
    """Stands for the end of the process."""


class Counting:
    """A state that only counts its steps."""

    def __init__(self, config: SupervisedConfig) -> None:
        self.config, self.step, self.seconds = config, 0, 0.0

    @property
    def progress(self) -> float:
        return self.config.progress(self.step, self.seconds)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]


def export(folder: Path) -> None:
    (folder / "weights").touch()


def rows(folder: Path, config: SupervisedConfig, killed_after: int | None = None) -> list[dict[str, Any]]:
    """The metrics of the run in ``folder``, which begins there or goes on, and may be killed in a step."""
    state = Counting(config)

    def steps() -> Iterator[dict[str, float]]:
        while state.progress < 1:
            if state.step == killed_after:
                raise Killed
            state.step += 1
            lost = state.step % 5 == 0  # by its gradient
            yield {"loss": 1 / state.step, "grad_norm": math.nan if lost else 0.1} | ({"skipped": 1.0} if lost else {})

    run = RunDirectory(folder)
    with suppress(Killed):
        run_supervised(run, config, {}, state, steps, export, dict, (), resume=run.has_begun)
    return run.read_metrics()


@pytest.mark.parametrize("logging_steps", [1, 3, 20])
@pytest.mark.parametrize("save_steps", [2, 5])
@pytest.mark.parametrize("killed_after", [[1], [6], [9, 11], range(1, STEPS)])
def test_a_killed_and_resumed_run_has_the_metrics_of_an_uninterrupted_one(
    killed_after: list[int], save_steps: int, logging_steps: int, tmp_path: Path
) -> None:
    numbers: dict[str, Any] = {"save_steps": save_steps, "logging_steps": logging_steps, "eval_steps": 0}
    config = SupervisedConfig(steps=STEPS, warmup_steps=0, **numbers)
    for step in killed_after:
        rows(tmp_path / "killed", config, step)
    found, wanted = rows(tmp_path / "killed", config), rows(tmp_path / "whole", config)
    assert found == wanted and wanted[-1]["step"] == STEPS


@pytest.mark.parametrize("older", ["without its window", "without step.json"])
def test_a_run_of_an_older_version_goes_on(older: str, tmp_path: Path) -> None:
    config = SupervisedConfig(steps=STEPS, warmup_steps=0, save_steps=5, logging_steps=4, eval_steps=0)
    rows(tmp_path, config, 7)
    file = tmp_path / "state" / "step.json"
    if older == "without step.json":
        file.unlink()
    else:
        told = json.loads(file.read_text())
        assert len(told.pop("window")) == 1
        file.write_text(json.dumps(told))
    assert [row["step"] for row in rows(tmp_path, config)] == [4, 8, 12]
