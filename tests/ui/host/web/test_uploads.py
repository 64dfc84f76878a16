"""Uploads that are on their way are counted, so that temporary files stay bounded however many come at once."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mmreason.ui.host import temporary
from mmreason.ui.host.settings import MB, name_of
from mmreason.ui.host.temporary import FILES
from mmreason.ui.host.web import bodies, uploads
from mmreason.ui.host.web.bodies import BoundBodies
from mmreason.ui.host.web.uploads import RoomForUploads
from tests.helpers.apart import run_apart

HEAD = (
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
PART = b'--B\r\nContent-Disposition: form-data; name="files"; filename="f"\r\n\r\n'


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    monkeypatch.setenv(name_of("max_temporary_mb"), "128")
    monkeypatch.setenv(name_of("max_upload_mb"), "1")


def begun(layer: RoomForUploads, length: int | None, address: str = "127.0.0.1"):
    """The task of an upload, whose result is the status that it is answered with; the app behind waits for its end."""
    sent = []

    async def send(message):
        sent.append(message)

    async def answer():
        headers = [] if length is None else [(b"content-length", b"%d" % length)]
        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "client": (address, 1)}
        await layer(scope | {"headers": headers}, asyncio.Event().wait, send)
        return sent[0]["status"]

    return asyncio.create_task(answer())


async def waits(scope, receive, send) -> None:
    await receive()


@pytest.mark.parametrize(
    ("address", "length", "most"),
    [("127.0.0.1", MB, 64), ("127.0.0.1", None, 8), ("8.8.8.8", MB, 16), ("8.8.8.8", None, 2), ("8.8.8.8", 9 * MB, 1)],
)
def test_so_many_uploads_are_on_their_way_and_all_room_is_given_back(address, length, most):
    async def flood():
        layer = RoomForUploads(waits)
        before = temporary._coming
        under_way = [begun(layer, length, address) for _ in range(most)]
        await asyncio.sleep(0.3)
        assert not any(each.done() for each in under_way)
        assert temporary._coming - before == most * (length or 8 * MB) == layer.held.total
        assert await asyncio.wait_for(begun(layer, length, address), 5) == 503
        for each in under_way:
            each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        assert (temporary._coming, layer.held.total, dict(layer.held.of)) == (before, 0, {})

    run_apart(flood())


def test_one_upload_is_always_possible(monkeypatch):
    monkeypatch.setenv(name_of("max_temporary_mb"), "50")
    monkeypatch.setenv(name_of("max_upload_mb"), "32")

    async def one():
        task = begun(RoomForUploads(waits), None, "8.8.8.8")
        await asyncio.sleep(0.3)
        assert not task.done()
        task.cancel()

    run_apart(one())


def test_what_one_address_brings_is_a_quarter_of_the_files_until_they_are_gone(monkeypatch):
    """Its own next upload is refused; another address' and that of an unknown one are not, nor its own later."""
    hours = [0.0]
    monkeypatch.setattr(uploads, "time", SimpleNamespace(monotonic=lambda: 3600 * hours[0]))

    async def brings(layer: RoomForUploads, address: str) -> int:
        bodies = iter([{"body": b"x" * MB, "more_body": True}] * 7 + [{"body": b"x" * MB, "more_body": False}])
        sent = []

        async def receive():
            return next(bodies)

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "client": (address, 1)}
        await layer(scope | {"headers": [(b"content-length", b"%d" % (8 * MB))]}, receive, send)
        return sent[0]["status"]

    async def reads(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200})

    async def several():
        layer = RoomForUploads(reads)
        assert [await brings(layer, "8.8.8.8") for _ in range(5)] == [200, 200, 200, 200, 429]  # 32 MB of 128
        assert [await brings(layer, address) for address in ("9.9.9.9", "127.0.0.1", "8.8.8.8")] == [200, 200, 429]
        hours[0] = 2.1
        assert await brings(layer, "8.8.8.8") == 200 and len(layer.lately.minutes) == 1

    run_apart(several())


def form(count: int) -> list[bytes]:
    """The body of an upload of ``count`` small files, byte by byte at its marks' ends."""
    body = b"".join(PART + b"x\r\n" for _ in range(count)) + b"--B--\r\n"
    return [body[:7], *(body[start : start + 100] for start in range(7, len(body), 100))]


def test_one_upload_has_so_many_files_and_each_counts_as_some_bytes(monkeypatch):
    async def brings(layer: Any, count: int) -> int:
        pieces, sent = form(count), []

        async def receive():
            return {"body": pieces.pop(0), "more_body": bool(pieces)} if pieces else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "client": ("8.8.8.8", 1)}
        kind = (b"content-type", b'multipart/form-data; boundary="B"')
        await layer(scope | {"headers": [kind, (b"content-length", b"9000")]}, receive, send)
        return sent[0]["status"]

    async def reads(scope, receive, send):
        while (message := await receive()).get("more_body"):
            pass
        if message.get("type") != "http.disconnect":
            await send({"type": "http.response.start", "status": 200})

    async def several():
        room = RoomForUploads(reads)
        layer = BoundBodies(room)
        assert [await brings(layer, count) for count in (FILES, FILES + 1, 1)] == [200, 413, 200]
        counted = room.lately.of("8.8.8.8")
        assert counted == uploads.LEAST * (FILES + FILES + 1 + 1)
        monkeypatch.setattr(uploads, "LEAST", MB)
        assert [await brings(layer, 30) for _ in range(2)] == [200, 429]

    run_apart(several())


def test_many_small_files_in_one_upload_are_refused_in_a_sentence(scripted_server):
    address = f"{scripted_server.address.rstrip('/')}/gradio_api/upload"
    files = [("files", (f"{number}.txt", b"%d" % number)) for number in range(FILES + 1)]
    sent = httpx.post(address, files=files, timeout=60)
    assert (sent.status_code, sent.text) == (413, bodies.MANY_FILES)
    assert len(httpx.post(address, files=files[1:], timeout=60).json()) == FILES


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def test_uploads_that_are_opened_first_and_filled_then_stay_bounded_with_the_files_there(scripted_server):
    """Half of them break off, and leave what they have brought."""
    place = urlsplit(scripted_server.address)
    for _ in range(2):
        opened = [socket.create_connection((place.hostname, place.port), timeout=20) for _ in range(24)]
        for each in opened:
            each.sendall(HEAD)
        time.sleep(0.5)
        for number, each in enumerate(opened):
            try:
                for _ in range(7):
                    each.sendall(chunk(PART + os.urandom(950_000) + b"\r\n"))
                each.sendall(chunk(b"--B--\r\n") + b"0\r\n\r\n" if number % 2 else b"")
            except OSError:  # refused
                pass
        time.sleep(0.5)
        there = sum(path.stat().st_size for path in temporary.folder().rglob("*") if path.is_file())
        assert there <= 128 * MB
        for each in opened:
            each.close()
    deadline = time.monotonic() + 10
    while temporary._coming and time.monotonic() < deadline:
        time.sleep(0.1)
    assert temporary._coming == 0
