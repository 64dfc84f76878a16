"""Train and Inspect with a public checkpoint, on a stand-in: adapters on it, and its rollouts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mmreason.errors import ConfigError
from mmreason.training.rl.presets import PRESETS
from mmreason.ui.host import public
from mmreason.ui.inspect.sources import roll_out
from mmreason.ui.runs import store
from mmreason.ui.runs.estimate import words
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.train import form
from mmreason.ui.train.form import filled, public_fields
from tests.helpers.shapes import write_shapes
from tests.helpers.training_runs import checked_settings, fork_trainings

OWNER = "a token that is long enough"
FAST = {"steps": 1, "num_problems": 1, "num_generations": 2, "eval_problems": 1, "eval_steps": 1, "save_steps": 1}


@pytest.fixture
def quick(public_host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings and rollouts of a few seconds."""
    fork_trainings(monkeypatch)
    monkeypatch.setattr(form, "PUBLIC_SIZES", (FAST, FAST))
    monkeypatch.setattr(form, "PUBLIC_START", form.PUBLIC_START | {"max_turns": 1, "lora_rank": 2})
    monkeypatch.setattr(public, "TEXT_LENGTH", (4, 4))


def asked(**changes):
    values = {"checkpoint": "tiny"} | filled(PRESETS["Short (CPU)"]) | (public_fields("tiny") or {}) | changes
    return checked_settings(values, OWNER)


def test_a_public_checkpoint_is_trained_by_adapters_and_the_estimate_says_what_it_knows(quick) -> None:
    settings = asked(assignment="factorized")
    arguments = settings.arguments("factorized", "place", "output")
    assert arguments[arguments.index("--lora_rank") + 1] == "2"
    assert "--leak_steps" not in arguments, "the leak is measured on all weights"
    assert arguments[arguments.index("--text_length") + 1] == "4"
    said = words(settings)
    assert "3,968 parameters of adapters are trained, 17.3 million stay" in said
    assert "2 rollouts to learn from and 2 held out" in said and "after the first one" in said
    assert public_fields("base") is None, "fields of our own kind stay as they are"


def test_a_checkpoint_that_says_its_attention_is_trained_in_it(quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged ones do, which have no rank."""
    found = public.find("tiny")
    assert found is not None and (found.rank, found.attention) == (None, "full")
    monkeypatch.setattr(public, "usable", lambda _: replace(found, attention="prefix"))
    fields = public_fields("tiny")
    assert fields is not None and (fields["attention"], fields["lora_rank"]) == ("prefix", 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lora_rank": 0}, "lora rank must be a whole number from 1 to 64"),
        ({"lora_rank": 65}, "lora rank must be a whole number from 1 to 64"),
        ({"lora_rank": 2.5}, "lora rank must be a whole number"),
        ({"attention": "blocks"}, "attention must be one of full, prefix"),
        ({"score_steps": 0}, "share of steps scored must be a number from 0.01 to 1"),
        ({"max_turns": 99}, "turns must be a whole number from 1 to 16"),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence(quick, change, says) -> None:
    with pytest.raises(ConfigError, match=says):
        asked(**change)


def test_a_group_of_a_public_checkpoint_is_rolled_out_and_judged(quick) -> None:
    request = SolveRequest(task="maze", difficulty="easy", seed=3, checkpoint="tiny")
    *_, last = roll_out(request, 2)
    group = last.opened
    assert group is not None and "full attention" in group.source
    assert len(group.rollouts.rollouts) == 2 and group.rollouts.judges == {"text": ("text",), "image": ("image",)}
    assert all(part.picture is not None for rollout in group.rollouts.rollouts for part in rollout.of("image"))


def test_a_dataset_that_is_handed_over_becomes_a_checked_task_and_is_started(
    public_page, quick, visit: Callable[..., Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMREASON_MAX_TRAININGS", "0")  # it waits in line
    archive = shutil.make_archive(str(tmp_path / "shapes"), "zip", write_shapes(tmp_path / "shapes", 60))
    page = visit(public_page)
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-dataset button").first.click()
    page.locator("#train-dataset-file input[type=file]").set_input_files(archive)
    page.locator("#train-dataset-fits").get_by_text("cannot be trained on it from here").wait_for()
    task = page.locator("#train-tasks").get_by_label("your dataset: shapes, 60 rows")
    assert not task.is_visible()
    page.locator("#train-checkpoint input").click()
    page.get_by_role("option", name="tiny").click()
    page.locator("#train-dataset-fits").get_by_text("is checked under Tasks").wait_for()
    task.wait_for()
    assert task.is_checked()
    page.locator("#train-estimate").get_by_text("parameters of adapters are trained").wait_for()
    page.locator("#train-start").click()
    page.locator("#train-head").get_by_text("Next in line").wait_for()
    assert "--tasks data:shapes" in page.locator("#train-command textarea").input_value()
    run = store.all_runs()[0]
    assert (run.datasets / "shapes" / "data.jsonl").is_file()
    page.locator("#train-delete").click()
    page.locator("#train-really").click()
    page.locator("#train-sure").wait_for(state="hidden")
    assert not run.folder.exists()


@pytest.mark.slow
def test_adapters_are_trained_watched_and_inspected(public_page, quick, visit: Callable[..., Page]) -> None:
    page = visit(public_page)
    page.get_by_role("tab", name="Train").click()
    assert not page.locator("#train-public").is_visible()
    page.locator("#train-checkpoint input").click()
    page.get_by_role("option", name="tiny").click()
    page.locator("#train-public").wait_for()
    page.locator("#train-preset").wait_for(state="detached")
    page.get_by_label("LoRA rank").fill("3")
    page.locator("#train-assignment").get_by_label("factorized", exact=True).check()
    page.locator("#train-estimate").get_by_text("parameters of adapters are trained").wait_for()
    page.locator("#train-start").click()
    page.locator("#train-head").get_by_text("Finished: 1 step").wait_for(timeout=90_000)
    assert "--lora_rank 3" in page.locator("#train-command textarea").input_value()
    assert not page.locator("#train-to-compare").is_visible()
    held = page.locator("#train-held-out")
    expect(held.locator(".side .name")).to_have_text(["Before", "Now, step 1"], use_inner_text=True)
    seen = held.locator("canvas").evaluate_all(
        "all => all.map((c) => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size)"
    )
    assert len(seen) == 2 and min(seen) > 3, "its pictures are drawn"
    page.locator("#train-to-inspect").click()
    page.locator(".mm-group").get_by_text("samples of the training run factorized, step 1").first.wait_for()
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-to-watch").click()
    page.locator("#studio-about").get_by_text("adapter of rank 3").wait_for()
    page.locator("#studio-kind").get_by_label("A built-in puzzle").check()
    page.locator("#studio-more button").first.click()
    for label, value in (("Turns", "1"), ("Steps per segment", "1"), ("Text length", "4")):
        field = page.locator("#studio").get_by_role("spinbutton", name=label)
        field.fill(value)
        field.press("Tab")
    page.locator("#studio-solve:not([disabled])").click()
    page.locator(".mm-film[data-state=finished]").wait_for()
    page.locator(".mm-film .result").get_by_text("Not solved").wait_for()
