"""Anybody's rollouts opened: a file, a folder or a zip of them, whatever system wrote it.

Pictures stand in the file or beside it; nothing outside the file's folder is opened and nothing is fetched.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, BinaryIO

from mmreason.disk import one_line, quoted, reason_of
from mmreason.errors import ConfigError, TraceError
from mmreason.handed import Folder
from mmreason.traces.file import HANDED
from mmreason.traces.formats import IMPORTERS
from mmreason.traces.formats.row import Read, Row
from mmreason.traces.formats.table import ROLLOUTS, rows_of
from mmreason.traces.group import checked_ones, members_of
from mmreason.traces.picture import Archive, Beside, Nowhere, Shelf, folder, member
from mmreason.traces.rollouts import MAX_PROMPTS, MAX_ROLLOUTS, Part, Prompt, Rollout, Rollouts
from mmreason.traces.schema import VERSION
from mmreason.traces.versions.one import read_one
from mmreason.traces.versions.ours import VERSION_TWO, is_ours
from mmreason.traces.versions.two import misspelt, read_two

ENDINGS = (".jsonl", ".parquet", ".json")
JUDGED = ("text", "image")  # of --map: which components of a rollout's rewards judge it
COLUMNS = (  # of --map: which column of the table stands for it
    *("messages", "prompt", "completion", "images", "prompt_id", "id", "step", "answer"),
    *("rewards", "segment_rewards"),
)

_MAX_FILES = 1000  # of one folder
_MAX_MEMBERS = 100_000  # of one zip


@dataclass(frozen=True, slots=True)
class Opened:
    """The records, and what version 1 traces among them hold, which can be scored again."""

    rollouts: Rollouts
    version_one: list[dict[str, Any]]


def parse_map(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``NAME=COLUMN[,COLUMN…]`` each; raises ConfigError."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, equals, columns = pair.partition("=")
        named = tuple(column for column in columns.split(",") if column)
        if not equals or name not in (*JUDGED, *COLUMNS) or not named or (name in COLUMNS and len(named) > 1):
            raise ConfigError(
                f"--map must be NAME=COLUMN with NAME one of {', '.join((*JUDGED, *COLUMNS))}, "
                f"e.g. text=answer,format, got {quoted(pair)}"
            )
        if name in found:
            raise ConfigError(f"--map names {name} twice; put its columns behind one, e.g. text=answer,format")
        found[name] = named
    return found


def open_rollouts(path: str | Path, mapping: Mapping[str, tuple[str, ...]] | None = None) -> Opened:
    """What ``path`` holds, a file, a folder, a zip or ``-``; raises TraceError with one sentence."""
    gathered = _Gathered(mapping or {})
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


def open_content(content: bytes, name: str, mapping: Mapping[str, tuple[str, ...]] | None = None) -> Opened:
    """The same of an upload's or pasted ``content``; its pictures are data, or stand in the zip."""
    gathered = _Gathered(mapping or {})
    _add_file(io.BytesIO(content), name, Nowhere(), gathered)
    return gathered.opened(name)


def open_contents(contents: Sequence[tuple[str, bytes]], max_bytes: int) -> Opened:
    """Several such files, each a name and its content, as one; unpacked they hold at most ``max_bytes``."""
    gathered = _Gathered({}, max_bytes)
    for name, content in contents:
        _add_file(io.BytesIO(content), name, Nowhere(), gathered)
    return gathered.opened(contents[0][0] if len(contents) == 1 else f"{len(contents)} files")


def open_members(members: Sequence[dict[str, Any]]) -> Opened:
    """Checked version 1 traces as anybody's rollouts."""
    gathered = _Gathered({})
    shelf = Shelf(Nowhere())
    for data in members:
        gathered.add_member(data, shelf)
    return gathered.opened("traces")


def _add_file(file: BinaryIO, name: str, beside: Beside, gathered: _Gathered) -> None:
    head = file.read(4)
    file.seek(0)
    if head == b"PK\x03\x04":
        _add_zip(file, name, gathered)
    else:
        gathered.add(file, name, beside)


def _add_folder(root: Path, gathered: _Gathered) -> None:
    """Every table of the folder itself, those of JSON lines and parquet before single documents."""
    called = f"directory {quoted(str(root))}"
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.name.endswith((*ENDINGS, ".zip")))
    except OSError as error:
        raise TraceError(f"{called} cannot be read: {reason_of(error)}") from None
    inside = Folder(root, "file", ROLLOUTS.max_bytes, TraceError)
    beside = folder(root)
    _add_some(names, called, gathered, lambda name: _add_one(inside, name, beside, gathered))


def _add_one(inside: Folder, name: str, beside: Beside, gathered: _Gathered) -> None:
    with inside.open(name) as file:
        _add_file(file, name, beside, gathered)


