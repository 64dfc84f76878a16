"""The tab Train in a real browser: start, watch, stop, resume, reload, two visitors, bad values."""

import json
import os
import re
import shutil
import signal
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from mmreason import places
from mmreason.errors import MMReasonError
from mmreason.records import DIFFICULTIES
from mmreason.settings import NumberSetting
from mmreason.traces.sheet import load_with_sheet
from mmreason.training.rl.presets import BOTH, PRESETS, TrainSettings
from mmreason.training.run.remaining import last_step
from mmreason.ui.host import checkpoints
from mmreason.ui.runs import queue, store
from mmreason.ui.runs.state import is_alive, status_of
from mmreason.ui.shell.field import at_field, at_fields
from mmreason.ui.shell.words import sentence
from mmreason.ui.train import tab
from mmreason.ui.train.form import CALLED, FEW, MORE, filled, read_form
from mmreason.ui.train.kept import values_at_arrival
from tests.helpers import policies
from tests.helpers.browser import HOSTILE, launched, reload, settle
from tests.helpers.training_runs import OWNER, checked_settings, evaluation, finished_run, fork_trainings, leave, row

PATIENCE = 180_000  # a training process imports torch first
UNTIL_STOPPED = "import pathlib, sys, time\nwhile not (pathlib.Path(sys.argv[1]) / 'stop').exists(): time.sleep(0.05)"
QUICK = {"num_problems": 2, "num_generations": 2, "eval_problems": 3, "eval_steps": 2, "save_steps": 2}


@pytest.fixture(scope="module")
def train_page(tmp_path_factory):
    """The page with an empty store of runs and a tiny policy as its checkpoint."""
    folder = tmp_path_factory.mktemp("train")
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    patch.setenv(checkpoints.RUNS_SETTING, str(folder / "runs"))
    patch.setenv(checkpoints.CHECKPOINTS_SETTING, str(folder / "checkpoints"))
    patch.setattr(tab, "POLL_SECONDS", 0.3)
    fork_trainings(patch)
    policies.pipeline_of(policies.talking_policy()).save_pretrained(folder / "checkpoints" / "base")
    with launched() as address:
        yield SimpleNamespace(address=address)
        _end_all()
    patch.undo()


@pytest.fixture(autouse=True)
def nothing_is_left(train_page):
    yield
    _end_all()


def _end_all() -> None:
    """Stop what runs, and forget all runs."""
    with store.locked() as folder:
        for run in store.all_runs():
            store.change(run, wanted=False)
        for child in queue._CHILDREN:
            child.kill()
            child.wait()
        queue._CHILDREN.clear()
        for run in store.all_runs():
            shutil.rmtree(folder / run.id)


def open_train(visit, address: str, **options) -> Page:
    page = visit(address, **options)
    page.get_by_role("tab", name="Train", exact=True).click()
    page.locator("#train-start").wait_for()
    page.locator("#train-head .mm-run:visible").wait_for()
    return page


def fill(page: Page, name: str, value: object) -> None:
    field = page.locator(f"#train-{name} input")
    field.fill(str(value))
    field.press("Tab")


def one_arm(page: Page) -> None:
    """Choose factorized alone."""
    page.locator("#train-assignment").get_by_label("factorized", exact=True).click()


