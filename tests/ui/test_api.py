"""The endpoints on the real server: README's examples as they stand there, and wrong values told in a sentence."""

import json
import re
import subprocess
import sys

import httpx
import pytest

from mmreason.tasks import TASKS
from mmreason.traces.file import check
from mmreason.traces.versions.ours import ones_of
from mmreason.traces.versions.two import check_two
from mmreason.ui import api
from mmreason.ui.about import API
from mmreason.ui.host.serving import UNKNOWN
from tests.helpers.browser import ROOT

ENDPOINTS = {"/solve", "/preview", "/inspect", "/daily", "/health"}
EXAMPLES = (ROOT / "mmreason/ui/README.md").read_text().partition("<!-- api -->")[2].partition("<!-- /api -->")[0]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", EXAMPLES, flags=re.DOTALL)


def call(address, name, body):
    """What an endpoint answers: its event and its data, of the last message."""
    joined = httpx.post(f"{address}/gradio_api/call/v2/{name}", json=body, timeout=60)
    if joined.status_code != 200:
        return joined.status_code, joined.json()
    url = f"{address}/gradio_api/call/v2/{name}/{joined.json()['event_id']}"
    lines = httpx.get(url, timeout=120).text.strip().splitlines()
    event, data = [line.partition(": ")[2] for line in lines if ": " in line][-2:]
    return event, json.loads(data)


def test_every_endpoint_is_named_and_typed(app):
    info = httpx.get(f"{app}/gradio_api/info", timeout=60).json()
    assert set(info["named_endpoints"]) == ENDPOINTS
    assert not info["unnamed_endpoints"]
    for name, endpoint in info["named_endpoints"].items():
        assert endpoint["description"], name
        assert all(parameter["type"] for parameter in endpoint["parameters"]), name
    solve = {p["parameter_name"]: p["type"] for p in info["named_endpoints"]["/solve"]["parameters"]}
    assert solve["seed"] == {"type": "integer"}
    assert solve["task"]["enum"] == list(TASKS)


def test_progress_of_the_pages_own_events_is_shown_on_no_component(app):
    """Gradio would copy each of them whole at every word that it hears of an event."""
    events = httpx.get(f"{app}/config", timeout=60).json()["dependencies"]
    own = [event for event in events if event["backend_fn"] and event["targets"] and event["outputs"]]
    assert len(own) > 50
    assert [event["api_name"] for event in own if event["show_progress_on"] != []] == []


def test_readmes_python_example_runs(app):
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example.replace("http://127.0.0.1:7860", app)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, problems, *progress = [line for line in done.stdout.splitlines() if not line.startswith("Loaded")]
    assert first.startswith("finished ")
    assert problems == "[]"
    assert progress[-1].startswith("finished ")


def test_the_code_to_copy_says_how_it_ended(app, capsys):
    (in_menu,) = re.findall(r"'(print\(.*\))',", (ROOT / "mmreason/ui/components/player/sharing.js").read_text())
    (in_footer,) = re.findall(r"^print\(.*", API, flags=re.MULTILINE)
    event, (end,) = call(app, "solve", {"task": "maze", "difficulty": "easy", "seed": 7})
    assert event == "complete"
    for line in (in_menu, in_footer):
        exec(line, {"end": end})
        assert capsys.readouterr().out.split() in (["finished", "True"], ["finished", "False"])


def test_readmes_curl_example_runs(app):
    (example,) = blocks("bash")
    done = subprocess.run(
        ["bash", "-ec", example.replace("http://127.0.0.1:7860", app)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *_, event, data = [line for line in done.stdout.splitlines() if line]
    assert event == "event: complete"
    (end,) = json.loads(data.removeprefix("data: "))
    assert end["state"] == "finished"
    check_two(end["trace"])
    (trace,) = ones_of(end["trace"])
    check(trace)
    assert trace["problem"]["difficulty"] == "easy"


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("solve", {"seed": -1}, "Seed must be a whole number from 0"),
        ("solve", {"seed": True}, "Seed must be a whole number from 0"),
        ("solve", {"temperature": 1e-40}, "Temperature must be 0 (greedy) or a number from 0.01 to 2"),
        ("solve", {"num_steps": 65}, "Steps per segment must be a whole number from 1 to 64"),
        ("solve", {"temperature": "hot"}, "Temperature must be 0 (greedy) or a number from 0.01 to 2"),
        ("solve", {"region": "everywhere"}, "Region must be one of"),
        ("solve", {"task": "chess"}, "Task must be one of"),
        ("solve", {"checkpoint": "../../etc"}, "Checkpoint '../../etc' is not here"),
        ("solve", {"puzzle": "{"}, "This is not JSON"),
        ("preview", {"difficulty": "extreme"}, "Difficulty must be one of"),
        ("inspect", {"trace": "{}"}, "Trace field 'version' is missing"),
        ("inspect", {"trace": 5}, "Trace must be JSON text"),
        ("daily", {"date": "yesterday"}, "Date must be like"),
    ],
)
def test_a_wrong_value_is_told_in_a_sentence(app, name, body, says):
    event, data = call(app, name, body)
    assert event == "error"
    assert data["error"].startswith(says)


@pytest.mark.parametrize(("name", "body"), [("nothing", {}), ("daily", {"day": 1}), ("inspect", {})])
def test_what_names_nothing_here_is_refused_and_no_error_of_the_server(app, name, body):
    assert call(app, name, body) == (422, {"error": UNKNOWN})


def test_health_says_what_runs(app):
    event, (found,) = call(app, "health", {})
    assert event == "complete"
    assert found["status"] == "ok"
    assert found["versions"]["gradio"]
    assert re.fullmatch("[0-9a-f]{12}", found["checkpoints"]["base"])
    assert set(found["solves"]) == {"running", "waiting", "solved"}


def test_the_foot_of_the_page_names_versions_and_checkpoints(app, visit):
    page = visit(app)
    page.get_by_text("About this build").click()
    page.locator("#footer").get_by_text("checkpoint base").wait_for()
    assert "gradio 6" in page.locator("#footer .running").text_content()


def test_an_error_of_ours_keeps_its_details_to_itself():
    def fails():
        raise RuntimeError("/secret/path")

    with pytest.raises(api.gr.Error) as refused:
        api._told(fails)
    assert "secret" not in str(refused.value)