def _add_zip(file: BinaryIO, name: str, gathered: _Gathered) -> None:
    """The tables that stand highest in the zip; their pictures are its members."""
    called = f"zip file {quoted(name)}"
    try:
        archive = zipfile.ZipFile(file)
        names = [info.filename for info in archive.infolist()]
    except Exception:  # a forged directory raises many kinds
        raise TraceError(f"{called} cannot be read") from None
    if len(names) > _MAX_MEMBERS:
        raise TraceError(f"{called} must hold at most {_MAX_MEMBERS} files, holds {len(names)}")
    tables = sorted(found for found in names if found.endswith(ENDINGS))
    depth = min((found.count("/") for found in tables), default=0)
    tables = [found for found in tables if found.count("/") == depth]

    def add(found: str) -> None:
        most = min(ROLLOUTS.max_bytes, gathered.max_bytes or ROLLOUTS.max_bytes)
        content = member(archive, found, most, f"file {quoted(found)}")
        within = str(PurePosixPath(found).parent)
        gathered.add(io.BytesIO(content), found, Archive(archive, "" if within == "." else f"{within}/"))

    _add_some(tables, called, gathered, add)


def _add_some(names: Sequence[str], called: str, gathered: _Gathered, add: Callable[[str], None]) -> None:
    """Add the files that hold rollouts; what holds something else is noted, unless nothing holds any."""
    tables = [name for name in names if not name.endswith(".json")] or list(names)
    if not tables:
        raise TraceError(f"{called} holds no rollouts: no file in it ends in {', '.join(ENDINGS)}")
    if len(tables) > _MAX_FILES:
        raise TraceError(f"{called} must hold at most {_MAX_FILES} files of rollouts, holds {len(tables)}")
    foreign: list[str] = []
    for name in tables:
        try:
            add(name)
        except _Unknown as error:
            foreign.append(f"{quoted(name)} is left out: {error}")
    if len(foreign) == len(tables):
        raise TraceError(f"{called} holds no rollouts: {one_line(foreign[0], 300)}")
    gathered.notes += foreign


class _Unknown(TraceError):
    """A file whose first row nobody recognises."""


