"""What a stranger hands over (a puzzle, a trace, a group) is read with suspicion, in one way for all doors.

A door is a path on the command line, ``-`` or a pipe, an upload, a value of the API or a link.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mmreason.disk import descriptor_of, one_line, quoted, reason_of
from mmreason.errors import MMReasonError

MAX_DEPTH = 32  # levels of lists and objects
STANDARD_INPUT = "-"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it must hold finite numbers only, got {name}")


@dataclass(frozen=True, slots=True)
class Handed:
    """A kind of file that is handed over, its largest size, and the error that refuses one."""

    what: str  # "problem file"
    max_bytes: int
    error: type[MMReasonError]
    kind: str = "a JSON file"

    def load(self, path: str | Path) -> Any:
        """The JSON of the file at ``path``, or of standard input for ``-``; raises ``error``, one sentence."""
        return self.parse(self.read(path), str(path))

    def read(self, path: str | Path) -> bytes:
        """The bytes of the file at ``path``, of standard input for ``-``; a pipe or device will do too."""
        name, called = str(path), self._called(str(path))
        try:
            descriptor = descriptor_of("/dev/stdin" if name == STANDARD_INPUT else path)
            if descriptor is None:
                state = Path(path).stat()
                if stat.S_ISDIR(state.st_mode):
                    raise self.error(f"{called} is a directory; give the path of {self.kind}")
                if stat.S_ISREG(state.st_mode) and state.st_size > self.max_bytes:
                    raise self.error(self._too_large(called))
            with open(path if descriptor is None else os.dup(descriptor), "rb") as file:
                content = file.read(self.max_bytes + 1)
            if len(content) > self.max_bytes:
                raise self.error(self._too_large(called))
            return content
        except MMReasonError:
            raise
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            if name.lstrip().startswith("{"):
                raise self.error(f"{called} is JSON; give the path of a file, or - and pipe the JSON in") from None
            if isinstance(error, FileNotFoundError):
                raise self.error(f"{called} does not exist; give the path of {self.kind}") from None
            raise self.error(f"{called} cannot be read: {reason_of(error)}") from None

    def lines(self, file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
        """The lines of an open ``file`` that are not blank, with their numbers from 1; raises ``error``."""
        left, number = self.max_bytes, 0
        while line := file.readline(left + 1):
            number, left = number + 1, left - len(line)
            if left < 0:
                raise self.error(self._too_large(self._called(name)))
            if not line.isspace():
                yield number, line

    def parse(
        self, content: bytes | str, name: str | None = None, constant: Callable[[str], Any] = _refuse_constant
    ) -> Any:
        """The JSON of a file's ``content``, or of what was pasted and has no ``name``; raises ``error``.

        ``constant`` says what stands for NaN and Infinity, which JSON has no word for.
        """
        text, called = self.text(content, name), self._called(name)
        if not text.strip():
            raise self.error(f"{called} is not JSON: it is empty")
        try:
            return json.loads(text, parse_constant=constant, object_pairs_hook=_unique)
        except RecursionError:
            raise self.error(f"{called} is nested deeper than {MAX_DEPTH} levels") from None
        except ValueError as error:
            reason = one_line(str(error), 120)
            if isinstance(error, json.JSONDecodeError) and text.strip()[0] not in "{[":  # of another kind altogether
                reason = "it begins with neither { nor [" + (f"; give {self.kind}" if name else "")
            raise self.error(f"{called} is not JSON: {reason}") from None

    def text(self, content: bytes | str, name: str | None = None) -> str:
        """The same as text, without a byte-order mark."""
        called = self._called(name)
        size = len(content) if isinstance(content, bytes) else len(content.encode("utf-8", "surrogatepass"))
        if size > self.max_bytes:
            raise self.error(self._too_large(called))
        if isinstance(content, str):
            return content.removeprefix("\ufeff")
        encoding = _wide(content)
        if encoding:
            raise self.error(f"{called} is {encoding} text; save it as UTF-8")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            wrong = content[error.start]
            raise self.error(
                f"{called} is not UTF-8 text (byte 0x{wrong:02x} at {error.start}); save it as UTF-8"
            ) from None

    def _called(self, name: str | None) -> str:
        return f"{self.what} {quoted(name)}" if name else "this"

    def _too_large(self, called: str) -> str:
        kib = self.max_bytes // 1024
        return f"{called} is larger than {f'{kib // 1024} MB' if kib >= 1024 else f'{kib} KB'}"


class Folder:
    """The folder beside a file that was handed over: what the file names is read from inside it and nowhere else.

    No absolute path, no ``..``, no link and no address is followed, so that a file cannot show what its sender may
    not see; nothing is fetched.
    """

    def __init__(
        self,
        root: str | Path,
        what: str,
        max_bytes: int,
        error: type[MMReasonError],
        missing: type[MMReasonError] | None = None,
    ) -> None:
        """``missing`` is raised where a file is not there, by default ``error`` as for all else."""
        self.root, self.what, self.max_bytes, self.error = Path(root), what, max_bytes, error
        self.missing = missing or error

    def open(self, name: Any) -> BinaryIO:
        """The regular file called ``name``, slashes between folders; raises ``error``, one sentence."""
        called = f"{self.what} {quoted(str(name))}"
        parts = inner_parts(name)
        if parts is None:
            raise self.error(f"{called} must be a path inside the file's folder, without '..'; nothing else is opened")
        try:
            file = os.fdopen(_open_inside(self.root, parts), "rb")
        except FileNotFoundError:
            raise self.missing(f"{called} does not exist in the file's folder") from None
        except (OSError, ValueError) as error:
            link = getattr(error, "errno", None) in (errno.ELOOP, errno.ENOTDIR)
            why = "it is a link, or no folder is there" if link else reason_of(error)
            raise self.error(f"{called} cannot be read: {why}") from None
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode) or state.st_size > self.max_bytes:
            file.close()
            large = f"is larger than {self.max_bytes // 2**20} MB"
            raise self.error(f"{called} {large if stat.S_ISREG(state.st_mode) else 'is not a regular file'}")
        return file

    def read(self, name: Any) -> bytes:
        """Its bytes."""
        with self.open(name) as file:
            return file.read(self.max_bytes)


def is_unicode(text: str) -> bool:
    """False where ``text`` holds half a letter (a lone surrogate), as bytes of a command line that are no UTF-8 do."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def inner_parts(name: Any) -> list[str] | None:
    """The folders and the file that a relative path names; None for what might lead elsewhere."""
    if not isinstance(name, str) or not 0 < len(name) <= 1000 or not name.isprintable():
        return None
    parts = name.removeprefix("./").split("/")
    if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        return None
    return parts


def _open_inside(root: Path, parts: Sequence[str]) -> int:
    """A descriptor of the file, each step taken from the folder before it, none through a link."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if os.open not in os.supports_dir_fd:  # Windows
        path = root.joinpath(*parts)
        if path.resolve() != root.resolve().joinpath(*parts):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.open(path, flags)
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for part in parts[:-1]:
        try:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
        here = inner
    try:
        return os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


def _wide(content: bytes) -> str | None:
    """``UTF-16`` or ``UTF-32`` if ``content`` has that mark, or is JSON in it without one."""
    encoding = json.detect_encoding(content[:4])
    if not encoding.startswith(("utf-16", "utf-32")):
        return None
    if encoding in ("utf-16", "utf-32"):  # as the mark says
        return encoding.upper()
    begins = content[:64].decode(encoding, "replace").lstrip("\ufeff \t\r\n")[:1]
    return encoding[:6].upper() if begins and begins in '{["' else None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: of two that are the same, readers would disagree which counts."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key[:40]!r} appears twice")
        found[key] = value
    return found
