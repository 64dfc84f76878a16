"""``make screenshots``: the pictures in the READMEs, taken of the page at 1440 px.

Starts the app on a free port, plays what it plays on arrival, and writes ``assets/page.png``; the tab Inspect as
``inspect.png``, its chosen segment, two branches and heat map as ``inspect-<part>.png``; the tab Train with its
example as ``train.png``, and the curves of the tab Results as ``results-curves.png``.  With ``--looks DIR`` each tab
as a visitor finds it, wide and on a phone, in light and in dark: pictures to look at before and after a change, as
``<tab>-<width>-<colours>.png``.  Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmreason.disk import write_whole
from mmreason.errors import ConfigError
from mmreason.places import ASSETS, ROOT

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

WIDTH, HEIGHT = 1440, 1000
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the lightest first
TABS = ("Watch", "Inspect", "Train", "Cost", "Results")
LOOK_WIDTHS, LOOK_MS = (1440, 390), 2500
LOOK_COLOURS: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
START_SECONDS = 120
HELP = "the pictures in the READMEs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make screenshots``."""
    parser.add_argument("--output", default=str(ASSETS), metavar="DIR")
    parser.add_argument("--looks", metavar="DIR", help="take each tab at 1440 and 390 px, light and dark, instead")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Photograph the page; returns ``written``, the paths."""
    with served([sys.executable, "app.py"], free_port()) as address:
        paths = take(address, Path(args.output)) if args.looks is None else look(address, Path(args.looks))
        return {"written": [str(path) for path in paths]}


@contextmanager
def served(command: Sequence[str], port: int) -> Iterator[str]:
    """The address of the app that ``command`` starts on ``port``; it ends with the block."""
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ConfigError(f"the app ended with exit code {process.returncode}")
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.3)
    raise ConfigError(f"the app did not answer within {START_SECONDS} s")


def chromium() -> str:
    """Path of the browser."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise ConfigError(f"no browser found; install one of {', '.join(BROWSERS)}")


def take(address: str, folder: Path) -> list[Path]:
    """Photograph the page at ``address``."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address)
        page.locator(".mm-player").wait_for(state="attached")
        _show_an_edit(page)
        path = folder / "page.png"
        write_whole(path, page.screenshot(full_page=True))
        paths = [path, _inspect(page, folder), *_parts_of_inspect(page, folder)]
        paths += [_train(page, folder), _curves(page, folder)]
        browser.close()
    return paths


def look(address: str, folder: Path) -> list[Path]:
    """Photograph each tab of the page at ``address``, once its charts and pictures are there."""
    from playwright.sync_api import sync_playwright

    paths = []
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for width, colours in product(LOOK_WIDTHS, LOOK_COLOURS):
            viewport: ViewportSize = {"width": width, "height": HEIGHT}
            page = browser.new_context(viewport=viewport, color_scheme=colours, reduced_motion="reduce").new_page()
            page.goto(address)
            page.locator(".mm-player .result").wait_for()
            for tab in TABS:
                page.get_by_role("tab", name=tab, exact=True).click()
                page.wait_for_timeout(LOOK_MS)
                paths.append(folder / f"{tab.lower()}-{width}-{colours}.png")
                write_whole(paths[-1], page.screenshot(full_page=True))
            page.context.close()
        browser.close()
    return paths


def _show_an_edit(page: Any) -> None:
    """Scrub to the middle of the third turn's edit."""
    status, scrub = page.locator(".mm-player .status"), page.locator(".mm-player .scrub")
    page.locator(".mm-player .card").first.wait_for(timeout=30_000)
    for position in range(int(scrub.get_attribute("max") or 0)):
        scrub.fill(str(position))
        if status.inner_text().startswith("Turn 3 · edit · step 1"):
            break
    scrub.blur()
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)


def _inspect(page: Any, folder: Path) -> Path:
    """The tab Inspect with its first group."""
    page.get_by_role("tab", name="Inspect").click()
    page.locator(".mm-group .cell").first.wait_for()
    page.wait_for_timeout(600)
    path = folder / "inspect.png"
    write_whole(path, page.screenshot())
    return path


def _parts_of_inspect(page: Any, folder: Path) -> list[Path]:
    """A segment, two branches and the heat map by themselves."""
    paths = [folder / f"inspect-{name}.png" for name in ("segment", "branches", "leak")]
    page.locator(".mm-group .point").click()
    page.wait_for_timeout(600)
    write_whole(paths[0], page.locator(".mm-group .segment").screenshot())
    page.locator(".mm-group .cell.text[data-g='0'][data-s='2']").click()
    field = page.locator(".mm-group .mind-text")
    field.fill(re.sub("[1-4]", lambda digit: str(int(digit[0]) % 4 + 1), field.input_value(), count=1))
    page.locator(".mm-group .go-on").click()
    page.locator("#duet .mm-duet:not([hidden])").wait_for(timeout=60_000)
    page.wait_for_timeout(600)
    for path, selector in zip(paths[1:], ("#duet .sides", ".mm-leak .checkpoints"), strict=True):
        write_whole(path, page.locator(selector).first.screenshot())
    return paths


def _train(page: Any, folder: Path) -> Path:
    """The tab Train with the run that it shows a new visitor."""
    page.get_by_role("tab", name="Train", exact=True).click()
    page.locator("#train-figures .mm-chart .point").first.wait_for(timeout=60_000)
    page.wait_for_timeout(1200)
    path = folder / "train.png"
    write_whole(path, page.screenshot(full_page=True))
    return path


def _curves(page: Any, folder: Path) -> Path:
    """The curves of the tab Results by themselves."""
    page.get_by_role("tab", name="Results", exact=True).click()
    curves = page.locator("#results-curves .plot")
    curves.wait_for(timeout=60_000)
    page.wait_for_timeout(1200)
    path = folder / "results-curves.png"
    write_whole(path, curves.screenshot())
    return path
