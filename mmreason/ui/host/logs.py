"""Logs as one JSON object a line: what happened and how long it took, nothing of a visitor.

No address, session, puzzle, seed or text that somebody typed is ever logged; a test reads the log of hostile calls.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from types import SimpleNamespace
from typing import Any

_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """``time``, ``level``, ``logger``, ``event``, and whatever ``extra`` adds."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _KNOWN}
        if record.exc_info and record.exc_info[1] is not None:
            entry["error"] = type(record.exc_info[1]).__name__
            entry["where"] = _places(record.exc_info[1])
        return json.dumps(entry, ensure_ascii=True, default=str)


def _places(error: BaseException) -> list[str]:
    """File and line of each frame, without values."""
    places, frame = [], error.__traceback__
    while frame is not None:
        places.append(f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}")
        frame = frame.tb_next
    return places


def log_as_json(level: str) -> None:
    """Let our loggers write such lines to standard error, from ``level`` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    ours = logging.getLogger("mmreason")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(level)


def log_faults_barely() -> None:
    """From now on gradio and its server say of an error what it is and where; its text is what a visitor typed.

    Gradio would print it with that text, as of a choice that there is none of.
    """
    from gradio import queueing, routes, utils

    for module in (queueing, routes, utils):
        vars(module)["traceback"] = SimpleNamespace(**vars(traceback) | {"print_exc": _log_fault})
    logging.getLogger("uvicorn.error").addFilter(_bare)


def _log_fault(*_: Any, **__: Any) -> None:
    error = sys.exc_info()[1]
    if error is not None:
        says = {"error": type(error).__name__, "where": _places(error)}
        logging.getLogger(__name__).warning("an event failed", extra=says)


def _bare(record: logging.LogRecord) -> bool:
    """Lets every record pass, without the text of its error."""
    if record.exc_info and record.exc_info[1] is not None:
        error, record.exc_info = record.exc_info[1], None
        says = record.getMessage().strip(), type(error).__name__, ", ".join(_places(error))
        record.msg, record.args = "%s: %s at %s", says
    return True
