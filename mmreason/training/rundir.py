"""The run directory: config, metrics, and checkpoints that are written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmreason.disk import append_line, write_json, write_whole
from mmreason.errors import ConfigError

STOP_FILE = "stop"  # its presence asks a running training to end with a checkpoint
STEP_FILE = "step.json"  # in the state: the step that it holds


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
            found = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``."""
        append_line(self.path / "metrics.jsonl", json.dumps(row))

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows of ``metrics.jsonl``; a torn last line is left out."""
        return read_metrics(self.path)

    def rewind_metrics(self, step: int) -> None:
        """Drop the rows after ``step``, which a resumed run will write again."""
        kept = [json.dumps(row) + "\n" for row in self.read_metrics() if row["step"] <= step]
        write_whole(self.path / "metrics.jsonl", "".join(kept).encode())

    def start_over(self) -> None:
        """Forget what an earlier run left here: metrics, samples and state."""
        (self.path / "metrics.jsonl").unlink(missing_ok=True)
        for name in ("state", ".state.old", "samples", "held_out"):
            shutil.rmtree(self.path / name, ignore_errors=True)

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
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
        beside.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    def recover(self, name: str) -> None:
        """Put the previous folder back if a write was killed between its two renames."""
        target, old = self.path / name, self.path / f".{name}.old"
        if not target.exists() and old.exists():
            old.rename(target)


def saved_step(folder: Path) -> int | None:
    """The step that a run in ``folder`` would go on from, or None."""
    try:
        return int(json.loads((folder / "state" / STEP_FILE).read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``metrics.jsonl`` in a run directory, which is only read; what is no row of a step is left out.

    That is a torn last line, and whatever else came into the file.
    """
    path = folder / "metrics.jsonl"
    rows = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows
