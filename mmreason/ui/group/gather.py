"""Groups made of what was read or rolled out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmreason.analysis.rollouts.reading import broken
from mmreason.disk import one_line
from mmreason.errors import MMReasonError
from mmreason.traces.file import to_json
from mmreason.traces.opening import open_members
from mmreason.traces.reading.gathered import Opened as Found
from mmreason.traces.reading.growing import Growing
from mmreason.traces.rollouts import Rollout, Rollouts
from mmreason.ui.group.held import SHELF, Group
from mmreason.ui.group.opened import Opened, open_files


def group_of(found: Found, source: str, *, link: str = "", growing: Growing | None = None, token: str = "") -> Group:
    """What a file held, as a group on the shelf; traces of ours among it can be gone on with."""
    natives, notes = _natives(found)
    named: dict[str, Any] = {"token": token} if token else {}
    rollouts = _with_marks(found.rollouts, natives)
    unfinished = (growing.unfinished,) if growing and growing.unfinished else ()
    told = (*unfinished, *rollouts.notes, *notes, *broken(rollouts))
    return SHELF.put(Group(rollouts, source, told, natives, link, growing, **named))


def group_of_members(members: Sequence[dict[str, Any]], source: str, *, link: str = "", token: str = "") -> Group:
    """Checked version 1 traces of one problem; raises TraceError."""
    native = open_files(members, source)
    named: dict[str, Any] = {"token": token} if token else {}
    rollouts = _with_marks(open_members(members).rollouts, {0: native})
    return SHELF.put(Group(rollouts, source, native.notes, {0: native}, link, **named))


def group_of_traces(opened: Opened, link: str = "") -> Group:
    """Traces that were rolled out here."""
    members = [to_json(trace, opened.words, opened.sheet) for trace in opened.traces]
    return SHELF.put(Group(open_members(members).rollouts, opened.source, opened.notes, {0: opened}, link))


def _natives(found: Found) -> tuple[dict[int, Opened], list[str]]:
    """By prompt the traces of ours, where the file holds no others, and what was found wrong with them."""
    rollouts: Rollouts = found.rollouts
    if not found.version_one or len(found.version_one) != len(rollouts.rollouts):
        return {}, []
    members: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for rollout, data in zip(rollouts.rollouts, found.version_one, strict=True):
        members[rollout.prompt].append(data)
    natives, notes = {}, []
    for number, prompt in enumerate(rollouts.prompts):
        try:
            natives[number] = open_files(members[prompt.id], "")
            notes += natives[number].notes
        except MMReasonError as error:
            notes.append(f"shown, but not scored again: {one_line(str(error), 200)}")
    return natives, notes


def _with_marks(found: Rollouts, natives: Mapping[int, Opened]) -> Rollouts:
    """The rollouts with the verifier's marks of where nothing right could be said, which older files lack."""
    marked: dict[str, Rollout] = {}
    groups = found.groups
    for number, native in natives.items():
        for rollout, trace in zip(groups[number], native.traces, strict=True):
            parts = tuple(
                replace(part, rewards=segment.verdict.components) if segment.verdict else part
                for part, segment in zip(rollout.parts, trace.segments, strict=True)
            )
            marked[rollout.id] = replace(rollout, parts=parts)
    return replace(found, rollouts=tuple(marked.get(rollout.id, rollout) for rollout in found.rollouts))
