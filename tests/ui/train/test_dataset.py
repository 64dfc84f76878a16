"""A dataset handed over as a zip: checked, shown with what its rewards give, never run, and kept by its runs only."""

from __future__ import annotations

import json
import stat
import tempfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from mmreason.__main__ import main
from mmreason.errors import MMReasonError
from mmreason.layouts.vocabulary import build_text_tokenizer
from mmreason.tasks import TASKS
from mmreason.training.rl.presets import PRESETS, TrainSettings
from mmreason.ui.host import checkpoints
from mmreason.ui.host.own_tasks import add_host_tasks
from mmreason.ui.host.settings import MB
from mmreason.ui.inspect.sources import open_run
from mmreason.ui.runs import queue
from mmreason.ui.runs.state import status_of
from mmreason.ui.runs.store import find
from mmreason.ui.train import dataset, upload
from mmreason.ui.train.dataset import on_dataset, on_fit, preview
from mmreason.ui.train.events import on_checkpoint, on_preset, on_start
from mmreason.ui.train.form import CONTROLS, filled, public_fields
from mmreason.ui.train.tab import build_train
from mmreason.ui.train.upload import unpack
from mmreason.ui.train.words import command_line
from tests.helpers.shapes import write_shapes
from tests.helpers.training_runs import OTHER, OWNER, fork_trainings, state
from tests.helpers.zips import zipped as small_zip

pytestmark = pytest.mark.usefixtures("real_checkpoints")


def zipped(folder: Path, path: Path, root: str = "shapes/") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, root + file.relative_to(folder).as_posix())
    return path


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", 60)


def test_a_zip_whose_content_is_damaged_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "shapes.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.jsonl", b"{}" * 1000)
    content = bytearray(path.read_bytes())
    content[40:44] = b"\xff" * 4  # of the packed rows, not of the archive's list
    path.write_bytes(content)
    assert "file 'data.jsonl' cannot be read from the zip file" in on_dataset(str(path), "base", OWNER)[0]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_in_another_way_is_refused_before_it_is_unpacked(method, tmp_path):
    path = tmp_path / "shapes.zip"
    path.write_bytes(small_zip({"data.jsonl": bytes(2**24)}, method, says=100))
    assert "must be stored or deflated" in on_dataset(str(path), "base", OWNER)[0]


def test_what_cannot_be_unpacked_is_told_without_where_the_server_keeps_it(tmp_path):
    path = tmp_path / "shapes.zip"
    for names in (("a", "a/b.png"), ("a/b.png", "a"), ("x" * 300,)):
        path.write_bytes(small_zip(dict.fromkeys(names, b"")))
        said = on_dataset(str(path), "base", OWNER)[0]
        assert said.startswith("✗ the zip cannot be unpacked: ") and "/" not in said


def test_what_is_missing_is_told_without_where_the_server_keeps_it(tmp_path):
    path = tmp_path / "shapes.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("shapes/README.md", "no rows")
    says = on_dataset(str(path), "base", OWNER)[0]
    assert "shapes" in says and "/" not in says.replace("shapes/", "")


@pytest.mark.parametrize("root", ["shapes/", ""])
def test_a_preview_says_what_right_and_wrong_answers_and_edits_earn(shapes, tmp_path, root):
    found = preview(zipped(shapes, tmp_path / "shapes.zip", root), "base", OWNER)
    assert found.sentence.startswith("✓ 60 rows (") and "different words" in found.sentence
    assert len(found.pictures) == len(found.table["rows"]) == 12
    for asked, split, right, earns, wrong, less, drawn, still in found.table["rows"]:
        assert asked.startswith("Which colour") and split in ("train", "validation", "test") and right != wrong
        assert (earns, less, drawn, still) == ("1", "0", "1", "0")
    assert "--tasks data:" in found.commands


def test_a_wrong_number_is_one_more_than_what_counts_as_right(tmp_path):
    folder = write_shapes(tmp_path / "shapes", 3)
    row = {"image": next(folder.glob("*.png")).name, "prompt": "How many?", "answer": 1234567, "tolerance": 0.5}
    (folder / "data.jsonl").write_text(json.dumps(row))
    ((_, _, right, earns, wrong, less, *_),) = preview(zipped(folder, tmp_path / "a.zip"), "base", OWNER).table["rows"]
    assert (right, earns, wrong, less) == ("1234567", "1", "1234568.5", "0")


def test_rows_without_a_split_are_told(tmp_path):
    found = preview(zipped(write_shapes(tmp_path / "few", 3), tmp_path / "few.zip"), "base", OWNER)
    assert "It needs more rows" in found.sentence and len(found.pictures) == 3


