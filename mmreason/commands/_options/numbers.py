"""Options that take a number: read, checked and described by its row of ``mmreason.limits``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from mmreason.errors import ConfigError
from mmreason.limits import Number


def add_number(
    parser: argparse.ArgumentParser,
    limit: Number,
    default: Any = None,
    *options: str,
    says: str = "",
    shown: Any = None,
    **more: Any,
) -> None:
    """The option ``--name`` of ``limit``, or ``options``; ``says`` in place of the row's own words.

    ``shown`` is what help calls the default.
    """
    shown = default if shown is None else shown
    text = f"{says or limit.says} ({limit.words}{'' if shown is None else f'; default: {shown}'})"
    parser.add_argument(*(options or [f"--{limit.name}"]), type=number(limit), default=default, help=text, **more)


def number(limit: Number) -> Callable[[str], float]:
    """What reads an option's text; its error says what would be right."""

    def read(text: str) -> float:
        try:
            return limit.check(text)
        except ConfigError as error:
            said = str(error).removeprefix(limit.name)
            raise argparse.ArgumentTypeError(said.strip()) from None

    return read
