"""How much memory what was read takes, so that what is held of strangers' files can be bounded."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from sys import getsizeof
from typing import Any

from mmreason.traces.picture import Picture


def footprint(*values: Any) -> int:
    """About how many bytes records, JSON and arrays take; what stands in several places counts in each.

    Pictures are left out: equal ones are held once.
    """
    found, left = 0, list(values)
    while left:
        value = left.pop()
        if isinstance(value, Picture):
            continue
        found += max(getsizeof(value), getattr(value, "nbytes", 0))
        if isinstance(value, dict):
            left += value
            left += value.values()
        elif isinstance(value, list | tuple):
            left += value
        elif is_dataclass(value):
            left += [getattr(value, field.name) for field in fields(value)]
    return found
