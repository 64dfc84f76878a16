"""Prompts and rollouts gathered from rows, of one file or several, in whatever format their rows are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, BinaryIO

from mmreason.disk import one_line, quoted
from mmreason.errors import ConfigError, TraceError
from mmreason.records import MODALITIES
from mmreason.traces.footprint import footprint
from mmreason.traces.formats import IMPORTERS
from mmreason.traces.formats.row import Read, Row, number, whole
from mmreason.traces.formats.table import rows_of
from mmreason.traces.group import checked_ones, members_of
from mmreason.traces.picture import Beside, Picture, Shelf
from mmreason.traces.reading.names import apart, at_step
from mmreason.traces.rollouts import MAX_PROMPTS, MAX_ROLLOUTS, Part, Prompt, Rollout, Rollouts
from mmreason.traces.schema import VERSION
from mmreason.traces.versions.one import read_one
from mmreason.traces.versions.ours import VERSION_TWO, groups_of, is_ours
from mmreason.traces.versions.two import misspelt, read_two, regions_outside

MAX_NOTES = 100  # after which no more is noted of what rows hold
COLUMNS = (  # of --map: which column of the table stands for it
    *("messages", "prompt", "completion", "images", "prompt_id", "id", "step", "answer"),
    *("rewards", "segment_rewards"),
)


@dataclass(frozen=True, slots=True)
class Opened:
    """The records, and what version 1 traces among them hold, which can be scored again."""

    rollouts: Rollouts
    version_one: list[dict[str, Any]]


class Unknown(TraceError):
    """A file whose first row nobody recognises."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the first row of a file told of it: who reads its rows (None: we wrote them), and where pictures stand."""

    shelf: Shelf
    importer: ModuleType | None


