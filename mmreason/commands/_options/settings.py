"""Flags that follow from the settings of a config (``mmreason.settings``)."""

from __future__ import annotations

import argparse
from typing import Any

from mmreason.commands._options.numbers import add_number, number
from mmreason.settings import (
    ChoiceSetting,
    NumberSetting,
    RegionSetting,
    Setting,
    SharesSetting,
    SwitchSetting,
    WeightsSetting,
    settings_of,
    settings_of_either,
)


def add_settings(parser: argparse.ArgumentParser, config: type, **others: type) -> None:
    """A flag for every setting of ``config`` or of ``others``, each of these by what it is for.

    ``values_of`` gives what was said.
    """
    for setting in settings_of_either(config, **others).values():
        _add(parser, setting)


def add_chosen(parser: argparse.ArgumentParser, config: type, *names: str) -> None:
    """A flag for some settings of ``config``."""
    for name in names:
        _add(parser, settings_of(config)[name])


def _add(parser: argparse.ArgumentParser, setting: Setting) -> None:
    option = f"--{setting.flag}"
    common: dict[str, Any] = {"dest": setting.name, "default": setting.start}
    shown = setting.left or setting.default
    match setting:
        case NumberSetting(limit=limit):
            more = {"metavar": setting.metavar} if setting.metavar else {}
            add_number(parser, limit, setting.start, option, says=setting.says, shown=shown, dest=setting.name, **more)
        case RegionSetting(choices=choices):
            text = f"{setting.says}: {', '.join(choices)}, or a box like r2c2:r5c6 (default: {shown})"
            parser.add_argument(option, metavar="REGION", help=text, **common)
        case ChoiceSetting(choices=choices):
            parser.add_argument(option, choices=choices, help=f"{setting.says} (default: {shown})", **common)
        case SwitchSetting(default=None):
            parser.add_argument(option, action="store_true", help=f"{setting.says} (default: {shown})", **common)
            parser.add_argument(f"--no_{setting.flag}", action="store_false", help=f"never {setting.says}", **common)
        case SwitchSetting():
            parser.add_argument(
                option, dest=setting.name, action="store_false" if setting.default else "store_true", help=setting.says
            )
        case SharesSetting(limit=limit, names=names):
            start = [setting.default[name] for name in names]
            text = f"{setting.says} ({limit.words} each; default: {' '.join(map(str, start))})"
            upper = tuple(name.upper() for name in names)
            common |= {"default": start, "type": number(limit)}
            parser.add_argument(option, nargs=len(names), metavar=upper, help=text, **common)
        case WeightsSetting():
            parser.add_argument(option, nargs="+", metavar=setting.metavar, help=setting.says, **common)


def given_beside(args: argparse.Namespace, config: type, other: type) -> str | None:
    """The first flag that was given and is a setting of ``other`` but not of ``config``."""
    for name, setting in settings_of(other).items():
        if name not in settings_of(config) and getattr(args, name) != setting.start:
            return f"--{setting.flag}"
    return None


def values_of(args: argparse.Namespace, config: type) -> dict[str, Any]:
    """What ``args`` say of the settings of ``config``, by name."""
    return {name: getattr(args, name) for name in settings_of(config)}
