"""What passes from tab to tab."""

import json
from types import SimpleNamespace

import pytest

from mmreason.rewards.verify import Verifier
from mmreason.tasks import make_problem, problem_from_json
from mmreason.training.rl.presets import TrainSettings
from mmreason.ui import crossing
from mmreason.ui.group.opened import open_traces
from mmreason.ui.host import checkpoints
from mmreason.ui.runs import queue, store
from mmreason.ui.runs.samples import run_samples
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.watch import events as watch_events
from mmreason.ui.watch.handlers import CONTROLS, OWN, SHOWN, on_board
from tests.helpers.standin import SHEET, WORDS, stand_in_trace
from tests.helpers.training_runs import OTHER, OWNER, empty_store, leave, row


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A stopped run of OWNER's, with a checkpoint and samples, beside ``base``."""
    monkeypatch.setattr(checkpoints, "checkpoint_names", lambda: ["base"])
    empty_store(tmp_path, monkeypatch)
    run = store.create(TrainSettings(steps=9), OWNER)
    with store.locked():
        folder = leave(run, "factorized", [row(1)], saved=1)
        store.change(run, wanted=False)
    (folder / "samples").mkdir()
    (folder / "samples" / "step00001-00.json").write_text("{}")
    return run


def listed(update):
    return [name for _, name in update.choices]


def test_a_link_to_what_another_visitor_has_trained_offers_it_in_watch_and_in_inspect(trained, monkeypatch):
    name = f"run:{trained.id}/factorized"
    wish = SolveRequest(checkpoint=name)
    monkeypatch.setattr(watch_events.handlers, "open_link", lambda params: (wish, "", True))
    request = SimpleNamespace(query_params={"checkpoint": name})
    for visitor, says in ((OTHER, "by link"), (OWNER, "yours")):
        in_watch = watch_events.on_load(visitor, request)[3 + CONTROLS.index("checkpoint")]
        assert in_watch.value == name and listed(in_watch) == ["base", name]
        assert in_watch.choices[-1][0] == f"{says}: factorized, step 1 ({trained.id[:4]})"
        *_, start, watched, rolled, left, right = crossing.on_trained(
            visitor, None, None, "base", name, name, "a", "b"
        )
        assert listed(watched) == listed(rolled) == ["base", name]
        assert listed(start) == listed(left) == listed(right) == ["base", name][: 1 + (visitor == OWNER)]
        finished = SimpleNamespace(request=wish, data={})
        monkeypatch.setattr(crossing, "show_group", lambda opening: ("token", {}, ""))
        in_inspect = crossing.on_inspect_this(finished, visitor)[6]
        assert in_inspect.value == name and listed(in_inspect) == ["base", name]


def test_when_a_run_is_deleted_whatever_was_chosen_of_it_is_chosen_no_more(trained):
    name, ((_, sample),) = f"run:{trained.id}/factorized", run_samples(OWNER)
    chosen = (sample, name, name, name, name, "base")
    before = crossing.on_trained(OWNER, trained.id, *chosen)
    assert all("value" not in update.constructor_args for update in before), "what is there stays chosen"
    queue.delete(trained.id, OWNER)
    after = crossing.on_trained(OWNER, None, *chosen)
    assert [update.constructor_args.get("value", "kept") for update in after] == [None, *["base"] * 4, "kept"]
    assert listed(after[0]) == [] and all(listed(update) == ["base"] for update in after[1:])
    finished = SimpleNamespace(request=SolveRequest(checkpoint=name), data={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crossing, "show_group", lambda opening: ("token", {}, ""))
        assert crossing.on_inspect_this(finished, OWNER)[6] == crossing.gr.skip()


def test_what_was_trained_solves_a_puzzle_of_the_kind_it_learnt_from(monkeypatch):
    settings = SimpleNamespace(tasks=("jigsaw", "maze"), difficulties={"easy": 1.0, "medium": 3.0})
    monkeypatch.setattr(crossing, "find", lambda chosen: SimpleNamespace(settings=settings))
    monkeypatch.setattr(crossing, "_checkpoints", lambda visitor, chosen: ["run:one/joint", "run:one/factorized"])
    _, tabs, task, difficulty, seed, *origins, wish = crossing.on_watch_it("visitor", "one")
    assert (task, difficulty, wish.task, wish.difficulty, wish.seed) == ("jigsaw", "medium", "jigsaw", "medium", seed)
    assert wish.checkpoint == "run:one/factorized" and tabs.selected == "watch" and origins[0] == crossing.SEEDED


def test_of_a_dataset_or_nothing_only_the_tab_is_opened(monkeypatch):
    settings = SimpleNamespace(tasks=("data:shapes",), difficulties={"easy": 1.0})
    monkeypatch.setattr(crossing, "find", lambda chosen: SimpleNamespace(settings=settings))
    for own in ([], ["run:one/joint"]):
        monkeypatch.setattr(crossing, "_checkpoints", lambda visitor, chosen, own=own: own)
        *_, wish = crossing.on_watch_it("visitor", "one")
        assert wish == crossing.gr.skip()


@pytest.mark.parametrize("task", ["maze", "jigsaw"])
def test_a_rollout_of_a_visitors_own_puzzle_is_shown_in_watch_and_solve_solves_that_puzzle(monkeypatch, task):
    puzzle = problem_from_json(make_problem(task, "easy", 7).spec)
    opened = open_traces([Verifier(WORDS, SHEET).score(stand_in_trace(puzzle))], WORDS, SHEET, "test")
    monkeypatch.setattr(crossing, "open_native", lambda token, prompt: opened)
    event = SimpleNamespace(_data={"g": 0, "p": 0})
    _, finished, notice, tabs, *shown = crossing.on_to_watch("token", event)
    shown_task, difficulty, seed, kind, board, text, says, origin, *_ = shown
    assert finished is not None and notice == "" and tabs.selected == "watch" and len(shown) == 12
    assert (shown_task, origin, difficulty, seed) == (task, OWN, crossing.gr.skip(), crossing.gr.skip())
    assert "can be solved" in says
    on_page = dict.fromkeys(SHOWN) | {"task": shown_task, "difficulty": "easy", "seed": 99, "checkpoint": "base"}
    on_page |= {"temperature": 1, "num_steps": 4, "region": "stated", "sampling_seed": 0, "origin": origin}
    request = on_board(*(on_page | {"kind": kind, "board": board.value, "text": text.value}).values())
    assert json.loads(request.own) == puzzle.spec
