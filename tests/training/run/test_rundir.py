"""What holds of the run directory: a folder is replaced whole or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmreason.errors import ConfigError
from mmreason.training.run.rundir import RunDirectory


@pytest.fixture
def directory(tmp_path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def fill(text: str):
    def write(folder) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "weights").write_text(text)

    return write


def content(directory: RunDirectory, name: str = "state") -> str:
    return (directory.path / name / "sub" / "weights").read_text()


class Killed(Exception):
    """Stands for the end of the process."""


def dies_half_way(folder) -> None:
    (folder / "half").write_text("half")
    raise Killed


def test_a_folder_is_replaced_and_nothing_is_left_beside_it(directory):
    for text in ("one", "two"):
        directory.write_folder("state", fill(text))
        assert content(directory) == text
    assert directory.has("state")
    assert [path.name for path in directory.path.iterdir()] == ["state"]
    assert [path.name for path in (directory.path / "state").iterdir()] == ["sub"]


def test_a_write_that_dies_leaves_the_old_folder_whole_and_does_not_disturb_the_next(directory):
    with pytest.raises(Killed):
        directory.write_folder("state", dies_half_way)
    assert not directory.has("state")
    directory.write_folder("state", fill("old"))
    with pytest.raises(Killed):
        directory.write_folder("state", dies_half_way)
    assert content(directory) == "old"
    assert [path.name for path in directory.path.iterdir()] == ["state"]
    directory.write_folder("state", fill("new"))
    assert content(directory) == "new"
    assert not (directory.path / "state" / "half").exists()


def test_a_write_killed_between_its_two_renames_is_recovered(directory, monkeypatch):
    directory.write_folder("state", fill("old"))
    path_type = type(directory.path)
    rename = path_type.rename

    def dies_at_the_second(self, target):
        if self.name == ".state.new":
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(path_type, "rename", dies_at_the_second)
        with pytest.raises(Killed):
            directory.write_folder("state", fill("new"))
    assert not directory.has("state")
    directory.recover("state")
    assert content(directory) == "old"
    directory.recover("state")  # once more does no harm
    assert content(directory) == "old"
    directory.write_folder("state", fill("newer"))
    assert content(directory) == "newer"


def test_recovering_never_touches_a_folder_that_is_there(directory):
    directory.write_folder("state", fill("good"))
    (directory.path / ".state.old").mkdir()
    directory.recover("state")
    assert content(directory) == "good"
    directory.recover("checkpoint")
    assert not directory.has("checkpoint")


def test_a_json_file_is_written_whole(directory):
    directory.write_json("config.json", {"steps": 3})
    with pytest.raises(TypeError):
        directory.write_json("config.json", {"steps": object()})
    assert json.loads((directory.path / "config.json").read_text()) == {"steps": 3}


def test_metrics_are_read_back_in_order_without_a_torn_last_line(directory):
    assert directory.read_metrics() == []
    rows = [{"step": step, "loss": 1 / step} for step in (1, 2, 3)]
    for row in rows:
        directory.append_metrics(row)
    with (directory.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    assert directory.read_metrics() == rows


def test_rewinding_drops_what_a_resumed_run_will_write_again(directory):
    for step in (1, 2, 3, 4):
        directory.append_metrics({"step": step})
    with (directory.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5')
    directory.rewind_metrics(2)
    directory.append_metrics({"step": 3})
    assert directory.read_metrics() == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_a_stop_is_asked_for_by_a_file_and_taken_back(directory):
    assert not directory.stop_requested
    (directory.path / "stop").touch()
    assert directory.stop_requested
    directory.clear_stop()
    directory.clear_stop()
    assert not directory.stop_requested


def test_a_path_that_cannot_be_a_directory_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ConfigError, match=r"output must be a writable directory, got '.*file"):
            RunDirectory(path)


def test_an_existing_run_is_opened_and_not_emptied(directory):
    directory.write_folder("state", fill("kept"))
    assert content(RunDirectory(directory.path)) == "kept"
    assert [path.name for path in directory.path.iterdir()] == ["state"]


# Whose folder it is


def put(directory: RunDirectory, *names: str) -> None:
    for name in names:
        path = directory.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def files_in(directory: RunDirectory) -> set[str]:
    return {path.relative_to(directory.path).as_posix() for path in directory.path.rglob("*") if path.is_file()}


WRITTEN = (
    *("config.json", "metrics.jsonl", "points.json", "stop", "samples/step00020-00.json", "held_out/step00000.json"),
    *("state/state.pt", "state/step.json", ".state.old/state.pt", "vqvae/config.json", ".0123456789abcdef.tmp"),
    *("checkpoint/model_index.json", "checkpoint/transformer/model-00001-of-00002.safetensors"),
    *("checkpoint/transformer/model.safetensors.index.json", "checkpoint/tokenizer/tokenizer_config.json"),
    *("checkpoint/vqvae/diffusion_pytorch_model.safetensors", "checkpoint/scheduler/scheduler_config.json"),
)
FOREIGN = (
    *("thesis.txt", "samples/thesis.txt", "samples/step00020-00.json.bak", "samples/deep/step00020-00.json"),
    *("checkpoint/notes.md", "checkpoint/transformer/notes.txt", "state/mine.pt", "my_metrics.jsonl", "notes/stop"),
    *("held_out/steps.json", "checkpoint.zip"),
)


@pytest.mark.parametrize(
    "name", ["samples/thesis.txt", "checkpoint/model_index.json", "config.json", "state/x", "stop"]
)
def test_a_folder_that_holds_a_name_of_a_runs_is_refused_by_that_name_with_the_ways_out(directory, name):
    put(directory, name)
    with pytest.raises(ConfigError, match=rf"holds {name.split('/')[0]}: --resume .* --overwrite "):
        directory.check(resume=False, overwrite=False)
    assert files_in(directory) == {name}
    directory.check(resume=False, overwrite=True)
    assert files_in(directory) == {name}  # to check removes nothing yet


def test_a_folder_with_other_things_may_be_trained_into(directory):
    put(directory, "thesis.txt", "notes/stop", "checkpoint.zip")
    (directory.path / "stop").touch()  # the page asks a run that is only starting
    directory.check(resume=False, overwrite=False)


def test_to_resume_there_must_be_a_run_and_not_both_flags(directory):
    put(directory, "samples/thesis.txt", "metrics.jsonl")
    with pytest.raises(ConfigError, match=r"holds no run to --resume"):
        directory.check(resume=True, overwrite=False)
    with pytest.raises(ConfigError, match="exclude each other"):
        directory.check(resume=True, overwrite=True)
    put(directory, ".state.old/state.pt")  # killed between the two renames
    directory.check(resume=True, overwrite=False)
    assert directory.has("state")


def test_clearing_removes_all_that_a_run_wrote_and_nothing_else(directory):
    put(directory, *WRITTEN, *FOREIGN)
    (directory.path / "samples" / "empty").mkdir()
    directory.clear()
    assert files_in(directory) == set(FOREIGN)
    assert (directory.path / "samples" / "empty").is_dir() and not (directory.path / "vqvae").exists()
    directory.clear()
    assert files_in(directory) == set(FOREIGN)


def test_clearing_leaves_what_a_link_points_at(directory, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "thesis.txt").write_text("")
    (directory.path / "samples").symlink_to(tmp_path / "elsewhere")
    directory.clear()
    assert (tmp_path / "elsewhere" / "thesis.txt").exists()


def test_a_folder_that_is_replaced_hands_on_what_the_run_did_not_write(directory):
    put(directory, "state/state.pt", "state/thesis.txt", "state/deep/notes.txt")
    directory.write_folder("state", lambda folder: (folder / "step.json").write_text("new"))
    assert files_in(directory) == {"state/step.json", "state/thesis.txt", "state/deep/notes.txt"}


# One process at a time

HOLDS = """
import sys, time
from mmreason.training.run.rundir import RunDirectory
with RunDirectory(sys.argv[1]).held():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_refused_and_a_killed_one_holds_nothing(directory):
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", HOLDS, str(directory.path)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=r"is in use: another process trains there"), directory.held():
            pass
        process.send_signal(signal.SIGKILL)
    with directory.held(), directory.held():  # nested, too
        pass
    assert directory.taken() == []  # the lock's file is no run
