"""One way to write a file: whole or not at all, and never in place of what is no file of ours."""

from __future__ import annotations

import ast
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from mmreason.disk import append_line, files_in, finite, one_line, write_json, write_whole, writing
from mmreason.errors import CheckpointError, ConfigError, TraceError, WriteError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def umask():
    """The usual umask, whatever the test set."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def node(path: Path, minor: int) -> Path:
    """A device node of the test's own: 3 is the null device, 7 the full one."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        with path.open("wb"):
            pass
    except OSError:
        pytest.skip("nodes cannot be made and opened here")
    return path


# Where it is written


def test_a_new_file_and_its_folders_are_made(tmp_path):
    write_whole(tmp_path / "a" / "b" / "file", b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert os.listdir(tmp_path / "a" / "b") == ["file"]


def test_a_symbolic_link_stays_and_what_it_points_at_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "target").write_text("old")
    (tmp_path / "link").symlink_to(Path("far") / "target")
    (tmp_path / "again").symlink_to("link")
    write_whole(tmp_path / "again", b"new")
    assert (tmp_path / "again").is_symlink() and (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "target").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["again", "far", "link"] and os.listdir(tmp_path / "far") == ["target"]


def test_a_link_to_nothing_makes_what_it_points_at(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "far" / "target")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "target").read_text() == "new"


def test_a_pipe_is_written_and_stays_a_pipe(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"x" * 200_000)
    reader.join(10)
    assert read == [b"x" * 200_000] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_and_stays_a_device(tmp_path):
    device = node(tmp_path / "null", 3)
    write_whole(device, b"gone")
    assert stat.S_ISCHR(device.stat().st_mode) and os.listdir(tmp_path) == ["null"]


def test_a_full_device_is_said(tmp_path):
    with pytest.raises(WriteError, match=r"cannot write '.*full': No space left on device"):
        write_whole(node(tmp_path / "full", 7), b"x")
    with pytest.raises(WriteError, match="No space left"):
        append_line(tmp_path / "full", "x")


def test_standard_output_is_written_behind_what_was_printed(tmp_path):
    script = "from mmreason.disk import *; print('before'); write_whole('/dev/stdout', b'whole\\n'); print('after')"
    with (tmp_path / "out").open("wb") as file:
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=file, check=True)
    assert (tmp_path / "out").read_text() == "before\nwhole\nafter\n"


# Its mode


def test_a_new_file_has_what_the_umask_leaves(tmp_path, umask):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        umask(mask)
        write_whole(tmp_path / f"{mode:o}", b"")
        assert mode_of(tmp_path / f"{mode:o}") == mode


def test_an_existing_file_keeps_its_mode(tmp_path, umask):
    for mode in (0o600, 0o640, 0o666, 0o755):
        path = tmp_path / f"{mode:o}"
        path.touch()
        path.chmod(mode)
        write_whole(path, b"new")
        assert mode_of(path) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may write a file of another")
def test_an_existing_file_keeps_its_owner(tmp_path):
    (tmp_path / "theirs").touch()
    os.chown(tmp_path / "theirs", 12345, 54321)
    write_whole(tmp_path / "theirs", b"new")
    state = (tmp_path / "theirs").stat()
    assert (state.st_uid, state.st_gid) == (12345, 54321)


def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "kept"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as it is for all but root
    with pytest.raises(WriteError, match="Permission denied"):
        write_whole(path, b"new")
    assert path.read_text() == "old"


# When it fails