def start(page: Page, steps: int = 4, **more: object) -> str:
    """Start a small run; returns its id."""
    if not page.locator("#train-eval_problems input").is_visible():
        page.locator("#train-more button").first.click()
        page.locator("#train-eval_problems input").wait_for()
    for name, value in (QUICK | {"steps": steps} | more).items():
        fill(page, name, value)
    known = {run.id for run in store.all_runs()}
    page.locator("#train-start").click()
    page.wait_for_function(
        "() => document.querySelector('#train-link textarea, #train-link input')?.value.includes('?run=')"
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        new = [run.id for run in store.all_runs() if run.id not in known]
        if new:
            expect(page.locator("#train-link").locator("textarea, input")).to_have_value(re.compile(f"run={new[0]}"))
            assert page.url.endswith(f"?run={new[0]}")
            return new[0]
        time.sleep(0.1)
    raise AssertionError(page.locator("#train-form-says").inner_text())


def says(page: Page, text: str) -> None:
    expect(page.locator("#train-head .state")).to_contain_text(text, timeout=PATIENCE)


def at_least(page: Page, count: int) -> None:
    """Wait until the figure of held-out success has so many points."""
    page.wait_for_function(
        "count => document.querySelectorAll('#train-figures .mm-charts:not(.dimmed) .figure:first-child .point')"
        ".length >= count",
        arg=count,
        timeout=PATIENCE,
    )


def open_samples(page: Page) -> list[str]:
    """Open the first of the samples of trainings that Inspect offers; returns what it offers."""
    page.get_by_role("tab", name="Inspect", exact=True).click()
    page.locator("#source").get_by_label("Training run").click()
    page.locator("#run-samples input").click()
    options = page.locator("[role=listbox] [role=option]")
    options.first.wait_for()
    offered = options.all_inner_texts()
    options.first.click()
    page.locator("#open-run").click()
    page.locator("#group").get_by_text("samples of the training run factorized, step 4").wait_for()
    return [text.strip().removeprefix("✓").strip() for text in offered]


# Before the first run


def test_a_newcomer_sees_an_example_and_may_overlay_it_on_a_run_of_their_own(train_page, visit):
    page = open_train(visit, train_page.address)
    expect(page.locator("#train-empty")).to_contain_text("An example, until you start a run of your own")
    expect(page.locator("#train-empty code")).to_have_text("python -m mmreason make train-example")
    page.locator("#train-figures .mm-chart").nth(3).wait_for()
    expect(page.locator("#train-held-out canvas")).to_have_count(9)  # before, and both arms
    names = page.locator("#train-figures .figure:first-child .key text").all_text_contents()
    assert names == ["joint", "factorized"]
    expect(page.locator("#train-verdict")).to_contain_text("Factorized against joint after step", use_inner_text=True)
    assert page.locator("#train-stop").is_hidden() and page.locator("#train-take").is_hidden()
    assert "run=" not in page.url or page.url.endswith("?run=example")


# From start to finished


@pytest.mark.slow
def test_a_run_is_started_grows_its_curves_and_leaves_a_checkpoint(train_page, visit):
    page = open_train(visit, train_page.address)
    expect(page.locator("#train-lost")).to_contain_text("loses it", use_inner_text=True)
    one_arm(page)
    run_id = start(page, steps=4, eval_problems=40)  # as many as take longer than what is looked at here
    expect(page.locator("#train-start")).to_be_hidden()
    expect(page.locator("#train-going")).to_have_text(re.compile("Training… step 0 of 4 · Stop|Waiting in line"))
    expect(page.locator("#train-head .state")).to_be_in_viewport()
    expect(page.locator("#train-figures .dimmed .note")).to_contain_text("until this run has its first point")
    expect(page.locator("#train-preset").get_by_label("custom")).to_be_checked()
    expect(page.locator("#train-preset-says p")).to_have_count(0)  # what was measured was measured of other settings
    expect(page.locator("#train-empty")).to_be_hidden(timeout=PATIENCE)  # the example has gone
    at_least(page, 1)
    page.evaluate("document.querySelector('#train-figures .mm-chart').dataset.same = 'yes'")
    at_least(page, 3)
    expect(page.locator("#train-figures [data-same=yes]")).to_have_count(1)  # drawn in place
    says(page, "Finished: 4 steps")
    expect(page.locator("#train-start")).to_be_visible()
    expect(page.locator("#train-head .spent")).to_contain_text("tokens learnt from", use_inner_text=True)
    assert "no clear change" in page.locator("#train-verdict").inner_text().lower()
    expect(page.locator("#train-held-out canvas")).to_have_count(6)
    page.locator("#train-held-out").get_by_text("Now, step 4").first.wait_for()
    command = page.locator("#train-command textarea").input_value()
    assert command.startswith("python -m mmreason train --checkpoint checkpoints/base") and "--steps 4" in command
    page.locator("#train-archive:not([disabled])").wait_for()
    with page.expect_download() as download:
        page.locator("#train-archive").click()
    with zipfile.ZipFile(str(download.value.path())) as archive:
        assert "factorized/checkpoint/model_index.json" in archive.namelist()
    page.get_by_role("tab", name="Watch", exact=True).click()  # there at once, and for its owner alone
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name=f"yours: factorized, step 4 ({run_id[:4]})").click()
    page.locator("#solve").click()
    page.locator(".mm-player[data-state=finished]").wait_for(timeout=PATIENCE)
    assert open_samples(page) == [f"yours: factorized, step {n} ({run_id[:4]})" for n in (4, 2)]
    other = open_train(visit, f"{train_page.address}?run={run_id}")
    says(other, "Finished")
    assert open_samples(other) == [f"by link: factorized, step {n} ({run_id[:4]})" for n in (4, 2)]
    assert other.locator("#train-take").is_hidden()
    other.get_by_role("tab", name="Watch", exact=True).click()
    other.locator("#checkpoint input").click()
    other.get_by_role("option", name="base").wait_for()
    expect(other.locator("[role=listbox] [role=option]")).to_have_count(1)


