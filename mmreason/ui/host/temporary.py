"""The folder of this server's temporary files: what visitors upload, and what they are handed to take away.

It goes when the process ends, or when the next one starts after a kill, which may have got the same number: a file
that is locked says that its process goes on.  The folder never holds more than the host allows, together with what
uploads in progress are going to bring: what is old goes, and beyond that what is oldest.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Lock

import psutil
from filelock import FileLock, Timeout

from mmreason.disk import files_in
from mmreason.ui.host.settings import MB, read_settings

KEPT_SECONDS = 7200  # a page that stays open offers its files no longer
PERIOD = 1.0  # seconds between two looks at how much there is
MAX_FILES = 20_000
FILES = 64  # that one upload may bring, and that are opened together; more come as a zip
PREFIX = "mmreason-"
GRADIO = "GRADIO_TEMP_DIR"  # the environment variable that tells gradio where
LOCK = ".lock"  # in the folder, for as long as the process goes on
_OF_A_SERVER = re.compile(re.escape(PREFIX) + r"(\d+)-\w+\Z", re.ASCII)
_LOOKING = Lock()
_looked = -PERIOD
_coming = 0  # bytes that uploads in progress are going to write
_since = 0  # bytes that were expected since the last look


def step() -> int:
    """Bytes that may be expected between two looks."""
    return read_settings().max_temporary_mb * MB // 16


def expect(size: int) -> None:
    """Keep room for an upload of ``size`` bytes; with a negative one, for so many less than was thought."""
    global _coming, _since
    _coming, _since = _coming + size, _since + size


def arrived(size: int) -> None:
    """So many of the expected bytes are a file now."""
    global _coming
    _coming -= size


@cache
def folder() -> Path:
    """The folder, made when first asked for in the place that ``GRADIO_TEMP_DIR`` names, or among the system's."""
    parent = Path(os.environ.get(GRADIO) or tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{PREFIX}*"):
        match = _OF_A_SERVER.match(left.name)
        if match and not left.is_symlink() and left.stat().st_uid == _user() and _has_ended(left, int(match[1])):
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    lock = FileLock(made / LOCK)
    lock.acquire()
    atexit.register(_clear, made, os.getpid(), lock)
    return made


def _has_ended(left: Path, number: int) -> bool:
    """Has the process of that number that made the folder?  Without a lock, where there is none of that number."""
    if not (left / LOCK).is_file():
        return not psutil.pid_exists(number)
    try:
        with FileLock(left / LOCK, timeout=0):
            return True
    except Timeout:
        return False


def _clear(made: Path, owner: int, lock: FileLock) -> None:
    if os.getpid() == owner:  # not of a process that was forked off
        lock.release()
        shutil.rmtree(made, ignore_errors=True)


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def hold_gradios_files() -> None:
    """Let gradio keep its files here as well; to be called before the page is built."""
    os.environ[GRADIO] = str(gradios_folder())


def gradios_folder() -> Path:
    """The part of the folder that is gradio's: from here it hands over what is written, wherever the folder lies."""
    return folder() / "gradio"


def make_room() -> None:
    """Remove files that are old, then the oldest while there are too many, or will be when all uploads have come.

    At most once a ``PERIOD``, unless more is expected.
    """
    global _looked, _since
    with _LOOKING:
        if time.monotonic() - _looked < PERIOD and _since <= step():
            return
        _since = 0
        most = read_settings().max_temporary_mb * MB - _coming - step()
        files = sorted(_files(folder()))
        left, much, now = len(files), sum(size for _, size, _ in files), time.time()
        for changed, size, path in files:
            if now - changed <= KEPT_SECONDS and left <= MAX_FILES and much <= most:
                break
            _remove(path)
            left, much = left - 1, much - size
        _looked = time.monotonic()


def _files(where: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of the last change, bytes and path of every file but the lock."""
    for path, there in files_in(where):
        if path != where / LOCK:
            yield there.st_mtime, there.st_size, path


def _remove(path: Path) -> None:
    """The file, and its folder if that is empty now."""
    try:
        path.unlink(missing_ok=True)
        path.parent.rmdir()
    except OSError:  # other files are in it, or it is gone
        pass
