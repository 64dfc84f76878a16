"""What the command line prints and reads, whatever its standard streams are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmreason.commands._options.checkpoint import checkpoint_name
from mmreason.commands._options.files import check_files
from mmreason.errors import ConfigError
from mmreason.tasks import make_problem
from mmreason.traces.file import load
from tests.helpers import forked

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PUZZLE = json.dumps(make_problem("maze", "easy", 7).spec)


def shell(line: str, cwd: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``line`` in bash, with the command line as ``$mm`` and the arguments as ``$1``, ``$2``."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "mm": f"{sys.executable} -m mmreason"}
    command = ["bash", "-c", line, "bash", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment | variables, capture_output=True, encoding="utf-8", timeout=120
    )


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and lines and lines[-1].startswith("python -m mmreason"), done
    assert not any("Traceback" in line or "Exception ignored" in line for line in lines)
    return lines[-1]


def test_what_is_printed_is_utf_8_whatever_the_console_says(tiny_checkpoint, tmp_path):
    line = "$mm solve --task maze --difficulty easy --checkpoint $1"
    done = shell(line, tmp_path, tiny_checkpoint, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert "solved" in done.stdout
    for encoding in ("cp1252", "ascii"):
        done = shell("$mm solve --help; $mm solve --tusk ✓", tmp_path, PYTHONIOENCODING=encoding)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", ["solve --task maze --checkpoint $1", "--help", "solve --help"])
def test_output_that_is_full_is_one_sentence(arguments, tiny_checkpoint, tmp_path):
    done = shell(f"$mm {arguments} >/dev/full", tmp_path, tiny_checkpoint)
    assert one_sentence(done).endswith("cannot write to standard output: No space left on device")


def test_output_that_is_closed_is_said_and_the_trace_is_whole(tiny_checkpoint, tmp_path):
    done = shell("$mm solve --task maze --checkpoint $1 >&-", tmp_path, tiny_checkpoint)
    assert one_sentence(done).endswith("cannot write to standard output: Bad file descriptor")
    assert load(tmp_path / "trace.json")["problem"]["task"] == "maze"
    done = shell("$mm solve --task maze --checkpoint $1 --json 2>&-", tmp_path, tiny_checkpoint)
    assert done.returncode == 0 and "success" in json.loads(done.stdout)


@pytest.mark.parametrize(
    "line",
    [
        "printf '\\xef\\xbb\\xbf%s' \"$2\" | $mm solve --problem - --checkpoint $1",
        '$mm solve --problem <(printf %s "$2") --checkpoint $1',
    ],
)
def test_a_puzzle_comes_in_through_a_pipe(line, tiny_checkpoint, tmp_path):
    done = shell(line, tmp_path, tiny_checkpoint, PUZZLE)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "trace.json")["problem"]["spec"] == json.loads(PUZZLE)


def test_a_wrong_problem_is_refused_before_what_solves_it_is_imported(tmp_path):
    words = ["solve", "--problem", "/dev/zero"]
    code = f"import sys; from mmreason.__main__ import main; print(main({words}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120)
    assert done.stdout == "2 False\n" and "larger than 64 KB" in done.stderr


def test_a_trace_goes_through_a_pipe_into_the_next_command(tiny_checkpoint, tmp_path):
    solve = "$mm solve --task maze --checkpoint $1 --out p >/dev/null"
    done = shell(f"mkfifo p; $mm inspect p --json & {solve}; wait; test -p p && ls", tmp_path, tiny_checkpoint)
    found, _, left = done.stdout.partition("\n")
    assert json.loads(found)["valid"] and left == "p\n" and done.returncode == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("$mm solve --problem - <&-", "cannot be read: Bad file descriptor"),
        ("printf '%s' \"$2\" | iconv -t utf-16 | $mm solve --problem -", "is UTF-16 text; save it as UTF-8"),
    ],
)
def test_a_stream_that_cannot_be_read_is_one_sentence(line, says, tiny_checkpoint, tmp_path):
    assert says in one_sentence(shell(line, tmp_path, tiny_checkpoint, PUZZLE))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["solve", "--problem", PUZZLE], "is JSON; give the path of a file, or - and pipe the JSON in"),
        (["inspect", PUZZLE], "is JSON; give the path of a file"),
        (["solve", "--problem", "/dev/zero"], "is larger than 64 KB"),
        (["inspect", "/dev/zero"], "is larger than 32 MB"),
        (["solve", "--task", "maze", "--out", "/dev/full"], "cannot write '/dev/full': No space left on device"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_sentence(words, says, tiny_checkpoint, tmp_path):
    if "/dev/full" in words and not Path("/dev/full").is_char_device():
        pytest.skip("there is no full device")
    given = ["--checkpoint", tiny_checkpoint] if words[0] == "solve" else []
    assert says in one_sentence(forked.run(*words, *given, cwd=tmp_path))


# Files that a command is told to write


def test_one_file_under_two_options_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("here").touch()
    Path("link").symlink_to("here")
    check_files({"--out": "a", "--gif": "b"}, {"--problem": "c"})
    check_files({"--out": "/dev/null", "--gif": "/dev/null"})
    check_files({"--out": "a", "--gif": None})
    for second in ("here", "./here", "link", str(tmp_path / "here")):
        with pytest.raises(ConfigError, match="--gif must be another file than --out"):
            check_files({"--out": "here", "--gif": second})
        with pytest.raises(ConfigError, match="--out must be another file than --problem"):
            check_files({"--out": second}, {"--problem": "here"})
    for folder, got in (("", "nothing"), (".", "the directory '.'")):
        with pytest.raises(ConfigError, match=f"--out must be the path of a file to write, got {got}"):
            check_files({"--out": folder})


@pytest.mark.parametrize(
    "arguments",
    [
        "solve --task maze --out x --gif x",
        "solve --problem p --out p",
        "race --out x --gif ./x",
        "report --checkpoint checkpoints/base --results checkpoints/README.md",
        "compute --output mmreason/analysis/README.md",
        "inspect x --schema x",
    ],
)
def test_every_command_refuses_it_before_it_computes(arguments, tmp_path):
    for name in ("p", "x"):
        (tmp_path / name).write_text(PUZZLE)
    (tmp_path / "checkpoints").symlink_to(ROOT / "checkpoints")
    done = forked.run(*arguments.split(), cwd=tmp_path)
    assert "must be another file than" in one_sentence(done)
    assert (tmp_path / "p").read_text() == (tmp_path / "x").read_text() == PUZZLE


def test_the_folder_that_one_stands_in_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert [checkpoint_name(path) for path in (".", "./", "../mine", "x/..", "a/b/")] == ["mine"] * 4 + ["b"]
    assert checkpoint_name("/") == "/"
