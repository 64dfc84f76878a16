"""Trainings in slices, as on ZeroGPU: the result, whose turn it is, and what a closed tab or a failure leaves."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import re
import sys
import time
from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect

from mmreason.__main__ import main
from mmreason.commands.make.screenshots import free_port, served
from mmreason.errors import MMReasonError
from mmreason.training.rl.presets import BOTH, TrainSettings
from mmreason.training.run.slice import Slice
from mmreason.ui.host import gpu
from mmreason.ui.runs import queue, store
from mmreason.ui.runs import slices as runs_slices
from mmreason.ui.runs.state import status_of
from mmreason.ui.train.words import kept_words, state_words
from tests.helpers import policies
from tests.helpers.learning import assert_same_run
from tests.helpers.training_runs import OTHER, OWNER, empty_store, evaluation, leave, row, state

ROOT = Path(__file__).parents[3]
LENT = ROOT / "tests" / "ui" / "lent"
PATIENCE = 180_000  # a slice imports the trainer first
SMALL = TrainSettings(
    tasks=("maze", "sudoku"), difficulties={"easy": 1.0}, steps=2, num_problems=2, num_generations=2,
    learning_rate=1e-3, eval_problems=3, eval_steps=2, save_steps=3, assignment=BOTH,
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty store and a tiny checkpoint ``base``, where a GPU is lent."""
    empty_store(tmp_path, monkeypatch)
    monkeypatch.setattr(gpu, "is_lent", lambda: True)
    monkeypatch.setattr(runs_slices, "PERIOD", 0.0)
    return tmp_path


def two_steps_a_slice(run_id, seconds):
    """What a slice leaves that has time for two steps of each arm, or for those that are left."""
    run = store.find(run_id)
    for arm, rows in status_of(run).rows.items():
        before = list(rows) or [evaluation(0, 0.5)]
        step = before[-1]["step"]
        end = min(step + 2, run.settings.steps)
        leave(run, arm, [*before, *(row(i) for i in range(step + 1, end + 1))], saved=end)
    return 0


# The same trainer


def drive_here(run_id: str, saved: Path) -> None:
    """In a process of its own, a server's on ZeroGPU: drive the run, and write the saved steps after each slice."""
    sys.path.insert(0, str(LENT))
    importlib.reload(gpu)
    importlib.reload(runs_slices)
    torch.set_num_threads(1)
    steps = [list(status_of(store.find(run_id)).saved.values()) for _ in runs_slices.drive(run_id, OWNER)]
    saved.write_text(json.dumps(steps))


@pytest.mark.slow
def test_both_arms_in_slices_in_forked_processes_end_bit_for_bit_where_the_uninterrupted_ones_end(folder, monkeypatch):
    policies.pipeline_of(policies.talking_policy()).save_pretrained(folder / "checkpoints" / "base")
    run = queue.submit(SMALL, OWNER)
    monkeypatch.setattr(Slice, "is_over", lambda slice: True)  # each ends after one step, however fast the machine is
    for name, value in (("SPACES_ZERO_GPU", "1"), ("LENT_LOG", str(folder / "lent")), ("MMREASON_SLICE_SECONDS", "1")):
        monkeypatch.setenv(name, value)
    process = multiprocessing.get_context("fork").Process(target=drive_here, args=(run.id, folder / "saved.json"))
    process.start()
    process.join(240)
    steps = json.loads((folder / "saved.json").read_text())
    assert steps == sorted(steps) and [1, 1] in steps and steps[-1] == [2, 2], steps
    assert set((folder / "lent").read_text().split()) == {str(gpu.duration(1))}
    assert state(run) == "finished" and "factorized step 2/2" in run.log.read_text()
    words = SMALL.arguments(BOTH, str(folder / "checkpoints" / "base"), str(folder / "whole"))
    assert main([*words, "--threads", "1"]) == 0
    for arm in SMALL.arms:
        assert_same_run(run.arm_folder(arm), folder / "whole" / arm)
        for name in ("held_out", "samples"):
            there, whole = (sorted((each / name).iterdir()) for each in (run.arm_folder(arm), folder / "whole" / arm))
            assert [path.name for path in there] == [path.name for path in whole]


@pytest.mark.filterwarnings("ignore:'mmreason.__main__' found in sys.modules:RuntimeWarning")  # other tests import it
def test_a_sentence_of_the_command_reaches_the_visitor(folder):
    run = queue.submit(SMALL, OWNER)  # its checkpoint is an empty one
    list(runs_slices.drive(run.id, OWNER))
    status = status_of(store.find(run.id))
    assert status.state == "failed" and "cannot be loaded" in status.trouble and "\n" not in status.trouble


