"""What a preset does on average, in words, from the file that ``analysis.preset_gain`` has written."""

from __future__ import annotations

from typing import Any

from mmreason.analysis.preset_gain import read_gain
from mmreason.ui import runtime
from mmreason.ui.train_estimate import duration


def preset_words(preset: Any) -> str:
    """A sentence or two, and nothing where the preset as it is now was not measured over several seeds."""
    found = read_gain(runtime.ASSETS / "results" / "preset_gain.json", str(preset))
    if found is None or found["gain_ci95"] is None:
        return ""
    seeds, problems = len(found["seeds"]), found["settings"]["eval_problems"]
    low, high = (100 * bound for bound in found["gain_ci95"])
    what = "no clear change on average" if low <= 0 <= high else "better on average" if low > 0 else "worse on average"
    return (
        f"Measured over {seeds} seeds, each on the same {problems} held-out problems before and after: {what}, from "
        f"{100 * found['before']:.0f} % solved to {100 * found['after']:.0f} % ({100 * found['gain']:+.1f} points, "
        f"95 % interval {low:+.1f} to {high:+.1f}), clear by itself for {found['clear']} of {seeds}. The longest took "
        f"{duration(found['longest_seconds'])}."
    )
