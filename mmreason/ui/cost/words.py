"""What the tab Cost says and the lengths of its bars: pure functions of measured or computed figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmreason.analysis.cost.results import Point, Results, Row
from mmreason.analysis.cost.workload import ARMS
from mmreason.analysis.paper import FLOPS_REDUCTION
from mmreason.analysis.statistics import difference_interval
from mmreason.wording import flops, percent, seconds, three_figures

TOLERANCE = 0.01  # success that local edits may lose and still count as level
ARM_WORDS = {
    "ar_full": "Autoregressive, full redraw",
    "ar_local": "Autoregressive, local edits",
    "diffusion_full": "Diffusion, full redraw",
    "diffusion_local": "Diffusion, local edits",
}

ATTENTION = {"blocks": "block-causal, with an exact cache", "full": "bidirectional, without a cache"}


def cheapest(results: Results) -> list[list[str]]:
    """Which arm spends least of what, as a title."""
    by_arm: dict[str, list[str]] = {}
    for key, words in (("flops", "FLOPs"), ("forward_passes", "forward passes"), ("seconds_single", "seconds")):
        best = min(ARMS, key=lambda name: getattr(results.arms[name], key))
        by_arm.setdefault(best, []).append(words)
    said = [f"{arm_words(arm)}: fewest {' and '.join(words)}" for arm, words in by_arm.items()]
    return [["title", ". ".join(said) + "."]]


def headline(results: Results) -> list[list[str]]:
    """[kind, sentence] pairs: the finding first, what it is worth, how it was made, and notes that no bar shows."""
    full, local = results.arms["ar_full"], results.arms["diffusion_local"]
    saving = results.flops_reduction
    fewer = "fewer" if saving >= 0 else "more"
    finding = (
        f"Drawing only what changes, diffusion spends {percent(abs(saving))} {fewer} FLOPs "
        f"on a rollout than redrawing every image autoregressively: {flops(local.flops)} against {flops(full.flops)}. "
        f"The paper reports {percent(FLOPS_REDUCTION)} fewer."
    )
    times = (
        f"It is {speed(results.time_ratio_single)} for a single visitor and {speed(results.time_ratio)} "
        f"in a batch of {results.batch_size}, and {success_words(results)}."
    )
    lines = [["lead", finding], ["plain", times], ["plain", families(results)], ["plain", counted_in_steps(results)]]
    lines += against_us(setbacks(results))
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items() if isinstance(value, str | int))
    lines.append(["code", results.command])
    if machine:
        mode = ATTENTION.get(results.attention, results.attention)
        lines.append(["quiet", f"Measured on: {machine}. Attention of the diffusion policy: {mode}."])
    lines += [["note", f"{name}: {note}"] for name, note in results.notes.items() if name not in ARMS]
    return lines


def against_us(found: Sequence[str]) -> list[list[str]]:
    """What goes against us as a line, or as a list where it is more than one thing."""
    if len(found) > 1:
        return [["against", "\n".join(["Caveats:", *found])]]
    return [["against", f"Caveats: {words}."] for words in found]


def setbacks(results: Results) -> list[str]:
    """What goes against local diffusion, in words."""
    found = []
    if results.flops_reduction < 0:
        found.append("local diffusion costs more FLOPs than the full redraw")
    elif results.flops_reduction < FLOPS_REDUCTION:
        found.append("the saving is smaller than the paper's")
    if results.time_ratio_single < 1:
        found.append("it is slower for a single visitor")
    if results.time_ratio < 1:
        found.append(f"it is slower in a batch of {results.batch_size}")
    if results.success_difference < -TOLERANCE:
        found.append("it solves fewer puzzles, so this is not a saving at equal success")
    return found


def arm_words(name: str) -> str:
    """An arm in words."""
    return ARM_WORDS.get(name, name)


def speed(ratio: float) -> str:
    """How fast local diffusion is, by time of the full redraw over its own."""
    return f"{ratio:.1f} times as fast" if ratio >= 1 else f"slower ({1 / ratio:.1f} times the time)"


def families(results: Results) -> str:
    """Local edits within each family, and both families with the same edits."""
    arms = results.arms
    within = {f: 1 - arms[f"{f}_local"].flops / arms[f"{f}_full"].flops for f in ("ar", "diffusion")}
    theirs, ours = arms["ar_local"], arms["diffusion_local"]
    ratio = theirs.seconds_single / ours.seconds_single
    return (
        f"Within its own family, drawing only what changes saves an autoregressive policy {percent(within['ar'])} of "
        f"its FLOPs and diffusion {percent(within['diffusion'])}. An autoregressive policy with the same edits spends "
        f"{percent(theirs.flops / ours.flops)} of diffusion's FLOPs: what diffusion buys is passes "
        f"({ours.forward_passes:.0f} against {theirs.forward_passes:.0f}) and latency "
        f"({speed(ratio)} for a single visitor)."
    )


def counted_in_steps(results: Results) -> str:
    """The saving as the authors seem to count it."""
    region, canvas = results.workload.get("region"), results.workload.get("canvas")
    if not region or not canvas:
        return "Finished rollouts leave a batch in every arm."
    return (
        "As far as the authors' public repositories show, they give a picture denoising steps in proportion to the "
        f"share of it that is drawn anew. Counted so, local edits save {percent(1 - region / canvas)} of the steps "
        f"here, where an edit draws {region:.0f} of {canvas:.0f} cells; {percent(FLOPS_REDUCTION)} would be edits of "
        f"{percent(1 - FLOPS_REDUCTION)} of the picture. Finished rollouts leave a batch in every arm."
    )


def success_words(results: Results) -> str:
    """The difference of success in points of a hundred, with its interval."""
    difference = 100 * results.success_difference
    full, local = results.arms["ar_full"], results.arms["diffusion_local"]
    bounds = difference_interval(full.success, full.ci95, local.success, local.ci95)
    low, high = (f"{abs(100 * bound):.1f} {'more' if bound > 0 else 'fewer'}" for bound in bounds)
    if abs(difference) < 0.05:
        said = "solves as many puzzles"
    else:
        said = f"solves {abs(difference):.1f} {'more' if difference > 0 else 'fewer'} puzzles in 100"
    return f"{said} ({low} to {high})"


# Bars

Metric = tuple[str, str, str]  # key of a row, what the choice is called, how a value is said
METRICS: tuple[Metric, ...] = (
    ("seconds_single", "Seconds, one visitor", "seconds"),
    ("flops", "FLOPs", "flops"),
    ("seconds", "Seconds, in a batch", "seconds"),
    ("forward_passes", "Forward passes", "passes"),
)
SAY = {
    "flops": flops,
    "seconds": seconds,
    "passes": lambda value: f"{three_figures(value)} passes",
}


def arm_bars(results: Results, here: Mapping[str, Row] | None = None, here_batch: int = 8) -> dict[str, Any]:
    """The value of the component ``bars``: the shipped arms, and next to them those measured on this machine."""
    sources = [("shipped", results.arms)] + ([("this machine", here)] if here else [])
    batch = f"The shipped seconds in a batch are those of {results.batch_size} rollouts at once"
    return _bars(
        "Four arms, per rollout",
        METRICS,
        [(who, {name: rows[name].model_dump() for name in ARMS}) for who, rows in sources],
        notes=results.notes,
        remark=f"{batch}, those of this machine of {here_batch}." if here else f"{batch}.",
    )


def bars_here(here: Mapping[str, Row], batch: int) -> dict[str, Any]:
    """Bars of this machine alone, where nothing is shipped."""
    rows = [("this machine", {name: here[name].model_dump() for name in ARMS})]
    return _bars("Four arms, per rollout", METRICS, rows, remark=f"Seconds in a batch: {batch} rollouts at once.")


def _bars(
    title: str,
    metrics: Sequence[Metric],
    sources: Sequence[tuple[str, Mapping[str, Mapping[str, Any]]]],
    notes: Mapping[str, str] | None = None,
    remark: str = "",
) -> dict[str, Any]:
    longest = {key: max(row[key] for _, rows in sources for row in rows.values()) for key, _, _ in metrics}
    arms = []
    for name in ARMS:
        lines = []
        for who, rows in sources:
            row = rows[name]
            line: dict[str, Any] = {
                "who": who if len(sources) > 1 else "",
                "value": {key: row[key] for key, _, _ in metrics},
                "share": {key: row[key] / longest[key] for key, _, _ in metrics},
                "text": {key: SAY[unit](row[key]) for key, _, unit in metrics},
            }
            if "success" in row:
                low, high = row["ci95"]
                line |= {"success": row["success"], "low": low, "high": high}
                line["says"] = f"solves {100 * row['success']:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
            lines.append(line)
        arms.append({"name": name, "words": ARM_WORDS[name], "lines": lines, "note": (notes or {}).get(name, "")})
    return {"title": title, "metrics": [[key, word] for key, word, _ in metrics], "arms": arms, "remark": remark}


def canvas_table(results: Results) -> dict[str, Any] | None:
    """Seconds of one rollout alone on larger canvases, one row a canvas and region share."""
    if not results.scaling_measured:
        return None
    rows = []
    for found in results.scaling_measured:
        side = f"{math.isqrt(found.canvas)} × {math.isqrt(found.canvas)}"
        times = [seconds(found.arms[name].seconds) for name in ARMS]
        ratio = found.arms["ar_full"].seconds / found.arms["diffusion_local"].seconds
        rows.append([side, f"{100 * found.region_share:.0f} %", *times, f"{ratio:.1f} ×"])
    return {
        "summary": "Measured on larger canvases: seconds of one rollout alone, with untrained weights of this size",
        "columns": ["cells", "redrawn", *(ARM_WORDS[name] for name in ARMS), "full AR / local diffusion"],
        "rows": rows,
    }


def frontier_table(points: Sequence[Point], results: Results) -> dict[str, Any]:
    """The frontier in words: one row a setting, and the autoregressive arms for comparison."""
    rows = [
        [arm_words(p.arm), p.setting, flops(p.flops), f"{100 * p.success:.0f} %", interval(p.ci95)] for p in points
    ]
    for name in ("ar_full", "ar_local"):
        row = results.arms[name]
        rows.append([arm_words(name), "–", flops(row.flops), f"{100 * row.success:.0f} %", interval(row.ci95)])
    columns = ["Arm", "Setting", "FLOPs a rollout", "Success", "95 % interval"]
    return {"summary": "The frontier as a table", "columns": columns, "rows": rows}


def interval(bounds: tuple[float, float]) -> str:
    """An interval of shares."""
    return f"{100 * bounds[0]:.0f} to {100 * bounds[1]:.0f} %"
