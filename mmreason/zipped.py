"""A zip that was handed over: its list and its members are read with suspicion, in one way for all doors.

What is packed with bzip2 or LZMA is refused, since Python unpacks it without a bound: 500 bytes may take 1 GB.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

from mmreason.disk import quoted, reason_of
from mmreason.errors import MMReasonError

_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Zip:
    """The files of a zip, which errors call ``called``.

    Raises ``error`` for what is no zip, holds more than ``max_entries`` files, or one name twice.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        called: str,
        max_entries: int,
        error: type[MMReasonError],
        missing: type[MMReasonError] | None = None,
    ) -> None:
        """``missing`` is raised where a file is not there, by default ``error`` as for all else."""
        self.error, self.missing = error, missing or error
        try:
            self._archive = zipfile.ZipFile(file)
        except Exception as cause:  # a forged list raises many kinds
            raise error(f"{called} must be a zip that can be read: {reason_of(cause)}") from None
        self.entries = [entry for entry in self._archive.infolist() if not entry.is_dir()]
        if len(self.entries) > max_entries:
            raise error(f"{called} must hold at most {max_entries} files, holds {len(self.entries)}")
        names: set[str] = set()
        for entry in self.entries:
            if entry.filename in names:
                raise error(f"{called} must hold each file once, holds {quoted(entry.filename)} twice")
            names.add(entry.filename)

    def __enter__(self) -> Zip:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def read(self, name: str, max_bytes: int, what: str = "file") -> bytes:
        """The bytes of the member ``name``, never more than ``max_bytes`` whatever the zip says; raises ``error``."""
        called = f"{what} {quoted(name)}"
        try:
            entry = self._archive.getinfo(name)
        except KeyError:
            raise self.missing(f"{called} is not in the zip file") from None
        if entry.compress_type not in _BOUNDED:
            raise self.error(f"{called} must be stored or deflated in the zip file, got method {entry.compress_type}")
        if entry.file_size > max_bytes:
            raise self.error(f"{called} is larger than {max_bytes // 2**20} MB")
        try:
            with self._archive.open(entry) as file:
                return file.read(entry.file_size)  # its sum is checked; without a size all is unpacked first
        except Exception:  # zlib, a password, a forged header
            raise self.error(f"{called} cannot be read from the zip file") from None
