"""The page is made once for each name by which it is reached, and names the files that it needs at its top.

Gradio's description of it is made as often, and stays as gradio makes it.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from types import SimpleNamespace

import httpx
import pytest
from gradio import route_utils

from mmreason.ui.host.web.page import MOST, KeepPage, links
from tests.helpers.apart import run_apart

CONFIG = {"components": [{"type": "button", "props": {}}, {"type": "plot", "props": {"visible": False}}]}


class Server:
    """Answers with a page that counts, behind the layer."""

    def __init__(self, kind: bytes = b"text/html; charset=utf-8", headers=()) -> None:
        self.made, self.kind, self.headers = 0, kind, headers
        self.blocks = SimpleNamespace(config=CONFIG)
        self.layer = KeepPage(self.app)

    def get_blocks(self) -> SimpleNamespace:
        return self.blocks

    async def app(self, scope, receive, send) -> None:
        self.made += 1
        body = b'<head><base href="./" /><title>%d</title></head>' % self.made
        start = [(b"content-type", self.kind), (b"content-length", str(len(body)).encode()), *self.headers]
        await send({"type": "http.response.start", "status": 200, "headers": start})
        await send({"type": "http.response.body", "body": body[:9], "more_body": True})
        await send({"type": "http.response.body", "body": body[9:]})

    def ask(self, path: str = "/", host: bytes = b"here", query: bytes = b"", says=(), **more) -> tuple[dict, bytes]:
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "scheme": "http", "query_string": query, "app": self}
        run_apart(self.layer(scope | {"headers": [(b"host", host), *says]} | more, None, send))
        return dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:])


def test_a_page_is_made_once_for_each_name_and_whatever_a_link_asks_for():
    server = Server()
    first = server.ask()
    assert server.ask(query=b"task=maze") == first and server.made == 1
    assert int(first[0][b"content-length"]) == len(first[1])
    assert server.ask(host=b"there")[1] != first[1]
    assert server.ask(scheme="https")[1] != first[1]
    assert server.ask() == first and server.made == 3


def test_no_visitor_has_a_say_in_the_page_of_another():
    read = re.findall(r'get_first_header_value\(\w+, "([^"]+)"\)', inspect.getsource(route_utils))
    assert {"x-gradio-server", "x-forwarded-host"} <= set(read)
    for name in (*read, "origin", "cookie", "authorization"):
        server = Server()
        odd = server.ask(says=[(name.encode(), b"https://elsewhere.example")])
        assert server.ask()[1] != odd[1], name
    behind_a_proxy = Server()
    for visitor in (b"1.2.3.4", b"5.6.7.8"):
        behind_a_proxy.ask(says=[(b"x-forwarded-for", visitor), (b"referer", visitor)])
    assert behind_a_proxy.made == 1


def test_what_is_not_the_same_for_all_is_made_anew():
    server = Server()
    for query in (b"deep_link=1", b"%70age=other", b"task=maze&all_endpoints"):
        assert server.ask(query=query)[1] != server.ask(query=query)[1]
    assert server.ask()[1] == server.ask()[1], "and none of these is kept for others"
    cookies = Server(headers=[(b"set-cookie", b"a=1")])
    assert cookies.ask()[1] != cookies.ask()[1]
    other = Server(kind=b"application/json")
    assert b"modulepreload" not in other.ask()[1] and other.ask() and other.made == 2


def test_of_many_names_the_oldest_page_goes():
    server = Server()
    for name in range(20):
        server.ask(host=b"%d" % name)
    assert len(server.layer._kept) == MOST


def test_files_are_named_after_the_base_that_their_addresses_hang_on():
    _, body = Server().ask()
    assert body.startswith(b'<head><base href="./" /><link rel="modulepreload" crossorigin href="./assets/index-')
    assert "Plot" not in links(CONFIG)


@pytest.mark.parametrize("path", ["/config", "/config/"])
def test_the_description_is_made_once_for_each_name_and_nothing_is_added_to_it(path):
    server = Server(kind=b"application/json")
    first = server.ask(path)
    assert server.ask(path, query=b"a=b") == first and b"modulepreload" not in first[1]
    assert server.ask(path, host=b"there")[1] != first[1]
    assert server.ask(path, query=b"deep_link=1")[1] != first[1]
    assert server.ask(f"/below{path}", root_path="/below")[1] != first[1]
    assert server.ask(path) == first and server.made == 4
    cookies = Server(kind=b"application/json", headers=[(b"set-cookie", b"a=1")])
    assert cookies.ask(path)[1] != cookies.ask(path)[1]


@pytest.mark.parametrize("path", ["/config", "/gradio_api/runs", "/"])
def test_what_is_kept_is_what_gradio_answers_by_any_name(scripted_server, path):
    address = scripted_server.address.rstrip("/") + path
    told = {}
    for host in ("one.example", "two.example:8080", "one.example"):
        made, first, kept = (
            httpx.get(address, headers={"host": host}, params=params, timeout=60)
            for params in ({"all_endpoints": "1"}, None, None)
        )
        told[host] = kept.content
        assert made.status_code == kept.status_code == 200 and host.encode() in kept.content
        assert made.content == first.content == kept.content
        assert {**made.headers, "date": ""} == {**kept.headers, "date": ""}
    assert told["one.example"] != told["two.example:8080"]


def test_what_is_not_kept_is_made_one_at_a_time():
    server = Server()
    made, at_once, most = server.app, 0, 0

    async def slowly(scope, receive, send):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        await made(scope, receive, send)

    server.layer.app = slowly

    async def flood():
        scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "query_string": b"", "app": server}
        hosts = [scope | {"headers": [(b"host", b"%d" % number)]} for number in (*range(9), 8)]
        stuck = asyncio.create_task(server.layer(hosts[0], None, lambda _: asyncio.Event().wait()))
        await asyncio.gather(*(server.layer(each, None, lambda _: asyncio.sleep(0)) for each in hosts[1:]))
        stuck.cancel()  # whose visitor does not read it

    run_apart(flood())
    assert (most, server.made) == (1, 9)