@pytest.mark.parametrize("place", ["{}", "{}/file/below", "{}/a\0b", "{}/" + "x" * 300, "{}/loop", ""])
def test_a_place_that_cannot_be_written_is_one_sentence(place, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(WriteError) as error:
        write_whole(place.format(tmp_path), b"x")
    assert str(error.value).startswith("cannot write '") and str(error.value).isprintable()
    assert not isinstance(error.value, TraceError)
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"] and (tmp_path / "loop").is_symlink()


@pytest.mark.parametrize("failing", ["fsync", "chown", "write"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(failing, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_text("old")
    if failing == "write":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, failing, full)
    with pytest.raises(WriteError, match=r"cannot write '.*file': No space left on device"):
        write_whole(path, b"new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_what_a_server_cannot_write_is_told_to_its_visitor_without_the_path(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=r"^this server cannot write the run \(Not a directory\): try again later$"),
        writing("the run"),
    ):
        write_whole(tmp_path / "file" / "below", b"x")
    with pytest.raises(CheckpointError), writing("the run"):
        raise CheckpointError("is not here")


# What is written


def test_json_is_strict_and_what_is_no_json_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": [1, float("nan"), (2, float("-inf"))]})
    assert path.read_bytes() == b'{"a":[1,null,[2,null]]}\n'
    write_json(path, {"a": 1}, indent=1)
    assert path.read_bytes() == b'{\n "a": 1\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert finite({1: float("inf"), "b": 2.5}) == {"1": None, "b": 2.5}


def test_the_files_of_a_folder_are_those_that_are_there_while_it_is_looked_through(tmp_path):
    for name in ("one", "two", "in/three", "in/it/four"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    names = {"one", "two", "link", "in/three", "in/it/four"}
    found = {path.relative_to(tmp_path).as_posix(): there.st_size for path, there in files_in(tmp_path)}
    assert found.keys() == names and found["in/it/four"] == len("in/it/four")
    looking = files_in(tmp_path)
    next(looking)
    shutil.rmtree(tmp_path)
    assert list(looking) == list(files_in(tmp_path)) == []


def test_a_line_is_appended(tmp_path):
    for line in ("one", "zwölf"):
        append_line(tmp_path / "log", line)
    assert (tmp_path / "log").read_bytes() == "one\nzwölf\n".encode()


def test_one_line_holds_nothing_that_a_terminal_obeys():
    assert one_line("a\nb\t c\x1b[31m\u202e") == "a b c?[31m?"
    assert one_line("x" * 9, 5) == "xxxx…" and one_line("x" * 5, 5) == "xxxxx"


# That all do it so

WRITERS = {"write_text", "write_bytes", "savefig", "touch", "mkstemp", "NamedTemporaryFile", "to_csv", "save_file"}
# Where another way is right, and why.
ALLOWED = {
    ("disk.py", "open"): "the way itself",
    ("disk.py", "fdopen"): "the way itself",
    ("__main__.py", "open"): "the null device, in place of an output that is closed or whose reader has left",
    ("rundir.py", "write_text"): "a probe of the folder that is gone at once",
    ("trainer.py", "save"): "into a folder that is moved to its place whole",
    ("loop.py", "save"): "into a folder that is moved to its place whole",
    ("pipeline.py", "save"): "an adapter, into a folder that is moved to its place whole",
    ("queue.py", "open"): "the log that a child process goes on writing",
    ("queue.py", "touch"): "asks a run to stop: nothing is in it",
    ("slices.py", "open"): "the log that takes what is printed",
    ("race_gif.py", "save"): "into memory",
    ("replay.py", "save"): "into memory",
    ("picture.py", "save"): "into memory",
    ("twin.py", "save"): "into memory",
    ("opened.py", "save"): "into memory",
    ("packing.py", "open"): "the log that child processes go on writing",
    ("upload.py", "write_bytes"): "into a folder of its own, gone once it was looked at, or in its place whole",
    ("dataset.py", "save"): "into memory",
    ("film.py", "save"): "into memory",
    ("file.py", "save"): "into memory",
    ("recorder.py", "save"): "into memory",
    ("handed.py", "open"): "for reading, one step of a path at a time",
    ("handed.py", "fdopen"): "for reading",
    ("merging.py", "open"): "tensors one by one, into a folder that is taken away where it does not become whole",
    ("archive.py", "ZipFile"): "a large archive, into a place that is handed over once it is whole",
}


def other_writes(source: str) -> set[str]:
    """Names of the calls in ``source`` that write a file in a way of their own."""
    return {name_of(call) for call in ast.walk(ast.parse(source)) if isinstance(call, ast.Call) and writes(call)}


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def writes(call: ast.Call) -> bool:
    name, owner = name_of(call), call.func.value if isinstance(call.func, ast.Attribute) else None
    module = owner.id if isinstance(owner, ast.Name) else ""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    texts = [str(each.value) for each in given if isinstance(each, ast.Constant)]
    in_mode = any(set(text) <= set("rwxabt+") and set(text) & set("wxa+") for text in texts)
    return (
        name in WRITERS
        or (name in ("open", "fdopen", "ZipFile") and (in_mode or module == "os"))
        or (name == "save" and owner is not None)  # torch's, a picture's, an array's
        or (name == "dump" and module in ("json", "pickle", "torch"))
        or (name == "screenshot" and any(keyword.arg == "path" for keyword in call.keywords))
    )


def test_every_file_is_written_in_the_one_way():
    found = {
        (path.name, name)
        for path in (ROOT / "mmreason").rglob("*.py")
        for name in other_writes(path.read_text(encoding="utf-8"))
    }
    assert found - set(ALLOWED) == set(), "written in a way of its own"
    assert set(ALLOWED) - found == set(), "allowed and not there any more"


@pytest.mark.parametrize(
    "source",
    [
        "open(p, 'w')",
        "p.open('ab')",
        "p.open(mode='x')",
        "open(p, mode='r+')",
        "os.open(p, flags)",
        "p.write_text(t)",
        "p.write_bytes(b)",
        "json.dump(d, f)",
        "image.save(p)",
        "torch.save(s, p)",
        "np.save(p, a)",
        "zipfile.ZipFile(p, 'w')",
        "page.screenshot(path=p)",
        "tempfile.mkstemp()",
    ],
)
def test_the_walk_sees_every_other_way(source):
    assert other_writes(source)


@pytest.mark.parametrize("source", ["open(p)", "p.open('rb')", "json.dumps(d)", "save(p, d)", "ZipFile(p)"])
def test_the_walk_lets_readers_be(source):
    assert not other_writes(source)
