"""``python -m tests.load.crowd``: many visitors at once, each solving, on the real server.

Starts ``app.py`` (or takes ``--address``), lets ``--visitors`` solve at the same moment, ``--rounds`` times or until
``--solves`` are done, and compares every trace with the one that a solve alone gives.  With ``--training`` a niced
training of one thread runs beside, with ``--batch`` some visitors wait in line.  Prints a table, and writes the
report as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from mmreason.commands.make.screenshots import free_port, served
from mmreason.disk import write_json
from mmreason.places import ROOT
from mmreason.tasks import FIRST_TASKS
from mmreason.training.run.rundir import read_metrics
from mmreason.ui.host.settings import name_of
from mmreason.ui.runs.queue import NICENESS
from mmreason.ui.solve.request import SolveRequest

MEMORY_EVERY = 100  # solves between two looks at the memory
FIRST_LIMIT, WHOLE_LIMIT = 10.0, 30.0  # seconds that a visitor waits, at the 95th percentile


def wishes(visitors: int, first: int) -> list[SolveRequest]:
    """What each visitor asks for: tasks take turns, and everyone has other seeds."""
    tasks = list(FIRST_TASKS)
    return [
        SolveRequest(task=tasks[i % len(tasks)], difficulty="medium", seed=i, sampling_seed=i)
        for i in range(first, first + visitors)
    ]


def generated(trace: dict[str, Any]) -> list[Any]:
    """What was generated, token for token; ``trace`` is of version 2."""
    return [
        [p["type"], p["turn"], p.get("cells"), [[f["tokens"], f["committed"]] for f in p["steps"]]]
        for rollout in trace["rollouts"]
        for p in rollout["parts"]
    ]


def alone(asked: list[SolveRequest]) -> list[list[Any]]:
    """The same solves one by one in this process, by the pipeline itself."""
    from mmreason.traces.file import to_json
    from mmreason.traces.versions.ours import two_of
    from mmreason.ui.host.checkpoints import load_pipeline

    found = []
    for request in asked:
        pipe = load_pipeline(request.checkpoint)
        (trace,) = pipe([request.problem()], request.sampling(), [request.sampling_seed]).traces
        found.append(json.loads(json.dumps(generated(two_of([to_json(trace, pipe.words, pipe.sheet)])))))
    return found


def fingerprint() -> str:
    """That of the checkpoint that all ask for."""
    from mmreason.ui.host.checkpoints import load_pipeline

    return load_pipeline(wishes(1, 0)[0].checkpoint).fingerprint


async def visit(client: httpx.AsyncClient, request: SolveRequest, patience: float) -> dict[str, Any]:
    """One solve: seconds to the first committed token and to the end, the trace, and what went wrong."""
    fields = ("task", "difficulty", "seed", "checkpoint", "sampling_seed")
    body = {name: getattr(request, name) for name in fields}
    began, seen = time.monotonic(), {"first": None, "whole": None, "trace": None, "error": None, "waited": False}
    try:
        joined = await client.post("/gradio_api/call/v2/solve", json=body)
        joined.raise_for_status()
        where = f"/gradio_api/call/v2/solve/{joined.json()['event_id']}"
        async with asyncio.timeout(patience), client.stream("GET", where) as answer:
            event = ""
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "error":
                    seen["error"] = value[:200]
                elif name == "data" and event in ("generating", "complete"):
                    _note(seen, json.loads(value), time.monotonic() - began)
    except Exception as error:
        seen["error"] = f"{type(error).__name__}: {error}"[:200]
    if seen["trace"] is None and seen["error"] is None:
        seen["error"] = "no trace came"
    return seen


def _note(seen: dict[str, Any], data: Any, seconds: float) -> None:
    state = data[0] if isinstance(data, list) and data else None
    if not isinstance(state, dict):
        return
    seen["waited"] |= bool(state["ahead"])
    if state["committed"] and seen["first"] is None:
        seen["first"] = seconds
    if state["trace"] is not None:
        seen["trace"], seen["whole"] = state["trace"], seconds


async def crowd(address: str, asked: list[SolveRequest], patience: float) -> list[dict[str, Any]]:
    """All visitors at once."""
    limits = httpx.Limits(max_connections=2 * len(asked) + 10)
    async with httpx.AsyncClient(base_url=address, timeout=patience, limits=limits) as client:
        return await asyncio.gather(*(visit(client, request, patience) for request in asked))


def memory_mb(address: str) -> int | None:
    """Resident megabytes of the process that listens at ``address``, where /proc tells it."""
    port = address.rpartition(":")[2].strip("/")
    found = subprocess.run(["pgrep", "-f", "app.py"], capture_output=True, text=True).stdout.split()
    for pid in found:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if f"GRADIO_SERVER_PORT={port}".encode() in environment:
                return megabytes(pid, "VmRSS")
        except (OSError, ValueError, IndexError):
            continue
    return None


def megabytes(pid: int | str, field: str) -> int:
    """A size that Linux tells of a process: ``VmRSS`` now, ``VmHWM`` at its peak."""
    return int(Path(f"/proc/{pid}/status").read_text().partition(f"{field}:")[2].split()[0]) // 1024


def percentile(values: list[float], share: float) -> float | None:
    """The smallest value that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