@pytest.mark.slow
def test_both_arms_grow_side_by_side_from_the_first_seconds_stop_together_go_on_and_may_be_killed(train_page, visit):
    page = open_train(visit, train_page.address)
    run_id = start(page, steps=1000, eval_steps=500, save_steps=500)  # both are what the page proposes
    says(page, "of 1000 · both arms")
    page.wait_for_function(
        """() => {
          const figures = '#train-figures .mm-charts:not(.dimmed) .figure';
          const reward = document.querySelectorAll(`${figures}:nth-child(2) .line:not([data-name*="smoothed"])`);
          const words = [...reward].filter((line) => line.dataset.name.endsWith('words'));
          return words.length === 2 && words.every((line) => line.querySelectorAll('.point').length > 1);
        }""",
        timeout=PATIENCE,
    )
    rows = status_of(store.find(run_id)).rows
    assert all(0 < last_step(found) < 1000 for found in rows.values()), "neither is done"
    keys = page.locator("#train-figures .figure:first-child .key")
    assert keys.locator("text").all_text_contents() == ["joint", "factorized"]
    page.wait_for_function("""() => {
      const lines = [...document.querySelectorAll('#train-figures .figure:first-child .key line')];
      return new Set(lines.map((line) => getComputedStyle(line).stroke)).size === 2;
    }""")
    reload(page)
    says(page, "of 1000 · both arms")
    assert page.get_by_role("tab", name="Train", exact=True).get_attribute("aria-selected") == "true"
    page.locator("#train-going").click()  # where it was started
    says(page, "Resume goes on from there")
    stopped = status_of(store.find(run_id))
    done = {arm: last_step(found) for arm, found in stopped.rows.items()}
    assert done == stopped.saved and stopped.step > 0 and max(done.values()) - stopped.step < 2
    page.locator("#train-resume").click()
    deadline = time.monotonic() + PATIENCE / 1000
    while (going := status_of(store.find(run_id))).step <= stopped.step:
        assert time.monotonic() < deadline, "it does not go on"
        time.sleep(0.2)
    os.kill(going.run.pid, signal.SIGKILL)
    says(page, f"Resume goes on from step {stopped.step}")
    page.locator("#train-delete").click()
    page.locator("#train-keep").click()
    page.locator("#train-sure").wait_for(state="hidden")
    assert store.find(run_id) is not None
    page.locator("#train-delete").click()
    page.locator("#train-really").click()
    page.locator("#train-empty").get_by_text("An example, until you start a run of your own").wait_for()
    assert store.find(run_id) is None


def test_a_finished_run_of_both_arms_is_told_apart_compared_and_repeated_by_one_command(train_page, visit):
    with store.locked():  # before the line begins it
        run = store.create(TrainSettings(steps=2, assignment=BOTH, eval_problems=8), OWNER)
        for arm, solved in (("joint", "11110000"), ("factorized", "11111111")):
            ends = [evaluation(0, 0.0, solved="0" * 8), row(1), evaluation(2, solved.count("1") / 8, solved=solved)]
            leave(run, arm, ends, saved=2)
    page = visit(f"{train_page.address}?run={run.id}")
    says(page, "Finished: 2 steps in both arms")
    page.locator("#train-figures .mm-chart").first.wait_for()
    expect(page.locator("#train-verdict .lead")).to_have_count(2)
    expect(page.locator("#train-verdict")).to_contain_text(
        "Factorized against joint after step 2", use_inner_text=True
    )
    (command,) = page.locator("#train-command textarea").input_value().splitlines()
    assert "--arms joint factorized" in command and f"--output runs/{run.id}" in command


