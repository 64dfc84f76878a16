"""The server is killed and started again, then a training: what the visitor sees, in a real browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from mmreason.commands.make.screenshots import free_port, wait_for
from mmreason.ui.host import checkpoints
from mmreason.ui.runs import store
from mmreason.ui.runs.state import is_alive, status_of
from tests.helpers import policies
from tests.helpers.browser import ROOT
from tests.ui.train.test_train import PATIENCE, one_arm, open_train, says, start


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """A function that starts ``app.py`` on a port, with an empty store of runs; at the end all processes end."""
    policies.pipeline_of(policies.talking_policy()).save_pretrained(tmp_path / "checkpoints" / "base")
    monkeypatch.setenv(checkpoints.RUNS_SETTING, str(tmp_path / "runs"))
    monkeypatch.setenv(checkpoints.CHECKPOINTS_SETTING, str(tmp_path / "checkpoints"))
    servers = []

    def start_server(port: int) -> subprocess.Popen[bytes]:
        environment = os.environ | {"GRADIO_SERVER_PORT": str(port)}
        servers.append(subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment))
        wait_for(f"http://127.0.0.1:{port}", servers[-1])
        return servers[-1]

    yield start_server
    for server in servers:
        server.kill()
        server.wait()
    for run in store.all_runs():
        kill_training(run.id)


def kill_training(run_id: str) -> None:
    run = store.find(run_id)
    if run is not None and run.pid and is_alive(run):
        os.kill(run.pid, signal.SIGKILL)
        until(lambda: not is_alive(run))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.2)


@pytest.mark.slow
def test_a_killed_server_is_told_its_training_goes_on_and_a_killed_training_offers_to_resume(serve, browser):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = serve(port)
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    one_arm(open_train(lambda *_: page, address))
    run_id = start(page, steps=1000, eval_steps=500, save_steps=1)
    until(lambda: status_of(store.find(run_id)).step > 0)

    # the server is killed while it solves: the page says so, and is there again when the server is
    page.get_by_role("tab", name="Watch", exact=True).click()
    server.send_signal(signal.SIGSTOP)
    page.locator("#solve").click()
    server.kill()
    server.wait()
    page.get_by_text("Connection to the server was lost").first.wait_for()
    seen = status_of(store.find(run_id)).step
    server = serve(port)
    expect(page.get_by_text("Connection to the server was lost")).to_have_count(0, timeout=PATIENCE)
    page.goto(address)
    page.locator("#solve").click()
    page.locator(".mm-player[data-state=finished]").wait_for()

    # the training went on, and its link shows it
    page.goto(f"{address}?run={run_id}")
    says(page, "of 1000")
    until(lambda: status_of(store.find(run_id)).step > seen)
    killed = store.find(run_id)
    assert is_alive(killed)

    # the training is killed: the tab says where, and Resume puts it in line again
    kill_training(run_id)
    says(page, "Resume goes on from step")
    page.locator("#train-resume").click()
    until(lambda: is_alive(store.find(run_id)))
    assert store.find(run_id).pid != killed.pid
    page.context.close()
