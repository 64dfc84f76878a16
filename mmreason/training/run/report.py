"""A training told to a tracker as well: Trackio or Weights & Biases, each a package that is asked for by its name."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreason.errors import ConfigError
from mmreason.records import Trace

TRACKERS = {"trackio": "0.43.0", "wandb": "0.31.0"}  # the versions in requirements-trackers.txt
PROJECT = "mmreason"
COLUMNS = ("rollout", "segment", "turn", "modality", "text", "reward", "right", "solved")
TABLES = {  # told when the training ends: a row for each step that has one of them
    "rewards": ("reward", "reward_std", "rewards/text/mean", "rewards/image/mean", "success/mean"),
    "leak": ("leak_to_signal", "cosine", "sign_conflict", "idle_push", "sigma_ratio"),
}

_RESERVED = ("step", "time", "timestamp", "project", "run", "metrics")  # of Trackio


class Report:
    """Open runs of the trackers; closed when the training ends, however it ends."""

    def __init__(self, trackers: Sequence[str], run: Path, settings: Mapping[str, Any]) -> None:
        """Begin a run called as the folder ``run``; raises ConfigError for a package that is not here."""
        self._open = [tracker_of(name) for name in dict.fromkeys(trackers)]
        self._rows: list[dict[str, float]] = []
        for tracker in self._open:
            tracker.init(project=PROJECT, name=run.name, config=dict(settings))

    def row(self, row: Mapping[str, Any]) -> None:
        """A line of metrics: rewards, leak and all else that is a number."""
        numbers = dict(_numbers(row))
        if self._open:
            known = {name for columns in TABLES.values() for name in columns} & set(numbers)
            self._rows.append({"step": int(row["step"]), **{name: numbers[name] for name in known}})
        for tracker in self._open:
            tracker.log(numbers, step=int(row["step"]))

    def rollouts(self, group: Sequence[Trace], step: int) -> None:
        """Sampled rollouts of one problem, a row a segment."""
        if not self._open:
            return
        rows = []
        for g, trace in enumerate(group):
            for s, segment in enumerate(trace.segments):
                judged = segment.reward, _right(segment), trace.success
                rows.append((g + 1, s + 1, segment.turn, segment.modality, _said(segment), *judged))
        self._table("rollouts", COLUMNS, rows, step)

    def close(self) -> None:
        """Tell the tables of rewards and of leak, and end the runs."""
        for name, columns in TABLES.items():
            rows = [
                [row["step"], *(row.get(column) for column in columns)]
                for row in self._rows
                if any(column in row for column in columns)
            ]
            if rows:
                self._table(name, ("step", *columns), rows, self._rows[-1]["step"])
        for tracker in self._open:
            tracker.finish()

    def _table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int | float) -> None:
        import pandas as pd

        for tracker in self._open:
            table = tracker.Table(dataframe=pd.DataFrame(rows, columns=list(columns)))
            tracker.log({name: table}, step=int(step))


def tracker_of(name: str) -> Any:
    """The tracker's package; raises ConfigError that says what to install."""
    if name not in TRACKERS:
        raise ConfigError(f"--report_to must be one of {', '.join(TRACKERS)}, got {name[:40]!r}")
    try:
        return importlib.import_module(name)
    except ImportError:
        package = f"{name}=={TRACKERS[name]}"
        raise ConfigError(f"--report_to {name} needs the package {name}: pip install {package}") from None


def _numbers(row: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, float]]:
    """The finite numbers of ``row``, those of an object inside as ``outer/inner``."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{within}{name}/")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            continue
        elif within or name not in _RESERVED:
            yield f"{within}{name}", value


def _said(segment: Any) -> str:
    return " ".join(box.words for box in segment.boxes) if segment.kind == "edit" else segment.text


def _right(segment: Any) -> bool | None:
    return None if segment.verdict is None else bool(segment.verdict.right)