# Two visitors


def test_another_visitor_may_look_and_not_act_and_waits_in_line(train_page, visit, monkeypatch):
    monkeypatch.setattr(queue, "command_of", lambda run: ["-c", UNTIL_STOPPED, str(run.arm_folder("factorized"))])
    first = open_train(visit, train_page.address)
    one_arm(first)
    run_id = start(first, steps=1000)
    second = open_train(visit, f"{train_page.address}?run={run_id}")
    says(second, "")
    expect(second.locator("#train-says")).to_contain_text("belongs to another visitor: you can watch it")
    assert second.locator("#train-stop").is_hidden() and second.locator("#train-take").is_hidden()
    one_arm(second)
    own = start(second, steps=2)
    assert own != run_id
    says(second, "Waiting")
    expect(second.locator("#train-head .left")).to_have_text("1 run is before it in line", use_inner_text=True)
    assert second.locator("#train-says .notice").is_hidden()
    first.locator("#train-stop").click()
    says(first, "topped")
    says(second, "Evaluating 3 held-out problems")
    assert [run.id for run in store.all_runs()] == [own, run_id]


def test_a_stranger_who_calls_the_server_without_the_buttons_is_refused(train_page, visit):
    with store.locked():  # before the line begins it
        run = store.create(TrainSettings(), OWNER)
        leave(run, "factorized", [evaluation(0, 0.5), row(1)], saved=1)
        store.change(run, wanted=False)
    page = visit(f"{train_page.address}?run={run.id}")
    says(page, "Stopped at step 1")
    config = page.evaluate("window.gradio_config")

    def order(button: str) -> dict[str, Any]:
        (component,) = [c["id"] for c in config["components"] if c["props"].get("elem_id") == button]
        (found,) = [d for d in config["dependencies"] if [component, "click"] in [list(t) for t in d["targets"]]]
        return found

    orders = {"resume": order("train-resume"), "delete": order("train-really"), "stop": order("train-stop")}
    loads = [d for d in config["dependencies"] if "load" in [event for _, event in d["targets"]]]
    (arrive,) = [d for d in loads if set(orders["resume"]["inputs"]) <= set(d["outputs"])]
    _, visitor = orders["resume"]["inputs"]
    for number, token in enumerate(("a stranger's token, long enough", run.owner, "")):
        session = f"stranger-{number}"  # a session of its own: a page reads all answers of its session
        assert "another visitor" in called(page, f"{train_page.address}?run={run.id}", session, arrive, [token, None])
        called(page, train_page.address, session, order("train-delete"), [None])
        for what, sent in orders.items():
            data = [token if each == visitor else None for each in sent["inputs"]]
            said = called(page, train_page.address, session, sent, data)
            assert f"Only the visitor who started run {run.id} may {what} it" in said
    assert status_of(store.find(run.id)).state == "stopped"


def called(page: Page, address: str, session: str, order: dict[str, Any], data: list[object]) -> str:
    """What the server answers to an event that no button has sent."""
    server, _, link = address.partition("?")
    body = {"data": data, "fn_index": order["id"], "session_hash": session, "trigger_id": order["targets"][0][0]}
    assert page.request.post(f"{server}gradio_api/queue/join?{link}", data=body).ok
    return page.request.get(f"{server}gradio_api/queue/data", params={"session_hash": session}).text()


def test_a_late_answer_to_a_link_does_not_pull_back_who_has_moved_on(train_page, visit):
    run = finished_run()
    held, late = [], []

    def hold(page):
        page.route("**/queue/join*", lambda route: route.continue_() if late else held.append(route))

    page = visit(f"{train_page.address}?run={run.id}", prepare=hold)
    expect(page.get_by_role("tab", name="Train", exact=True)).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Cost", exact=True).click()
    assert held
    late.append(True)
    for route in held:
        route.continue_()
    says(page, "Finished: 60 steps")
    expect(page.get_by_role("tab", name="Cost", exact=True)).to_have_attribute("aria-selected", "true")


def test_the_address_names_a_run_only_while_its_tab_is_seen(train_page, visit):
    page = visit(train_page.address)
    settle(page)
    assert "run=" not in page.url
    page.get_by_role("tab", name="Train", exact=True).click()
    says(page, "Finished")


