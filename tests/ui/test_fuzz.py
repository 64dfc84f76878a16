"""Calls of every endpoint with values that no control would give: sentences, no traceback, no error of ours.

Meanwhile every file that this process opens is noted: the server is in it, and reads nothing but what is the app's.
``MMREASON_FUZZ_CALLS`` sets how many calls are made (default 40).  The page runs on a scripted pipeline.
"""

from __future__ import annotations

import asyncio
import json
import math
import mimetypes
import os
import string
import sys
import tempfile
import traceback
from collections.abc import Callable
from random import Random
from typing import Any

import httpx
import pytest
import torch
from gradio import queueing
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mmreason.errors import MMReasonError
from mmreason.sampling.config import SamplingConfig
from mmreason.tasks import make_problem
from mmreason.training.rl.presets import PRESETS
from mmreason.ui.group import whatif
from mmreason.ui.host import checkpoints
from mmreason.ui.inspect import sources
from mmreason.ui.runs import quota
from mmreason.ui.shell.words import OUR_FAULT
from mmreason.ui.solve import solving
from mmreason.ui.solve.request import checked
from mmreason.ui.solve.worker import Ticket, Worker
from mmreason.ui.train import form as train_form
from mmreason.ui.watch import handlers, own
from tests.helpers.apart import run_apart
from tests.helpers.browser import ROOT
from tests.helpers.training_runs import checked_settings
from tests.load.attack import Events

CALLS = int(os.environ.get("MMREASON_FUZZ_CALLS", "40"))
HOSTILE = [
    "${Object.assign(window,{PWNED:1})}",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "http://127.0.0.1:1/",
    "\x00",
    "\ud800",
    "9" * 5000,
    "-0",
    "1e999",
    "NaN",
    "[" * 3000,
    '{"task": "maze", "rows": ["S.G"]}',
    '{"version": 1}',
    '{"version": 1, "traces": []}',
    "gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAJpZJSFlFKULg==",
]
PATHS = [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": "../app.py", "url": "/etc/passwd"}]
PARAMETERS = {
    "solve": "task difficulty seed puzzle checkpoint temperature num_steps region threshold sampling_seed".split(),
    "preview": "task difficulty seed puzzle".split(),
    "inspect": ["trace"],
    "daily": ["date"],
    "health": [],
}

numbers = st.one_of(st.integers(), st.integers(-3, 20), st.floats(), st.sampled_from([2**31, 2**63, 10**40, -1, 0.5]))
texts = st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE), st.text(string.digits + "-", max_size=12))
GOOD = ["maze", "sudoku", "easy", "hard", "base", "full", "2026-11-24", json.dumps(own.first_board("maze"))]
good = st.sampled_from(GOOD)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts, good, st.sampled_from(PATHS))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)


@st.composite
def calls(draw):
    """An endpoint and a body of some of its parameters."""
    name = draw(st.sampled_from(sorted(PARAMETERS)))
    given_ones = draw(st.lists(st.sampled_from(PARAMETERS[name]), unique=True)) if PARAMETERS[name] else []
    body = {parameter: draw(values) for parameter in given_ones}
    if name == "inspect":
        body.setdefault("trace", draw(values))
    return name, body


OPENED: set[str] = set()
ITS_OWN = [str(ROOT), tempfile.gettempdir(), sys.prefix, sys.base_prefix, "/proc/", "/dev/", *mimetypes.knownfiles]


def note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """For ``sys.addaudithook``: notes what is opened or listed."""
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes):
        OPENED.add(os.fsdecode(arguments[0]))


@pytest.fixture(scope="module")
def client(scripted_server):
    """One connection for all calls, while all that is opened is noted; it must be the app's own."""
    sys.addaudithook(note_opened)
    with httpx.Client(base_url=scripted_server.address, timeout=60) as connected:
        for name in PARAMETERS:  # what is read once and for all
            answer(connected, name, {"trace": "{}"} if name == "inspect" else {})
        OPENED.clear()
        yield connected
    outside = {path for path in map(os.path.realpath, OPENED) if not path.startswith(tuple(ITS_OWN))}
    assert outside == set()


def answer(client: httpx.Client, name: str, body: dict) -> tuple[int, str]:
    """Status and all text that the server gives."""
    content = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    joined = client.post(f"/gradio_api/call/v2/{name}", content=content, headers=headers)
    if joined.status_code != 200:
        return joined.status_code, joined.text
    ended = client.get(f"/gradio_api/call/v2/{name}/{joined.json()['event_id']}")
    return ended.status_code, ended.text


def check_calm(status: int, text: str, names_a_file: bool = False) -> None:
    """No error of the server, no traceback, nothing read, and every refusal says something."""
    assert status < 500, text[:300]
    for sign in ("Traceback", "root:x:", "/site-packages/", '.py", line', OUR_FAULT):
        assert sign not in text
    if "event: error" in text:
        said = json.loads(text.strip().rsplit("\ndata: ", 1)[1])
        assert isinstance(said, dict)
        assert said["error"] or names_a_file, text[:300]  # gradio itself refuses those, without a word


