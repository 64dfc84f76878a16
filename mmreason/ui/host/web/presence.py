"""Who is here: the sessions that hold a connection open, be it the page's heartbeat or a stream of answers."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import Any

from starlette.datastructures import QueryParams

STREAMS = ("/heartbeat/", "/queue/data", "/call/")  # of gradio; the session is in the path or in the query


class Presence:
    """How many connections each session holds open; nothing of a session is kept when it has none."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._lock = Lock()

    def is_here(self, session: str) -> bool:
        """Does anybody wait for what is sent to the session?"""
        with self._lock:
            return self._open[session] > 0 if session in self._open else False

    def come(self, session: str) -> None:
        """A connection more."""
        with self._lock:
            self._open[session] += 1

    def go(self, session: str) -> None:
        """One less."""
        with self._lock:
            self._open[session] -= 1
            if self._open[session] <= 0:
                del self._open[session]


PRESENCE = Presence()


class WatchPresence:
    """Notes, as requests come and go, whose connections are open."""

    def __init__(self, app: Any, presence: Presence = PRESENCE) -> None:
        self.app, self.presence = app, presence

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        session = session_of(scope)
        if session is None:
            await self.app(scope, receive, send)
            return
        self.presence.come(session)
        try:
            await self.app(scope, receive, send)
        finally:
            self.presence.go(session)


def session_of(scope: Any) -> str | None:
    """The session whose stream a request opens; None where it opens none."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    path = scope["path"].rstrip("/")
    if not any(part in path for part in STREAMS):
        return None
    if path.endswith("/queue/data"):
        return QueryParams(scope["query_string"]).get("session_hash")
    return path.rpartition("/")[2]
