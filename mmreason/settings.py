"""A setting: a field of a config that says what it may be, what it means, and how the page asks for it.

The field is its one home.  The config checks itself by it (``check``); the command line's flag, the page's control,
what is stored and the command that repeats a run follow from ``settings_of``.  Numbers that several settings share
have a row in ``mmreason.limits``; a number of one setting alone stands at its field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any

from mmreason.errors import ConfigError
from mmreason.limits import WEIGHT, Number, Whole, exactly
from mmreason.records import parse_box

_SETTING, _CHANGES = "setting", "changes"


@dataclass(frozen=True, slots=True)
class Control:
    """How the page asks for a setting: among the ``first``, under ``more``, or where the form has a place for it."""

    label: str
    info: str
    place: str = "more"  # or "first", or "own", or "public": asked for checkpoints of public families only


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is said of a field; ``path`` and ``default`` are read off the config."""

    says: str
    name: str = ""  # on the page, in stored settings and in parsed arguments; else the field's
    flag: str = ""  # else the name
    left: str = ""  # what holds where the flag is left out, if that is not the field's default
    metavar: str | tuple[str, ...] | None = None
    page: Control | None = None
    path: tuple[str, ...] = ()
    default: Any = None

    kind = "a value"

    @property
    def start(self) -> Any:
        """What the flag is where it is left out: None leaves the choice to whoever makes the config."""
        return None if self.left else self.default

    def read(self, value: Any) -> Any:
        """``value`` as given by a flag, a control or JSON, of the right kind; raises ConfigError."""
        raise NotImplementedError

    def check(self, value: Any, name: str) -> None:
        """Raise ConfigError, which calls it ``name``, if the config may not have ``value``."""

    def words(self, value: Any) -> list[str]:
        """The command line that gives ``value``."""
        raise NotImplementedError

    def _wrong(self, value: Any) -> ConfigError:
        return ConfigError(f"{self.name} must be {self.kind}, got {str(value)[:40]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSetting(Setting):
    """A number within limits."""

    limit: Number

    @property
    def kind(self) -> str:
        return f"a {self.limit.kind}"

    def read(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int if isinstance(self.limit, Whole) else int | float):
            raise self._wrong(value)
        return value

    def check(self, value: Any, name: str) -> None:
        self.limit.check(value, name)

    def words(self, value: Any) -> list[str]:
        return [f"--{self.flag}", exactly(value)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceSetting(Setting):
    """One of a few words; a config may have one of ``also``, too, which no flag gives."""

    choices: tuple[str, ...]
    also: tuple[str, ...] = ()

    kind = "a word"

    def read(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise self._wrong(value)
        return value

    def check(self, value: Any, name: str) -> None:
        if value not in self.choices + self.also:
            raise ConfigError(f"{name} must be one of {', '.join(self.choices)}, got {str(value)[:40]!r}")

    def words(self, value: Any) -> list[str]:
        return [f"--{self.flag}", value]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSetting(ChoiceSetting):
    """One of a few words, or a box of canvas cells."""

    def check(self, value: Any, name: str) -> None:
        if value not in self.choices and parse_box(value) is None:
            raise ConfigError(
                f"{name} must be one of {', '.join(self.choices)}, or a box like r2c2:r5c6, got {str(value)[:40]!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSetting(Setting):
    """On or off; the flag turns to the other side of the default; of None to on, with ``no_`` before it to off."""

    kind = "true or false"

    def read(self, value: Any) -> Any:
        if not isinstance(value, bool):
            raise self._wrong(value)
        return value

    def words(self, value: Any) -> list[str]:
        if value == self.default:
            return []
        return [f"--no_{self.flag}" if self.default is None and not value else f"--{self.flag}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSetting(Setting):
    """Names, each with a weight: ``maze=2 sudoku``, ``{"maze": 2, "sudoku": 1}``, or ``["maze"]``."""

    kind = "a list"

    def read(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            found = {str(name): WEIGHT.check(each, _weight_of(name)) for name, each in value.items()}
            return {name: each for name, each in found.items() if each}
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self._wrong(value)
        return weights([str(each) for each in value])

    def check(self, value: Any, name: str) -> None:
        for each, weight in value.items():
            WEIGHT.check(weight, _weight_of(each))
        if value and not any(value.values()):
            raise ConfigError(f"{name} must have a weight above 0, got {', '.join(value)} with none")

    def words(self, value: Any) -> list[str]:
        plain = all(weight == 1 for weight in value.values())
        return [f"--{self.flag}", *(name if plain else f"{name}={exactly(each)}" for name, each in value.items())]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesSetting(Setting):
    """A number for each of a few names, in their order."""

    limit: Number
    names: tuple[str, ...]

    kind = "a list"

    def read(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            value = [value.get(name) for name in self.names]
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != len(self.names):
            raise self._wrong(value)
        pairs = zip(self.names, value, strict=True)
        return {name: self.limit.check(each, f"{self.name} of {name}") for name, each in pairs}

    def check(self, value: Any, name: str) -> None:
        if set(value) != set(self.names):
            raise ConfigError(f"{name} must give {' and '.join(self.names)} a number, got {value}")
        for each in self.names:
            self.limit.check(value[each], f"{name} of {each}")

    def words(self, value: Any) -> list[str]:
        return [f"--{self.flag}", *(exactly(value[name]) for name in self.names)]


def _field(setting: Setting, default: Any) -> Any:
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata={_SETTING: setting})
    return field(default=default, metadata={_SETTING: setting})


def number(default: float | None, limit: Number, says: str = "", **more: Any) -> Any:
    """A field that is a number; ``says`` in place of the limit's own words."""
    return _field(NumberSetting(says=says or limit.says, limit=limit, **more), default)


def choice(default: str, choices: tuple[str, ...], says: str, **more: Any) -> Any:
    """A field that is one of ``choices``."""
    return _field(ChoiceSetting(says=says, choices=choices, **more), default)


def cells(default: str, choices: tuple[str, ...], says: str, **more: Any) -> Any:
    """A field that is one of ``choices``, or a box of cells."""
    return _field(RegionSetting(says=says, choices=choices, **more), default)


def switch(default: bool | None, says: str, **more: Any) -> Any:
    """A field that is on or off."""
    return _field(SwitchSetting(says=says, **more), default)


def weighted(default: Mapping[str, float], says: str, **more: Any) -> Any:
    """A field of weights by name."""
    return _field(WeightsSetting(says=says, **more), default)


def shares(default: Mapping[str, float], limit: Number, says: str = "", **more: Any) -> Any:
    """A field that gives each of the names in ``default`` a number."""
    return _field(SharesSetting(says=says or limit.says, limit=limit, names=tuple(default), **more), default)


def there(**changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metadata of a field that is a config of its own: what its settings have otherwise there, by field."""
    return {_CHANGES: changes}


@cache
def settings_of(config: type) -> Mapping[str, Setting]:
    """The settings of ``config`` and of the configs that are its fields, by name, in their order."""
    found: dict[str, Setting] = {}
    for each in fields(config):
        if (own := each.metadata.get(_SETTING)) is not None:
            name = own.name or each.name
            found[name] = replace(own, name=name, flag=own.flag or name, path=(each.name,), default=_default(each))
        elif (inner := _part(each)) is not None:
            for name, setting in settings_of(inner).items():
                changes = each.metadata.get(_CHANGES, {}).get(setting.path[-1], {})
                found[name] = replace(setting, path=(each.name, *setting.path), **changes)
    return found


@cache
def settings_of_either(config: type, **others: type) -> Mapping[str, Setting]:
    """The settings of ``config`` and of ``others``, each by what it is for, of which one is made.

    Of a setting that two have, what either may be; where it is left out to different effect, that is left to the one
    that is made.
    """
    found = dict(settings_of(config))
    for purpose, other in others.items():
        for name, setting in settings_of(other).items():
            found[name] = _either(found[name], setting, purpose) if name in found else setting
    return found


def _either(one: Setting, other: Setting, purpose: str) -> Setting:
    left, instead = one.left or one.default, other.left or other.default
    left = one.left if left == instead else f"{left}; for {purpose} {instead}"
    more: dict[str, Any] = {}
    if isinstance(one, ChoiceSetting) and isinstance(other, ChoiceSetting):
        more["choices"] = tuple(dict.fromkeys(one.choices + other.choices))
    return replace(one, left=left, **more)


def _part(each: Field[Any]) -> type | None:
    """The config that a field is."""
    made = each.default_factory
    return made if isinstance(made, type) and is_dataclass(made) else None


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def check(config: Any) -> None:
    """Hold ``config`` against its settings, and its parts against what is otherwise of theirs; raises ConfigError."""
    for setting in settings_of(type(config)).values():
        value, name = config, setting.path[-1]
        for step in setting.path:
            value = getattr(value, step)
        if value is not None or (setting.default is not None and not setting.left):
            setting.check(value, name)


def build(config: type, values: Mapping[str, Any], **parts: Any) -> Any:
    """``config`` of ``values`` by name, what is missing or None by default; ``parts`` are fields as they are."""
    inner = {each.name: of for each in fields(config) if (of := _part(each)) is not None}
    made = {name: build(of, values) for name, of in inner.items() if name not in parts}
    return config(**given(config, values) | made | parts)


def given(config: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those fields of ``config`` itself that ``values`` by name give."""
    own = [setting for setting in settings_of(config).values() if len(setting.path) == 1]
    return {each.path[0]: each.read(values[each.name]) for each in own if values.get(each.name) is not None}


def weights(items: Sequence[str]) -> dict[str, float]:
    """``["maze=2", "sudoku", "jigsaw=0"]`` → ``{"maze": 2.0, "sudoku": 1.0}``; raises ConfigError."""
    chosen: dict[str, float] = {}
    for item in items:
        name, _, weight = item.partition("=")
        if name in chosen:
            raise ConfigError(f"{name[:40]!r} must be named once, got {item[:60]!r} as well")
        chosen[name] = WEIGHT.check(weight or 1, _weight_of(name))
    if chosen and not any(chosen.values()):
        raise ConfigError(f"the weight of one at least must be above 0, got {' '.join(items)[:120]!r}")
    return {name: weight for name, weight in chosen.items() if weight}


def _weight_of(name: object) -> str:
    return f"the weight of {str(name)[:40]!r}"
