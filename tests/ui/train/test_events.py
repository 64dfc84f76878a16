"""The handlers of the tab Train, without a page."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest

from mmreason.errors import CheckpointError
from mmreason.training.rl.presets import TrainSettings
from mmreason.ui.host import checkpoints, hub
from mmreason.ui.host.settings import name_of
from mmreason.ui.runs import queue, store
from mmreason.ui.train import events
from tests.helpers.training_runs import OWNER, empty_store, leave, row

VISIT = SimpleNamespace(client=None)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two stopped runs of OWNER's."""
    empty_store(tmp_path, monkeypatch)
    made = [store.create(TrainSettings(steps=9), OWNER) for _ in range(2)]
    with store.locked():
        for run in made:
            leave(run, "factorized", [row(1)], saved=1)
            store.change(run, wanted=False)
    return [run.id for run in made]


def test_only_the_run_that_was_asked_about_is_deleted(runs):
    old, new = runs
    says, sure, *rest = events.on_delete(new, OWNER, old)
    assert "nothing was deleted" in says and not sure.visible and rest == [gr.skip()] * 3
    assert store.find(old) and store.find(new)
    says, sure, chosen, *_ = events.on_delete(old, OWNER, old)
    assert (says, sure.visible, chosen) == ("", False, new) and store.find(old) is None


def test_what_else_is_done_with_runs_takes_the_question_away_whether_to_delete_one(runs, monkeypatch):
    for act in ("stop", "resume", "submit"):
        monkeypatch.setattr(queue, act, lambda *_: store.find(runs[1]))
    monkeypatch.setattr(events, "read_form", lambda *_: (SimpleNamespace(datasets=()), []))
    assert not events.on_stop(runs[0], OWNER)[1].visible
    assert not events.on_resume(runs[0], OWNER)[1].visible
    _, _, sure, chosen, *_ = events.on_start(VISIT, OWNER, None, *[None] * len(events.CONTROLS))
    assert not sure.visible and chosen == runs[1]


def test_a_run_that_began_from_the_hub_is_looked_at_without_fetching_anything(tmp_path, monkeypatch):
    def fetch(name, limit_mb):
        raise CheckpointError("the Hub does not answer")

    empty_store(tmp_path, monkeypatch)
    monkeypatch.setattr(hub, "fetch", fetch)
    monkeypatch.setattr(checkpoints, "_refused", {})
    monkeypatch.setenv(name_of("hub_checkpoints"), "someone/small")
    run = store.create(TrainSettings(checkpoint="someone/small", steps=9), OWNER)

    def command():
        return dict(zip(events.SHOWN, events.on_look(run.id, OWNER, [], 0, None), strict=True))["command"]

    assert command().startswith(
        "hf download someone/small --local-dir checkpoints/small && "
        "python -m mmreason train --checkpoint checkpoints/small "
    )
    monkeypatch.delenv(name_of("hub_checkpoints"))
    assert command() == "The checkpoint someone/small is no longer here."
