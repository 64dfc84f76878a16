"""The frontier: success against FLOPs, each arm with its own colour, mark and line."""

from __future__ import annotations

from mmreason.analysis.cost.results import Results
from mmreason.ui.cost.words import arm_words
from mmreason.ui.shell.figure import QUIET, Data, axis, chart, line
from mmreason.wording import flops

LOOKS: dict[str, Data] = {
    "ar_full": {"colour": QUIET, "mark": "cross", "size": 5},
    "ar_local": {"colour": QUIET, "mark": "diamond-open", "size": 5},
    "diffusion_full": {"colour": "text", "mark": "square-open"},
    "diffusion_local": {"colour": "accent", "mark": "circle"},
}
LEAST = 60  # per cent of puzzles at which the axis begins, where nothing lies below


def frontier_chart(results: Results | None) -> Data | None:
    """Curves by steps (solid) and by threshold (dashed), the autoregressive arms as single marks."""
    if results is None or not results.frontier:
        return None
    lines = []
    for arm in ("diffusion_full", "diffusion_local"):
        for kind, dash in (("steps", "solid"), ("threshold", "dot")):
            points = [p for p in results.frontier if p.arm == arm and (p.threshold is None) == (kind == "steps")]
            if points:
                ordered = sorted(points, key=lambda point: point.flops)
                drawn = [_point(arm, p.setting, p.flops, p.success, p.ci95) for p in ordered]
                lines.append(line(f"{arm_words(arm)}, by {kind}", drawn, dash=dash, **LOOKS[arm]))
    for arm in ("ar_full", "ar_local"):
        row = results.arms[arm]
        lines.append(line(arm_words(arm), [_point(arm, "", row.flops, row.success, row.ci95)], **LOOKS[arm], weight=0))
    points = [point for each in lines for point in each["points"]]
    low, high = min(point[0] for point in points) / 1.3, max(point[0] for point in points) * 1.3
    least = min(LEAST, *(10 * (point[2] // 10) for point in points))
    return chart(
        "frontier",
        "The frontier: success against FLOPs",
        axis("FLOPs a rollout", low, high, log=True),
        axis("solved, with 95 % intervals", least, 100, unit=" %"),
        lines,
        ("FLOPs a rollout", "solved %"),
        says="More sampling steps (solid), or a higher threshold (dotted): further left and further up is better.",
        labels="ends",
        height=400,
    )


def _point(arm: str, setting: str, spent: float, success: float, ci95: tuple[float, float]) -> tuple[object, ...]:
    low, high = (100 * bound for bound in ci95)
    name = ", ".join(part for part in (arm_words(arm), setting) if part)
    return spent, 100 * success, low, high, f"{name}: {flops(spent)}, {100 * success:.0f} % ({low:.0f} to {high:.0f})"
