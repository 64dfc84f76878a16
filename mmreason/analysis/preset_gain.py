"""What a preset does for held-out success, over several seeds, as ``make preset-gain`` has measured it."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmreason.errors import MMReasonError
from mmreason.training.rl.presets import PRESETS, TrainSettings

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131)


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean gain over seeds with its 95 % interval (Student's t), None with one seed."""
    gains = [row["after"] - row["before"] for row in rows]
    mean, n = statistics.fmean(gains), len(gains)
    half = None
    if n > 1:
        half = T_975[min(n - 2, len(T_975) - 1)] * statistics.stdev(gains) / math.sqrt(n)
    return {
        "before": statistics.fmean(row["before"] for row in rows),
        "after": statistics.fmean(row["after"] for row in rows),
        "gain": mean,
        "gain_ci95": None if half is None else [mean - half, mean + half],
        "clear": sum(row["clear"] for row in rows),
        "longest_seconds": max(row["seconds"] for row in rows),
        "seeds": list(rows),
    }


def read_gain(path: Path, preset: str) -> dict[str, Any] | None:
    """What ``make preset-gain`` wrote of ``preset`` as it is now set; None if it has not been measured."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        is_same = found["preset"] == preset and TrainSettings.of(found["settings"]) == PRESETS[preset]
        return found if is_same and found["seeds"] else None
    except (OSError, ValueError, KeyError, TypeError, MMReasonError):
        return None
