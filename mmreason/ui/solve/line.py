"""The lines of heavy work, one at a time in each, alongside the solves.

Measurements, races, rollouts and the like have one; files that visitors hand in another; files that they take away a
third.  Events of these kinds leave gradio's queue at once and wait here, where a visitor has one place for each kind,
an address a few, and all together no more than a number.  Addresses, or visitors of none that is known, take turns.
Who has left when their turn comes is passed over.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import gradio as gr

from mmreason.errors import MMReasonError
from mmreason.training.hardware import give_back_freed_memory
from mmreason.ui.host.checkpoints import use_few_threads
from mmreason.ui.host.settings import read_settings
from mmreason.ui.host.visitor import address_of
from mmreason.ui.host.web.presence import PRESENCE
from mmreason.ui.shell.words import OUR_FAULT, place_in_line, sentence
from mmreason.ui.solve.solving import Changes

Work = Callable[[Callable[[], bool]], Iterator[Any]]  # is told how to ask whether it shall stop; yields what it shows

GRACE = 3.0  # seconds that a visitor has to open the stream on which the answer comes
LOOK_PERIOD = 0.1  # seconds between two looks at whether somebody has come
IDLE_SECONDS = 30.0  # after which the thread ends; the next job starts another
FULL = "too many visitors wait for this already; please try again in a minute"
ONE_EACH = "one of yours is already waiting or running: ask again when it has ended"
STOPPED = "stopped before it began"
OWN_FIRST = "What you asked for before comes first; this is next after that."
LEFT = "the visitor has left"
_END = object()
_LOG = logging.getLogger(__name__)


class Refused(MMReasonError):
    """There is no place in line, or no more."""


class Job:
    """One piece of heavy work; only the line changes it, and ``told`` is called whenever it has."""

    def __init__(self, session: str, kind: str, address: str | None, work: Work, is_here: Callable[[], bool]) -> None:
        self.session, self.kind, self.address = session, kind, address
        self.work, self.is_here = work, is_here
        self.context = contextvars.copy_context()  # of the event: a lent GPU is asked for in its name
        self.since = time.monotonic()
        self.ahead = self.others_ahead = 0  # jobs, and those of other visitors among them
        self.states: deque[Any] = deque()  # what it yielded and nobody has taken yet
        self.error: MMReasonError | None = None
        self.asked_to_stop = self.is_dropped = self.is_over = False
        self.told: Callable[[], None] = lambda: None

    @property
    def owner(self) -> str:
        """Who takes turns with the others."""
        return self.session if self.address is None else self.address


class Line:
    """Who does something heavy and who waits for it."""

    def __init__(self, most: int | None = None, of_an_address: int | None = None) -> None:
        settings = read_settings()
        self.most = settings.max_heavy if most is None else most
        self.of_an_address = settings.address_heavy if of_an_address is None else of_an_address
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._served: dict[str, float] = {}  # when it was last the turn of those who wait, and of few others
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def join(self, job: Job, told: Callable[[], None]) -> None:
        """Take the job on; raises Refused."""
        with self._changed:
            jobs = self._jobs()
            if any((other.session, other.kind) == (job.session, job.kind) for other in jobs):
                raise Refused(ONE_EACH)
            of_theirs = sum(other.address == job.address for other in jobs) if job.address else 0
            if len(jobs) >= self.most or of_theirs >= self.of_an_address:
                raise Refused(FULL)
            self._waiting.append(job)
            self._move_up()
            job.told = told
            self._start()
            self._changed.notify()
        told()

    def stop(self, session: str, kind: str | None = None) -> None:
        """Ask the session's job of ``kind``, or all of its jobs, to end before the next step."""
        with self._changed:
            for job in self._of(session, kind):
                job.asked_to_stop = True
            self._changed.notify()

    def drop(self, job: Job) -> None:
        """Nobody waits for this job any longer."""
        with self._changed:
            job.is_dropped = True
            self._changed.notify()

    def is_busy(self, session: str, kind: str) -> bool:
        """Does the session's job of ``kind`` wait or run?"""
        with self._changed:
            return bool(self._of(session, kind))

    def _jobs(self) -> list[Job]:
        running = [] if self._running is None else [self._running]
        return [job for job in (*running, *self._waiting) if not job.is_dropped]

    def _of(self, session: str, kind: str | None) -> list[Job]:
        return [job for job in self._jobs() if job.session == session and kind in (None, job.kind)]

    # What the thread does

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        if self._thread is not None:
            _LOG.error("the thread of heavy work has ended and is started again")
        self._thread = threading.Thread(target=self._work, name="heavy work", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            use_few_threads()
            while (job := self._next()) is not None:
                self._do(job)
                del job  # with what its work and its states hold
                give_back_freed_memory()
        except BaseException:
            _LOG.exception("the thread of heavy work ends; another one is started")
            with self._changed:
                for job in [self._running] if self._running else list(self._waiting):
                    self._end(job, Refused(OUR_FAULT))
                self._thread = None
                if self._waiting:
                    self._start()

    def _next(self) -> Job | None:
        """The first whose visitor is here; waits for one, None after long enough."""
        with self._changed:
            while True:
                self._tidy()
                for job in self._waiting:
                    if job.is_here():
                        self._waiting.remove(job)
                        self._running = job
                        self._served.pop(job.owner, None)
                        self._served[job.owner] = time.monotonic()
                        self._move_up()
                        return job
                is_empty = not self._waiting
                woken = self._changed.wait(IDLE_SECONDS if is_empty else LOOK_PERIOD)
                if is_empty and not woken and not self._waiting:
                    self._thread = None
                    return None

    def _tidy(self) -> None:
        """Who stopped, was dropped, or has left waits no longer."""
        for job in list(self._waiting):
            is_late = time.monotonic() - job.since > GRACE
            if job.is_dropped or (is_late and not job.is_here()):
                _LOG.info("passed over, as the visitor has left", extra={"kind": job.kind})
                self._end(job, Refused(LEFT))
            elif job.asked_to_stop:
                self._end(job, Refused(STOPPED))
        self._move_up()

    def _move_up(self) -> None:
        """Those who wait take turns: of each the first, then of each the second; first who was served longest ago."""
        earlier: Counter[str] = Counter()
        turns: dict[Job, tuple[int, float, float]] = {}
        for job in sorted(self._waiting, key=lambda job: job.since):
            turns[job] = earlier[job.owner], self._served.get(job.owner, 0.0), job.since
            earlier[job.owner] += 1
        self._waiting.sort(key=turns.__getitem__)
        gone = [owner for owner in self._served if owner not in earlier]  # longest ago first
        for owner in gone[: max(0, len(self._served) - self.most)]:
            del self._served[owner]
        before = [] if self._running is None else [self._running]
        for job in self._waiting:
            if _place(job, before):
                job.told()
            before.append(job)

    def _do(self, job: Job) -> None:
        failed: MMReasonError | None = None
        states: Any = None
        job.ahead = 0
        try:
            states = job.context.run(job.work, lambda: job.asked_to_stop)
            while not job.is_dropped and (state := job.context.run(next, states, _END)) is not _END:
                job.states.append(state)
                job.told()
        except MMReasonError as error:
            failed = error
        except BaseException:
            _LOG.exception("heavy work failed", extra={"kind": job.kind})
            failed = Refused(OUR_FAULT)
        try:
            if hasattr(states, "close"):
                states.close()
        except BaseException:
            _LOG.exception("heavy work did not end in peace", extra={"kind": job.kind})
        with self._changed:
            self._end(job, failed)

    def _end(self, job: Job, error: MMReasonError | None) -> None:
        if job is self._running:
            self._running = None
        elif job in self._waiting:
            self._waiting.remove(job)
        job.error, job.is_over = error, True
        job.told()


def _place(job: Job, before: list[Job]) -> bool:
    """Count those ``before`` the job; whether that is news."""
    was = job.ahead, job.others_ahead
    job.ahead, job.others_ahead = len(before), sum(other.session != job.session for other in before)
    return was != (job.ahead, job.others_ahead)


LINE, HANDED_IN, TAKEN_AWAY = Line(), Line(), Line()


async def in_line(
    kind: str,
    request: gr.Request,
    work: Work,
    waiting: Callable[[str], Any],
    refused: Callable[[str], Any],
    line: Line | None = None,
) -> AsyncGenerator[Any, None]:
    """What ``work`` yields, when its turn has come.

    Before that ``waiting`` of a sentence, whenever another number of jobs is ahead; in place of the rest
    ``refused`` of a sentence, if there is no place or something goes wrong.  Closing this gives the place up.
    """
    line, session = line or LINE, str(request.session_hash)
    job = Job(session, kind, address_of(request), work, lambda: PRESENCE.is_here(session))
    changes, ahead = Changes(), 0
    try:
        line.join(job, changes.told)
    except Refused as error:
        yield refused(sentence(error))
        return
    try:
        is_over = False
        while not is_over:
            await changes.wait()
            is_over = job.is_over  # before what it yielded is taken: nothing comes afterwards
            if job.ahead not in (0, ahead):
                ahead = job.ahead
                yield waiting(place_in_line(job.others_ahead) or OWN_FIRST)
            while job.states:
                yield job.states.popleft()
        if job.error is not None:
            yield refused(sentence(job.error))
    finally:
        line.drop(job)


async def in_turn(
    kind: str, request: gr.Request, work: Callable[[], Any], refused: Callable[[str], Any], line: Line
) -> Any:
    """What ``work`` returns, when its turn in ``line`` has come; ``refused`` of a sentence in place of it."""
    states = in_line(kind, request, lambda _: iter((work(),)), lambda _: None, refused, line)
    async with aclosing(states):
        return [state async for state in states][-1]


def side_by_side(
    kind: str, request: gr.Request, work: Callable[[], Iterator[str | dict[str, Any]]]
) -> AsyncGenerator[tuple[Any, Any], None]:
    """The same for what ends in two traces side by side: updates of these and of the words about them.

    What stood there goes at the first word: it is no answer to what is asked now.
    """

    def says(words: str) -> tuple[Any, Any]:
        return None, words

    def shown(_: Callable[[], bool]) -> Iterator[tuple[Any, Any]]:
        for state in work():
            yield says(state) if isinstance(state, str) else (state, "")

    return in_line(kind, request, shown, says, says)
