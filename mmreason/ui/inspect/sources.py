"""Where the inspector's groups come from: bundled ones, a training run's samples, files, and fresh rollouts."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmreason import limits, places
from mmreason.errors import ConfigError, MMReasonError, TraceError
from mmreason.records import Trace
from mmreason.rewards.verify import Verifier
from mmreason.sampling.config import SamplingConfig
from mmreason.traces.file import HANDED
from mmreason.traces.group import MAX_TRACES, check_same_problem, load_group, parse_group
from mmreason.training.run.traces import samples
from mmreason.ui.group.opened import Opened, open_files, open_traces
from mmreason.ui.host import checkpoints, gpu
from mmreason.ui.runs.samples import host_samples
from mmreason.ui.runs.store import find
from mmreason.ui.solve.request import SolveRequest, checked

SECONDS_PER_ROLLOUT = 1.0  # on a lent GPU
PERIOD = 0.4  # seconds between two words about progress


_OF_RUN = re.compile(r"run:([0-9a-f]{12})/(joint|factorized), step (\d{1,9})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Progress:
    """What the page says while it waits, and at the end the group."""

    notice: str
    opened: Opened | None = None


def bundled() -> dict[str, Path]:
    """Names of the bundled groups, the most conflicted first, and their files."""
    found = {}
    for path in sorted((places.ASSETS / "groups").glob("*.json")):
        try:
            problem = json.loads(path.read_text(encoding="utf-8"))["problem"]
            name = f"{problem['task']}, {problem['difficulty']}"
            found[name if name not in found else f"{name} ({path.stem})"] = path
        except (OSError, ValueError, KeyError, TypeError):
            logging.getLogger(__name__).warning("group %s cannot be read", path)
    return found


def open_bundled(name: Any) -> Opened:
    """The bundled group called ``name``; raises ConfigError or TraceError."""
    there = bundled()
    if name not in there:
        raise ConfigError(f"sample must be one of {', '.join(there) or 'none'}, got {str(name)[:60]!r}")
    opened = open_files(load_group(there[name]), "rollouts of the shipped checkpoint, chosen for their interference")
    return replace(opened, sample=name)


def first_group() -> Opened | None:
    """What is shown on arrival."""
    for name in bundled():
        try:
            return open_bundled(name)
        except MMReasonError:
            logging.getLogger(__name__).warning("group %s cannot be opened", name)
    return None


def open_run(name: Any) -> Opened:
    """The samples called ``name``; raises ConfigError or TraceError."""
    match = _OF_RUN.match(str(name))
    run = find(match[1]) if match else None
    if match and run is not None:
        files, said = samples(run.arm_folder(match[2])).get(int(match[3]), []), f"{match[2]}, step {match[3]}"
    else:
        files, said = host_samples().get(str(name), []), str(name)
    if not files:
        raise ConfigError("choose the samples of a training run" + (
            f"; got {str(name)[:60]!r}, which is not here" if name else "; there are none here"
        ))  # fmt: skip
    members = [member for path in files[:MAX_TRACES] for member in load_group(path)]
    check_same_problem(members)
    return open_files(members, f"samples of the training run {said}")


def open_upload(paths: Sequence[str] | None) -> Opened:
    """Uploaded trace and group files, all of one problem; raises TraceError."""
    if not paths:
        raise TraceError("choose a trace file or a group file")
    members: list[dict[str, Any]] = []
    for path in paths:
        members += parse_group(HANDED.read(path), Path(path).name)
        if len(members) > MAX_TRACES:
            raise TraceError(f"a group may hold at most {MAX_TRACES} traces, got more")
    check_same_problem(members)
    names = Path(paths[0]).name if len(paths) == 1 else f"{len(paths)} files"
    return open_files(members, f"from {names[:80]}")


def group_request(
    task: Any, difficulty: Any, seed: Any, checkpoint: Any, temperature: Any, sampling_seed: Any, size: Any
) -> tuple[SolveRequest, int]:
    """Values of the controls, checked; raises ConfigError."""
    request = checked(
        task=task,
        difficulty=difficulty,
        seed=seed,
        checkpoint=checkpoint,
        temperature=temperature,
        sampling_seed=sampling_seed,
    )
    request.problem()
    return request, limits.GROUP.check(size, "rollouts")


@gpu.on_gpu(lambda _, size: SECONDS_PER_ROLLOUT * size)
def roll_out(request: SolveRequest, size: int) -> Iterator[Progress]:
    """Roll out a group and say how far it is; user errors become a notice.  Closing this ends it."""
    problem, config = request.problem(), request.sampling()
    pipe = gpu.lent(checkpoints.load_pipeline(request.checkpoint))
    told, traces = 0.0, []
    stream: Any = pipe.stream([problem], config, [request.sampling_seed], size)
    with closing(stream):
        for traces in stream:
            if time.monotonic() - told >= PERIOD:
                told = time.monotonic()
                ended = sum(bool(trace.end_reason) for trace in traces)
                segments = sum(len(trace.segments) for trace in traces)
                yield Progress(f"Rolling out {size}: {segments} segments so far, {ended} rollouts have ended.")
    yield Progress("", rolled_out(pipe, request, config, traces))


def rolled_out(pipe: Any, request: SolveRequest, config: SamplingConfig, traces: Sequence[Trace]) -> Opened:
    """Finished rollouts of one request as a group."""
    verifier = Verifier(pipe.words, pipe.sheet)
    origin = {"checkpoint": request.checkpoint, "checkpoint_hash": pipe.fingerprint, "seed": request.sampling_seed}
    scored = [
        verifier.score(replace(trace, settings={**trace.settings, **origin, "generation": g}))
        for g, trace in enumerate(traces)
    ]
    return open_traces(
        scored,
        pipe.words,
        pipe.sheet,
        f"rolled out by {request.checkpoint} at temperature {config.temperature:g}",
        checkpoint=request.checkpoint,
        checkpoint_hash=pipe.fingerprint,
        seeds=tuple((request.sampling_seed, g) for g in range(len(scored))),
    )
