"""How much one request may send: gradio reads all of it, into memory or into files, however much that is."""

from __future__ import annotations

import json
from typing import Any

from mmreason.ui.host.settings import read_settings

MB = 1_000_000
UPLOADS = 8  # files of the largest size that one request may bring
UPLOAD = "/gradio_api/upload"


class BoundBodies:
    """Answers 413 to a request that sends more than it may; nothing beyond that is kept."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        settings = read_settings()
        if scope["path"].rstrip("/").endswith(UPLOAD):
            refusal, most = _upload_refused, UPLOADS * settings.max_upload_mb
        else:
            refusal, most = _request_refused, settings.max_request_mb
        if _announced(scope) > most * MB:
            await _refuse(*refusal(most), send)
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
            await _refuse(*refusal(most), send)


def _announced(scope: Any) -> int:
    """Bytes that the request says it will send; 0 where it does not say."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) <= 18 else 0


def _upload_refused(most: int) -> tuple[bytes, bytes]:
    """Type and body of the answer, as gradio's page shows it."""
    return b"text/plain; charset=utf-8", f"the files of one upload may have at most {most} MB in all".encode()


def _request_refused(most: int) -> tuple[bytes, bytes]:
    return b"application/json", json.dumps({"detail": f"a request may have at most {most} MB"}).encode()


async def _refuse(kind: bytes, body: bytes, send: Any) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