@contextmanager
def training() -> Iterator[Callable[[], int]]:
    """A training as the page starts it, from its first step on; gives a function that says how many it has done."""
    with tempfile.TemporaryDirectory(prefix="mmreason-crowd-") as folder:
        command = f"nice -n {NICENESS} {sys.executable} -m mmreason train --checkpoint checkpoints/base --steps 100000"
        sizes = "--eval_problems 4 --num_problems 4 --num_generations 4 --threads 1"
        process = subprocess.Popen(
            [*command.split(), *sizes.split(), "--output", folder],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while len(read_metrics(Path(folder))) < 2:  # the first row is the evaluation before
                if process.poll() is not None:
                    raise RuntimeError(f"the training ended with exit code {process.returncode}")
                time.sleep(0.5)
            yield lambda: len(read_metrics(Path(folder))) - 1
        finally:
            process.kill()
            process.wait()


def report(
    rounds: list[list[dict[str, Any]]], expected: list[list[Any]] | None, memory: dict[int, int | None]
) -> dict[str, Any]:
    """What was seen, in numbers; ``mixed_up`` is None if there is nothing to compare with.

    ``memory`` holds the server's megabytes after so many solves.
    """
    seen = [visitor for visitors in rounds for visitor in visitors]
    first = [visitor["first"] for visitor in seen if visitor["first"] is not None]
    whole = [visitor["whole"] for visitor in seen if visitor["whole"] is not None]
    pairs = zip(seen, expected or [], strict=expected is not None)
    mixed = sum(visitor["trace"] is not None and generated(visitor["trace"]) != trace for visitor, trace in pairs)
    return {
        "visitors": len(rounds[0]),
        "rounds": len(rounds),
        "solves": len(seen),
        "errors": sum(visitor["error"] is not None for visitor in seen),
        "error_messages": sorted({visitor["error"] for visitor in seen if visitor["error"]}),
        "mixed_up": mixed if expected is not None else None,
        "waited_in_line": sum(visitor["waited"] for visitor in seen),
        "first_token_seconds": {"p50": percentile(first, 0.5), "p95": percentile(first, 0.95)},
        "whole_solve_seconds": {"p50": percentile(whole, 0.5), "p95": percentile(whole, 0.95)},
        "mean_seconds": round(statistics.fmean(whole), 2) if whole else None,
        "memory_mb_after_solves": memory,
    }


def is_fine(found: dict[str, Any]) -> bool:
    """No error, nothing mixed up, and within the limits."""
    first, whole = found["first_token_seconds"]["p95"], found["whole_solve_seconds"]["p95"]
    quick = first is not None and first <= FIRST_LIMIT and whole is not None and whole <= WHOLE_LIMIT
    return not found["errors"] and not found["mixed_up"] and quick


def table(found: dict[str, Any]) -> str:
    """The report as lines of a table."""
    rows = [(name, found[name]) for name in ("visitors", "rounds", "errors", "mixed_up", "waited_in_line")]
    for name, limit in (("first_token_seconds", FIRST_LIMIT), ("whole_solve_seconds", WHOLE_LIMIT)):
        rows.append((f"{name} p50 / p95 (limit {limit:g})", f"{found[name]['p50']} / {found[name]['p95']}"))
    rows += [(name, found[name]) for name in ("memory_mb_after_solves", "training_steps") if name in found]
    return "\n".join(f"{name:<44} {value}" for name, value in rows)


def build_parser() -> argparse.ArgumentParser:
    """Its arguments."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.crowd", description=__doc__)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--solves", type=int, metavar="N", help="as many rounds as N solves take")
    parser.add_argument("--training", action="store_true", help="with a training beside")
    parser.add_argument("--batch", type=int, metavar="N", help="solve for N at once, so that the others wait in line")
    parser.add_argument("--address", help="of a server that runs already; memory is then not measured elsewhere")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds after which a visitor gives up")
    parser.add_argument("--no_compare", action="store_true", help="for memory over many solves: no solves alone")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the report as JSON")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the crowd; the exit code is 0 if all is fine."""
    words = sys.argv[1:] if arguments is None else arguments
    args = build_parser().parse_args(words)
    if args.solves is not None:
        args.rounds = -(-args.solves // args.visitors)
    if args.batch is not None:
        os.environ[name_of("max_batch")] = str(args.batch)
    with ExitStack() as stack:
        address = args.address or stack.enter_context(served([sys.executable, "app.py"], free_port()))
        steps = stack.enter_context(training()) if args.training else None
        before = steps() if steps else 0
        found = measure(address, args)
        if steps:
            found["training_steps"] = steps() - before
    print(table(found))
    for message in found["error_messages"]:
        print("error:", message)
    if args.out:
        made = {"fingerprint": fingerprint(), "command": shlex.join(["python", "-m", "tests.load.crowd", *words])}
        write_json(args.out, found | made, indent=1)
    return 0 if is_fine(found) else 1


def measure(address: str, args: argparse.Namespace) -> dict[str, Any]:
    """All rounds on the server at ``address``."""
    asked = [wishes(args.visitors, args.visitors * number) for number in range(args.rounds)]
    asyncio.run(crowd(address, wishes(1, 0), args.patience))  # the checkpoint is loaded, as after a start
    memory, rounds, solves = {0: memory_mb(address)}, [], 0
    for number, visitors in enumerate(asked, 1):
        rounds.append(asyncio.run(crowd(address, visitors, args.patience)))
        solves += len(visitors)
        if solves // MEMORY_EVERY > max(memory) // MEMORY_EVERY or number == args.rounds:
            memory[solves] = memory_mb(address)
        print(f"round {number} of {args.rounds}: {solves} solves", file=sys.stderr)
    expected = None if args.no_compare else alone([request for visitors in asked for request in visitors])
    return report(rounds, expected, memory)


if __name__ == "__main__":
    raise SystemExit(main())
