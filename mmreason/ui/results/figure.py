"""The figures of the tab Results: what each arm solves, curves, interference and gain, and the map of settings."""

from __future__ import annotations

from collections.abc import Sequence

from mmreason.analysis.comparison.protocol import HEADLINE_NAME
from mmreason.analysis.comparison.relation import PREDICTORS
from mmreason.analysis.comparison.results import Comparison, Estimate, Map, Relation
from mmreason.analysis.comparison.setups import SETUPS
from mmreason.analysis.comparison.tables import readings_of
from mmreason.analysis.statistics import FEWEST_SEEDS
from mmreason.ui.results.words import redraws
from mmreason.ui.shell.figure import ARM_LOOKS, PICTURES, QUIET, WORDS, Data, around, axis, chart, line
from mmreason.wording import change, percent, points, signed

METRICS = {"success": "solved", "text_reward": "text reward", "image_reward": "image reward"}
AXES = {"step": "step", "flops": "FLOPs of training and rollouts"}
ROW = 44  # px of a row
RULE_ROOM = 1.2  # rows above the first one's middle, where rules say what they are


def forest(found: Comparison | None) -> Data | None:
    """Base, joint and factorized with their intervals, and where the paper's gains would put them; in points."""
    if found is None:
        return None
    base, joint, factorized = found.base, found.joint, found.factorized
    over_base = _at(base.mean * (1 + found.paper["gain_over_base"]))
    over_joint = _at(joint.mean * (1 + found.paper["gain_over_joint"]))
    rows = [
        ("base", "base", base, f"{100 * base.mean:.1f}"),
        ("joint", "joint", joint, _gained(joint, base.mean, "base")),
        ("factorized", "factorized", factorized, _gained(factorized, joint.mean, "joint")),
        ("the paper’s gain over base", "", over_base, _gained(over_base, base.mean, "base")),
        ("the paper’s gain over joint", "", over_joint, _gained(over_joint, joint.mean, "joint")),
    ]
    lines, ticks = [], []
    for i, (name, arm, value, says) in enumerate(rows):
        place = len(rows) - i
        low, high = value.ci95
        bounds = (100 * low, 100 * high) if arm else (None, None)
        look = ARM_LOOKS[arm] if arm else {"colour": QUIET, "mark": "triangle-open"}
        lines.append(line(name, [(100 * value.mean, place, *bounds, f"{name}: {says}")], **look, size=6, weight=0))
        ticks.append((place, f"{name}: {says}"))
    low, high = around([100 * bound for _, _, value, _ in rows for bound in (*value.ci95, value.mean)], 5)
    return chart(
        "base-joint-factorized",
        "What training on rewards brings, and what rewarding words and pictures apart adds",
        axis("solved of 100 held-out puzzles, with 95 % intervals", max(0, low), min(100, high)),
        axis("", 0.4, len(rows) + 0.6, ticks=ticks),
        lines,
        ("solved of 100", "arm"),
        across=True,
        labels="none",
        height=56 + ROW * len(rows),
        says=f"{_puzzles_words(found)} "
        "The hollow triangles are the paper’s relative gains applied to our base and to our joint arm.",
    )


def _puzzles_words(found: Comparison) -> str:
    """Of what the shares are: which puzzles, and how edits are drawn."""
    puzzles = f"{' and '.join(found.difficulty)} puzzles ({', '.join(found.protocol['tasks'])})".capitalize()
    return f"{puzzles}; every edit {redraws(found.protocol)}."


def _at(mean: float) -> Estimate:
    return Estimate(mean=mean, ci95=(mean, mean))


def _gained(value: Estimate, start: float, over: str) -> str:
    """``44.6, +1.2 over joint (+2.7 %)``."""
    relative = change(value.mean / start - 1) if start else "–"
    return f"{100 * value.mean:.1f}, {points(value.mean - start)} over {over} ({relative})"


