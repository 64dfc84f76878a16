"""The disk: the one way to write a file, and how a place and a failure are said on one line."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmreason.errors import CheckpointError, ConfigError, WriteError

_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_BLOCK = 2**20
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})", re.ASCII)


def write_whole(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all; raises WriteError.

    A regular file is written beside its place, flushed to the disk and moved there, so that no reader ever finds
    half of it.  A symbolic link stays, and what it points at is replaced.  Devices, pipes and open descriptors
    (``/dev/stdout``, ``/dev/fd/3``) are written as they are.  An existing file keeps its mode, and its owner where
    that is allowed; a new one has 0666 less the umask, and its folders are made.
    """
    try:
        _write(Path(path), content)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise WriteError(f"cannot write {quoted(str(path))}: {reason_of(error)}") from None


def write_json(path: str | Path, data: Any, *, indent: int | None = None) -> None:
    """Write ``data`` as strict JSON and a newline, as ``write_whole`` writes; raises WriteError."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(finite(data), allow_nan=False, indent=indent, separators=separators)
    write_whole(path, f"{text}\n".encode())


def names_in(folder: str | Path, what: str) -> list[str]:
    """Names in the ``folder`` that is to be written to, none where it is yet to be made.

    Raises ConfigError, which calls it ``what``, where it is none or cannot be looked into.
    """
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ConfigError(f"{what} must be a folder, got {quoted(str(folder))}: {reason_of(error)}") from None


def files_in(folder: str | Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file below ``folder``, links as such, with its ``lstat``; what goes meanwhile is left out."""
    for where, folders, names in os.walk(folder):
        for path in (Path(where, name) for name in (*folders, *names)):
            try:
                there = path.lstat()
            except OSError:
                continue
            if not stat.S_ISDIR(there.st_mode):
                yield path, there


def free_bytes(path: str | Path) -> int:
    """Free on the disk that ``path`` is on, or will be where it is yet to be made; raises WriteError."""
    place = Path(os.path.abspath(path))
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        return shutil.disk_usage(place).free
    except (OSError, ValueError) as error:
        raise WriteError(f"cannot write {quoted(str(path))}: {reason_of(error)}") from None


def append_line(path: str | Path, line: str) -> None:
    """Append ``line`` to the text file at ``path``; raises WriteError."""
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(f"{line}\n")
    except (OSError, ValueError) as error:
        raise WriteError(f"cannot write {quoted(str(path))}: {reason_of(error)}") from None


def end_lines(path: str | Path) -> None:
    """See to it that the file of JSON lines at ``path``, if there is one, ends with a whole line; raises WriteError.

    A writer that is killed, or finds the disk full, leaves half a line, and the next line would be glued to it: it is
    cut off.  Only what begins as an object can be such a half; anything else gets an end and stays.
    """
    if not Path(path).is_file():
        return
    try:
        with Path(path).open("r+b") as file:
            start = size = file.seek(0, os.SEEK_END)
            last = b""
            while start and b"\n" not in last:
                start = file.seek(max(0, start - _BLOCK))
                last = file.read(size - len(last) - start) + last
            last = last[last.rfind(b"\n") + 1 :]
            if last.startswith(b"{") and not _is_json(last):
                file.truncate(size - len(last))
            elif last:
                file.seek(size)
                file.write(b"\n")
    except OSError as error:
        raise WriteError(f"cannot write {quoted(str(path))}: {reason_of(error)}") from None


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Raise ConfigError, the sentence a visitor reads, if this server cannot write ``what``."""
    try:
        yield
    except CheckpointError:  # of a checkpoint, though it is an OSError too
        raise
    except OSError as error:
        raise ConfigError(f"this server cannot write {what} ({reason_of(error)}): try again later") from None


def _write(path: Path, content: bytes) -> None:
    descriptor = descriptor_of(path)
    if descriptor is not None:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        return
    try:
        there = path.stat()
    except FileNotFoundError:
        there = None
    if there is not None and not stat.S_ISREG(there.st_mode):
        with path.open("wb") as file:  # raises IsADirectoryError for a directory
            file.write(content)
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    if there is not None and not os.access(target, os.W_OK):  # a rename would not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    beside = target.with_name(f".{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(beside, flags, 0o666 if there is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if there is not None:
            if hasattr(os, "chown"):
                with contextlib.suppress(PermissionError):
                    os.chown(beside, there.st_uid, there.st_gid)
            beside.chmod(stat.S_IMODE(there.st_mode))
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def descriptor_of(path: str | Path) -> int | None:
    """The open descriptor that ``path`` names, ``/dev/stdin`` and the like; raises OSError if it was never open.

    To open such a path anew fails for a socket, and begins at the start of a file that others have written to.
    """
    name = str(path)
    match = _DESCRIPTOR.fullmatch(name)
    number = int(match[1]) if match else _STANDARD.get(name)
    if number is None or os.name == "nt":
        return None
    stream = (sys.stdin, sys.stdout, sys.stderr)[number] if number < 3 else None
    if number < 3 and stream is None:  # closed when Python began: the number may be another file's by now
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if number in (1, 2) and stream is not None:
        stream.flush()
    return number


def finite(value: Any) -> Any:
    """``value`` as strict JSON has it: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def reason_of(error: Exception) -> str:
    """Why, in the words of the system where it has any: ``No space left on device``."""
    return getattr(error, "strerror", None) or str(error).rpartition(": ")[2] or type(error).__name__


def quoted(text: str) -> str:
    """``text`` on one line in quotes."""
    return f"'{one_line(text, 200)}'"


def one_line(text: str, most: int | None = None) -> str:
    """``text`` on one line of at most ``most`` letters, without what a terminal would obey."""
    line = " ".join(text.split())
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if most is None or len(line) <= most else line[: most - 1] + "…"
