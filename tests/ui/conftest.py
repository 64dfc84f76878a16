"""A browser, the real app in a process of its own, and the page on a scripted pipeline."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from mmreason.ui import page as page_module
from mmreason.ui import runtime
from mmreason.ui.screenshots import FLAGS, chromium, free_port, served
from mmreason.ui.serving import launch_options
from mmreason.ui.settings import read_settings
from mmreason.ui.temporary import hold_gradios_files
from tests.ui.scripted import ScriptedPipe

ROOT = Path(__file__).parents[2]
LOAD_PIPELINE, CHECKPOINT_NAMES = runtime.load_pipeline, runtime.checkpoint_names  # the scripted server replaces them
HOSTILE = (
    "${Object.assign(window,{PWNED:1})} <img src=x onerror='window.PWNED=1'> {{#each value}}",
    "<script>window.PWNED=1</script>`${window.PWNED=1}`",
)


@dataclass(frozen=True, slots=True)
class Scripted:
    """The page on a scripted pipeline, in this process."""

    address: str
    pipe: ScriptedPipe


@contextmanager
def launched() -> Iterator[str]:
    """The page served from this process as ``app.py`` serves it; gives its address."""
    hold_gradios_files()
    blocks = page_module.build_page()
    _, address, _ = blocks.launch(
        server_port=free_port(), prevent_thread_lock=True, quiet=True, **launch_options(read_settings())
    )
    yield address
    blocks.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app() -> Iterator[str]:
    """The address of ``app.py``, as a visitor's machine runs it."""
    assert (ROOT / "checkpoints" / "base" / "model_index.json").is_file(), "checkpoints/base is missing"
    with served([sys.executable, "app.py"], free_port()) as address:
        yield address


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[Scripted]:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    pipe = ScriptedPipe()
    kept = runtime.load_pipeline, runtime.checkpoint_names
    runtime.load_pipeline = lambda name: pipe  # pyright: ignore
    runtime.checkpoint_names = lambda: ["base"]
    with launched() as address:
        yield Scripted(address, pipe)
    runtime.load_pipeline, runtime.checkpoint_names = kept


@pytest.fixture
def real_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints as they are, though a scripted server runs in this process."""
    monkeypatch.setattr(runtime, "load_pipeline", LOAD_PIPELINE)
    monkeypatch.setattr(runtime, "checkpoint_names", CHECKPOINT_NAMES)


@pytest.fixture
def scripted(scripted_server: Scripted) -> Iterator[Scripted]:
    """The same server; steps are let go when the test ends."""
    yield scripted_server
    scripted_server.pipe.let_go()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page as a new visitor; at the end the consoles must be free of errors, and nothing have run."""
    opened: list[tuple[Page, list[str]]] = []

    def open_page(address: str, width: int = 1280, height: int = 900, prepare=lambda page: None, **options) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True, **options)
        page = context.new_page()
        page.set_default_timeout(30_000)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        opened.append((page, troubles))
        prepare(page)
        page.goto(address)
        page.locator(".mm-player").wait_for(state="attached")
        begin = page.get_by_role("button", name="Solve", exact=True)
        begin.or_(page.locator("#train-start")).filter(visible=True).first.wait_for()  # a run's link opens Train
        return page

    yield open_page
    for page, troubles in opened:
        if not page.is_closed():
            assert page.evaluate("window.PWNED") is None
            page.context.close()
        assert troubles == []


def part(page: Page, name: str) -> Locator:
    """A part of the player."""
    return page.locator(f".mm-player .{name}")


def live(page: Page, status: str) -> None:
    """Wait until the player says so of a run that goes on; the example on arrival may say the same."""
    page.locator(".mm-player[data-state=running] .status").get_by_text(status).wait_for()


def solve(page: Page) -> None:
    page.get_by_role("button", name="Solve", exact=True).click()


def settle(page: Page) -> None:
    """Wait until the page has loaded all, the files of its example included."""
    page.locator("#trace-file:not([disabled])").wait_for()


def set_sampling_seed(page: Page, seed: int) -> None:
    """Open the settings and type a seed of sampling, as slowly as a person."""
    page.get_by_role("button", name="More settings").click()
    field = page.get_by_label("Seed of sampling")
    field.wait_for()
    page.wait_for_timeout(300)
    field.fill(str(seed))
    field.press("Tab")


def to_the_end(page: Page) -> None:
    """Wait for the end of the run and jump to it."""
    page.locator(".mm-player[data-state=finished]").wait_for()
    part(page, "scrub").press("End")
    part(page, "result").wait_for()
