"""The archive of a trained checkpoint, for its owner to take away."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from mmreason.ui.files import new_place
from mmreason.ui.run_state import status_of
from mmreason.ui.runs import owned


def write_archive(run_id: Any, token: Any) -> str | None:
    """Path of a zip of the run's checkpoints, one folder an arm; None while it may change.  Raises ConfigError."""
    run = owned(run_id, token, "download")
    status = status_of(run)
    if status.is_active or not status.checkpoints:
        return None
    with new_place() as place:
        path = place / f"mmreason-{run.id}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # weights do not shrink
            for arm in status.checkpoints:
                _add(archive, run.arm_folder(arm) / "checkpoint", arm)
                for name in ("config.json", "metrics.jsonl"):
                    archive.write(run.arm_folder(arm) / name, f"{arm}/{name}")
    return str(path)


def _add(archive: zipfile.ZipFile, folder: Path, arm: str) -> None:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            archive.write(file, f"{arm}/checkpoint/{file.relative_to(folder)}")
