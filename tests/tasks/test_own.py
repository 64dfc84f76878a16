"""A task of one's own: named by its file, known from then on, and refused in a sentence where it is broken."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest

from mmreason.__main__ import main
from mmreason.errors import TaskError
from mmreason.tasks import TASKS, make_problem, own
from mmreason.traces.convert import foreign_trace
from mmreason.traces.file import save
from mmreason.ui.host.own_tasks import add_host_tasks
from tests.helpers.shapes import write_shapes

STONES = Path(__file__).parent.parent / "helpers" / "stones.py"


@pytest.fixture(autouse=True)
def forgotten(own_tasks_forgotten) -> None:
    """What a test makes known is not known after it."""


def written(folder: Path, change: tuple[str, str] = ("", "")) -> Path:
    """The task of the tests as a file of its own, with one change."""
    text = STONES.read_text().replace('name = "stones"', 'name = "pebbles"').replace(*change)
    path = folder / "my_task.py"
    path.write_text(text)
    return path


def test_a_file_names_a_task_which_is_known_by_its_name_from_then_on(tmp_path):
    path = written(tmp_path)
    assert own.known(f"{path}:Stones") == "pebbles"
    assert own.known(f"{path}:Stones") == "pebbles"  # asked for again
    assert own.known("pebbles") == "pebbles" and own.source_of("pebbles") == f"{path}:Stones"
    assert make_problem("pebbles", "easy", 3).task == "pebbles"
    assert own.known("maze") == "maze" and own.source_of("maze") == "maze"


def test_a_task_of_ones_own_is_known_by_its_rows_or_by_its_file(tmp_path):
    path = written(tmp_path)
    names = [own.known(f"{path}:Stones"), own.known(f"data:{write_shapes(tmp_path / 'shapes', 4)}"), "maze"]
    before = own.fingerprints(names)
    assert list(before) == names[:2] and own.fingerprints(names) == before
    path.write_text(f"{path.read_text()}# another line\n")
    after = own.fingerprints(names)
    assert before["pebbles"] != after["pebbles"] and before["shapes"] == after["shapes"]


def test_an_installed_package_offers_a_task_by_an_entry_point(tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.metadata.EntryPoint("pebbles", "my_task:Stones", own.GROUP)
    monkeypatch.setattr(own, "entry_points", lambda group: [point] if group == own.GROUP else [])
    assert own.known("pebbles") == "pebbles"


def test_the_host_adds_tasks_for_the_page_and_for_what_it_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMREASON_TASKS", f"{written(tmp_path)}:Stones, ")
    assert add_host_tasks() == ["pebbles"]
    monkeypatch.setenv("MMREASON_TASKS", "nowhere.py:Stones")
    assert main(["evaluate", "--problems", "2"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "MMREASON_TASKS: task 'nowhere.py:Stones': there is no file 'nowhere.py'" in said


def test_a_trace_is_scored_again_where_its_task_is_here_and_shown_where_it_is_not(tmp_path, monkeypatch, capsys):
    def inspected(file: Path) -> dict:
        assert main(["inspect", str(file), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    task = f"{written(tmp_path)}:Stones"
    strange, group = tmp_path / "strange.json", tmp_path / "group.json"
    problems = [make_problem(name, "easy", 0) for name in (own.known(task), "maze")]
    traces = [foreign_trace(problem, [], "4", 0.0) for problem in problems]
    save(strange, traces[0])
    group.write_text("\n".join(map(json.dumps, traces)))
    TASKS.pop("pebbles")
    own._SOURCES.clear()
    for file in (strange, group):
        found = inspected(file)
        (said,) = found["problems_found"]
        assert said.startswith("not scored again: task must be one of maze, ") and said.endswith("got 'pebbles'")
        assert (found["rewards"] is None) == (file == strange)
    monkeypatch.setenv("MMREASON_TASKS", task)
    assert inspected(strange)["rewards"] is not None
    assert len(inspected(group)["traces"]) == 2


BROKEN = {  # change of the file → what is said
    "no class": (("class Stones(Task)", "class Stones"), "it has no class that is a Task"),
    "an import that fails": (
        ("import numpy as np", "import numpy_is_not_here"),
        "cannot be loaded: ModuleNotFoundError",
    ),
    "no Python": (("class Stones(Task):", "class Stones(Task)"), "cannot be loaded: SyntaxError"),
    "a method that is missing": (("def check_answer", "def check_the_answer"), "lacks check_answer"),
    "no name": (('    name = "pebbles"\n', ""), "name is missing"),
    "a name in capitals": (('name = "pebbles"', 'name = "Pebbles!"'), "name must be lower-case letters"),
    "a built-in name": (
        ('name = "pebbles"', 'name = "maze"'),
        "name must be another than 'maze', which is taken (built in)",
    ),
    "no question": (("How many stones make the picture symmetric?", " "), "question must be a sentence"),
    "one string as words": (('("place", "stones")', '"place stones"'), "words must be a tuple, got 'place stones'"),
    "two words in one": (('("place", "stones")', '("place stones",)'), "words must be single words"),
    "a mark as a word": (('("place", "stones")', '("<edit>",)'), "words must be single words without < and >"),
    "no hard level": ((', "hard": (6, 8)', ""), "turns must give hard two whole numbers, got None"),
    "turns that fall": (('"hard": (6, 8)', '"hard": (8, 6)'), "turns of hard must rise from 0 to 16"),
    "too many turns": (('"hard": (6, 8)', '"hard": (6, 99)'), "turns of hard must rise from 0 to 16"),
    "no cells": (('("empty", "stone", "placed")', "()"), "cells must name the drawings of its cells, got ()"),
    "a cell twice": (
        ('("empty", "stone", "placed")', '("empty", "stone", "stone")'),
        "cells must be at most 256 different",
    ),
    "a drawing of another size": (
        ("(CELL_PX, CELL_PX)", "(20, 20)"),
        "draw_cell must give 16 × 16 pixels, got 20 × 20",
    ),
    "a drawing that fails": (('"#d8b878"', '"no colour"'), "draw_cell failed for 'empty': ValueError"),
    "a fraction of hints": (("num_hints = 2", "num_hints = 2.5"), "num_hints must be a whole number from 0, got 2.5"),
}


@pytest.mark.parametrize("change", BROKEN)
def test_a_broken_task_is_refused_in_a_sentence(change, tmp_path):
    path = written(tmp_path, BROKEN[change][0])
    with pytest.raises(TaskError) as caught:
        own.known(f"{path}")
    message = str(caught.value)
    assert BROKEN[change][1] in message and "\n" not in message and len(message) < 400
    assert "pebbles" not in TASKS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checkers", "task must be one of maze, jigsaw, sudoku, transform, visual_search, chart_refocus"),
        ("nowhere.py", "there is no file 'nowhere.py'"),
        ("STONES:Pebbles", "must name a class of the file; it has Stones"),
        ("STONES:GRID", "must be a class that derives from Task, got 8"),
        ("mmreason.no_such_module:Stones", "cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_a_name_that_names_no_task_is_refused_in_a_sentence(text, said):
    with pytest.raises(TaskError, match=said.replace("(", r"\(")):
        own.known(text.replace("STONES", str(STONES)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("~nosuch/x.py:C", "there is no file '~nosuch/x.py'"),
        ("x" * 300 + ".py:X", "there is no file 'xxx"),
        ("x" * 300 + ".py", "there is no file 'xxx"),
        ("data:" + "x" * 300, "data"),
        ("data:", "task 'data:' must name a folder"),
        (".:C", "task must be one of maze"),
        ("a..b:C", "task must be one of maze"),
        (":C", "task must be one of maze"),
    ],
)
def test_a_place_that_can_hold_no_task_is_one_line_without_a_traceback(text, said, capsys):
    assert main(["solve", "--task", text]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and len(line) < 500


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "1e9"])
def test_a_weight_that_is_none_is_refused_as_a_weight(weight, tmp_path, capsys):
    assert main(["train", "--tasks", f"maze={weight}", "--output", str(tmp_path / "run")]) == 2
    assert f"the weight of 'maze' must be a number from 0 to 100, got '{weight}'" in capsys.readouterr().err


def test_a_task_that_fails_while_it_is_used_is_blamed_by_name(tmp_path, capsys, tiny_checkpoint):
    path = written(tmp_path, ("low, high = self.turns[difficulty]", "low, high = 1, 1 // 0"))
    line = f"solve --task {path} --difficulty easy --checkpoint {tiny_checkpoint} --out {tmp_path / 'trace.json'}"
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert "the task pebbles failed: ZeroDivisionError" in said.splitlines()[0] and "1 // 0" in said


def test_a_demonstration_that_fails_is_blamed_on_its_task_before_anything_is_trained(tmp_path, capsys):
    head = "def demonstrate(self, spec: Spec) -> Demonstration:"
    path = written(tmp_path, (head, f"{head}\n        raise KeyError(1)"))
    kept = tmp_path / "run" / "metrics.jsonl"
    kept.parent.mkdir()
    kept.write_text("{}")
    line = f"pretrain --tasks {path} --output {tmp_path / 'run'} --overwrite --steps 1 --vq_steps 1 --threads 1"
    assert main(line.split()) == 2
    assert "the task pebbles failed: KeyError: 1" in capsys.readouterr().err and kept.read_text() == "{}"


def test_a_demonstration_of_cells_that_the_task_does_not_have_is_not_pretrained_on(tmp_path, capsys):
    path = written(tmp_path, ("EMPTY, STONE, PLACED = range(3)", "EMPTY, STONE, PLACED = 0, 1, 7"))
    line = f"pretrain --tasks {path} --output {tmp_path / 'run'} --steps 1 --vq_steps 1 --threads 1"
    assert main(line.split()) == 2
    assert "a canvas of the task pebbles must hold cells from 0 to 2, got 7" in capsys.readouterr().err


def test_a_task_that_leaves_is_blamed_by_name(tmp_path, capsys):
    path = written(tmp_path, ("low, high = self.turns[difficulty]", "raise SystemExit(0)"))
    assert main(["solve", "--task", str(path), "--difficulty", "easy", "--out", str(tmp_path / "trace.json")]) == 2
    assert "the task pebbles failed: SystemExit: 0" in capsys.readouterr().err
