"""The command line: ``python -m mmreason <command>``.

A wrong argument, and every error that a user can cause, is exit code 2 and one line on standard error; a training that
a signal has ended is 128 and the signal's number.
With ``--json`` standard output holds one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import importlib
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from mmreason.commands import command_names, module_of
from mmreason.disk import finite, one_line, reason_of
from mmreason.errors import MMReasonError, RewardError, Stopped, TaskError, WriteError
from mmreason.startup import collect_seldom

USER_ERROR, INTERRUPTED = 2, 130
OUT_OF_MEMORY = "OutOfMemoryError"  # of torch, which may not have been imported


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that says what would be right."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False} | kwargs)

    def _print_message(self, message: str, file: Any = None) -> None:
        """As argparse does, but what cannot be written is no secret."""
        if message:
            (file or sys.stderr).write(message)

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
        module = importlib.import_module(module_of(name))
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
    was_open = open_streams()
    try:
        with printing():
            parser, parsers = build_parser(argv)
            args, extra = parser.parse_known_args(argv)
            if extra:
                parsers[args.command].unknown(extra)
        return dispatch(args, was_open)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left
        _print_nowhere()
        return 1
    except WriteError as error:  # of what was to be printed
        _print_nowhere()
        print(f"python -m mmreason: {one_line(str(error))}", file=sys.stderr)
        return USER_ERROR


def open_streams() -> bool:
    """Make the standard streams take any text; returns False if standard output was closed.

    They are UTF-8 whatever the console says, as ✓ is not in every encoding.  A closed one leads nowhere, else the
    next file that is opened would take its number, and what libraries print would go into that file.
    """
    was_open = sys.stdout is not None
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115  (for good)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    return was_open


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """What is printed meanwhile is written at the end; raises WriteError or BrokenPipeError if it cannot be."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(f"cannot write to standard output: {reason_of(error)}") from None


def _print_nowhere() -> None:
    """What is left to be printed is dropped, else Python would stumble over it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def dispatch(args: argparse.Namespace, is_open: bool = True) -> int:
    """Run the command of parsed ``args`` and print what it says, where standard output ``is_open``."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' bars while they read and write weights; ours are lines
    command = importlib.import_module(module_of(args.command))
    error: MMReasonError | None = None
    try:
        with quiet_output() if args.json else contextlib.nullcontext():
            result = command.run(args)
    except MMReasonError as caught:
        error, result = caught, getattr(caught, "result", None)
    except RuntimeError as caught:
        if type(caught).__name__ != OUT_OF_MEMORY:
            raise
        less = getattr(command, "LESS_MEMORY", "a smaller problem")
        error, result = MMReasonError(f"the GPU's memory is too small ({_first(caught)}): {less} needs less"), None
    text = None
    if args.json and result is not None:
        text = json.dumps(finite(result), allow_nan=False)
    elif result is not None and (error is None or isinstance(error, Stopped)):
        text = getattr(command, "readable", readable)(result)
    if text is not None:
        with printing():
            print(text)
            if not is_open:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if error is not None:
        print(f"python -m mmreason {args.command}: {one_line(str(error))}", file=sys.stderr)
        if isinstance(error, RewardError | TaskError) and error.__cause__ is not None:  # its author wants to see where
            traceback.print_exception(error.__cause__)
        return error.exit_code if isinstance(error, Stopped) else USER_ERROR
    return 0


def _first(error: Exception) -> str:
    """The first two sentences of what torch says: out of memory, and how much was asked for."""
    return one_line(". ".join(str(error).split(". ")[:2]), 160) or "CUDA out of memory"


if __name__ == "__main__":
    collect_seldom()
    sys.exit(main())
