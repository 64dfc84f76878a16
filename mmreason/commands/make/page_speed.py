"""``make page-speed``: how heavy and how quick the page is, measured in Chromium.

Starts the app on a free port, opens it as a new visitor and solves; writes ``assets/results/page_speed.json``: kB on
arrival (and of those, gradio's own scripts) and seconds until Solve can be pressed; of each solve its kB, the seconds
from the click to the first token, and the longest time that the player stood still although the next frame was there.
Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mmreason.commands.make.screenshots import FLAGS, chromium, free_port, served
from mmreason.disk import write_json
from mmreason.places import ASSETS

HELP = "kB and seconds of the page, in a browser"
NUM_SOLVES = 8
# Times of the player: when it moved, and how many frames were there beyond the one that it shows.
WATCH = """() => {
  const player = document.querySelector('.mm-player');
  const scrub = player.querySelector('.scrub');
  const told = window.pageSpeed = { first: null, gaps: [], clicked: performance.now() };
  let [position, waits] = [null, null];
  new MutationObserver(() => {
    if (player.dataset.state === 'example' || (told.first === null && player.dataset.state !== 'running')) return;
    const now = performance.now();
    const [here, last] = [Number(scrub.value), Number(scrub.max)];
    if (told.first === null) {
      if (here < 1) return;
      told.first = now - told.clicked;
    }
    if (here !== position) {
      if (waits !== null) told.gaps.push(now - waits);
      [position, waits] = [here, here < last ? now : null];
    } else if (waits === null && here < last) waits = now;
  }).observe(player, { subtree: true, childList: true, characterData: true, attributes: true });
}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make page-speed``."""
    parser.add_argument("--output", default=str(ASSETS / "results" / "page_speed.json"), metavar="FILE")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; returns the figures and ``written``."""
    with served([sys.executable, "app.py"], free_port()) as address:
        found = measure(address)
    write_json(Path(args.output), found)
    return found | {"written": [args.output]}


def measure(address: str, num_solves: int = NUM_SOLVES) -> dict[str, Any]:
    """The figures of the page at ``address``."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        browser.new_page().goto(address)  # the server has loaded what it loads once
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        traffic = _Traffic(page)
        page.goto(address)
        page.locator("#solve:not([disabled])").wait_for()
        interactive = page.evaluate("performance.now()") / 1000
        page.locator("#trace-file:not([disabled])").wait_for(state="attached")
        page.wait_for_timeout(500)
        arrival = {"kb": traffic.kb(), "kb_gradio": traffic.kb("/assets/"), "requests": len(traffic.bytes)}
        solves = [_solve(page, traffic) for _ in range(num_solves)]
        browser.close()
    return {
        "arrival": arrival | {"seconds_interactive": round(interactive, 2)},
        "code_book_kb": traffic.kb("/sheet/"),
        "solves": solves,
        "median_first_token_seconds": sorted(solve["first_token_seconds"] for solve in solves)[num_solves // 2],
        "longest_gap_seconds": max(solve["longest_gap_seconds"] for solve in solves),
        "most_kb_a_solve": max(solve["kb"] for solve in solves),
    }


class _Traffic:
    """What a page has received, compressed as it came."""

    def __init__(self, page: Any) -> None:
        self.bytes: dict[str, int] = {}
        self._urls: dict[str, str] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.responseReceived", lambda e: self._urls.update({e["requestId"]: e["response"]["url"]}))
        session.on("Network.dataReceived", self._add)
        session.on("Network.loadingFinished", self._whole)
        session.send("Network.enable")

    def _add(self, event: Any) -> None:
        name = event["requestId"]  # of a stream that stays open, at least what was decoded
        self.bytes[name] = self.bytes.get(name, 0) + (event["encodedDataLength"] or event["dataLength"])

    def _whole(self, event: Any) -> None:
        self.bytes[event["requestId"]] = event["encodedDataLength"]

    def kb(self, part: str = "") -> float:
        """Of the addresses that hold ``part``."""
        return round(sum(n for name, n in self.bytes.items() if part in self._urls.get(name, "")) / 1000, 1)


def _solve(page: Any, traffic: _Traffic) -> dict[str, float]:
    """One solve of the puzzle that is shown, played to its end; the code book counts apart."""
    before = traffic.kb() - traffic.kb("/sheet/")
    page.evaluate(WATCH)
    page.locator("#solve").click()
    page.locator(".mm-player[data-state=running]").wait_for()
    page.locator(".mm-player[data-state=finished]").wait_for(timeout=120_000)
    page.locator(".mm-player .result").wait_for(timeout=120_000)
    page.locator("#trace-file:not([disabled])").wait_for(state="attached")
    page.wait_for_timeout(300)
    told = page.evaluate("window.pageSpeed")
    return {
        "kb": round(traffic.kb() - traffic.kb("/sheet/") - before, 1),
        "first_token_seconds": round(told["first"] / 1000, 2),
        "longest_gap_seconds": round(max(told["gaps"]) / 1000, 2),
    }
