"""verl's rollout dumps: ``input``, ``output``, ``gts``, ``score``, ``step``, keys of rewards, ``uid``, ``images``.

``input`` begins with the system's words; the prompt stands between the lines ``user`` and ``assistant``.  ``score`` is
the sum of the components, and one itself only where there is no other.

verl calls a rollout ``<prompt>_<session>_<output>``.  But the names of prompts may end so, too, and a later output of
a session may have a longer ``input``: rollouts are of one group where both their uid and their prompt say so.
"""

from __future__ import annotations

import re

from mmreason.traces.formats.chat import MARK
from mmreason.traces.formats.row import (
    Images,
    Read,
    Row,
    components,
    generated,
    given,
    in_turns,
    label,
    pieces_of,
    whole,
)
from mmreason.traces.picture import Shelf

_APART = frozenset(("input", "output", "gts", "score", "step", "uid", "images", "image", "prompt_id", "id"))
_USER = re.compile(r"^user[ \t]*$", re.MULTILINE)
_ROLLOUT = re.compile(r"_[0-9]+_[0-9]+\Z")  # what a uid says of the rollout
_ASSISTANT = re.compile(r"\n?^assistant[ \t]*\n?\Z", re.MULTILINE)


def recognises(row: Row) -> bool:
    """Whether ``row`` is of such a dump."""
    return isinstance(row.get("input"), str) and "output" in row


def read(row: Row, shelf: Shelf) -> Read:
    """The rollout of ``row``; raises TraceError."""
    images = Images(row)
    system, user = _split(row["input"])
    told = given(pieces_of(system, "input", MARK, images.marked), shelf, "input", "system")
    asked = given(pieces_of(user, "input", MARK, images.marked), shelf, "input")
    parts = generated(pieces_of(row["output"], "output", MARK, images.marked), shelf, "output")
    asked = given(images.unnamed(), shelf, images.name) + asked
    rewards, beyond = components(row, _APART)
    if not rewards:
        rewards, beyond = components(row, _APART - {"score"})
    more = {name: row[name] for name in row if name not in rewards and name not in ("input", "output", images.name)}
    uid = label(row, "uid")
    group = _ROLLOUT.sub("", uid)
    return Read(
        "verl",
        (*told, *asked),
        in_turns(parts),
        rewards,
        prompt_id=label(row, "prompt_id"),
        called=group,
        id=label(row, "id") or (uid if uid != group else ""),
        step=whole(row, "step"),
        answer=row.get("gts"),
        more=more,
        beyond=beyond,
        notes=images.notes,
    )


def _split(text: str) -> tuple[str, str]:
    """What the system says, and the prompt."""
    user = _USER.search(text)
    system = text[: user.start()].removeprefix("system\n") if user else ""
    return system, _ASSISTANT.sub("", text[user.end() :] if user else text)
