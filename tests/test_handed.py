"""What a stranger hands over: through every door the same file is taken, or refused in one sentence."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from mmreason.errors import ProblemError
from mmreason.handed import Handed

ROOT = Path(__file__).parent.parent
PUZZLE = Handed("problem file", 1000, ProblemError)
GOOD = {"task": "jigsaw", "name": "zwölf"}
TEXT = json.dumps(GOOD, ensure_ascii=False)


def refused(work) -> str:
    with pytest.raises(ProblemError) as error:
        work()
    assert str(error.value).isprintable() and len(str(error.value)) < 400
    return str(error.value)


@pytest.mark.parametrize("content", [TEXT, "\ufeff" + TEXT, TEXT.encode(), TEXT.encode("utf-8-sig"), f" \n{TEXT}\r\n"])
def test_a_byte_order_mark_is_taken_as_text_and_as_bytes(content):
    assert PUZZLE.parse(content) == GOOD


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_wide_text_is_named_and_what_to_do(encoding):
    said = refused(lambda: PUZZLE.parse(TEXT.encode(encoding), "mine.json"))
    assert said == f"problem file 'mine.json' is {encoding[:6].upper()} text; save it as UTF-8"


def test_another_encoding_is_refused_by_its_first_byte():
    said = refused(lambda: PUZZLE.parse(TEXT.encode("latin-1"), "mine.json"))
    assert "is not UTF-8 text (byte 0xf6 at 30); save it as UTF-8" in said
    assert "not UTF-8" in refused(lambda: PUZZLE.parse(b"\x00\x00\x00\x20ftypisom\x9c", "film"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "this is not JSON: it is empty"),
        ("\ufeff \n", "this is not JSON: it is empty"),
        ("{", "this is not JSON: Expecting"),
        ("hello\nworld", "this is not JSON: it begins with neither { nor ["),
        ('{"a": NaN}', "finite numbers only, got NaN"),
        ('{"a": -Infinity}', "finite numbers only, got -Infinity"),
        ('{"a": 1, "a": 2}', "key 'a' appears twice"),
        ('{"a": ' + "9" * 900 + "}", None),
        ("[" * 1000, "nested deeper than 32 levels"),
        ("ö" * 501, "larger than"),
        (b" " * 1001, "larger than"),
    ],
)
def test_content_that_is_no_json_is_refused_in_one_sentence(content, says):
    if says is None:
        assert PUZZLE.parse(content)
    else:
        assert says in refused(lambda: PUZZLE.parse(content))


def test_the_largest_size_is_said_in_what_people_count_in():
    assert Handed("file", 64 * 2**10, ProblemError)._too_large("x") == "x is larger than 64 KB"
    assert Handed("file", 32 * 2**20, ProblemError)._too_large("x") == "x is larger than 32 MB"


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 2**40)
    monkeypatch.setattr("builtins.open", None)
    assert "is larger than" in refused(lambda: PUZZLE.load(tmp_path / "huge"))


def test_a_pipe_is_read_within_the_limit(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    Thread(target=lambda: pipe.write_text(TEXT)).start()
    assert PUZZLE.load(pipe) == GOOD
    assert "is larger than" in refused(lambda: PUZZLE.load("/dev/zero"))


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("{}/none.json", "does not exist; give the path of a JSON file"),
        ("{}", "is a directory; give the path of a JSON file"),
        ("{}/" + "x" * 300, "cannot be read: File name too long"),
        ("{}/loop", "cannot be read: "),
        ("{}/a\0b", "cannot be read: "),
        ("{}/socket", "cannot be read: "),
        (TEXT + " " * 300, "is JSON; give the path of a file, or - and pipe the JSON in"),
        (TEXT, "is JSON; give the path of a file, or - and pipe the JSON in"),
        ("/dev/fd/987", "cannot be read: Bad file descriptor"),
    ],
)
def test_a_place_that_cannot_be_read_is_one_sentence(place, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert says in refused(lambda: PUZZLE.load(place.replace("{}", str(tmp_path)) if "{}" in place else place))


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "theirs").touch()
    monkeypatch.setattr("builtins.open", denied)  # as it is for all but root
    assert "cannot be read: Permission denied" in refused(lambda: PUZZLE.load(tmp_path / "theirs"))


SCRIPT = """
import sys
from mmreason.errors import ProblemError
from mmreason.handed import Handed
try:
    print(Handed("problem file", 1000, ProblemError).load(sys.argv[1])["task"])
except ProblemError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
@pytest.mark.parametrize("through", ["pipe", "file", "socket", "closed", "large"])
def test_standard_input_is_read_whatever_it_is(name, through, tmp_path):
    command = [sys.executable, "-c", SCRIPT, name]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 60}
    if through == "pipe":
        found = subprocess.run(command, input=TEXT, **options)
    elif through == "large":
        found = subprocess.run(command, input="x" * 300_000, **options)
    elif through == "closed":
        found = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command], **options)
    elif through == "file":
        (tmp_path / "file").write_text(TEXT)
        with (tmp_path / "file").open() as file:
            found = subprocess.run(command, stdin=file, **options)
    else:
        ours, theirs = socket.socketpair()
        ours.sendall(TEXT.encode())
        ours.shutdown(socket.SHUT_WR)
        found = subprocess.run(command, stdin=theirs.fileno(), **options)
        ours.close(), theirs.close()
    says = {"closed": "cannot be read: Bad file descriptor", "large": "is larger than"}.get(through, "jigsaw")
    assert says in found.stdout and found.stderr == ""


def test_a_process_substitution_is_read():
    command = f"exec {sys.executable} -c \"$0\" <(printf %s '{json.dumps(GOOD)}')"
    found = subprocess.run(["bash", "-c", command, SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("jigsaw\n", "")
