"""Runs of the tab Train without a browser: whose they are, their queue, their state, limits and clean-up."""

import errno
import gc
import json
import os
import shutil
import signal
import time
import zipfile
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import psutil
import pytest

from mmreason import places
from mmreason.commands import train
from mmreason.commands.make import train_example
from mmreason.errors import ConfigError, MMReasonError, WriteError
from mmreason.limits import SEED, Whole
from mmreason.records import trace_rewards
from mmreason.rewards.pixels import judge_of
from mmreason.settings import NumberSetting, weights
from mmreason.tasks import make_problem
from mmreason.traces.opening import open_rollouts
from mmreason.traces.sheet import load_with_sheet
from mmreason.training.rl.presets import BOTH, PRESETS, TrainSettings
from mmreason.training.run.rundir import STOP_FILE
from mmreason.training.run.traces import keep_samples
from mmreason.ui.host import checkpoints as host_checkpoints
from mmreason.ui.host import visitor
from mmreason.ui.host.settings import MB, Settings, name_of
from mmreason.ui.inspect.sources import open_upload
from mmreason.ui.runs import archive, choices, queue, quota, store
from mmreason.ui.runs import state as runs_state
from mmreason.ui.runs.state import is_alive, status_of
from mmreason.ui.train import events as train_events
from mmreason.ui.train import form as train_form
from mmreason.ui.train import held_out
from mmreason.ui.train import view as train_view
from mmreason.ui.train.words import head, state_words
from tests.helpers.browser import HOSTILE
from tests.helpers.standin import StandInPipe, stand_in_trace
from tests.helpers.training_runs import OTHER, OWNER, checked_settings, empty_store, evaluation, leave, row, state

