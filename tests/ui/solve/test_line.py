"""The line of heavy work: one at a time, bounded, and whoever has left is passed over."""

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from mmreason.errors import ConfigError
from mmreason.ui.host.visitor import address_of
from mmreason.ui.host.web.presence import Presence, WatchPresence, session_of
from mmreason.ui.shell.words import OUR_FAULT
from mmreason.ui.solve import line as lines
from mmreason.ui.solve.line import Job, Line, Refused, in_line
from tests.helpers.apart import run_apart


def until(holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Work:
    """Heavy work that waits in its only step until it is let."""

    def __init__(self, error=None):
        self.begun, self.let, self.closed, self.error = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
            error,
        )

    def __call__(self, is_stopped):
        try:
            self.begun.set()
            yield "begun"
            self.let.wait(10)
            if self.error is not None:
                raise self.error
            yield "stopped" if is_stopped() else "done"
        finally:
            self.closed.set()


def job(session, work, kind="measure", address=None, is_here=lambda: True):
    return Job(session, kind, address, work, is_here)


def joined(line, *jobs):
    for one in jobs:
        line.join(one, lambda: None)


def test_jobs_run_one_by_one_in_their_order_and_know_how_many_are_ahead():
    line, works = Line(), [Work(), Work(), Work()]
    jobs = [job(str(i), work) for i, work in enumerate(works)]
    joined(line, *jobs)
    for i, work in enumerate(works):
        assert work.begun.wait(10)
        assert [one.ahead for one in jobs[i:]] == list(range(3 - i))
        assert not any(later.begun.is_set() for later in works[i + 1 :])
        work.let.set()
    until(lambda: jobs[-1].is_over)
    assert [list(one.states) for one in jobs] == [["begun", "done"]] * 3


def test_a_visitor_has_one_place_of_a_kind_an_address_a_few_and_all_no_more_than_there_are():
    line = Line(most=4, of_an_address=2)
    joined(line, job("a", Work(), address="x"))
    with pytest.raises(Refused, match="one of yours"):
        joined(line, job("a", Work(), address="x"))
    joined(line, job("a", Work(), kind="race", address="x"))
    with pytest.raises(Refused, match="too many"):
        joined(line, job("b", Work(), address="x"))
    joined(line, job("b", Work()), job("c", Work()))
    with pytest.raises(Refused, match="too many"):
        joined(line, job("d", Work(), address="y"))


def test_addresses_take_turns_however_much_one_of_them_asks_for():
    line, first, again, other = Line(), Work(), [Work() for _ in range(6)], Work()
    joined(line, job("a", first, address="x"))
    assert first.begun.wait(10)
    flood = [job(f"a{i}", work, address="x") for i, work in enumerate(again)]
    joined(line, *flood[:3])
    late = job("b", other, address="y")
    joined(line, late)
    assert (late.ahead, late.others_ahead, [one.ahead for one in flood[:3]]) == (1, 1, [2, 3, 4])
    joined(line, *flood[3:])
    assert late.ahead == 1
    first.let.set()
    assert other.begun.wait(10) and not again[0].begun.is_set()
    second = Work()
    joined(line, job("b", second, kind="race", address="y"))
    other.let.set()
    assert again[0].begun.wait(10)
    again[0].let.set()
    assert second.begun.wait(10) and not again[1].begun.is_set()
    for work in (second, *again):
        work.let.set()
    until(lambda: not line._jobs())


def test_whoever_has_left_is_passed_over_and_nothing_is_done_for_them(monkeypatch):
    monkeypatch.setattr(lines, "GRACE", 0.2)
    line, first, gone, last = Line(), Work(), Work(), Work()
    here = {"gone"}
    jobs = [job("a", first), job("b", gone, is_here=lambda: "gone" in here), job("c", last)]
    joined(line, *jobs)
    assert first.begun.wait(10)
    here.clear()
    time.sleep(0.3)
    first.let.set()
    assert last.begun.wait(10)
    assert jobs[1].is_over and not gone.begun.is_set()
    last.let.set()


