"""Checkpoints, disks and clocks that fail: one sentence at the command line (exit code 2) and on the page."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from safetensors.torch import load_file, save_file

from mmreason.__main__ import main
from mmreason.ui import health
from mmreason.ui.host import checkpoints, temporary
from mmreason.ui.solve import line, playback, solving
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.watch import events as watch_events
from mmreason.ui.watch import handlers
from tests.helpers import policies
from tests.helpers.apart import run_apart

WEIGHTS = Path("transformer") / "model.safetensors"


def truncate(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size // 2)


def empty(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, 0)


def lose_a_tensor(folder: Path) -> None:
    _rename(folder, lambda name: None if name == "blocks.1.up.weight" else name)


def have_other_names(folder: Path) -> None:
    _rename(folder, lambda name: name.replace("blocks.", "layers."))


def have_other_sizes(folder: Path) -> None:
    _configure(folder / "transformer" / "config.json", intermediate_size=16)


def have_another_layer(folder: Path) -> None:
    _configure(folder / "transformer" / "config.json", num_hidden_layers=3)


def name_another_class(folder: Path) -> None:
    _configure(folder / "model_index.json", scheduler=["mmreason.sampling.scheduler", "OfTomorrow"])


def lose_a_part(folder: Path) -> None:
    shutil.rmtree(folder / "vqvae")


def go_away(folder: Path) -> None:
    shutil.rmtree(folder)


def _rename(folder: Path, name_of: Callable[[str], str | None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    kept = {new: tensor for name, tensor in tensors.items() if (new := name_of(name)) is not None}
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})


def _configure(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


FAULTS = [
    *(truncate, empty, lose_a_tensor, have_other_names, have_other_sizes),
    *(have_another_layer, name_another_class, lose_a_part, go_away),
]


@pytest.fixture(params=FAULTS, ids=lambda fault: fault.__name__)
def faulty(request, tiny_checkpoint, tmp_path, monkeypatch, real_checkpoints) -> Path:
    """A folder of checkpoints whose ``base`` has a fault."""
    shutil.copytree(tiny_checkpoint, tmp_path / "base")
    request.param(tmp_path / "base")
    monkeypatch.setenv(checkpoints.CHECKPOINTS_SETTING, str(tmp_path))
    return tmp_path / "base"


def test_a_checkpoint_with_a_fault_is_told_at_the_command_line_and_on_the_page(faulty, capsys):
    assert main(["solve", "--task", "maze", "--seed", "1", "--checkpoint", str(faulty), "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    *_, line = said.err.splitlines()  # the libraries' reports come before
    assert line.startswith("python -m mmreason solve: ") and str(faulty) in line
    shown = run_apart(solving.last_shown(solving.solve(SolveRequest(seed=1), "me")))
    assert shown.notice.startswith("Checkpoint ") and shown.notice.endswith(".") and not shown.busy
    assert "\n" not in shown.notice and len(shown.notice) < 400
    assert handlers.preview_controls("maze", "easy", 1, "base")[1] == shown.notice
    assert set(health.fingerprints().values()) <= {None}
    checkpoints.warm_up()  # raises nothing


@pytest.fixture
def small_disk(tmp_path):
    """A folder that holds 300 kB, and a function that gives it more room."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root of Linux can make a small disk")
    yield place, lambda: subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
    subprocess.run(["umount", str(place)], check=True)


def test_a_training_on_a_full_disk_ends_in_a_sentence_and_goes_on_when_there_is_room(small_disk, tmp_path, capsys):
    disk, give_room = small_disk
    policies.pipeline_of(policies.talking_policy()).save_pretrained(tmp_path / "base")
    sizes = {"steps": 2, "num_problems": 2, "num_generations": 2, "eval_problems": 2, "eval_steps": 2, "save_steps": 1}
    flags = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    command = ["train", "--checkpoint", str(tmp_path / "base"), "--output", str(disk / "run"), *flags]
    assert main(command) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line and "make room and use --resume" in line
    assert not (disk / "run" / ".state.new").exists()
    give_room()
    assert main([*command, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 2


def test_files_to_take_away_from_a_full_disk_are_told_and_leave_nothing(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(temporary, "folder", lambda: tmp_path)
    data, finished = handlers.example_value()
    assert data is not None
    monkeypatch.setattr(os, "fsync", fails)
    monkeypatch.setattr(line.PRESENCE, "is_here", lambda session: True)
    asked: Any = SimpleNamespace(session_hash="me", client=None, headers={})
    for kind in ("trace", "gif"):
        event = gr.EventData(None, {"kind": kind, "name": "17"})
        button = run_apart(watch_events.on_take(finished, event, asked))
        why = "This server cannot write the file (No space left on device): try again later."
        assert (button.label, button.value) == (f"17 {why}", None)
    assert list(temporary.gradios_folder().iterdir()) == []


def test_a_run_that_begins_after_the_clock_was_set_back_is_newer_than_those_before(monkeypatch):
    before = playback.run_number()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert playback.run_number() > before
