"""The solving worker outlives whatever a row does: its ticket alone fails, and who comes next is served."""

import asyncio
import logging
import threading
import time

import pytest

from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.running import StreamBatch
from mmreason.tasks import make_problem
from mmreason.ui import health
from mmreason.ui.host import checkpoints
from mmreason.ui.shell.words import OUR_FAULT
from mmreason.ui.solve import solving, worker
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.solve.worker import FAILED, FINISHED, RUNNING, Ticket, Worker
from tests.helpers.apart import run_apart
from tests.helpers.scripted import ScriptedPipe

PROBLEM, CONFIG = make_problem("maze", "easy", 1), SamplingConfig()
BAD = 4711  # the sampling seed of the row that fails


class OfAnotherKind(BaseException):
    """No ``Exception``, and no end of the process either."""


class Naughty:
    """A row that does as it should, but raises ``error`` at one ``step`` of the way."""

    def __init__(self, row, step, error):
        self.row, self.step, self.raised = row, step, error
        self.stream = self

    def __iter__(self):
        return self

    def __next__(self):
        if self.step == "next":
            raise self.raised
        return next(self.row.stream)

    def close(self):
        if self.step == "leave":
            raise self.raised

    def __getattr__(self, name):
        return getattr(self.row, name)

    def trace(self):
        if self.step == "trace":
            raise self.raised
        return self.row.trace()


class NaughtyBatch(StreamBatch):
    """Its row of the seed ``BAD`` raises ``error`` at ``step``."""

    def __init__(self, pipe, step, error):
        super().__init__(pipe)
        self.bad, self.raised = step, error

    def join(self, problem, config, seed):
        if seed != BAD:
            return super().join(problem, config, seed)
        if self.bad == "join":
            raise self.raised
        row = Naughty(super().join(problem, config, seed), self.bad, self.raised)
        self.rows[-1] = row  # pyright: ignore
        return row


class NaughtyPipe(ScriptedPipe):
    def __init__(self, step, error):
        super().__init__()
        self.step, self.error = step, error

    def running_batch(self):
        return NaughtyBatch(self, self.step, self.error)


def ticket(pipe, seed, session="me"):
    return Ticket(session, pipe, PROBLEM, CONFIG, seed)


def until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def submitted(of, *tickets):
    """The tickets, when all are over; they join the same batch."""
    for one in tickets:
        of.submit(one, one.told)
    until(lambda: all(one.is_over for one in tickets))
    return [one.state for one in tickets]


@pytest.mark.parametrize("error", [RuntimeError("no"), OfAnotherKind(), SystemExit(3), StopIteration()])
@pytest.mark.parametrize("step", ["join", "next", "trace", "leave"])
def test_whatever_a_row_raises_its_ticket_alone_fails_and_the_next_is_served(step, error):
    pipe, of = NaughtyPipe(step, error), Worker()
    good, bad, other = (ticket(pipe, seed, str(seed)) for seed in (1, BAD, 2))
    if step == "leave":  # a row is closed where it is stopped
        bad.told = lambda: setattr(bad, "asked_to_stop", bad.state == RUNNING)
    states = submitted(of, good, bad, other)
    is_end = step == "next" and isinstance(error, StopIteration)
    assert states == [FINISHED, "stopped" if step == "leave" else FINISHED if is_end else FAILED, FINISHED]
    thread = of._thread
    assert thread is not None
    assert submitted(of, ticket(pipe, 3)) == [FINISHED]
    assert of._thread is thread


def test_who_cannot_be_told_of_a_solve_stops_no_other():
    def deaf():
        raise OfAnotherKind

    of, pipe = Worker(), ScriptedPipe()
    one, other = ticket(pipe, 1), ticket(pipe, 2)
    of.submit(one, deaf)
    assert submitted(of, other) == [FINISHED]
    until(lambda: one.is_over)
    assert one.state == FINISHED


def test_a_row_that_cannot_leave_takes_its_batch_and_no_other_along():
    class Sticky(StreamBatch):
        def leave(self, row):
            raise RuntimeError("it stays")

    of, fine, sticky = Worker(), ScriptedPipe(), ScriptedPipe()
    sticky.running_batch = lambda: Sticky(sticky)
    stopped, mate, elsewhere = ticket(sticky, 1), ticket(sticky, 2), ticket(fine, 3)
    stopped.told = lambda: setattr(stopped, "asked_to_stop", stopped.state == RUNNING)
    assert submitted(of, stopped, mate, elsewhere) == ["stopped", FAILED, FINISHED]
    assert submitted(of, ticket(fine, 4)) == [FINISHED]


