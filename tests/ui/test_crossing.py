"""What passes from tab to tab."""

import json
from types import SimpleNamespace

import pytest

from mmreason.rewards.verify import Verifier
from mmreason.tasks import make_problem, problem_from_json
from mmreason.ui import crossing
from mmreason.ui.group.opened import open_traces
from mmreason.ui.watch.handlers import OWN, SHOWN, on_board
from tests.helpers.standin import SHEET, WORDS, stand_in_trace


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
