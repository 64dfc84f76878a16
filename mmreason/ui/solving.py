"""Solving for a visitor: a stream of what the page shows, stopped within a step, one run a session.

The functions here know no component; ``watch`` lays their values out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, cast

import numpy as np

from mmreason.errors import MMReasonError
from mmreason.records import Problem, Trace
from mmreason.traces.file import to_json
from mmreason.ui import runtime
from mmreason.ui.playback import Playback, cost_entry, problem_entry
from mmreason.ui.request import MAX_SEED, SolveRequest, link_query

PERIOD = 1 / 15  # seconds between two sendings of one stream


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A run that ended: its trace file's content, the codebook to draw its replay from, what was asked."""

    data: dict[str, Any]
    sheet: np.ndarray
    request: SolveRequest | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows next; None leaves a part as it is."""

    value: dict[str, Any] | None = None  # of the player
    notice: str | None = None
    finished: Finished | None = None
    busy: bool = True


@dataclass(slots=True)
class Line:
    """Who solves and who waits, by session; shared by all handlers of this process."""

    waiting: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    stopping: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def join(self, session: str) -> int:
        """Wait for a turn; returns how many are ahead."""
        with self.lock:
            self.stopping.discard(session)
            ahead = len(self.running - {session}) + sum(other != session for other in self.waiting)
            if session not in self.waiting:
                self.waiting.append(session)
            return ahead

    def enter(self, session: str) -> None:
        with self.lock:
            if session in self.waiting:
                self.waiting.remove(session)
            self.running.add(session)

    def leave(self, session: str) -> None:
        """End of a run, however it ends."""
        with self.lock:
            self.running.discard(session)
            self.stopping.discard(session)

    def stop(self, session: str) -> None:
        """Ask the session's run, or the one that waits, to end at its next step."""
        with self.lock:
            if session in self.running or session in self.waiting:
                self.stopping.add(session)

    def is_busy(self, session: str) -> bool:
        """Does the session's run wait or go on?"""
        with self.lock:
            return session in self.running or session in self.waiting

    def forget(self, session: str) -> None:
        """The visitor has gone."""
        with self.lock:
            if session in self.waiting:
                self.waiting.remove(session)


LINE = Line()


def solve(request: SolveRequest, session: str, line: Line = LINE) -> Iterator[Shown]:
    """Solve and say after every step what to show; user errors become a notice.

    A step's frame is sent at once when it is the first or when ``PERIOD`` has passed since the last one.
    Closing this generator ends the run.
    """
    line.enter(session)
    try:
        yield from _solve(request, session, line)
    except MMReasonError as error:
        yield Shown(notice=sentence(error), busy=False)
    finally:
        line.leave(session)


def _solve(request: SolveRequest, session: str, line: Line) -> Iterator[Shown]:
    problem, config = request.problem(), request.sampling()
    pipe = runtime.load_pipeline(request.checkpoint)
    playback = Playback(pipe.words, pipe.sheet)
    request = replace(request, checkpoint_hash=pipe.fingerprint)
    link = link_query(request, pipe.fingerprint)
    origin = {
        "seed": request.sampling_seed,
        "checkpoint": request.checkpoint,
        "checkpoint_hash": pipe.fingerprint,
    }
    stream = cast("Generator[list[Trace]]", pipe.stream([problem], config, seeds=[request.sampling_seed]))
    sent, trace, first = 0.0, None, True
    with closing(stream):
        for traces in stream:
            trace = replace(traces[0], settings={**traces[0].settings, **origin})
            if session in line.stopping:
                break
            now = time.monotonic()
            if trace.segments and not trace.end_reason and now - sent >= PERIOD:
                sent = now
                _, value = playback.update(trace, "running")
                yield Shown(value, notice="" if first else None)
                first = False
    if trace is None or not trace.segments:
        yield Shown(notice="Stopped before the first step.", busy=False)
        return
    state = "finished" if trace.end_reason else "stopped"
    trace, value = playback.update(trace, state, link)
    yield Shown(value, "", Finished(to_json(trace, pipe.words, pipe.sheet), pipe.sheet, request), busy=False)


def preview(problem: Problem, checkpoint: str) -> dict[str, Any]:
    """The player's value for a puzzle that nobody has solved yet, drawn by ``checkpoint``'s codebook."""
    pipe = runtime.load_pipeline(checkpoint)
    playback = Playback(pipe.words, pipe.sheet)
    tokens = tuple(int(token) for token in pipe.encode_image(problem.image))
    trace = Trace(problem, tokens, (), "")
    _, value = playback.update(trace, "ready")
    return value | {"problem": problem_entry(problem), "cost": cost_entry(trace)}


def other_seed(seed: int) -> int:
    """A sampling seed for another try."""
    return next(new for new in iter(lambda: random.randrange(1000), None) if new != seed)


def surprise() -> int:
    """A seed for another puzzle; never above what the controls take."""
    return random.randrange(min(10_000, MAX_SEED))


def place_in_line(ahead: int) -> str:
    """What a visitor is told who has to wait."""
    if not ahead:
        return ""
    others = "1 other visitor is" if ahead == 1 else f"{ahead} other visitors are"
    return f"{others} ahead; your puzzle is solved as soon as it is your turn."


def sentence(error: MMReasonError) -> str:
    """The error's message as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
