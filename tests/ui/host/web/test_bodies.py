"""A request of more JSON values than it may have is refused before anybody reads it; text within strings is none.

Requests that come slowly hold little, and not for long.
"""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from mmreason.ui.host.settings import MB, name_of
from mmreason.ui.host.web import bodies
from mmreason.ui.host.web.bodies import MAX_VALUES, SIZE, BoundBodies, has_many_values, has_no_number
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


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1E+0999", "9" * 400 + ".0"])
def test_numbers_that_are_none_or_infinite_are_refused_in_a_sentence(scripted_server, number):
    body = f'{{"data": [{number}], "session_hash": "a"}}'
    assert has_no_number(body.encode()) and has_no_number(body.encode("utf-16"))
    for route in ("queue/join", "run/on_race_stop", "cancel", "call/solve"):
        answer = httpx.post(f"{scripted_server.address.rstrip('/')}/gradio_api/{route}", content=body.encode())
        assert (answer.status_code, answer.json()) == (422, {"detail": bodies.NO_NUMBER}), route


@pytest.mark.parametrize(
    "body", [b'["NaN, 1e999", 1e100, 1e-999]', b"no JSON: NaN", b"[" * 100_000 + b"NaN", b'["\xff", NaN]', b""]
)
def test_such_words_in_texts_and_what_is_no_json_are_left_to_whoever_reads_them(body):
    assert not has_no_number(body)


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


class Server:
    """The layer with an app that takes what it is given, in requests that come as the test says."""

    def __init__(self, fails: bool = False) -> None:
        self.layer, self.taken, self.fails = BoundBodies(self.app), [], fails

    async def app(self, scope, receive, send) -> None:
        message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            self.taken.append(len(message.get("body", b"")))
        if self.fails:
            raise RuntimeError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def begin(self, *pieces: bytes, ends="not", address: str = "127.0.0.1", path: str = "/gradio_api/queue/join"):
        """A request that sends ``pieces`` and then ends or waits; its task gives the start of the answer."""
        coming = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
        coming += {"whole": [{"type": "http.request"}], "gone": [{"type": "http.disconnect"}], "not": []}[ends]
        sent = []

        async def receive():
            return coming.pop(0) if coming else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        async def answer():
            scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": (address, 1)}
            await self.layer(scope, receive, send)
            return sent[0] if sent else None

        return asyncio.create_task(answer())

    def holds(self) -> tuple[int, dict[str, int]]:
        return self.layer.held.total, dict(self.layer.held.of)


async def ended(task) -> int | str | None:
    try:
        start = await asyncio.wait_for(task, 20)
    except (RuntimeError, asyncio.CancelledError) as error:
        return type(error).__name__
    return start and start["status"]


LARGE = b" " * (MB - 1)


@pytest.fixture
def of_one_mb(monkeypatch) -> None:
    monkeypatch.setenv(name_of("max_request_mb"), "1")


def test_requests_that_come_slowly_hold_so_much_and_small_ones_always_pass(of_one_mb):
    async def flood():
        server = Server()
        slow = [server.begin(LARGE) for _ in range(8)]
        await asyncio.sleep(0.1)
        assert server.holds() == (8 * (len(LARGE) - bodies.FREE), {})
        more = [server.begin(LARGE, ends="whole") for _ in range(9)]
        assert [await ended(each) for each in more] == [503] * 9
        assert await ended(server.begin(LARGE[: bodies.FREE], ends="whole")) == 200
        for each in slow:
            each.cancel()
        assert {await ended(each) for each in slow} == {"CancelledError"}
        assert await ended(server.begin(LARGE, ends="whole")) == 200 and server.holds() == (0, {})

    run_apart(flood())


def test_an_address_that_is_known_holds_a_quarter_of_it(of_one_mb):
    async def flood():
        server = Server()
        slow = [server.begin(LARGE, address="8.8.8.8") for _ in range(2)]
        await asyncio.sleep(0.1)
        assert await ended(server.begin(LARGE, ends="whole", address="8.8.8.8")) == 503
        assert await ended(server.begin(LARGE, ends="whole", address="9.9.9.9")) == 200
        assert server.holds()[1] == {"8.8.8.8": 2 * (len(LARGE) - bodies.FREE)}
        for each in slow:
            each.cancel()
            await ended(each)
        assert server.holds() == (0, {})

    run_apart(flood())


@pytest.mark.parametrize(
    ("pieces", "ends", "fails", "outcome"),
    [
        ([LARGE], "whole", False, 200),
        ([LARGE], "gone", False, None),
        ([LARGE, LARGE], "whole", False, 413),
        ([b"[%s]" % (b"1," * 300_000)], "whole", False, 413),
        ([LARGE], "not", False, 408),
        ([LARGE], "whole", True, "RuntimeError"),
    ],
)
def test_nothing_is_held_after_a_request_however_it_ends(of_one_mb, monkeypatch, pieces, ends, fails, outcome):
    monkeypatch.setattr(bodies, "IDLE_SECONDS", 0.1)

    async def one():
        server = Server(fails)
        assert await ended(server.begin(*pieces, ends=ends, address="8.8.8.8")) == outcome
        assert server.holds() == (0, {})

    run_apart(one())


@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/upload"])
@pytest.mark.parametrize("bound", ["IDLE_SECONDS", "SECONDS"])
def test_a_request_that_is_too_slow_ends_and_so_does_its_connection(monkeypatch, path, bound):
    monkeypatch.setattr(bodies, bound, 0.1)

    async def slow():
        return await asyncio.wait_for(Server().begin(b"some", path=path), 5)

    start = run_apart(slow())
    assert start["status"] == 408 and (b"connection", b"close") in start["headers"]
