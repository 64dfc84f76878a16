"""Messages that wait to be read are bounded, and calls that nobody reads push out nobody who listens."""

from __future__ import annotations

import gc
import json
import threading
import time
from types import SimpleNamespace

import httpx
import pytest

from mmreason.ui.host import arrivals, messages
from mmreason.ui.host.messages import Messages
from mmreason.ui.host.settings import name_of

SOLVE = {"data": ["maze", "medium", 7, "", "base", 1, 4, "stated", 0, 0]}


@pytest.fixture
def client(scripted, monkeypatch):
    monkeypatch.setenv(name_of("max_sessions"), "10")
    with httpx.Client(base_url=scripted.address, timeout=30) as connected:
        yield connected


def kept() -> Messages:
    """Those of the page that has been asked: all others have seen less."""
    return max((one for one in gc.get_objects() if type(one) is Messages), key=lambda one: one.queue.events_recorded)


def until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def call(client, name, data, **said):
    answer = client.post(f"/gradio_api/call/{name}", json={"data": data, **said})
    assert answer.status_code == 200, answer.text
    return answer.json()["event_id"]


@pytest.mark.parametrize("said", [{}, {"session_hash": "a program"}], ids=["no session", "a session of its own"])
def test_calls_that_nobody_reads_push_out_nobody_who_listens(client, scripted, said):
    scripted.pipe.hold()
    event = call(client, "solve", SOLVE["data"], **said)
    read: list[str] = []
    address = f"{scripted.address}gradio_api/call/solve/{event}"
    reader = threading.Thread(target=lambda: read.append(httpx.get(address, timeout=60).text))
    reader.start()
    until(lambda: messages.PRESENCE.is_here(event))
    for _ in range(40):
        call(client, "daily", [""])
    assert len(kept()) <= 10
    assert len(kept().queue.pending_event_ids_session) <= 10
    scripted.pipe.let_go()
    reader.join()
    assert '"finished"' in read[0], read


def test_what_has_been_read_is_kept_no_longer(client):
    event = call(client, "daily", [""])
    there = kept()
    assert event in there
    assert "event: complete" in client.get(f"/gradio_api/call/daily/{event}").text
    until(lambda: event not in there and event not in there.queue.pending_event_ids_session)


def test_what_nobody_reads_goes_first_and_what_goes_on_only_then_and_ends(monkeypatch):
    monkeypatch.setenv(name_of("max_sessions"), "10")
    monkeypatch.setattr(messages.PRESENCE, "is_here", lambda session: session == "0")
    events = {str(i): SimpleNamespace(alive=True) for i in range(20)}
    ids = {str(i): {str(i)} for i in range(20)}
    there = Messages(SimpleNamespace(pending_event_ids_session=ids, event_ids_to_events=events))
    for i in range(10):
        there[str(i)] = None
    del events["5"]  # it has ended
    there["10"] = None
    assert list(there) == [*"012346789", "10"] and "5" not in ids
    there["11"] = None
    assert list(there) == [*"02346789", "10", "11"] and "1" not in ids
    assert [name for name, event in events.items() if not event.alive] == ["1"]


def test_a_session_that_reads_nothing_is_sent_no_more(client, monkeypatch):
    monkeypatch.setattr(messages, "MAX_UNREAD", 20)
    said = []
    for _ in range(30):
        answer = client.post("/gradio_api/call/daily", json={"data": [""], "session_hash": "deaf"})
        said.append((answer.status_code, answer.json().get("detail")))
        time.sleep(0.02)
    assert said[0][0] == 200 and said[-1] == (503, arrivals.UNREAD)
    event = call(client, "daily", [""])
    assert "event: complete" in client.get(f"/gradio_api/call/daily/{event}").text


def test_a_page_reads_one_answer_after_another(client):
    number = next(one["id"] for one in client.get("/config").json()["dependencies"] if one["api_name"] == "preview")
    for seed in range(3):
        body = {"data": ["maze", "easy", seed, ""], "fn_index": number, "session_hash": "a page", "event_data": None}
        assert client.post("/gradio_api/queue/join", json=body).status_code == 200
        text = client.get("/gradio_api/queue/data?session_hash=a page").text
        ends = [json.loads(line[6:]) for line in text.splitlines() if "process_completed" in line]
        assert len(ends) == 1 and ends[0]["success"]
    until(lambda: "a page" not in kept().queue.pending_event_ids_session)
