"""Temporary files stay bounded: what is old or too much goes, and nothing is left by a server that has ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from filelock import FileLock
from gradio import utils

from mmreason.ui import api
from mmreason.ui.host import temporary
from mmreason.ui.host.files import new_place
from mmreason.ui.host.settings import MB, name_of


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder in place of this process's own, of at most 50 MB, looked at whenever it is asked for."""
    monkeypatch.setattr(temporary, "folder", lambda: tmp_path)
    monkeypatch.setattr(temporary, "PERIOD", 0.0)
    monkeypatch.setenv(name_of("max_temporary_mb"), "50")
    return tmp_path


def put(place: Path, megabytes: int, age: float) -> Path:
    """A file that was written ``age`` seconds ago."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / "file"
    with path.open("wb") as file:
        file.truncate(megabytes * MB)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_the_oldest_go_while_all_are_too_much_and_what_is_old_in_any_case(folder):
    paths = [put(folder / "gradio" / str(age), 20, age) for age in (30, 10, 20, 40)]
    temporary.make_room()
    assert [path.exists() for path in paths] == [False, True, True, False]
    assert sorted(path.name for path in (folder / "gradio").iterdir()) == ["10", "20"]  # no empty folders
    old = put(folder / "gradio" / "old", 1, temporary.KEPT_SECONDS + 60)
    temporary.make_room()
    assert [path.exists() for path in (old, *paths)] == [False, False, True, True, False]


def test_many_small_files_are_too_much_as_well(folder, monkeypatch):
    monkeypatch.setattr(temporary, "MAX_FILES", 5)
    for age in range(9):
        put(folder / str(age), 0, age)
    temporary.make_room()
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "2", "3", "4"]


def test_files_to_take_away_are_bounded_however_fast_they_are_asked_for(folder):
    """Each call of the archive writes a new one."""
    for _ in range(12):
        with new_place() as place:
            put(place, 20, 0)
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 3 * 25 * MB


def test_what_is_handed_over_lies_where_gradio_takes_files_from_wherever_the_folder_is(folder, monkeypatch):
    monkeypatch.setenv(temporary.GRADIO, "")
    temporary.hold_gradios_files()
    with new_place() as place:
        file = put(place, 1, 0)
    allowed, _ = utils.is_allowed_file(file, [], [], [utils.get_upload_folder()])
    assert allowed and file.is_relative_to(folder)


def test_uploads_are_bounded_through_the_server_itself(scripted_server, monkeypatch):
    monkeypatch.setattr(temporary, "PERIOD", 0.0)
    monkeypatch.setenv(name_of("max_temporary_mb"), "50")
    address = f"{scripted_server.address.rstrip('/')}/gradio_api/upload"
    sent = []
    for number in range(10):
        content = b"%d" % number + b" " * (7 * MB)
        sent += httpx.post(address, files={"files": ("a.json", content)}, timeout=60).json()
    there = [Path(path).exists() for path in sent]
    assert there[-1] and not there[0]
    assert sum(path.stat().st_size for path in map(Path, sent) if path.exists()) <= 60 * MB


def in_pieces(content: bytes) -> Iterator[bytes]:
    """``content`` as a request that does not say how long it is."""
    yield from (content[start : start + 2**16] for start in range(0, len(content), 2**16))


@pytest.mark.parametrize("says_its_size", [True, False])
def test_many_files_in_one_upload_are_bounded_together(scripted_server, monkeypatch, says_its_size):
    monkeypatch.setattr(temporary, "PERIOD", 0.0)
    monkeypatch.setenv(name_of("max_temporary_mb"), "50")
    monkeypatch.setenv(name_of("max_upload_mb"), "1")
    temporary.make_room()
    address = f"{scripted_server.address.rstrip('/')}/gradio_api/upload"
    files = [("files", (f"{number}.json", b"%03d" % number + b" " * 990_000)) for number in range(70)]
    request = httpx.Request("POST", address, files=files)
    content = request.read()
    kind = {"content-type": request.headers["content-type"]}
    sent = httpx.post(address, content=content if says_its_size else in_pieces(content), headers=kind, timeout=60)
    assert (sent.status_code, sent.text) == (413, "the files of one upload may have at most 8 MB in all")
    there = sum(path.stat().st_size for path in temporary.folder().rglob("*") if path.is_file())
    assert there <= 60 * MB
    assert httpx.post(address, files=files[:3], timeout=60).status_code == 200


@pytest.mark.parametrize("says_its_size", [True, False])
@pytest.mark.parametrize("route", ["queue/join", "call/inspect", "run/predict", "component_server", "call/upload"])
def test_a_request_that_is_too_large_is_not_read(scripted_server, monkeypatch, route, says_its_size):
    monkeypatch.setenv(name_of("max_request_mb"), "1")
    content = b'{"data": ["' + b" " * 2 * MB + b'"]}'
    address = f"{scripted_server.address.rstrip('/')}/gradio_api/{route}"
    kind = {"content-type": "application/json"}
    sent = httpx.post(address, content=content if says_its_size else in_pieces(content), headers=kind, timeout=60)
    assert (sent.status_code, sent.json()) == (413, {"detail": "a request may have at most 1 MB"})


def test_the_longest_trace_still_reaches_its_endpoint(scripted_server):
    trace = '{"' * (api.MAX_TRACE_CHARS // 2)  # each quote is written as two characters
    address = f"{scripted_server.address.rstrip('/')}/gradio_api/call/inspect"
    assert httpx.post(address, json={"data": [trace]}, timeout=60).status_code == 200


START = "import os, sys; from mmreason.ui.host import temporary; print(temporary.folder(), flush=True); "


def started(parent: Path, then: str) -> Path:
    """The folder of a process that makes one below ``parent`` and ends as ``then`` says."""
    environment = os.environ | {temporary.GRADIO: str(parent)}
    done = subprocess.run([sys.executable, "-c", START + then], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_the_folder_goes_with_its_process_or_when_the_next_one_starts_and_no_other_ever(tmp_path):
    """Not even where the process's number is that of another one now."""
    notes = tmp_path / "mmreason-notes"
    notes.mkdir()
    alive = Path(tempfile.mkdtemp(prefix=f"{temporary.PREFIX}{os.getpid()}-", dir=tmp_path))
    ended = started(tmp_path, "")
    assert ended.parent == tmp_path and not ended.exists()
    killed = started(tmp_path, "os._exit(0)")
    assert killed.is_dir()
    again = killed.rename(tmp_path / f"{temporary.PREFIX}{os.getpid()}-again")
    held = Path(tempfile.mkdtemp(prefix=f"{temporary.PREFIX}{2**22 + 1}-", dir=tmp_path))  # above every number
    with FileLock(held / temporary.LOCK):
        forked = started(tmp_path, "os.fork() or sys.exit(); os.wait(); assert temporary.folder().is_dir()")
    assert not again.exists() and not forked.exists()
    assert notes.is_dir() and alive.is_dir() and held.is_dir()
    started(tmp_path, "")
    assert alive.is_dir() and not held.exists()


def test_the_lock_of_a_long_lived_server_stays_and_what_visitors_call_so_goes(folder):
    lock = folder / temporary.LOCK
    lock.touch()
    for path in (lock, put(folder / "gradio", 1, 0).rename(folder / "gradio" / temporary.LOCK)):
        os.utime(path, (0, 0))
    temporary.make_room()
    assert [path.name for path in folder.iterdir()] == [temporary.LOCK]
