"""What holds of hostile trace files: each is refused in one sentence that names what is wrong."""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmreason.errors import TraceError
from mmreason.rewards.verify import Verifier
from mmreason.tasks import make_problem
from mmreason.traces.file import HANDED, check, load, to_json
from tests.helpers.standin import SHEET, WORDS, stand_in_trace

VALID = to_json(Verifier(WORDS, SHEET).score(stand_in_trace(make_problem("maze", "easy", 7))), WORDS, SHEET)


def changed(path: str, value: Any) -> dict[str, Any]:
    """``VALID`` with the field at ``path`` (dots) set to ``value``; ``...`` deletes it."""
    data = copy.deepcopy(VALID)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    target: Any = data
    for key in parents:
        target = target[key]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return data


def assert_one_sentence(error: pytest.ExceptionInfo[TraceError]) -> str:
    message = str(error.value)
    assert message.isprintable() and 10 < len(message) < 500
    return message


def forged_png(width: int, height: int) -> str:
    """A PNG whose header claims a size that its data does not have."""
    data = io.BytesIO()
    Image.new("RGB", (128, 128)).save(data, "PNG")
    content = bytearray(data.getvalue())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return "data:image/png;base64," + base64.b64encode(content).decode()


def picture(size: tuple[int, int], kind: str = "PNG") -> str:
    data = io.BytesIO()
    Image.new("RGB", size).save(data, kind)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


START = VALID["problem"]["image"]
HOSTILE: dict[str, Any] = {
    "version": [0, 2, "1", True, 1.5, None, ..., [1]],
    "extra": [1],
    "problem": [None, [], "maze", ...],
    "problem.image": [
        *("", "http://example.org/x.png", "file:///etc/passwd", "data:image/png;base64,", START[:-200], ...),
        *("data:image/png;base64,!!!!", "data:image/svg+xml;base64,PHN2Zz4=", START + "A" * 300_000),
        *(forged_png(60_000, 60_000), forged_png(128, 4096), forged_png(0, 128), picture((64, 64))),
        *(picture((128, 128), "GIF"), picture((128, 128), "BMP"), 7, None),
    ],
    "problem.turns": [-1, 1e9, "4", 2.5, True, None],
    "problem.spec": [None, [], {"rows": float("nan")}, {"rows": deep(100)}, {"rows": deep(50_000)}],
    "problem.question": ["x" * 501, 7, "\ud800"],
    "problem.seed": [-1, 1.5, "7", 2**70],
    "canvas_codes": [
        *([], [0] * 63, [0] * 65, [-1] * 64, [1.5] * 64),
        *(["a"] * 64, [None] * 64, "0" * 64, [10**9] * 64),
    ],
    "segments": [None, {}, [None], [[]], [VALID["segments"][0]] * 200],
    "segments.0.kind": ["edit", "Thought", None, ..., 7],
    "segments.0.modality": ["image", None],
    "segments.0.turn": [0, -3, 1.5, "1", 1000],
    "segments.0.text": [None, 7, "x" * 501],
    "segments.0.cells": [[0]],
    "segments.0.before": [START],
    "segments.0.reward": [float("nan"), float("inf"), "1", True, 1e300],
    "segments.0.logprob": [float("-inf"), 3.0, "x"],
    "segments.0.verdict.components": [{"true": float("nan")}, {"true": "yes"}, [], {"x" * 65: 1.0}],
    "segments.0.verdict.right": [1, "true", None],
    "segments.0.frames.0.tokens": [[], [None] * 13, ["a b"] * 12, [3] * 12, ["right"] * 11, "right"],
    "segments.0.frames.0.committed": [[0], [0, 1, 1, 2], [0, 1, 2, 99], [-1, 0, 1, 2], [8, 9, 10, 11]],
    "segments.0.frames.0.probability": [[], [2.0] * 4, [float("nan")] * 4],
    "segments.0.frames.1.step": [0, 1, -1, 1.5],
    "segments.1.region": [None, [], ["r9c1 r1c1"], ["r1c1"], ["r1c1 r1c2 r1c3"], [7], ["r1c1  r1c2"]],
    "segments.1.cells": [None, [], [64], [-1], [0, 0], list(range(40)), [0.5]],
    "segments.1.before": [None, ..., forged_png(128, 127)],
    "segments.1.frames.0.tokens": [[None], ["red"] * 40],
    "segments.1.text": ["word"],
    "end_reason": [None, 7, "x" * 501],
    "success": [1, "true", None, ...],
    "reward.text": [float("nan"), "1", ...],
    "reward": [None, 1.0, {"text": 1.0}],
    "cost.flops": [-1.0, float("inf"), None, "1"],
    "cost.forward_passes": [-1, 1.5, 10**30],
    "settings": [None, [], {"temperature": "hot"}, {"mine": [1]}, {"mine": float("nan")}, {"num_steps": 1.5}],
}


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_field_is_refused_in_one_sentence_that_names_it(path: str) -> None:
    for value in HOSTILE[path]:
        with pytest.raises(TraceError) as error:
            check(changed(path, value))
        message = assert_one_sentence(error)
        first = path.split(".")[0]
        assert first in message, (value if len(repr(value)) < 200 else "…", message)


