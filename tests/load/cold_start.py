"""``python -m tests.load.cold_start``: from the start of ``app.py`` to the first picture, and the peak of its memory.

The first picture is the example that the page plays on arrival, drawn in a browser; ``solved`` is a whole solve
through the API after that.  The exit code is 0 within the limits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradio_client import Client
from playwright.sync_api import sync_playwright

from mmreason.commands.make.screenshots import FLAGS, chromium, free_port, wait_for
from mmreason.places import ROOT
from tests.load.crowd import megabytes

PICTURE_LIMIT, MEMORY_LIMIT = 60.0, 3000  # seconds, megabytes


def see_picture(address: str) -> None:
    """Wait until a browser shows the example's canvas and its first thought."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PICTURE_LIMIT * 10_000)
        page.goto(address)
        page.locator(".mm-player canvas:visible").first.wait_for()
        page.locator(".mm-player .card").first.wait_for()
        browser.close()


def measure() -> dict[str, Any]:
    """Seconds from the start of the process, and the peak of its memory."""
    port, began = free_port(), time.monotonic()
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    address, found = f"http://127.0.0.1:{port}", {}

    def note(name: str, act: Callable[[], Any]) -> None:
        act()
        found[f"{name}_seconds"] = round(time.monotonic() - began, 1)

    try:
        note("answers", lambda: wait_for(address, process))
        note("picture", lambda: see_picture(address))
        note("solved", lambda: Client(address, verbose=False).predict(api_name="/solve"))
        return found | {"peak_memory_mb": megabytes(process.pid, "VmHWM")}
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Print the report as JSON; the exit code is 0 within the limits."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.cold_start", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the report, too")
    args = parser.parse_args()
    found = measure()
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    return 0 if found["picture_seconds"] <= PICTURE_LIMIT and found["peak_memory_mb"] <= MEMORY_LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
