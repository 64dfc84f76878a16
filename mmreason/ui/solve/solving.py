"""Solving for a visitor: a stream of what the page shows, stopped within a step.

The functions here know no component; ``watch`` lays their values out.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock
from typing import Any

import numpy as np

from mmreason.errors import MMReasonError
from mmreason.records import Problem, Trace
from mmreason.traces.file import to_json
from mmreason.ui.host import checkpoints
from mmreason.ui.host.arrivals import SOLVES_ON_TOP
from mmreason.ui.host.settings import read_settings
from mmreason.ui.shell.words import OUR_FAULT, place_in_line, sentence
from mmreason.ui.solve.playback import Playback, cost_entry, shown_problem
from mmreason.ui.solve.request import SolveRequest, link_query
from mmreason.ui.solve.worker import FAILED, FINISHED, WORKER, Refused, Ticket, Worker, too_many_solves

PERIOD = 1 / 15  # seconds between two sendings of one stream, while there are few
RUNNERS_UP = 3  # that the player shows of a token
SHARE = 1 / 60  # seconds that each stream adds to that: gradio takes about 5 ms of the one event loop for a sending


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A run that ended: its trace file's content, the codebook to draw its replay from, what was asked."""

    data: dict[str, Any]
    sheet: np.ndarray
    request: SolveRequest | None = None
    is_example: bool = False  # that every visitor finds on arrival


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows next; None leaves a part as it is."""

    value: dict[str, Any] | None = None  # of the player, or of the film
    notice: str | None = None
    finished: Any = None  # a Finished; of a public checkpoint's run what ``film`` keeps
    busy: bool = True


class Showing(ABC):
    """What the page shows of one solve: ``update`` gives the judged trace and the component's value for it."""

    def __init__(self, request: Any, fingerprint: str) -> None:
        self.origin = {
            "seed": request.sampling_seed,
            "checkpoint": request.checkpoint,
            "checkpoint_hash": fingerprint,
        }

    @abstractmethod
    def update(self, trace: Trace, state: str) -> tuple[Trace, dict[str, Any]]:
        """For ``trace``, which says where it came from; ``state`` is running, finished or stopped."""

    @abstractmethod
    def finished(self, trace: Trace, value: dict[str, Any]) -> Shown:
        """The last that is shown, with what can be taken away."""

    def value(self, trace: Trace) -> dict[str, Any]:
        """During the solve."""
        return self.update(self._with_origin(trace), "running")[1]

    def end(self, ticket: Ticket) -> Shown:
        """At the end, however it came; of a solve that failed, what there is of it, and why."""
        failed = blame(ticket.error) if ticket.state == FAILED else ""
        if ticket.trace is None or not ticket.trace.segments:
            return Shown(notice=failed or "Stopped before the first step.", busy=False)
        state = "finished" if ticket.state == FINISHED else "stopped"
        shown = self.finished(*self.update(self._with_origin(ticket.trace), state))
        return replace(shown, notice=failed) if failed else shown

    def _with_origin(self, trace: Trace) -> Trace:
        return replace(trace, settings={**trace.settings, **self.origin})


Preparing = Callable[[Any, str, "str | None"], "tuple[Ticket, Showing]"]  # of a request, a session and an address


async def solve(
    request: Any,
    session: str,
    worker: Worker = WORKER,
    address: str | None = None,
    prepare: Preparing | None = None,
) -> AsyncGenerator[Shown, None]:
    """Solve and say step by step what to show; user errors become a notice.

    The first step is shown at once, later ones every ``period`` at most.  Closing this generator frees the row.
    ``request`` is a SolveRequest, or what ``prepare`` takes.
    """
    try:
        ticket, run = await _prepared(prepare or _prepare, request, session, address, worker.of_a_visitor)
    except Exception as error:
        worker.forget(session)
        yield Shown(notice=blame(error), busy=False)
        return
    changes, value = Changes(), None
    worker.submit(ticket, changes.told)
    ahead, shown = 0, 0.0
    try:
        while True:
            await changes.wait(ticket.ahead == ahead)
            if ticket.is_over:
                break
            if ticket.trace is None or not ticket.trace.segments:
                if ticket.ahead != ahead:
                    ahead = ticket.ahead
                    yield Shown(notice=place_in_line(ahead))
                continue
            if (early := shown + period(worker.counts()["running"]) - time.monotonic()) > 0:
                await asyncio.sleep(early)
                if ticket.is_over:
                    break
            first, shown = not shown, time.monotonic()
            value = await asyncio.to_thread(run.value, ticket.trace)
            yield Shown(value, notice="" if first else None)
        end = await asyncio.to_thread(run.end, ticket)
    except Exception as error:  # of what is shown, not of the solve
        end = Shown(value and value | {"state": "stopped"}, blame(error), busy=False)
    finally:
        worker.drop(ticket)
    yield end


