"""The formats of other systems' rollouts, one importer a file.

An importer has ``recognises(row) -> bool`` and ``read(row, shelf) -> Read``.  The first that recognises a table's
first row reads them all.
"""

from __future__ import annotations

from types import ModuleType

from mmreason.traces.formats import chat, trl, verl, zebra

IMPORTERS: tuple[ModuleType, ...] = (
    zebra,
    verl,
    trl,
    chat,
)