@settings(
    max_examples=CALLS,
    deadline=None,
    derandomize="MMREASON_FUZZ_CALLS" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
    database=None,
)
@given(calls())
def test_no_call_breaks_an_endpoint(client, call):
    check_calm(*answer(client, *call), names_a_file='"path"' in json.dumps(call[1]))


def test_every_endpoint_and_parameter_is_called(client):
    named = client.get("/gradio_api/info").json()["named_endpoints"]
    served = {name.strip("/"): [p["parameter_name"] for p in it["parameters"]] for name, it in named.items()}
    assert served == PARAMETERS


def test_a_file_that_is_not_the_apps_would_be_noticed(client):
    with open("/etc/passwd", "rb"):
        assert "/etc/passwd" in OPENED
    OPENED.discard("/etc/passwd")
    assert not "/etc/passwd".startswith(tuple(ITS_OWN))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{" * 20_000, b'{"a":' * 5_000, b'{"a":1,"a":2}'],
)
def test_what_is_not_json_or_not_a_call_is_refused(client, content):
    for path in ("call/v2/daily", "call/daily", "queue/join", "call/v2/solve/x", "call/nothing"):
        sent = client.post(f"/gradio_api/{path}", content=content, headers={"content-type": "application/json"})
        assert sent.status_code < 500, (path, content[:20], sent.text[:200])
        assert "Traceback" not in sent.text


# One bad value among good ones, and then a good solve


WRONG: list[Any] = [
    *(None, True, False, "", " ", [], {}, "x", "NaN", "inf", "-inf", "1e-40", "1e400", "०", "1_0", "0x10"),
    *(1e-40, 5e-324, 1e-9, 0.009, -0.0, -1, 2.0001, 1e308, 2**31, 2**53, 2**63, 2**64, 10**40, 3.5, 65),
    *(float("nan"), float("inf"), float("-inf")),
]
ASKED = {
    **{"task": "maze", "difficulty": "easy", "seed": 7, "checkpoint": "base", "temperature": 1.0, "num_steps": 1},
    **{"region": "stated", "threshold": 0.0, "sampling_seed": 0},
}


def end_of(asked: dict[str, Any], worker: Worker) -> solving.Shown:
    """How a solve ends that is asked for with these values; raises MMReasonError where it does not begin."""
    request = checked(**asked)
    return run_apart(asyncio.wait_for(solving.last_shown(solving.solve(request, "me", worker)), 60))


def test_one_bad_value_among_good_ones_harms_no_solve_that_comes_after(real_checkpoints):
    """On the real policy; only the few values that are taken are solved for."""
    worker, refused, taken = Worker(), 0, 0
    for field in ("temperature", "threshold", "num_steps", "region", "sampling_seed"):
        for value in WRONG:
            try:
                request = checked(**ASKED | {field: value})
            except MMReasonError as error:
                assert "\n" not in str(error) and len(str(error)) < 400
                refused += 1
                continue
            if field in ("num_steps", "sampling_seed") and taken > 8:
                continue  # these were solved for often enough
            assert math.isfinite(request.temperature)
            last = end_of(ASKED | {field: value}, worker)
            assert last.finished is not None and not last.busy, (field, value, last.notice)
            taken += 1
    assert refused > 80 and taken
    good = end_of(ASKED, worker)
    assert good.finished is not None and good.finished.data["end_reason"]
    assert worker.trouble() == ""


def test_a_policy_with_a_damaged_weight_harms_no_solve_of_another(real_checkpoints):
    """What is loaded is checked; this one is damaged later."""
    worker, spoiled = Worker(), checkpoints._load.__wrapped__(checkpoints.checkpoint_folder("base"), 0)
    with torch.no_grad():
        next(spoiled.transformer.parameters()).fill_(float("nan"))
    bad = Ticket("bad", spoiled, make_problem("maze", "easy", 1), SamplingConfig(), 1)
    worker.submit(bad, lambda: None)
    good = end_of(ASKED, worker)
    assert good.finished is not None and bad.is_over and bad.state == "failed"
    assert isinstance(bad.error, MMReasonError), bad.error


# Many calls in this process: what a control, a link or a form may hold

in_process = settings(
    max_examples=min(10 * CALLS, 10_000),
    deadline=None,
    derandomize="MMREASON_FUZZ_CALLS" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
    database=None,
)
anything = st.one_of(values, st.sampled_from(WRONG))


def told(work: Callable[[], Any]) -> Any:
    """What ``work`` gives, or None where it refuses in one sentence."""
    try:
        return work()
    except MMReasonError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000, str(error)[:300]
        return None


