"""What a preset does for held-out success, over several seeds, as ``make preset-gain`` has measured it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreason.analysis.results_file import object_or_none
from mmreason.analysis.statistics import FEWEST_SEEDS, t_interval
from mmreason.errors import MMReasonError
from mmreason.training.rl.presets import PRESETS, TrainSettings


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean gain over seeds with its 95 % interval (Student's t), None below three."""
    gains = [row["after"] - row["before"] for row in rows]
    return {
        "before": statistics.fmean(row["before"] for row in rows),
        "after": statistics.fmean(row["after"] for row in rows),
        "gain": statistics.fmean(gains),
        "gain_ci95": list(t_interval(gains)) if len(gains) >= FEWEST_SEEDS else None,
        "longest_seconds": max(row["seconds"] for row in rows),
        "seeds": list(rows),
    }


def read_gain(path: Path, preset: str) -> dict[str, Any] | None:
    """What ``make preset-gain`` wrote of ``preset`` as it is now set; None if it has not been measured."""
    try:
        found = object_or_none(path) or {}
        is_same = found["preset"] == preset and TrainSettings.of(found["settings"]) == PRESETS[preset]
        return found if is_same and found["seeds"] else None
    except (ValueError, KeyError, TypeError, MMReasonError):
        return None
