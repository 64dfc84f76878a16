"""Files that a visitor takes away: the trace and its replay."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from mmreason.disk import write_json, writing
from mmreason.traces.replay import write_gif
from mmreason.ui.solving import Finished

KEPT_SECONDS = 600  # gradio copies a file as soon as it is handed over


def write_files(finished: Finished) -> tuple[str, str]:
    """Paths of the trace as JSON and of its replay as GIF; raises ConfigError if they cannot be written."""
    problem = finished.data["problem"]
    name = "-".join(str(part) for part in ("mmreason", problem["task"], problem["seed"]) if part is not None)
    with new_place() as place:
        trace, replay = place / f"{name}.json", place / f"{name}.gif"
        write_json(trace, finished.data)
        write_gif(finished.data, finished.sheet, replay)
    return str(trace), str(replay)


@contextmanager
def new_place() -> Iterator[Path]:
    """An empty folder to write in what is then handed over; raises ConfigError if that fails, and nothing is left."""
    folder = _folder()
    _sweep(folder)
    place = folder / secrets.token_hex(8)
    with writing("the file"):
        try:
            place.mkdir()
            yield place
        except OSError:
            shutil.rmtree(place, ignore_errors=True)
            raise


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