async def _prepared(
    prepare: Preparing, request: Any, session: str, address: str | None, most: int
) -> tuple[Ticket, Showing]:
    """What ``prepare`` gives, out of the threads of those who are solved for; raises Refused beyond ``most``."""
    with _COUNTING:
        if _preparing[session] >= most:
            raise Refused(too_many_solves(most))
        _preparing[session] += 1
    job = _threads().submit(contextvars.copy_context().run, prepare, request, session, address)
    job.add_done_callback(lambda _: _has_prepared(session))  # at its end, though the visitor may have left before
    return await asyncio.wrap_future(job)


def _has_prepared(session: str) -> None:
    with _COUNTING:
        _preparing[session] -= 1
        if not _preparing[session]:
            del _preparing[session]


_preparing: Counter[str] = Counter()  # solves of each session
_COUNTING = Lock()


@cache
def _threads() -> ThreadPoolExecutor:
    """As many as solves may arrive: none that waits for its checkpoint holds another up."""
    settings = read_settings()
    return ThreadPoolExecutor(settings.max_batch + settings.max_waiting + SOLVES_ON_TOP, "preparing")


def period(streams: int) -> float:
    """Seconds between two sendings of each of ``streams``; nothing is lost, as a sending holds all steps so far."""
    return max(PERIOD, SHARE * streams)


async def last_shown(states: AsyncGenerator[Shown, None]) -> Shown:
    """What a solve shows at its end."""
    last = Shown()
    async with aclosing(states):
        async for state in states:
            last = state
    return last


class Changes:
    """What another thread says has changed, awaited in the server's loop."""

    def __init__(self) -> None:
        self._event, self._loop = asyncio.Event(), asyncio.get_running_loop()

    def told(self) -> None:
        """Something has changed; may be called by any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, patiently: bool = True) -> None:
        """Until something has changed since the last call; at once if not ``patiently``."""
        if patiently:
            await self._event.wait()
        self._event.clear()


class Run(Showing):
    """A solve by a checkpoint of our own, in the player."""

    def __init__(self, request: SolveRequest, pipe: Any) -> None:
        super().__init__(request, pipe.fingerprint)
        self.pipe, self.playback = pipe, Playback(pipe.words, pipe.sheet)
        self.request = replace(request, checkpoint_hash=pipe.fingerprint)

    def update(self, trace: Trace, state: str) -> tuple[Trace, dict[str, Any]]:
        link = "" if state == "running" else link_query(self.request, self.pipe.fingerprint)
        return self.playback.update(trace, state, link)

    def finished(self, trace: Trace, value: dict[str, Any]) -> Shown:
        finished = Finished(to_json(trace, self.pipe.words, self.pipe.sheet), self.pipe.sheet, self.request)
        return Shown(value, "", finished, busy=False)


def _prepare(request: SolveRequest, session: str, address: str | None = None) -> tuple[Ticket, Run]:
    """Raises what a visitor can cause."""
    problem, config = request.problem(), replace(request.sampling(), runners_up=RUNNERS_UP)
    pipe = checkpoints.load_pipeline(request.checkpoint)
    return Ticket(session, pipe, problem, config, request.sampling_seed, address), Run(request, pipe)


def blame(error: BaseException | None) -> str:
    """The sentence for an error: a visitor's own error is shown, ours goes to the log."""
    if isinstance(error, MMReasonError):
        return sentence(error)
    logging.getLogger(__name__).error("a solve failed", exc_info=error)
    return OUR_FAULT


def preview(problem: Problem, checkpoint: str) -> dict[str, Any]:
    """The player's value for a puzzle that nobody has solved yet, drawn by ``checkpoint``'s codebook."""
    pipe = checkpoints.load_pipeline(checkpoint)
    playback = Playback(pipe.words, pipe.sheet)
    tokens = tuple(int(token) for token in pipe.encode_image(problem.image))
    trace = Trace(problem, tokens, (), "")
    _, value = playback.update(trace, "ready")
    return value | {"problem": shown_problem(problem), "cost": cost_entry(trace)}


def other_seed(seed: int) -> int:
    """A sampling seed for another try."""
    return next(new for new in iter(lambda: random.randrange(1000), None) if new != seed)


def surprise() -> int:
    """A seed for another puzzle."""
    return random.randrange(10_000)
