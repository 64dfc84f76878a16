"""A file of rollouts that a run may still be writing: what was appended is read, what was there is not read again.

Whole lines only are taken.  A file that was cut or put in another's place is noticed and read anew, and said to be.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Any

from mmreason.disk import quoted
from mmreason.errors import TraceError
from mmreason.traces.formats.table import ROLLOUTS
from mmreason.traces.opening import ENDINGS, open_rollouts
from mmreason.traces.picture import folder
from mmreason.traces.reading.gathered import Gathered, Kind, Opened

_LINES = ".jsonl"
_SEAM = 256  # bytes before the place where reading stopped; they tell whether the file is still the same
_BLOCK = 2**16

Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grown:
    """What following a file has found: all of it if it was read, and in words what befell it."""

    opened: Opened | None
    says: str = ""


class Growing:
    """A file or folder of rollouts, opened; ``more`` reads what has come since.

    ``unfinished`` says which line is being written, if one is.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``; raises TraceError."""
        self.path, self._lock = path, Lock()
        self._stamp: Stamp | None = None
        self.unfinished = ""
        self._kind: Kind | None = None
        self._end = self._count = 0  # bytes and lines that were read
        self._seam = b""
        self._spoilt = False  # what was gathered may hold some of a line that is wrong
        self._open = self._reading()

    @property
    def opened(self) -> Opened:
        """What has been read so far."""
        return self._open

    def more(self) -> Grown | None:
        """What has changed since the last look; None if nothing has.  Raises TraceError."""
        with self._lock:
            return self._more()

    def _more(self) -> Grown | None:
        before, stamp = self._stamp, stamp_of(self.path)
        if stamp == before:
            return None
        self._stamp = stamp
        called = f"The file {quoted(self.path.name)}"
        if stamp is None:
            return Grown(None, f"{called} is gone; what was read of it is shown.")
        held = len(self._open.rollouts.rollouts)
        grows = self.path.suffix == _LINES and self.path.is_file()
        same = grows and self._goes_on()
        try:
            self._open = self._read_on() if same and not self._spoilt else self._reading()
        except TraceError as error:
            self._spoilt = True
            befell = "cannot be read on" if same else "was cut or written anew"
            return Grown(None, f"{called} {befell}: {error}. What was read before is shown.")
        now = len(self._open.rollouts.rollouts)
        cut = (grows and not same) or now < held
        says = f"{called} was cut or written anew: it held {held} rollouts and holds {now}." if cut else ""
        return Grown(self._open, says)

    def _reading(self) -> Opened:
        """All of it; where that fails, it stays known up to where the file was read before."""
        before = self._end, self._count, self._seam, self._spoilt
        self._stamp = stamp_of(self.path)
        self._gathered, self._kind = Gathered({}), None
        self._end, self._count, self._seam, self._spoilt = 0, 0, b"", False
        self.unfinished = ""
        try:
            if self.path.suffix != _LINES or not self.path.is_file():
                return open_rollouts(self.path)
            return self._read_on()
        except TraceError:
            self._end, self._count, self._seam, self._spoilt = before
            raise

    def _goes_on(self) -> bool:
        """Whether what was read still stands in the file where it stood."""
        try:
            with self._file() as file:
                file.seek(self._end - len(self._seam))
                return bool(self._seam) and file.read(len(self._seam)) == self._seam
        except (OSError, TraceError):
            return False

    def _read_on(self) -> Opened:
        """The lines that are whole now and were not before."""
        with self._file() as file:
            size = file.seek(0, os.SEEK_END)
            if size > ROLLOUTS.max_bytes:
                raise TraceError(f"file {quoted(self.path.name)} is larger than {ROLLOUTS.max_bytes // 2**20} MB")
            end = _whole(file, self._end, size)
            if end > self._end and not (self._kind and _is_blank(file, self._end, end)):
                span = io.BufferedReader(_Span(file, self._end, end))
                beside = folder(self.path.parent)
                self._kind = self._gathered.add(span, str(self.path), beside, self._kind, self._count)
            self._count += _ends_of_lines(file, self._end, end)
            self._end = end
            file.seek(max(0, end - _SEAM))
            self._seam = file.read(min(end, _SEAM))
            self.unfinished = "" if end == size else f"line {self._count + 1} is being written"
        return self._gathered.opened(str(self.path))

    def _file(self) -> IO[bytes]:
        try:
            return open(self.path, "rb")
        except OSError as error:
            raise TraceError(f"file {quoted(str(self.path))} cannot be read: {error.strerror}") from None


class _Span(io.RawIOBase):
    """Bytes ``start`` to ``end`` of an open file, as a file."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self.file, self.start, self.end, self.at = file, start, end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.start + self.at)
        content = self.file.read(min(len(buffer), self.end - self.start - self.at))
        buffer[: len(content)] = content
        self.at += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.end - self.start}[whence]
        return self.at


def _ends_of_lines(file: IO[bytes], start: int, end: int) -> int:
    file.seek(start)
    count = 0
    while start < end and (block := file.read(min(_BLOCK, end - start))):
        start, count = start + len(block), count + block.count(b"\n")
    return count


def _is_blank(file: IO[bytes], start: int, end: int) -> bool:
    """Is there nothing but line ends, such as that of a line which was read before it came?"""
    file.seek(start)
    while start < end and (block := file.read(min(_BLOCK, end - start))):
        if not block.isspace():
            return False
        start += len(block)
    return True


def _whole(file: IO[bytes], start: int, size: int) -> int:
    """Where the last whole line ends, from ``start`` on: behind its line end, or where it is JSON already."""
    end = size
    while end > start:
        begin = max(start, end - _BLOCK)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    file.seek(end)
    try:
        json.loads(file.read(size - end))
    except (ValueError, RecursionError):
        return (
            end if end > start or start else size
        )  # one line alone is read, so that it is said what is wrong with it
    return size


def stamp_of(path: Path) -> Stamp | None:
    """What changes when a file or the tables of a folder change; None if it is gone."""
    try:
        state = path.stat()
        if not path.is_dir():
            return state.st_mtime_ns, state.st_size, state.st_ino
        with os.scandir(path) as entries:
            states = [e.stat() for e in entries if e.name.endswith((*ENDINGS, ".zip"))]
    except OSError:
        return None
    return len(states), sum(s.st_size for s in states), max((s.st_mtime_ns for s in states), default=0)
