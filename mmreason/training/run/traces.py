"""The traces that a run keeps: a group of some steps (``samples/``), and held-out problems of each evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreason.disk import write_json
from mmreason.traces.file import HANDED, save, to_json
from mmreason.traces.group import check_same_problem, members_of
from mmreason.traces.sheet import sheet_value
from mmreason.traces.versions.ours import GROUP, VERSION_TWO, is_ours, ones_of, shortened, two_of
from mmreason.traces.versions.two import check_two
from mmreason.traces.versions.views import save_two, to_two

if TYPE_CHECKING:
    from mmreason.records import Trace
    from mmreason.sampling.pipeline import InterleavedReasoningPipeline
    from mmreason.sampling.views.pipeline import ViewsPipeline

    Pipeline = InterleavedReasoningPipeline | ViewsPipeline

SAMPLES, HELD_OUT = "samples", "held_out"
SAMPLE_FILE, HELD_OUT_FILE = r"step(\d+)-\d+\.json", r"step(\d+)\.json"  # in these folders


def keep_samples(run: Path, step: int, group: Sequence[Trace], pipe: Pipeline) -> None:
    """Write the traces of a group of ``step`` into the run directory ``run``."""
    for g, trace in enumerate(group):
        path = run / SAMPLES / f"step{step:05d}-{g:02d}.json"
        if pipe.sheet is None:
            save_two(path, to_two([trace], pipe))
        else:
            save(path, to_json(trace, pipe.words, pipe.sheet))


def samples(run: Path) -> dict[int, list[Path]]:
    """The files of the groups in a run directory, by step."""
    found: dict[int, list[Path]] = {}
    for path in sorted(run.glob(f"{SAMPLES}/*")):
        if match := re.fullmatch(SAMPLE_FILE, path.name, re.ASCII):
            found.setdefault(int(match[1]), []).append(path)
    return found


def sampled_group(files: Sequence[Path], name: str) -> dict[str, Any]:
    """The rollouts in ``files`` of one group as a version 2 object, in which it is called ``name``; raises TraceError.

    So groups of several steps and arms may stand in one file without being taken for one another's.
    """
    contents = [HANDED.load(path) for path in files]
    if any(map(is_of_a_public_checkpoint, contents)):
        prompts: dict[str, dict[str, Any]] = {}
        rollouts: list[dict[str, Any]] = []
        for content in contents:
            check_two(content)
            prompts |= {entry["id"]: entry | {"id": f"{name}, {entry['id']}"} for entry in content["prompts"]}
            rollouts += [entry | {"prompt": f"{name}, {entry['prompt']}"} for entry in content["rollouts"]]
        return contents[0] | {"prompts": list(prompts.values()), "rollouts": rollouts}
    members = [member for content in contents for member in members_of(content)]
    check_same_problem(members)
    group = shortened(two_of(members))
    return group | {"prompts": [entry | {GROUP: name} for entry in group["prompts"]]}


def is_of_a_public_checkpoint(content: Any) -> bool:
    """Is ``content`` what a training of a public checkpoint has sampled?"""
    return isinstance(content, dict) and content.get("version") == VERSION_TWO and not is_ours(content)


def runs_with_samples(folder: Path) -> list[Path]:
    """The run directories in ``folder`` that hold samples."""
    return sorted(path.parent for path in folder.glob(f"*/{SAMPLES}"))


def keep_held_out(run: Path, step: int, traces: Sequence[Trace], pipe: Pipeline, number: int) -> None:
    """Write ``number`` of an evaluation's traces, evenly spread, into ``run``."""
    chosen = sorted({i * len(traces) // number for i in range(number)})
    sheet = {} if pipe.sheet is None else {"sheet": sheet_value(pipe.sheet)}  # pictures show what is no cell
    write_held_out(run, step, {**as_two([traces[i] for i in chosen], pipe), "step": step, **sheet})


def as_two(traces: Sequence[Trace], pipe: Pipeline) -> dict[str, Any]:
    """Scored ``traces`` of ``pipe``, of however many problems, as the object of one version 2 file."""
    if pipe.sheet is None:
        return to_two(traces, pipe)
    return two_of([to_json(trace, pipe.words, pipe.sheet) for trace in traces])


def write_held_out(run: Path, step: int, content: dict[str, Any]) -> None:
    """Write the file of an evaluation, whole."""
    write_json(run / HELD_OUT / f"step{step:05d}.json", content)


def held_out_traces(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The traces in the file of an evaluation; older files hold them as ``traces``.  Raises TraceError, KeyError."""
    return ones_of(content) if is_ours(content) else content["traces"]


def held_out(run: Path) -> dict[int, Path]:
    """The files of the evaluations in a run directory, by step, the earliest first."""
    names = ((re.fullmatch(HELD_OUT_FILE, path.name, re.ASCII), path) for path in (run / HELD_OUT).glob("step*.json"))
    return dict(sorted((int(match[1]), path) for match, path in names if match))
