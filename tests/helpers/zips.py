"""Zips, honest and forged."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, says: int | None = None) -> bytes:
    """A zip of ``members``, each of which ``says`` bytes long it claims to be, whatever it holds."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    forged = bytearray(data.getvalue())
    place = -1
    while says is not None and (place := forged.find(b"PK\x01\x02", place + 1)) >= 0:
        struct.pack_into("<I", forged, place + 24, says)  # the size unpacked, in the list at the end
    return bytes(forged)
