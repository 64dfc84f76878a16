"""How many uploads may be on their way at once, so that the temporary files stay within what the host allows.

One address may bring a part of them alone, so that nobody's files make room for one visitor's.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

from starlette.requests import HTTPConnection

from mmreason.ui.host.settings import MB, read_settings
from mmreason.ui.host.temporary import KEPT_SECONDS, arrived, expect, make_room
from mmreason.ui.host.visitor import address_of
from mmreason.ui.host.web.bodies import BUSY, PARTS, TEXT, UPLOAD, UPLOADS, announced, refusal
from mmreason.ui.host.web.held import Held

OF_ALL, OF_ONE = 2, 8  # uploads on their way may be a half of the temporary files, those of one address an eighth
OF_ONE_KEPT = 4  # what one address brings in the time that files are kept may be a quarter
LEAST = 100_000  # bytes that a file counts for there: of small ones as well only so many are kept
MANY = f"too much was uploaded from your address: at most {{}} MB may be in {KEPT_SECONDS // 3600} hours"


class Lately:
    """Bytes that each address has sent in the last ``KEPT_SECONDS``, by minute.  For one event loop."""

    def __init__(self) -> None:
        self.minutes: dict[int, Counter[str]] = {}

    def add(self, address: str, size: int) -> None:
        """Note that ``address`` has sent ``size`` bytes."""
        now = int(time.monotonic() // 60)
        self.minutes.setdefault(now, Counter())[address] += size
        self._forget(now)

    def of(self, address: str) -> int:
        """Bytes that ``address`` has sent."""
        self._forget(int(time.monotonic() // 60))
        return sum(sent[address] for sent in self.minutes.values())

    def _forget(self, now: int) -> None:
        for minute in [each for each in self.minutes if each < now - KEPT_SECONDS // 60]:
            del self.minutes[minute]


class RoomForUploads:
    """Makes room before a request writes a file; answers 503 to an upload where too much is on its way.

    429 where its address has sent too much lately.
    """

    def __init__(self, app: Any) -> None:
        self.app, self.held, self.lately = app, Held(), Lately()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        path = scope["path"].rstrip("/") if scope["type"] == "http" else ""
        if path.endswith(UPLOAD) and scope["method"] == "POST":
            await self._upload(scope, receive, send)
            return
        if path.endswith("/deep_link"):
            await asyncio.to_thread(make_room)
        await self.app(scope, receive, send)

    async def _upload(self, scope: Any, receive: Any, send: Any) -> None:
        settings = read_settings()
        largest, bound = UPLOADS * settings.max_upload_mb * MB, settings.max_temporary_mb * MB
        left = announced(scope) or largest
        address, sent = address_of(HTTPConnection(scope)), 0
        most = max(bound // OF_ONE_KEPT, largest)
        if address is not None and self.lately.of(address) + self.held.of[address] + left > most:
            await refusal(429, TEXT, MANY.format(most // MB).encode())(scope, receive, send)
            return
        with self.held.by(address, max(bound // OF_ALL, largest), max(bound // OF_ONE, largest)) as take:
            if not take(left):
                await refusal(503, TEXT, BUSY.encode())(scope, receive, send)
                return
            expect(left)

            async def noted() -> Any:
                nonlocal left, sent
                message = await receive()
                size = min(left, len(message.get("body", b"")))
                sent += len(message.get("body", b""))
                left -= size
                arrived(size)
                return message

            try:
                await asyncio.to_thread(make_room)
                await self.app(scope, noted, send)
            finally:
                expect(-left)
                if address is not None:
                    self.lately.add(address, max(sent, LEAST * scope[PARTS].count if PARTS in scope else 0))
