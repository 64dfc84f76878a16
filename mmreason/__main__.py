"""The command line: ``python -m mmreason <command>``.

A wrong argument, and every error that a user can cause, is exit code 2 and one line on standard error.
With ``--json`` standard output holds one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from mmreason.commands import command_names
from mmreason.disk import finite, one_line
from mmreason.errors import MMReasonError, RewardError

USER_ERROR, INTERRUPTED = 2, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that says what would be right."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False} | kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(USER_ERROR, f"{self.prog}: {one_line(self._suggestion(message) or message)}\n")

    def unknown(self, arguments: Sequence[str]) -> NoReturn:
        """Refuse ``arguments`` that nobody asked for, with the nearest ones that exist."""
        options = [option for action in self._actions for option in action.option_strings]
        wrong = arguments[0].partition("=")[0]
        if not wrong.startswith("-"):
            self.error(f"unexpected argument {wrong!r}; see {self.prog} --help")
        close = difflib.get_close_matches(wrong, options, n=1)
        hint = f"did you mean {close[0]}?" if close else f"see {self.prog} --help"
        self.error(f"unknown option {wrong!r}; {hint}")

    def _suggestion(self, message: str) -> str:
        """argparse's messages that say what is wrong, turned into what would be right."""
        pattern = r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)"
        choice = re.fullmatch(pattern, message, re.DOTALL)
        if choice:
            names = [name.strip(" '") for name in choice[3].split(",")]
            close = difflib.get_close_matches(choice[2], names, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            return f"{choice[1]} must be one of {', '.join(names)}, got {choice[2]!r}{hint}"
        value = re.fullmatch(r"argument (\S+): invalid (int|float) value: '(.*)'", message, re.DOTALL)
        if value:
            kind = "a whole number" if value[2] == "int" else "a number"
            return f"{value[1]} must be {kind}, got {value[3]!r}"
        limit = re.fullmatch(r"argument (\S+): (must be .*)", message, re.DOTALL)
        if limit:
            return f"{limit[1]} {limit[2]}"
        missing = re.fullmatch(r"the following arguments are required: (.*)", message)
        if missing:
            if missing[1] == "command":
                return f"needs a command: one of {', '.join(command_names())}"
            return f"needs {missing[1]}; see {self.prog} --help"
        return ""


def build_parser(argv: Sequence[str]) -> tuple[Parser, dict[str, Parser]]:
    """The parser and those of its commands.

    Only the command that ``argv`` names is imported and has its arguments; all are if it names none.
    """
    parser = Parser(prog="python -m mmreason", description="Masked diffusion that solves visual puzzles.")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True, parser_class=Parser)
    names = command_names()
    chosen = argv[0] if argv and argv[0] in names else None
    parsers = {}
    for name in names:
        if chosen not in (None, name):
            parsers[name] = commands.add_parser(name)
            continue
        module = importlib.import_module(f"mmreason.commands.{name}")
        parsers[name] = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(parsers[name])
        parsers[name].add_argument("--json", action="store_true", help="print one JSON object only")
    return parser, parsers


@contextlib.contextmanager
def quiet_output() -> Iterator[None]:
    """Send whatever is printed meanwhile, by libraries and by C code too, to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def readable(result: Any, indent: int = 0) -> str:
    """``result`` as indented ``name: value`` lines."""
    lines = []
    for key, value in result.items() if isinstance(result, dict) else enumerate(result, start=1):
        if isinstance(value, dict | list) and value:
            lines += [f"{' ' * indent}{key}:", readable(value, indent + 2)]
        else:
            lines.append(f"{' ' * indent}{key}: {f'{value:.4g}' if isinstance(value, float) else value}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (argparse's own exits raise SystemExit)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        parser, parsers = build_parser(argv)
        args, extra = parser.parse_known_args(argv)
        if extra:
            parsers[args.command].unknown(extra)
        return dispatch(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def dispatch(args: argparse.Namespace) -> int:
    """Run the command of parsed ``args`` and print what it says."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' bars while they read and write weights; ours are lines
    command = importlib.import_module(f"mmreason.commands.{args.command}")
    error: MMReasonError | None = None
    try:
        with quiet_output() if args.json else contextlib.nullcontext():
            result = command.run(args)
    except MMReasonError as caught:
        error, result = caught, getattr(caught, "result", None)
    if args.json and result is not None:
        print(json.dumps(finite(result), allow_nan=False))
    elif result is not None and error is None:
        print(getattr(command, "readable", readable)(result))
    sys.stdout.flush()
    if error is not None:
        print(f"python -m mmreason {args.command}: {one_line(str(error))}", file=sys.stderr)
        if isinstance(error, RewardError) and error.__cause__ is not None:  # its author wants to see where
            traceback.print_exception(error.__cause__)
        return USER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
