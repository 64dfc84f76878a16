"""``make``: everything that it lists can be asked for, and what is written is said."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mmreason.__main__ import main
from mmreason.commands.make import examples, rollouts, things
from mmreason.commands.make.dataset import COLOURS
from mmreason.tasks import FIRST_TASKS, TASKS
from mmreason.tasks.dataset.task import DataTask
from mmreason.tasks.laws import kept_laws
from mmreason.tasks.own import known
from mmreason.ui import twin
from mmreason.ui.host import checkpoints


@pytest.mark.parametrize("name", things())
def test_everything_listed_has_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["make", name, "--help"])
    assert ended.value.code == 0 and f"make {name}" in capsys.readouterr().out


def test_a_stand_in_is_written_and_said(tmp_path, capsys):
    assert main(["make", "tiny-dimoo", "--output", str(tmp_path / "tiny"), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert sorted(written) == sorted(str(path) for path in (tmp_path / "tiny").rglob("*") if path.is_file())


def test_the_overview_is_written_between_its_marks_alone(tmp_path, capsys):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- overview -->\nold\n<!-- /overview -->\nafter\n")
    assert main(["make", "overview", "--output", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n<!-- overview -->\n| | here | the paper |") and text.endswith("\nafter\n")
    assert "old" not in text and "+11.2 %" in text


def test_examples_are_of_the_tasks_that_the_checkpoint_knows(tmp_path, monkeypatch):
    asked, known_by = [], {"base": FIRST_TASKS, "scenes": ["visual_search"], "nowhere": []}
    monkeypatch.setattr(examples, "make_example", lambda task, *_: asked.append(task))
    monkeypatch.setattr(checkpoints, "tasks_of", known_by.__getitem__)
    for name, tasks in known_by.items():
        asked.clear()
        assert main(["make", "examples", "--checkpoint", name, "--output", str(tmp_path)]) == 2  # none was made
        assert asked == list(tasks or TASKS)  # of one that is not here the first try says so


def test_what_is_not_listed_is_refused_with_what_is_near(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["make", "tiny-dimo"])
    assert ended.value.code == 2 and "did you mean tiny-dimoo?" in capsys.readouterr().err


def test_the_list_of_what_can_be_made_loads_no_torch():
    code = "import sys, mmreason.__main__ as m\nm.build_parser(['make'])\nassert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_dataset_is_written_that_can_be_trained_on_and_is_never_written_over_unasked(
    tmp_path, capsys, own_tasks_forgotten
):
    folder = tmp_path / "my_data"
    assert main(["make", "dataset", str(folder), "--rows", "60", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == f"data:{folder}"
    made = TASKS[known(f"data:{folder}")]
    assert isinstance(made, DataTask) and len(made.rows.rows) == 60 and set(made.words) >= {"look", "square", *COLOURS}
    laws = kept_laws(made, 4)
    assert set(laws.values()) == {True}, laws
    before = (folder / "data.jsonl").read_bytes()
    assert main(["make", "dataset", str(folder), "--rows", "12"]) == 2
    assert "holds files already" in capsys.readouterr().err
    assert main(["make", "dataset", str(folder), "--rows", "60", "--overwrite"]) == 0
    assert (folder / "data.jsonl").read_bytes() == before, "a pure function of its seed"


@pytest.mark.parametrize(
    "words, more",
    [
        (["make", "task", "foo", "--output"], ["/proc/none"]),
        (["make", "dataset"], ["/proc/none"]),
        (["make", "static", "--no_solver", "--output"], ["/proc/none"]),
        (["make", "tiny-dimoo", "--output"], ["/proc/none"]),
        (["reproduce", "--plan", "--results"], []),
        (["reproduce", "--setup", "P", "--plan", "--results"], []),
    ],
)
def test_a_place_that_can_be_no_folder_is_refused_in_a_sentence(words, more, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(twin, "twin_files", lambda solver: {"index.html": b""})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    for place in ["file", "file/inside", "x" * 300, *more]:
        assert main([*words, place]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert place[:100] in line and ("must be a folder, got" in line or "cannot write" in line)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "mine"


def test_rollouts_that_are_made_anew_replace_what_a_link_points_at_and_only_once_there_is_something_new(
    tmp_path, monkeypatch, capsys
):
    place, link = tmp_path / "mine.jsonl", tmp_path / "link.jsonl"
    place.write_text("mine")
    link.symlink_to(place)
    words = ["make", "rollouts", "--output", str(link), "--rollouts", "2", "--prompts", "1", "--side", "32"]
    assert main(words) == 2 and place.read_text() == "mine"
    with monkeypatch.context() as failing:
        failing.setattr(rollouts, "play", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main([*words, "--overwrite"])
    assert place.read_text() == "mine"
    assert main([*words, "--overwrite"]) == 0
    assert link.is_symlink() and len(place.read_text().splitlines()) == 2 and "mine" not in place.read_text()


@pytest.mark.parametrize("place", ["file/rollouts.jsonl", "/proc/none/rollouts.jsonl", f"{'x' * 300}/rollouts.jsonl"])
def test_rollouts_that_cannot_be_written_are_refused_in_a_sentence(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert main(["make", "rollouts", "--output", place]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write" in line
