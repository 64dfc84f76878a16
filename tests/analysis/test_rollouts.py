"""How rewards push anybody's rollouts, and what to read first in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmreason.analysis.rollouts.first_look import first_look
from mmreason.analysis.rollouts.push import pushes
from mmreason.rewards.assignment import AssignmentConfig, assign, interference
from mmreason.tasks import make_problem
from mmreason.traces.group import load_group
from mmreason.traces.opening import open_rollouts
from mmreason.traces.rebuild import rebuild_group, with_recorded
from mmreason.traces.rollouts import Rollouts

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("granularity", ["trace", "turn"])
@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "groups").glob("*.json")), ids=lambda path: path.stem)
def test_a_group_of_ours_is_pushed_as_training_pushes_it(path: Path, granularity: str) -> None:
    members = load_group(path)
    rebuilt = rebuild_group(members, replace(make_problem("maze", "easy", 0), turns=members[0]["problem"]["turns"]))
    traces = [with_recorded(trace, data) for trace, data in zip(rebuilt.traces, members, strict=True)]
    found = pushes(open_rollouts(path).rollouts)[granularity]
    for assignment in ("joint", "factorized"):
        groups = assign([traces], AssignmentConfig(assignment, granularity))
        wanted = [[segment.advantage for segment in row] for row in groups[0].segments]
        for row, other in zip(found[f"advantages_{assignment}"][0], wanted, strict=True):
            assert row == pytest.approx(other, abs=1e-4)
    for name, value in interference(assign([traces], AssignmentConfig("joint", granularity))).items():
        assert found[name] == pytest.approx(value, abs=1e-3), name


def group_of(rewards: list[tuple[float | None, float | None]], tmp_path: Path, **more: Any) -> Rollouts:
    """One turn each: words and a picture that earned ``rewards``."""
    picture = open_rollouts(ROOT / "tests" / "traces" / "samples" / "chat-messages.jsonl").rollouts.prompts[0].parts[2]
    assert picture.picture is not None
    shown = picture.picture.url()
    rollouts = [
        {
            "id": f"r{i}",
            "prompt": "p",
            "parts": [
                {"type": "text", "text": "x" * (i + 1), "reward": text},
                {"type": "image", "image": shown, "reward": image},
            ],
        }
        for i, (text, image) in enumerate(rewards)
    ]
    file = {"version": 2, "prompts": [{"id": "p", "parts": []}], "rollouts": rollouts, **more}
    (tmp_path / "r.json").write_text(json.dumps(file))
    return open_rollouts(tmp_path / "r.json").rollouts


def test_opposite_rewards_correlate_by_minus_one_and_are_all_contradictions(tmp_path: Path) -> None:
    found = group_of([(1, 0), (0, 1), (1, 0), (0, 1)], tmp_path)
    turn = pushes(found)["turn"]
    assert turn["correlation"] == pytest.approx(-1) and turn["sign_conflict"] == 0
    assert all(abs(a) < 1e-9 for row in turn["advantages_joint"][0] for a in row), "joint learns nothing from them"
    assert all(abs(a) > 0.5 for row in turn["advantages_factorized"][0] for a in row)
    look = {finding["finding"]: finding for finding in first_look(found)}
    assert look["contradictions"]["rollouts"] == ["r0", "r1", "r2", "r3"]
    assert look["shortest"]["rollouts"] == ["r0"] and look["longest"]["rollouts"] == ["r3"]


def test_a_modality_that_never_varies_and_a_group_without_spread_are_said(tmp_path: Path) -> None:
    found = group_of([(1, 0.25), (0, 0.25), (1, 0.25)], tmp_path)
    look = {finding["finding"]: finding["sentence"] for finding in first_look(found)}
    assert look["never_varies_image"] == "The reward of pictures never varies: it is 0.25 everywhere."
    assert look["no_spread_image"].startswith("In 1 of 1 groups all pictures earned the same")
    assert "never_varies_text" not in look and "contradictions" not in look
    turn = pushes(found)["turn"]
    assert turn["correlation"] is None and turn["idle_push"] == pytest.approx(0.5)


def test_nothing_is_made_up_where_nothing_was_judged(tmp_path: Path) -> None:
    found = group_of([(None, None), (None, None)], tmp_path)
    assert pushes(found) == {"trace": None, "turn": None}
    assert [finding["finding"] for finding in first_look(found)] == ["not_judged", "shortest", "longest"]
    found = replace(found, judges={"text": ("text",), "image": ("image",)})  # known, and there is nothing by them
    assert first_look(found)[0]["sentence"] == "No text and no picture was judged in this file."
