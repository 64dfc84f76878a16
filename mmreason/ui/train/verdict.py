"""Success before and after on the same held-out problems, and of one arm against the other, in sentences."""

from __future__ import annotations

from typing import Any

from mmreason.analysis.statistics import Paired, overlap, paired, wilson
from mmreason.ui.runs.state import Rows, Status
from mmreason.wording import points


def verdict(status: Status) -> list[list[str]]:
    """A line an arm as ``prose`` takes it, then the arms against each other; nothing before two evaluations."""
    lines = []
    for arm, rows in status.rows.items():
        said = arm_verdict(rows, status.run.settings.eval_problems)
        if said:
            is_over = not status.is_active or status.is_done(arm)
            text = f"{arm.capitalize()}: {said}" if len(status.rows) > 1 else said[:1].upper() + said[1:]
            lines.append(["lead" if is_over else "plain", text])
    return [*lines, *(["plain", text] for text in [_arms_verdict(status)] if text)]


def arm_verdict(rows: Rows, problems: int) -> str:
    """Before and after of one arm, paired by problem; by intervals where a run has not noted its problems apart."""
    evaluated = [row for row in rows if "success" in row]
    if len(evaluated) < 2:
        return ""
    first, last = evaluated[0], evaluated[-1]
    before, after = first["success"]["mean"], last["success"]["mean"]
    rates = f"from {100 * before:.0f} % to {100 * after:.0f} % of the same {problems} held-out problems"
    where = f"by step {last['step']}"
    found = _paired(first, last)
    if found is None:
        unclear = overlap(wilson(before, problems), wilson(after, problems))
        return f"{_word(unclear, after > before)}, {rates} {where}" + ("; the intervals overlap." if unclear else ".")
    return f"{_word(not found.is_clear, found.difference > 0)}, {rates} {where}: {_said(found)}."


def _arms_verdict(status: Status) -> str:
    """Factorized against joint, where both have evaluated the same step."""
    arms = {arm: {row["step"]: row for row in rows if "success" in row} for arm, rows in status.rows.items()}
    if set(arms) != {"joint", "factorized"} or not (both := arms["joint"].keys() & arms["factorized"].keys() - {0}):
        return ""
    step = max(both)
    found = _paired(arms["joint"][step], arms["factorized"][step])
    if found is None:
        return ""
    word = "no clear difference" if not found.is_clear else "factorized is ahead" if found.gained > found.lost else (
        "joint is ahead"
    )  # fmt: skip
    return f"Factorized against joint after step {step}, on the same problems: {word}, {_said(found)}."


def _paired(first: dict[str, Any], second: dict[str, Any]) -> Paired | None:
    before, after = first.get("solved"), second.get("solved")
    if not isinstance(before, str) or not isinstance(after, str) or len(before) != len(after):
        return None
    return paired([each == "1" for each in before], [each == "1" for each in after])


def _word(is_unclear: bool, is_better: bool) -> str:
    return "no clear change" if is_unclear else "clearly better" if is_better else "clearly worse"


def _said(found: Paired) -> str:
    low, high = found.ci95
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"
    return (
        f"{found.gained} gained, {found.lost} lost, {points(found.difference)} points (95 % interval "
        f"{points(low)} to {points(high)}; {p}, exact McNemar test)"
    )
