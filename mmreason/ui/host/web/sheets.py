"""Codebook sheets and pictures as files of their own, so that a browser fetches each once and keeps it.

A file is named by what is in it; the server remembers those that it has named last, and all that the page as it is
built names.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np
from starlette.responses import Response

from mmreason.traces.schema import PNG_PREFIX
from mmreason.traces.sheet import sheet_value

MAX_BYTES = 32_000_000  # of all sheets that are remembered, without those of the page as it is built
MAX_PICTURE_BYTES = 128_000_000  # of all pictures
TYPES = {"png": "image/png", "webp": "image/webp"}
_PATH = re.compile(r"/(sheet|picture)/([0-9a-f]{16,64})\.(png|webp)\Z")
_FOR_EVER = "max-age=31536000, immutable"


class Sheets:
    """Pictures by name; beyond ``most`` bytes those go that were asked for longest ago, but none that is pinned."""

    def __init__(self, most: int = MAX_BYTES) -> None:
        self.most, self._size = most, 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._pinned: dict[str, bytes] = {}
        self._lock = Lock()

    def link(self, sheet: np.ndarray, *, pinned: bool = False) -> dict[str, Any]:
        """As ``sheet_value``, with the picture's address in place of the picture; ``pinned``: it is kept for good."""
        value = sheet_value(sheet)
        name = self.keep(base64.b64decode(value["image"][len(PNG_PREFIX) :]), pinned=pinned)
        return value | {"image": f"sheet/{name}.png"}

    def keep(self, content: bytes, letters: int = 16, *, pinned: bool = False) -> str:
        """Remember ``content``, for good where it is ``pinned``; its name."""
        name = hashlib.sha256(content).hexdigest()[:letters]
        with self._lock:
            if pinned:
                self._size -= len(self._kept.pop(name, b""))
                self._pinned[name] = content
            if name in self._pinned:
                return name
            if name not in self._kept:
                self._kept[name] = content
                self._size += len(content)
            self._kept.move_to_end(name)
            while self._size > self.most and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
        return name

    def get(self, name: str) -> bytes | None:
        """The picture called ``name``, if it is remembered."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._pinned.get(name) or self._kept.get(name)


SHEETS, PICTURES = Sheets(), Sheets(MAX_PICTURE_BYTES)
sheet_link = SHEETS.link


def picture_link(content: bytes, ending: str) -> str:
    """The address of a picture of a run: by its whole hash, which nobody guesses who has not seen it."""
    return f"picture/{PICTURES.keep(content, 64)}.{ending}"


class ServeSheets:
    """Answers requests for sheets and pictures; all others go on."""

    def __init__(self, app: Any, sheets: Sheets = SHEETS, pictures: Sheets = PICTURES) -> None:
        self.app, self.kept = app, {"sheet": sheets, "picture": pictures}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        match = _PATH.search(scope["path"]) if scope["type"] == "http" else None
        if match is None:
            await self.app(scope, receive, send)
            return
        content = self.kept[match[1]].get(match[2])
        status, kind, body = (404, "text/plain", b"") if content is None else (200, TYPES[match[3]], content)
        headers = {"content-type": kind}
        if content is not None:
            headers["cache-control"] = f"{'public' if match[1] == 'sheet' else 'private'}, {_FOR_EVER}"
        await Response(body, status, headers)(scope, receive, send)
