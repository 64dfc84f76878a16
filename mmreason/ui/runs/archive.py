"""The archive of a trained checkpoint, for its owner to take away."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmreason.ui.host.files import kept_file
from mmreason.ui.runs.state import status_of
from mmreason.ui.runs.store import owned


def write_archive(run_id: Any, token: Any) -> str | None:
    """Path of a zip of the run's checkpoints, one folder an arm; None while it may change.

    Asked for again it is the same file, as long as the run is as it was.  Raises ConfigError.
    """
    run = owned(run_id, token, "download")
    status = status_of(run)
    if status.is_active or not status.checkpoints:
        return None
    files = {}
    for arm in status.checkpoints:
        folder = run.arm_folder(arm)
        paths = [*sorted((folder / "checkpoint").rglob("*")), folder / "config.json", folder / "metrics.jsonl"]
        files |= {f"{arm}/{path.relative_to(folder).as_posix()}": path for path in paths if path.is_file()}
    states = [(name, path.stat().st_size, path.stat().st_mtime_ns) for name, path in files.items()]
    key = f"{run.id} {hashlib.sha256(repr(states).encode()).hexdigest()}"
    return str(kept_file(key, f"mmreason-{run.id}.zip", lambda path: _write(path, files)))


def _write(path: Path, files: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:  # weights do not shrink
        for name, file in files.items():
            archive.write(file, name)
