"""A dataset that a visitor has handed over as a zip: unpacked, offered as a task, kept in the run that learns from it.

Until a run is started on it, only the zip is kept, among the server's temporary files, and goes with them.  It may
hold rows and pictures, and nothing in it is run.
"""

from __future__ import annotations

import itertools
import re
import stat
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from mmreason.disk import one_line, quoted, reason_of
from mmreason.errors import ConfigError
from mmreason.handed import inner_parts
from mmreason.tasks import TASKS
from mmreason.tasks.dataset.rows import MAX_ROWS
from mmreason.tasks.dataset.task import DataTask
from mmreason.tasks.own import DATA
from mmreason.ui.host import public
from mmreason.ui.host.settings import MB, read_settings
from mmreason.ui.runs.store import Run, owner_of
from mmreason.zipped import Zip

MAX_UNPACKED = 256 * 2**20
MAX_PIXELS = 500_000_000  # of all pictures, some seconds' work
MAX_IN_ROWS = 2 * 2**30  # bytes of pictures in parquet, those that are there again too
MAX_TEXT = 16_000_000  # letters of all texts
MAX_KEPT = 32 * 2**20  # with a run
MAX_ENTRIES = 3 * MAX_ROWS  # files and folders
MAX_DEPTH = 16  # folders in one another, and the file
SUFFIXES = (".jsonl", ".parquet", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".md", ".txt", "")


@dataclass(frozen=True, slots=True)
class Upload:
    """A zip that was found to be a dataset."""

    path: str  # of the zip, where the server has put it
    name: str  # of its task, which is no other task's
    called: str  # as the dataset itself is called
    words: tuple[str, ...]  # that its questions and answers are made of; none where they are too long
    rows: int
    owner: str | None  # SHA-256 of the token of who handed it over
    fault: str = ""  # why no checkpoint can be trained on it
    too_long: str = ""  # why no small one can

    @property
    def task(self) -> str:
        """As a form's tasks and a run's settings have it."""
        return f"{DATA}{self.name}"

    @property
    def label(self) -> str:
        """As a form lists it."""
        return f"your dataset: {self.name}, {self.rows} rows"


def upload_of(path: str | Path, task: DataTask, empty: Sequence[str], token: Any) -> Upload:
    """The zip at ``path``, which holds ``task``; ``empty``: splits without rows, ``token``: of who handed it over."""
    names = itertools.chain([task.name], (f"{task.name[:36]}_{number}" for number in itertools.count(2)))
    free = next(name for name in names if name not in TASKS)
    size, fault = sum(file.stat().st_size for file in task.rows.path.rglob("*") if file.is_file()), ""
    if empty:
        fault = f"it has no rows in {' or '.join(empty)}"
    elif size > MAX_KEPT:
        fault = f"its files take {size / 2**20:.0f} MB, and a run may keep {MAX_KEPT // 2**20}"
    words = () if task.too_long else task.words
    return Upload(str(path), free, task.name, words, len(task.rows.rows), owner_of(token), fault, task.too_long)


def takes(checkpoint: Any) -> bool:
    """Can the checkpoint be trained on any dataset?  A public one reads whatever is written."""
    return public.usable(str(checkpoint)) is not None


def offered(upload: Any, checkpoint: Any, token: Any) -> Upload | None:
    """``upload`` if the holder of ``token`` handed it over and ``checkpoint`` can be trained on it."""
    if not isinstance(upload, Upload) or upload.owner is None or upload.owner != owner_of(token):
        return None
    return upload if not upload.fault and takes(checkpoint) else None


def keep(upload: Upload, run: Run) -> None:
    """Unpack the dataset into the folder of ``run``; raises ConfigError."""
    if not Path(upload.path).is_file():
        raise ConfigError("tasks cannot name your dataset, which is not here any more; hand it over again")
    run.datasets.mkdir(parents=True)
    with TemporaryDirectory(prefix=".unpacked-", dir=run.folder) as place:
        unpack(upload.path, Path(place) / "zip").rename(run.datasets / upload.name)


def folder_name(path: str | Path) -> str:
    """What the folder of a zip is called whose files lie in none."""
    return re.sub(r"[^a-z0-9]+", "_", Path(path).stem.lower()).strip("_") or "dataset"


def unpack(path: str | Path, place: Path) -> Path:
    """The dataset's folder, ``place`` or one inside it; raises ConfigError for what no dataset has in it."""
    most = read_settings().max_upload_mb
    if Path(path).stat().st_size > most * MB:
        raise ConfigError(f"the zip must be at most {most} MB")
    place.mkdir(parents=True, exist_ok=True)
    try:
        with Zip(path, "the file", MAX_ENTRIES, ConfigError) as archive:
            _check(archive.entries)
            for entry in archive.entries:
                inner = inner_parts(entry.filename)
                assert inner is not None, "checked before"
                target = place.joinpath(*inner)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry.filename, MAX_UNPACKED))
    except OSError as error:  # a file where another has its folder, a name that is too long
        raise ConfigError(f"the zip cannot be unpacked: {reason_of(error)}") from None
    inside = [each for each in place.iterdir() if each.name != "__MACOSX"]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and inside[0].name != "data" else place


def _check(entries: Sequence[zipfile.ZipInfo]) -> None:
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise ConfigError(f"the zip must unpack to at most {MAX_UNPACKED // 2**20} MB")
    folders: set[tuple[str, ...]] = set()
    for entry in entries:
        called, parts = quoted(one_line(entry.filename, 80)), inner_parts(entry.filename)
        if parts is None:
            raise ConfigError(f"the zip holds {called}, whose path leads out of it")
        if len(parts) > MAX_DEPTH:
            raise ConfigError(f"the zip holds {called}, which lies more than {MAX_DEPTH - 1} folders deep")
        folders.update(tuple(parts[:depth]) for depth in range(1, len(parts)))
        if len(entries) + len(folders) > MAX_ENTRIES:
            raise ConfigError(f"the zip must hold at most {MAX_ENTRIES} files and folders, holds more")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ConfigError(f"the zip holds {called}, which is a link")
        if entry.flag_bits & 1:
            raise ConfigError(f"the zip holds {called}, which is encrypted")
        hidden = entry.filename.startswith("__MACOSX/")
        if not hidden and PurePosixPath(entry.filename).suffix.lower() not in SUFFIXES:
            raise ConfigError(f"the zip holds {called}; a dataset has data.jsonl or parquet files and pictures only")
