"""Firefox over WebDriver BiDi, as a distribution packages it; Playwright drives a build of its own only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from mmreason.commands.make.screenshots import free_port

NAMES = ("firefox-esr", "firefox")
START_SECONDS, WAIT_SECONDS = 60, 60
ENTER, ESCAPE, RIGHT = "\ue007", "\ue00c", "\ue014"  # keys, as WebDriver writes them


def firefox() -> str | None:
    """Path of the browser, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Firefox:
    """One page of one browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self.errors: list[str] = []  # that the page's console told
        self.command("session.new", capabilities={})
        self.command("session.subscribe", events=["log.entryAdded"])
        self.context = self.command("browsingContext.getTree")["contexts"][0]["context"]

    def command(self, method: str, **params: Any) -> Any:
        """The result of a command; raises RuntimeError with what the browser says."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(timeout=WAIT_SECONDS))
            if told.get("method") == "log.entryAdded" and told["params"]["level"] == "error":
                self.errors.append(str(told["params"]["text"]))
            if told.get("id") == self._number:
                if told["type"] == "error":
                    raise RuntimeError(f"{method}: {told['error']}: {told['message']}")
                return told["result"]

    def goto(self, address: str, width: int, height: int) -> None:
        """Open ``address`` in a window of this size."""
        self.command("browsingContext.setViewport", context=self.context, viewport={"width": width, "height": height})
        self.command("browsingContext.navigate", context=self.context, url=address, wait="complete")

    def ask(self, expression: str) -> Any:
        """What an expression gives, awaited, by way of JSON."""
        asked = f"Promise.resolve({expression}).then((found) => JSON.stringify(found ?? null))"
        told = self.command("script.evaluate", expression=asked, target={"context": self.context}, awaitPromise=True)
        if told["type"] == "exception":
            raise RuntimeError(f"{expression}: {told['exceptionDetails']['text']}")
        return json.loads(told["result"]["value"])

    def wait(self, expression: str) -> Any:
        """Wait until an expression gives something; what it gives."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (found := self.ask(expression)):
            assert time.monotonic() < deadline, f"waited in vain for {expression}"
            time.sleep(0.1)
        return found

    def click(self, selector: str) -> None:
        """Move the mouse to the first element of ``selector`` that is seen, and press."""
        x, y = self.wait(
            f"(() => {{ const it = [...document.querySelectorAll({json.dumps(selector)})]"
            ".find((e) => e.checkVisibility() && !e.disabled); if (!it) return null;"
            "it.scrollIntoView({ block: 'center', behavior: 'instant' }); const box = it.getBoundingClientRect();"
            "return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]; })()"
        )
        press = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": press}
        self.command("input.performActions", context=self.context, actions=[mouse])

    def press(self, key: str) -> None:
        """Press a key."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.command(
            "input.performActions", context=self.context, actions=[{"type": "key", "id": "keys", "actions": keys}]
        )


@contextmanager
def opened(profile: Path, preferences: Mapping[str, Any]) -> Iterator[Firefox]:
    """A new Firefox with these ``preferences``; it ends with the block."""
    path = firefox()
    assert path is not None
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
    port = free_port()
    command = [path, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", str(port)]
    process = subprocess.Popen(
        command, env=os.environ | {"HOME": str(profile)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with _connected(f"ws://127.0.0.1:{port}/session", process) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _connected(address: str, process: subprocess.Popen[bytes]) -> ClientConnection:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"Firefox ended with exit code {process.returncode}"
        try:
            return connect(address, max_size=None, proxy=None)
        except (OSError, WebSocketException):
            assert time.monotonic() < deadline, "Firefox did not answer"
            time.sleep(0.2)