@pytest.mark.parametrize("value", [None, [], 7, "trace", True, float("nan")])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(TraceError, match="must be a JSON object"):
        check(value)


def test_objects_that_are_no_json_are_refused() -> None:
    for value in ({1, 2}, b"x", object(), {1: 2}, np.float64("nan"), (1, 2)):
        with pytest.raises(TraceError):
            check(changed("problem.spec", {"rows": value}))


def test_a_value_that_contains_itself_is_refused() -> None:
    spec: dict[str, Any] = {}
    spec["again"] = spec
    with pytest.raises(TraceError, match="nested deeper"):
        check(changed("problem.spec", spec))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (json.dumps(VALID).encode()[:-500], "is not JSON"),
        (b"\xff\xfe\x00\x01", "is UTF-16 text; save it as UTF-8"),
        (b"\x80\x04\x95", "is not UTF-8 text"),
        (b"GIF89a", "is not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b'{"version": NaN}', "finite numbers only"),
        (b'{"version": -Infinity}', "finite numbers only"),
        (b'{"version": 1e999}', "finite number"),
        (b'{"version": ' + b"1" * 10_000 + b"}", "is not JSON"),
        (b'{"version": 2}', "of another system"),
        (b'{"version": 3}', "'version' must be 1"),
        (b'{"version": 2, "version": 1}', "'version' appears twice"),
        (b'{"version": 1}', "'problem'"),
        (b'{"version": 1, "\\u001b[31m\\n": 0}', "trace field"),
        (b"{}", "'version' is missing"),
        (b"[1]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
    ],
)
def test_a_hostile_file_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=says) as error:
        load(path)
    assert_one_sentence(error)


def test_a_missing_file_a_directory_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", HANDED.max_bytes + 1)
    for name, says in (
        ("none.json", "does not exist"),
        (".", "is a directory"),
        ("huge", "is larger than 32 MB"),
        ("a\0b", "exist|cannot be read"),
        ("x" * 5000, "exist|cannot be read"),
    ):
        with pytest.raises(TraceError, match=says) as error:
            load(f"{tmp_path}/{name}")
        assert_one_sentence(error)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["r1c1 r1c2", "edit", "thought", START]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


def places(value: Any, path: str = "") -> list[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, item in items for p in (f"{path}{key}", *places(item, f"{path}{key}."))]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(places(VALID)), JSON_VALUES | st.just(...))
def test_a_trace_with_one_field_replaced_is_refused_cleanly_or_round_trips(path: str, value: Any) -> None:
    data = changed(path, value)
    try:
        check(data)
    except TraceError as error:
        assert str(error).isprintable() and len(str(error)) < 500
    else:
        again = json.loads(json.dumps(data, allow_nan=False))
        assert again == data
        check(again)


@settings(deadline=None, max_examples=200)
@given(JSON_VALUES)
def test_any_json_at_all_is_refused_cleanly(value: Any) -> None:
    with pytest.raises(TraceError):
        check(value)
