"""``limits``: how low and how high every number may be, on the page, in the API and here."""

from __future__ import annotations

import argparse
from typing import Any

from mmreason.limits import LIMITS, Number, table

HELP = "the limits of every number"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``limits``."""
    parser.add_argument("--readme", metavar="FILE", help="page whose table is replaced, mmreason/tasks/README.md")


def rows() -> list[Number]:
    """The numbers that several share, then those of one setting alone."""
    from mmreason.settings import NumberSetting, settings_of
    from mmreason.training.rl.config import GRPOConfig
    from mmreason.training.supervised.config import ColdStartConfig, PretrainConfig

    configs = (GRPOConfig, PretrainConfig, ColdStartConfig)
    settings = [setting for config in configs for setting in settings_of(config).values()]
    found = [*LIMITS, *(setting.limit for setting in settings if isinstance(setting, NumberSetting))]
    return list(dict.fromkeys(found))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """List the limits; returns ``low``, ``high``, ``words`` and ``says`` by name."""
    found = rows()
    if args.readme is not None:
        from mmreason.analysis.blocks import check_readme, update_readme

        check_readme(args.readme, "limits")
        update_readme(args.readme, {"limits": table(found)})
    return {row.name: {"low": row.low, "high": row.high, "words": row.words, "says": row.says} for row in found}


def readable(result: dict[str, Any]) -> str:
    """One line a number."""
    return "\n".join(f"{name}: {row['words']}, {row['says']}" for name, row in result.items())
