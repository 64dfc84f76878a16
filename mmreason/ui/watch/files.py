"""What a visitor takes away of a run: the trace and its replay."""

from __future__ import annotations

from mmreason.disk import write_json
from mmreason.traces.replay import write_gif
from mmreason.traces.versions.ours import two_of
from mmreason.ui.host.files import new_place
from mmreason.ui.solve.solving import Finished


def write_files(finished: Finished, host: str = "") -> tuple[str, str]:
    """Paths of the trace as JSON and of its replay as GIF, which names the page's ``host``; raises ConfigError."""
    problem = finished.data["problem"]
    name = "-".join(str(part) for part in ("mmreason", problem["task"], problem["seed"]) if part is not None)
    with new_place() as place:
        trace, replay = place / f"{name}.json", place / f"{name}.gif"
        write_json(trace, two_of([finished.data]))
        write_gif(finished.data, finished.sheet, replay, host)
    return str(trace), str(replay)
