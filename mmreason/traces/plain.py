"""What no field of a schema can say: that the whole is plain, finite JSON of modest size and depth.

Also how errors name a place in it, on one line whatever the file holds.
"""

from __future__ import annotations

import math
from typing import Any

from mmreason.disk import one_line, quoted
from mmreason.errors import TraceError
from mmreason.handed import MAX_DEPTH, is_unicode

MAX_VALUES = 4_000_000  # JSON values in one file

_TAGS = ("thought", "answer", "edit")  # members of a union, which pydantic puts into an error's place


def check_plain(data: dict[str, Any]) -> None:
    """Refuse what JSON cannot hold and what no reader expects: depth, size, NaN, lone surrogates."""
    # each entry: value, where it is as (the parent's place, key), depth
    stack: list[tuple[Any, tuple[Any, ...] | None, int]] = [(data, None, 1)]
    seen = 0
    while stack:
        value, place, depth = stack.pop()
        seen += 1
        if seen > MAX_VALUES:
            raise TraceError(f"a trace must hold at most {MAX_VALUES} values")
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise TraceError(f"trace field {_linked(place)}: is nested deeper than {MAX_DEPTH} levels")
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                here = (place, key)
                if isinstance(value, dict) and (not isinstance(key, str) or not is_unicode(key)):
                    raise TraceError(f"trace field {_linked(here)}: its name must be plain text")
                stack.append((item, here, depth + 1))
        elif isinstance(value, str):
            if not is_unicode(value):
                raise TraceError(f"trace field {_linked(place)}: holds text that is not valid Unicode")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise TraceError(f"trace field {_linked(place)}: must be a finite number, got {value}")
        elif not isinstance(value, bool | int | None):
            kind = type(value).__name__
            raise TraceError(f"trace field {_linked(place)}: must be a JSON value, got {kind}")


def _linked(place: tuple[Any, ...] | None) -> str:
    keys = []
    while place is not None:
        place, key = place
        keys.append(key)
    return place_of(tuple(reversed(keys)))


def place_of(keys: tuple[Any, ...]) -> str:
    """Keys as a path in quotes, e.g. ``'segments[2].cells'``."""
    path = ""
    for i, key in enumerate(keys):
        if isinstance(key, int):
            path += f"[{key}]"
        elif not (i == 2 and keys[0] == "segments" and key in _TAGS):
            path += f".{one_line(str(key), 40)}"
    return quoted(path.removeprefix("."))


def rounded(value: Any, digits: int) -> Any:
    """``value`` with every number to ``digits`` significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
