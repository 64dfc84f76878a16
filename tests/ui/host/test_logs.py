"""Logs: one JSON object a line, and nothing of a visitor in it."""

import json
import logging
import time

import httpx

from mmreason.tasks import TASKS
from mmreason.ui.host import logs
from mmreason.ui.solve import solving
from mmreason.ui.solve.request import checked
from mmreason.ui.solve.worker import Worker
from tests.helpers.apart import run_apart
from tests.helpers.scripted import ScriptedPipe

SECRETS = ("session-4711", "S.#.....", "987654321")


def test_a_line_is_a_json_object_with_the_places_of_an_error_and_not_its_text():
    try:
        raise ValueError("what the visitor typed")
    except ValueError as error:
        record = logging.makeLogRecord(
            {"name": "mmreason.x", "msg": "failed", "exc_info": (ValueError, error, error.__traceback__)}
        )
    entry = json.loads(logs.JsonLines().format(record))
    assert entry["event"] == "failed"
    assert entry["error"] == "ValueError"
    assert entry["where"][0].startswith("test_logs.py:")
    assert "typed" not in json.dumps(entry)


def test_a_solve_is_logged_without_its_visitor(monkeypatch, caplog):
    monkeypatch.setattr(solving.checkpoints, "load_pipeline", lambda name: ScriptedPipe())
    puzzle = TASKS["maze"].example
    request = checked(task="maze", difficulty="easy", seed=987654321, checkpoint="base", own=puzzle)
    with caplog.at_level("DEBUG", logger="mmreason"):
        run_apart(solving.last_shown(solving.solve(request, "session-4711", Worker())))
    lines = [logs.JsonLines().format(record) for record in caplog.records]
    ended = [json.loads(line) for line in lines if "solve ended" in line]
    assert ended[0]["state"] == "finished"
    assert ended[0]["task"] == "maze"
    assert not any(secret in line for secret in SECRETS for line in lines)


def test_no_hostile_call_puts_what_it_says_into_the_log(scripted_server, capfd, caplog):
    """Neither a choice that there is none of, in any box of the page, nor a page or an endpoint of no such name."""
    address, typed = scripted_server.address.rstrip("/"), "VISITORTYPED"
    config = httpx.get(f"{address}/config", timeout=60).json()
    boxes = {part["id"] for part in config["components"] if part["type"] in ("dropdown", "radio", "checkboxgroup")}
    events = [each for each in config["dependencies"] if boxes & set(each["inputs"])]
    with caplog.at_level("DEBUG"):
        for number, each in enumerate(events[:20]):
            body = {"data": [typed] * len(each["inputs"]), "fn_index": each["id"], "session_hash": f"log{number}"}
            httpx.post(f"{address}/gradio_api/queue/join", json=body, timeout=60)
        httpx.get(f"{address}/", params={"page": typed}, timeout=60)
        httpx.post(f"{address}/gradio_api/call/{typed}", json={"data": [typed]}, timeout=60)
        deadline = time.monotonic() + 20
        while "an event failed" not in caplog.messages and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
    shown = "".join(capfd.readouterr())
    ours = [record for record in caplog.records if not record.name.startswith("http")]  # the test's own client
    assert events and "an event failed" in [record.getMessage() for record in ours]
    assert typed not in shown and typed not in "".join(logs.JsonLines().format(record) for record in ours)
    assert "Traceback" not in shown
