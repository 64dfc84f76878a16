"""Chats: ``messages``, or ``prompt`` and ``completion``, whose contents are words or lists of parts.

A part is ``{"type": "text", "text": …}``, ``{"type": "image_url", "image_url": {"url": …}}``,
``{"type": "image", "image": …}``, or a bare ``{"type": "image"}`` that takes the next picture of the row's ``images``.
Without ``rewards`` and ``reward`` its columns of numbers are the components, as in TRL's and verl's tables.
"""

from __future__ import annotations

import re
from typing import Any

from mmreason.disk import quoted
from mmreason.errors import TraceError
from mmreason.traces.formats.row import (
    Images,
    Piece,
    Read,
    Row,
    components,
    generated,
    given,
    in_turns,
    judged,
    label,
    numbers_as_text,
    pieces_of,
    rewards_of,
    whole,
)
from mmreason.traces.picture import Shelf
from mmreason.traces.rollouts import Part

MARK = re.compile("<image>")
_KNOWN = frozenset(("messages", "prompt", "completion", "images", "image", "rewards", "reward", "segment_rewards"))
_KNOWN |= {"prompt_id", "id", "answer", "step"}


def recognises(row: Row) -> bool:
    """Whether ``row`` is a chat."""
    return isinstance(row.get("messages"), list) or ("prompt" in row and "completion" in row)


def read(row: Row, shelf: Shelf) -> Read:
    """The rollout of ``row``; raises TraceError."""
    images = Images(row)
    prompt, parts, given_rewards, kind = conversation(row, images, shelf)
    segment_rewards = row.get("segment_rewards")
    if segment_rewards is not None:
        if not isinstance(segment_rewards, list) or len(segment_rewards) != len(parts):
            held = len(segment_rewards) if isinstance(segment_rewards, list) else type(segment_rewards).__name__
            raise TraceError(f"field 'segment_rewards' must be a list of {len(parts)}, one a part, got {held}")
        given_rewards = segment_rewards
    parts = [
        judged(part, value, f"segment_rewards[{i}]")
        for i, (part, value) in enumerate(zip(parts, given_rewards, strict=True))
    ]
    said = next((name for name in ("rewards", "reward") if row.get(name) is not None), None)
    rewards, beyond = components(row, _KNOWN) if said is None else (rewards_of(row[said], said), ())
    return Read(
        kind,
        tuple(prompt),
        in_turns(parts),
        rewards,
        prompt_id=label(row, "prompt_id"),
        id=label(row, "id"),
        step=whole(row, "step"),
        answer=row.get("answer"),
        more={name: value for name, value in row.items() if name not in _KNOWN and (said or name not in rewards)},
        beyond=beyond,
        notes=(*images.notes, *(() if said else numbers_as_text(row, _KNOWN))),
    )


def conversation(row: Row, images: Images, shelf: Shelf) -> tuple[list[Part], list[Part], list[Any], str]:
    """The prompt's parts, the generated ones, what stands in these as ``reward``, and what kind of chat it is.

    The prompt is what comes before the assistant's first part; what others say between is not generated, and left out.
    """
    said: list[tuple[str, list[tuple[Piece, Any]]]] = []
    for name in ("messages",) if isinstance(row.get("messages"), list) else ("prompt", "completion"):
        default = "assistant" if name == "completion" else "user"
        said += _messages(row.get(name), name, default, images)
    prompt: list[Part] = []
    pieces: list[Piece] = []
    rewards: list[Any] = []
    for role, content in said:
        if role == "assistant":
            pieces += [piece for piece, _ in content]
            rewards += [reward for _, reward in content]
        elif not pieces:
            told = "system" if role in ("system", "developer") else "user"
            prompt += given([piece for piece, _ in content], shelf, "prompt", told)
    parts = generated(pieces, shelf, "completion")
    prompt = given(images.unnamed(), shelf, images.name) + prompt
    named = any(part.picture and part.picture.name for part in (*prompt, *parts))
    kind = "datasets" if images.values and not images.repeated else "chat with picture files" if named else "chat"
    return prompt, parts, rewards, kind


def _messages(value: Any, name: str, role: str, images: Images) -> list[tuple[str, list[tuple[Piece, Any]]]]:
    """Role and contents of each message; words alone are one message of ``role``."""
    if isinstance(value, str):
        return [(role, [(piece, None) for piece in pieces_of(value, name, MARK, images.marked)])]
    if not isinstance(value, list):
        raise TraceError(f"field '{name}' must be text or a list of messages, got {type(value).__name__}")
    found = []
    for number, message in enumerate(value):
        place = f"{name}[{number}]"
        if not isinstance(message, dict):
            raise TraceError(f"field '{place}' must be a message, an object, got {type(message).__name__}")
        who, content = message.get("role", role), message.get("content")
        if not isinstance(who, str):
            raise TraceError(f"field '{place}.role' must be text, got {type(who).__name__}")
        if isinstance(content, str):
            marked = pieces_of(content, f"{place}.content", MARK, images.marked)
            marked = marked if images.values else [("text", content)]
            found.append((who, [(piece, message.get("reward")) for piece in marked]))
        elif isinstance(content, list):
            found.append((who, [_part(part, f"{place}.content[{i}]", images) for i, part in enumerate(content)]))
        elif content is not None:
            raise TraceError(f"field '{place}.content' must be text or a list of parts, got {type(content).__name__}")
    return found


def _part(part: Any, place: str, images: Images) -> tuple[Piece, Any]:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if not isinstance(part, dict):
        raise TraceError(f"field '{place}' must be a part, an object, got {type(part).__name__}")
    kind = part.get("type")
    if kind in ("text", "output_text", "input_text"):
        text = part.get("text")
        if not isinstance(text, str):
            raise TraceError(f"field '{place}.text' must be text, got {type(text).__name__}")
        return ("text", text), part.get("reward")
    if kind in ("image", "image_url", "input_image"):
        value = next((part[key] for key in ("image", "image_url", "url", "path") if part.get(key) is not None), None)
        images.repeated = images.repeated or value is not None
        return ("image", images.take() if value is None else value), part.get("reward")
    raise TraceError(f"field '{place}.type' must be text, image or image_url, got {quoted(str(kind)[:40])}")
