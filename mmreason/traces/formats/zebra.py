"""Records as Zebra-CoT has them: ``Question``, ``Text Reasoning Trace``, ``Final Answer`` and pictures by name.

``<image_start>[reasoning_image_1]<image_end>`` stands for the picture of that column.  ``reward_text`` and
``reward_image``, where somebody added them, judge the whole rollout.
"""

from __future__ import annotations

import re

from mmreason.disk import quoted
from mmreason.traces.formats.row import Piece, Read, Row, generated, given, in_turns, label, number, pieces_of, whole
from mmreason.traces.picture import Shelf, marked_broken

QUESTION, TRACE, ANSWER = "Question", "Text Reasoning Trace", "Final Answer"
JUDGES = {"text": ("reward_text",), "image": ("reward_image",)}

_MARK = re.compile(r"<image_start>\s*\[[^\]<>]{1,200}\]\s*<image_end>")
_IMAGE = re.compile(r"(?:problem|reasoning)_image_\d+")


def recognises(row: Row) -> bool:
    """Whether ``row`` is such a record."""
    return QUESTION in row and TRACE in row


def read(row: Row, shelf: Shelf) -> Read:
    """The rollout of ``row``; raises TraceError."""

    marked: set[str] = set()

    def picture(mark: str) -> Piece:
        name = mark.partition("[")[2].partition("]")[0]
        marked.add(name)
        if row.get(name) is None:
            return "image", marked_broken(f"field {quoted(name)} is missing, though the text names it as a picture")
        return "image", row[name]

    asked = given(pieces_of(row[QUESTION], QUESTION, _MARK, picture), shelf, QUESTION)
    pieces = pieces_of(row[TRACE], TRACE, _MARK, picture)
    if row.get(ANSWER) is not None:
        pieces += pieces_of(row[ANSWER], ANSWER, _MARK, picture)
    unused = [name for name in row if _IMAGE.fullmatch(name) and row[name] is not None and name not in marked]
    scores = {name: number(row.get(name), name) for names in JUDGES.values() for name in names}
    known = {QUESTION, TRACE, ANSWER, "prompt_id", "id", "step", *scores}
    return Read(
        "zebra-cot",
        tuple(asked),
        in_turns(generated(pieces, shelf, TRACE)),
        {name: score for name, score in scores.items() if score is not None},
        prompt_id=label(row, "prompt_id"),
        id=label(row, "id"),
        step=whole(row, "step"),
        judges=JUDGES,
        more={name: value for name, value in row.items() if name not in known and not _IMAGE.fullmatch(name)},
        notes=tuple(f"picture {quoted(name)} is left out where no text marks its place" for name in unused),
    )
