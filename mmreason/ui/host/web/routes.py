"""Which of gradio's addresses are answered: those that this page, its endpoints and their clients use.

Gradio offers more, such as one that writes a recording to the disk and leaves it there.  Streams that tell how far an
upload is look for news twenty times a second each, so only a number of them may be open.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from starlette.datastructures import QueryParams

from mmreason.ui.host.web.bodies import BUSY, refusal

_SENT_TO = re.compile(
    r"/gradio_api/(?:upload|queue/join|cancel|reset|component_server|(?:run|call|call/v2)/[^/]+|mcp(?:/.*)?)/?\Z"
)
PROGRESS = "/gradio_api/upload_progress"
STREAMS, OF_AN_UPLOAD = 100, 2  # of progress, in all and of one upload
NO_SUCH_ADDRESS = "nothing can be sent to this address; /gradio_api/info names what can be called"


class OnlyUsed:
    """Answers 404 to what is sent to any other address, 503 where too many ask how far uploads are."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.streams: Counter[str] = Counter()  # of progress that are open, by upload

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["method"] == "GET" and scope["path"].rstrip("/").endswith(PROGRESS):
            await self._progress(scope, receive, send)
        elif scope["method"] == "POST" and not _SENT_TO.search(scope["path"]):
            await _refused(404, NO_SUCH_ADDRESS)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _progress(self, scope: Any, receive: Any, send: Any) -> None:
        upload = QueryParams(scope["query_string"]).get("upload_id", "")
        if self.streams.total() >= STREAMS or self.streams[upload] >= OF_AN_UPLOAD:
            await _refused(503, BUSY)(scope, receive, send)
            return
        self.streams[upload] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.streams[upload] -= 1
            if not self.streams[upload]:
                del self.streams[upload]


def _refused(status: int, says: str) -> Any:
    return refusal(status, "application/json", json.dumps({"detail": says}).encode())
