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
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    words = name.split()
    for action in parser._actions:
        value = getattr(args, action.dest)
        usual = value == action.default and action.dest not in always
        if value is None or usual or action.dest in without:
            continue
        words += [action.option_strings[0]] if action.option_strings else []
        if action.nargs != 0:
            words += map(_text, value if isinstance(value, list | tuple) else [value])
    return f"python -m mmreason {shlex.join(words)}"


def _text(value: object) -> str:
    return limits.exactly(value) if isinstance(value, int | float) else str(value)
