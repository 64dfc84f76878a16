"""Files and paths that mean harm: uploads stay where they belong, nothing else is served, refusals are sentences."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio.routes import App
from starlette.testclient import TestClient

from mmreason.errors import MMReasonError, TraceError
from mmreason.traces.file import load
from mmreason.ui.host import remote, temporary
from mmreason.ui.inspect import sources
from mmreason.ui.solve.request import parse_puzzle
from tests.helpers.browser import HOSTILE, ROOT

TRACE = load(ROOT / "assets" / "examples" / "maze.json")


def upload(address: str, name: str, content: bytes) -> httpx.Response:
    return httpx.post(f"{address.rstrip('/')}/gradio_api/upload", files={"files": (name, content)}, timeout=60)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../app.py",
        "app.py",
        "checkpoints/base/model_index.json",
        "mmreason/ui/host/settings.py",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "README.md",
        ".git/config",
    ],
)
def test_no_file_but_the_assets_is_served(scripted_server, path):
    with httpx.Client(base_url=scripted_server.address) as client:
        for route in (f"/gradio_api/file={path}", f"/file={path}", f"/gradio_api/file={ROOT}/{path}"):
            sent = client.get(route)
            assert sent.status_code in (307, 403, 404, 405), (route, sent.status_code)


@pytest.mark.parametrize("name", ["../../../evil.json", "/etc/evil.json", "..\\evil.json", "a/../../evil.json"])
def test_an_upload_cannot_choose_its_folder(scripted_server, name):
    sent = upload(scripted_server.address, name, b"{}")
    assert sent.status_code == 200
    (path,) = sent.json()
    assert ".." not in path.split("/")
    assert Path(path).is_relative_to(temporary.folder())
    assert not (ROOT / "evil.json").exists()
    assert not (ROOT.parent / "evil.json").exists()


def test_an_upload_above_the_limit_is_refused(scripted_server):
    sent = upload(scripted_server.address, "big.json", b"[" + b"1," * (9 * 2**19) + b"1]")
    assert sent.status_code == 413


REMOTE = {"path": "https://example.com/large.json", "meta": {"_type": "gradio.FileData"}}
NOT_FETCHED = remote.NOT_FETCHED[1:]


@pytest.fixture
def fetched(monkeypatch) -> list[str]:
    """The addresses that gradio fetches."""
    addresses: list[str] = []

    async def get(url: str, *_, **__) -> httpx.Response:
        addresses.append(url)
        return httpx.Response(200, content=b"{}", request=httpx.Request("GET", url))

    monkeypatch.setattr("safehttpx.get", get)
    return addresses


@pytest.mark.parametrize("name", ["preview", "inspect", "daily", "solve"])
@pytest.mark.parametrize("value", [REMOTE, [REMOTE], {"value": REMOTE}], ids=["alone", "in a list", "in an object"])
def test_no_endpoint_fetches_a_file_by_its_address(scripted_server, fetched, name, value):
    with httpx.Client(base_url=scripted_server.address, timeout=30) as client:
        (event,) = (one for one in client.get("/config").json()["dependencies"] if one["api_name"] == name)
        answer = client.post(f"/gradio_api/call/{name}", json={"data": [value] * len(event["inputs"])})
    assert answer.status_code == 400 and NOT_FETCHED in answer.text
    assert fetched == []


def test_no_event_of_the_page_fetches_a_file_by_its_address(scripted_server, fetched):
    with httpx.Client(base_url=scripted_server.address, timeout=30) as client:
        config = client.get("/config").json()
        kinds = {part["id"]: part["type"] for part in config["components"]}
        seen = set()
        for event in config["dependencies"]:
            inputs = [kinds[number] for number in event["inputs"]]
            new = {"file", "textbox", "html"} & {*inputs} - seen
            if not new or not event["backend_fn"] or event["queue"] is False:
                continue
            seen |= new
            body = {"data": [REMOTE] * len(inputs), "fn_index": event["id"], "session_hash": "from-afar"}
            answer = client.post("/gradio_api/queue/join", json=body)
            assert answer.status_code == 400 and NOT_FETCHED in answer.text, (new, answer.text)
    assert seen == {"file", "textbox", "html"}
    assert fetched == []


@pytest.mark.parametrize("part", [gr.File, gr.Textbox, gr.HTML])
def test_a_file_by_its_address_is_refused_in_a_sentence_out_of_the_queue_as_well(scripted_server, fetched, part):
    with gr.Blocks() as page:
        taken = part()
        gr.Button().click(print, taken, None, queue=False)
    app = App.create_app(page)
    client = TestClient(app)
    answer = client.post("/gradio_api/run/predict", json={"data": [REMOTE], "fn_index": 0, "session_hash": "here"})
    assert answer.status_code == 500 and NOT_FETCHED in answer.text
    with pytest.raises(gr.Error, match=NOT_FETCHED):
        taken.move_resource_to_block_cache(REMOTE["path"])
    assert fetched == []


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trace.json", b"0" * 20_000_000)
    return buffer.getvalue()


class Harm:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


CONTENTS = {
    "a pickle": pickle.dumps(Harm()),
    "a zip bomb": zip_bomb(),
    "nothing": b"",
    "binary": bytes(range(256)) * 50,
    "no object": b"[1, 2, 3]",
    "deep nesting": b"[" * 200_000,
    "a deep object": b'{"a":' * 100_000,
    "a number that never ends": b'{"version": ' + b"9" * 200_000 + b"}",
    "infinity": b'{"version": 1e999}',
    "a constant": b'{"version": NaN}',
    "many values": b'{"version": 1, "x": [' + b"[]," * 100_000 + b"[]]}",
    "another encoding": '{"version": 1}'.encode("utf-16"),
    "a lone surrogate": b'{"version": "\\ud800"}',
    "a wrong version": b'{"version": 2}',
    "a key twice": b'{"version": 2, "version": 1}',
    "many keys and one of them twice": b'{"k": 0, '
    + b", ".join(b'"%d": 0' % i for i in range(100_000))
    + b', "k": 1}',
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_an_upload_that_is_no_trace_is_refused_in_one_sentence(kind, tmp_path):
    path = tmp_path / "trace.json"
    path.write_bytes(CONTENTS[kind])
    with pytest.raises(TraceError) as refused:
        sources.open_upload([str(path)])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_link_shows_nothing_of_what_it_points_to(tmp_path):
    (tmp_path / "secret").write_text("secret words of another file")
    (tmp_path / "trace.json").symlink_to(tmp_path / "secret")
    with pytest.raises(TraceError) as refused:
        sources.open_upload([str(tmp_path / "trace.json")])
    assert "secret words" not in str(refused.value)


def test_a_trace_that_grows_out_of_all_bounds_is_refused(tmp_path):
    path = tmp_path / "trace.json"
    with path.open("wb") as file:
        file.truncate(40 * 2**20)
    with pytest.raises(TraceError, match="larger than"):
        sources.open_upload([str(path)])


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["question", "task", "difficulty", "split"])
def test_markup_in_a_trace_is_refused_or_stays_text(field, text, tmp_path):
    data = dict(TRACE)
    data["problem"] = data["problem"] | {field: text}
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(data))
    try:
        opened = sources.open_upload([str(path)])
    except MMReasonError as error:
        assert "\n" not in str(error)
    else:
        assert opened.rollouts.rollouts


@pytest.mark.parametrize(
    "text",
    [
        '{"task": "maze", "task": "sudoku"}',
        "[" * 90_000,
        '{"a":' * 5_000,
        "9" * 5_000,
        '{"task": ' + "9" * 5_000 + "}",
        "\x00",
        "gASVIAAAAAAAAACMBXBvc2l4",
    ],
)
def test_a_puzzle_that_is_a_bomb_is_refused(text):
    with pytest.raises(MMReasonError):
        from mmreason.tasks import problem_from_json

        problem_from_json(parse_puzzle(text))
