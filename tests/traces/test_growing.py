"""A file of rollouts that is followed: lines that are whole are read once, and a file that was cut is said to be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from mmreason.analysis.rollouts.reading import reading
from mmreason.errors import TraceError
from mmreason.traces.opening import open_rollouts
from mmreason.traces.reading import growing
from mmreason.traces.reading.growing import Growing
from mmreason.traces.recorder import Recorder

SAMPLES = Path(__file__).parent / "samples"


def lines(path: Path, texts: str, prompt: str = "q") -> None:
    with Recorder(path) as record:
        for text in texts:
            record.rollout([prompt, Image.new("RGB", (4, 4))]).text(text)


def texts(opened: growing.Opened) -> str:
    return "".join(str(rollout.parts[0].text) for rollout in opened.rollouts.rollouts)


def test_what_is_appended_is_read_line_by_line_and_nothing_is_read_twice(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "r.jsonl"
    lines(whole, "abc")
    lines(whole, "de", prompt="another")
    content = whole.read_bytes()
    first = content.index(b"\n") + 1
    path.write_bytes(content[:first])
    followed, seen = Growing(path), []
    shown = [texts(followed.opened)]
    for end in range(first + 40, len(content) + 40, 40):
        with path.open("ab") as file:
            file.write(content[end - 40 : end])
        os.utime(path, ns=(end, end))
        found = followed.more()
        assert found is not None and found.says == ""
        assert found.opened is not None
        now = texts(found.opened)
        seen.append(followed.unfinished)
        if now != shown[-1]:
            shown.append(now)
    assert shown == ["a", "ab", "abc", "abcd", "abcde"], "each rollout as it is written"
    assert "line 2 is being written" in seen and seen[-1] == ""
    assert reading(followed.opened.rollouts) == reading(open_rollouts(whole).rollouts)
    assert followed.more() is None, "nothing has changed"


@pytest.mark.parametrize("start", ["", "ab"])
def test_a_line_may_come_before_its_end(start: str, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "r.jsonl"
    lines(whole, f"{start}cd")
    *first, third, fourth = whole.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(first) or third[:-1])
    followed = Growing(path)
    grows = [(b"\n", "c"), (b"\n  \n", "c"), (fourth, "cd")]
    for added, shown in [(third[:-1], "c"), *grows] if start else grows:
        with path.open("ab") as file:
            file.write(added)
        found = followed.more()
        assert found and found.opened and (texts(found.opened), found.says) == (f"{start}{shown}", "")
    with path.open("ab") as file:
        file.write(b"{}\n")
    found = followed.more()
    assert found and f"line {len(start) + 5} of" in found.says, "lines are still counted right"


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.jsonl"
    lines(path, "abc")
    followed, spans = Growing(path), []
    kept = growing._Span
    monkeypatch.setattr(growing, "_Span", lambda file, *span: (spans.append(span), kept(file, *span))[1])
    before = path.stat().st_size
    lines(path, "d")
    found = followed.more()
    assert found and found.opened and texts(found.opened) == "abcd"
    assert spans == [(before, path.stat().st_size)]


@pytest.mark.parametrize("name", ["chat-messages.jsonl", "image-files/rollouts.jsonl", "verl/12.jsonl", "zebra"])
def test_samples_of_other_systems_are_read_as_ever_and_on(name: str, tmp_path: Path) -> None:
    assert reading(Growing(SAMPLES / name).opened.rollouts) == reading(open_rollouts(SAMPLES / name).rollouts)


def test_a_file_that_is_cut_or_written_anew_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines(path, "abc")
    followed = Growing(path)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\n") + 1])
    found = followed.more()
    assert found and found.opened and texts(found.opened) == "a"
    assert found.says == "The file 'r.jsonl' was cut or written anew: it held 3 rollouts and holds 1."
    path.unlink()
    lines(path, "xyz")  # longer than what was read, and another
    found = followed.more()
    assert found and found.opened and texts(found.opened) == "xyz" and "was cut or written anew" in found.says
    path.write_bytes(b"")
    found = followed.more()
    assert found and found.opened is None and "cut or written anew" in found.says
    assert texts(followed.opened) == "xyz", "what was read is kept"
    lines(path, "v")
    found = followed.more()
    assert found and found.opened and texts(found.opened) == "v"
    path.unlink()
    found = followed.more()
    assert found and found.opened is None and "is gone" in found.says
    assert followed.more() is None


def test_a_line_that_is_wrong_is_said_and_what_was_read_stays(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines(path, "ab")
    followed = Growing(path)
    with path.open("a") as file:
        file.write(json.dumps({"version": 2, "rollouts": [{"prompt": "nobody", "parts": []}]}) + "\n")
    found = followed.more()
    assert found and found.opened is None and "cannot be read on: line 3 of" in found.says
    assert texts(followed.opened) == "ab"
    wrong = path.read_bytes()
    lines(path, "c")
    found = followed.more()
    assert found and found.opened is None and "cannot be read on: line 3 of" in found.says, "it only grew"
    assert texts(followed.opened) == "ab"
    path.write_bytes(b"".join(wrong.splitlines(keepends=True)[:2]))
    lines(path, "de")
    found = followed.more()
    assert found and found.opened and (texts(found.opened), found.says) == ("abde", ""), "the wrong line was put right"
    lines(path, "f")
    found = followed.more()
    assert found and found.opened and (texts(found.opened), found.says) == ("abdef", "")
    path.write_bytes(wrong)
    with pytest.raises(TraceError, match="line 3"):
        Growing(path)


def test_a_folder_is_followed_too(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", "ab")
    followed = Growing(tmp_path)
    lines(tmp_path / "a.jsonl", "c")
    lines(tmp_path / "b.jsonl", "d")
    found = followed.more()
    assert found and found.opened and texts(found.opened) == "abcd" and found.says == ""
