"""Pushing a trained checkpoint with the real client to a Hub on this machine, and what is said when it cannot be."""

from __future__ import annotations

import shutil

import pytest

from mmreason.errors import ConfigError
from mmreason.training.rl.presets import BOTH, TrainSettings
from mmreason.ui.host import checkpoints
from mmreason.ui.runs import store
from mmreason.ui.train import push
from tests.helpers.fake_hub import ANOTHER, BAD, GOOD, FakeHub, fake_hub
from tests.helpers.training_runs import OTHER, OWNER, leave, row


@pytest.fixture
def hub(monkeypatch):
    """The only Hub that the client knows."""
    with fake_hub() as there:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", there.address)
        yield there


@pytest.fixture
def run(tmp_path, monkeypatch, tiny_checkpoint):
    """A run of OWNER's with a checkpoint."""
    monkeypatch.setenv(checkpoints.RUNS_SETTING, str(tmp_path / "runs"))
    made = store.create(TrainSettings(steps=2), OWNER)
    folder = leave(made, "factorized", [row(1), row(2)], saved=2)
    shutil.copytree(tiny_checkpoint, folder / "checkpoint", dirs_exist_ok=True)
    return made


def test_the_whole_checkpoint_arrives_and_may_be_pushed_again(hub: FakeHub, run, tiny_checkpoint):
    for _ in range(2):  # the second time the repository is there, and known to be this run's
        said = push.push(run.id, OWNER, " mine ", GOOD)
        assert said == f"Pushed factorized, step 2, to {hub.address}/somebody/mine."
    files = {
        path.relative_to(tiny_checkpoint).as_posix(): path for path in tiny_checkpoint.rglob("*") if path.is_file()
    }
    assert hub.repositories["somebody/mine"].keys() - {".gitattributes"} == files.keys()
    assert all(hub.repositories["somebody/mine"][name] == path.read_bytes() for name, path in files.items())
    assert push.push(run.id, OWNER, "club/mine", GOOD).endswith("/club/mine.")


@pytest.mark.parametrize("token", [OTHER, "", None])
def test_only_the_owner_pushes(hub: FakeHub, run, token):
    with pytest.raises(ConfigError, match=r"only the visitor who started run .* may push it"):
        push.push(run.id, token, "mine", GOOD)
    assert hub.repositories == {}


@pytest.mark.parametrize("oauth", [None, ""])
def test_who_has_not_signed_in_is_told_to(hub: FakeHub, run, oauth):
    with pytest.raises(ConfigError, match="sign in first"):
        push.push(run.id, OWNER, "mine", oauth)


@pytest.mark.parametrize("name", ["", None, "a/b/c", "../x", "a b", "-x", "x" * 200, "<img>", "mine--", "a..b"])
def test_a_wrong_name_is_refused_before_anything_is_made(hub: FakeHub, run, name):
    with pytest.raises(ConfigError, match="repository must be a name") as caught:
        push.push(run.id, OWNER, name, GOOD)
    assert "\n" not in str(caught.value) and hub.repositories == {}


def test_a_repository_that_is_not_this_runs_is_not_written_over(hub: FakeHub, run):
    hub.repositories["somebody/mine"] = {"model.bin": b"precious"}
    with pytest.raises(ConfigError, match="repository 'mine' exists already: choose a name that is free"):
        push.push(run.id, OWNER, "mine", GOOD)
    assert hub.repositories["somebody/mine"] == {"model.bin": b"precious"}


def test_another_accounts_repository_of_the_same_name_is_not_written_over(hub: FakeHub, run):
    push.push(run.id, OWNER, "mine", GOOD)
    hub.repositories["somebody-else/mine"] = {"model.bin": b"precious"}
    with pytest.raises(ConfigError, match="repository 'mine' exists already: choose a name that is free"):
        push.push(run.id, OWNER, "mine", ANOTHER)  # the same visitor, signed in anew
    assert hub.repositories["somebody-else/mine"] == {"model.bin": b"precious"}
    assert push.push(run.id, OWNER, "mine", GOOD).endswith("/somebody/mine.")


def test_a_sign_in_that_is_over_and_an_account_that_may_not_are_said(hub: FakeHub, run):
    with pytest.raises(ConfigError, match="the sign-in is no longer valid"):
        push.push(run.id, OWNER, "mine", BAD)
    hub.refuse = 403
    with pytest.raises(ConfigError, match="repository 'club/mine' must be one that your account may write to"):
        push.push(run.id, OWNER, "club/mine", GOOD)
    hub.refuse = 500
    with pytest.raises(ConfigError, match=r"the Hub refused 'mine' \(500\)"):
        push.push(run.id, OWNER, "mine", GOOD)


def test_without_a_network_it_says_so(run, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens
    with pytest.raises(ConfigError, match=r"the Hub cannot be reached .*; try again later") as caught:
        push.push(run.id, OWNER, "mine", GOOD)
    assert "\n" not in str(caught.value)


def test_of_both_arms_it_says_which_was_pushed(hub: FakeHub, run, tiny_checkpoint):
    both = store.create(TrainSettings(steps=2, assignment=BOTH), OWNER)
    for arm in both.settings.arms:
        folder = leave(both, arm, [row(1), row(2)], saved=2)
        shutil.copytree(tiny_checkpoint, folder / "checkpoint", dirs_exist_ok=True)
    assert push.push(both.id, OWNER, "mine", GOOD).startswith("Pushed factorized, step 2, to ")
    shutil.rmtree(both.arm_folder("factorized") / "checkpoint")
    assert push.push(both.id, OWNER, "mine", GOOD).startswith("Pushed joint, step 2, to ")


def test_a_run_that_may_still_change_is_not_pushed(hub: FakeHub, run):
    leave(run, "factorized", [row(1)], saved=1)
    with pytest.raises(ConfigError, match="must have stopped to be pushed; it is queued"):
        push.push(run.id, OWNER, "mine", GOOD)
    assert hub.repositories == {}
    store.change(run, wanted=False)
    assert push.push(run.id, OWNER, "mine", GOOD).startswith("Pushed factorized, step 1, to ")


def test_without_a_checkpoint_there_is_nothing_to_push(hub: FakeHub, run):
    shutil.rmtree(run.arm_folder("factorized") / "checkpoint")
    with pytest.raises(ConfigError, match="no checkpoint yet"):
        push.push(run.id, OWNER, "mine", GOOD)
