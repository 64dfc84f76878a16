"""The command line that does the same again, as results files note it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Collection

from mmreason import limits


def again(
    name: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    args: argparse.Namespace,
    *always: str,
    without: Collection[str] = (),
) -> str:
    """Command ``name`` with ``args``: options ``always``, and of the others those that are not as by default.

    Never those ``without`` which it does the same.
    """
    said = changed(add_arguments, args, *always)
    words = [word for option, words in said.items() if option not in without for word in words]
    return f"python -m mmreason {shlex.join([*name.split(), *words])}"


def changed(
    add_arguments: Callable[[argparse.ArgumentParser], None], args: argparse.Namespace, *always: str
) -> dict[str, list[str]]:
    """The words of options ``always``, and of the others that are not as by default, by their names."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    found = {}
    for action in parser._actions:
        value = getattr(args, action.dest)
        if value is None or (value == action.default and action.dest not in always):
            continue
        values = [] if action.nargs == 0 else value if isinstance(value, list | tuple) else [value]
        found[action.dest] = [*action.option_strings[:1], *map(_text, values)]
    return found


def _text(value: object) -> str:
    return limits.exactly(value) if isinstance(value, int | float) else str(value)
