"""The store of the page's training runs: one folder a run, each with a ``run.json`` that says all but who owns it.

``<runs>/<id>/run.json`` holds the settings, the hash of its owner's token, its place in the queue and the process
that was started last; ``<runs>/<id>/<arm>/`` is a run directory of ``train`` and ``<arm>.log`` what it printed.
Everything is read from these files, so that a restarted server knows what the last one knew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

from filelock import FileLock

from mmreason.disk import write_json, writing
from mmreason.errors import ConfigError, WriteError
from mmreason.training.presets import TrainSettings
from mmreason.ui import runtime

MIN_TOKEN = 16  # letters of a visitor's token
EXAMPLE = "example"  # a finished run of nobody's that comes with the page

_ID = re.compile(r"[0-9a-f]{12}\Z", re.ASCII)
_LOCK = RLock()


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as ``run.json`` has it."""

    id: str
    owner: str  # SHA-256 of its owner's token
    created: float
    settings: TrainSettings
    wanted: bool = True  # it waits or runs; False: it was asked to stop
    since: float = 0.0  # when it joined the queue
    arm: str | None = None  # whose process was started last, or whose slices are
    pid: int | None = None  # of that process; where a GPU is lent, of the server that asks for the slices
    born: float | None = None  # when that process was, so that another with its number is not taken for it

    @property
    def folder(self) -> Path:
        return _folder(self.id)

    def arm_folder(self, arm: str) -> Path:
        """The run directory of ``arm``."""
        return self.folder / arm

    def log(self, arm: str) -> Path:
        """What ``arm``'s process printed."""
        return self.folder / f"{arm}.log"

    def is_of(self, token: Any) -> bool:
        """Does the holder of ``token`` own this run?"""
        return hmac.compare_digest(owner_of(token) or "nobody", self.owner)


def _folder(run_id: str) -> Path:
    return runtime.ASSETS / "train_example" if run_id == EXAMPLE else runtime.page_runs_folder() / run_id


def owner_of(token: Any) -> str | None:
    """What is kept of a visitor's token; None of what is no token."""
    if not isinstance(token, str) or not MIN_TOKEN <= len(token) <= 200:
        return None
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """A token for a new visitor."""
    return secrets.token_urlsafe(24)


@contextmanager
def locked() -> Iterator[Path]:
    """The folder of runs, for one thread and one process at a time; raises ConfigError if it cannot be written."""
    folder = runtime.page_runs_folder()
    with writing("its runs"):
        folder.mkdir(parents=True, exist_ok=True)
        with _LOCK, FileLock(folder / ".lock", poll_interval=0.01):
            yield folder


def find(run_id: Any) -> Run | None:
    """The run called ``run_id``; None for whatever is none, a path or a damaged one."""
    if not isinstance(run_id, str) or not (run_id == EXAMPLE or _ID.match(run_id)):
        return None
    try:
        data = json.loads((_folder(run_id) / "run.json").read_text(encoding="utf-8"))
        run = Run(**data | {"settings": TrainSettings.of(data["settings"])})
        return run if run.id == run_id and isinstance(run.owner, str) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def all_runs() -> list[Run]:
    """Every run, the newest first."""
    found = []
    for path in runtime.page_runs_folder().glob("*/run.json"):
        try:
            there = path.stat()
        except OSError:  # removed meanwhile
            continue
        found.append(_as_it_was(path, there.st_ino, there.st_mtime_ns, there.st_size))
    return sorted((run for run in found if run is not None), key=lambda run: (-run.created, run.id))


@lru_cache(maxsize=4096)
def _as_it_was(path: Path, _number: int, _changed: int, _size: int) -> Run | None:
    """The same object as long as the file is the same: the queue is looked at every second."""
    return find(path.parent.name)


def runs_of(token: Any) -> list[Run]:
    """A visitor's runs, the newest first."""
    return [run for run in all_runs() if run.is_of(token)]


def create(settings: TrainSettings, token: Any, known: Sequence[Run] | None = None) -> Run:
    """A new run behind ``known``, all that there are; raises ConfigError without a token."""
    owner, now = owner_of(token), end_of_line(known)
    if owner is None:
        raise ConfigError("this browser has no visitor's token yet: reload the page, and allow it to store data")
    run = Run(secrets.token_hex(6), owner, now, settings, since=now)
    try:
        write(run)
    except WriteError:
        shutil.rmtree(run.folder, ignore_errors=True)
        raise
    return run


def end_of_line(known: Sequence[Run] | None = None) -> float:
    """The time, but after that of all runs (``known``): a clock that was set back lets nobody in before others."""
    return max([time.time(), *(run.since + 0.001 for run in (all_runs() if known is None else known))])


def write(run: Run) -> None:
    """Write ``run.json`` whole; raises WriteError."""
    content = asdict(run) | {"settings": asdict(run.settings)}
    write_json(run.folder / "run.json", content, indent=1)


def change(run: Run, **changes: Any) -> Run:
    """``run`` with ``changes``, written."""
    changed = replace(run, **changes)
    write(changed)
    return changed


def owned(run_id: Any, token: Any, what: str) -> Run:
    """The run called ``run_id`` if the holder of ``token`` owns it; raises ConfigError naming ``what`` was asked."""
    run = find(run_id)
    if run is None:
        raise ConfigError(f"run {str(run_id)[:20]!r} is not here; it may have been deleted or cleaned up")
    if not run.is_of(token):
        raise ConfigError(f"only the visitor who started run {run.id} may {what} it")
    return run


def remove(run: Run) -> None:
    """Remove all of ``run``: out of sight at once, then from the disk."""
    gone = run.folder.with_name(f".gone-{run.id}-{secrets.token_hex(4)}")
    run.folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def size_of(run: Run) -> int:
    """Bytes on the disk."""
    return sum(path.lstat().st_size for path in run.folder.rglob("*") if not path.is_dir())
