"""Calls of every endpoint with values that no control would give: sentences, no traceback, no error of ours.

``MMREASON_FUZZ_CALLS`` sets how many calls are made (default 40).  The page runs on a scripted pipeline.
"""

from __future__ import annotations

import json
import os
import string

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mmreason.ui import own
from mmreason.ui.solving import OUR_FAULT

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
    phases=[Phase.explicit, Phase.generate] if CALLS < 1000 else list(Phase),
    database=None,
)
@given(calls())
def test_no_call_breaks_an_endpoint(scripted_server, call):
    with httpx.Client(base_url=scripted_server.address, timeout=60) as client:
        check_calm(*answer(client, *call), names_a_file='"path"' in json.dumps(call[1]))


def test_what_is_not_json_or_not_a_call_is_refused(scripted_server):
    with httpx.Client(base_url=scripted_server.address, timeout=60) as client:
        for content in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{" * 20_000, b'{"a":' * 5_000):
            for path in ("call/v2/daily", "call/daily", "queue/join", "call/v2/solve/x", "call/nothing"):
                sent = client.post(
                    f"/gradio_api/{path}", content=content, headers={"content-type": "application/json"}
                )
                assert sent.status_code < 500, (path, content[:20], sent.text[:200])
                assert "Traceback" not in sent.text
