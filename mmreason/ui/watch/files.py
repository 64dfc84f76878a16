"""What a visitor takes away of a run: the trace or its replay, written when it is asked for."""

from __future__ import annotations

from typing import Any

from mmreason.disk import write_json
from mmreason.errors import ConfigError
from mmreason.traces.replay import write_gif
from mmreason.traces.versions.ours import two_of
from mmreason.ui.host.files import new_place
from mmreason.ui.solve.solving import Finished

KINDS = {"trace": "json", "gif": "gif"}


def write_file(finished: Finished, kind: Any, host: str = "") -> str:
    """Path of the trace as JSON, or of its replay as GIF, which names the page's ``host``; raises ConfigError."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(f"kind of file must be one of {', '.join(KINDS)}, got {str(kind)[:20]!r}")
    problem = finished.data["problem"]
    name = "-".join(str(part) for part in ("mmreason", problem["task"], problem["seed"]) if part is not None)
    with new_place() as place:
        path = place / f"{name}.{KINDS[kind]}"
        if kind == "trace":
            write_json(path, two_of([finished.data]))
        else:
            write_gif(finished.data, finished.sheet, path, host)
    return str(path)
