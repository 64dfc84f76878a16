"""Logs as one JSON object a line: what happened and how long it took, nothing of a visitor.

No address, session, puzzle, seed or text that somebody typed is ever logged; a test reads the log of hostile calls.
"""

from __future__ import annotations

import json
import logging
import sys
import time
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
