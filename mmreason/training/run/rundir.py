"""The run directory: config, metrics, and checkpoints that are written whole or not at all.

It may be a folder that holds other things: a run begins only where nothing bears its names, one process at a time
trains there, and what a run did not write is never removed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pickle
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from mmreason.disk import append_line, finite, write_json, write_whole
from mmreason.errors import CheckpointError, ConfigError
from mmreason.training.run.traces import HELD_OUT, HELD_OUT_FILE, SAMPLE_FILE, SAMPLES

STOP_FILE = "stop"  # its presence asks a running training to end with a checkpoint
STEP_FILE = "step.json"  # in the state: the step that it holds
LOCK_FILE = ".lock"  # locked, not merely there, while a process trains: the end of the process frees it
LOCK_SECONDS = 1.0  # that a second process waits, for the first may be about to end
CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"  # a line for every step
STATE_FILE = "state.pt"  # in the state: what training goes on from
LITTLE = 64.0  # MiB: with less, a failed write is for want of room

# Everything that a run writes, by its path in the run directory.
_NAMES = (METRICS_FILE, "points.json", SAMPLES, HELD_OUT, "checkpoint", "state", "vqvae", CONFIG_FILE)
_WRITTEN = re.compile(
    r"config\.json|metrics\.jsonl|points\.json|stop|\.[0-9a-f]{16}\.tmp"
    rf"|{SAMPLES}/{SAMPLE_FILE}|{HELD_OUT}/{HELD_OUT_FILE}"
    r"|(state|\.state\.(old|new))/(state\.pt|step\.json)"
    r"|(vqvae|\.vqvae\.(old|new))/(config\.json|[\w.-]+\.safetensors(\.index\.json)?)"
    r"|(checkpoint(-\d+)?|\.checkpoint(-\d+)?\.(old|new))/(model_index\.json"
    r"|adapter_config\.json|adapter_model\.safetensors|views\.json|README\.md"
    r"|(transformer|vqvae|tokenizer|scheduler)/([\w.-]+\.safetensors(\.index\.json)?|(scheduler_)?config\.json"
    r"|tokenizer(_config)?\.json|special_tokens_map\.json|added_tokens\.json|vocab\.\w+|merges\.txt"
    r"|chat_template\.jinja))",
    re.ASCII,
)


class RunDirectory:
    """A folder of one training run: ``config.json``, ``metrics.jsonl``, ``state/``, ``checkpoint/``, samples."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".writable.{os.getpid()}"  # processes of one run do not share it
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise ConfigError(f"output must be a writable directory, got {str(path)!r}: {error.strerror}") from None

        self._lock = FileLock(self.path / LOCK_FILE, timeout=LOCK_SECONDS)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training here meanwhile; may be nested.  Raises ConfigError if one does."""
        try:
            self._lock.acquire()
        except Timeout:
            raise ConfigError(
                f"output {str(self.path)!r} is in use: another process trains there; wait until it ends, ask it to by "
                f"a file {STOP_FILE!r} in that folder, or name another folder"
            ) from None
        except OSError as error:
            raise ConfigError(f"output {str(self.path)!r} cannot be locked: {error.strerror or error}") from None
        try:
            yield
        finally:
            self._lock.release()

    def check(self, resume: bool, overwrite: bool, goes_on_from: Sequence[str] = ("state",)) -> None:
        """Refuse to start in a folder that is taken, and to resume where no run has started; raises ConfigError.

        ``goes_on_from`` names the folders from which a run can go on; it can, too, from settings alone, which were
        noted before its first step.
        """
        if resume and overwrite:
            raise ConfigError("--resume and --overwrite exclude each other: give one of them")
        with self.writing():
            for name in ("checkpoint", *goes_on_from):
                self.recover(name)
        if resume and not (self.has_begun or any(self.has(name) for name in goes_on_from)):
            raise ConfigError(
                f"output {str(self.path)!r} holds no run to --resume; leave --resume out to start one there"
            )
        if not resume and not overwrite and (found := self.taken()):
            raise ConfigError(
                f"output {str(self.path)!r} holds {', '.join(found)}: --resume goes on with the run that is there, "
                "--overwrite replaces it, and another folder leaves it as it is"
            )

    @property
    def has_begun(self) -> bool:
        """Has a run noted its settings here?"""
        return has_begun(self.path)

    def taken(self) -> list[str]:
        """The names of a run's that stand in the folder already."""
        found = [name for name in _NAMES if os.path.lexists(self.path / name)]
        found += [path.name for path in self.path.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
        stop = self.path / STOP_FILE
        return found + [STOP_FILE] * (stop.is_dir() or (stop.is_file() and stop.stat().st_size > 0))

    def clear(self) -> None:
        """Remove what a run wrote, and nothing else: other files, and the folders that hold them, stay.

        The settings go last, so that a run whose clearing was cut off can be gone on with.
        """
        emptied = set()
        kept = [path.name for path in self.path.glob("checkpoint-*")]
        folders = [self.path / top for name in (*kept, *_NAMES) for top in (name, f".{name}.old", f".{name}.new")]
        for path in (self.path / STOP_FILE, *self.path.glob(".*.tmp"), *folders):
            for file in [path] if path.is_file() else [*path.rglob("*")]:
                if not file.is_dir() and _is_written(file.relative_to(self.path)):
                    file.unlink()
                    emptied |= set(file.relative_to(self.path).parents)
        for folder in sorted(emptied - {Path(".")}, key=lambda found: -len(found.parts)):
            with contextlib.suppress(OSError):  # it holds something else
                (self.path / folder).rmdir()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Say in one sentence that the run directory cannot be written; raises ConfigError."""
        try:
            yield
        except CheckpointError:  # of a checkpoint, though it is an OSError too
            raise
        except (OSError, RuntimeError, SafetensorError) as error:
            try:
                free = shutil.disk_usage(self.path).free / 2**20
                left = f"{free:.0f} MiB are free"
            except OSError:
                free, left = math.inf, "it is gone"
            remedy = "make room and" if free < LITTLE or re.search("space|quota", str(error)) else "mend that and"
            raise ConfigError(
                f"output {str(self.path)!r} cannot be written ({error}; {left}); "
                f"a checkpoint saved there before is still whole: {remedy} use --resume"
            ) from error

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Say in one sentence that the saved state cannot be used; raises CheckpointError."""
        try:
            yield
        except (RuntimeError, KeyError, TypeError, OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise CheckpointError(f"state in {str(self.path)!r} cannot be resumed: {reason}") from error

    @property
    def stop_requested(self) -> bool:
        return (self.path / STOP_FILE).exists()

    def clear_stop(self) -> None:
        (self.path / STOP_FILE).unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        return (self.path / name).is_dir()

    def write_json(self, name: str, data: Any) -> None:
        """Write a small JSON file whole."""
        write_json(self.path / name, data, indent=1)

    def read_config(self) -> dict[str, Any]:
        """The settings of an earlier run here; empty where there was none."""
        try:
            found = json.loads((self.path / CONFIG_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``."""
        append_line(self.path / METRICS_FILE, json.dumps(finite(row), allow_nan=False))

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows of ``metrics.jsonl``; a torn last line is left out."""
        return read_metrics(self.path)

    def rewind_metrics(self, step: int) -> None:
        """Drop the rows after ``step``, which a resumed run will write again."""
        kept = [json.dumps(row) + "\n" for row in self.read_metrics() if row["step"] <= step]
        write_whole(self.path / METRICS_FILE, "".join(kept).encode())

    def write_folder(self, name: str, fill: Callable[[Path], None]) -> None:
        """Replace folder ``name`` by what ``fill`` writes into an empty one: all of it or nothing."""
        beside, old = self.path / f".{name}.new", self.path / f".{name}.old"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            fill(beside)
            for file in beside.rglob("*"):
                if file.is_file():
                    with file.open("rb") as handle:
                        os.fsync(handle.fileno())
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)  # half a folder would only fill the disk
            raise
        target = self.path / name
        if os.path.lexists(target):
            self._discard(old, into=beside)
            target.rename(old)
        beside.rename(target)
        self._discard(old, into=target)

    def _discard(self, old: Path, into: Path) -> None:
        """Remove the folder ``old`` of a run's; what the run did not write goes to its successor ``into``."""
        if old.is_symlink():
            old.unlink()
        for file in [path for path in old.rglob("*") if not path.is_dir()]:
            to = into / file.relative_to(old)
            if not _is_written(file.relative_to(self.path)) and not os.path.lexists(to):
                with contextlib.suppress(OSError):
                    to.parent.mkdir(parents=True, exist_ok=True)
                    file.rename(to)
        shutil.rmtree(old, ignore_errors=True)

    def recover(self, name: str) -> None:
        """Put the previous folder back if a write was killed between its two renames."""
        target, old = self.path / name, self.path / f".{name}.old"
        if not target.exists() and old.exists():
            old.rename(target)


def _is_written(name: Path) -> bool:
    """Is ``name``, a path in a run directory, one that a run writes?"""
    return _WRITTEN.fullmatch(name.as_posix()) is not None


def has_begun(folder: Path) -> bool:
    """Has a run noted its settings in ``folder``?"""
    return (folder / CONFIG_FILE).exists()


def is_kept(step: int, keep_steps: int | None) -> bool:
    """Is the checkpoint of ``step`` kept as ``checkpoint-<step>``, beside the last one?"""
    return keep_steps is not None and step % keep_steps == 0


def saved_step(folder: Path) -> int | None:
    """The step that a run in ``folder`` would go on from, or None."""
    for state in ("state", ".state.old"):  # the second: killed between the two renames of a save
        try:
            return int(json.loads((folder / state / STEP_FILE).read_text(encoding="utf-8"))["step"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``metrics.jsonl`` in a run directory, which is only read; what is no row of a step is left out.

    That is a torn last line, and whatever else came into the file.
    """
    path = folder / METRICS_FILE
    rows = []
    for line in path.read_bytes().splitlines() if os.path.isfile(path) else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows
