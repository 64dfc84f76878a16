"""Change its mind, and comparison: two traces of one problem side by side.

Axes: C codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmreason.codecs.cells import encode_cells
from mmreason.errors import ConfigError
from mmreason.records import Frame, Problem, Segment, Trace, trace_rewards
from mmreason.rewards.advice import code_of_cell
from mmreason.rewards.verify import Verifier
from mmreason.sampling.config import RECORDED, SamplingConfig
from mmreason.sampling.given import redrawn, reworded
from mmreason.tasks import TASKS, atlas
from mmreason.ui.group.opened import Opened
from mmreason.ui.host import checkpoints
from mmreason.ui.host.web.sheets import sheet_link
from mmreason.ui.shell.words import puzzle_name
from mmreason.ui.solve.playback import Playback
from mmreason.ui.solve.request import SolveRequest


@dataclass(frozen=True, slots=True)
class Side:
    """One trace with what its ids mean, and its name on the page."""

    name: str
    trace: Trace
    words: Sequence[str]
    sheet: np.ndarray


def go_on(opened: Opened, change: Mapping[str, Any], checkpoint: Any) -> Iterator[str | dict[str, Any]]:
    """Change a segment of an open trace and let the model go on: words about progress, at last the duet's value.

    ``change`` names the rollout ``g``, the segment ``s`` (from 0), and ``text``, or ``cell`` and ``drawing``.
    Raises ConfigError and CheckpointError.
    """
    trace, number = _chosen(opened, change)
    name = (
        checkpoints.find_checkpoint(opened.checkpoint or "", opened.checkpoint_hash)
        if opened.checkpoint_hash
        else None
    )
    name = name or str(checkpoint)
    pipe = checkpoints.load_pipeline(name)
    given = retold(opened, trace.segments[: number + 1], pipe)
    given[-1], what = _changed(opened, given[-1], change, pipe)
    config = _config(trace)
    seed, generation = opened.seeds[int(change["g"])] if opened.seeds else (0, 0)
    branch = trace
    stream: Any = pipe.resume(opened.problem, given, config, seed, generation)
    with closing(stream):
        for traces in stream:
            branch = traces[0]
            yield f"{name} goes on: {len(branch.segments)} segments."
    branch = Verifier(pipe.words, pipe.sheet).score(branch)
    first = trace.segments[number]
    title = f"Turn {first.turn}: {what}"
    sides = (
        Side("as it was", trace, opened.words, opened.sheet),
        Side(f"changed, {name} goes on", branch, pipe.words, pipe.sheet),
    )
    yield duet_value(title, sides, differs=number, changed=True)


def compare(requests: Sequence[SolveRequest], problem: Problem) -> Iterator[str | dict[str, Any]]:
    """Solve ``problem`` as each request says, with the same seed: words about progress, at last the duet's value."""
    sides = []
    temperatures = {request.temperature for request in requests}
    for request in requests:
        pipe = checkpoints.load_pipeline(request.checkpoint)
        name, trace = request.checkpoint, None
        if len(requests) == 2 or len(temperatures) > 1:
            name += f", temperature {request.temperature:g}"
        stream: Any = pipe.stream([problem], request.sampling(), [request.sampling_seed])
        with closing(stream):
            for traces in stream:
                trace = traces[0]
                yield f"{name}: {len(trace.segments)} segments."
        assert trace is not None
        sides.append(Side(name, Verifier(pipe.words, pipe.sheet).score(trace), pipe.words, pipe.sheet))
    which = puzzle_name(problem.task, problem.difficulty, problem.seed)
    title = f"{which}: {'two' if len(sides) == 2 else len(sides)} solutions with the same random numbers"
    yield duet_value(title[:1].upper() + title[1:], sides)


def _chosen(opened: Opened, change: Mapping[str, Any]) -> tuple[Trace, int]:
    g, s = change.get("g"), change.get("s")
    if not isinstance(g, int) or not isinstance(s, int) or not 0 <= g < len(opened.traces):
        raise ConfigError("choose a segment of the grid first")
    trace = opened.traces[g]
    if not 0 <= s < len(trace.segments):
        raise ConfigError("choose a segment of the grid first")
    if trace.segments[s].kind == "answer":
        raise ConfigError("nothing follows an answer; change a thought or a picture")
    return trace, s


def _changed(opened: Opened, segment: Segment, change: Mapping[str, Any], pipe: Any) -> tuple[Segment, str]:
    """The changed segment, and the change in words."""
    if segment.kind == "thought":
        text = " ".join(str(change.get("text", "")).split())
        if text == segment.text:
            raise ConfigError("change the words first; with these, the model would do the same again")
        return reworded(segment, text, pipe.layout), f"it thinks “{_read(text)}” instead of “{_read(segment.text)}”"
    cell, drawing = change.get("cell"), change.get("drawing")
    cells = TASKS[opened.problem.task].cells
    if not isinstance(cell, int) or not isinstance(drawing, int) or not 0 <= drawing < len(cells):
        raise ConfigError("choose a cell of the region and what it should show")
    drawings = atlas().global_ids(opened.problem.task, np.array([drawing]))
    token = int(code_of_cell(pipe.sheet)[drawings][0]) + len(pipe.words)
    where = f"r{cell // 8 + 1}c{cell % 8 + 1}"
    return (
        redrawn(segment, cell, token, pipe.vocabulary.mask),
        f"{where} shows {TASKS[opened.problem.task].cell_label(cells[drawing])} instead of what it drew",
    )


