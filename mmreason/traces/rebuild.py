"""A trace file back as a record, read off its pictures, so that anyone's trace can be scored again.

Nobody's codebook is needed: the pictures in the file say what each canvas shows, so every distinct
16 × 16 patch becomes a code of its own.  Where the file contradicts itself, that is noted in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmreason.records import ANSWER, CELL_PX, GRID, MASK, Cost, Frame, Problem, Segment, Trace, Verdict, marked_words
from mmreason.traces.file import check, shown_words
from mmreason.traces.schema import EditFrame, EditSegment, TextFrame, TextSegment, TraceFile, decode_png, parse_box


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The trace, the ``words`` and the (C, 16, 16, 3) ``sheet`` that its ids index, and contradictions."""

    trace: Trace
    words: list[str]
    sheet: np.ndarray
    problems_found: list[str]


@dataclass(frozen=True, slots=True)
class RebuiltGroup:
    """Traces whose ids all index the same ``words`` and ``sheet``; ``codes``: what the files call each cell."""

    traces: list[Trace]
    words: list[str]
    sheet: np.ndarray
    codes: dict[int, int]
    problems_found: list[str]


class _Patches:
    """Distinct patches in the order of their appearance, and which one each code of the file names."""

    def __init__(self) -> None:
        self.ids: dict[bytes, int] = {}
        self.of_code: dict[int, int] = {}

    def add(self, patches: np.ndarray) -> np.ndarray:
        return np.array([self.ids.setdefault(patch.tobytes(), len(self.ids)) for patch in patches])

    def conflict(self, codes: list[int], ids: np.ndarray) -> str | None:
        """What is wrong if one of ``codes`` named another patch before."""
        for code, patch in zip(codes, ids.tolist(), strict=True):
            if self.of_code.setdefault(code, patch) != patch:
                return f"code {code} is drawn otherwise than elsewhere in the trace"
        return None

    def sheet(self) -> np.ndarray:
        return np.stack([np.frombuffer(key, np.uint8).reshape(CELL_PX, CELL_PX, 3) for key in self.ids])


def rebuild(data: dict[str, Any], problem: Problem) -> Rebuilt:
    """The record of a trace file's ``data`` about ``problem``; see ``rebuild_group``."""
    group = rebuild_group([data], problem)
    return Rebuilt(group.traces[0], group.words, group.sheet, group.problems_found)


def rebuild_group(members: Sequence[dict[str, Any]], problem: Problem) -> RebuiltGroup:
    """The records of several trace files' data about one ``problem``; raises TraceError.

    Rewards and verdicts are left out, for a verifier to fill.  A finished segment has the frames of the
    file where these commit each position once, else one frame that commits all of it at probability 1; an
    unfinished one has none.
    """
    files = [check(data) for data in members]
    said = {word for file in files for segment in file.segments for word in _said(segment)}
    words = [MASK, *sorted(said - {MASK})]
    patches, found, traces = _Patches(), [], []
    names: dict[int, int] | None = {}  # code → patch over all files, or None where two files use a code otherwise
    for number, (file, data) in enumerate(zip(files, members, strict=True)):
        trace, sentences = _trace(file, data, problem, words, patches)
        traces.append(trace)
        of_code, patches.of_code = patches.of_code, {}
        if names is not None and all(names.get(code, patch) == patch for code, patch in of_code.items()):
            names |= of_code
        else:
            names = None
        found += [f"traces[{number}].{sentence}" if len(files) > 1 else sentence for sentence in sentences]
    codes = {patch: code for code, patch in (names or {}).items()}
    return RebuiltGroup(traces, words, patches.sheet(), codes, found)


def _said(segment: TextSegment | EditSegment) -> set[str]:
    if segment.kind == "edit":
        return set()
    return {*segment.text.split(), *(word for frame in segment.frames[-1:] for word in frame.tokens if word)}


def _trace(
    file: TraceFile, data: dict[str, Any], problem: Problem, words: list[str], patches: _Patches
) -> tuple[Trace, list[str]]:
    found = []
    edits = [segment for segment in file.segments if segment.kind == "edit"]
    shown = patches.add(_cells(edits[0].before if edits else file.problem.image))
    start = tuple((shown + len(words)).tolist())
    if edits:  # without any, no picture shows the start canvas as the codes draw it
        found += _note("canvas_codes", patches.conflict(file.canvas_codes, shown))
    segments = []
    for number, entry in enumerate(file.segments):
        place = f"segments[{number}]"
        if entry.kind == "edit":
            before = patches.add(_cells(entry.before))
            after = before if entry.after is None else patches.add(_cells(entry.after))
            found += _edit_contradictions(entry, place, shown, before, after, patches)
            segments.append(_edit(entry, after + len(words)))
            shown = after
        else:
            found += _text_contradictions(entry, place)
            segments.append(_text(entry, words))
    cost = Cost(file.cost.forward_passes, file.cost.tokens_forwarded, file.cost.flops, file.cost.seconds)
    trace = Trace(problem, start, tuple(segments), file.end_reason, False, cost, data["settings"])
    return trace, found


