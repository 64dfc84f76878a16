"""``python -m tests.load.attack``: one client at full speed, and visitors who must still be served in time.

Starts ``app.py`` on runs of its own (or takes ``--address``).  The client joins the queue with the page's own heavy
events (measurements, races, roll-outs, leaks) and starts trainings as large as the form takes, as fast as its
``--connections`` let it: half of them under one session, half under a new one each time, every training under a new
token.  Meanwhile ``--visitors`` solve, ``--rounds`` times.  Prints a report as JSON; the exit code is 0 if all
visitors were served within the limits of ``tests.load.crowd``, and no more trainings were taken than the settings
allow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx

from mmreason.commands.make.screenshots import free_port, served
from mmreason.training.rl.presets import BOTH, PRESETS, TrainSettings
from mmreason.ui.host.settings import name_of, read_settings
from mmreason.ui.train.form import CONTROLS, filled
from tests.load.crowd import crowd, is_fine, report, wishes

HEAVY = {"cost-measure": "measure", "cost-race-start": "race", "roll-out": "roll-out", "measure": "leak"}
TRAINING = "train-start"
LARGEST = PRESETS["GPU"].but(assignment=BOTH, steps=1000, num_problems=32, num_generations=32)
TRAININGS = (LARGEST, PRESETS["GPU"])  # more than one run may be, and as much as it may
PAUSE_BEFORE = 3.0  # seconds that the attack goes on before the visitors come


class Events:
    """The page's own events, as its configuration describes them."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.parts = {part["id"]: part for part in config["components"]}
        self.events = config["dependencies"]

    def heavy(self) -> list[tuple[str, int, list[Any]]]:
        """Name, number and data of every click that starts heavy work, those of the line and of earlier versions."""
        return [
            (kind, event["id"], [self._value(part) for part in event["inputs"]])
            for element, kind in HEAVY.items()
            for event in self._clicks(element)
        ]

    def training(self, settings: TrainSettings = LARGEST) -> tuple[int, list[Any]]:
        """Number and data of the click that starts a training, after the visitor's token; without a dataset."""
        (event,) = (event for event in self._clicks(TRAINING) if len(event["inputs"]) == 2 + len(CONTROLS))
        values = {"checkpoint": "base"} | filled(settings)
        return event["id"], [None, *(values[name] for name in CONTROLS)]

    def _clicks(self, element: str) -> list[dict[str, Any]]:
        ids = [number for number, part in self.parts.items() if part["props"].get("elem_id") == element]
        if not ids:
            raise RuntimeError(f"the page has no part {element!r} any more")
        return [
            event
            for event in self.events
            if event["queue"] is not False and any(target == [ids[0], "click"] for target in event["targets"])
        ]

    def _value(self, number: int) -> Any:
        return self.parts[number]["props"].get("value")


async def attack(address: str, connections: int, ends: asyncio.Event, seen: Counter[str]) -> None:
    """Send events until ``ends``; ``seen`` counts the answers."""
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        events = Events((await client.get("/config")).json())
        heavy, trainings = events.heavy(), [events.training(settings) for settings in TRAININGS]
        mine = secrets.token_hex(6)

        async def send(turn: int) -> None:
            count = turn
            while not ends.is_set():
                count += 1
                session = mine if turn % 2 else secrets.token_hex(6)
                kind, number, data = heavy[count % len(heavy)]
                if count % 5 == 0:
                    number, values = trainings[count % 2]
                    kind, data = "training", [secrets.token_urlsafe(24), *values]
                body = {"data": data, "fn_index": number, "session_hash": session, "event_data": None}
                try:
                    answer = await client.post("/gradio_api/queue/join", json=body)
                    seen[f"{kind} {answer.status_code}"] += 1
                except httpx.HTTPError as error:
                    seen[f"{kind} {type(error).__name__}"] += 1

        await asyncio.gather(*(send(turn) for turn in range(connections)))


async def besieged(address: str, args: argparse.Namespace) -> tuple[list[list[dict[str, Any]]], Counter[str], float]:
    """The visitors' rounds during the attack, its answers, and how long it took."""
    ends, seen, began = asyncio.Event(), Counter(), time.monotonic()
    enemy = asyncio.create_task(attack(address, args.connections, ends, seen))
    await asyncio.sleep(PAUSE_BEFORE)
    rounds = []
    for number in range(args.rounds):
        if enemy.done():
            break
        rounds.append(await crowd(address, wishes(args.visitors, args.visitors * number), args.patience))
    ends.set()
    await enemy
    return rounds, seen, time.monotonic() - began


def trainings(folder: Path) -> dict[str, int]:
    """How many runs were taken, and for how many owners."""
    found = [json.loads(path.read_text()) for path in folder.glob("page/*/run.json")]
    return {"taken": len(found), "owners": len({run["owner"] for run in found})}


def end_trainings(folder: Path) -> None:
    """The server's end is not that of its trainings."""
    for path in folder.glob("page/*/run.json"):
        if pid := json.loads(path.read_text()).get("pid"):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def main(arguments: list[str] | None = None) -> int:
    """Run the attack; the exit code is 0 if nobody was crowded out."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.attack", description=__doc__)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8, help="of the client that attacks")
    parser.add_argument("--address", help="of a server that runs already; its trainings are then not counted")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds after which a visitor gives up")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the report, too")
    args = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mmreason-attack-")))
        os.environ[name_of("runs")] = str(folder)
        stack.callback(end_trainings, folder)
        address = args.address or stack.enter_context(served([sys.executable, "app.py"], free_port()))
        asyncio.run(crowd(address, wishes(1, 0), args.patience))  # the checkpoint is loaded, as after a start
        rounds, seen, seconds = asyncio.run(besieged(address, args))
        found = report(rounds, None, {})
        found["attack"] = {"seconds": round(seconds, 1), "events": seen.total(), "answers": dict(sorted(seen.items()))}
        found["trainings"] = trainings(folder)
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    most = getattr(read_settings(), "max_runs", 0)
    return 0 if is_fine(found) and found["trainings"]["taken"] <= most else 1


if __name__ == "__main__":
    raise SystemExit(main())