SETTINGS = TrainSettings(steps=60, eval_problems=80, save_steps=20)
COMMAND_OF = queue.command_of
SLEEP = ["-c", "import time; time.sleep(120)"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty store, a checkpoint ``base``, and trainings that only sleep; what they start ends with the test."""
    empty_store(tmp_path, monkeypatch)
    monkeypatch.setattr(queue, "command_of", lambda run: SLEEP)
    yield tmp_path / "runs" / "page"
    for child in queue._CHILDREN:
        child.kill()
        child.wait()
    queue._CHILDREN.clear()


def kill(run):
    """End its process as ``kill -9`` does."""
    os.kill(store.find(run.id).pid, signal.SIGKILL)
    for _ in range(100):
        if not is_alive(store.find(run.id)):
            return
        time.sleep(0.05)
    raise AssertionError("it does not die")


# Whose it is


def test_the_files_of_a_run_do_not_hold_its_owners_token(folder):
    run = queue.submit(SETTINGS, OWNER)
    content = "".join(p.read_text() for p in folder.rglob("*") if p.is_file())
    assert OWNER not in content and store.owner_of(OWNER) in content
    assert run.is_of(OWNER) and not run.is_of(OTHER) and not run.is_of(None) and not run.is_of(run.owner)


@pytest.mark.parametrize("act", [queue.stop, queue.resume, queue.delete, archive.write_archive])
@pytest.mark.parametrize("token", [OTHER, "", None, 7, [OWNER]])
def test_only_the_owner_may_act(act, token):
    run = queue.submit(SETTINGS, OWNER)
    with pytest.raises(MMReasonError, match="only the visitor who started run"):
        act(run.id, token)
    assert state(run) == "running"


def test_an_archive_is_written_once_and_anew_when_the_run_has_changed(monkeypatch):
    run = store.create(SETTINGS, OWNER)
    folder = leave(run, "factorized", [row(1), row(2)], saved=2)
    store.change(run, wanted=False)
    first = archive.write_archive(run.id, OWNER)
    assert first is not None and {archive.write_archive(run.id, OWNER) for _ in range(3)} == {first}
    (folder / "metrics.jsonl").write_text("{}\n")
    second = archive.write_archive(run.id, OWNER)
    assert second != first
    Path(str(second)).unlink()
    assert Path(str(archive.write_archive(run.id, OWNER))).is_file()


def test_the_archive_holds_what_both_arms_sampled_and_inspect_opens_it_and_keeps_them_apart(tmp_path, monkeypatch):
    """Both arms roll out the same puzzles, so only the name of a group tells theirs apart."""
    run = store.create(TrainSettings(steps=4, assignment=BOTH), OWNER)
    pipe, problem = StandInPipe(), make_problem("sudoku", "easy", 3, "train", 0)
    group = [judge_of(pipe).score(stand_in_trace(problem, num_turns=turns)) for turns in (0, None)]
    for arm in run.settings.arms:
        left = leave(run, arm, [row(step) for step in range(1, 5)], saved=4)
        for step in (2, 4):
            keep_samples(left, step, group, pipe)
    store.change(run, wanted=False)
    names = [f"{arm}, step {step}" for step in (2, 4) for arm in ("factorized", "joint")]

    def taken(name):
        path, place = archive.write_archive(run.id, OWNER), tmp_path / name
        with zipfile.ZipFile(path) as opened:
            assert {"joint/metrics.jsonl", "factorized/checkpoint/model_index.json"} <= set(opened.namelist())
            opened.extractall(place)
        return Path(path), place / "rollouts.jsonl", (place / "README.md").read_text()

    whole, rollouts, card = taken("first")
    assert "all 4 groups" in card and all(name in card for name in names)
    for path in (whole, rollouts):
        found = open_rollouts(path).rollouts
        assert [prompt.id for prompt in found.prompts] == names and [len(each) for each in found.groups] == [2] * 4
        rewards = [found.reward_of(rollout, "text") for rollout in found.groups[0]]
        assert rewards == [pytest.approx(trace_rewards(trace)[0]) for trace in group]
    assert len(open_upload([str(rollouts)]).natives) == 4, "each can be scored again, and gone on with"

    room = int(0.6 * rollouts.stat().st_size)
    monkeypatch.setattr(archive, "MB", room // Settings().max_upload_mb)
    (run.arm_folder("joint") / "metrics.jsonl").write_text("{}\n")  # so that it is written anew
    _, rollouts, card = taken("second")
    assert "the newest 2 of 4 groups" in card and rollouts.stat().st_size <= room
    assert [prompt.id for prompt in open_rollouts(rollouts).rollouts.prompts] == names[2:]
    next(run.arm_folder("joint").glob("samples/step00004-*")).write_text("{")  # damaged: left out
    _, rollouts, card = taken("third")
    assert [prompt.id for prompt in open_rollouts(rollouts).rollouts.prompts] == [names[1], names[2]]
    assert "the newest 2 of 4 groups" in card


@pytest.mark.parametrize("token", ["", None, "short", "x" * 500, 3])
def test_without_a_token_nothing_starts(token):
    with pytest.raises(MMReasonError, match="visitor's token"):
        queue.submit(SETTINGS, token)
    assert store.all_runs() == []


@pytest.mark.parametrize(
    "hostile", ["../x", "../../etc", "", ".", "a" * 12 + "/..", "0123456789ab\n", *HOSTILE, None, 3, ["0123456789ab"]]
)
def test_what_is_no_run_is_none_wherever_it_points(folder, hostile):
    queue.submit(SETTINGS, OWNER)
    (folder.parent / "x").mkdir()
    (folder.parent / "x" / "run.json").write_text("{}")
    assert store.find(hostile) is None
    for act in (queue.stop, queue.resume, queue.delete):
        with pytest.raises(MMReasonError, match="is not here"):
            act(hostile, OWNER)
    assert host_checkpoints.checkpoint_folder(f"run:{hostile}/joint") is None
    assert (folder.parent / "x").is_dir()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"id": "0123456789ab"}', "[" * 10_000])
def test_a_damaged_run_is_left_out(folder, content):
    run = queue.submit(SETTINGS, OWNER)
    other = folder / "0123456789ab"
    other.mkdir()
    (other / "run.json").write_text(content)
    assert [found.id for found in store.all_runs()] == [run.id]


def test_a_key_that_an_earlier_server_made_still_opens_what_browsers_keep(folder, monkeypatch, caplog):
    monkeypatch.delenv(name_of("storage_key"), raising=False)
    assert visitor.storage_key() == Settings().storage_key
    folder.mkdir(parents=True)
    (folder / visitor.EARLIER_FILE).write_text("made by a server before")
    assert visitor.storage_key() == "made by a server before"
    monkeypatch.setenv(name_of("storage_key"), "given")
    assert visitor.storage_key() == "given"
    monkeypatch.setenv(visitor.EARLIER_SETTING, "was thought to be one")
    assert visitor.storage_key() == "given"
    assert name_of("storage_key") in caplog.text and "was thought to be one" not in caplog.text


def test_a_trained_checkpoint_is_listed_for_its_owner_alone():
    run = queue.submit(SETTINGS, OWNER)
    leave(run, "factorized", [row(20)], saved=20)
    name = f"run:{run.id}/factorized"
    assert [value for _, value in choices.choices_of(OWNER)] == ["base", name]
    assert [value for _, value in choices.choices_of(OTHER)] == ["base"]
    assert host_checkpoints.checkpoint_folder(name) == run.arm_folder("factorized") / "checkpoint"
    with pytest.raises(MMReasonError, match="checkpoint must be one that is here"):
        checked_settings(values(checkpoint=name), OTHER)
    assert checked_settings(values(checkpoint=name), OWNER).checkpoint == name


# The example


def test_a_newcomer_sees_the_example_which_nobody_may_change():
    example = store.find(store.EXAMPLE)
    view = train_view.look(store.EXAMPLE, OWNER, [], 0.5, {})
    assert view.state == "finished" and not view.is_mine and len(view.figures["charts"]) >= 4
    assert len(view.held_out["rows"]) == 3 and {
        side["name"] for row in view.held_out["rows"] for side in row["sides"]
    } == {
        "Before",
        *(f"{arm}, step {example.settings.steps}" for arm in ("Joint", "Factorized")),
    }
    for act in (queue.stop, queue.resume, queue.delete, archive.write_archive):
        for token in (OWNER, example.owner, "", None):
            with pytest.raises(MMReasonError, match="only the visitor who started run example"):
                act(store.EXAMPLE, token)
    assert store.all_runs() == [] and example.folder.is_dir()


def test_an_example_is_kept_from_a_run_directory_without_what_is_not_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ASSETS", tmp_path / "assets")
    source = store.Run("0" * 12, "", 0.0, SETTINGS)
    folder = leave(source, "factorized", [evaluation(0, 0.5), evaluation(60, 0.6)], saved=60)
    trace = load_with_sheet(next((places.ROOT / "assets" / "examples").glob("*.json")))
    (folder / "held_out").mkdir()
    for step in (0, 20, 60):
        content = {"step": step, "sheet": trace["sheet"], "traces": [trace]}
        (folder / "held_out" / f"step{step:05d}.json").write_text(json.dumps(content))
    train_example.keep({"factorized": folder}, store.Run(store.EXAMPLE, "", 0.0, SETTINGS, wanted=False))
    kept = store.find(store.EXAMPLE)
    assert status_of(kept).state == "finished"
    assert held_out.held_out_value(kept) == held_out.held_out_value(source)
    assert held_out.held_out(kept.arm_folder("factorized")).keys() == {0, 60}


# The queue and the state


def test_one_runs_at_a_time_and_the_others_know_their_place():
    first, second, third = (queue.submit(SETTINGS, token) for token in (OWNER, OTHER, OWNER))
    assert [state(run) for run in (first, second, third)] == ["running", "queued", "queued"]
    assert [status_of(store.find(run.id)).ahead for run in (second, third)] == [1, 2]
    assert head(status_of(store.find(third.id)))["left"] == "2 runs are before it in line"
    queue.stop(second.id, OTHER)
    assert state(second) == "stopped"
    kill(first)
    assert state(first) == "failed"
    queue.advance()
    assert state(third) == "running" and state(second) == "stopped"
    queue.resume(second.id, OTHER)
    assert state(second) == "queued"


def test_more_run_at_a_time_where_the_machine_allows_it(monkeypatch):
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "2")
    assert [state(queue.submit(SETTINGS, OWNER)) for _ in range(3)] == ["running", "running", "queued"]


def test_a_restarted_server_finds_the_running_one_and_the_queue():
    first, second = queue.submit(SETTINGS, OWNER), queue.submit(SETTINGS, OTHER)
    children, queue._CHILDREN[:] = list(queue._CHILDREN), []
    assert (state(first), state(second)) == ("running", "queued")
    queue.advance()
    assert (state(first), state(second)) == ("running", "queued")
    queue._CHILDREN[:] = children
    kill(first)
    queue.advance()
    assert state(second) == "running"


def test_another_process_with_its_number_is_not_taken_for_it():
    run = queue.submit(SETTINGS, OWNER)
    found = store.find(run.id)
    store.change(found, born=found.born - 3600)
    assert state(run) == "failed"


def test_a_killed_run_says_where_it_was_and_where_resume_goes_on():
    run = queue.submit(SETTINGS, OWNER)
    rows = [row(step) if step % 20 else evaluation(step, 0.5) for step in range(24)]
    leave(run, "factorized", rows, saved=20)
    assert state_words(status_of(store.find(run.id))) == "Step 23 of 60"
    said = head(status_of(store.find(run.id)))
    assert said["says"] == "Step 23 of 60"
    # 37 steps of 2 s, less what has passed of the one that goes on, and 2 evaluations of 3 s
    assert 36 * 2 <= said["seconds"]["steps"] <= 37 * 2 and said["seconds"]["evaluations"] == 2 * 3
    kill(run)
    assert state_words(status_of(store.find(run.id))) == "Failed at step 23 of 60: Resume goes on from step 20"
    queue.resume(run.id, OWNER)
    assert state(run) == "running"


@pytest.mark.parametrize(("rows", "ends"), [(0, False), (1, False), (59, False), (60, True)])
def test_a_run_ends_with_its_last_step_and_never_before_its_first(rows, ends):
    run = queue.submit(SETTINGS, OWNER)
    leave(run, "factorized", [row(step) for step in range(rows)], saved=None)
    assert head(status_of(store.find(run.id)))["ends"] is ends


def test_a_wish_to_stop_reaches_a_process_that_clears_it_while_it_starts():
    run = queue.submit(SETTINGS, OWNER)
    queue.stop(run.id, OWNER)
    assert state(run) == "stopping"
    (run.arm_folder("factorized") / "stop").unlink()  # as ``train`` does when it starts
    queue.advance()
    assert (run.arm_folder("factorized") / "stop").exists()
    leave(run, "factorized", [row(7)], saved=7)
    kill(run)
    assert state_words(status_of(store.find(run.id))) == "Stopped at step 7 of 60: Resume goes on from there"


def test_one_process_trains_both_arms_and_both_are_drawn_stopped_and_counted_down():
    run = queue.submit(TrainSettings(steps=4, assignment=BOTH), OWNER)
    assert "Evaluating 80 held-out problems" in state_words(status_of(store.find(run.id)))
    for arm, rows in (("joint", [evaluation(0, 0.5), row(1), row(2)]), ("factorized", [evaluation(0, 0.5), row(1)])):
        leave(run, arm, rows, saved=None)
    status = status_of(store.find(run.id))
    assert (status.state, state_words(status)) == ("running", "Step 1 of 4 · both arms")
    left = status.left(now=0.0)
    assert (left.steps, left.evaluations) == (5 * 2.0, 2 * 3.0), "of both arms, at their own pace"
    lines = train_view.look(run.id, OWNER, [], 0, {}).figures["charts"][0]["lines"]
    assert [(line["name"], len(line["points"])) for line in lines] == [("joint", 1), ("factorized", 1)]
    queue.stop(run.id, OWNER)
    assert all((run.arm_folder(arm) / STOP_FILE).exists() for arm in ("joint", "factorized"))
    for arm, rate in (("joint", 0.6), ("factorized", 0.9)):
        leave(run, arm, [evaluation(0, 0.5), evaluation(4, rate)], saved=4)
    kill(run)
    assert state(run) == "finished"
    lines = train_view.look(run.id, OWNER, [], 0, {}).verdict
    assert lines[0][1].startswith("Joint: no clear change, from") and "the intervals overlap" in lines[0][1]
    assert lines[1][1].startswith("Factorized: clearly better, from") and "80 held-out" in lines[1][1]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_run_of_an_earlier_version_that_has_trained_one_arm_opens_and_goes_on_with_the_other(wanted, monkeypatch):
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "0")
    run = queue.submit(TrainSettings(steps=4, assignment=BOTH), OWNER)
    leave(run, "joint", [evaluation(0, 0.5), evaluation(4, 0.6)], saved=4)
    (run.folder / "joint.log").write_text("step 4/4\n")
    store.change(run, arm="joint", pid=2**22 + 1, born=0.0, wanted=wanted)  # its process has ended
    assert state(run) == ("queued" if wanted else "stopped")
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "1")
    queue.advance() if wanted else queue.resume(run.id, OWNER)
    leave(run, "factorized", [evaluation(0, 0.5), row(1)], saved=1)
    assert state_words(status_of(store.find(run.id))) == "Step 1 of 4 · factorized"
    kill(run)
    assert state_words(status_of(store.find(run.id))).startswith("Failed at step 1 of 4 · factorized: Resume goes on")
    assert COMMAND_OF(run)[-1] == "--resume"


def test_a_training_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setattr(queue, "command_of", lambda run: ["-c", "import sys; sys.exit('no ' + '<b>luck')"])
    run = queue.submit(SETTINGS, OWNER)
    queue._CHILDREN[0].wait()
    status = status_of(store.find(run.id))
    assert (status.state, status.trouble) == ("failed", "no <b>luck")
    assert state_words(status) == "Failed at step 0 of 60: Resume starts over"


def test_one_that_cannot_be_started_has_failed_and_holds_up_no_other(monkeypatch):
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "0")
    first = queue.submit(SETTINGS, OWNER)
    first.log.mkdir()
    second = queue.submit(SETTINGS, OTHER)
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "1")
    for _ in range(2):
        queue.advance()
    assert [state(run) for run in (first, second)] == ["failed", "running"]


def test_one_that_can_be_neither_started_nor_marked_as_failed_is_tried_after_the_others(monkeypatch):
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "0")
    first, second, stopped = (queue.submit(SETTINGS, token) for token in (OWNER, OTHER, OTHER))
    queue.stop(stopped.id, OTHER)
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "1")
    changed = queue.change

    def refuses(run, **changes):
        if run.id == first.id:
            raise WriteError("cannot write its run.json")
        return changed(run, **changes)

    monkeypatch.setattr(queue, "change", refuses)
    third = queue.submit(SETTINGS, OTHER)  # the visitor hears nothing of another's run
    queue.resume(stopped.id, OTHER)
    assert [state(run) for run in (first, second, third)] == ["queued", "running", "queued"]
    monkeypatch.setattr(queue, "change", changed)
    for run in (second, third, stopped):
        queue.stop(run.id, OTHER)
    kill(second)
    queue.advance()
    assert state(first) == "running" and first.id not in queue._TRIES


def test_what_fails_with_a_running_one_holds_up_no_other(monkeypatch):
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "2")
    broken = queue.submit(SETTINGS, OWNER)
    store.change(store.find(broken.id), wanted=False)
    broken.arm_folder("factorized").write_text("no folder")
    second = queue.submit(SETTINGS, OTHER)
    assert [state(run) for run in (broken, second)] == ["stopping", "running"]


def test_the_command_repeats_the_run_with_the_same_prompts_in_both_arms(monkeypatch):
    monkeypatch.undo()
    settings = TrainSettings(assignment=BOTH, difficulties={"medium": 1.0, "hard": 2.0}, seed=5)
    joint, factorized = (settings.arguments(arm, "checkpoints/base", "out") for arm in settings.arms)
    assert [a for a, b in zip(joint, factorized, strict=True) if a != b] == ["joint"]
    both = settings.arguments(BOTH, "checkpoints/base", "out")
    assert both == [
        word for each in factorized for word in (["--arms", "joint"] if each == "--assignment" else [each])
    ]
    assert " ".join(joint).startswith("train --checkpoint checkpoints/base --output out --assignment joint")
    assert "--difficulty medium=1 hard=2" in " ".join(joint) and "--seed 5" in " ".join(joint)


def test_the_command_holds_every_number_to_its_last_digit():
    settings = TrainSettings(
        seed=int(SEED.high), learning_rate=1.2345678901234567e-5, difficulties={"medium": 1 / 3, "hard": 99.0}
    )
    parser = ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(settings.arguments("joint", "checkpoints/base", "out")[1:])
    assert (args.seed, args.learning_rate) == (settings.values["seed"], settings.values["learning_rate"])
    assert weights(args.difficulties) == settings.difficulties


def test_a_view_updates_every_part_and_leaves_alone_what_has_not_changed():
    run = queue.submit(SETTINGS, OWNER)
    leave(run, "factorized", [evaluation(0, 0.5), row(1)], saved=None)
    first = train_view.look(run.id, OWNER, [], 0.5, {})
    again = train_view.look(run.id, OWNER, [], 0.5, first.seen)
    assert (
        first.is_mine and len(first.figures["charts"]) > 2 and first.changed == {"run", "figures", "held_out", "state"}
    )
    assert not again.changed and again.figures is None
    assert train_view.look(run.id, OWNER, [], 0.6, first.seen).changed == {"figures"}
    nothing = train_view.look("0" * 12, OWNER, [], 0.5, first.seen)
    shown = set(train_events.SHOWN)
    whole, same, none = (set(train_events.updates_of(view, OWNER)) for view in (first, again, nothing))
    assert whole == shown and same == {"head", "start", "going", "timer"}
    assert none == shown - {"stop", "resume", "delete", "archive", "to_compare", "trained"}
    assert len(train_events.outputs_of(again, OWNER)) == len(shown)


# Limits and clean-up


def test_a_visitor_may_not_take_everything(monkeypatch):
    monkeypatch.setenv("MMREASON_VISITOR_RUNS", "2")
    monkeypatch.setenv("MMREASON_VISITOR_STEPS", "150")
    queue.submit(SETTINGS, OWNER)
    with pytest.raises(MMReasonError, match="60 are taken and this one asks for 120"):
        queue.submit(TrainSettings(steps=60, assignment=BOTH), OWNER)
    run = queue.submit(SETTINGS, OWNER)
    with pytest.raises(MMReasonError, match="one visitor may have at most 2 runs"):
        queue.submit(SETTINGS, OWNER)
    queue.stop(run.id, OWNER)
    monkeypatch.setenv("MMREASON_VISITOR_MB", "0")
    with pytest.raises(MMReasonError, match="delete one first"):
        queue.submit(SETTINGS, OWNER)
    queue.submit(SETTINGS, OTHER)


HUGE = TrainSettings(steps=1000, num_problems=32, num_generations=32, assignment=BOTH)


def test_new_tokens_gain_nothing_where_too_many_trainings_wait(monkeypatch):
    monkeypatch.setenv("MMREASON_MAX_RUNS", "5")
    taken = 0
    for number in range(100):
        with suppress(ConfigError):
            queue.submit(SETTINGS, f"{number} {OWNER}")
            taken += 1
    assert taken == len(store.all_runs()) == 5
    with pytest.raises(ConfigError, match="5 trainings are waiting or running here already"):
        queue.submit(SETTINGS, OWNER)


def test_an_address_may_not_take_all_places_with_new_tokens(monkeypatch):
    monkeypatch.setenv("MMREASON_ADDRESS_RUNS", "2")
    first = queue.submit(SETTINGS, OWNER, "8.8.8.8")
    queue.submit(SETTINGS, f"1 {OWNER}", "8.8.8.8")
    with pytest.raises(ConfigError, match="one address may have at most 2 trainings"):
        queue.submit(SETTINGS, f"2 {OWNER}", "8.8.8.8")
    queue.submit(SETTINGS, f"3 {OWNER}", "9.9.9.9")
    queue.submit(SETTINGS, f"4 {OWNER}")
    queue.stop(first.id, OWNER)
    kill(first)
    assert "8.8.8.8" not in "".join(p.read_text() for p in first.folder.rglob("*") if p.is_file())
    queue.submit(SETTINGS, f"5 {OWNER}", "8.8.8.8")


def test_the_work_of_one_run_is_bounded_in_the_form_and_in_the_queue():
    with pytest.raises(
        ConfigError, match="may have 320000 rollouts in all, evaluations included, and this one asks for 2056160"
    ):
        queue.submit(HUGE, OWNER)
    with pytest.raises(ConfigError, match="one run may have 320000 rollouts"):
        checked_settings(values(steps=1000, eval_steps=1, eval_problems=1000), OWNER)
    for settings in PRESETS.values():
        quota.check_work(settings.but(assignment=BOTH))


def test_a_run_that_goes_on_too_long_is_stopped_says_so_and_can_be_resumed_behind_the_others(monkeypatch):
    long, other = queue.submit(SETTINGS, OWNER), queue.submit(SETTINGS, OTHER)
    queue.advance()
    assert state(long) == "running"
    monkeypatch.setattr(queue, "_minutes", lambda run: 241.0 if run.id == long.id else 0.0)
    queue.advance()
    assert state(long) == "stopping"
    assert (long.arm_folder("factorized") / STOP_FILE).exists()
    kill(long)
    status = status_of(store.find(long.id))
    assert (status.state, status.trouble) == ("stopped", "it had run for 240 minutes, the most at a time")
    queue.resume(long.id, OWNER)
    assert status_of(store.find(long.id)).trouble == ""
    assert store.find(long.id).since > other.since
    assert state(other) == "running"


def test_a_run_that_takes_too_much_of_the_disk_is_stopped_and_says_so(monkeypatch):
    monkeypatch.setenv("MMREASON_RUN_MB", "2")
    run, waiting = queue.submit(SETTINGS, OWNER), queue.submit(SETTINGS, OTHER)
    queue.stop_the_large()
    assert state(run) == "running"
    for each in (run, waiting):
        (each.folder / "samples").write_bytes(b"0" * 3 * MB)
    queue.stop_the_large()
    assert [state(each) for each in (run, waiting)] == ["stopping", "queued"]
    kill(run)
    assert [status_of(each).trouble for each in store.all_runs() if not each.wanted] == [
        "it took 3 MB, and one run may take 2"
    ]


def test_the_minutes_of_a_run_are_those_of_its_process():
    run = queue.submit(SETTINGS, OWNER)
    assert 0 <= queue._minutes(store.find(run.id)) < 5


def test_what_is_resumed_counts_as_what_is_started(monkeypatch):
    monkeypatch.setenv("MMREASON_VISITOR_RUNS", "2")
    earlier = [queue.submit(SETTINGS, OWNER) for _ in range(2)]
    for run in earlier:
        queue.stop(run.id, OWNER)
    kill(earlier[0])
    for _ in range(2):
        queue.submit(SETTINGS, OWNER)
    with pytest.raises(ConfigError, match="one visitor may have at most 2 runs"):
        queue.resume(earlier[0].id, OWNER)


def test_runs_that_were_taken_back_before_they_began_make_room_and_no_other_does(monkeypatch):
    monkeypatch.setattr(queue, "MAX_KEPT", 3)
    runs_, waits_, back = (queue.submit(SETTINGS, f"{i} {OWNER}") for i in range(3))
    queue.stop(back.id, f"2 {OWNER}")
    new = queue.submit(SETTINGS, OTHER)
    assert {run.id for run in store.all_runs()} == {runs_.id, waits_.id, new.id}
    with pytest.raises(ConfigError, match="has no room for more runs"):
        queue.submit(SETTINGS, OTHER)


def test_one_that_was_resumed_and_taken_back_keeps_what_it_has_learnt(monkeypatch):
    monkeypatch.setattr(queue, "MAX_KEPT", 3)
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "0")
    learnt, back, _ = (queue.submit(SETTINGS, f"{i} {OWNER}") for i in range(3))
    leave(learnt, "factorized", [row(step) for step in range(1, 6)], saved=5)
    for act in (queue.stop, queue.resume, queue.stop):
        act(learnt.id, f"0 {OWNER}")
    assert all(run.arm is None for run in store.all_runs())
    with pytest.raises(ConfigError, match="has no room for more runs"):
        queue.submit(SETTINGS, OTHER)
    queue.stop(back.id, f"1 {OWNER}")
    queue.submit(SETTINGS, OTHER)
    assert store.find(back.id) is None
    assert max(status_of(run).resumes_at or 0 for run in store.all_runs()) == 5


def test_a_start_among_many_runs_reads_none_of_them_again(monkeypatch):
    monkeypatch.setenv("MMREASON_MAX_RUNS", "1000")
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "0")
    for number in range(60):
        run = store.create(SETTINGS, f"{number} {OWNER}")
        if number % 2:
            store.change(run, wanted=False)
    queue.advance()
    read, opened = [], store.opened
    monkeypatch.setattr(store, "opened", lambda run_id: read.append(run_id) or opened(run_id))
    new = queue.submit(SETTINGS, OTHER)
    assert read == [new.id]


def later(monkeypatch, seconds, has_jumped=False):
    """From now on it is ``seconds`` later for the queue, or only the clock says so.

    Not for the process: an event loop of a server in it would sleep that much longer.
    """
    before = queue.time
    moved = ("time",) if has_jumped else ("time", "monotonic")
    clock = {name: getattr(before, name) for name in ("time", "monotonic", "sleep")}
    clock |= {name: lambda real=clock[name]: real() + seconds for name in moved}
    monkeypatch.setattr(queue, "time", SimpleNamespace(**clock))


def test_old_runs_go_and_never_one_that_runs_or_waits(folder, monkeypatch):
    running, waiting = queue.submit(SETTINGS, OWNER), queue.submit(SETTINGS, OWNER)
    old = queue.submit(SETTINGS, OTHER)
    queue.stop(old.id, OTHER)
    assert queue.clean_up() == []
    later(monkeypatch, 30 * 86400)
    assert queue.clean_up() == []
    later(monkeypatch, queue.SURE)
    assert queue.clean_up() == [old.id]
    assert {run.id for run in store.all_runs()} == {running.id, waiting.id}
    assert not list(folder.glob(".gone-*"))


def test_the_oldest_go_when_all_take_too_much(monkeypatch):
    queue.submit(SETTINGS, "a third visitor's token")
    ended = []
    for age in (3, 2, 1):
        run = queue.submit(SETTINGS, OWNER)
        queue.stop(run.id, OWNER)
        store.change(store.find(run.id), created=run.created - 1000 * age)
        (run.folder / "weights").write_bytes(b"0" * 700_000)
        ended.append(run.id)
    monkeypatch.setenv("MMREASON_RUNS_MB", "2")
    assert queue.clean_up() == ended[:1]
    monkeypatch.setenv("MMREASON_RUNS_MB", "0")
    assert queue.clean_up() == ended[1:]
    assert len(store.all_runs()) == 1


def test_the_size_of_a_run_that_is_saved_meanwhile_is_that_of_what_is_there(monkeypatch):
    run = queue.submit(SETTINGS, OWNER)
    folder, lstat = leave(run, "factorized", [row(1)], saved=1), Path.lstat

    def goes_meanwhile(path):
        if path.parent == folder:
            for name in ("state", "checkpoint"):
                shutil.rmtree(folder / name, ignore_errors=True)
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", goes_meanwhile)
    assert store.size_of(run) >= (folder / "metrics.jsonl").stat().st_size


def test_what_one_visitor_takes_costs_no_run_of_another(monkeypatch):
    monkeypatch.setenv("MMREASON_RUNS_MB", "2")
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "0")
    small, early, late = (queue.submit(SETTINGS, token) for token in (OTHER, OWNER, OWNER))
    for run, token, size in ((small, OTHER, 500), (early, OWNER, 900), (late, OWNER, 900)):
        queue.stop(run.id, token)
        (run.folder / "weights").write_bytes(b"0" * size * 1000)
    active = queue.submit(SETTINGS, OWNER)
    (active.folder / "samples").write_bytes(b"0" * 3 * MB)
    assert queue.clean_up() == [early.id]
    assert {run.id for run in store.all_runs()} == {small.id, late.id, active.id}


def test_a_running_one_is_not_deleted(folder):
    run = queue.submit(SETTINGS, OWNER)
    with pytest.raises(MMReasonError, match="must have stopped to be deleted; it is running"):
        queue.delete(run.id, OWNER)
    kill(run)
    queue.delete(run.id, OWNER)
    assert store.find(run.id) is None and not (folder / run.id).exists()


# The form


def values(**changes):
    return {"checkpoint": "base"} | train_form.filled(PRESETS["Short (CPU)"]) | changes


def test_the_presets_pass_their_own_check():
    for name in PRESETS:
        found = checked_settings({"checkpoint": "base"} | train_form.filled(PRESETS[name]), OWNER)
        assert found == PRESETS[name].but(assignment="both")
        assert train_form.preset_of(found) == name
        assert train_form.preset_of(found.but(assignment="joint", checkpoint="other")) == name
        assert train_form.preset_of(found.but(seed=found.values["seed"] + 1)) == train_form.CUSTOM
        assert TrainSettings.of(json.loads(json.dumps(found.stored()))) == found


NUMBERS = [each for each in (*train_form.FEW, *train_form.MORE) if isinstance(each, NumberSetting)]
BAD = [
    ("checkpoint", "../x", "checkpoint must be one that is here"),
    ("checkpoint", None, "checkpoint must be one that is here"),
    ("tasks", [], "choose at least one task"),
    ("tasks", ["chess"], "chess"),
    ("weight_easy", -1, "weight of easy must be a number from 0 to 100, got '-1'"),
    ("weight_hard", 0, "weight of easy, medium or hard must be above 0"),
    ("weight_hard", "nan", "weight of hard must be a number"),
    ("assignment", "both ways", "assignment must be one of joint, factorized, both, got 'both ways'"),
    ("granularity", None, "compared by must be one of trace, turn"),
    *(
        (field.name, bad, f"{field.page.label.lower()} must be a")
        for field in NUMBERS
        for bad in (field.limit.low - 1, field.limit.high * 10, None, "abc", float("nan"), True)
    ),
    *((field.name, 2.5, "must be a whole number from") for field in NUMBERS if isinstance(field.limit, Whole)),
    ("bf16", "yes", "bf16 must be true or false"),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_a_bad_value_is_refused_in_one_sentence(name, value, said):
    with pytest.raises(MMReasonError) as caught:
        checked_settings(values(**{name: value}), OWNER)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_too_many_rollouts_are_refused_though_each_field_is_right():
    with pytest.raises(MMReasonError, match="group size must be at most 1024, got 128 × 32"):
        checked_settings(values(num_problems=128, num_generations=32), OWNER)


# Clock and disk


def test_a_clock_that_jumps_neither_ends_a_run_nor_lets_a_later_one_in_first(monkeypatch):
    first, second = queue.submit(SETTINGS, OWNER), queue.submit(SETTINGS, OTHER)
    real, boot = time.time, psutil.boot_time()
    for jump in (-30 * 86400, 30 * 86400):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda jump=jump: boot + jump)  # as Linux does
        third = queue.submit(SETTINGS, OWNER)
        assert [state(run) for run in (first, second, third)] == ["running", "queued", "queued"]
        assert [status_of(store.find(run.id)).ahead for run in (second, third)] == [1, 2]
        queue.stop(third.id, OWNER)


def test_a_clock_that_jumps_ahead_and_back_deletes_nothing(monkeypatch):
    run = queue.submit(SETTINGS, OWNER)
    queue.stop(run.id, OWNER)
    kill(run)
    week = 8 * 86400
    for jump in (week, -week, week):
        later(monkeypatch, jump, has_jumped=True)
        assert queue.clean_up() == []
        later(monkeypatch, queue.SURE / 2)
        assert queue.clean_up() == []


def fill_disk(monkeypatch):
    """From now on no content can be kept."""

    def fails(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fails)


def test_on_a_full_disk_no_run_starts_and_nothing_is_left_of_it(folder, monkeypatch):
    fill_disk(monkeypatch)
    said, *rest = train_events.on_start(
        SimpleNamespace(client=None), OWNER, None, *(values()[name] for name in train_form.CONTROLS)
    )
    assert said == "This server cannot write its runs (No space left on device): try again later."
    assert rest == [gr.skip()] * 5
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_a_process_that_cannot_be_kept_on_record_does_not_go_on(monkeypatch, caplog):
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "0")
    run = queue.submit(SETTINGS, OWNER)
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "1")
    fill_disk(monkeypatch)
    for _ in range(3):
        caplog.clear()
        queue.advance()
        assert "No space left" in caplog.text
        assert state(run) == "queued"
        assert all(child.wait(10) < 0 for child in queue._CHILDREN)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    queue.advance()
    assert state(run) == "running"


def test_of_metrics_that_grow_only_the_last_reading_stays_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(runs_state, "MAX_ROWS", 30)
    monkeypatch.setattr(runs_state, "_READ", {})
    mark = "a key of this test"

    def kept():
        gc.collect()
        return sum(type(each) is dict and mark in each for each in gc.get_objects())

    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "metrics.jsonl").open("a") as file:
            for step in range(20):
                file.write(json.dumps({"step": step, mark: [step]}) + "\n")
                file.flush()
                assert len(runs_state.rows_of(tmp_path / name)) == step + 1
    assert kept() == 20  # the runs together have more than may be kept, and this one was read last
    assert len(runs_state.rows_of(tmp_path / "one")) == 20