# What is wrong


def test_what_is_wrong_is_told_at_its_field():
    good = filled(PRESETS["Short (CPU)"]) | {"checkpoint": "base"}
    numbers = [each for each in (*FEW, *MORE) if isinstance(each, NumberSetting)]
    wrong = {each.name: each.limit.high * 10 for each in numbers}
    wrong |= {f"weight_{level}": -1 for level in DIFFICULTIES} | {"tasks": [], "checkpoint": "nobody"}
    for name, value in wrong.items():
        with pytest.raises(MMReasonError) as told:
            checked_settings(good | {name: value}, None)
        assert at_field(sentence(told.value), CALLED)["at"] == f"train-{name}"
    with pytest.raises(MMReasonError) as told:
        checked_settings(good | {"num_problems": 64, "num_generations": 64}, None)
    assert at_field(sentence(told.value), CALLED)["at"] == "train-num_problems"
    assert at_field("The disk is full.", CALLED) == "The disk is full."


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_page_each_at_a_field_of_its_own():
    good = filled(PRESETS["Short (CPU)"]) | {"checkpoint": "base"}
    numbers = [each for each in (*FEW, *MORE) if isinstance(each, NumberSetting)]
    wrong = {"checkpoint": "nobody", "tasks": []} | {f"weight_{level}": -1 for level in DIFFICULTIES}
    wrong |= {each.name: each.limit.high * 10 for each in numbers}
    settings, reasons = read_form(good | wrong, None)
    told = at_fields([sentence(each) for each in reasons], CALLED)["each"]
    assert settings is None and [each["at"] for each in told] == [f"train-{name}" for name in wrong]
    assert len({each["says"] for each in told}) == len(wrong)
    said = dict(zip(wrong, map(str, reasons), strict=True))
    for name in wrong:  # mending one leaves the others
        _, left = read_form(good | wrong | {name: good[name]}, None)
        assert [str(each) for each in left] == [said[other] for other in wrong if other != name]
    made, reasons = read_form(good, None)
    assert made == PRESETS["Short (CPU)"].but(assignment=BOTH) and reasons == []


# What a visitor chose


def stored(**changes):
    return PRESETS["Short (CPU)"].but(assignment="joint", steps=7, seed=3, bf16=True, **changes).stored()


def test_what_was_kept_of_the_form_makes_the_same_settings_again(train_page):
    for kept in (stored(), stored(difficulties={"easy": 0.25, "hard": 3}), stored(curriculum=True, tasks=["maze"])):
        values = values_at_arrival(json.loads(json.dumps(kept)), None, OWNER)
        assert read_form(values, OWNER)[0].stored() == kept


@pytest.mark.parametrize(
    "kept",
    [
        *(None, "", 7, [], {}, {"checkpoint": "base"}, "x" * 10_000, stored(checkpoint="gone")),
        *(stored() | {"steps": value} for value in (0, -1, 10**9, "7", None, [], True, 1e300)),
        *(
            stored() | {"tasks": value}
            for value in ([], ["chess"], "maze", {"maze": "x"}, ["maze"] * 10_000 + ["x"], 3)
        ),
        *(stored() | {"difficulties": value} for value in ({}, {"easy": -1}, {"x": 1}, HOSTILE[0], [[]])),
        *(stored() | {"assignment": value} for value in (HOSTILE[0], None, 3, {})),
        *(stored() | {"checkpoint": value} for value in ("../x", HOSTILE[1], 3, [], "run:0123456789ab/joint")),
    ],
)
def test_what_is_kept_and_of_no_use_falls_back_to_the_preset_without_a_word(train_page, kept):
    values = values_at_arrival(kept, None, OWNER)
    assert values == {} or read_form(values, OWNER)[0] is not None