class _Gathered:
    """The prompts and rollouts that were read so far, from one file or several."""

    def __init__(self, mapping: Mapping[str, tuple[str, ...]], max_bytes: int | None = None) -> None:
        self.mapping, self.max_bytes = mapping, max_bytes
        self.held = 0  # bytes of words and pictures, counted where ``max_bytes`` bounds them
        self.formats: list[str] = []
        self.prompts: dict[Any, Prompt] = {}  # by what tells them apart
        self.rollouts: list[tuple[Any, Rollout]] = []
        self.judges: dict[str, tuple[str, ...]] = {}
        self.notes: list[str] = []
        self.version_one: list[dict[str, Any]] = []
        self.steps: set[int | None] = set()

    def add(self, file: BinaryIO, name: str, beside: Beside) -> None:
        """Read a file; raises TraceError."""
        shelf = Shelf(beside)
        importer: ModuleType | None = None
        ours = False
        for number, (called, row) in enumerate(rows_of(file, name, self.notes)):
            try:
                if number == 0:
                    ours = _is_ours(row)
                    importer = None if ours else self._importer(row, name)
                if ours:
                    self._add_ours(row, shelf)
                else:
                    assert importer is not None
                    self._add_foreign(row, importer, shelf)
            except _Unknown:
                raise
            except TraceError as error:
                raise TraceError(f"{called} of {quoted(name)}: {error}" if called else str(error)) from None

    def _importer(self, row: Row, name: str) -> ModuleType:
        mapped = self._mapped(row)
        for importer in IMPORTERS:
            if importer.recognises(mapped):
                return importer
        columns = ", ".join(one_line(key, 40) for key in list(row)[:12]) or "none"
        raise _Unknown(
            f"trace field 'version' is missing in {quoted(name)}, and no known format has these columns: {columns}; "
            "name prompt=COLUMN and completion=COLUMN by --map"
        )

    def _mapped(self, row: Row) -> Row:
        renamed = {name: _at(row, self.mapping[name][0]) for name in COLUMNS if name in self.mapping}
        return {**row, **renamed}

    def _add_foreign(self, row: Row, importer: ModuleType, shelf: Shelf) -> None:
        mapped = self._mapped(row)
        if not importer.recognises(mapped):
            raise TraceError("it is not of the kind of the first row")
        self._add_read(importer.read(mapped, shelf))

    def _add_ours(self, row: Row, shelf: Shelf) -> None:
        version = row.get("version")
        if isinstance(version, bool) or version not in (VERSION, VERSION_TWO):
            found = "nothing" if version is None else one_line(repr(version), 40)
            raise TraceError(f"trace field 'version' must be {VERSION} or {VERSION_TWO}, got {found}")
        if version == VERSION:
            for data in members_of(row):
                self.add_member(data, shelf)
            return
        self.notes += [note for note in misspelt(row) if note not in self.notes]
        if is_ours(row):
            for data in checked_ones(row):
                self.add_member(data, shelf, VERSION_TWO)
            return
        prompts, rollouts, judges = read_two(row, shelf)
        self.formats.append("trace version 2")
        self.judges |= judges
        for prompt in prompts:
            known = self.prompts.setdefault(("two", prompt.id), prompt)
            if known is not prompt and _looks(known.parts) != _looks(prompt.parts):
                raise TraceError(f"trace field 'prompts': id {quoted(prompt.id)} stands for two different prompts")
        for i, rollout in enumerate(rollouts):
            if ("two", rollout.prompt) not in self.prompts:
                raise TraceError(
                    f"trace field 'rollouts[{i}].prompt': must be the id of a prompt that stands in this line or "
                    f"before, got {quoted(rollout.prompt)}"
                )
            self._append(("two", rollout.prompt), rollout)

    def add_member(self, data: dict[str, Any], shelf: Shelf, version: int = VERSION) -> None:
        """Add a checked trace of ours, read from a file of ``version``."""
        self.version_one.append(data)
        self._add_read(read_one(data, shelf, version))

    def _add_read(self, read: Read) -> None:
        told = read.prompt_id or _looks(read.prompt)
        key = ("read", read.step, told)
        self.steps.add(read.step)
        self.formats.append(read.format)
        self.judges |= read.judges
        if key not in self.prompts:
            plain_id = read.prompt_id if not read.format.startswith("trace version") else ""
            self.prompts[key] = Prompt(plain_id or f"prompt {len(self.prompts) + 1}", read.prompt)
        more = {name: value for name, value in read.more.items() if not _holds_bytes(value)}
        rollout = Rollout(
            *(read.id, "", read.parts, read.rewards, read.success),
            *(read.answer, read.settings, read.cost, more if read.step is None else {**more, "step": read.step}),
        )
        self._append(key, rollout)

    def _append(self, key: Any, rollout: Rollout) -> None:
        self.rollouts.append((key, rollout))
        if self.max_bytes is not None:
            self.held += sum(
                len(part.text or "") + len((part.picture and part.picture.content) or b"") for part in rollout.parts
            )
            if self.held > self.max_bytes:
                raise TraceError(f"it unpacks to more than {self.max_bytes // 2**20} MB")
        for what, count, most in (
            ("prompts", len(self.prompts), MAX_PROMPTS),
            ("rollouts", len(self.rollouts), MAX_ROLLOUTS),
        ):
            if count > most:
                raise TraceError(f"there must be at most {most} {what}")

    def opened(self, name: str) -> Opened:
        """All of it; raises TraceError if there is no rollout."""
        if not self.rollouts:
            raise TraceError(f"file {quoted(name)} holds no rollouts")
        ids = {key: self._id_of(key, prompt) for key, prompt in self.prompts.items()}
        count: Counter[Any] = Counter()
        rollouts = []
        for key, rollout in self.rollouts:
            count[key] += 1
            called = rollout.id or f"{ids[key]} r{count[key]}"
            rollouts.append(replace(rollout, id=called, prompt=ids[key]))
        judges = {**self.judges, **{name: self.mapping[name] for name in JUDGED if name in self.mapping}}
        prompts = tuple(replace(prompt, id=ids[key]) for key, prompt in self.prompts.items())
        formats = " and ".join(dict.fromkeys(self.formats))
        found = Rollouts(formats, prompts, tuple(rollouts), judges, tuple(self.notes))
        _check_judges(found, self.mapping)
        return Opened(found, self.version_one)

    def _id_of(self, key: Any, prompt: Prompt) -> str:
        """Prompts come back at every step of a training, each time for another group."""
        return prompt.id if len(self.steps) < 2 or key[0] == "two" else f"{prompt.id} at step {key[1]}"


def _is_ours(row: Row) -> bool:
    return "version" in row and not any(importer.recognises(row) for importer in IMPORTERS)


def _check_judges(found: Rollouts, mapping: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a component that no rollout has: it is misspelt."""
    names = sorted({name for rollout in found.rollouts for name in rollout.rewards})
    for modality in JUDGED:
        for name in mapping.get(modality, ()):
            if name not in names:
                there = (
                    f"one of {', '.join(one_line(n, 40) for n in names[:20])}" if names else "left out: there is none"
                )
                raise ConfigError(
                    f"--map {modality} must name a component of the rewards, {there}, got {quoted(name)}"
                )


def _at(row: Row, column: str) -> Any:
    """A column, or a field inside one: ``data.answer``."""
    if column in row:
        return row[column]
    value: Any = row
    for key in column.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _looks(parts: Sequence[Part]) -> tuple[tuple[str, str], ...]:
    """What tells prompts apart that have no name: their words and pictures."""
    return tuple(
        (part.text or "", part.picture.key if part.picture else "") for part in parts if part.role != "system"
    )


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_bytes(item) for item in value.values())
    return any(_holds_bytes(item) for item in value) if isinstance(value, list) else isinstance(value, bytes)
