"""Anybody's rollouts opened: a file, a folder or a zip of them, whatever system wrote it.

Pictures stand in the file or beside it; nothing outside the file's folder is opened and nothing is fetched.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from mmreason.disk import one_line, quoted, reason_of
from mmreason.errors import ConfigError, TraceError
from mmreason.handed import Folder
from mmreason.records import MODALITIES
from mmreason.traces.file import HANDED
from mmreason.traces.formats.table import ROLLOUTS
from mmreason.traces.picture import Archive, Beside, BrokenPicture, Given, Nowhere, Shelf, folder, is_picture
from mmreason.traces.reading.gathered import COLUMNS, Gathered, Opened, Unknown
from mmreason.zipped import Zip

ENDINGS = (".jsonl", ".parquet", ".json")
_MAX_FILES = 1000  # of one folder
_MAX_MEMBERS = 100_000  # of one zip


def parse_map(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``NAME=COLUMN[,COLUMN…]`` each; raises ConfigError."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, equals, columns = pair.partition("=")
        named = tuple(column for column in columns.split(",") if column)
        if not equals or name not in (*MODALITIES, *COLUMNS) or not named or (name in COLUMNS and len(named) > 1):
            raise ConfigError(
                f"--map must be NAME=COLUMN with NAME one of {', '.join((*MODALITIES, *COLUMNS))}, "
                f"e.g. text=answer,format, got {quoted(pair)}"
            )
        if name in found:
            raise ConfigError(f"--map names {name} twice; put its columns behind one, e.g. text=answer,format")
        found[name] = named
    return found


def open_rollouts(path: str | Path, mapping: Mapping[str, tuple[str, ...]] | None = None) -> Opened:
    """What ``path`` holds, a file, a folder, a zip or ``-``; raises TraceError with one sentence."""
    gathered = Gathered(mapping or {})
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        state = None
    if state is None or not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        gathered.add(io.BytesIO(HANDED.read(path)), str(path), Nowhere())
    elif stat.S_ISDIR(state.st_mode):
        _add_folder(Path(path), gathered)
    else:
        try:
            file = open(path, "rb")  # noqa: SIM115  (closed below)
        except OSError as error:
            raise TraceError(f"file {quoted(str(path))} cannot be read: {reason_of(error)}") from None
        with file:
            _add_file(file, str(path), folder(Path(path).parent), gathered)
    return gathered.opened(str(path))


def open_content(content: bytes, name: str) -> Opened:
    """The same of an upload's or pasted ``content``; its pictures are data, or stand in the zip."""
    gathered = Gathered({})
    _add_file(io.BytesIO(content), name, Nowhere(), gathered)
    return gathered.opened(name)


def open_contents(contents: Sequence[tuple[str, bytes]], max_bytes: int) -> Opened:
    """Several such files, each a name and its content, as one; unpacked they hold at most ``max_bytes``.

    Pictures among them are those that the others name.
    """
    gathered = Gathered({}, max_bytes)
    tables = [(name, content) for name, content in contents if not is_picture(content)]
    if not tables:
        raise TraceError("these are pictures alone: choose the file of rollouts together with them")
    beside = Given([(name, content) for name, content in contents if is_picture(content)])
    for name, content in tables:
        _add_file(io.BytesIO(content), name, beside, gathered)
    return gathered.opened(tables[0][0] if len(tables) == 1 else f"{len(tables)} files")


def open_members(members: Sequence[dict[str, Any]]) -> Opened:
    """Checked version 1 traces as anybody's rollouts."""
    gathered = Gathered({})
    shelf = Shelf(Nowhere())
    for data in members:
        gathered.add_member(data, shelf)
    return gathered.opened("traces")


def _add_file(file: BinaryIO, name: str, beside: Beside, gathered: Gathered) -> None:
    head = file.read(4)
    file.seek(0)
    if head == b"PK\x03\x04":
        _add_zip(file, name, gathered)
    else:
        gathered.add(file, name, beside)


def _add_folder(root: Path, gathered: Gathered) -> None:
    """Every table of the folder itself, those of JSON lines and parquet before single documents."""
    called = f"directory {quoted(str(root))}"
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.name.endswith((*ENDINGS, ".zip")))
    except OSError as error:
        raise TraceError(f"{called} cannot be read: {reason_of(error)}") from None
    inside = Folder(root, "file", ROLLOUTS.max_bytes, TraceError)
    beside = folder(root)
    _add_some(names, called, gathered, lambda name: _add_one(inside, name, beside, gathered))


def _add_one(inside: Folder, name: str, beside: Beside, gathered: Gathered) -> None:
    with inside.open(name) as file:
        _add_file(file, name, beside, gathered)


def _add_zip(file: BinaryIO, name: str, gathered: Gathered) -> None:
    """The tables that stand highest in the zip; their pictures are its members."""
    called = f"zip file {quoted(name)}"
    archive = Zip(file, called, _MAX_MEMBERS, TraceError, BrokenPicture)
    tables = sorted(entry.filename for entry in archive.entries if entry.filename.endswith(ENDINGS))
    depth = min((found.count("/") for found in tables), default=0)
    tables = [found for found in tables if found.count("/") == depth]

    def add(found: str) -> None:
        most = min(ROLLOUTS.max_bytes, gathered.max_bytes or ROLLOUTS.max_bytes)
        content = archive.read(found, most)
        within = str(PurePosixPath(found).parent)
        gathered.add(io.BytesIO(content), found, Archive(archive, "" if within == "." else f"{within}/"))

    _add_some(tables, called, gathered, add)


def _add_some(names: Sequence[str], called: str, gathered: Gathered, add: Callable[[str], None]) -> None:
    """Add the files that hold rollouts; what holds something else is noted, unless nothing holds any.

    Of single documents beside tables, which may be anything, one that is known for nothing here is passed over, and
    one that cannot be read is noted.
    """
    tables = [name for name in names if not name.endswith(".json")]
    beside = [name for name in names if name.endswith(".json")]
    if not tables:
        tables, beside = beside, []
    if not tables:
        raise TraceError(f"{called} holds no rollouts: no file in it ends in {', '.join(ENDINGS)}")
    if len(tables) > _MAX_FILES:
        raise TraceError(f"{called} must hold at most {_MAX_FILES} files of rollouts, holds {len(tables)}")
    foreign: list[str] = []
    for name in tables:
        try:
            add(name)
        except Unknown as error:
            foreign.append(f"{quoted(name)} is left out: {error}")
    held, left = len(tables) - len(foreign), _MAX_FILES - len(tables)
    for name in beside[:left]:
        try:
            with gathered.whole_or_nothing():
                add(name)
            held += 1
        except Unknown:
            continue
        except TraceError as error:
            foreign.append(f"{quoted(name)} is left out: {error}")
    if beside[left:]:
        foreign.append(f"{quoted(beside[left])} and what follows is left out: {_MAX_FILES} files are read at most")
    if not held:
        raise TraceError(f"{called} holds no rollouts: {one_line(foreign[0], 300)}")
    gathered.notes += foreign
