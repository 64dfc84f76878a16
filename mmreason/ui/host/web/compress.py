"""What is sent as text is sent compressed: pages and scripts whole, streams of answers message by message.

Gradio compresses its scripts and styles anew for each visitor, quickly and so not well; here each is compressed as
small as it gets, once, and kept.  So is a page that is asked for again.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import zlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import brotli

LEAST = 1024  # bytes of a page below which it is not worth it
STREAM_LEVEL = 4
GZIPPED = 16 + zlib.MAX_WBITS  # with gzip's header
QUICK, SMALL = 6, 11  # brotli's qualities: for who waits, and for all who come after
FILE = re.compile(r"/(?:(?:assets|static)/[\w./-]+\.(?:js|css)|theme\.css)\Z", re.ASCII)  # gradio's own
NAMED_BY_HASH = re.compile(
    r"/assets/[\w.-]+-[\w-]{8,}\.(?:js|css)\Z", re.ASCII
)  # of these a browser need not ask twice
FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
FILE_KINDS = (b"text/javascript", b"application/javascript", b"text/css")


class Packed:
    """Bodies as brotli packs them: at once as well as time allows, and small from the time when that is done.

    ``most`` of them are kept, and those that were asked for longest ago go first.
    """

    def __init__(self, most: int = 256) -> None:
        self.most = most
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._seen: OrderedDict[bytes, None] = OrderedDict()  # asked for once, and not worth the work yet
        self._pending = 0
        self._lock = Lock()
        self._worker = ThreadPoolExecutor(1, "packing")

    def kept(self, name: bytes) -> bytes | None:
        """The packed body whose hash is ``name``, if it is kept."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def pack(self, body: bytes, at_first: bool) -> bytes:
        """``body`` packed; it becomes small if it was asked for before, or ``at_first``."""
        name = name_of(body)
        if (kept := self.kept(name)) is not None:
            return kept
        quick = brotli.compress(body, quality=QUICK)
        with self._lock:
            worth_it = at_first or name in self._seen
            self._seen[name] = None
            while len(self._seen) > self.most:
                self._seen.popitem(last=False)
            if worth_it and name not in self._kept and self._pending < self.most:
                self._pending += 1
                self._keep(name, quick)
                self._worker.submit(self._shrink, name, body)
        return quick

    def _shrink(self, name: bytes, body: bytes) -> None:
        small = brotli.compress(body, quality=SMALL)
        with self._lock:
            self._pending -= 1
            self._keep(name, small)

    def _keep(self, name: bytes, packed: bytes) -> None:
        self._kept[name] = packed
        self._kept.move_to_end(name)
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)

    def settle(self) -> None:
        """Wait until all is as small as it gets."""
        self._worker.submit(lambda: None).result()


def name_of(body: bytes) -> bytes:
    """By which ``Packed`` knows it."""
    return hashlib.sha256(body).digest()


PACKED = Packed()


class Compress:
    """Compresses pages and gradio's files, the best way that the browser accepts, and event streams by gzip."""

    def __init__(self, app: Any, packed: Packed = PACKED) -> None:
        self.app, self.packed = app, packed
        # of files named by their hash how the answer begins, its body's name, and the body of one too small to pack
        self._answered: dict[str, tuple[Any, bytes, bytes]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        accepted = _accepted(scope) if scope["type"] == "http" and scope["method"] == "GET" else set()
        is_file = b"br" in accepted and _is_file(scope)
        ways: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
            (b"br", lambda body: self.packed.pack(body, at_first=is_file)),
            (b"gzip", lambda body: gzip.compress(body, 6)),
        )
        way = next((way for way in ways if way[0] in accepted), None)
        if way is None:
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if is_file and path in self._answered:
            start, name, small = self._answered[path]
            if small:
                await _send(start, small, send)
                return
            if (packed := self.packed.kept(name)) is not None:
                await _send(start, packed, send, b"br")
                return
        if is_file:  # as it is, so that it can be packed here
            scope = scope | {"headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
        kinds = FILE_KINDS if is_file else (b"text/html",)
        whole: Any = None  # how an answer begins that is sent when it is whole
        stream: Any = None  # what compresses an answer while it is sent
        parts: list[bytes] = []

        async def compressed(message: Any) -> None:
            nonlocal whole, stream
            if message["type"] == "http.response.start":
                kind = _kind(message["headers"])
                if kind in kinds and (message["status"] == 200 or not is_file):
                    whole = message
                    if is_file and NAMED_BY_HASH.search(path):
                        whole = message | {"headers": [*message["headers"], FOR_EVER]}
                    return
                if kind == b"text/event-stream" and b"gzip" in accepted:
                    stream = zlib.compressobj(STREAM_LEVEL, zlib.DEFLATED, GZIPPED)
                    message = message | {"headers": _headers(message, b"gzip")}
                await send(message)
            elif whole is not None:
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    body = b"".join(parts)
                    if is_file and NAMED_BY_HASH.search(path):
                        self._answered[path] = whole, name_of(body), body if len(body) < LEAST else b""
                    await _send_whole(body, whole, way, send)
            elif stream is not None and message["type"] == "http.response.body":
                last = not message.get("more_body")
                body = stream.compress(message.get("body", b""))
                body += stream.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
                await send(message | {"body": body})
            else:
                await send(message)

        await self.app(scope, receive, compressed)


def _is_file(scope: Any) -> bool:
    """Is one of gradio's own files asked for, and the whole of it?"""
    path, root = scope["path"], scope.get("root_path", "")
    path = path.removeprefix(root) if root and path.startswith(f"{root}/") else path
    return bool(FILE.match(path)) and not any(name == b"range" for name, _ in scope["headers"])


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


async def _send_whole(body: bytes, start: Any, way: tuple[bytes, Callable[[bytes], bytes]], send: Any) -> None:
    if len(body) < LEAST:
        await _send(start, body, send)
    else:
        await _send(start, await asyncio.to_thread(way[1], body), send, way[0])


async def _send(start: Any, body: bytes, send: Any, encoding: bytes = b"") -> None:
    headers = [*start["headers"]]  # a list of its own, since layers outside change what they are given
    if encoding:
        headers = [*_headers(start, encoding), (b"content-length", str(len(body)).encode())]
    await send(start | {"headers": headers})
    await send({"type": "http.response.body", "body": body})