def test_the_form_is_there_again_after_a_reload_and_that_of_a_run_that_goes_on_is_the_runs(
    train_page, visit, monkeypatch
):
    monkeypatch.setattr(queue, "command_of", lambda run: ["-c", UNTIL_STOPPED, str(run.arm_folder("joint"))])
    page = open_train(visit, train_page.address)

    def shown(steps: int, task: str, arm: str) -> None:
        expect(page.locator("#train-steps input")).to_have_value(str(steps))
        expect(page.locator("#train-tasks").get_by_label(task)).to_be_checked()
        expect(page.locator("#train-assignment").get_by_label(arm, exact=True)).to_be_checked()

    def again() -> None:
        reload(page)
        page.get_by_role("tab", name="Train", exact=True).click()
        page.locator("#train-start, #train-going").locator("visible=true").first.wait_for()
        if not page.locator("#train-steps input").is_visible():
            page.locator("#train-more button").first.click()

    def kept(before: str | None) -> str:
        """What the browser keeps of the form, once it is something else than ``before``."""
        page.wait_for_function("before => localStorage.getItem('mmreason-train-form') !== before", arg=before)
        return page.evaluate("localStorage.getItem('mmreason-train-form')")

    page.locator("#train-more button").first.click()
    before = page.evaluate("localStorage.getItem('mmreason-train-form')")
    page.locator("#train-assignment").get_by_label("joint", exact=True).click()
    before = kept(before)
    fill(page, "steps", 5)
    expect(page.locator("#train-preset").get_by_label("custom")).to_be_checked()  # what is kept comes with it
    before = kept(before)
    again()
    shown(5, "jigsaw", "joint")
    expect(page.locator("#train-preset").get_by_label("custom")).to_be_checked()
    page.locator("#train-start").click()
    expect(page.locator("#train-head .state")).to_contain_text("Evaluating")
    page.locator("#train-tasks").get_by_label("maze").click()
    before = page.evaluate("localStorage.getItem('mmreason-train-form')")
    fill(page, "steps", 9)
    kept(before)
    again()
    shown(5, "jigsaw", "joint")
    expect(page.locator("#train-tasks").get_by_label("maze")).not_to_be_checked()


def test_start_says_at_once_that_it_begins(train_page, visit):
    page = open_train(visit, train_page.address)
    page.evaluate("""() => {
      window.said = [];
      const button = document.getElementById('train-start');
      new MutationObserver(() => window.said.push(button.textContent.trim()))
        .observe(button, { childList: true, characterData: true, subtree: true });
    }""")
    page.evaluate("""() => {
      const answered = window.fetch;  // a server that does not answer
      window.fetch = (url, ...rest) =>
        String(url).includes('queue/join') ? new Promise(() => {}) : answered(url, ...rest);
    }""")
    page.locator("#train-start").click()
    page.wait_for_function("() => window.said.includes('Starting …')")
    assert store.all_runs() == []


def test_a_bad_value_is_told_at_its_field_and_nothing_starts_until_it_is_mended(train_page, visit):
    page = open_train(visit, train_page.address)
    page.locator("#train-more button").first.click()
    page.locator("#train-eval_problems input").wait_for()
    numbers = [each for each in (*FEW, *MORE) if isinstance(each, NumberSetting)]
    for each in numbers:
        assert page.locator(f"#train-{each.name} input").count() == 1, "where its fault is told"
    for field in (numbers[0], numbers[-1]):  # one in sight, one of the folded ones
        kept = page.locator(f"#train-{field.name} input").input_value()
        wrong = f"{field.page.label.capitalize()} must be a {field.limit.kind} from"
        fill(page, field.name, f"{field.limit.high * 10:.10g}")
        expect(page.locator(f"#train-{field.name} .field-says")).to_contain_text(wrong)
        assert page.get_by_text(wrong).count() == 1, "said once"
        expect(page.locator(f"#train-{field.name} input")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#train-start")).to_be_disabled()
        fill(page, field.name, kept)
        expect(page.locator(".field-says")).to_have_count(0)
        expect(page.locator("#train-start")).to_be_enabled()
    for name in ("weight_easy", "eval_steps", "steps"):
        fill(page, name, -1)
    for name, begins in (("weight_easy", "Weight of easy"), ("eval_steps", "Evaluate every"), ("steps", "Steps")):
        at = "#train-form-says" if name == "weight_easy" else f"#train-{name} .field-says"  # three stand in a row
        expect(page.locator(at)).to_contain_text(f"{begins} must be a")
        expect(page.locator(f"#train-{name} input")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".field-says:visible")).to_have_count(2)
    fill(page, "eval_steps", 2)
    expect(page.locator(".field-says:visible")).to_have_count(1)
    fill(page, "steps", 4)
    expect(page.locator(".field-says:visible")).to_have_count(0)
    fill(page, "weight_easy", 0)
    expect(page.locator("#train-start")).to_be_enabled()
    fill(page, "weight_easy", -1)
    expect(page.locator("#train-form-says")).to_contain_text("Weight of easy must be a number from 0")
    fill(page, "weight_easy", 0)
    for task in PRESETS["Short (CPU)"].tasks:
        page.locator("#train-tasks").get_by_label(task).click()
    expect(page.locator("#train-tasks .field-says")).to_have_text("Choose at least one task.", use_inner_text=True)
    assert store.all_runs() == []


