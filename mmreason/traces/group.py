"""Group files: several traces of one problem in one file, and the reading of either kind of file.

What is written is version 2.  A group of version 1 is ``{"version": 1, "traces": [trace, …]}``, its members trace
files as they are.  What all members share may be said once: ``problem``, and in place of the pictures ``before`` and
``after`` a ``sheet``, the codebook as one picture, from which they are drawn when the file is read.  Either way every
member then passes the checks of a trace file.

Axes: C codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmreason.disk import write_json
from mmreason.errors import TraceError
from mmreason.records import NUM_CELLS, Trace
from mmreason.traces.file import HANDED, check, draw_codes, png_url, to_json
from mmreason.traces.plain import check_plain
from mmreason.traces.schema import PICTURES, VERSION
from mmreason.traces.sheet import sheet_pixels
from mmreason.traces.versions.ours import VERSION_TWO, ones_of, shortened, two_of

MAX_TRACES = 64
_KEYS = {"version", "problem", "sheet", "traces"}


def save_group(path: str | Path, traces: Sequence[Trace], words: Sequence[str], sheet: np.ndarray) -> None:
    """Write ``traces`` of one problem as one version 2 file; raises TraceError or WriteError."""
    group = shortened(two_of([to_json(trace, words, sheet) for trace in traces]))
    members_of(group)
    write_json(path, group)


def load_group(path: str | Path) -> list[dict[str, Any]]:
    """The checked traces of a trace file or a group file, of one problem; raises TraceError."""
    return members_of(HANDED.load(path))


def parse_group(content: bytes | str, name: str | None = None) -> list[dict[str, Any]]:
    """The same of a file's ``content``, or of what was pasted and has no ``name``."""
    return members_of(HANDED.parse(content, name))


def members_of(data: Any) -> list[dict[str, Any]]:
    """The checked traces of a file's JSON; raises TraceError with one sentence."""
    if not isinstance(data, dict) or ("traces" not in data and data.get("version") != VERSION_TWO):
        if isinstance(data, dict) and "sheet" in data:  # a bundled example holds the sheet beside its own pictures
            data = {key: value for key, value in data.items() if key != "sheet"}
        check(data)
        return [data]
    check_plain(data)
    if data.get("version") == VERSION_TWO:
        members = checked_ones(data)
        check_same_problem(members)
        return members
    if isinstance(data.get("version"), bool) or data.get("version") != VERSION:
        raise TraceError(f"group field 'version' must be {VERSION}")
    if unknown := sorted(set(data) - _KEYS):
        raise TraceError(f"group field {unknown[0][:40]!r} is not known; a group holds {', '.join(sorted(_KEYS))}")
    traces = data["traces"]
    if not isinstance(traces, list) or not 1 <= len(traces) <= MAX_TRACES:
        raise TraceError(f"group field 'traces' must be a list of 1 to {MAX_TRACES} traces")
    sheet = sheet_pixels(data["sheet"]) if data.get("sheet") is not None else None
    members = []
    for number, trace in enumerate(traces):
        try:
            if not isinstance(trace, dict):
                raise TraceError(f"a trace must be a JSON object, got {type(trace).__name__}")
            whole = {"version": VERSION, **({"problem": data["problem"]} if "problem" in data else {}), **trace}
            if sheet is not None:
                whole = _drawn(whole, sheet)
            check(whole)
        except TraceError as error:
            raise TraceError(f"in traces[{number}]: {error}") from None
        members.append(whole)
    check_same_problem(members)
    return members


def checked_ones(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The version 1 objects of a version 2 file of ours, each checked; raises TraceError."""
    members = ones_of(data)
    for number, member in enumerate(members):
        try:
            check(member)
        except TraceError as error:
            raise TraceError(f"in rollouts[{number}]: {error}") from None
    return members


def check_same_problem(members: Sequence[dict[str, Any]]) -> None:
    """Refuse traces of different problems; raises TraceError."""
    first = members[0]["problem"]
    for number, member in enumerate(members):
        if (member["problem"]["task"], member["problem"]["spec"]) != (first["task"], first["spec"]):
            raise TraceError(f"the traces of a group must be of one problem; traces[{number}] is of another")


def _drawn(trace: dict[str, Any], sheet: np.ndarray) -> dict[str, Any]:
    """``trace`` with the pictures of its edits, drawn from their codes."""
    shown = _codes(trace.get("canvas_codes"), NUM_CELLS, len(sheet), "canvas_codes")
    segments = []
    for number, segment in enumerate(trace["segments"] if isinstance(trace.get("segments"), list) else []):
        place = f"segments[{number}]"
        if not isinstance(segment, dict):
            raise TraceError(f"trace field '{place}': must be an object")
        pictures: dict[str, Any] = dict.fromkeys(PICTURES)
        if segment.get("kind") == "edit":
            cells = _codes(segment.get("cells"), None, NUM_CELLS, f"{place}.cells")
            frames = segment.get("frames")
            frames = frames if isinstance(frames, list) else []
            tokens = frames[-1].get("tokens") if frames and isinstance(frames[-1], dict) else None
            pictures["before"] = png_url(draw_codes(sheet, shown))
            if isinstance(tokens, list) and tokens and None not in tokens:
                shown = shown.copy()
                shown[cells] = _codes(tokens, len(cells), len(sheet), f"{place}.frames[{len(frames) - 1}].tokens")
                pictures["after"] = png_url(draw_codes(sheet, shown))
        segments.append({**segment, **pictures})
    return {**trace, "segments": segments}


def _codes(values: Any, length: int | None, below: int, place: str) -> np.ndarray:
    plain = isinstance(values, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    if not plain or not all(0 <= v < below for v in values) or (length is not None and len(values) != length):
        wanted = "whole numbers" if length is None else f"{length} whole numbers"
        raise TraceError(f"trace field '{place}': must be {wanted} from 0 to {below - 1}")
    return np.array(values, dtype=np.int64)