@in_process
@given(st.sampled_from(sorted(ASKED)), anything)
def test_a_solve_is_asked_for_with_numbers_in_their_limits_or_refused(field, value):
    request = told(lambda: checked(**ASKED | {field: value}))
    if request is not None:
        assert request.temperature == 0 or 0.01 <= request.temperature <= 2
        assert 1 <= request.num_steps <= 64 and 0 <= (request.threshold or 0) <= 1
        assert all(0 <= seed < 2**53 and type(seed) is int for seed in (request.seed, request.sampling_seed))


LINK = ("task", "difficulty", "seed", "puzzle", "checkpoint", "hash", "temperature", "steps", "region", "threshold")


@in_process
@given(
    st.dictionaries(st.sampled_from([*LINK, "sampling_seed", "run", "x"]), texts | st.sampled_from(GOOD), max_size=4)
)
def test_a_link_is_followed_or_refused_in_a_sentence(params):
    wish, says, at_once = handlers.open_link(params)
    assert wish is not None or not at_once
    assert "\n" not in says and "Traceback" not in says
    if wish is not None:
        assert wish.temperature == 0 or 0.01 <= wish.temperature <= 2


FORM = train_form.filled(PRESETS["GPU"]) | {"checkpoint": "base"}


@in_process
@given(st.sampled_from(train_form.CONTROLS), anything)
def test_a_training_is_asked_for_within_the_limits_or_refused(field, value):
    asked = told(lambda: checked_settings(FORM | {field: value}, "a token that is long enough"))
    if asked is not None:
        quota.check_work(asked)
        assert all(math.isfinite(number) for number in vars_of(asked) if isinstance(number, float))


def vars_of(record: Any) -> list[Any]:
    return [getattr(record, name) for name in record.__slots__]


@in_process
@given(st.lists(anything, min_size=7, max_size=7), st.integers(0, 6), anything)
def test_heavy_work_is_asked_for_within_the_limits_or_refused(bad, place, value):
    rolled = ["maze", "easy", 7, "base", 1.0, 0, 4]
    rolled[place] = value
    told(lambda: sources.group_request(*rolled))
    names = ("granularity", "scale", "text", "image", "size", "discount", "judge_text")
    told(lambda: whatif.what_if_of({name: str(one) for name, one in zip(names, bad, strict=True)}))
    told(lambda: own.check(bad[0], bad[1], bad[2] if isinstance(bad[2], str) else ""))


# The page's own events, through its queue


def page_events(client: httpx.Client) -> list[tuple[int, list[Any]]]:
    """Number and data of every event but those of heavy work and of trainings' start."""
    config = client.get("/config").json()
    parts = {part["id"]: part["props"] for part in config["components"]}
    heavy = {number for _, number, _ in Events(config).heavy()} | {Events(config).training()[0]}
    return [
        (event["id"], [parts[number].get("value") for number in event["inputs"]])
        for event in config["dependencies"]
        if event["id"] not in heavy and event["backend_fn"] and event["queue"] is not False
    ]


@pytest.mark.filterwarnings("ignore:A `<script>` tag was found:UserWarning")  # it does not run: so it is meant
def test_the_pages_own_events_and_its_query_take_anything(client, monkeypatch):
    """What gradio itself refuses may be an error of gradio's; none may come out of a handler of ours."""
    raised: list[str] = []

    def note() -> None:
        error = sys.exc_info()[1]
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/mmreason/" in frame.filename]
        if ours and "site-packages" not in ours[-1].filename:
            raised.append(f"{ours[-1].filename}:{ours[-1].lineno} {error!r}"[:300])

    monkeypatch.setattr(queueing.traceback, "print_exc", note)
    random = Random(CALLS)
    events = page_events(client)
    assert len(events) > 30
    query = "&".join(f"{name}={random.choice(['1e-40', 'x', '%00', '9' * 50])}" for name in LINK)
    for turn in range(max(2 * len(events), CALLS)):
        number, data = events[turn % len(events)]
        data = list(data)
        if data:
            data[random.randrange(len(data))] = random.choice([value for value in WRONG if json_safe(value)] + HOSTILE)
        session = f"fuzz-{turn}"
        content = json.dumps({"data": data, "fn_index": number, "session_hash": session}).encode()
        joined = client.post(f"/gradio_api/queue/join?{query}", content=content, headers={"content-type": JSON})
        assert joined.status_code < 500, joined.text[:300]
        if joined.status_code != 200:
            continue
        said = client.get(f"/gradio_api/queue/data?session_hash={session}").text
        for sign in ("Traceback", "root:x:", "/site-packages/", '.py", line', OUR_FAULT):
            assert sign not in said, said[:500]
    assert sorted(set(raised)) == []
    check_calm(*answer(client, "solve", {"task": "maze", "difficulty": "easy"}))


JSON = "application/json"


def json_safe(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