def test_nothing_of_an_upload_is_kept_where_no_run_is_started(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    preview(zipped(shapes, tmp_path / "shapes.zip"), "base", OWNER)
    assert list((tmp_path / "here").iterdir()) == []


def forged(path: Path, name: str, content: bytes = b"x", mode: int = stat.S_IFREG) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (mode | 0o644) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "mode", "said"),
    [
        (
            "shapes/reward.py",
            b"import os",
            stat.S_IFREG,
            "data.jsonl or parquet files and pictures only",
        ),
        ("../data.jsonl", b"{}", stat.S_IFREG, "whose path leads out of it"),
        ("/etc/data.jsonl", b"{}", stat.S_IFREG, "whose path leads out of it"),
        ("data.jsonl", b"/etc/passwd", stat.S_IFLNK, "which is a link"),
        ("data.jsonl", bytes(2**21), stat.S_IFREG, "must unpack to at most 1 MB"),
        ("notes.txt", b"nothing", stat.S_IFREG, "must hold data.jsonl or parquet files"),
        ("data.jsonl", b'{"image": 3}', stat.S_IFREG, "data.jsonl line 1: field 'prompt' must be text"),
    ],
)
def test_what_is_no_dataset_is_refused_in_a_sentence(name, content, mode, said, tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "MAX_UNPACKED", 2**20)
    path = forged(tmp_path / "data.zip", name, content, mode)
    told, fit, gallery, table, _, handed = on_dataset(str(path), "base", OWNER)
    assert told.startswith("✗ ") and said in told and "\n" not in told
    assert table is None and fit == [] and gallery.visible is False and handed is None


def test_a_file_that_is_no_zip_is_refused_and_a_large_one_unread(tmp_path, monkeypatch):
    path = tmp_path / "data.zip"
    path.write_bytes(b"PK no zip")
    assert "must be a zip that can be read" in on_dataset(str(path), "base", OWNER)[0]
    assert "hand it over again" in on_dataset(str(tmp_path / "gone.zip"), "base", OWNER)[0]
    monkeypatch.setenv("MMREASON_MAX_UPLOAD_MB", "1")
    path.write_bytes(bytes(MB))
    with pytest.raises(MMReasonError, match="must be a zip that can be read"):
        unpack(path, tmp_path)
    path.write_bytes(bytes(MB + 1))
    with pytest.raises(MMReasonError, match="at most 1 MB"):
        unpack(path, tmp_path)


def test_folders_deep_in_one_another_and_too_many_of_them_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "MAX_ENTRIES", 20)
    path = tmp_path / "data.zip"

    def said(*names: str) -> str:
        path.write_bytes(small_zip(dict.fromkeys(names, b"")))
        return on_dataset(str(path), "base", OWNER)[0]

    assert "must hold data.jsonl or parquet files" in said("a/" * 15 + "x.png")
    assert "a/x.png', which lies more than 15 folders deep" in said("a/" * 16 + "x.png")
    assert "must hold data.jsonl or parquet files" in said(*(f"{i}/x.png" for i in range(10)))
    assert "must hold at most 20 files and folders" in said(*(f"{i}/x.png" for i in range(9)), "9/a/x.png")
    assert "must hold at most 20 files" in said(*(f"{i}.png" for i in range(21)))


def test_the_pictures_of_an_upload_are_bounded(shapes, tmp_path, monkeypatch):
    path = str(zipped(shapes, tmp_path / "shapes.zip"))
    monkeypatch.setattr(dataset, "MAX_PIXELS", 100_000)
    assert "the pictures may have at most 0.1 million pixels in all" in on_dataset(path, "base", OWNER)[0]


def test_a_hostile_text_stays_text(tmp_path):
    folder = write_shapes(tmp_path / "shapes", 12)
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    rows[0]["prompt"] = "${Object.assign(window,{PWNED:1})} <img src=x>"
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = preview(zipped(folder, tmp_path / "shapes.zip"), "base", OWNER)
    assert any("PWNED" in row[0] for row in found.table["rows"])  # the table puts it in by textContent


def taught(place: Path, name: str, tasks: list[str]) -> None:
    """A checkpoint's folder, of which the page reads which words it knows."""
    tokenizer = place / name / "tokenizer"
    build_text_tokenizer(tasks).save_pretrained(tokenizer)
    (place / name / "model_index.json").write_text("{}")