# Whose turn it is


@pytest.fixture
def slices(monkeypatch):
    """Slices of two steps each, without a trainer; their calls."""
    calls = []

    def train_slice(run_id, seconds):
        calls.append((run_id, seconds))
        return two_steps_a_slice(run_id, seconds)

    monkeypatch.setattr(runs_slices, "train_slice", train_slice)
    return calls


def test_no_process_is_started_and_slices_go_on_while_the_tab_asks_for_them(slices):
    run = queue.submit(TrainSettings(steps=5), OWNER)
    assert queue._CHILDREN == [] and state(run) == "queued"
    going = runs_slices.drive(run.id, OWNER)
    next(going)
    assert state(run) == "running" and status_of(store.find(run.id)).step == 2
    next(going)
    going.close()  # the tab is closed
    assert state(run) == "stopped"
    assert state_words(status_of(store.find(run.id))) == "Stopped at step 4 of 5: Resume goes on from there"
    queue.resume(run.id, OWNER)
    assert len(list(runs_slices.drive(run.id, OWNER))) == 1
    assert state(run) == "finished" and len(slices) == 3


def test_both_arms_share_each_slice(slices):
    run = queue.submit(TrainSettings(steps=4, assignment=BOTH), OWNER)
    going = runs_slices.drive(run.id, OWNER)
    next(going)
    status = status_of(store.find(run.id))
    assert {arm: rows[-1]["step"] for arm, rows in status.rows.items()} == {"joint": 2, "factorized": 2}
    assert state_words(status) == "Step 2 of 4 · both arms"
    list(going)
    assert len(slices) == 2 and state(run) == "finished"


def test_a_slice_asks_for_no_more_than_is_left(slices, monkeypatch):
    monkeypatch.setenv("MMREASON_SLICE_SECONDS", "80")
    monkeypatch.setattr(runs_slices, "estimate", lambda settings: None)  # nothing was measured on this GPU
    run = queue.submit(TrainSettings(steps=3, eval_steps=10), OWNER)
    list(runs_slices.drive(run.id, OWNER))
    left = 1 * 2.0 + 1 * 3.0  # a step and the last evaluation, as ``row`` and ``evaluation`` say
    assert [seconds for *_, seconds in slices] == [80, pytest.approx(5 + 1.3 * left)]


def test_the_next_one_waits_until_the_first_has_ended(slices):
    first, second = (queue.submit(TrainSettings(steps=4), token) for token in (OWNER, OTHER))
    one, two = runs_slices.drive(first.id, OWNER), runs_slices.drive(second.id, OTHER)
    next(two)
    assert slices == [] and status_of(store.find(second.id)).ahead == 1
    next(one)
    next(two)
    assert {run_id for run_id, *_ in slices} == {first.id}
    one.close()
    next(two)
    assert slices[-1][0] == second.id and state(second) == "running"
    two.close()


def test_a_stop_ends_the_slices_and_one_that_waits_can_be_deleted(slices):
    first, second = (queue.submit(TrainSettings(steps=40), OWNER) for _ in range(2))
    one, two = runs_slices.drive(first.id, OWNER), runs_slices.drive(second.id, OWNER)
    next(one), next(two)
    with pytest.raises(MMReasonError, match="it is running"):
        queue.delete(first.id, OWNER)
    queue.delete(second.id, OWNER)
    assert list(two) == []
    queue.stop(first.id, OWNER)
    assert state(first) == "stopping" and (first.arm_folder("factorized") / "stop").exists()
    assert list(one) == [] and state(first) == "stopped"


def test_only_the_owner_drives_and_only_once(slices):
    run = queue.submit(TrainSettings(steps=40), OWNER)
    with pytest.raises(MMReasonError, match="only the visitor who started run"):
        next(runs_slices.drive(run.id, OTHER))
    one = runs_slices.drive(run.id, OWNER)
    next(one)
    assert list(runs_slices.drive(run.id, OWNER)) == []  # a second tab of the same visitor
    one.close()


def test_one_that_is_taken_back_and_resumed_in_line_is_driven_by_the_last_tab_alone(slices):
    first, second = queue.submit(TrainSettings(steps=4), OTHER), queue.submit(TrainSettings(steps=4), OWNER)
    ahead, early = runs_slices.drive(first.id, OTHER), runs_slices.drive(second.id, OWNER)
    next(ahead), next(early)
    queue.stop(second.id, OWNER)
    queue.resume(second.id, OWNER)
    late = runs_slices.drive(second.id, OWNER)
    next(late)
    assert next(early, "it has ended") == "it has ended"
    assert state(second) == "queued", "its end leaves the other's claim"
    list(ahead)
    assert len(list(late)) == 2 and state(second) == "finished"
    assert [run_id for run_id, *_ in slices] == [first.id] * 2 + [second.id] * 2


