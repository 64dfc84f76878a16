"""Files that a visitor takes away: the trace and its replay."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from mmreason.disk import writing
from mmreason.ui.host import temporary

_LOCK = Lock()
_KEPT: dict[str, Path] = {}  # by key, what ``kept_file`` wrote


@contextmanager
def new_place() -> Iterator[Path]:
    """An empty folder to write in what is then handed over; raises ConfigError if that fails, and nothing is left."""
    temporary.make_room()
    place = temporary.gradios_folder() / secrets.token_hex(8)
    with writing("the file"):
        try:
            place.mkdir(parents=True)
            yield place
        except OSError:
            shutil.rmtree(place, ignore_errors=True)
            raise


def kept_file(key: str, name: str, make: Callable[[Path], None]) -> Path:
    """The file called ``name`` that ``make`` wrote for ``key``; asked for again while it is there, nothing is written.

    Raises ConfigError if it cannot be written.
    """
    with _LOCK:
        for gone in [each for each, path in _KEPT.items() if not path.is_file()]:
            del _KEPT[gone]
        if key not in _KEPT:
            with new_place() as place:
                make(place / name)
            _KEPT[key] = place / name
        os.utime(_KEPT[key].parent)  # it was handed over now
        return _KEPT[key]