def test_who_starts_with_wrong_fields_is_led_to_the_first_of_them_out_of_the_fold(train_page, visit):
    page = open_train(visit, train_page.address)
    page.locator("#train-more button").first.click()
    fold = page.locator("#train-more button.label-wrap")
    page.evaluate("""() => {
      const sent = window.fetch;  // so slow a server that Start is pressed before it has looked at the fields
      window.fetch = async (url, options) => {
        const body = String(options?.body ?? '');
        if (String(url).includes('queue/join') && !window.pressed) await new Promise((go) => { window.go = go; });
        return sent(url, options);
      };
    }""")
    fill(page, "steps", -1)
    fill(page, "seed", -1)
    fold.click()
    expect(page.locator("#train-steps input")).to_be_hidden()
    page.evaluate("window.pressed = true")
    page.locator("#train-start").click()
    expect(page.locator("#train-steps input")).to_be_focused()
    expect(page.locator("#train-seed .field-says")).to_contain_text("Seed must be a whole number from 0")
    expect(page.locator("#train-steps .field-says")).to_contain_text("Steps must be a whole number from 1")
    assert store.all_runs() == []
    page.evaluate("window.go?.()")


@pytest.mark.parametrize("run", ["../x", "0123456789ab", "<img src=x onerror=window.PWNED=1>"])
def test_a_link_to_nothing_says_so_and_what_is_shown(train_page, visit, run):
    page = visit(f"{train_page.address}?run={quote(run)}")
    expect(page.locator("#train-says")).to_contain_text(
        f"The run {run} is not here (deleted, or the server was restarted); this is the example."
    )
    page.locator("#train-head .mm-run:visible").wait_for()
    expect(page.locator("#train-says")).to_be_visible()


def test_hostile_words_of_a_log_a_verdict_and_a_checkpoint_stay_text(train_page, visit):
    with store.locked():  # or the line would begin it, and say in its log that there is no such checkpoint
        run = store.create(TrainSettings(checkpoint=HOSTILE[0]), OWNER)
        leave(run, "factorized", [evaluation(0, 0.5), row(1)], saved=None)
        run.log.write_text(HOSTILE[1] + "\n")
        trace = load_with_sheet(next((places.ROOT / "assets" / "examples").glob("*.json")))
        trace["end_reason"], trace["success"] = HOSTILE[0], False
        trace["segments"][0]["text"] = HOSTILE[1]
        held = run.arm_folder("factorized") / "held_out"
        held.mkdir()
        (held / "step00000.json").write_text(json.dumps({"step": 0, "sheet": trace["sheet"], "traces": [trace]}))
        store.change(run, arm="factorized", pid=0, born=0.0)
    page = visit(f"{train_page.address}?run={run.id}")
    says(page, "Failed at step 1 of 60: Resume starts over")
    expect(page.locator("#train-head .trouble")).to_contain_text(HOSTILE[1])
    expect(page.locator("#train-held-out")).to_contain_text(HOSTILE[0])
    expect(page.locator("#train-command textarea")).to_have_value(re.compile(re.escape(HOSTILE[0])))


def test_the_tab_fits_a_phone(train_page, visit):
    run = finished_run()
    page = visit(f"{train_page.address}?run={run.id}", width=390, height=844)
    says(page, "Finished: 60 steps")
    page.locator("#train-figures .mm-chart").nth(3).wait_for()
    page.wait_for_function("() => Math.abs(document.getElementById('train-head').getBoundingClientRect().top) < 422")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.locator("#train-verdict")).to_contain_text("Clearly better")
    assert not is_alive(run) and last_step(status_of(run).rows["factorized"]) == 60
    assert Path(os.environ[checkpoints.RUNS_SETTING]).is_dir()
