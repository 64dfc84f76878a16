"""``make page-speed``: how heavy and how quick the page is, measured in Chromium.

Starts the app on a free port, opens it as a new visitor and solves; writes ``assets/results/page_speed.json``: kB on
arrival (and of those, gradio's own scripts and styles) and seconds until Solve can be pressed; of each solve its kB,
the seconds from the click to the first token, and the longest time that the player stood still although the next frame
was there.  Bytes are counted on the wire, headers included, by a relay between browser and server.  Two visitors come
before the one that is measured, so that the server has loaded and packed what it does once.  Needs playwright and a
Chromium.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from mmreason.commands.make.screenshots import FLAGS, chromium, free_port, served
from mmreason.disk import write_json
from mmreason.places import ASSETS

HELP = "kB and seconds of the page, in a browser"
NUM_SOLVES = 8
WARM_MS, SETTLE_MS = 6000, 1000  # until a server has packed its files; until nothing more comes
# When Solve can be pressed, to the frame: who asks from outside the page asks too seldom to know.
READY = """(() => {
  const look = () => {
    const button = document.getElementById('solve');
    if (button && !button.disabled && button.getClientRects().length) window.readyAt = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
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

    with sync_playwright() as playwright, relayed(address) as relay:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for _ in range(2):
            before = browser.new_context().new_page()
            before.goto(relay.address)
            before.locator("#solve:not([disabled])").wait_for()
            before.wait_for_timeout(WARM_MS)
            before.context.close()
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        files = _Files(page)
        page.add_init_script(READY)
        relay.received = 0
        page.goto(relay.address)
        page.locator("#solve:not([disabled])").wait_for()
        interactive = page.evaluate("window.readyAt") / 1000
        page.wait_for_timeout(SETTLE_MS)
        arrival = {"kb": relay.kb(), "kb_gradio": files.kb("/assets/", "/static/"), "requests": len(files.bytes)}
        arrival["seconds_interactive"] = round(interactive, 2)
        solves = [_solve(page, relay, files) for _ in range(num_solves)]
        browser.close()
    return {
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "arrival": arrival,
        "code_book_kb": files.kb("/sheet/"),
        "solves": solves,
        "median_first_token_seconds": statistics.median(solve["first_token_seconds"] for solve in solves),
        "longest_gap_seconds": max(solve["longest_gap_seconds"] for solve in solves),
        "most_kb_a_solve": max(solve["kb"] for solve in solves),
    }


class Relay:
    """Passes on what browser and server say at ``address``, and counts what the browser receives."""

    def __init__(self, to: tuple[str, int]) -> None:
        self.to, self.received = to, 0
        self._listens = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listens.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def kb(self) -> float:
        """What the browser has received since ``received`` was set to 0."""
        return round(self.received / 1000, 1)

    def close(self) -> None:
        """Take no more connections."""
        self._listens.close()

    def _accept(self) -> None:
        while True:
            try:
                browser, _ = self._listens.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self.to)
            for one, other in ((browser, server), (server, browser)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Thread(target=self._pass_on, args=(one, other, other is browser), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, counts: bool) -> None:
        try:
            while part := one.recv(65536):
                self.received += len(part) if counts else 0
                other.sendall(part)
        except OSError:  # either side is gone
            pass
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def relayed(address: str) -> Iterator[Relay]:
    """A relay to the server at ``address``; it ends with the block."""
    host, _, port = address.removeprefix("http://").rstrip("/").partition(":")
    relay = Relay((host, int(port)))
    try:
        yield relay
    finally:
        relay.close()


class _Files:
    """The bytes of files that arrived whole, by address, as the browser counts them."""

    def __init__(self, page: Any) -> None:
        self.bytes: dict[str, int] = {}
        self._urls: dict[str, str] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.responseReceived", lambda e: self._urls.update({e["requestId"]: e["response"]["url"]}))
        session.on("Network.loadingFinished", lambda e: self.bytes.update({e["requestId"]: e["encodedDataLength"]}))
        session.send("Network.enable")

    def kb(self, *parts: str) -> float:
        """Of the addresses that hold one of ``parts``."""
        found = (n for name, n in self.bytes.items() if any(part in self._urls.get(name, "") for part in parts))
        return round(sum(found) / 1000, 1)


def _solve(page: Any, relay: Relay, files: _Files) -> dict[str, float]:
    """One solve of the puzzle that is shown, played to its end; the code book counts apart."""
    before = relay.kb() - files.kb("/sheet/")
    page.evaluate(WATCH)
    page.locator("#solve").click()
    page.locator(".mm-player[data-state=running]").wait_for()
    page.locator(".mm-player[data-state=finished]").wait_for(timeout=120_000)
    page.locator(".mm-player .result").wait_for(timeout=120_000)
    page.wait_for_timeout(SETTLE_MS)
    told = page.evaluate("window.pageSpeed")
    return {
        "kb": round(relay.kb() - files.kb("/sheet/") - before, 1),
        "first_token_seconds": round(told["first"] / 1000, 2),
        "longest_gap_seconds": round(max(told["gaps"]) / 1000, 2),
    }
