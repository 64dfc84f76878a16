"""Has it learned? Success before and after on the same held-out problems, with intervals, in a sentence."""

from __future__ import annotations

from mmreason.analysis.statistics import overlap, wilson
from mmreason.ui.runs.state import Rows, Status


def verdict(status: Status) -> list[list[str]]:
    """A line an arm as ``prose`` takes it; nothing before there are two evaluations."""
    lines = []
    for arm, rows in status.rows.items():
        said = arm_verdict(rows, status.run.settings.eval_problems)
        if said:
            is_over = not status.is_active or status.is_done(arm)
            text = f"{arm.capitalize()}: {said}" if len(status.rows) > 1 else said[:1].upper() + said[1:]
            lines.append(["lead" if is_over else "plain", text])
    return lines


def arm_verdict(rows: Rows, problems: int) -> str:
    """Before and after of one arm; "no clear change" where the 95 % intervals overlap."""
    evaluated = [row for row in rows if "success" in row]
    if len(evaluated) < 2:
        return ""
    before, after = evaluated[0]["success"]["mean"], evaluated[-1]["success"]["mean"]
    interval, new_interval = wilson(before, problems), wilson(after, problems)
    is_unclear = overlap(interval, new_interval)
    found = "no clear change" if is_unclear else "clearly better" if after > before else "clearly worse"
    return (
        f"{found}. Of the same {problems} held-out problems it solved {_share(before, *interval)} at the start and "
        f"{_share(after, *new_interval)} after step {evaluated[-1]['step']}"
        + ("; the intervals overlap." if is_unclear else ".")
    )


def _share(rate: float, low: float, high: float) -> str:
    return f"{100 * rate:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
