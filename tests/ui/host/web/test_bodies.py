"""A request of more JSON values than it may have is refused before anybody reads it; text within strings is none."""

from __future__ import annotations

import json

import pytest

from mmreason.ui.host.web import bodies
from mmreason.ui.host.web.bodies import MAX_VALUES, SIZE, BoundBodies, has_many_values
from tests.helpers.apart import run_apart

AS_MANY = b",".join([b"1"] * MAX_VALUES)  # with the list that they are in


@pytest.mark.parametrize(
    "body",
    [
        b"[%s,1]" % AS_MANY,
        b"[" * (MAX_VALUES + 1),
        b"[%s]" % b",".join([b"[]"] * MAX_VALUES),
        b"[%s]" % b",".join([b"{}"] * MAX_VALUES),
        b"[%s]" % b",".join([b'""'] * (MAX_VALUES + 1)),
        b'["%s",%s,1]' % (rb"\\", AS_MANY),
        json.dumps(['"', *range(MAX_VALUES)]).encode("utf-16"),
    ],
    ids=["numbers", "depth", "lists", "objects", "strings", "after a string that ends in a backslash", "UTF-16"],
)
def test_too_many_values_are_counted_whatever_they_are(body):
    assert has_many_values(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[%s]" % AS_MANY,
        json.dumps({"data": ["[{," * MAX_VALUES]}).encode(),
        json.dumps({"data": [json.dumps([{"said": '"[,"'}] * MAX_VALUES)]}).encode(),
        json.dumps({"data": ["\\", "[" * MAX_VALUES, '\\"', "," * MAX_VALUES]}).encode(),
    ],
    ids=["nothing", "as many as may be", "marks", "JSON as text", "backslashes and quotes"],
)
def test_marks_within_strings_do_not_count(body):
    assert not has_many_values(body)


def answered(*pieces: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[int, bytes, list[tuple[bytes, int]]]:
    """Status and body of the answer to ``pieces``, and what the app behind was given of them: body and size."""
    monkeypatch.setattr(bodies, "MAX_VALUES", 3)
    coming = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
    coming.append({"type": "http.request"})
    given, sent = [], []

    async def app(scope, receive, send):
        message = await receive()
        assert not message.get("more_body")
        given.append((message["body"], scope[SIZE]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"taken"})

    async def receive():
        return coming.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "headers": []}
    run_apart(BoundBodies(app)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"], given


def test_a_request_goes_on_whole_with_its_size_or_not_at_all(monkeypatch):
    assert answered(b"[1,", b"2]", monkeypatch=monkeypatch) == (200, b"taken", [(b"[1,2]", 5)])
    status, body, given = answered(b"[1,2,", b"3,4]", monkeypatch=monkeypatch)
    assert (status, json.loads(body), given) == (413, {"detail": "a request may have at most 3 values"}, [])
