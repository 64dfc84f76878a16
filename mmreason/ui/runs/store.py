"""The store of the page's training runs: one folder a run, each with a ``run.json`` that says all but who owns it.

``<runs>/<id>/run.json`` holds the settings, the hash of its owner's token, its place in the queue and the process
that was started last; ``<runs>/<id>/<arm>/`` is a run directory of ``train``, ``<runs>/<id>/<assignment>.log`` is what
it printed, and ``<runs>/<id>/datasets/`` holds the rows that its owner handed over.
Everything is read from these files, so that a restarted server knows what the last one knew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

from filelock import FileLock

from mmreason import places
from mmreason.disk import files_in, write_json, writing
from mmreason.errors import ConfigError, WriteError
from mmreason.training.rl.presets import PRESETS, TrainSettings
from mmreason.ui.host import checkpoints

EXAMPLE_COMMAND = "python -m mmreason make train-example"
EXAMPLE_PRESET = next(iter(PRESETS))
MIN_TOKEN = 16  # letters of a visitor's token
EXAMPLE = "example"  # a finished run of nobody's that comes with the page

_ID = re.compile(r"[0-9a-f]{12}\Z", re.ASCII)
_LOCK = RLock()
_KINDS: dict[str, Any] = {  # of the fields of ``run.json``
    "owner": str,
    "created": int | float,
    "settings": dict,
    "wanted": bool,
    "since": int | float,
    "arm": str | None,
    "pid": int | None,
    "born": int | float | None,
    "claim": str | None,
}
_TOLD: set[str] = set()  # what the log has said of runs that cannot be read
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as ``run.json`` has it."""

    id: str
    owner: str  # SHA-256 of its owner's token
    created: float
    settings: TrainSettings
    wanted: bool = True  # it waits or runs; False: it was asked to stop
    since: float = 0.0  # when it joined the queue
    arm: str | None = None  # the assignment whose process or slices were begun last; None while it waits
    pid: int | None = None  # of that process; where a GPU is lent, of the server that asks for the slices
    born: float | None = None  # when that process was, so that another with its number is not taken for it
    claim: str | None = None  # where a GPU is lent, of the tab that asks for the slices: no other one's counts

    @property
    def folder(self) -> Path:
        return _folder(self.id)

    def arm_folder(self, arm: str) -> Path:
        """The run directory of ``arm``."""
        return self.folder / arm

    @property
    def datasets(self) -> Path:
        """The folder of the datasets that its visitor handed over for it."""
        return self.folder / "datasets"

    @property
    def log(self) -> Path:
        """What its process printed, the last one's if it was another for each arm, as in earlier versions."""
        return self.folder / f"{self.arm or self.settings.assignment}.log"

    def is_of(self, token: Any) -> bool:
        """Does the holder of ``token`` own this run?"""
        return hmac.compare_digest(owner_of(token) or "nobody", self.owner)


def _folder(run_id: str) -> Path:
    return places.ASSETS / "train_example" if run_id == EXAMPLE else checkpoints.page_runs_folder() / run_id


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
    folder = checkpoints.page_runs_folder()
    with writing("its runs"):
        folder.mkdir(parents=True, exist_ok=True)
        with _LOCK, FileLock(folder / ".lock", poll_interval=0.01):
            yield folder


def find(run_id: Any) -> Run | None:
    """The run called ``run_id``; None for whatever is none, a path or a damaged one, of which the log says why."""
    try:
        return opened(run_id)
    except ConfigError as error:
        _tell(error)
        return None


def _tell(error: ConfigError) -> None:
    """Say once in the log which run cannot be read."""
    if str(error) not in _TOLD:
        _TOLD.add(str(error))
        _LOG.warning("%s", error)


def opened(run_id: Any) -> Run | None:
    """The run called ``run_id``, None if there is none; raises ConfigError if it is there and cannot be read."""
    if not isinstance(run_id, str) or not (run_id == EXAMPLE or _ID.match(run_id)):
        return None
    path = _folder(run_id) / "run.json"
    try:
        data, changed = json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, RecursionError):
        reason = "run.json is not JSON"
    else:
        reason = _wrong(data, run_id)
        if not reason:
            known: dict[str, Any] = {each.name: data[each.name] for each in fields(Run) if each.name in data}
            try:
                known["settings"] = TrainSettings.of(data["settings"])
                return Run(**{"created": changed, **known})
            except ConfigError as error:
                reason = f"its setting {error}"
    raise ConfigError(f"run {run_id} cannot be read ({reason}); its files are as they were")


def _wrong(data: Any, run_id: str) -> str:
    """What of a run's file no run can be without, or is of no use; empty if nothing."""
    if not isinstance(data, dict):
        return "run.json is no JSON object"
    if data.get("id") != run_id:
        return f"its id must be {run_id}"
    for name, kinds in _KINDS.items():
        if name in data and not isinstance(data[name], kinds):
            return f"its {name} is of another kind"
    missing = [name for name in ("owner", "settings") if name not in data]
    return f"it lacks {missing[0]}" if missing else ""


def all_runs() -> list[Run]:
    """Every run, the newest first."""
    found = []
    for path in checkpoints.page_runs_folder().glob("*/run.json"):
        try:
            there = path.stat()
        except OSError:  # removed meanwhile
            continue
        try:
            found.append(_as_it_was(path, there.st_ino, there.st_mtime_ns, there.st_size))
        except ConfigError as error:
            _tell(error)
    return sorted((run for run in found if run is not None), key=lambda run: (-run.created, run.id))


@lru_cache(maxsize=4096)
def _as_it_was(path: Path, _number: int, _changed: int, _size: int) -> Run | None:
    """The same object as long as the file is the same: the queue is looked at every second.

    Raises ConfigError, which is not remembered: what cannot be read now may be readable in a second.
    """
    return opened(path.parent.name)


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
    """Write ``run.json`` whole, with what another version noted there; raises WriteError."""
    path, content = run.folder / "run.json", _content(run)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        content = kept | content | {"settings": kept["settings"] | content["settings"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # a new one, or nothing to keep
        pass
    write_json(path, content, indent=1)


def _content(run: Run) -> dict[str, Any]:
    return {each.name: getattr(run, each.name) for each in fields(run)} | {"settings": run.settings.stored()}


def change(run: Run, **changes: Any) -> Run:
    """``run`` with ``changes``, written."""
    changed = replace(run, **changes)
    write(changed)
    return changed


def owned(run_id: Any, token: Any, what: str) -> Run:
    """The run called ``run_id`` if the holder of ``token`` owns it; raises ConfigError naming ``what`` was asked."""
    run = opened(run_id)
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
    return sum(there.st_size for _, there in files_in(run.folder))
