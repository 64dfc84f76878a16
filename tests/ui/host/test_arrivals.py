"""Events are bounded as they arrive, on the real queue: nobody fills it for the others, and solves keep their way."""

import gc
import json
import threading
import time
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest

from mmreason.commands.make.screenshots import free_port
from mmreason.ui.host import answers, arrivals
from mmreason.ui.host.answers import pending_events
from mmreason.ui.host.arrivals import SESSION_EVENTS, bound_arrivals, refusal
from mmreason.ui.host.sessions import LeanSession
from mmreason.ui.host.settings import MB, Settings
from mmreason.ui.host.web.bodies import SIZE
from mmreason.ui.host.web.presence import PRESENCE
from mmreason.ui.solve import line
from mmreason.ui.solve.line import LINE
from tests.load.attack import Events

SOLVE = {"data": ["maze", "medium", 7, "", "base", 1, 4, "stated", 0, 0]}


def function(kind):
    return SimpleNamespace(concurrency_id=kind)


def event(kind, session="s", host="8.8.8.8", size=100):
    request = SimpleNamespace(client=SimpleNamespace(host=host), headers={}, scope={SIZE: size})
    return SimpleNamespace(concurrency_id=kind, session_hash=session, request=request)


KINDS = ["watch", "api-solve", "heavy", "preview", *(f"kind {i}" for i in range(10))]


def asked(kind, pending, session="me", host="8.8.8.8", size=100, **settings):
    """What is said to one event where ``pending`` wait; half of them wait, half go on."""
    half = len(pending) // 2
    queue = SimpleNamespace(
        blocks=SimpleNamespace(fns=dict(enumerate(map(function, KINDS)))),
        event_queue_per_concurrency_id={"x": SimpleNamespace(queue=pending[:half])},
        active_jobs=[None, *([one] for one in pending[half:])],
    )
    body = SimpleNamespace(fn_index=KINDS.index(kind), session_hash=session)
    return refusal(queue, body, event(kind, session, host, size).request, Settings(**settings))


def test_a_visitor_has_so_many_events_and_others_their_own():
    mine = [event(f"kind {i % 10}", "me") for i in range(SESSION_EVENTS)]
    assert asked("preview", mine) == asked("watch", mine) == arrivals.TOO_MANY
    assert asked("preview", mine[1:]) == asked("preview", mine, session="you") == ""


def test_one_kind_of_event_takes_a_quarter_and_no_flood_stops_a_solve():
    flood = [event("heavy", str(i), host=f"8.8.4.{i}") for i in range(64)]
    assert asked("heavy", flood) == arrivals.FULL
    assert asked("preview", flood) == ""
    full = [event(f"kind {i % 10}", str(i), host=f"8.8.4.{i % 250}") for i in range(256)]
    assert asked("preview", full) == arrivals.FULL
    assert asked("watch", full) == asked("api-solve", full) == ""


def test_an_address_takes_half_of_what_there_is():
    flood = [event(f"kind {i % 10}", str(i)) for i in range(128)]
    assert asked("preview", flood) == arrivals.FULL
    assert asked("preview", flood, host="9.9.9.9") == ""
    unknown = [event(f"kind {i % 10}", str(i), host="127.0.0.1") for i in range(128)]
    assert asked("preview", unknown, host="127.0.0.1") == ""


def test_solves_are_bounded_too_a_little_above_the_line_that_says_so_in_words():
    solves = [event("watch", str(i)) for i in range(32 + 64 + arrivals.SOLVES_ON_TOP)]
    assert asked("api-solve", solves) == arrivals.FULL
    assert asked("api-solve", solves[1:]) == asked("preview", solves) == ""


def test_large_events_are_bounded_by_their_bytes_for_an_address_and_in_all():
    two = [event("preview", size=20 * MB), event("preview", size=19 * MB)]
    assert asked("preview", two, size=2 * MB) == arrivals.FULL
    assert asked("preview", two, size=MB) == asked("preview", two, host="9.9.9.9", size=20 * MB) == ""
    eight = [event("preview", host=f"8.8.4.{i}", size=20 * MB) for i in range(8)]
    assert asked("preview", eight, size=2 * MB) == arrivals.FULL
    assert asked("preview", eight, size=MB) == asked("preview", eight[1:], size=20 * MB) == ""


# On the page


@pytest.fixture
def client(scripted):
    with httpx.Client(base_url=scripted.address, timeout=30) as connected:
        yield connected


def until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def join(client, number, data, session):
    body = {"data": data, "fn_index": number, "session_hash": session, "event_data": None}
    return client.post("/gradio_api/queue/join", json=body)


def test_a_flood_of_heavy_events_of_one_client_leaves_solves_alone(client):
    heavy = Events(client.get("/config").json()).heavy()
    assert {kind for kind, _, _ in heavy} == {"measure", "race", "roll-out", "leak"}
    for turn in range(300):
        _, number, data = heavy[turn % len(heavy)]
        join(client, number, data, "one-session" if turn % 2 else f"session-{turn}")
    assert len(LINE._jobs()) <= LINE.most
    joined = client.post("/gradio_api/call/solve", json=SOLVE)
    assert joined.status_code == 200, joined.text
    ended = client.get(f"/gradio_api/call/solve/{joined.json()['event_id']}").text
    assert '"finished"' in ended


def test_who_has_a_place_already_reads_so_at_the_place(client, monkeypatch):
    until(lambda: not LINE._jobs())
    monkeypatch.setattr(line.PRESENCE, "is_here", lambda session: False)  # so that the one that comes first waits,
    monkeypatch.setattr(line, "GRACE", 60.0)  # however late the other one is
    heavy = {kind: rest for kind, *rest in Events(client.get("/config").json()).heavy()}
    begun = {join(client, *heavy["measure"], "a-visitor").json()["event_id"] for _ in range(2)}
    with client.stream("GET", "/gradio_api/queue/data?session_hash=a-visitor") as stream:
        for text in stream.iter_lines():
            said = json.loads(text[6:]) if text.startswith("data: ") else {}
            if said.get("msg") == "process_completed":
                break
    assert said["event_id"] in begun  # the queue promises no order between the two
    assert said["success"]
    assert said["output"]["data"][0].startswith("One of yours is already waiting or running: ")


@pytest.mark.parametrize("number", [-1, 10**6, 10**40])
def test_an_event_that_is_none_is_refused_in_words(client, number):
    answer = join(client, number, [], "a-stranger")
    assert (answer.status_code, answer.json()["detail"]) == (400, arrivals.NO_SUCH_EVENT)


@pytest.mark.parametrize("name", ["", "two words", "a<gradio-sep>b", "x" * 65, "\x00", "é", "a\n"])
def test_a_session_has_a_short_plain_name(client, name):
    event = next(event for event in client.get("/config").json()["dependencies"] if event["api_name"] == "on_kind")
    for _ in range(2):
        answer = join(client, event["id"], ["maze"], name)
        assert (answer.status_code, answer.json()["detail"]) == (400, arrivals.NO_SESSION)


def test_a_session_costs_no_description_of_the_page(client):
    session = "lean"
    joined = client.post("/gradio_api/call/preview", json={"data": ["maze", "easy", 1, ""], "session_hash": session})
    assert "image" in client.get(f"/gradio_api/call/preview/{joined.json()['event_id']}").text
    states = [state for state in gc.get_objects() if type(state) is LeanSession]  # isinstance asks more
    assert states
    assert all(not any(state.config_values.values()) for state in states)


def test_half_a_character_is_refused_and_ends_no_stream(client):
    event = next(event for event in client.get("/config").json()["dependencies"] if event["api_name"] == "on_kind")
    content = json.dumps({"data": ["\ud800"], "fn_index": event["id"], "session_hash": "half"}).encode()
    answer = client.post("/gradio_api/queue/join", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (400, arrivals.NO_TEXT)


def test_an_event_of_the_page_may_not_be_large_and_a_trace_may(client):
    name, text = "on_kind", "x" * arrivals.LARGE
    event = next(event for event in client.get("/config").json()["dependencies"] if event["api_name"] == name)
    answer = join(client, event["id"], [text], "large")
    assert (answer.status_code, answer.json()["detail"]) == (400, arrivals.TOO_LARGE)
    assert join(client, event["id"], [text[:-1000]], "large").status_code == 200
    assert client.post("/gradio_api/call/inspect", json={"data": [text]}).status_code == 200


@pytest.fixture
def small():
    """A page with a slow event and a quick one, whose queue knows four sessions; its client; and what lets go."""
    held = threading.Event()
    with gr.Blocks() as page:
        gr.Button().click(lambda: held.wait(20) and None, api_name="slow", concurrency_limit=1)
        gr.Button().click(lambda: None, api_name="quick")
    page.queue()
    bound_arrivals(page)
    page._queue.pending_messages_per_session.max_size = 4
    _, address, _ = page.launch(server_port=free_port(), prevent_thread_lock=True, quiet=True)
    with httpx.Client(base_url=address, timeout=30) as connected:
        yield page, connected, held
    held.set()
    page.close()


def test_sessions_that_nobody_reads_stop_no_queue(small):
    page, client, held = small
    slow, quick = (
        next(number for number, fn in page.fns.items() if fn.api_name == name) for name in ("slow", "quick")
    )
    for number in range(3):
        assert join(client, slow, [], f"waits-{number}").status_code == 200
    for number in range(8):
        assert join(client, quick, [], f"unread-{number}").status_code == 200
    until(lambda: sum(1 for _ in pending_events(page._queue)) == 3)
    held.set()
    until(lambda: not any(True for _ in pending_events(page._queue)))
    joined = join(client, quick, [], "a-visitor")
    assert joined.status_code == 200, joined.text
    assert "process_completed" in client.get("/gradio_api/queue/data?session_hash=a-visitor").text


def test_a_session_that_is_read_is_not_pushed_out_by_those_that_are_not(small, monkeypatch):
    page, client, held = small
    monkeypatch.setattr(PRESENCE, "is_here", lambda session: session == "a-visitor")
    slow, quick = (
        next(number for number, fn in page.fns.items() if fn.api_name == name) for name in ("slow", "quick")
    )
    assert join(client, slow, [], "a-visitor").status_code == 200
    for number in range(8):
        assert join(client, quick, [], f"unread-{number}").status_code == 200
        until(lambda: sum(1 for _ in pending_events(page._queue)) == 1)
    held.set()
    assert "process_completed" in client.get("/gradio_api/queue/data?session_hash=a-visitor").text
    assert len(page._queue.pending_messages_per_session) <= 4


def test_answers_that_nobody_reads_are_bounded_by_their_bytes(small, monkeypatch):
    """So are the names of their sessions and events; the answer of who reads is kept."""
    page, client, held = small
    queue = page._queue
    queue.pending_messages_per_session.max_size = 1000
    monkeypatch.setattr(PRESENCE, "is_here", lambda session: session == "a-visitor")
    monkeypatch.setattr(answers, "MOST", 10 * answers.ANSWER)
    slow, quick = (
        next(number for number, fn in page.fns.items() if fn.api_name == name) for name in ("slow", "quick")
    )
    assert join(client, quick, [], "a-visitor").status_code == 200
    assert join(client, slow, [], "waits").status_code == 200
    for number in range(40):
        assert join(client, quick, [], f"unread-{number}").status_code == 200
        until(lambda: sum(1 for _ in pending_events(queue)) == 1)
    assert {"a-visitor", "waits", "unread-39"} <= set(queue.pending_messages_per_session)
    kept = (
        queue.pending_messages_per_session,
        queue.pending_event_ids_session,
        queue.pending_messages_per_session.counted,
    )
    assert max(map(len, kept)) <= 11
    held.set()
    for session in ("a-visitor", "waits"):
        assert "process_completed" in client.get(f"/gradio_api/queue/data?session_hash={session}").text
    until(lambda: not queue.event_ids_to_events)


def test_of_an_event_that_is_cancelled_nothing_is_kept(small):
    page, client, _ = small
    slow = next(number for number, fn in page.fns.items() if fn.api_name == "slow")
    for number in range(3):
        joined = join(client, slow, [], f"leaves-{number}").json()
        body = {"session_hash": f"leaves-{number}", "fn_index": slow, "event_id": joined["event_id"]}
        assert client.post("/gradio_api/cancel", json=body).status_code == 200
    until(lambda: not page._queue.event_ids_to_events)
