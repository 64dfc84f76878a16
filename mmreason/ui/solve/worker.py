"""The one worker of the page: it advances all visitors' solves in a running batch, a step at a time.

A visitor's solve is a ticket: it waits while the batch is full, joins as soon as there is room, and whoever
holds it is told of every step.  Stopping or dropping a ticket frees its row before the next step.

Whatever a row raises, its ticket alone fails.  A thread that ends nevertheless takes with it what it was solving;
another one is started for those who wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from mmreason.errors import MMReasonError
from mmreason.records import Problem, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.training.hardware import give_back_freed_memory
from mmreason.ui.host.checkpoints import use_few_threads
from mmreason.ui.host.settings import read_settings

IDLE_SECONDS = 30.0  # after which the worker's thread ends; the next ticket starts another
STUCK_SECONDS = 120.0  # a step that takes longer is not a slow machine
MAX_ANNOUNCED = 1000  # sessions; those who announced first are forgotten first
FULL = "Too many visitors are waiting already; please try again in a minute."

_LOG = logging.getLogger(__name__)

WAITING, RUNNING, FINISHED, STOPPED, FAILED = "waiting", "running", "finished", "stopped", "failed"


class Ticket:
    """One solve from the line to its end; only the worker changes it, and ``told`` is called whenever it has."""

    def __init__(
        self,
        session: str,
        pipe: Any,
        problem: Problem,
        config: SamplingConfig,
        seed: int,
        address: str | None = None,
    ) -> None:
        self.session, self.pipe, self.problem, self.config, self.seed = session, pipe, problem, config, seed
        self.address = address  # where one is known
        self.state = WAITING
        self.ahead = 0  # visitors before this one while it waits
        self.trace: Trace | None = None
        self.error: BaseException | None = None
        self.asked_to_stop = False
        self.row: Any = None
        self.told: Callable[[], None] = lambda: None
        self.began = time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.state in (FINISHED, STOPPED, FAILED)


class Worker:
    """Who is solved for and who waits; shared by all handlers of this process."""

    def __init__(self, max_batch: int | None = None, max_waiting: int | None = None) -> None:
        settings = read_settings()
        self.max_batch = settings.max_batch if max_batch is None else max_batch
        self.max_waiting = settings.max_waiting if max_waiting is None else max_waiting
        self.of_a_visitor, self.of_an_address = settings.visitor_solves, settings.address_solves
        self.solved = 0
        self._waiting: list[Ticket] = []
        self._running: list[Ticket] = []
        self._announced: dict[str, None] = {}  # in their order
        self._stopping: set[str] = set()
        self._batches: list[tuple[Any, Any]] = []  # pipelines and their running batches
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._beat = time.monotonic()  # when the thread last began a step

    # What a visitor does

    def announce(self, session: str) -> int:
        """The session is about to solve; returns how many are ahead of it."""
        with self._changed:
            self._announced.pop(session, None)
            self._announced[session] = None
            self._stopping.discard(session)
            while len(self._announced) > MAX_ANNOUNCED:
                self._stopping.discard(forgotten := next(iter(self._announced)))
                del self._announced[forgotten]
            return self._ahead_of_next()

    def submit(self, ticket: Ticket, told: Callable[[], None]) -> None:
        """Take the ticket on; ``told`` is called, from the worker's thread, whenever the ticket has changed."""
        with self._changed:
            self._announced.pop(ticket.session, None)
            ticket.told = told
            ticket.asked_to_stop = ticket.session in self._stopping
            self._stopping.discard(ticket.session)
            if says := self._refusal(ticket):
                self._end(ticket, FAILED, Refused(says))
                return
            ticket.ahead = self._ahead_of_next()
            self._waiting.append(ticket)
            self._start()
            self._changed.notify()

    def _refusal(self, ticket: Ticket) -> str:
        if len(self._of(ticket.session)) >= self.of_a_visitor:
            return too_many_solves(self.of_a_visitor)
        tickets = (*self._running, *self._waiting)
        of_theirs = sum(other.address == ticket.address for other in tickets) if ticket.address else 0
        is_full = len(self._waiting) >= self.max_waiting + self._room()
        return FULL if is_full or of_theirs >= self.of_an_address else ""

    def stop(self, session: str) -> None:
        """Ask the session's solves to end before their next step and keep what they have."""
        with self._changed:
            if session in self._announced:
                self._stopping.add(session)
            for ticket in self._of(session):
                ticket.asked_to_stop = True

    def forget(self, session: str) -> None:
        """Whatever the session announced and did not begin is off."""
        with self._changed:
            self._announced.pop(session, None)
            self._stopping.discard(session)

    def leave(self, session: str) -> None:
        """The visitor has gone."""
        self.forget(session)
        self.stop(session)

    def drop(self, ticket: Ticket) -> None:
        """Nobody waits for this ticket any longer."""
        ticket.asked_to_stop = True

    def is_busy(self, session: str) -> bool:
        """Is a solve of the session announced, waiting or running?"""
        with self._changed:
            return session in self._announced or bool(self._of(session))

    def counts(self) -> dict[str, int]:
        """How many run, wait, and have been solved since the start."""
        with self._changed:
            return {"running": len(self._running), "waiting": len(self._waiting), "solved": self.solved}

    def trouble(self) -> str:
        """Why those who wait are not served, or nothing."""
        with self._changed:
            if not self._waiting and not self._running:
                return ""
            if self._thread is None or not self._thread.is_alive():
                return "the solving thread has ended"
            return "a step of solving does not end" if time.monotonic() - self._beat > STUCK_SECONDS else ""

    def _of(self, session: str) -> list[Ticket]:
        return [ticket for ticket in (*self._running, *self._waiting) if ticket.session == session]

    def _room(self) -> int:
        return max(0, self.max_batch - len(self._running))

    def _ahead_of_next(self) -> int:
        """Visitors before one that comes now: none while there is room, else all who wait and one that must end."""
        over = len(self._waiting) - self._room()
        return over + 1 if over >= 0 else 0

    # What the worker does

    def _start(self) -> None:
        """See that the thread runs; called with the lock held."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self._thread is not None:
            _LOG.error("the solving thread has ended and is started again")
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="solving", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            use_few_threads()
            while self._admit():
                self._beat = time.monotonic()
                for batch in [batch for _, batch in self._batches]:
                    self._step(batch)
                time.sleep(0)  # let the server's thread in between two steps
            give_back_freed_memory()
        except BaseException as error:
            _LOG.exception("the solving thread ends; another one is started")
            self._begin_again(error)

    def _begin_again(self, error: BaseException) -> None:
        """Give up what ran, or else what waited, and start another thread for the rest."""
        with self._changed:
            self._batches.clear()
            for ticket in list(self._running or self._waiting):
                self._end(ticket, FAILED, error)
            self._thread = None
            if self._waiting:
                self._start()

    def _admit(self) -> bool:
        """End what was stopped and fill the room; waits while there is nothing to do, False after long enough."""
        with self._changed:
            while not self._waiting and not self._running:
                if not self._changed.wait(IDLE_SECONDS) and not self._waiting:
                    self._thread = None
                    return False
            for ticket in [ticket for ticket in (*self._running, *self._waiting) if ticket.asked_to_stop]:
                self._end(ticket, STOPPED)
            joining = self._waiting[: self._room()]
            del self._waiting[: len(joining)]
            self._running += joining
            moved = [ticket for ahead, ticket in enumerate(self._waiting, 1) if ticket.ahead != ahead]
            for ahead, ticket in enumerate(self._waiting, 1):
                ticket.ahead = ahead
        for ticket in joining:
            self._join(ticket)
        for ticket in moved:
            _tell(ticket)
        return True

    def _join(self, ticket: Ticket) -> None:
        try:
            ticket.row = self._batch_of(ticket.pipe).join(ticket.problem, ticket.config, ticket.seed)
        except BaseException as error:  # of this ticket alone
            with self._changed:
                self._end(ticket, FAILED, error)
            return
        ticket.state = RUNNING
        _tell(ticket)

    def _batch_of(self, pipe: Any) -> Any:
        for known, batch in self._batches:
            if known is pipe:
                return batch
        self._batches.append((pipe, pipe.running_batch()))
        return self._batches[-1][1]

    def _step(self, batch: Any) -> None:
        tickets = [ticket for ticket in self._running if ticket.row is not None and ticket.row in batch.rows]
        try:
            batch.step()
        except BaseException as error:  # not of one row: all of this batch fail, those of others go on
            _LOG.exception("a step of the running batch failed")
            self._give_up(batch, tickets, error)
            return
        for ticket in tickets:
            if ticket.is_over:  # given up with its batch, on account of another
                continue
            row = ticket.row
            try:
                ticket.trace = row.trace() or ticket.trace
                ended, error = row.ended, row.error
            except BaseException as raised:  # of this row alone, whatever it raises
                ended, error = True, raised
            if ended:
                with self._changed:
                    self._end(ticket, FAILED if error else FINISHED, error)
            else:
                _tell(ticket)

    def _give_up(self, batch: Any, tickets: list[Ticket], error: BaseException) -> None:
        self._batches = [(pipe, other) for pipe, other in self._batches if other is not batch]
        with self._changed:
            for ticket in tickets:
                self._end(ticket, FAILED, error)

    def _end(self, ticket: Ticket, state: str, error: BaseException | None = None) -> None:
        """The ticket is over and its row free; called with the lock held, by the worker if there is a row."""
        row, ticket.row = ticket.row, None
        for tickets in (self._waiting, self._running):
            if ticket in tickets:
                tickets.remove(ticket)
        if row is not None:
            self._free(ticket.pipe, row)
        self.solved += state == FINISHED
        seconds = round(time.monotonic() - ticket.began, 2)
        facts = {"state": state, "task": ticket.problem.task, "seconds": seconds, "running": len(self._running)}
        _LOG.info("solve ended", extra=facts | {"waiting": len(self._waiting)})
        ticket.state, ticket.error = state, error
        _tell(ticket)

    def _free(self, pipe: Any, row: Any) -> None:
        """Take the row out of its batch; a batch that cannot let it go is given up with all that are in it."""
        for known, batch in self._batches:
            if known is not pipe:
                continue
            try:
                batch.leave(row)
            except BaseException as error:
                _LOG.exception("a row did not leave the running batch in peace")
                if row in batch.rows:
                    others = [ticket for ticket in self._running if ticket.pipe is pipe and ticket.row is not None]
                    self._give_up(batch, others, error)
                    return
        self._batches = [(known, batch) for known, batch in self._batches if batch.rows]


def _tell(ticket: Ticket) -> None:
    """Whoever holds the ticket hears of it; what they do then is no trouble of the others."""
    try:
        ticket.told()
    except BaseException:
        _LOG.exception("a visitor could not be told of a solve")


def too_many_solves(most: int) -> str:
    """What a visitor is told who has ``most`` solves already."""
    return f"at most {most} solves of one visitor may wait or run: wait for one, or stop them"


class Refused(MMReasonError):
    """There is no room in line."""


WORKER = Worker()
