"""``solve`` with a public checkpoint: one's own picture, a puzzle, and everything that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmreason.__main__ import main
from tests.helpers import public

SHORT = ["--text_length", "4", "--num_steps", "1"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)).save(path)
    return path


def test_an_own_picture_is_edited_and_its_trace_opens_in_inspect(photo: Path, tmp_path: Path, capsys) -> None:
    out, picture = tmp_path / "trace.json", tmp_path / "after.png"
    asked = ["--image", str(photo), "--instruction", "make it blue", "--region", "r1c1:r2c2", "--out", str(out)]
    more = ["--picture", str(picture), "--gif", str(tmp_path / "a.gif"), "--guidance", "2", "--schedule", "cosine"]
    assert main(["solve", "--checkpoint", str(public.folder()), *SHORT, *asked, *more, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["success"] is None and found["attention"] == "full"
    assert [s.get("region") for s in found["segments"]] == [None, ["r1c1 r2c2"], None]
    before, after = np.asarray(Image.open(photo)), np.asarray(Image.open(picture))
    assert (before[32:] == after[32:]).all() and (before[:, 32:] == after[:, 32:]).all()
    assert (before[:32, :32] != after[:32, :32]).any()
    assert main(["inspect", str(out), "--json"]) == 0
    opened = json.loads(capsys.readouterr().out)
    assert opened["valid"] and opened["format"] == "trace version 2"
    assert (opened["prompts"], opened["text_segments"], opened["image_segments"]) == (1, 2, 1)
    rollout = json.loads(out.read_text())["rollouts"][0]
    assert (
        rollout["settings"] | {"guidance": 2.0, "schedule": "cosine", "native": True, "cache": "none"}
        == rollout["settings"]
    )
    assert rollout["parts"][1]["region"] == {"unit": "pixels", "boxes": [[1, 1, 32, 32]]}


def test_a_puzzle_is_judged(tmp_path: Path, capsys) -> None:
    out = tmp_path / "trace.json"
    asked = ["--task", "maze", "--difficulty", "easy", "--max_turns", "1", "--pixels", "128", "--attention", "prefix"]
    assert main(["solve", "--checkpoint", str(public.folder()), *SHORT, *asked, "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["success"] is False and found["segments"][0]["reward"] == 0
    assert main(["inspect", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_reward"]["text"] == 0


def test_a_joint_turn_is_solved_judged_and_opened(tmp_path: Path, capsys) -> None:
    out, short = tmp_path / "trace.json", [*SHORT, "--max_turns", "1", "--pixels", "128"]
    asked = ["--task", "maze", "--difficulty", "easy", "--checkpoint", str(public.folder("parallel"))]
    assert main(["solve", *asked, *short, "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [segment["modality"] for segment in found["segments"]] == ["text", "image"] * 2
    assert main(["inspect", str(out), "--json"]) == 0
    opened = json.loads(capsys.readouterr().out)
    assert opened["valid"] and (opened["text_segments"], opened["image_segments"]) == (2, 2)
    settings = json.loads(out.read_text())["rollouts"][0]["settings"]
    assert (settings["turn"], settings["family"], settings["exact"]) == ("joint", "parallel", True)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--image", "nowhere.png", "--instruction", "x"], "'nowhere.png' does not exist; give the path of a PNG"),
        (["--image", "PHOTO"], "needs --instruction"),
        (["--instruction", "x"], "--instruction goes with --image"),
        (["--mask", "PHOTO", "--task", "maze"], "--mask goes with --image"),
        (["--image", "PHOTO", "--instruction", "x", "--task", "maze"], "--task does not go with --image"),
        (["--image", "PHOTO", "--instruction", "x", "--difficulty", "easy"], "--difficulty does not go with --image"),
        (["--image", "PHOTO", "--instruction", "x", "--region", "r1c1:r5c1"], "4 rows and 6 columns"),
        (["--image", "PHOTO", "--instruction", "x", "--region", "left"], "two cells like r2c2:r5c6"),
        (["--image", "PHOTO", "--instruction", "x", "--mask", "PHOTO", "--region", "r1c1"], "not both"),
        (["--image", "PHOTO", "--instruction", "x", "--mask", "SMALL"], "as large as the picture"),
        (["--image", "PHOTO", "--instruction", "x", "--mask", "BLACK"], "white where"),
        (["--image", "PHOTO", "--instruction", "<system>"], "must not hold '<system>'"),
        (["--image", "PHOTO", "--instruction", "\udcff"], "--instruction must be UTF-8 text, got '\\udcff'"),
        (["--image", "PHOTO", "--instruction", "x", "--threshold", "0.5"], "threshold must be 0"),
        (["--image", "PHOTO", "--instruction", "x", "--default_region", "all"], "default_region must be left out"),
        (["--image", "TEXT", "--instruction", "x"], "is not a PNG, JPEG or WebP picture"),
        (["--task", "maze", "--pixels", "96"], "multiple of 128"),
        (["--task", "maze", "--turn", "joint"], "turn must be interleaved for checkpoints of the family dimoo"),
        (["--task", "maze", "--region", "r1c1"], "region must be one of"),
        (["--image", "PHOTO", "--instruction", "x", "--checkpoint", "checkpoints/base"], "public family"),
        (
            ["--task", "maze", "--guidance", "1", "--checkpoint", "checkpoints/base"],
            "--guidance is for checkpoints of",
        ),
        (["--task", "maze", "--order", "maskgit", "--checkpoint", "checkpoints/base"], "maskgit is for"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(asked, says, photo: Path, tmp_path: Path, capsys) -> None:
    files = {
        "PHOTO": photo,
        "SMALL": tmp_path / "small.png",
        "BLACK": tmp_path / "black.png",
        "TEXT": tmp_path / "t.png",
    }
    Image.new("L", (10, 10), 255).save(files["SMALL"])
    Image.new("L", (96, 64), 0).save(files["BLACK"])
    files["TEXT"].write_text("hello")
    asked = [str(files.get(word, word)) for word in asked]
    out = tmp_path / "out.json"
    assert main(["solve", "--checkpoint", str(public.folder()), "--out", str(out), *asked]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in error and not out.exists()