def test_a_thread_that_ends_is_started_again_and_those_who_wait_are_solved(monkeypatch, caplog):
    of, pipe = Worker(max_batch=1), ScriptedPipe()
    deaths = []

    def step(batch):
        if not deaths:
            deaths.append(threading.current_thread())
            raise OfAnotherKind

        return Worker._step(of, batch)

    monkeypatch.setattr(of, "_step", step)
    with caplog.at_level(logging.ERROR):
        assert submitted(of, ticket(pipe, 1), ticket(pipe, 2)) == [FAILED, FINISHED]
    assert "another one is started" in caplog.text
    until(lambda: not deaths[0].is_alive())
    assert of.counts()["waiting"] == 0


def test_a_thread_that_ended_without_a_word_is_started_again_by_who_comes_next(monkeypatch, caplog):
    of, pipe = Worker(), ScriptedPipe()
    dead = threading.Thread(target=lambda: None)
    dead.start()
    dead.join()
    of._waiting.append(waits := ticket(pipe, 1))
    monkeypatch.setattr(of, "_thread", dead)
    monkeypatch.setattr(health, "WORKER", of)
    monkeypatch.setattr(health, "fingerprints", lambda: {"base": "0123456789ab"})
    assert health.health()["status"] == "the solving thread has ended"
    with caplog.at_level(logging.ERROR):
        assert submitted(of, ticket(pipe, 2)) == [FINISHED]
    assert waits.state == FINISHED
    assert "started again" in caplog.text
    assert health.health()["status"] == "ok"


def test_health_is_not_ok_while_a_step_does_not_end(monkeypatch):
    of, pipe = Worker(), ScriptedPipe()
    monkeypatch.setattr(worker, "STUCK_SECONDS", 0.05)
    pipe.hold()
    one = ticket(pipe, 1)
    of.submit(one, lambda: None)
    until(lambda: of.trouble() == "a step of solving does not end")
    pipe.let_go()
    until(lambda: one.is_over)
    assert of.trouble() == ""


def test_a_solve_that_cannot_be_shown_ends_with_a_sentence(monkeypatch):
    monkeypatch.setattr(checkpoints, "load_pipeline", lambda name: ScriptedPipe())

    def broken(self, *_):
        raise ValueError("no drawing")

    monkeypatch.setattr(solving.Run, "value", broken)
    monkeypatch.setattr(solving.Run, "end", broken)
    last = run_apart(asyncio.wait_for(solving.last_shown(solving.solve(SolveRequest(), "me", Worker())), 20))
    assert (last.notice, last.busy) == (OUR_FAULT, False)


def test_a_solve_that_cannot_be_shown_to_its_end_is_shown_as_stopped(monkeypatch):
    monkeypatch.setattr(checkpoints, "load_pipeline", lambda name: ScriptedPipe())
    monkeypatch.setattr(solving.Run, "end", lambda self, ticket: 1 / 0)
    last = run_apart(asyncio.wait_for(solving.last_shown(solving.solve(SolveRequest(), "me", Worker())), 20))
    assert (last.notice, last.busy, last.value["state"]) == (OUR_FAULT, False, "stopped")


def test_those_who_announce_and_never_come_are_forgotten(monkeypatch):
    monkeypatch.setattr(worker, "MAX_ANNOUNCED", 10)
    of = Worker()
    for number in range(1000):
        of.announce(str(number))
        of.stop(str(number))
    assert of.is_busy("999")
    assert not of.is_busy("0")
    assert len(of._announced) == len(of._stopping) == 10


def test_a_worker_that_has_nothing_to_do_gives_its_memory_back(monkeypatch):
    given = []
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(worker, "give_back_freed_memory", lambda: given.append(threading.current_thread().name))
    of = Worker()
    assert submitted(of, ticket(ScriptedPipe(), 1)) == [FINISHED]
    until(lambda: given)
    assert given == ["solving"]
