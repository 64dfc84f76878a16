"""What gradio keeps of visitors: for want of room, of those who are gone first."""

from __future__ import annotations

import gc

import httpx
from gradio import Blocks, routes

from mmreason.ui.host.sessions import LeanSession, Sessions, keep_sessions_small
from mmreason.ui.host.web.presence import PRESENCE


def held(capacity: int) -> Sessions:
    keep_sessions_small()
    assert routes.StateHolder is Sessions
    with Blocks() as page:
        pass
    page.state_session_capacity = capacity
    sessions = Sessions()
    sessions.set_blocks(page)
    return sessions


def test_whoever_is_gone_makes_room_before_whoever_is_here():
    sessions = held(3)
    PRESENCE.come("here")
    try:
        state = sessions["here"]
        for number in range(10):
            assert isinstance(sessions[f"gone-{number}"], LeanSession)
        assert sessions["here"] is state and list(sessions.session_data) == ["gone-8", "gone-9", "here"]
        assert sorted(sessions.time_last_used) == sorted(sessions.session_data)
    finally:
        PRESENCE.go("here")


def test_where_all_are_here_the_one_goes_that_was_used_longest_ago():
    sessions, names = held(3), ["a", "b", "c", "d"]
    for name in names:
        PRESENCE.come(name)
    try:
        for name in ("a", "b", "c", "a", "d", "gone"):
            assert sessions[name]
        assert list(sessions.session_data) == ["a", "d", "gone"]
    finally:
        for name in names:
            PRESENCE.go(name)


def test_of_a_session_without_a_proper_name_nothing_is_kept():
    sessions = held(3)
    assert sessions["x" * 1000] is not sessions["x" * 1000] and not sessions.session_data


def test_many_events_beside_the_queue_leave_the_state_of_a_visitor_whose_page_is_open(scripted_server, monkeypatch):
    address = scripted_server.address.rstrip("/")
    with httpx.Client(base_url=address, timeout=60) as client, client.stream("GET", "/gradio_api/heartbeat/open") as _:
        (stop,) = (one for one in client.get("/config").json()["dependencies"] if one["api_name"] == "on_race_stop")
        body = {"data": [], "fn_index": stop["id"]}

        def calls(session: str) -> None:
            answer = client.post("/gradio_api/run/on_race_stop", json=body | {"session_hash": session})
            assert answer.status_code == 200

        calls("open")
        (sessions,) = (each for each in gc.get_objects() if type(each) is Sessions and "open" in each.session_data)
        state = sessions.session_data["open"]
        monkeypatch.setattr(sessions, "capacity", 5)
        for number in range(20):
            calls(f"closed-{number}")
        assert sessions.session_data["open"] is state and len(sessions.session_data) == 5
