"""Calls of every endpoint with values that no control would give: sentences, no traceback, no error of ours.

Meanwhile every file that this process opens is noted: the server is in it, and reads nothing but what is the app's.
``MMREASON_FUZZ_CALLS`` sets how many calls are made (default 40).  The page runs on a scripted pipeline.
"""

from __future__ import annotations

import json
import mimetypes
import os
import string
import sys
import tempfile
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mmreason.ui import own
from mmreason.ui.solving import OUR_FAULT
from tests.ui.conftest import ROOT

CALLS = int(os.environ.get("MMREASON_FUZZ_CALLS", "40"))
HOSTILE = [
    "${Object.assign(window,{PWNED:1})}",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "http://127.0.0.1:1/",
    "\x00",
    "\ud800",
    "9" * 5000,
    "-0",
    "1e999",
    "NaN",
    "[" * 3000,
    '{"task": "maze", "rows": ["S.G"]}',
    '{"version": 1}',
    '{"version": 1, "traces": []}',
    "gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAJpZJSFlFKULg==",
]
PATHS = [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": "../app.py", "url": "/etc/passwd"}]
PARAMETERS = {
    "solve": "task difficulty seed puzzle checkpoint temperature num_steps region threshold sampling_seed".split(),
    "preview": "task difficulty seed puzzle".split(),
    "inspect": ["trace"],
    "daily": ["date"],
    "health": [],
}

numbers = st.one_of(st.integers(), st.integers(-3, 20), st.floats(), st.sampled_from([2**31, 2**63, 10**40, -1, 0.5]))
texts = st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE), st.text(string.digits + "-", max_size=12))
GOOD = ["maze", "sudoku", "easy", "hard", "base", "full", "2026-11-24", json.dumps(own.FIRST["maze"])]
good = st.sampled_from(GOOD)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts, good, st.sampled_from(PATHS))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)


@st.composite
def calls(draw):
    """An endpoint and a body of some of its parameters."""
    name = draw(st.sampled_from(sorted(PARAMETERS)))
    given_ones = draw(st.lists(st.sampled_from(PARAMETERS[name]), unique=True)) if PARAMETERS[name] else []
    body = {parameter: draw(values) for parameter in given_ones}
    if name == "inspect":
        body.setdefault("trace", draw(values))
    return name, body


OPENED: set[str] = set()
ITS_OWN = [str(ROOT), tempfile.gettempdir(), sys.prefix, sys.base_prefix, "/proc/", "/dev/", *mimetypes.knownfiles]


def note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """For ``sys.addaudithook``: notes what is opened or listed."""
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes):
        OPENED.add(os.fsdecode(arguments[0]))


@pytest.fixture(scope="module")
def client(scripted_server):
    """One connection for all calls, while all that is opened is noted; it must be the app's own."""
    sys.addaudithook(note_opened)
    with httpx.Client(base_url=scripted_server.address, timeout=60) as connected:
        for name in PARAMETERS:  # what is read once and for all
            answer(connected, name, {"trace": "{}"} if name == "inspect" else {})
        OPENED.clear()
        yield connected
    outside = {path for path in map(os.path.realpath, OPENED) if not path.startswith(tuple(ITS_OWN))}
    assert outside == set()


def answer(client: httpx.Client, name: str, body: dict) -> tuple[int, str]:
    """Status and all text that the server gives."""
    content = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    joined = client.post(f"/gradio_api/call/v2/{name}", content=content, headers=headers)
    if joined.status_code != 200:
        return joined.status_code, joined.text
    ended = client.get(f"/gradio_api/call/v2/{name}/{joined.json()['event_id']}")
    return ended.status_code, ended.text


def check_calm(status: int, text: str, names_a_file: bool = False) -> None:
    """No error of the server, no traceback, nothing read, and every refusal says something."""
    assert status < 500, text[:300]
    for sign in ("Traceback", "root:x:", "/site-packages/", '.py", line', OUR_FAULT):
        assert sign not in text
    if "event: error" in text:
        said = json.loads(text.strip().rsplit("\ndata: ", 1)[1])
        assert isinstance(said, dict)
        assert said["error"] or names_a_file, text[:300]  # gradio itself refuses those, without a word


@settings(
    max_examples=CALLS,
    deadline=None,
    derandomize="MMREASON_FUZZ_CALLS" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
    database=None,
)
@given(calls())
def test_no_call_breaks_an_endpoint(client, call):
    check_calm(*answer(client, *call), names_a_file='"path"' in json.dumps(call[1]))


def test_every_endpoint_and_parameter_is_called(client):
    named = client.get("/gradio_api/info").json()["named_endpoints"]
    served = {name.strip("/"): [p["parameter_name"] for p in it["parameters"]] for name, it in named.items()}
    assert served == PARAMETERS


def test_a_file_that_is_not_the_apps_would_be_noticed(client):
    with open("/etc/passwd", "rb"):
        assert "/etc/passwd" in OPENED
    OPENED.discard("/etc/passwd")
    assert not "/etc/passwd".startswith(tuple(ITS_OWN))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{" * 20_000, b'{"a":' * 5_000, b'{"a":1,"a":2}'],
)
def test_what_is_not_json_or_not_a_call_is_refused(client, content):
    for path in ("call/v2/daily", "call/daily", "queue/join", "call/v2/solve/x", "call/nothing"):
        sent = client.post(f"/gradio_api/{path}", content=content, headers={"content-type": "application/json"})
        assert sent.status_code < 500, (path, content[:20], sent.text[:200])
        assert "Traceback" not in sent.text
