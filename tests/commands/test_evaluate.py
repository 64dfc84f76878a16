"""``evaluate --out``: the rollouts of an evaluation open in the inspector and say what the evaluation says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmreason.__main__ import main
from tests.helpers import public
from tests.helpers.learning import shared_pipe


def checkpoint_of(kind: str, tmp_path: Path) -> str:
    if kind == "public":
        return str(public.folder())
    shared_pipe().save_pretrained(tmp_path / "ours")
    return str(tmp_path / "ours")


@pytest.mark.parametrize(("kind", "problems"), [("ours", 6), ("public", 2)])
def test_the_rollouts_of_an_evaluation_open_and_say_what_it_says(
    kind: str, problems: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, checkpoint = tmp_path / "rollouts.json", checkpoint_of(kind, tmp_path)
    asked = ["--tasks", "maze", "--difficulty", "easy", "--max_turns", "1", "--num_steps", "1"]
    asked += ["--problems", str(problems), "--pass_at", "2", "--checkpoint", checkpoint, "--json"]
    assert main(["evaluate", *asked]) == 0
    without = json.loads(capsys.readouterr().out)
    assert main(["evaluate", *asked, "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("out") == str(out)
    for timed in (found, without):
        del timed["seconds"], timed["cost"]
    assert found == without
    written = json.loads(out.read_text())
    assert len(written["rollouts"]) == 2 * problems and len(written["prompts"]) == found["distinct_problems"]
    solved = [rollout["success"] for rollout in written["rollouts"]]
    assert sum(solved) == pytest.approx(found["success"]["mean"] * len(solved))
    assert {rollout["settings"]["checkpoint"] for rollout in written["rollouts"]} == {Path(checkpoint).name}
    assert main(["inspect", str(out), "--json"]) == 0
    opened = json.loads(capsys.readouterr().out)
    assert (opened["valid"], opened["rollouts"]) == (True, 2 * problems)
    if found["text_reward"] is not None:
        assert opened["mean_reward"]["text"] == pytest.approx(found["text_reward"])


def test_a_folder_is_no_file_for_rollouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--out", str(tmp_path)]) == 2
    assert "--out must be the path of a file to write" in capsys.readouterr().err