def comparison_chart(
    found: Comparison | None, metric: str = "success", over: str = "step", task: str | None = None
) -> Data | None:
    """Curves of one metric over steps or FLOPs, of all tasks or one: every seed thin, the mean with its interval."""
    if found is None:
        return None
    curves = found.curves if task is None else found.task_curves[task]
    factor = 100 if metric == "success" else 1
    lines = []
    for arm in ("joint", "factorized"):
        look = ARM_LOOKS[arm]
        for curve in curves[arm].seeds:
            drawn = [(getattr(p, over), factor * getattr(p, metric)) for p in curve.points if _has(p, metric)]
            thin = {"colour": look["colour"], "dash": look["dash"], "weight": 1, "faint": True, "unnamed": True}
            lines.append(line(f"{arm}, seed {curve.seed}", drawn, **thin))
        mean = []
        for p in (p for p in curves[arm].mean if _has(p, metric)):
            value, (low, high) = getattr(p, metric), getattr(p, f"{metric}_ci95")
            says = f"{arm}, mean at step {p.step}: {factor * value:.3g} ({factor * low:.3g} to {factor * high:.3g})"
            mean.append((getattr(p, over), factor * value, factor * low, factor * high, says))
        lines.append(line(f"{arm}, mean", mean, **look, size=5, weight=3))
    spread = [bound for each in lines for point in each["points"] for bound in (point[1], *point[2:4])]
    along = [point[0] for each in lines for point in each["points"]]
    low, high = around(spread)
    return chart(
        f"held-out-{metric.replace('_', '-')}" + (f"-{task}" if task else ""),
        f"Held-out {'success' if metric == 'success' else METRICS[metric]} while training",
        axis(AXES[over], 0, max([1, *along])),
        axis(METRICS[metric], low, high, unit=" %" if metric == "success" else ""),
        lines,
        (AXES[over], METRICS[metric]),
        labels="ends",
        height=380,
        says=_problems_words(found),
    )


def _problems_words(found: Comparison) -> str:
    """Which problems the curves are of: not all of those that the figures above are of."""
    at_points, at_end = found.protocol.get("problems_at_points"), found.protocol.get("problems_at_end")
    if not at_points or at_points == at_end:
        return "Every seed thin, the mean thick, with 95 % intervals."
    return (
        f"Every seed thin, the mean thick, with 95 % intervals, on {at_points} problems a task; the final "
        f"figures above are of all {at_end}, so that the last point differs a little from them."
    )


def _has(point: object, metric: str) -> bool:
    return getattr(point, metric) is not None


MARKS = ("circle", "square", "diamond", "triangle", "wedge", "bar", "post", "plus")
COLOURS = (QUIET, WORDS, PICTURES)


def _group_look(i: int) -> Data:
    """Of the i-th comparison: of the first sixteen each has a mark of its own, whatever its colour."""
    hollow = i // len(MARKS) % 2
    return {"colour": COLOURS[i % len(COLOURS)], "mark": MARKS[i % len(MARKS)] + "-open" * hollow}


def gains_chart(found: Comparison | None) -> Data | None:
    """What factorizing gained over joint in every comparison and reading of it, in %, beside the paper's."""
    if found is None:
        return None
    first, enough = found.gain_over_joint, len(found.paired_seeds) >= FEWEST_SEEDS
    rows = [(f"{HEADLINE_NAME}, by {found.granularity}", first.mean, first.ci95)] * enough
    named = []
    for name, row in found.setups.items():
        known = {words: row[key] for key, words in readings_of(row).items() if row[key]["ci95"]}
        rows += [(f"set-up {name}, {words}", one["mean"], one["ci95"]) for words, one in known.items()]
        named += [f"{name}: {SETUPS[name].says}"] * bool(known)
    if not rows:
        return None
    drawn, ticks = _upwards(rows, "%")
    paper = 100 * found.paper["gain_over_joint"]
    low, high = around([0, paper, *(bound for point in drawn for bound in point[2:4])])
    return chart(
        "gains-over-joint",
        "What factorizing gained over joint rewards, in every comparison",
        axis("gain over joint, %, with 95 % intervals", low, high),
        axis("", 0.4, len(rows) + RULE_ROOM, ticks=ticks),
        [line("gain over joint, %", drawn, **ARM_LOOKS["factorized"], size=6, weight=0)],
        ("gain over joint, %", "comparison"),
        across=True,
        labels="none",
        rules=[
            {"axis": "x", "at": 0, "says": "no difference"},
            {"axis": "x", "at": paper, "says": f"the paper {change(paper / 100)}"},
        ],
        height=88 + 30 * len(rows),
        says="; ".join([*named, "each fixed before its first test. "] if named else [])
        + "Within a row only the assignment differs, and with it the spread that an advantage is divided by, unless "
        "the row names two granularities, or says that both are as theirs or each has its own denominator: then the "
        "loss is divided differently, too.",
    )