def test_a_stop_between_two_looks_is_not_overwritten_by_a_turn(slices):
    run = queue.submit(TrainSettings(steps=4), OWNER)
    seen = runs_slices._held(run.id, runs_slices._claim(run.id, OWNER))
    queue.stop(run.id, OWNER)
    assert seen is not None and seen.wanted and runs_slices._on_turn(seen) is None
    assert state(run) == "stopped"


def test_what_the_lender_says_is_shown_and_resume_goes_on(monkeypatch):
    def refused(*_):
        raise RuntimeError("You have exceeded your free quota")

    monkeypatch.setattr(runs_slices, "train_slice", refused)
    run = queue.submit(TrainSettings(steps=4), OWNER)
    list(runs_slices.drive(run.id, OWNER))
    status = status_of(store.find(run.id))
    assert (status.state, status.trouble) == ("failed", "You have exceeded your free quota")
    monkeypatch.setattr(runs_slices, "train_slice", two_steps_a_slice)
    queue.resume(run.id, OWNER)
    list(runs_slices.drive(run.id, OWNER))
    assert state(run) == "finished"


def test_a_run_whose_tab_never_came_or_whose_server_died_does_not_hold_the_line(slices):
    lost, dead = (queue.submit(TrainSettings(steps=4), OWNER) for _ in range(2))
    store.change(store.find(lost.id), since=lost.since - 1000)
    store.change(store.find(dead.id), pid=2**22 + 1, born=0.0)  # it had been waiting with a server that is gone
    queue.advance()
    assert (state(lost), state(dead)) == ("stopped", "failed")
    third = queue.submit(TrainSettings(steps=2), OTHER)
    list(runs_slices.drive(third.id, OTHER))
    assert state(third) == "finished"


def test_the_page_says_what_a_closed_tab_does(monkeypatch):
    assert "pauses after the slice in which you close it" in kept_words()
    monkeypatch.setattr(gpu, "is_lent", lambda: False)
    assert "survives a closed tab" in kept_words()


# In a browser


@pytest.mark.slow
def test_closing_the_tab_pauses_the_run_and_opening_its_link_offers_resume(folder, visit, monkeypatch):
    policies.pipeline_of(policies.talking_policy()).save_pretrained(folder / "checkpoints" / "base")
    for name, value in (
        *(("PYTHONPATH", f"{LENT}:{ROOT}"), ("SPACES_ZERO_GPU", "1"), ("LENT_LOG", str(folder / "lent"))),
        *(("MMREASON_SLICE_SECONDS", "2"), ("OMP_NUM_THREADS", "1")),
    ):
        monkeypatch.setenv(name, value)
    with served([sys.executable, "app.py"], free_port()) as address:
        page = visit(address)
        page.get_by_role("tab", name="Train", exact=True).click()
        page.locator("#train-lost").get_by_text("pauses after the slice in which you close it").wait_for()
        page.locator("#train-more button").first.click()
        page.locator("#train-assignment").get_by_label("factorized", exact=True).click()
        small = {"steps": 200, "num_problems": 2, "num_generations": 2, "eval_problems": 3, "eval_steps": 100}
        for name, value in small.items():
            field = page.locator(f"#train-{name} input")
            field.fill(str(value))
            field.press("Tab")
        page.locator("#train-start").click()
        state_line = page.locator("#train-head .state")
        expect(state_line).to_contain_text(re.compile(r"^Step \d"), timeout=PATIENCE)
        link, visitor = page.url, page.context.storage_state()
        page.close()
        (run,) = store.all_runs()
        deadline = time.monotonic() + PATIENCE / 1000
        while state(run) != "stopped":
            assert time.monotonic() < deadline, state(run)
            time.sleep(0.5)
        paused = status_of(store.find(run.id))
        assert 0 < paused.step == paused.saved["factorized"] < 200
        again = visit(link, storage_state=visitor)
        expect(again.locator("#train-head .state")).to_contain_text("Resume goes on from there", timeout=PATIENCE)
        again.locator("#train-resume").click()
        while status_of(store.find(run.id)).step <= paused.step:
            assert time.monotonic() < deadline + PATIENCE / 1000, "it does not go on"
            time.sleep(0.5)
        again.close()
