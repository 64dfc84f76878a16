"""TRL's completions tables: ``prompt``, ``completion``, ``advantage`` and a column for each reward function.

``advantage`` is (sum − mean) / (σ + 1e-4) over the group and no component of the reward.
"""

from __future__ import annotations

from mmreason.traces.formats.chat import conversation
from mmreason.traces.formats.row import Images, Read, Row, components, in_turns, label, numbers_as_text, whole
from mmreason.traces.picture import Shelf

_APART = frozenset(("step", "advantage", "prompt", "completion", "image", "images", "prompt_id", "id"))


def recognises(row: Row) -> bool:
    """Whether ``row`` is of such a table."""
    return "prompt" in row and "completion" in row and "advantage" in row


def read(row: Row, shelf: Shelf) -> Read:
    """The rollout of ``row``; raises TraceError."""
    images = Images(row)
    prompt, parts, _, _ = conversation(row, images, shelf)
    rewards, beyond = components(row, _APART)
    more = {name: value for name, value in row.items() if name not in _APART and name not in rewards}
    return Read(
        "trl",
        tuple(prompt),
        in_turns(parts),
        rewards,
        prompt_id=label(row, "prompt_id"),
        id=label(row, "id"),
        step=whole(row, "step"),
        more={**more, "advantage": row["advantage"]},
        beyond=beyond,
        notes=(*images.notes, *numbers_as_text(row, _APART | {"answer"})),
    )
