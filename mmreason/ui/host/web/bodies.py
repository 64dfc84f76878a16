"""How much one request may send: gradio reads all of it, into memory or into files, however much that is.

JSON of many values takes far more time and memory than its bytes, and nobody else is answered meanwhile.  So its
values are counted before it is read.

What comes slowly is held all the while: there is a bound on how much and on how long.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from typing import Any

from gradio.route_utils import parse_options_header
from starlette.requests import HTTPConnection
from starlette.responses import Response

from mmreason.ui.host.settings import MB, read_settings
from mmreason.ui.host.temporary import FILES
from mmreason.ui.host.visitor import address_of
from mmreason.ui.host.web.held import Held

UPLOADS = 8  # files of the largest size that one request may bring
UPLOAD = "/gradio_api/upload"
MAX_VALUES = 200_000  # of the JSON of one request; a trace is sent as text, which is one
SIZE = "mmreason.size"  # bytes of a request that was read whole, in its scope
PARTS = "mmreason.parts"  # of an upload, which are counted as they come, in its scope
FREE = 100_000  # bytes of each request that may always be held while it comes
# So many requests of the largest size may be held, in all and from one address, while they come and while they wait.
LARGEST, OF_AN_ADDRESS = 8, 2
IDLE_SECONDS, SECONDS = 10.0, 120.0  # that a request may send nothing, and may take to be sent
# What such a number is written with, also by accident; UTF-16, which has a zero in every character, is read as well.
_MAY_BE_NONE = re.compile(rb"NaN|Infinity|[0-9][eE]\+?[0-9]{3}|[0-9]{300}|\0")
NO_NUMBER = "numbers must be finite; JSON knows no NaN and no Infinity"
MANY_FILES = f"one upload may have at most {FILES} files; put them into a zip"
BUSY = "this server is receiving too much at the moment: try again in a minute"
SLOW = f"a request must be sent within {SECONDS:.0f} s, and without a pause of {IDLE_SECONDS:.0f} s"


class BoundBodies:
    """Answers 413 to a request that sends more than it may, 422 to one with an infinite number, 408 to a slow one.

    503 where too much is being sent.
    Nothing beyond that is kept.  Uploads are passed on as they come, all else when it is whole.
    """

    def __init__(self, app: Any) -> None:
        self.app, self.held = app, Held()

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
        if announced(scope) > most * MB:
            await refusal(413, *_detail(f"a request may have at most {most} MB"))(scope, receive, send)
            return
        read, is_whole, patient = bytearray(), False, _in_time(receive)
        largest, address = most * MB, address_of(HTTPConnection(scope))
        with self.held.by(address, LARGEST * largest, OF_AN_ADDRESS * largest) as take:
            while not is_whole:
                try:
                    message = await patient()
                except TimeoutError:
                    await refusal(408, *_detail(SLOW))(scope, receive, send)
                    return
                if message["type"] == "http.disconnect":
                    return
                before = max(FREE, len(read))
                read += message.get("body", b"")
                is_whole = not message.get("more_body", False)
                if len(read) > largest:
                    await refusal(413, *_detail(f"a request may have at most {most} MB"))(scope, receive, send)
                    return
                if not take(max(0, len(read) - before)):
                    del read
                    await refusal(503, *_detail(BUSY))(scope, receive, send)
                    return
            bodies = [bytes(read)]
            del read
        if has_many_values(bodies[0]):
            await refusal(413, *_detail(f"a request may have at most {MAX_VALUES} values"))(scope, receive, send)
            return
        if has_no_number(bodies[0]):
            await refusal(422, *_detail(NO_NUMBER))(scope, receive, send)
            return
        scope[SIZE] = len(bodies[0])

        async def whole() -> Any:
            return {"type": "http.request", "body": bodies.pop()} if bodies else await receive()

        await self.app(scope, whole, send)

    async def _pass_on(self, scope: Any, receive: Any, send: Any, most: int) -> None:
        if announced(scope) > most * MB:
            await refusal(413, *_upload_refused(most))(scope, receive, send)
            return
        received, begun, patient = 0, False, _in_time(receive)
        refusals: list[tuple[int, str, bytes]] = []
        parts = scope[PARTS] = Parts(scope)

        async def counted() -> Any:
            nonlocal received, patient
            try:
                message = await patient()
            except TimeoutError:
                refusals.append((408, TEXT, SLOW.encode()))
                return {"type": "http.disconnect"}
            received += len(message.get("body", b""))
            parts.add(message.get("body", b""))
            if parts.count > FILES:
                refusals.append((413, TEXT, MANY_FILES.encode()))
            if received > most * MB:
                refusals.append((413, *_upload_refused(most)))
            if not message.get("more_body", False):
                patient = receive
            return {"type": "http.disconnect"} if refusals else message

        async def sent(message: Any) -> None:
            nonlocal begun
            if begun or not refusals:
                begun = True
                await send(message)

        try:
            await self.app(scope, counted, sent)
        except Exception:  # of a request that was cut off
            if begun or not refusals:
                raise
        if refusals and not begun:
            await refusal(*refusals[0])(scope, receive, send)


class Parts:
    """How many parts a form has sent, each of which ends with a line of its own; none where it does not name it."""

    def __init__(self, scope: Any) -> None:
        _, options = parse_options_header(HTTPConnection(scope).headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        self.mark = b"\r\n--" + boundary if boundary else b""
        self.count, self._tail = 0, b""

    def add(self, piece: bytes) -> None:
        """Count what ends in the next ``piece``."""
        if self.mark:
            text = self._tail + piece
            self.count += text.count(self.mark)
            self._tail = text[1 - len(self.mark) :]


def _in_time(receive: Any) -> Any:
    """``receive``, raising TimeoutError when the request is too slow."""
    end = time.monotonic() + SECONDS

    async def received() -> Any:
        async with asyncio.timeout(min(IDLE_SECONDS, end - time.monotonic())):
            return await receive()

    return received


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


def has_no_number(body: bytes) -> bool:
    """Has ``body``, if it is JSON, a number that is none or infinite?  Gradio cannot answer where it is repeated."""
    if not _MAY_BE_NONE.search(body):
        return False
    try:
        json.loads(body, parse_constant=_finite, parse_float=_finite)
    except OverflowError:
        return True
    except (ValueError, RecursionError):  # whoever reads it says so
        pass
    return False


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise OverflowError(text)
    return number


def announced(scope: Any) -> int:
    """Bytes that the request says it will send; 0 where it does not say."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) <= 18 else 0


TEXT = "text/plain; charset=utf-8"  # as gradio's page shows what is answered to an upload


def _upload_refused(most: int) -> tuple[str, bytes]:
    return TEXT, f"the files of one upload may have at most {most} MB in all".encode()


def _detail(says: str) -> tuple[str, bytes]:
    return "application/json", json.dumps({"detail": says}).encode()


def refusal(status: int, kind: str, body: bytes) -> Response:
    """That answer; a connection that was too slow ends with it."""
    headers = {"content-type": kind}
    if status == 408:
        headers["connection"] = "close"
    return Response(body, status, headers)
