"""What the tab Train shows of one run: plain values, and None for whatever has not changed since it was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmreason.training.run.remaining import last_step
from mmreason.ui.runs.state import ACTIVE, Rows, Status, status_of
from mmreason.ui.runs.store import EXAMPLE, find
from mmreason.ui.train.curves import figures, lines_of
from mmreason.ui.train.held_out import held_out_key, held_out_value
from mmreason.ui.train.verdict import verdict
from mmreason.ui.train.words import command_line, going_words, head, label, notes

MAX_EARLIER = 4
STAND_IN = "The example’s curves, until this run has its first point."

Seen = dict[str, Any]  # what the parts of the tab show, by name


@dataclass(frozen=True, slots=True)
class RunView:
    """Values of the parts; ``changed`` names those that differ from what was seen."""

    seen: Seen
    is_here: bool
    is_mine: bool = False
    state: str = ""
    changed: frozenset[str] = frozenset()
    head: dict[str, Any] | None = None
    going: str = ""  # what the button says that stops it
    figures: dict[str, Any] | None = None  # of the component ``chart``
    verdict: Sequence[list[str]] = ()
    held_out: dict[str, Any] | None = None
    command: str = ""
    has_rows: bool = False
    has_checkpoint: bool = False
    is_public: bool = False  # its checkpoints are adapters, which are not compared on one puzzle

    @property
    def is_active(self) -> bool:
        """Is there more to come?"""
        return self.state in ACTIVE


def look(run_id: Any, token: Any, earlier: Any, smoothing: Any, seen: Seen | None) -> RunView:
    """The run called ``run_id`` as it is now, against what is ``seen``."""
    run, seen = find(run_id), seen or {}
    if run is None:
        return RunView({}, is_here=False)
    status = status_of(run)
    if seen.get("run") != run.id or not status.is_active:
        seen = {}  # what has ended is told whole: of two looks that crossed, the older may have reached the page last
    others = [status_of(other) for name in (earlier or [])[:MAX_EARLIER] if name != run.id and (other := find(name))]
    lines = [(each, arm) for each in (status, *others) for arm in each.run.settings.arms]
    smoothing = min(0.98, max(0.0, float(smoothing or 0)))
    shown = Seen(
        run=run.id,
        figures=[smoothing, *(f"{s.run.id}{arm}{len(s.rows[arm])} {last_step(s.rows[arm])}" for s, arm in lines)],
        held_out=held_out_key(run),
        state=[status.state, *status.saved.values()],
    )
    changed = frozenset(name for name, value in shown.items() if seen.get(name) != value)
    return RunView(
        shown,
        is_here=True,
        is_mine=run.is_of(token),
        state=status.state,
        changed=changed,
        head=head(status),
        going=going_words(status) if status.is_active else "",
        figures=_figures(status, lines, smoothing) if "figures" in changed else None,
        verdict=[*verdict(status), *notes(status)] if changed else (),
        held_out=held_out_value(run) if "held_out" in changed else None,
        command=command_line(run) if "run" in changed else "",
        has_rows=any(status.rows.values()),
        has_checkpoint=bool(status.checkpoints),
        is_public=run.settings.lora_rank > 0,
    )


def _figures(status: Status, lines: Sequence[tuple[Status, str]], smoothing: float) -> dict[str, Any]:
    """The run's figures; before its first point those of the example, dimmed."""
    example = find(EXAMPLE)
    if status.is_active and not any(status.rows.values()) and example is not None:
        other = status_of(example)
        return _drawn(other, [(other, arm) for arm in other.rows], smoothing) | {"dimmed": True, "note": STAND_IN}
    return _drawn(status, lines, smoothing)


def _drawn(status: Status, lines: Sequence[tuple[Status, str]], smoothing: float) -> dict[str, Any]:
    named: list[tuple[str, str, Rows, int]] = []
    for other, arm in lines:
        is_own = other.run.id == status.run.id
        name = (
            arm if is_own and len(status.rows) > 1 else "" if is_own else f"{label(other.run).split(' · ')[0]} {arm}"
        )
        named.append((name, arm, other.rows[arm], other.run.settings.eval_problems))
    count = len(status.rows)
    steps = max(other.run.settings.steps for other, _ in lines)
    return {"charts": figures(lines_of(named[:count], named[count:]), steps, smoothing)}
