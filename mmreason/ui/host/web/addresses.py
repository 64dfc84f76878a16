"""Addresses of the page's own, beside gradio's: what its scripts ask for without an event.

A tab offers a prefix and a function that answers; requests are answered by a few threads of their own.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Answer = tuple[int, str, bytes]  # status, type, body
Answering = Callable[[str, bytes], Answer]  # of what follows the prefix, and the query

MIN_PACKED = 2000  # bytes of a body that is worth packing

_OFFERED: dict[str, Answering] = {}
_WORKERS = ThreadPoolExecutor(2, "addresses")  # a picture takes a core; visitors' solves need the others


def offer(prefix: str, answering: Answering) -> None:
    """Answer requests whose path begins with ``prefix`` from now on."""
    _OFFERED[prefix] = answering


class OwnAddresses:
    """Answers such requests; all others go on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        path = scope.get("path", "")
        root = scope.get("root_path", "")
        path = path.removeprefix(root) if root and path.startswith(f"{root}/") else path
        prefix = next((one for one in _OFFERED if path.startswith(one)), None)
        if scope["type"] != "http" or prefix is None or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        rest, query = path.removeprefix(prefix), scope["query_string"]
        status, kind, body = await asyncio.get_running_loop().run_in_executor(_WORKERS, _OFFERED[prefix], rest, query)
        picture = kind.startswith("image/")
        headers = [
            (b"content-type", kind.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", b"default-src 'none'; sandbox"),
            (b"cache-control", b"private, max-age=86400" if picture else b"no-store"),
            (b"referrer-policy", b"no-referrer"),
        ]
        if not picture and len(body) > MIN_PACKED and _takes_gzip(scope["headers"]):
            body = gzip.compress(body, 4)
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _takes_gzip(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in headers)
