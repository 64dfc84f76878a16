"""Only those of gradio's addresses are answered that the page and its clients use."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from gradio_client import Client

from mmreason.ui.host import temporary
from mmreason.ui.host.web import routes
from mmreason.ui.host.web.routes import OnlyUsed
from tests.helpers.apart import run_apart


def files() -> set[str]:
    return {str(path) for path in temporary.folder().rglob("*")}


@pytest.mark.parametrize(
    "path",
    ["process_recording", "process_recording/", "run-history/connect", "stream/x", "stream/x/close", "api/solve"],
)
def test_what_the_page_does_not_use_is_not_there(scripted_server, path):
    before = files()
    address = f"{scripted_server.address.rstrip('/')}/gradio_api/{path}"
    answer = httpx.post(address, files={"video": ("v.mp4", b"0" * 1000)}, timeout=60)
    assert (answer.status_code, answer.json()) == (404, {"detail": routes.NO_SUCH_ADDRESS})
    assert files() == before


def test_programs_reach_their_endpoints_and_upload_files(scripted_server):
    with httpx.Client(base_url=f"{scripted_server.address.rstrip('/')}/gradio_api", timeout=60) as client:
        for path in (
            "reset",
            "cancel",
            "queue/join",
            "component_server",
            "call/daily",
            "call/v2/daily",
            "run/on_stop",
        ):
            assert client.post(f"/{path}", json={}).status_code not in (404, 405), path
        assert client.post("/upload", files={"files": ("a.json", b"{}")}).status_code == 200
    client = Client(scripted_server.address, verbose=False)
    assert client.predict(api_name="/daily")["task"]


def test_so_many_may_ask_how_far_uploads_are_and_places_are_free_again():
    async def waits(scope, receive, send):
        await asyncio.Event().wait()

    layer = OnlyUsed(waits)

    def asks(upload: str):
        sent = []

        async def send(message):
            sent.append(message)

        async def answer():
            scope = {"type": "http", "method": "GET", "path": "/x/gradio_api/upload_progress", "headers": []}
            await layer(scope | {"query_string": f"upload_id={upload}".encode()}, waits, send)
            return sent[0]["status"]

        return asyncio.create_task(answer())

    async def many():
        open_ones = [asks(f"{number // 2}") for number in range(100)]
        await asyncio.sleep(0.1)
        assert not any(each.done() for each in open_ones)
        assert await asks("another") == 503
        for each in open_ones[2:]:
            each.cancel()
        await asyncio.gather(*open_ones[2:], return_exceptions=True)
        assert await asks("0") == 503
        open_ones[0].cancel()
        await asyncio.gather(open_ones[0], return_exceptions=True)
        again = asks("0")
        await asyncio.sleep(0.1)
        assert not again.done()
        for each in (open_ones[1], again):
            each.cancel()
        await asyncio.gather(open_ones[1], again, return_exceptions=True)
        assert not layer.streams

    run_apart(many())
