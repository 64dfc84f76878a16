"""Files that a command will write: checked before anything is computed."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from mmreason.errors import ConfigError


def check_files(written: Mapping[str, str | None], read: Mapping[str, str | None] | None = None) -> None:
    """Refuse options whose path is no file, or one file under two options, where one would replace the other.

    ``written`` and ``read`` are paths by option, None where it was not given.  Raises ConfigError.
    """
    seen: dict[str, str] = {}
    for option, path in {**(read or {}), **written}.items():
        if path is None:
            continue
        if option in written and (not path or os.path.isdir(path)):
            got = f"the directory {path!r}" if path else "nothing"
            raise ConfigError(f"{option} must be the path of a file to write, got {got}")
        place = os.path.realpath(path)
        if place in seen and not _is_special(path):
            raise ConfigError(f"{option} must be another file than {seen[place]}, got {path!r} for both")
        seen[place] = option


def page_of(given: str | None, usual: str, *, is_usual: bool) -> str | None:
    """The page whose table follows from a result: as ``given``, else the ``usual`` one of a result that is, too."""
    return usual if given is None and is_usual else given


def _is_special(path: str) -> bool:
    """A device or a pipe, which takes what two have to say."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode)
