"""What the page's scripts ask of the rollouts that are open: ``/rollouts/TOKEN/…``, beside gradio's own addresses.

``group``, ``grown``, ``push``, ``segment``, ``find``, ``look``, ``outline/N`` and ``picture/N`` of a group, for
whoever knows its token.  Nothing is written; what a file holds is sent as JSON text or as a picture drawn anew only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from mmreason import limits
from mmreason.errors import ConfigError, MMReasonError
from mmreason.kept import Kept
from mmreason.traces.picture import Picture, sized
from mmreason.ui.group.detail import segment_detail
from mmreason.ui.group.held import GONE, SHELF, Group
from mmreason.ui.group.look import look_value
from mmreason.ui.group.outline import outline_of
from mmreason.ui.group.view import found_in, group_view
from mmreason.ui.group.whatif import WhatIf, push_value, what_if_of
from mmreason.ui.host.web.addresses import Answer
from mmreason.ui.inspect.bundled import open_bundled_token
from mmreason.ui.inspect.sources import grown
from mmreason.ui.shell.words import sentence

PREFIX = "/rollouts/"
SIDES = (160, 320, 1024, 2048)  # pixels of a picture's longer side, as the page asks
MAX_QUERY = 20_000  # bytes
MAX_KEPT = 64 * 2**20  # bytes of pictures and first looks that are ready to be sent again

_NUMBER = limits.Whole("number", 0, 1_000_000, "of a prompt, rollout, segment or picture")


def answer(path: str, query: bytes) -> Answer:
    """What a request gets."""
    try:
        token, _, rest = path.partition("/")
        group = find_group(unquote(token))
        if group is None:
            return _said(404, f"{GONE[:1].upper()}{GONE[1:]}.")
        if len(query) > MAX_QUERY:
            return _said(414, "The question is too long.")
        said = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=40))
        return _answer(group, rest, said)
    except MMReasonError as error:
        return _said(422, sentence(error))
    except ValueError:
        return _said(422, "That cannot be read.")
    except Exception:
        logging.getLogger(__name__).exception("a question about open rollouts")
        return _said(500, "Something went wrong on our side.")


def find_group(token: str) -> Group | None:
    """The group of ``token``: one that is held, or a bundled one, which is opened when first asked for."""
    return SHELF.get(token) or open_bundled_token(token)


def _answer(group: Group, what: str, said: Mapping[str, str]) -> Answer:
    if what.startswith("picture/"):
        return _picture(group, _picture_of(group, what.removeprefix("picture/")), said)
    if what.startswith("outline/"):
        return _outline(group, _picture_of(group, what.removeprefix("outline/")))
    prompt = _NUMBER.check(said.get("prompt", "0"), "prompt")
    if what == "group":
        return _json(group_view(group, prompt))
    if what == "grown":  # the page follows a file
        found = grown(group)
        if found is None:
            return _json(None)
        newer, says = found
        return _json({"says": says, "prompts": len(newer.groups), "rollouts": len(newer.rollouts.rollouts)})
    if what == "push":
        return _json(push_value(group, prompt, what_if_of(said)))
    if what == "segment":
        g, s = (_NUMBER.check(said.get(name), name) for name in ("g", "s"))
        return _json(segment_detail(group, prompt, g, s, what_if_of(said)))
    if what == "find":
        return _json(found_in(group, prompt, said.get("words", "")[:200]))
    if what == "look":
        return _look(group, what_if_of(said))
    return _said(404, "There is no such thing to ask of rollouts.")


def _json(value: Any) -> Answer:
    return 200, "application/json", json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _said(status: int, words: str) -> Answer:
    return status, "application/json", json.dumps({"error": words}).encode()


_READY: Kept[tuple[str, bytes]] = Kept(MAX_KEPT, lambda made: len(made[1]))  # as they were last sent


def _picture_of(group: Group, text: str) -> Picture:
    number = _NUMBER.check(text, "picture")
    if number >= len(group.pictures):
        raise ConfigError(f"picture must be a whole number below {len(group.pictures)}, got {number}")
    return group.pictures[number]


def _picture(group: Group, picture: Picture, said: Mapping[str, str]) -> Answer:
    side = limits.Whole("side", SIDES[0], SIDES[-1], "pixels").check(said.get("side", SIDES[1]))
    side = next(one for one in SIDES if one >= side)
    kind, content = _READY.made(lambda: sized(picture, side), group.token, picture.key, str(side))
    return 200, kind, content


def _look(group: Group, chosen: WhatIf) -> Answer:
    def looked() -> tuple[str, bytes]:
        _, kind, content = _json(look_value(group, chosen))
        return kind, content

    judges = json.dumps({name: [*columns] for name, columns in chosen.judges.items()}, sort_keys=True)
    kind, content = _READY.made(looked, group.token, group.edition, judges, "look")
    return 200, kind, content


def _outline(group: Group, mask: Picture) -> Answer:
    def traced() -> tuple[str, bytes]:
        _, kind, content = _json(outline_of(mask))
        return kind, content

    kind, content = _READY.made(traced, group.token, mask.key, "outline")
    return 200, kind, content
