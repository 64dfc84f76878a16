"""How many uploads may be on their way at once, so that the temporary files stay within what the host allows."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import HTTPConnection

from mmreason.ui.host.settings import read_settings
from mmreason.ui.host.temporary import arrived, expect, make_room
from mmreason.ui.host.visitor import address_of
from mmreason.ui.host.web.bodies import BUSY, MB, TEXT, UPLOAD, UPLOADS, announced, refuse
from mmreason.ui.host.web.held import Held

OF_ALL, OF_ONE = 2, 8  # uploads on their way may be a half of the temporary files, those of one address an eighth


class RoomForUploads:
    """Makes room before a request writes a file; answers 503 to an upload where too much is on its way."""

    def __init__(self, app: Any) -> None:
        self.app, self.held = app, Held()

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
        address = address_of(HTTPConnection(scope))
        with self.held.by(address, max(bound // OF_ALL, largest), max(bound // OF_ONE, largest)) as take:
            if not take(left):
                await refuse(503, TEXT, BUSY.encode(), send)
                return
            expect(left)

            async def noted() -> Any:
                nonlocal left
                message = await receive()
                size = min(left, len(message.get("body", b"")))
                left -= size
                arrived(size)
                return message

            try:
                await asyncio.to_thread(make_room)
                await self.app(scope, noted, send)
            finally:
                expect(-left)
