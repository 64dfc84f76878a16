"""What is sent as text is sent compressed: the page whole, streams of answers message by message.

Gradio's own scripts and styles are compressed already.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import brotli

LEAST = 1024  # bytes of a page below which it is not worth it
STREAM_LEVEL = 4
GZIPPED = 16 + zlib.MAX_WBITS  # with gzip's header


def _brotli(body: bytes) -> bytes:
    return brotli.compress(body, quality=7)


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, 6)


WAYS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = ((b"br", _brotli), (b"gzip", _gzip))


class Compress:
    """Compresses what is HTML, the best way that the browser accepts, and event streams by gzip."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        accepted = _accepted(scope) if scope["type"] == "http" and scope["method"] == "GET" else set()
        way = next((way for way in WAYS if way[0] in accepted), None)
        if way is None:
            await self.app(scope, receive, send)
            return
        page: Any = None  # how an answer begins that is sent when it is whole
        stream: Any = None  # what compresses an answer while it is sent
        parts: list[bytes] = []

        async def compressed(message: Any) -> None:
            nonlocal page, stream
            if message["type"] == "http.response.start":
                kind = _kind(message["headers"])
                if kind == b"text/html":
                    page = message
                    return
                if kind == b"text/event-stream" and b"gzip" in accepted:
                    stream = zlib.compressobj(STREAM_LEVEL, zlib.DEFLATED, GZIPPED)
                    message = message | {"headers": _headers(message, b"gzip")}
                await send(message)
            elif page is not None:
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    await _send_page(b"".join(parts), page, way, send)
            elif stream is not None and message["type"] == "http.response.body":
                last = not message.get("more_body")
                body = stream.compress(message.get("body", b""))
                body += stream.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
                await send(message | {"body": body})
            else:
                await send(message)

        await self.app(scope, receive, compressed)


def _accepted(scope: Any) -> set[bytes]:
    value = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding").lower()
    return {part.partition(b";")[0].strip() for part in value.split(b",") if b"q=0" not in part.replace(b"q=0.", b"")}


def _kind(headers: Any) -> bytes:
    """What an answer is; empty if it is compressed already."""
    values = {name.lower(): value for name, value in headers}
    return b"" if b"content-encoding" in values else values.get(b"content-type", b"").partition(b";")[0].strip()


def _headers(start: Any, encoding: bytes) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    return [*kept, (b"content-encoding", encoding), (b"vary", b"accept-encoding")]


async def _send_page(body: bytes, start: Any, way: tuple[bytes, Callable[[bytes], bytes]], send: Any) -> None:
    if len(body) >= LEAST:
        body = await asyncio.to_thread(way[1], body)
        start = start | {"headers": [*_headers(start, way[0]), (b"content-length", str(len(body)).encode())]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