def test_who_has_not_opened_their_stream_yet_is_waited_for_and_holds_nobody_up():
    line, late, other = Line(), Work(), Work()
    here = []
    joined(line, job("late", late, is_here=lambda: bool(here)), job("other", other))
    assert other.begun.wait(10) and not late.begun.is_set()
    here.append(True)
    other.let.set()
    assert late.begun.wait(10)
    late.let.set()


def test_a_job_that_waits_is_stopped_at_once_and_one_that_runs_at_its_next_step():
    line, runs, waits = Line(), Work(), Work()
    jobs = [job("a", runs), job("b", waits)]
    joined(line, *jobs)
    assert runs.begun.wait(10)
    line.stop("b", "measure")
    line.stop("a", "another kind")
    line.stop("a", "measure")
    runs.let.set()
    until(lambda: all(one.is_over for one in jobs))
    assert list(jobs[0].states) == ["begun", "stopped"]
    assert str(jobs[1].error) == lines.STOPPED and not waits.begun.is_set()
    assert not line.is_busy("a", "measure") and not line.is_busy("b", "measure")


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(2), GeneratorExit(), ConfigError("a field is wrong")])
def test_work_that_fails_is_told_in_words_and_the_next_is_done(error):
    line, bad, good = Line(), Work(error), Work()
    jobs = [job("a", bad), job("b", good)]
    bad.let.set()
    good.let.set()
    joined(line, *jobs)
    until(lambda: all(one.is_over for one in jobs))
    assert str(jobs[0].error) == ("a field is wrong" if isinstance(error, ConfigError) else OUR_FAULT)
    assert list(jobs[1].states) == ["begun", "done"]


def test_a_thread_that_ends_gives_up_one_job_and_goes_on(monkeypatch, caplog):
    line = Line()
    do = line._do
    deaths = []

    def dies_once(one):
        if deaths:
            do(one)
        else:
            deaths.append(one)
            raise SystemExit

    monkeypatch.setattr(line, "_do", dies_once)
    bad, good = job("a", Work()), Work()
    good.let.set()
    joined(line, bad, other := job("b", good))
    until(lambda: bad.is_over and other.is_over)
    assert list(other.states) == ["begun", "done"]
    assert "another one is started" in caplog.text


def words(kind, work, line, session="me", at_each=lambda said: None):
    """All that a visitor sees of heavy work."""

    async def watch():
        request = SimpleNamespace(session_hash=session, client=None, headers={})
        said = []
        states = in_line(kind, request, work, lambda says: ("waits", says), lambda says: ("refused", says), line)
        async for state in states:
            said.append(state)
            at_each(state)
        return said

    return run_apart(watch())


@pytest.fixture
def here(monkeypatch):
    """Everybody is here."""
    monkeypatch.setattr(lines.PRESENCE, "is_here", lambda session: True)


def test_a_visitor_sees_their_place_and_then_what_is_done(here):
    line, before, mine = Line(), Work(), Work()
    mine.let.set()
    joined(line, job("other", before))
    assert before.begun.wait(10)
    said = words("race", mine, line, at_each=lambda state: before.let.set())
    assert said == [("waits", "1 other visitor is ahead; yours is next after that."), "begun", "done"]


def test_who_waits_for_what_they_asked_for_themselves_is_told_of_no_other_visitor(here):
    line, before, mine = Line(), Work(), Work()
    mine.let.set()
    joined(line, job("me", before))
    assert before.begun.wait(10)
    said = words("race", mine, line, at_each=lambda state: before.let.set())
    assert said == [("waits", lines.OWN_FIRST), "begun", "done"]


def test_a_visitor_who_is_refused_reads_one_sentence(here):
    line = Line(most=0)
    ((how, says),) = words("race", Work(), line)
    assert how == "refused" and says.startswith("Too many visitors wait") and says.endswith(".")


