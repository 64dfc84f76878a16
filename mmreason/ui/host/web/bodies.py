"""How much one request may send: gradio reads all of it, into memory or into files, however much that is.

JSON of many values takes far more time and memory than its bytes, and nobody else is answered meanwhile.  So its
values are counted before it is read.
"""

from __future__ import annotations

import json
from typing import Any

from mmreason.ui.host.settings import read_settings

MB = 1_000_000
UPLOADS = 8  # files of the largest size that one request may bring
UPLOAD = "/gradio_api/upload"
MAX_VALUES = 200_000  # of the JSON of one request; a trace is sent as text, which is one
SIZE = "mmreason.size"  # bytes of a request that was read whole, in its scope


class BoundBodies:
    """Answers 413 to a request that sends more than it may; nothing beyond that is kept.

    Uploads are passed on as they come, all else when it is whole.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        settings = read_settings()
        if scope["path"].rstrip("/").endswith(UPLOAD):
            await self._pass_on(scope, receive, send, UPLOADS * settings.max_upload_mb)
        else:
            await self._read(scope, receive, send, settings.max_request_mb)

    async def _read(self, scope: Any, receive: Any, send: Any, most: int) -> None:
        read, size, is_whole = bytearray(), _announced(scope), False
        while size <= most * MB and not is_whole:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            read += message.get("body", b"")
            size, is_whole = len(read), not message.get("more_body", False)
        if size > most * MB:
            await _refuse(*_request_refused(f"{most} MB"), send)
            return
        bodies = [bytes(read)]
        del read
        if has_many_values(bodies[0]):
            await _refuse(*_request_refused(f"{MAX_VALUES} values"), send)
            return

        async def whole() -> Any:
            return {"type": "http.request", "body": bodies.pop()} if bodies else await receive()

        scope[SIZE] = size
        await self.app(scope, whole, send)

    async def _pass_on(self, scope: Any, receive: Any, send: Any, most: int) -> None:
        if _announced(scope) > most * MB:
            await _refuse(*_upload_refused(most), send)
            return
        received, begun = 0, False

        async def counted() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return {"type": "http.disconnect"} if received > most * MB else message

        async def sent(message: Any) -> None:
            nonlocal begun
            if begun or received <= most * MB:
                begun = True
                await send(message)

        try:
            await self.app(scope, counted, sent)
        except Exception:  # of a request that was cut off
            if begun or received <= most * MB:
                raise
        if not begun and received > most * MB:
            await _refuse(*_upload_refused(most), send)


def has_many_values(body: bytes) -> bool:
    """Has ``body``, if it is JSON, more than ``MAX_VALUES`` values?  Marks within its strings do not count."""
    if _marks(body) <= MAX_VALUES:
        return False
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"")  # so that every quote begins or ends a string
    if b"\0" in body or bare.count(b'"') > 2 * MAX_VALUES:  # UTF-16 tells no string from what is beside it
        return True
    return _marks(b"".join(bare.split(b'"')[::2])) > MAX_VALUES


def _marks(text: bytes) -> int:
    """How often something begins or goes on in it: at least as often as it has values, less one."""
    return len(text) - len(text.translate(None, b"[{,"))


def _announced(scope: Any) -> int:
    """Bytes that the request says it will send; 0 where it does not say."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) <= 18 else 0


def _upload_refused(most: int) -> tuple[bytes, bytes]:
    """Type and body of the answer, as gradio's page shows it."""
    return b"text/plain; charset=utf-8", f"the files of one upload may have at most {most} MB in all".encode()


def _request_refused(most: str) -> tuple[bytes, bytes]:
    return b"application/json", json.dumps({"detail": f"a request may have at most {most}"}).encode()


async def _refuse(kind: bytes, body: bytes, send: Any) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
