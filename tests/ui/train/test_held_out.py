"""The held-out problems before and after: which of those that were kept are shown."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from mmreason import places
from mmreason.rewards.pixels import judge_of
from mmreason.tasks import make_problem
from mmreason.traces.versions.views import to_two
from mmreason.training.rl.presets import BOTH, TrainSettings
from mmreason.training.run.traces import keep_held_out
from mmreason.ui.host.web.sheets import PICTURES
from mmreason.ui.runs.store import Run
from mmreason.ui.train.held_out import SHOWN, held_out_value
from tests.helpers import public
from tests.helpers.training_runs import empty_store

EXAMPLE = places.ASSETS / "train_example" / "joint" / "held_out" / "step00000.json"


@pytest.fixture
def run(tmp_path, monkeypatch):
    empty_store(tmp_path, monkeypatch)
    return Run("one", "owner", 0.0, TrainSettings(assignment=BOTH))


def keep(run, arm: str, step: int, solved: list[bool]) -> None:
    """An evaluation of as many problems, each with a name of its own."""
    content = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    made = content["traces"][0]
    traces = [
        made | {"success": success, "problem": made["problem"] | {"task": f"task {i}"}}
        for i, success in enumerate(solved)
    ]
    path = run.arm_folder(arm) / "held_out" / f"step{step:05d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | {"step": step, "traces": traces}))


def titles(run) -> list[str]:
    return [row["title"].partition(",")[0] for row in held_out_value(run)["rows"]]


def test_problems_that_changed_in_either_arm_come_first_and_the_others_in_their_order(run):
    before = [False] * 6
    for arm, after in (("joint", [*before[:4], True, False]), ("factorized", [False, False, True, *before[:3]])):
        keep(run, arm, 0, before)
        keep(run, arm, 8, after)
    assert titles(run) == ["task 2", "task 4", "task 0"] and SHOWN == 3
    assert held_out_value(run)["says"] == "3 of 6 that were kept; those that changed come first."


def test_one_that_is_lost_has_changed_as_much_as_one_that_is_gained(run):
    for arm in ("joint", "factorized"):
        keep(run, arm, 0, [True, True, True, False, True])
        keep(run, arm, 8, [True, True, True, True, False])
    assert titles(run) == ["task 3", "task 4", "task 0"]


def test_where_all_are_shown_nothing_is_said_of_others(run):
    for arm in ("joint", "factorized"):
        keep(run, arm, 0, [False, True, False])
        keep(run, arm, 8, [False, True, True])
    assert titles(run) == ["task 2", "task 0", "task 1"] and held_out_value(run)["says"] == ""


def test_before_the_first_test_after_a_step_they_stand_in_their_order(run):
    keep(run, "joint", 0, [True, False, True, False])
    assert titles(run) == ["task 0", "task 1", "task 2"]
    assert held_out_value(run)["says"] == "3 of 4 that were kept."


def test_rollouts_of_a_public_checkpoint_are_kept_and_shown_as_their_pictures(run):
    pipe = public.pipeline()
    problems = [make_problem("maze", "easy", seed, "validation") for seed in range(3)]
    made = pipe(problems, pipe.sampling_config(num_steps=1, max_turns=1), [1, 2, 3]).traces
    traces = [judge_of(pipe).score(trace) for trace in made]
    for arm in ("joint", "factorized"):
        for step in (0, 8):
            keep_held_out(run.arm_folder(arm), step, traces, pipe, 2)
    kept = json.loads((run.arm_folder("joint") / "held_out" / "step00008.json").read_text())
    assert kept == {**to_two([traces[0], traces[1]], pipe), "step": 8}
    shown = held_out_value(run)
    assert shown["sheet"] is None and [row["title"] for row in shown["rows"]] == ["maze, easy"] * 2
    for row, trace in zip(shown["rows"], traces, strict=False):
        assert [side["name"] for side in row["sides"]] == ["Before", "Joint, step 8", "Factorized, step 8"]
        assert len({json.dumps({**side, "name": ""}) for side in row["sides"]}) == 1, "all three are the same here"
        told = row["sides"][0]
        picture = PICTURES.get(told["picture"]["src"].removeprefix("picture/").removesuffix(".png"))
        last = next((s.picture for s in reversed(trace.segments) if s.picture is not None), trace.problem.image)
        assert picture is not None and np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), last)
        assert (told["picture"]["width"], told["picture"]["height"]) == last.shape[1::-1]
        assert [s["kind"] for s in told["segments"]] == [s.kind for s in trace.segments]
        assert [s.get("text") for s in told["segments"]] == [s.text or None for s in trace.segments]
        rights = [s.verdict and s.verdict.right for s in trace.segments]
        assert [s["verdict"] and s["verdict"]["right"] for s in told["segments"]] == rights
        assert told["success"] == trace.success and told["end_reason"] == trace.end_reason
