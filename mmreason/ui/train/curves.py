"""The figures of a training: words indigo, pictures amber, and each arm with its own colour, dash and mark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from mmreason.analysis.statistics import wilson
from mmreason.training.rl.metrics import PANELS, Panel
from mmreason.ui.runs.state import Rows
from mmreason.ui.shell.figure import ARM_LOOKS, PICTURES, QUIET, WORDS, Data, Point, around, axis, chart, line

EARLIER = (("dot", "cross"), ("dashdot", "diamond"), ("dash", "triangle-open"), ("dot", "square"))  # dash and mark
MODALITIES = (("words", "text", WORDS), ("pictures", "image", PICTURES))
MANY = 60  # points of a line that are too many to mark each

Value = Callable[[dict[str, Any]], float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One arm of one run."""

    name: str
    rows: Rows
    eval_problems: int
    colour: str
    dash: str
    mark: str


def lines_of(arms: Sequence[tuple[str, str, Rows, int]], earlier: Sequence[tuple[str, str, Rows, int]]) -> list[Line]:
    """Names, arms, rows and held-out problems as lines, none like another."""
    looks = [(ARM_LOOKS[arm]["colour"], ARM_LOOKS[arm]["dash"], ARM_LOOKS[arm]["mark"]) for _, arm, *_ in arms]
    looks += [(QUIET, *style) for _, style in zip(earlier, cycle(EARLIER), strict=False)]
    return [
        Line(name, rows, count, *look) for (name, _, rows, count), look in zip([*arms, *earlier], looks, strict=True)
    ]


def smoothed(values: Sequence[float], smoothing: float) -> list[float]:
    """An exponential mean without the bias of its start; 0 leaves the values as they are."""
    found, mean, weight = [], 0.0, 0.0
    for value in values:
        mean = smoothing * mean + (1 - smoothing) * value
        weight = smoothing * weight + (1 - smoothing)
        found.append(mean / weight)
    return found


def figures(lines: Sequence[Line], steps: int, smoothing: float) -> list[Data]:
    """Held-out success, reward, and the panels of the update and of interference that there is something of."""
    rows = [row for each in lines for row in each.rows]
    shown = [
        panel
        for panel in (*PANELS, *own_panels(rows))
        if any(row.get(key) or (panel.zeros and key in row) for row in rows for _, key, _ in _series(panel))
    ]
    return [
        _success(lines, steps),
        _reward(lines, steps, smoothing),
        *(_panel(panel, lines, steps, smoothing) for panel in shown),
    ]


def own_panels(rows: Rows) -> list[Panel]:
    """A panel for each reward that the user added, by its name."""
    names = dict.fromkeys(key.split("/")[1] for row in rows for key in row if key.startswith("rewards/"))
    mine = [name for name in names if name not in ("text", "image")]
    return [Panel(f"Own reward: {name}", f"rewards/{name}/mean") for name in mine]


def _across(steps: int) -> Data:
    return axis("step", 0, max(1, steps))


def _success(lines: Sequence[Line], steps: int) -> Data:
    """With the 95 % interval of each evaluation."""
    drawn, bounds = [], []
    for each in lines:
        points: list[Point] = []
        for row in each.rows:
            if "success" in row:
                rate = row["success"]["mean"]
                low, high = wilson(rate, each.eval_problems)
                bounds += [100 * low, 100 * high]
                says = f"step {row['step']}: {100 * rate:.1f} % ({100 * low:.0f} to {100 * high:.0f})"
                points.append((row["step"], 100 * rate, 100 * low, 100 * high, says))
        drawn.append(line(each.name, points, colour=each.colour, dash=each.dash, mark=each.mark, size=5))
    low, high = around(bounds)
    y = axis("solved, with 95 % intervals", max(0, low), min(100, high), unit=" %")
    title = "Solved of the held-out problems"
    return chart("held-out-success", title, _across(steps), y, drawn, ("step", "solved %"), **_two(lines))


def _two(lines: Sequence[Line]) -> dict[str, Any]:
    return {"span": "half", "labels": "below" if len(lines) > 1 else "none"}


def _reward(lines: Sequence[Line], steps: int, smoothing: float) -> Data:
    drawn = []
    for each in lines:
        for name, key, colour in MODALITIES:
            drawn += _curve(each, name, lambda row, key=key: row.get(f"rewards/{key}/mean"), colour, smoothing)
    low, high = around(point[1] for each in drawn for point in each["points"])
    y = axis("mean reward of a rollout", max(0, low), min(1.04, high))
    more = {"span": "half", "labels": "below"}
    return chart("reward-by-modality", "Reward by modality", _across(steps), y, drawn, ("step", "reward"), **more)


def _panel(panel: Panel, lines: Sequence[Line], steps: int, smoothing: float) -> Data:
    """One quantity that the trainer logs."""
    factor = 100.0 if panel.title.endswith("%") else 1.0
    drawn = []
    for each in lines:
        for name, key, colour in _series(panel):

            def value(row: dict[str, Any], key: str = key) -> float | None:
                found = row.get(key)
                return None if found is None else factor * found

            amount = smoothing if panel.smooth else 0.0
            drawn += _curve(each, name, value, colour or each.colour, amount)
    _, high = around(point[1] for each in drawn for point in each["points"])
    y = axis("", 0, high if high > 1e-6 else 1.0, unit=" %" if factor == 100 else "")
    title, file = panel.title.removesuffix(", %"), panel.name.replace("_", "-").replace("/", "-")
    more = {"span": "third", "labels": "below" if len(drawn) > 1 else "none", "height": 220}
    return chart(file, title, _across(steps), y, drawn, ("step", panel.title), **more)


def _series(panel: Panel) -> Iterable[tuple[str, str, str]]:
    """Name, metric and colour of a panel's curves; no colour: the arm's."""
    if not panel.by_modality:
        return [("", panel.name, "")]
    return [(name, f"{panel.name}/{key}", colour) for name, key, colour in MODALITIES]


def _curve(each: Line, name: str, value: Value, colour: str, smoothing: float) -> list[Data]:
    """A curve; smoothed, its points stay as faint marks."""
    points = [(row["step"], found) for row in each.rows if (found := value(row)) is not None]
    shown = " ".join(part for part in (each.name, name) if part)
    steps, raw = [step for step, _ in points], [found for _, found in points]
    look = {"colour": colour, "dash": each.dash, "mark": each.mark}
    means = [
        (step, mean, None, None, f"step {step}: {mean:.3g}")
        for step, mean in zip(steps, smoothed(raw, smoothing), strict=True)
    ]
    curve = line(shown, means, **look | ({"size": 3} if len(points) <= MANY else {"mark": ""}))
    if not smoothing:
        return [curve]
    faint = line(f"{shown}, not smoothed".lstrip(", "), points, **look, weight=0, size=2, faint=True, unnamed=True)
    return [faint, curve]