def with_recorded(trace: Trace, data: dict[str, Any]) -> Trace:
    """``trace`` with the rewards, verdicts and success that the file records."""
    segments = []
    for segment, entry in zip(trace.segments, data["segments"], strict=True):
        said = entry["verdict"]
        verdict = said and Verdict(said["right"], said["reason"], dict(said["components"]))
        segments.append(replace(segment, reward=entry["reward"], verdict=verdict, transition=entry["transition"]))
    return replace(trace, segments=tuple(segments), success=data["success"])


def _cells(url: str) -> np.ndarray:
    """(64, 16, 16, 3) uint8 cells of a PNG data URL."""
    grid = np.asarray(decode_png(url)).reshape(GRID, CELL_PX, GRID, CELL_PX, 3)
    return grid.swapaxes(1, 2).reshape(-1, CELL_PX, CELL_PX, 3)


def _note(place: str, sentence: str | None) -> list[str]:
    return [f"{place}: {sentence}"] if sentence else []


def _edit(entry: EditSegment, tokens_HW: np.ndarray) -> Segment:
    tokens, frames = (0,) * len(entry.cells), ()
    if entry.after is not None:
        tokens = tuple(tokens_HW[entry.cells].tolist())
        frames = _frames(entry.frames, tokens)
    boxes = tuple(parse_box(words) for words in entry.region)
    return Segment("edit", entry.turn, tokens, frames, boxes=boxes, cells=tuple(entry.cells))


def _text(entry: TextSegment, words: list[str]) -> Segment:
    ids = tuple(words.index(word) for word in entry.text.split()) or (0,)  # an empty thought is still a thought
    last = entry.frames[-1].tokens if entry.frames else []
    if None in last:
        return Segment(entry.kind, entry.turn, ids, ())
    if shown_words(last) == entry.text.split():
        ids = tuple(words.index(word) for word in last if word)
        return Segment(entry.kind, entry.turn, ids, _frames(entry.frames, ids), text=entry.text)
    return Segment(entry.kind, entry.turn, ids, (_whole(ids),), text=entry.text)


def _frames(entries: Sequence[TextFrame | EditFrame], tokens: tuple[int, ...]) -> tuple[Frame, ...]:
    """The file's frames if they commit each position once, else one that commits all."""
    if sorted(i for entry in entries for i in entry.committed) != list(range(len(tokens))):
        return (_whole(tokens),)
    shown, frames = [0] * len(tokens), []  # 0: masked
    for entry in entries:
        for i in entry.committed:
            shown[i] = tokens[i]
        logprobs = tuple(math.log(max(p, 1e-300)) for p in entry.probability)
        frames.append(Frame(entry.step, tuple(shown), tuple(entry.committed), logprobs))
    return tuple(frames)


def _whole(tokens: tuple[int, ...]) -> Frame:
    return Frame(1, tokens, tuple(range(len(tokens))), (0.0,) * len(tokens))


def _edit_contradictions(
    entry: EditSegment,
    place: str,
    shown: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    patches: _Patches,
) -> list[str]:
    found = []
    if not np.array_equal(before, shown):
        found.append(f"{place}.before: is not the canvas that the segments before it leave")
    outside = np.ones(len(before), dtype=bool)
    outside[entry.cells] = False
    if not np.array_equal(before[outside], after[outside]):
        found.append(f"{place}.after: differs from 'before' outside the edit's cells")
    if entry.frames:
        codes = [code for code in entry.frames[-1].tokens if code is not None]
        finished = len(codes) == len(entry.cells)
        if finished != (entry.after is not None):
            found.append(f"{place}.after: must be there when, and only when, the last frame has no masks")
        elif finished:
            found += _note(place, patches.conflict(codes, after[entry.cells]))
    return found


def _text_contradictions(entry: TextSegment, place: str) -> list[str]:
    found = []
    if (entry.kind == "answer") != (marked_words(entry.text)[:1] == [ANSWER]) and entry.text:
        found.append(f"{place}.kind: is {entry.kind!r}, but only an answer begins with {ANSWER}")
    finished = bool(entry.frames) and None not in entry.frames[-1].tokens
    if finished and shown_words(entry.frames[-1].tokens) != entry.text.split():
        found.append(f"{place}.text: is not what the last frame says")
    return found
