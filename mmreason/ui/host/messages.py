"""Messages of events until somebody reads them: nobody's are pushed out by calls whose answers nobody reads.

Gradio keeps those of the sessions that came last, read or unread, and forgets a session whose stream is open before
one that has never opened any.
"""

from __future__ import annotations

from typing import Any

from mmreason.ui.host.settings import read_settings
from mmreason.ui.host.web.presence import PRESENCE, session_of

MAX_UNREAD = 1000  # messages of one session, who is sent no more until some are read; a solve has about a hundred


class Messages(dict[str, Any]):
    """Session → its messages, of gradio's ``queue``; of at most as many sessions as the setting says."""

    def __init__(self, queue: Any) -> None:
        super().__init__()
        self.queue = queue

    def __setitem__(self, session: str, messages: Any) -> None:
        while session not in self and len(self) >= read_settings().max_sessions:
            self._give_up(min(self, key=self._worth))  # of equal ones the first that came
        super().__setitem__(session, messages)

    def __delitem__(self, session: str) -> None:
        self.pop(session, None)  # a stream that breaks off deletes what may be gone

    def closed(self, session: str) -> None:
        """A connection of ``session`` has closed: what it waited for is dropped, unless there is more to come."""
        if not self._ids(session) or self._worth(session) == (False, False):
            self._give_up(session)

    def is_unread(self, session: str) -> bool:
        """Has nobody read the session's messages for long?"""
        return session in self and self[session].qsize() >= MAX_UNREAD

    def _ids(self, session: str) -> set[str]:
        """Events of the session whose end it has not been sent."""
        return self.queue.pending_event_ids_session.get(session, set())

    def _worth(self, session: str) -> tuple[bool, bool]:
        """Does anybody listen, and does anything of the session still wait or run?  Programs listen by the event."""
        ids = self._ids(session)
        events = (self.queue.event_ids_to_events.get(one) for one in ids)
        goes_on = any(event is not None and event.alive for event in events)
        return PRESENCE.is_here(session) or any(map(PRESENCE.is_here, ids)), goes_on

    def _give_up(self, session: str) -> None:
        for one in self._ids(session):
            if (event := self.queue.event_ids_to_events.get(one)) is not None:
                event.alive = False  # gradio ends it before its next step
        self.queue.pending_event_ids_session.pop(session, None)
        self.pop(session, None)


def keep_messages(queue: Any) -> None:
    """Let gradio's ``queue`` keep messages so."""
    queue.pending_messages_per_session = Messages(queue)


class DropRead:
    """Drops a session's messages when its stream has closed."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        try:
            await self.app(scope, receive, send)
        finally:
            if (session := session_of(scope)) is not None:
                scope["app"].get_blocks()._queue.pending_messages_per_session.closed(session)
