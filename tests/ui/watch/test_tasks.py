"""Tiles of tasks that not every checkpoint knows: a checkpoint that does is chosen, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmreason.layouts.vocabulary import build_text_tokenizer
from mmreason.tasks import FIRST_TASKS, TASKS
from mmreason.ui.host import checkpoints
from mmreason.ui.watch import handlers


@pytest.fixture(autouse=True)
def two_checkpoints(tmp_path: Path, monkeypatch, real_checkpoints) -> None:
    """``base`` knows the first tasks, ``looking`` one of the others."""
    for name, tasks in (("base", FIRST_TASKS), ("looking", ["visual_search"])):
        build_text_tokenizer(tasks).save_pretrained(tmp_path / name / "tokenizer")
        (tmp_path / name / "model_index.json").write_text("{}")
    monkeypatch.setattr(checkpoints, "checkpoints_folder", lambda: tmp_path)


def test_a_tile_chooses_a_checkpoint_that_knows_its_task_and_leaves_one_that_does():
    assert handlers.fitting("base", "maze") == "base"
    assert handlers.fitting("base", "visual_search") == "looking"
    assert handlers.fitting("looking", "visual_search") == "looking"
    assert handlers.fitting("looking", "sudoku") == "base"
    assert handlers.fitting("base", "chart_refocus") == "base"  # nobody knows it: the checkpoint says so
    assert handlers.fitting("nothing of the kind", "visual_search") == "looking"
    assert handlers.fitting(None, "maze") == "base"


def test_a_checkpoint_chooses_a_task_that_it_knows_and_leaves_one_that_it_knows():
    assert handlers.task_for("looking", "maze") == "visual_search"
    assert handlers.task_for("base", "visual_search") == "maze"
    assert handlers.task_for("base", "jigsaw") == "jigsaw"
    assert handlers.task_for("nothing of the kind", "jigsaw") == "jigsaw"


def test_tiles_and_sentences_name_tasks_in_words():
    tiles = handlers.thumbnails()
    assert [name for name, _, _ in tiles] == [*FIRST_TASKS, "visual_search"]  # nobody here knows chart_refocus
    assert {name: label for name, _, label in tiles}["visual_search"] == "visual search"
    assert not any("_" in label for _, _, label in tiles)
    assert [TASKS[name].several for name in ("maze", "visual_search", "chart_refocus")] == [
        *("mazes", "visual searches", "charts")
    ]
