"""What is wrong with fields, told at each: the component ``notice`` puts it there and marks what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def at_field(says: str, called: Mapping[str, str]) -> str | dict[str, str]:
    """What ``notice`` shows of a sentence; ``called`` has the id of each field by the words that a reason begins with.

    A sentence that is of no field is told where the notice stands.
    """
    reason = says[:1].lower() + says[1:]
    found = [begins for begins in called if reason.startswith(f"{begins} ")]
    return {"says": says, "at": called[max(found, key=len)]} if found else says


def at_fields(says: Sequence[str], called: Mapping[str, str], focus: bool = False) -> dict[str, Any]:
    """The same of several sentences; with ``focus`` the visitor is led to the first of the fields."""
    return {"each": [at_field(each, called) for each in says], "focus": focus}