def test_who_stops_listening_frees_the_line(here):
    line, mine = Line(), Work()

    async def leaves():
        request = SimpleNamespace(session_hash="me", client=None, headers={})
        states = in_line("race", request, mine, str, str, line)
        assert await anext(states) == "begun"
        await states.aclose()

    run_apart(leaves())
    mine.let.set()
    assert mine.closed.wait(10)
    until(lambda: not line.is_busy("me", "race"))


def test_what_is_returned_is_all_that_is_seen_of_work_that_waited_its_turn(here):
    line, before = Line(), Work()
    request: Any = SimpleNamespace(session_hash="me", client=None, headers={})
    joined(line, job("other", before))
    assert before.begun.wait(10)
    threading.Timer(0.3, before.let.set).start()
    assert run_apart(lines.in_turn("open", request, lambda: "opened", str, line)) == "opened"
    assert run_apart(lines.in_turn("open", request, lambda: 1 // 0, str, line)) == OUR_FAULT


# Who is here, and from where


def scope(path, query=b"", method="GET"):
    return {"type": "http", "method": method, "path": path, "query_string": query}


def test_a_session_is_here_while_its_heartbeat_or_its_stream_is_open():
    assert session_of(scope("/gradio_api/heartbeat/abc")) == "abc"
    assert session_of(scope("/under/a/path/gradio_api/queue/data", b"x=1&session_hash=abc")) == "abc"
    assert session_of(scope("/gradio_api/call/v2/solve/abc")) == "abc"
    assert session_of(scope("/gradio_api/queue/data", b"session_hash=a%20b%25%C3%A9")) == "a b%é"
    assert session_of(scope("/gradio_api/queue/data", b"session_hash=a&session_hash=b")) == "b"  # as gradio reads it
    assert session_of(scope("/gradio_api/queue/data")) is None
    assert session_of(scope("/gradio_api/queue/join", method="POST")) is None
    assert session_of(scope("/config")) is None
    presence, seen = Presence(), []

    async def app(scope, receive, send):
        seen.append(presence.is_here("abc"))
        raise asyncio.CancelledError

    async def one():
        with pytest.raises(asyncio.CancelledError):
            await WatchPresence(app, presence)(scope("/gradio_api/heartbeat/abc"), None, None)

    run_apart(one())
    assert seen == [True] and not presence.is_here("abc")
    assert not presence._open


@pytest.mark.parametrize(
    ("host", "headers", "address"),
    [
        ("8.8.8.8", {}, "8.8.8.8"),
        ("8.8.8.8", {"x-forwarded-for": "9.9.9.9"}, "8.8.8.8"),
        ("2a00:1450:4001:82a::200e", {}, "2a00:1450:4001:82a::"),
        ("127.0.0.1", {}, None),
        ("10.20.0.4", {"x-forwarded-for": "8.8.8.8"}, None),
        ("192.168.1.7", {}, "192.168.1.7"),
        ("testclient", {}, None),
    ],
)
def test_an_address_counts_where_it_is_a_visitors_own(host, headers, address):
    assert address_of(SimpleNamespace(client=SimpleNamespace(host=host), headers=headers)) == address


@pytest.mark.parametrize("error", [None, ConfigError("no"), MemoryError()])
def test_after_each_job_however_it_ended_its_memory_is_given_back(monkeypatch, error):
    given: list[str] = []
    monkeypatch.setattr(lines, "give_back_freed_memory", lambda: given.append(threading.current_thread().name))
    line, works = Line(), [Work(error), Work()]
    jobs = [job(str(i), work) for i, work in enumerate(works)]
    joined(line, *jobs)
    works[0].let.set()
    until(works[1].begun.is_set)
    assert given == ["heavy work"]
    works[1].let.set()
    until(lambda: len(given) == 2)
    assert all(one.is_over for one in jobs)
