"""Files that a visitor takes away: the trace and its replay."""

from __future__ import annotations

import json
import tempfile
import time
from functools import cache
from pathlib import Path

from mmreason.traces.replay import write_gif
from mmreason.ui.solving import Finished

KEPT_SECONDS = 600  # gradio copies a file as soon as it is handed over


def write_files(finished: Finished) -> tuple[str, str]:
    """Paths of the trace as JSON and of its replay as GIF."""
    problem = finished.data["problem"]
    name = "-".join(str(part) for part in ("mmreason", problem["task"], problem["seed"]) if part is not None)
    place = new_place()
    trace, replay = place / f"{name}.json", place / f"{name}.gif"
    trace.write_text(json.dumps(finished.data), encoding="utf-8")
    write_gif(finished.data, finished.sheet, replay)
    return str(trace), str(replay)


def new_place() -> Path:
    """An empty folder for files that are about to be handed over; those of long ago go."""
    folder = _folder()
    _sweep(folder)
    return Path(tempfile.mkdtemp(dir=folder))


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="mmreason-"))


def _sweep(folder: Path) -> None:
    """Remove what was handed over long ago."""
    for place in folder.iterdir():
        if time.time() - place.stat().st_mtime > KEPT_SECONDS:
            for path in place.iterdir():
                path.unlink(missing_ok=True)
            place.rmdir()
