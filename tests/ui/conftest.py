"""A browser, the real app in a process of its own, and the page on a scripted pipeline."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from mmreason.commands.make.screenshots import FLAGS, chromium, free_port, served
from mmreason.ui.host import checkpoints
from mmreason.ui.runs import queue
from tests.helpers.browser import CHECKPOINT_NAMES, LOAD_PIPELINE, ROOT, Scripted, launched
from tests.helpers.public import folder as standin
from tests.helpers.scripted import ScriptedPipe

expect.set_options(timeout=30_000)  # of a loaded machine


@pytest.fixture(autouse=True)
def no_queue(request: pytest.FixtureRequest) -> Iterator[None]:
    """The queue of a page that earlier tests of this process serve begins no run of a test without a page."""
    there = not request.node.get_closest_marker("browser") and queue.leave_alone()
    yield
    if there:
        queue.keep_going()


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
    kept = checkpoints.load_pipeline, checkpoints.checkpoint_names
    checkpoints.load_pipeline = lambda name: pipe  # pyright: ignore
    checkpoints.checkpoint_names = lambda: ["base"]
    with launched() as address:
        yield Scripted(address, pipe)
    checkpoints.load_pipeline, checkpoints.checkpoint_names = kept


@pytest.fixture(scope="module")
def public_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of checkpoints with base and stand-ins of the public families: ``tiny``, ``joint`` and ``square``."""
    place = tmp_path_factory.mktemp("hosted")
    (place / "base").symlink_to(ROOT / "checkpoints" / "base", target_is_directory=True)
    for name, family in (("tiny", "dimoo"), ("joint", "parallel"), ("square", "mmada")):
        (place / name).symlink_to(standin(family), target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(checkpoints.CHECKPOINTS_SETTING, str(place))
        patch.setenv(checkpoints.RUNS_SETTING, str(tmp_path_factory.mktemp("runs")))
        patch.setattr(checkpoints, "load_pipeline", LOAD_PIPELINE)
        patch.setattr(checkpoints, "checkpoint_names", CHECKPOINT_NAMES)
        yield place


@pytest.fixture(scope="module")
def public_page(public_host: Path) -> Iterator[str]:
    """The page of that host, from this process."""
    with launched() as address:
        yield address


@pytest.fixture
def real_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints as they are, though a scripted server runs in this process."""
    monkeypatch.setattr(checkpoints, "load_pipeline", LOAD_PIPELINE)
    monkeypatch.setattr(checkpoints, "checkpoint_names", CHECKPOINT_NAMES)


@pytest.fixture
def scripted(scripted_server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """The same server, whatever a module between has put in its pipeline's place; steps are let go at the end."""
    monkeypatch.setattr(checkpoints, "load_pipeline", lambda name: scripted_server.pipe)
    monkeypatch.setattr(checkpoints, "checkpoint_names", lambda: ["base"])
    yield scripted_server
    scripted_server.pipe.let_go()


class Kept:
    """A context of the browser that holds the page's files from test to test, and nothing else."""

    def __init__(self, browser: Browser) -> None:
        self._browser, self._context = browser, None

    def context(self) -> BrowserContext:
        if self._context is None:
            self._context = self._browser.new_context(accept_downloads=True)
        return self._context

    def empty(self, page: Page) -> None:
        """Take away what the visitor of ``page`` has left; where the page has gone, the files too."""
        context = self.context()
        if page.is_closed() or not page.url.startswith("http"):
            context.close()
            self._context = None
            return
        page.evaluate("localStorage.clear()")
        context.clear_cookies()
        for each in context.pages:
            each.close()


@pytest.fixture(scope="session")
def kept(browser: Browser) -> Kept:
    return Kept(browser)


@pytest.fixture
def visit(browser: Browser, kept: Kept) -> Iterator[Callable[..., Page]]:
    """Open a page as a new visitor; at the end the consoles must be free of errors, and nothing have run.

    The first visitor of a test finds the page's files in the browser's cache; who asks for more, and whoever comes
    beside them, has a browser context of their own.
    """
    opened: list[tuple[Page, list[str]]] = []
    usual: Page | None = None

    def open_page(address: str, width: int = 1280, height: int = 900, prepare=None, **options) -> Page:
        nonlocal usual
        size: ViewportSize = {"width": width, "height": height}
        if opened or prepare or options:
            page = browser.new_context(viewport=size, accept_downloads=True, **options).new_page()
        else:
            usual = page = kept.context().new_page()
            page.set_viewport_size(size)
        page.set_default_timeout(30_000)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        opened.append((page, troubles))
        if prepare:
            prepare(page)
        page.goto(address)
        page.locator(".mm-player").wait_for(state="attached")
        begin = page.get_by_role("button", name="Solve", exact=True)
        linked = page.locator("#train-start, .mm-group .cell").first  # a run's link opens Train, a group's Inspect
        begin.or_(linked).filter(visible=True).first.wait_for()
        return page

    yield open_page
    for page, troubles in opened:
        if not page.is_closed():
            assert page.evaluate("window.PWNED") is None
        if page is usual:
            kept.empty(page)
        elif not page.is_closed():
            page.context.close()
        assert troubles == []
