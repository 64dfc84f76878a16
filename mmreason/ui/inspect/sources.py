"""Where the inspector's groups come from: a training run's samples, files, the host's folder, and fresh rollouts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from mmreason import limits
from mmreason.errors import ConfigError, MMReasonError, TraceError
from mmreason.handed import inner_parts
from mmreason.records import Trace
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.config import SamplingConfig
from mmreason.traces.file import HANDED
from mmreason.traces.group import MAX_TRACES, check_same_problem, load_group
from mmreason.traces.opening import ENDINGS, open_content, open_contents
from mmreason.traces.picture import is_picture
from mmreason.traces.reading.growing import Growing
from mmreason.traces.versions.views import to_two
from mmreason.training.run.traces import is_of_a_public_checkpoint, samples
from mmreason.ui.group.gather import group_of, group_of_members, group_of_traces
from mmreason.ui.group.held import Group
from mmreason.ui.group.opened import open_traces
from mmreason.ui.host import checkpoints, gpu, public
from mmreason.ui.host.settings import name_of, read_settings
from mmreason.ui.host.temporary import FILES
from mmreason.ui.inspect.bundled import bundled, open_bundled
from mmreason.ui.runs.samples import host_samples
from mmreason.ui.runs.store import find
from mmreason.ui.solve.request import SolveRequest, checked

SECONDS_PER_ROLLOUT = 1.0  # on a lent GPU
PERIOD = 0.4  # seconds between two words about progress
MAX_UNPACKED = 256 * 2**20  # bytes of an upload in memory, before it is unpacked as well
ASKED = ("task", "difficulty", "seed", "checkpoint", "temperature", "sampling_seed")  # of Roll out, but for the size
MAX_LOOKED_AT, MAX_OFFERED = 5000, 300  # files of the host's folder


_OF_RUN = re.compile(rf"{checkpoints.ARM_OF_RUN}, step (\d{{1,9}})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Progress:
    """What the page says while it waits, and at the end the group."""

    notice: str
    opened: Group | None = None


def open_run(name: Any) -> Group:
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
    source, first = f"samples of the training run {said}", HANDED.load(files[0])
    if is_of_a_public_checkpoint(first):
        contents = [(path.name, HANDED.read(path)) for path in files[:MAX_TRACES]]
        return group_of(open_contents(contents, MAX_UNPACKED), source, link=str(name))
    members = [member for path in files[:MAX_TRACES] for member in load_group(path)]
    check_same_problem(members)
    return group_of_members(members, source, link=str(name))


def open_upload(paths: Sequence[str] | None) -> Group:
    """Uploaded files of rollouts, of ours or of another system, as one group; raises TraceError."""
    if not paths:
        raise TraceError("choose a file of rollouts, or a zip of a file and its pictures")
    contents = _read_all(list(dict.fromkeys(paths)))
    tables = [name for name, content in contents if not is_picture(content)]
    names = tables[0] if len(tables) == 1 else f"{len(contents)} files"
    return group_of(open_contents(contents, MAX_UNPACKED), f"from {names[:80]}")


def _read_all(paths: Sequence[str]) -> list[tuple[str, bytes]]:
    """Names and contents of some files; raises TraceError before there is too much of them."""
    if len(paths) > FILES:
        raise TraceError(f"at most {FILES} files may be opened together, got {len(paths)}: put them into one zip")
    contents: list[tuple[str, bytes]] = []
    left = MAX_UNPACKED
    for path in paths:
        contents.append((Path(path).name, HANDED.read(path)))
        left -= len(contents[-1][1])
        if left < 0:
            raise TraceError(f"the files have more than {MAX_UNPACKED // 2**20} MB in all")
    return contents


def files_of_host() -> list[str]:
    """The files and folders of rollouts inside the folder that the host allows, by their path inside it."""
    root = _allowed()
    if root is None:
        return []
    found: set[str] = set()
    for path in islice(_walk(root), MAX_LOOKED_AT):
        if path.name.endswith((*ENDINGS, ".zip")) and path.is_file():
            found.add(path.relative_to(root).as_posix())
    return sorted(found)[:MAX_OFFERED]


def _walk(folder: Path, depth: int = 3) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for path in entries:
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir() and depth:
            yield from _walk(path, depth - 1)
        else:
            yield path


def open_path(name: Any) -> Group:
    """A file or folder of rollouts inside the folder that the host allows; raises ConfigError or TraceError."""
    root = _allowed()
    if root is None:
        raise ConfigError(f"this server opens no files of its own; its host can set {name_of('rollouts')}")
    parts = inner_parts(name) if name else None
    path = root.joinpath(*parts) if parts else root
    if parts is None or path.resolve() != root.resolve().joinpath(*parts) or not path.exists():
        raise ConfigError(f"path must be that of a file inside the host's folder, got {str(name)[:80]!r}")
    link = f"file:{'/'.join(parts)}"
    growing = Growing(path)
    return group_of(growing.opened, f"from {name}", link=link, growing=growing)


def grown(group: Group) -> tuple[Group, str] | None:
    """The group with what its file has gained, and in words what befell the file; None if nothing has changed."""
    found = group.growing.more() if group.growing else None
    if found is None:
        return None
    if found.opened is None:
        return group, found.says
    newer = group_of(found.opened, group.source, link=group.link, growing=group.growing, token=group.token)
    return newer, found.says


def open_link(link: str) -> Group:
    """What ``?group=`` names: a sample, a run's samples or a file of the host; raises ConfigError, TraceError."""
    if link.startswith("run:"):
        return open_run(link)
    if link.startswith("file:"):
        return open_path(link.removeprefix("file:"))
    if link not in bundled():
        raise ConfigError("this link's sample is not here any more")
    return open_bundled(link)