class Gathered:
    """The prompts and rollouts that were read so far, from one file or several."""

    def __init__(self, mapping: Mapping[str, tuple[str, ...]], max_bytes: int | None = None) -> None:
        self.mapping, self.max_bytes = mapping, max_bytes
        self.missing = {name for name in COLUMNS if name in mapping}  # those whose column no row has had
        self.columns: dict[str, None] = {}  # of the rows read while there are such
        self.held = 0  # bytes in memory; of what is no picture only where ``max_bytes`` bounds them
        self.formats: list[str] = []
        self.prompts: dict[Any, Prompt] = {}  # by what tells them apart
        self.rollouts: list[tuple[Any, Rollout]] = []
        self.judges: dict[str, tuple[str, ...]] = {}
        self.notes: list[str] = []
        self.version_one: list[dict[str, Any]] = []
        self.steps: dict[Any, int | None] = {}  # of the training, at which the rollouts of a prompt were made

    def add(self, file: BinaryIO, name: str, beside: Beside, kind: Kind | None = None, before: int = 0) -> Kind:
        """Read a file, or what follows the first ``before`` lines of one of known ``kind``; raises TraceError."""
        shelf = kind.shelf if kind else Shelf(beside, self._hold_bytes)
        for called, row in rows_of(file, name, self.notes, before):
            try:
                if kind is None:
                    kind = Kind(shelf, None if _is_ours(row) else self._importer(row, name))
                if kind.importer is None:
                    self._add_ours(row, shelf)
                else:
                    self._add_foreign(row, kind.importer, shelf)
            except Unknown:
                raise
            except TraceError as error:
                if not self.rollouts:  # a row without what it is to hold is more likely mapped amiss
                    self._check_columns()
                raise TraceError(f"{called} of {quoted(name)}: {error}" if called else str(error)) from None
        return kind or Kind(shelf, None)

    @contextmanager
    def whole_or_nothing(self) -> Iterator[None]:
        """What is added meanwhile is taken back where that raises TraceError."""
        before = {name: copy(value) for name, value in vars(self).items()}
        try:
            yield
        except TraceError:
            vars(self).update(before)
            raise

    def _importer(self, row: Row, name: str) -> ModuleType:
        mapped = self._mapped(row)
        for importer in IMPORTERS:
            if importer.recognises(mapped):
                return importer
        columns = ", ".join(one_line(key, 40) for key in list(row)[:12]) or "none"
        raise Unknown(
            f"trace field 'version' is missing in {quoted(name)}, and no known format has these columns: {columns}; "
            "name prompt=COLUMN and completion=COLUMN by --map"
        )

    def _mapped(self, row: Row) -> Row:
        found = {name: _at(row, self.mapping[name][0]) for name in COLUMNS if name in self.mapping}
        if self.missing:
            self.missing -= {name for name, values in found.items() if values}
            self.columns |= dict.fromkeys(row)
        return {**row, **{name: values[0] if values else None for name, values in found.items()}}

    def _add_foreign(self, row: Row, importer: ModuleType, shelf: Shelf) -> None:
        mapped = self._mapped(row)
        if not importer.recognises(mapped):
            raise TraceError("it is not of the kind of the first row")
        self._note_step(mapped)
        read = importer.read(mapped, shelf)
        if all(mapped.get(name) is None for name in ("rewards", "reward")):  # then columns are the components
            for name in (name for modality in MODALITIES for name in self.mapping.get(modality, ())):
                number(mapped.get(name), name)
        for name in read.beyond:
            self._note(f"column {quoted(name)} is no component of rewards where it lies beyond 1e6; it is kept")
        for note in read.notes:
            self._note(note)
        self._add_read(read)

    def _add_ours(self, row: Row, shelf: Shelf) -> None:
        version = row.get("version")
        if isinstance(version, bool) or version not in (VERSION, VERSION_TWO):
            found = "nothing" if version is None else one_line(repr(version), 40)
            raise TraceError(f"trace field 'version' must be {VERSION} or {VERSION_TWO}, got {found}")
        if version == VERSION:
            for data in members_of(row):
                self.add_member(data, shelf)
            return
        if len(self.notes) < MAX_NOTES:
            self.notes += [note for note in misspelt(row) if note not in self.notes]
        if is_ours(row):
            members = checked_ones(row)
            for data, group in zip(members, groups_of(row), strict=True):
                self.add_member(data, shelf, VERSION_TWO, group)
            return
        prompts, rollouts, judges = read_two(row, shelf)
        for note in regions_outside(rollouts):
            self._note(note)
        self.formats.append("trace version 2")
        self.judges |= judges
        for prompt in prompts:
            known = self.prompts.setdefault(("two", prompt.id), prompt)
            if known is prompt:
                self._hold(prompt)
            elif _differ(known.parts, prompt.parts):
                raise TraceError(f"trace field 'prompts': id {quoted(prompt.id)} stands for two different prompts")
        for i, rollout in enumerate(rollouts):
            if ("two", rollout.prompt) not in self.prompts:
                raise TraceError(
                    f"trace field 'rollouts[{i}].prompt': must be the id of a prompt that stands in this line or "
                    f"before, got {quoted(rollout.prompt)}"
                )
            self._append(self._key_of(rollout), rollout)

    def _key_of(self, rollout: Rollout) -> tuple[Any, ...]:
        """The prompt of a version 2 rollout, which is one more at each other step of a training."""
        self._note_step(rollout.more)
        key, step = ("two", rollout.prompt), whole(rollout.more, "step")
        if self.steps.setdefault(key, step) == step:
            return key
        again = (*key, step)
        self.steps[again] = step
        self.prompts.setdefault(again, self.prompts[key])
        return again

    def add_member(self, data: dict[str, Any], shelf: Shelf, version: int = VERSION, group: str = "") -> None:
        """Add a checked trace of ours, read from a file of ``version`` that calls its group so."""
        self.version_one.append(data)
        self._hold(data)
        self._add_read(read_one(data, shelf, version), group)

    def _add_read(self, read: Read, group: str = "") -> None:
        is_ours = read.format.startswith("trace version")
        told = read.prompt_id or (read.called, _looks(read.prompt))
        key = ("read", read.step, told, group)
        self.steps[key] = read.step
        self.formats.append(read.format)
        self.judges |= read.judges
        if key not in self.prompts:
            named = group if is_ours else read.prompt_id or read.called
            self.prompts[key] = Prompt(named or f"prompt {len(self.prompts) + 1}", read.prompt)
            self._hold(self.prompts[key])
        elif not is_ours and _differ(self.prompts[key].parts, read.prompt):
            raise TraceError(f"prompt_id {quoted(read.prompt_id)} stands for two different prompts")
        more = {name: value for name, value in read.more.items() if not _holds_bytes(value)}
        rollout = Rollout(
            *(read.id, "", read.parts, read.rewards, read.success),
            *(read.answer, read.settings, read.cost, more if read.step is None else {**more, "step": read.step}),
        )
        self._append(key, rollout)

    def _note_step(self, row: Mapping[str, Any]) -> None:
        if row.get("step") is not None and whole(row, "step") is None:
            self._note("field 'step' must be a whole number to tell groups apart; where it is not, it counts as none")

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes and len(self.notes) < MAX_NOTES:
            self.notes.append(sentence)

    def _append(self, key: Any, rollout: Rollout) -> None:
        self.rollouts.append((key, rollout))
        self._hold(rollout)
        for what, count, most in (
            ("prompts", len(self.prompts), MAX_PROMPTS),
            ("rollouts", len(self.rollouts), MAX_ROLLOUTS),
        ):
            if count > most:
                raise TraceError(f"there must be at most {most} {what}")

    def _hold(self, read: Any) -> None:
        """Count what is held of the file from now on but pictures, which their shelf counts; raises TraceError."""
        if self.max_bytes is not None:
            self._hold_bytes(footprint(read))

    def _hold_bytes(self, size: int) -> None:
        self.held += size
        if self.max_bytes is not None and self.held > self.max_bytes:
            raise TraceError(f"it unpacks to more than {self.max_bytes // 2**20} MB")

    def opened(self, name: str) -> Opened:
        """All of it; raises TraceError if there is no rollout."""
        if not self.rollouts:
            raise TraceError(f"file {quoted(name)} holds no rollouts")
        steps = self.steps if len(set(self.steps.values())) > 1 else {}
        wanted = [at_step(prompt.id, steps.get(key)) for key, prompt in self.prompts.items()]
        ids = dict(zip(self.prompts, apart(wanted), strict=True))
        count: Counter[Any] = Counter()
        called = []
        for key, rollout in self.rollouts:
            count[key] += 1
            called.append(rollout.id or f"{ids[key]} r{count[key]}")
        rollouts = [
            replace(rollout, id=name, prompt=ids[key])
            for name, (key, rollout) in zip(apart(called), self.rollouts, strict=True)
        ]
        judges = {**self.judges, **{name: self.mapping[name] for name in MODALITIES if name in self.mapping}}
        prompts = tuple(replace(prompt, id=ids[key], step=steps.get(key)) for key, prompt in self.prompts.items())
        formats = " and ".join(dict.fromkeys(self.formats))
        found = Rollouts(formats, prompts, tuple(rollouts), judges, tuple(self.notes))
        self._check_columns()
        _check_judges(found, self.mapping)
        return Opened(found, self.version_one)

    def _check_columns(self) -> None:
        """Refuse a column that no row has: it is misspelt, or the file is no table of another system."""
        for name in sorted(self.missing):
            known = ", ".join(one_line(column, 40) for column in list(self.columns)[:20])
            there = f"one of {known}" if known else "left out: a trace of version 1 or 2 has none"
            raise ConfigError(
                f"--map {name} must name a column of the file, {there}, got {quoted(self.mapping[name][0])}"
            )


