"""What gradio's queue keeps for sessions until they read it, bounded, so that nobody fills it for the others.

Gradio forgets the session that came first once there are 2,000, read or not, and that ends its loop if an event of
that session still waits.  Here those go that nobody reads; and who is gone is told nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmreason.ui.host.web.presence import PRESENCE

ANSWER = 50_000  # bytes that an answer counts for, above those of its event
MOST = 200_000_000  # bytes that are kept for all


class Answers(dict[str, Any]):
    """Messages by session, oldest first.  For want of room those go that nobody reads, then those of most bytes."""

    def __init__(self, queue: Any) -> None:
        super().__init__()
        self.queue, self.max_size = queue, queue.pending_messages_per_session.max_size
        self.counted: Counter[str] = Counter()

    def __setitem__(self, session: str, messages: Any) -> None:
        if len(self) >= self.max_size:
            for unread in islice(self._unread(self._needed()), len(self) - self.max_size + 1):
                self._forget(unread)
        super().__setitem__(session, messages)

    def count(self, session: str, size: int) -> None:
        """An event of so many bytes will be answered."""
        self.counted[session] += size + ANSWER
        if self.counted.total() <= MOST:
            return
        needed = self._needed()
        for each in list(self.counted):
            if each not in self or (each not in needed and self[each].empty()):
                del self.counted[each]
        largest = [each for each, _ in self.counted.most_common() if each not in needed]
        beyond = self.counted.total() - MOST
        for each in [*self._unread(needed), *largest]:
            if beyond <= 0:
                return
            if each in self.counted:
                beyond -= self.counted[each]
                self._forget(each)

    def _needed(self) -> set[str]:
        """Sessions for which something waits or goes on."""
        return {event.session_hash for event in pending_events(self.queue)}

    def _unread(self, needed: set[str]) -> Iterator[str]:
        """Sessions that are not ``needed`` and that nobody reads."""
        return (each for each in list(self) if each not in needed and not PRESENCE.is_here(each))

    def _forget(self, session: str) -> None:
        for kept in (self, self.counted, self.queue.pending_event_ids_session):
            kept.pop(session, None)


def bound_answers(queue: Any) -> Answers:
    """Let ``queue`` keep its messages so; and of an event that was cancelled nothing."""
    answers = queue.pending_messages_per_session = Answers(queue)
    process, send = queue.process_events, queue.send_message

    async def processed(events: list[Any], *rest: Any) -> None:
        try:
            await process(events, *rest)
        finally:
            for event in events:
                queue.event_ids_to_events.pop(event._id, None)

    def sent(event: Any, message: Any) -> None:
        if event.session_hash in answers:  # else gradio would raise
            send(event, message)

    queue.process_events, queue.send_message = processed, sent
    return answers


def pending_events(queue: Any) -> Iterator[Any]:
    """What waits in the queue or goes on."""
    for line in list(queue.event_queue_per_concurrency_id.values()):
        yield from line.queue
    for job in queue.active_jobs:
        yield from job or ()