def test_it_is_said_whether_the_chosen_checkpoint_can_be_trained_on_it_and_what_would_do(
    shapes, tmp_path, monkeypatch, own_tasks_forgotten
):
    monkeypatch.setenv("MMREASON_CHECKPOINTS", str(tmp_path))
    path, own = str(zipped(shapes, tmp_path / "shapes.zip")), f"data:{shapes}"
    taught(tmp_path, "base", ["maze"])
    *_, handed = on_dataset(path, "nowhere", OWNER)
    said = on_dataset(path, "base", OWNER)[1][0][1]
    assert on_fit(handed, "base") == [["plain", said]] and on_fit(None, "base") == []
    assert said.startswith("✗ 'base' cannot be trained on it from here") and "<shapes>, look, which" in said
    assert "MMREASON_TASKS=data:shapes" in said and "nowhere" in on_dataset(path, "nowhere", OWNER)[1][0][1]
    monkeypatch.setenv("MMREASON_TASKS", own)
    add_host_tasks()
    taught(tmp_path, "mine", ["shapes"])
    assert on_dataset(path, "mine", OWNER)[1] == [
        ["plain", "✓ 'mine' knows it: choose shapes under Tasks to train on it."]
    ]


def test_the_form_lists_the_tasks_that_the_checkpoint_was_taught_the_hosts_own_too(
    tmp_path, monkeypatch, own_tasks_forgotten
):
    assert main(["make", "task", "find_gems", "--output", str(tmp_path)]) == 0
    monkeypatch.setenv("MMREASON_TASKS", f"{tmp_path / 'find_gems.py'}:FindGems")
    add_host_tasks()
    monkeypatch.setenv("MMREASON_CHECKPOINTS", str(tmp_path / "checkpoints"))
    taught(tmp_path / "checkpoints", "base", ["maze", "sudoku"])
    taught(tmp_path / "checkpoints", "gems", ["find_gems"])
    with gr.Blocks() as blocks:
        tasks = build_train(blocks, gr.Tab(), gr.BrowserState(), gr.BrowserState()).tasks
    assert [name for _, name in tasks.choices] == ["maze", "sudoku"] == tasks.value
    other = on_checkpoint("gems", ["sudoku"])
    assert (other.choices, other.value) == ([("find gems", "find_gems")], ["find_gems"])
    assert on_checkpoint("base", ["sudoku", "find_gems"]).value == ["sudoku"]
    first = next(iter(PRESETS))
    assert on_preset(first, "gems")[0] == ["find_gems"] and on_preset(first, "base")[0] != ["find_gems"]


# Training on it


def test_prose_is_for_public_checkpoints_and_shown_in_short(stored, tmp_path, monkeypatch):
    folder = write_shapes(tmp_path / "shapes", 60)
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    rows = [row | {"prompt": f"{'please ' * 100}{row['prompt']}", "answer": "very " * 99 + "red"} for row in rows]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = str(zipped(folder, tmp_path / "shapes.zip"))
    told, fit, gallery, _, commands, handed = on_dataset(path, "tiny", OWNER)
    assert told.startswith("✓ 60 rows") and fit[0][1].startswith("✓ 'tiny' can be trained on it")
    assert handed.words == () and all(len(words) < 250 for _, words in gallery.value)
    said = "data.jsonl line 1: field 'prompt' must have 1 to 12 words for a small policy, got 105"
    assert on_fit(handed, "base")[0][1] == f"✗ 'base' cannot be trained on it, only a public checkpoint: {said}."
    assert "train --tasks data:shapes" in commands.value and "pretrain" not in commands.value
    monkeypatch.setattr(dataset, "MAX_TEXT", 10_000)
    assert "the texts may have at most 0.01 million letters in all" in on_dataset(path, "tiny", OWNER)[0]


@pytest.fixture
def stored(public_host, tmp_path, monkeypatch) -> Path:
    """The host's checkpoints, and a store of runs of its own."""
    monkeypatch.setenv(checkpoints.RUNS_SETTING, str(tmp_path / "runs"))
    fork_trainings(monkeypatch)
    return tmp_path / "runs" / "page"


def handed_over(folder: Path, path: Path, token: str = OWNER):
    return on_dataset(str(zipped(folder, path)), "tiny", token)[-1]


