"""A dataset handed over as a zip: checked, shown with what its rewards give, never run and never kept."""

from __future__ import annotations

import json
import stat
import tempfile
import zipfile
from pathlib import Path

import gradio as gr
import pytest

from mmreason.__main__ import main
from mmreason.errors import MMReasonError
from mmreason.ui.host.own_tasks import add_host_tasks
from mmreason.ui.train import dataset
from mmreason.ui.train.dataset import on_dataset, preview, unpack
from mmreason.ui.train.tab import build_train
from tests.helpers.shapes import write_shapes


def zipped(folder: Path, path: Path, root: str = "shapes/") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, root + file.relative_to(folder).as_posix())
    return path


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", 60)


@pytest.mark.parametrize("root", ["shapes/", ""])
def test_a_preview_says_what_right_and_wrong_answers_and_edits_earn(shapes, tmp_path, root):
    found = preview(zipped(shapes, tmp_path / "shapes.zip", root))
    assert found.sentence.startswith("✓ 60 rows (") and "different words" in found.sentence
    assert len(found.pictures) == len(found.table["rows"]) == 12
    for asked, split, right, earns, wrong, less, drawn, still in found.table["rows"]:
        assert asked.startswith("Which colour") and split in ("train", "validation", "test") and right != wrong
        assert (earns, less, drawn, still) == ("1", "0", "1", "0")
    assert "--tasks data:" in found.commands


def test_rows_without_a_split_are_told(tmp_path):
    found = preview(zipped(write_shapes(tmp_path / "few", 3), tmp_path / "few.zip"))
    assert "It needs more rows" in found.sentence and len(found.pictures) == 3


def test_nothing_of_an_upload_is_kept(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    preview(zipped(shapes, tmp_path / "shapes.zip"))
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
    monkeypatch.setattr(dataset, "MAX_UNPACKED", 2**20)
    path = forged(tmp_path / "data.zip", name, content, mode)
    told, gallery, table, _ = on_dataset(str(path))
    assert told.startswith("✗ ") and said in told and "\n" not in told
    assert table is None and gallery.visible is False


def test_a_file_that_is_no_zip_is_refused_and_a_large_one_unread(tmp_path, monkeypatch):
    path = tmp_path / "data.zip"
    path.write_bytes(b"PK no zip")
    assert "must be a zip that can be read" in on_dataset(str(path))[0]
    assert "hand it over again" in on_dataset(None)[0]
    monkeypatch.setenv("MMREASON_MAX_UPLOAD_MB", "1")
    path.write_bytes(bytes(2**20 + 1))
    with pytest.raises(MMReasonError, match="at most 1 MB"):
        unpack(path, tmp_path)


def test_a_hostile_text_stays_text(tmp_path):
    folder = write_shapes(tmp_path / "shapes", 12)
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    rows[0]["prompt"] = "${Object.assign(window,{PWNED:1})} <img src=x>"
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = preview(zipped(folder, tmp_path / "shapes.zip"))
    assert any("PWNED" in row[0] for row in found.table["rows"])  # the table puts it in by textContent


def test_the_form_lists_the_hosts_own_tasks_beside_the_built_in_ones(tmp_path, monkeypatch, own_tasks_forgotten):
    assert main(["make", "task", "find_gems", "--output", str(tmp_path)]) == 0
    monkeypatch.setenv("MMREASON_TASKS", f"{tmp_path / 'find_gems.py'}:FindGems")
    add_host_tasks()
    with gr.Blocks() as blocks:
        choices = build_train(blocks, gr.Tab(), gr.BrowserState()).tasks.choices
    assert ("Find gems", "find_gems") in [(label.capitalize(), name) for label, name in choices]
    assert {"maze", "sudoku"} < {name for _, name in choices}
