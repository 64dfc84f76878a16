"""``python -m tests.load.memory``: what one server holds while a few visitors do everything that is heavy.

Starts ``app.py`` with a folder of its own for temporary files, and does ``--actions`` actions through the page's own
events, one after the other: solves with their files, roll-outs, races, leak measurements, comparisons.  Prints JSON:
resident megabytes, megabytes of temporary files and the time after every ``--every`` actions; the exit code is 0 if
memory stays within ``--slack`` of what it was after the first of these.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from mmreason.commands.make.screenshots import free_port, served
from mmreason.tasks import FIRST_TASKS
from tests.load.crowd import memory_mb

SLACK = 0.10
SETTLE = 2.0  # seconds after an answer until what the work took is given back
VISITORS = 8
LIGHT = ("solve", "roll out", "solve", "race", "solve", "solve", "roll out", "solve", "solve")
MIX = (*LIGHT, "leak", *LIGHT, "measure")  # one visitor after the other; what is dear is rarer
BUTTONS = {  # kind → what is clicked, and a part that the event fills
    "solve": ("solve", "player"),
    "roll out": ("roll-out", "group"),
    "leak": ("measure", "leak"),
    "measure": ("cost-measure", "cost-arms"),
    "race": ("cost-race-start", "cost-race"),
}
FILES = ("take-file",)


class Page:
    """The page as a browser knows it: its parts, and its events by what is clicked and what that fills."""

    def __init__(self, client: httpx.Client) -> None:
        config = client.get("/config").json()
        self.client = client
        self.parts = {part["id"]: part["props"] for part in config["components"]}
        self.events = config["dependencies"]

    def names(self, ids: list[int]) -> list[str | None]:
        return [self.parts[i].get("elem_id") for i in ids]

    def event(self, kind: str) -> dict[str, Any]:
        """The event of a kind of action; one that another event starts counts as clicked."""
        button, filled = BUTTONS[kind]
        there = [event for event in self.events if filled in self.names(event["outputs"])]
        clicked = [event for event in there if [button, "click"] in self._targets(event)]
        return (clicked or [event for event in there if button in self.names(event["outputs"])])[0]

    def files(self) -> dict[str, Any]:
        """The event that writes a file of a finished solve."""
        return next(event for event in self.events if tuple(self.names(event["outputs"])) == FILES)

    def _targets(self, event: dict[str, Any]) -> list[list[Any]]:
        return [[self.parts.get(target, {}).get("elem_id"), name] for target, name in event["targets"]]

    def data(self, event: dict[str, Any], given: dict[str, Any]) -> list[Any]:
        """The inputs as the page holds them, those named in ``given`` (by label or id) replaced."""
        found = []
        for i in event["inputs"]:
            props = self.parts[i]
            name = props.get("label") or props.get("elem_id")
            found.append(given.get(str(name).lower(), props.get("value")))
        return found

    def do(
        self, session: str, event: dict[str, Any], data: list[Any], told: dict[str, Any] | None = None
    ) -> str | None:
        """Have the event done for a session, ``told`` what its component says; what went wrong, or None."""
        body = {"fn_index": event["id"], "data": data, "event_data": told, "session_hash": session}
        self.client.post("/gradio_api/queue/join", json=body).raise_for_status()
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as answer:
            for line in answer.iter_lines():
                if not line.startswith("data: "):
                    continue
                message = json.loads(line.removeprefix("data: "))
                if message["msg"] == "process_completed":
                    return None if message["success"] else str(message["output"])[:200]
        return "the stream ended early"


def actions() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Session, kind and settings of one action after the other, without end; tasks, seeds and visitors take turns."""
    tasks = list(FIRST_TASKS)
    for number, kind in enumerate(itertools.cycle(MIX)):
        yield (
            f"visitor{number % VISITORS}",
            kind,
            {
                "task": tasks[(number // len(MIX) + number) % len(tasks)],
                "difficulty": "medium",
                "seed": number,
                "rollouts": 8,
            },
        )


def folder_mb(folder: Path) -> float:
    """Megabytes of all files below ``folder``."""
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20, 1)


def measure(address: str, temporary: Path, count: int, every: int) -> dict[str, Any]:
    """Do ``count`` actions on the server at ``address``; look at it before them and after every ``every`` of them."""
    began, looks, errors, kinds = time.monotonic(), [], [], dict.fromkeys(BUTTONS, 0)

    def look(done: int) -> None:
        time.sleep(SETTLE)
        seen = {"actions": done, "rss_mb": memory_mb(address), "temporary_mb": folder_mb(temporary)}
        looks.append(seen | {"seconds": round(time.monotonic() - began)})
        print(json.dumps(looks[-1]), file=sys.stderr, flush=True)

    with httpx.Client(base_url=address, timeout=600) as client:
        page = Page(client)
        look(0)
        for done, (session, kind, given) in enumerate(itertools.islice(actions(), count), start=1):
            event = page.event(kind)
            kinds[kind] += 1
            wrong = page.do(session, event, page.data(event, given))
            if wrong is None and kind == "solve":
                wrong = page.do(session, page.files(), [None], {"kind": "gif", "name": str(done)})
            errors += [f"{kind}: {wrong}"] if wrong else []
            if done % every == 0:
                look(done)
    return {"kinds": kinds, "errors": errors, "looks": looks, "growth": growth(looks)}


def growth(looks: list[dict[str, Any]]) -> float:
    """How far memory rose above what it was when all kinds of actions had been done, as a share of that."""
    first, *later = [look["rss_mb"] for look in looks[1:]]
    return round(max(later, default=first) / first - 1, 3)


def main() -> int:
    """Print the report as JSON; the exit code is 0 if all actions succeeded and memory stayed flat."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.memory", description=__doc__)
    parser.add_argument("--actions", type=int, default=200)
    parser.add_argument("--every", type=int, default=50, metavar="N", help="actions between two looks at the memory")
    parser.add_argument("--slack", type=float, default=SLACK, help="share by which memory may grow (default: 0.1)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the report, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mmreason-memory-") as folder:
        os.environ |= {"TMPDIR": folder, "GRADIO_TEMP_DIR": f"{folder}/gradio"}
        with served([sys.executable, "app.py"], free_port()) as address:
            found = measure(address, Path(folder), args.actions, args.every)
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    return 0 if not found["errors"] and found["growth"] <= args.slack else 1


if __name__ == "__main__":
    raise SystemExit(main())
