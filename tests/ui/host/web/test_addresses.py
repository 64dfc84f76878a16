"""Questions of the page's scripts: so many may wait, and nothing is worked out for who has hung up."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace

from mmreason.ui.host.web import addresses
from mmreason.ui.host.web.addresses import OwnAddresses, Questions
from tests.helpers.apart import run_apart

PREFIX = "/blocking/"


class Client:
    """One request, its answer as it comes, and how to hang up."""

    def __init__(self, app, what, host="8.8.8.8", method="GET"):
        self.status, self.body, self.left = None, b"", asyncio.Event()
        scope = {
            "type": "http",
            "method": method,
            "path": f"{PREFIX}{what}",
            "query_string": b"",
            "headers": [],
            "client": (host, 1),
        }
        self.task = asyncio.create_task(app(scope, self.receive, self.send))
        self._messages = [{"type": "http.request", "body": b""}]

    async def receive(self):
        if self._messages:
            return self._messages.pop()
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


@contextmanager
def blocking(monkeypatch, **bounds):
    """An app whose answers wait for ``go``; ``asked`` is what was begun."""
    go, asked = threading.Event(), []

    def answering(rest, query):
        asked.append(rest)
        go.wait(20)
        return 200, "application/json", json.dumps(rest).encode()

    async def other(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": []})

    monkeypatch.setitem(addresses._OFFERED, PREFIX, answering)
    try:
        yield SimpleNamespace(app=OwnAddresses(other, Questions(**bounds)), go=go, asked=asked)
    finally:
        go.set()


async def settle():
    await asyncio.sleep(0.1)


def test_beyond_so_many_questions_the_answer_is_503_in_a_sentence_and_later_there_is_room_again(monkeypatch):
    async def ask(there):
        clients = [Client(there.app, i) for i in range(10)]
        await settle()
        assert [client.status for client in clients] == [None] * 6 + [503] * 4
        assert json.loads(clients[-1].body) == {"error": addresses.FULL}
        there.go.set()
        await asyncio.gather(*(client.task for client in clients))
        assert [json.loads(client.body) for client in clients[:6]] == [str(i) for i in range(6)]
        again = Client(there.app, "again")
        await again.task
        assert again.status == 200

    with blocking(monkeypatch, most=6, of_an_address=6) as there:
        run_apart(ask(there))


def test_one_address_leaves_room_for_others(monkeypatch):
    async def ask(there):
        flood = [Client(there.app, i) for i in range(10)]
        unknown = [Client(there.app, i, host="127.0.0.1") for i in range(5)]
        await settle()
        assert [client.status for client in flood] == [None] * 3 + [503] * 7
        assert [client.status for client in unknown] == [None] * 5
        other = Client(there.app, "other", host="9.9.9.9")
        await settle()
        assert other.status is None
        there.go.set()
        await asyncio.gather(*(client.task for client in [*flood, *unknown, other]))
        assert other.status == 200

    with blocking(monkeypatch, most=20, of_an_address=3) as there:
        run_apart(ask(there))


def test_tokens_take_turns_by_whatever_name_they_are_called(monkeypatch):
    async def ask(there):
        flood = [Client(there.app, f"{('much', 'm%75ch')[i % 2]}/{i}") for i in range(6)]
        await settle()
        others = [Client(there.app, f"{token}/{i}") for i in range(2) for token in ("a", "b")]
        await settle()
        there.go.set()
        await asyncio.gather(*(client.task for client in [*flood, *others]))
        assert sorted(there.asked[:2]) == ["m%75ch/1", "much/0"]  # they are being answered
        assert sorted(there.asked[2:5]) == ["a/0", "b/0", "much/2"]
        assert len(there.asked) == 10

    with blocking(monkeypatch) as there:
        run_apart(ask(there))


def test_a_token_that_all_know_is_a_line_of_each_address():
    """Bundled rollouts are open to everybody: whoever asks much about them keeps nobody from them."""
    go, done = threading.Event(), []

    def answering(rest, _):
        go.wait(20)
        done.append(rest)
        return 200, "text/plain", b""

    questions = addresses.Questions()
    flood = [questions.ask("1.1.1.1", answering, f"known/{i}", b"") for i in range(130)]
    assert [job is None for job in flood] == [False] * 128 + [True] * 2
    other = questions.ask("2.2.2.2", answering, "known/other", b"")
    assert other is not None
    go.set()
    assert other.result(20)[0] == 200
    assert done.index("known/other") < 5, "it waits for no more than its turn"


def test_where_there_is_no_room_the_token_with_most_questions_makes_some(monkeypatch):
    async def ask(there):
        flood = [Client(there.app, f"much/{i}") for i in range(8)]
        await settle()
        others = [Client(there.app, f"{i}/first") for i in range(3)]
        await settle()
        assert [client.status for client in flood] == [None] * 5 + [503] * 3
        assert json.loads(flood[-1].body) == {"error": addresses.FULL}
        there.go.set()
        await asyncio.gather(*(client.task for client in [*flood, *others]))
        assert [client.status for client in others] == [200] * 3
        again = Client(there.app, "again")
        await again.task
        assert again.status == 200 and not there.app.questions._asked and not there.app.questions._waiting

    with blocking(monkeypatch, most=8) as there:
        run_apart(ask(there))


def test_nothing_is_worked_out_for_who_has_hung_up_and_their_places_are_free(monkeypatch):
    async def ask(there):
        clients = [Client(there.app, i) for i in range(6)]
        await settle()
        assert there.asked == ["0", "1"]
        for client in clients[1:5]:  # one of them is being answered
            client.left.set()
        await asyncio.gather(*(client.task for client in clients[1:5]))
        later = [Client(there.app, f"later {i}") for i in range(4)]
        await settle()
        assert [client.status for client in later] == [None] * 3 + [503]
        there.go.set()
        await asyncio.gather(*(client.task for client in [clients[0], clients[5], *later]))
        assert sorted(there.asked) == ["0", "1", "5", "later 0", "later 1", "later 2"]

    with blocking(monkeypatch, most=6, of_an_address=6) as there:
        run_apart(ask(there))


def test_a_question_for_the_head_alone_is_not_worked_out(monkeypatch):
    async def ask(there):
        client = Client(there.app, "head", method="HEAD")
        await client.task
        assert (client.status, there.asked) == (404, [])

    with blocking(monkeypatch) as there:
        run_apart(ask(there))
