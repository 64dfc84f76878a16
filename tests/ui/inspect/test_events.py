"""The handlers of the tab Inspect, without a page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from mmreason.errors import ConfigError
from mmreason.rewards.verify import Verifier
from mmreason.tasks import make_problem
from mmreason.traces.file import save, to_json
from mmreason.training.rl.presets import TrainSettings
from mmreason.ui.host import checkpoints
from mmreason.ui.inspect import events, sources
from mmreason.ui.page import build_page
from mmreason.ui.runs import queue, store
from mmreason.ui.solve import line as lines
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.train import dataset
from mmreason.ui.watch import events as watch_events
from mmreason.ui.watch.handlers import example_value
from tests.helpers.apart import run_apart
from tests.helpers.standin import SHEET, WORDS, stand_in_trace
from tests.helpers.training_runs import OTHER, OWNER, empty_store, leave, row

VISIT: Any = SimpleNamespace(session_hash="me", client=None, headers={})


async def answers(states):
    return [state async for state in states]


@pytest.fixture
def two_puzzles(tmp_path):
    """A group of two prompts, the second a jigsaw."""
    paths = []
    for task in ("maze", "jigsaw"):
        trace = Verifier(WORDS, SHEET).score(stand_in_trace(make_problem(task, "easy", 7)))
        paths.append(tmp_path / f"{task}.json")
        save(paths[-1], to_json(trace, WORDS, SHEET))
    return sources.open_upload([str(path) for path in paths])


def test_what_visitors_hand_in_waits_in_one_line_of_its_own_and_what_they_take_away_in_another(monkeypatch):
    """Who has left, or asks from an address that has its places, keeps nobody from it."""
    joined = []

    async def in_line(kind, request, work, waiting, refused, line):
        joined.append((kind, line))
        yield refused("no place")

    monkeypatch.setattr(lines, "in_line", in_line)
    assert run_apart(events.on_upload([], VISIT))[2] == "no place"
    assert run_apart(dataset.on_handed_in("a.zip", "base", "", VISIT))[0] == "no place"
    asked = gr.EventData(None, {"kind": "trace", "name": "17"})
    button = run_apart(watch_events.on_take(example_value()[1], asked, VISIT))
    assert (button.label, button.value) == ("17 no place", None)
    assert run_apart(dataset.on_handed_in(None, "base", "", VISIT))[0] == ""
    assert joined == [("open", lines.HANDED_IN), ("dataset", lines.HANDED_IN), ("take", lines.TAKEN_AWAY)]
    limits = {event.name: event.concurrency_limit for event in build_page().fns.values()}
    assert {limits[name] for name in ("on_upload", "on_handed_in", "on_take", "on_archive")} == {None}


def test_for_a_run_that_the_server_has_let_go_nobody_is_given_the_example():
    """The states of those who hold no connection are let go for want of room."""
    asked = gr.EventData(None, {"kind": "trace", "name": "17", "state": "finished"})
    button = run_apart(watch_events.on_take(example_value()[1], asked, VISIT))
    said = "17 This run is not on the server any more: solve it again to take it away."
    assert (button.label, button.value) == (said, None)


def test_what_stood_side_by_side_goes_when_another_is_asked_for_and_where_that_is_refused(monkeypatch):
    async def in_line(kind, request, work, waiting, refused):
        for state in work(lambda: False):
            yield state
        yield refused("The model does not know the word 'go'.")

    monkeypatch.setattr(lines, "in_line", in_line)
    states = run_apart(answers(lines.side_by_side("go on", VISIT, lambda: iter(["base goes on", {"sides": []}]))))
    assert states[:2] == [(None, "base goes on"), ({"sides": []}, "")]
    assert states[2] == (None, "The model does not know the word 'go'.")


def test_side_by_side_solves_the_puzzle_of_the_prompt_that_is_open(two_puzzles, monkeypatch):
    solved = []

    async def at_once(kind, request, work):
        for state in work():
            yield state

    def compare(requests, problem):
        solved.append(problem.task)
        yield "done"

    monkeypatch.setattr(events, "side_by_side", at_once)
    monkeypatch.setattr(events.branch, "compare", compare)
    token = two_puzzles.token
    sides = ("base", 1, "base", 0)
    for shown in ({"token": token, "prompt": 1}, {"token": token}, {"token": "another", "prompt": 1}, None):
        run_apart(answers(events.on_compare(token, shown, *sides, VISIT)))
    assert solved == ["jigsaw", "maze", "maze", "maze"]
    with pytest.raises(ConfigError, match="this page's own puzzles"):
        run_apart(answers(events.on_compare(token, {"token": token, "prompt": 7}, *sides, VISIT)))


def test_a_link_to_a_roll_out_by_a_trained_checkpoint_is_followed_as_long_as_that_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "checkpoint_names", lambda: ["base"])
    empty_store(tmp_path, monkeypatch)
    run = store.create(TrainSettings(steps=9), OWNER)
    with store.locked():
        leave(run, "factorized", [row(1)], saved=1)
        store.change(run, wanted=False)
    name = f"run:{run.id}/factorized"
    link = SimpleNamespace(query_params={"group": sources.roll_link(SolveRequest(checkpoint=name), 4)})
    for visitor in (OWNER, OTHER):
        shown = events.on_link(visitor, link)
        assert (
            "Roll out makes the same ones again" in shown[2]
            and shown[6].value == name
            and name in [value for _, value in shown[6].choices]
        )
        rolled = events.on_arrival(visitor, link)[2]
        assert rolled.value == name and name in [value for _, value in rolled.choices]
    queue.delete(run.id, OWNER)
    assert "which is not here" in events.on_link(OWNER, link)[2]
    assert events.on_arrival(OWNER, link)[2].value == "base"
