"""What is wrong with a field, told at the field: the component ``notice`` puts it there and marks what it is about."""

from __future__ import annotations

from collections.abc import Mapping


def at_field(says: str, called: Mapping[str, str]) -> str | dict[str, str]:
    """What ``notice`` shows of a sentence; ``called`` has the id of each field by the words that a reason begins with.

    A sentence that is of no field is told where the notice stands.
    """
    reason = says[:1].lower() + says[1:]
    found = [begins for begins in called if reason.startswith(f"{begins} ")]
    return {"says": says, "at": called[max(found, key=len)]} if found else says