def allows_paths() -> bool:
    """Whether the host lets visitors open files of this server."""
    return _allowed() is not None


def _allowed() -> Path | None:
    folder = read_settings().rollouts
    return Path(folder) if folder else None


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


ROLLED = "roll:"  # what the link to a roll-out begins with; the numbers of Roll out follow as a query


def roll_link(request: SolveRequest, size: int) -> str:
    """What ``?group=`` says of a roll-out, so that it can be made again; empty where Roll out has no such control.

    It names the checkpoint and not its weights, as Roll out does.
    """
    asked = {name: getattr(request, name) for name in ASKED}
    if replace(request, checkpoint_hash=None) != SolveRequest(**asked):
        return ""
    return ROLLED + urlencode(asked | {"temperature": limits.exactly(request.temperature), "size": size})


def read_roll_link(link: str) -> tuple[SolveRequest, int]:
    """The request and the size that such a link names; raises ConfigError."""
    try:
        said = dict(parse_qsl(link.removeprefix(ROLLED), max_num_fields=20))
    except ValueError:
        raise ConfigError("the link to a roll-out has too many parts") from None
    return group_request(*(said.get(name) for name in (*ASKED, "size")))


def checkpoint_of_link(link: str) -> str | None:
    """The checkpoint that a link to a roll-out names; None where it is none."""
    try:
        return read_roll_link(link)[0].checkpoint if link.startswith(ROLLED) else None
    except MMReasonError:
        return None


@gpu.on_gpu(lambda _, size: SECONDS_PER_ROLLOUT * size)
def roll_out(request: SolveRequest, size: int) -> Iterator[Progress]:
    """Roll out a group and say how far it is; user errors become a notice.  Closing this ends it."""
    problem, config = request.problem(), request.sampling()
    told, traces = 0.0, []
    if checkpoints.is_public(request.checkpoint):
        pipe: Any = public.load(request.checkpoint, public.quick_views(request.checkpoint))
        config = pipe.sampling_config(temperature=request.temperature, max_turns=problem.turns)
    else:
        pipe = gpu.lent(checkpoints.load_pipeline(request.checkpoint))
    stream: Any = pipe.stream([problem], config, [request.sampling_seed], size)
    with closing(stream):
        for traces in stream:
            if time.monotonic() - told >= PERIOD:
                told = time.monotonic()
                ended = sum(bool(trace.end_reason) for trace in traces)
                segments = sum(len(trace.segments) for trace in traces)
                yield Progress(f"{ended} of {size} rollouts have ended, {segments} segments so far.")
    yield Progress("", rolled_out(pipe, request, config, traces))


def rolled_out(pipe: Any, request: SolveRequest, config: SamplingConfig, traces: Sequence[Trace]) -> Group:
    """Finished rollouts of one request as a group."""
    judge = judge_of(pipe)
    origin = {"checkpoint": request.checkpoint, "checkpoint_hash": pipe.fingerprint, "seed": request.sampling_seed}
    scored = [
        judge.score(replace(trace, settings={**trace.settings, **origin, "generation": g}))
        for g, trace in enumerate(traces)
    ]
    source = f"rolled out by {request.checkpoint} at temperature {config.temperature:g}"
    link = roll_link(request, len(traces))
    if pipe.sheet is None:
        source += f", {pipe.views.attention} attention"
        return group_of(open_content(json.dumps(to_two(scored, pipe)).encode(), "rollouts"), source, link=link)
    opened = open_traces(
        scored,
        pipe.words,
        pipe.sheet,
        source,
        checkpoint=request.checkpoint,
        checkpoint_hash=pipe.fingerprint,
        seeds=tuple((request.sampling_seed, g) for g in range(len(scored))),
    )
    return group_of_traces(opened, link)