def _is_ours(row: Row) -> bool:
    return "version" in row and not any(importer.recognises(row) for importer in IMPORTERS)


def _check_judges(found: Rollouts, mapping: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a component that no rollout has: it is misspelt."""
    names = sorted({name for rollout in found.rollouts for name in rollout.rewards})
    for modality in MODALITIES:
        for name in mapping.get(modality, ()):
            if name not in names:
                known = ", ".join(one_line(n, 40) for n in names[:20])
                there = f"one of {known}" if names else "which none has (--map rewards=COLUMN says where they are)"
                raise ConfigError(
                    f"--map {modality} must name a component of the rewards, {there}, got {quoted(name)}"
                )


def _at(row: Row, column: str) -> list[Any]:
    """What stands in a column, or in a field inside one (``data.answer``); nothing where there is none."""
    if column in row:
        return [row[column]]
    value: Any = row
    for key in column.split("."):
        if not isinstance(value, dict) or key not in value:
            return []
        value = value[key]
    return [value]


def _looks(parts: Sequence[Part]) -> tuple[tuple[str, str], ...]:
    """What tells prompts apart that have no name: their words and pictures."""
    return tuple(
        (part.text or "", part.picture.key if part.picture else "") for part in parts if part.role != "system"
    )


def _differ(one: Sequence[Part], other: Sequence[Part]) -> bool:
    """Whether these are two prompts; a picture may have several names, and one that cannot be shown may be any."""
    asked, again = ([part for part in parts if part.role != "system"] for parts in (one, other))
    return len(asked) != len(again) or any(
        (part.text or "") != (like.text or "") or not _same(part.picture, like.picture)
        for part, like in zip(asked, again, strict=True)
    )


def _same(one: Picture | None, other: Picture | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.key == other.key or bool(one.broken or other.broken) or one.read() == other.read()


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_bytes(item) for item in value.values())
    return any(_holds_bytes(item) for item in value) if isinstance(value, list) else isinstance(value, bytes)