def _upwards(
    rows: Sequence[tuple[str, float, Sequence[float]]], unit: str
) -> tuple[list[tuple[float, int, float, float, str]], list[tuple[int, str]]]:
    """Points of rows (name, mean, interval), the first one at the top, and the ticks that name them."""
    drawn, ticks = [], []
    for i, (name, mean, (low, high)) in enumerate(reversed(rows), start=1):
        says = f"{name}: {points(mean)} {unit} ({points(low)} to {points(high)})"
        drawn.append((100 * mean, i, 100 * low, 100 * high, says))
        ticks.append((i, f"{name}: {points(mean)}"))
    return drawn, ticks


def relation_chart(found: Comparison | None) -> Data | None:
    """What factorizing gained in each task, in points, over leak to signal at the start."""
    if found is None or found.relation is None:
        return None
    drawn: dict[str, list[tuple[float, float, float, float, str, str]]] = {}
    for point in found.relation.points:
        leak, gained = point.leak_to_signal, point.gain
        if leak is None or gained is None or gained.ci95 is None:
            continue
        mean, low, high = (100 * value for value in (gained.mean, *gained.ci95))
        gains = f"{points(gained.mean)} points ({points(gained.ci95[0])} to {points(gained.ci95[1])})"
        says = f"{point.task}, {point.comparison}: {gains} at leak {leak:.2f}"
        drawn.setdefault(point.comparison, []).append((leak, mean, low, high, says, point.task))
    if not drawn:
        return None
    lines = [
        line(name, [row[:5] for row in rows], **_group_look(i), size=6, weight=0, tags=[row[5] for row in rows])
        for i, (name, rows) in enumerate(drawn.items())
    ]
    everything = [row for rows in drawn.values() for row in rows]
    low, high = around([0, *(bound for row in everything for bound in row[2:4])])
    return chart(
        "interference-and-gain",
        "Does interference at the start predict what factorizing gains?",
        axis("leak to signal at the start", 0, around([row[0] for row in everything])[1]),
        axis("factorized less joint, points of 100 puzzles", low, high),
        lines,
        ("leak to signal", "factorized less joint"),
        rules=[{"axis": "y", "at": 0, "says": "no difference"}],
        height=440,
        says=_relation_words(found.relation),
    )


def _relation_words(found: Relation) -> str:
    """What a dot is, and what the correlations say."""
    said = [
        f"with {PREDICTORS[name]} {signed(row.spearman)}"
        + ("" if row.within is None else f" ({signed(row.within)} within comparisons)")
        for name, row in found.correlations.items()
        if row is not None
    ]
    ranked = f"The gain’s rank correlation {', '.join(said)}" if said else "There are too few for a correlation yet"
    spread = found.spread
    if spread is not None and spread.sd <= spread.standard_error:
        ranked += "; but the gains lie no further apart than their own errors, so there is nothing to predict yet"
    elif spread is not None:
        ranked += f"; {percent((spread.standard_error / spread.sd) ** 2)} of the gains’ variance is their own error"
    return (
        "A dot is one task of one comparison, with its 95 % interval over seeds; it is named where there is room. "
        "Above the line factorizing gained. "
        "Leak to signal: how hard the other modality’s reward pushes a token, against its own. "
        f"{ranked}. Tasks of one comparison share their runs: hints, no findings."
    )


def map_chart(found: Map | None) -> Data | None:
    """Factorized less joint at each setting, in points."""
    if found is None:
        return None
    places = found.places
    drawn, ticks = _upwards([(place.place, place.difference, place.ci95) for place in places], "points")
    low, high = around([0, *(bound for point in drawn for bound in point[2:4])])
    return chart(
        "map-of-settings",
        "Where factorized rewards may help: short runs around the comparison’s settings, inconclusive",
        axis("factorized less joint, points of 100 puzzles", low, high),
        axis("", 0.4, len(places) + RULE_ROOM, ticks=ticks),
        [line("factorized less joint", drawn, colour=QUIET, mark="circle", weight=0)],
        ("factorized less joint", "setting"),
        across=True,
        labels="none",
        rules=[{"axis": "x", "at": 0, "says": "no difference"}],
        height=64 + 26 * len(places),
        says="A dot is one pair of short runs, of one seed, with its 95 % interval over problems. They ran under the "
        "rule of the first comparison, which has been removed since: hints where to look, no findings.",
    )