def asked(tasks: list[str], checkpoint: str = "tiny") -> list[Any]:
    """The form's values for a run of one step."""
    sizes = {"steps": 1, "num_problems": 1, "num_generations": 2, "eval_problems": 1, "eval_steps": 1, "save_steps": 1}
    values = filled(PRESETS["Short (CPU)"]) | (public_fields(checkpoint) or {}) | sizes
    values |= {"max_turns": 1, "lora_rank": 2, "text_length": 4, "assignment": "factorized"}
    values |= {"checkpoint": checkpoint, "tasks": tasks}
    return [values[name] for name in CONTROLS]


def start(tasks: list[str], handed: Any, token: str = OWNER, checkpoint: str = "tiny") -> tuple[str, str]:
    """What is said, and the run that was started."""
    said, _, _, run, *_ = on_start(SimpleNamespace(client=None), token, handed, *asked(tasks, checkpoint))
    return said, run


def test_a_run_on_a_dataset_handed_over_finishes_keeps_its_rows_and_takes_them_with_it(stored, shapes, tmp_path):
    handed = handed_over(shapes, tmp_path / "shapes.zip")
    form = on_checkpoint("tiny", ["jigsaw"], handed, OWNER)
    assert form.choices[-1] == ("your dataset: shapes, 60 rows", "data:shapes") and form.value == ["data:shapes"]
    assert "shapes" not in TASKS, "it is no task of other visitors"
    said, run_id = start(form.value, handed)
    assert said == ""
    run, deadline = find(run_id), time.monotonic() + 120
    assert run is not None
    while state(run) in ("queued", "running") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert state(run) == "finished", run.log.read_text()
    rows = status_of(run).rows["factorized"]
    assert rows[-1]["step"] == 1 and set(rows[-1]["success"]) == {"shapes", "mean"}
    sample = open_run(f"run:{run_id}/factorized, step 1")
    assert "Which colour is square" in str(sample.rollouts), "of the rows that were handed over"
    assert (run.datasets / "shapes" / "data.jsonl").read_text() == (shapes / "data.jsonl").read_text()
    assert "--tasks data:shapes " in command_line(run), "as its visitor has it, with no path of this server"
    (tmp_path / "shapes.zip").unlink()
    with pytest.raises(MMReasonError, match="only the visitor who started"):
        queue.delete(run_id, OTHER)
    queue.delete(run_id, OWNER)
    assert [path.name for path in stored.iterdir()] == [".lock"]


def test_nobody_starts_what_another_visitor_handed_over_or_what_lies_elsewhere(stored, shapes, tmp_path):
    handed = handed_over(shapes, tmp_path / "shapes.zip")
    assert on_checkpoint("tiny", ["maze"], handed, OTHER).value == ["maze"]
    wrong = [
        (["data:shapes"], handed, OTHER, "tiny"),
        (["data:shapes"], None, OWNER, "tiny"),
        ([f"data:{shapes}"], handed, OWNER, "tiny"),
        (["maze", "data:../shapes"], handed, OWNER, "tiny"),
        (["data:shapes"], handed, OWNER, "base"),
    ]
    for values in wrong:
        said, run = start(*values)
        assert "dataset that you have handed over here" in str(said) and run == gr.skip()
    with pytest.raises(MMReasonError, match="task must be one of"):
        TrainSettings(tasks=[f"data:{shapes}"])
    assert not stored.exists() or not list(stored.glob("*/run.json"))


def test_what_cannot_be_trained_on_is_not_offered_and_an_upload_that_has_gone_leaves_no_run(
    stored, shapes, tmp_path, monkeypatch
):
    handed = handed_over(shapes, tmp_path / "shapes.zip")
    assert all(name != "data:shapes" for _, name in on_checkpoint("base", ["maze"], handed, OWNER).choices)
    few = on_dataset(str(zipped(write_shapes(tmp_path / "few", 3), tmp_path / "few.zip")), "tiny", OWNER)
    assert few[1][0][1].startswith("✗ 'tiny' cannot be trained on it: it has no rows in ")
    assert on_checkpoint("tiny", ["maze"], few[-1], OWNER).value == ["maze"]
    taken = on_dataset(str(zipped(shapes, tmp_path / "maze.zip", "")), "tiny", OWNER)[-1]
    assert taken.task == "data:maze_2", "no other task's name"
    monkeypatch.setattr(upload, "MAX_KEPT", 1000)
    assert "a run may keep" in handed_over(shapes, tmp_path / "large.zip").fault
    forged(tmp_path / "shapes.zip", "../data.jsonl")
    assert "whose path leads out of it" in start(["data:shapes"], handed)[0]
    (tmp_path / "shapes.zip").unlink()
    assert "hand it over again" in start(["data:shapes"], handed)[0]
    assert not list(stored.glob("*/run.json"))
