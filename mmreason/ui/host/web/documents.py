"""Documents and measurements that the page links to, as plain text from this server.

Only files named here are served: the licence, model cards, and the files that commands wrote.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mmreason import places

PREFIX = "about/"  # of their addresses
_NAMES = re.compile(r"LICENSE|README\.md|checkpoints/[\w-]+/README\.md|assets/results/\w+\.json", re.ASCII)
_PATH = re.compile(r"/about/([\w./-]+)\Z", re.ASCII)


def document(name: str) -> Path | None:
    """The file called ``name``, if it is one that may be read and is here."""
    path = places.ROOT / name
    return path if _NAMES.fullmatch(name) and path.is_file() and not path.is_symlink() else None


def documents() -> list[str]:
    """Names of all documents that are here."""
    found = ["LICENSE", "README.md"]
    for pattern in ("checkpoints/*/README.md", "assets/results/*.json"):
        found += [path.relative_to(places.ROOT).as_posix() for path in sorted(places.ROOT.glob(pattern))]
    return [name for name in found if document(name)]


def address(name: str) -> str:
    """Where the page finds the document called ``name``, relative to itself."""
    return PREFIX + name


class ServeDocuments:
    """Answers requests for documents; all others go on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        match = _PATH.search(scope["path"]) if scope["type"] == "http" else None
        if match is None:
            await self.app(scope, receive, send)
            return
        path = document(match[1])
        status, body = (404, b"There is no such document.") if path is None else (200, path.read_bytes())
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