def _read(text: str) -> str:
    """A thought as a visitor reads it: marks such as ``<edit>`` without their brackets, operations by their names."""
    plain = re.sub(r"(?<!\S)<(\w+)>(?!\S)", r"\1", text)
    return re.sub(r"\brotate(\d+)\b", r"rotate \1°", plain).replace("_", " ")


def _config(trace: Trace) -> SamplingConfig:
    """The sampler's settings that the trace records; raises ConfigError."""
    known = {name: trace.settings[name] for name in RECORDED if trace.settings.get(name) is not None}
    if "num_steps" not in known and "num_steps" in trace.settings and known.get("threshold"):
        known["num_steps"] = None  # the threshold alone decided, not as many steps as are usual
    return SamplingConfig(**known)


def retold(opened: Opened, segments: Sequence[Segment], pipe: Any) -> list[Segment]:
    """``segments`` in the ids of ``pipe``; raises ConfigError for words that it does not know."""
    if opened.words is pipe.words and opened.codes is None:
        return list(segments)
    code_C = _codes(opened, pipe)
    told = []
    for segment in segments:
        if segment.kind == "edit":
            ids = [int(code_C[token - len(opened.words)]) + len(pipe.words) for token in segment.tokens]
        else:
            ids = [_word(opened.words[token], pipe.words) for token in segment.tokens]
            ids = pipe.layout.filled(ids, pipe.layout.slots(opened.problem.task))
        told.append(_retold(segment, ids, pipe.vocabulary.mask))
    return told


def _word(word: str, words: Sequence[str]) -> int:
    if word not in words:
        raise ConfigError(f"the checkpoint does not know the word {word[:40]!r} of this trace")
    return words.index(word)


def _codes(opened: Opened, pipe: Any) -> np.ndarray:
    """(C,) the pipeline's code of each code of the group: the same where it made them, else by their pixels."""
    codes = np.zeros(len(opened.sheet), dtype=np.int64)
    if opened.checkpoint_hash == pipe.fingerprint and opened.codes is not None:
        unknown = [patch for patch in range(len(codes)) if patch not in opened.codes]
        for patch, code in opened.codes.items():
            codes[patch] = code
    else:
        unknown = list(range(len(codes)))
    if unknown:
        codes[unknown] = encode_cells(pipe.vqvae, opened.sheet[unknown])
    return codes


def _retold(segment: Segment, ids: list[int], mask: int) -> Segment:
    """The segment with the ids of another vocabulary, committed as before; what was added, last."""
    shown, frames = [mask] * len(ids), []
    added = tuple(range(len(segment.tokens), len(ids)))
    for frame in segment.frames:
        extra = added if frame is segment.frames[-1] else ()
        committed = (*frame.committed, *extra)
        for i in committed:
            shown[i] = ids[i]
        frames.append(Frame(frame.step, tuple(shown), committed, (*frame.logprobs, *(0.0 for _ in extra))))
    return replace(segment, tokens=tuple(ids), frames=tuple(frames))


def duet_value(title: str, sides: Sequence[Side], differs: int | None = None, changed: bool = False) -> dict[str, Any]:
    """The duet component's value; ``differs``: the first segment in which the two are not the same."""
    sheets = [side.sheet for side in sides]
    same = all(np.array_equal(sheets[0], sheet) for sheet in sheets[1:])
    sheet = sheets[0] if same else np.concatenate(sheets)
    offsets = [0 if same else sum(map(len, sheets[:i])) for i in range(len(sheets))]
    entries = [_side_entry(side, offset) for side, offset in zip(sides, offsets, strict=True)]
    if differs is None:
        said = [[_said(side, segment) for segment in side.trace.segments] for side in sides]
        apart = [i for i, there in enumerate(zip(*said, strict=False)) if len(set(there)) > 1]
        differs = apart[0] if apart else None
    return {
        "title": title,
        "sheet": sheet_link(sheet),
        "sides": entries,
        "differs": differs,
        "changed": changed,
    }


def _said(side: Side, segment: Segment) -> tuple[Any, ...]:
    if segment.kind == "edit":
        codes = [token - len(side.words) for token in segment.tokens]
        return segment.cells, side.sheet[codes].tobytes()
    return segment.kind, segment.text


def _side_entry(side: Side, offset: int) -> dict[str, Any]:
    trace, value = Playback(side.words, side.sheet).update(side.trace, "stopped")
    text, image = trace_rewards(trace)
    for entry in value["segments"] if offset else []:
        if entry["kind"] == "edit":
            for frame in entry["frames"]:
                frame["tokens"] = [None if code is None else code + offset for code in frame["tokens"]]
    return {
        "name": side.name,
        "canvas_codes": [code + offset for code in value["canvas_codes"]],
        "segments": value["segments"],
        "end_reason": trace.end_reason,
        "success": trace.success,
        "cost": value["cost"],
        "text": text,
        "image": image,
    }
