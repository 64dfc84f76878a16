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

from mmreason import limits
from mmreason.errors import ConfigError, MMReasonError, TraceError
from mmreason.records import Trace
from mmreason.rewards.verify import Verifier
from mmreason.sampling.scheduler import SamplingConfig
from mmreason.traces.file import HANDED, to_json
from mmreason.traces.group import MAX_TRACES, check_same_problem, load_group, parse_group
from mmreason.ui import gpu, runtime
from mmreason.ui.opened import Opened, open_files, open_traces
from mmreason.ui.request import SolveRequest, checked
from mmreason.ui.runs import find, runs_of
from mmreason.ui.solving import Finished

SECONDS_PER_ROLLOUT = 1.0  # on a lent GPU
PERIOD = 0.4  # seconds between two words about progress

Choice = tuple[str, str]  # what is shown, and the name that ``open_run`` takes

_SAMPLE = re.compile(r"step(\d+)-\d+\.json\Z", re.ASCII)
_OF_RUN = re.compile(r"run:([0-9a-f]{12})/(joint|factorized), step (\d{1,9})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Progress:
    """What the page says while it waits, and at the end the group."""

    notice: str
    opened: Opened | None = None


def bundled() -> dict[str, Path]:
    """Names of the bundled groups, the most conflicted first, and their files."""
    found = {}
    for path in sorted((runtime.ASSETS / "groups").glob("*.json")):
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


def run_samples(visitor: Any = None, linked: Any = None) -> list[Choice]:
    """Samples of trainings to choose from: the visitor's own, those of the run of a link, and the host's.

    What visitors started is named by the run's id, which only its owner and whoever has its link know.
    """
    runs = runs_of(visitor)
    other = find(linked)
    if other is not None and all(run.id != other.id for run in runs):
        runs.append(other)
    found = []
    for run in runs:
        whose = "yours" if run.is_of(visitor) else "by link"
        for arm in run.settings.arms:
            steps = sorted(_steps(run.arm_folder(arm)), reverse=True)
            found += [(f"{whose}: {arm}, step {n} ({run.id[:4]})", f"run:{run.id}/{arm}, step {n}") for n in steps]
    return found + [(name, name) for name in _host_samples()]


def _host_samples() -> dict[str, list[Path]]:
    """The groups that runs of the command line have left, newest step first: name → files."""
    found: dict[str, list[Path]] = {}
    for folder in sorted(path.parent for path in runtime.runs_folder().glob("*/samples")):
        steps = _steps(folder)
        found |= {f"{folder.name}, step {n}": steps[n] for n in sorted(steps, reverse=True)}
    return found


def _steps(run_directory: Path) -> dict[int, list[Path]]:
    """The samples of a run directory by step."""
    steps: dict[int, list[Path]] = {}
    for path in sorted(run_directory.glob("samples/*")):
        if match := _SAMPLE.match(path.name):
            steps.setdefault(int(match[1]), []).append(path)
    return steps


def open_run(name: Any) -> Opened:
    """The samples called ``name``; raises ConfigError or TraceError."""
    match = _OF_RUN.match(str(name))
    run = find(match[1]) if match else None
    if match and run is not None:
        files, said = _steps(run.arm_folder(match[2])).get(int(match[3]), []), f"{match[2]}, step {match[3]}"
    else:
        files, said = _host_samples().get(str(name), []), str(name)
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


def open_finished(finished: Finished) -> Opened:
    """A run of the tab Watch."""
    return open_files([finished.data], "the run from Watch")


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
    pipe = gpu.lent(runtime.load_pipeline(request.checkpoint))
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


def finished_of(opened: Opened, g: int) -> Finished:
    """Rollout ``g`` as the tab Watch keeps a run."""
    return Finished(to_json(opened.traces[g], opened.words, opened.sheet), opened.sheet)
