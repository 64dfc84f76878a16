"""Does the interference that is measured at a start predict what factorizing gains from there?

A point is one task of two arms that differ in the assignment alone.  Its prediction is measured before anything is
trained, its gain over seeds afterwards.  Tasks of one comparison share their runs, so that points are not
independent, and the rank correlations over them have neither p-value nor interval.  How far the gains lie apart
stands beside their own standard error: where it is no more, there is nothing to predict.  Comparisons differ in much
else, so that each correlation stands within them, too.

Axes: P points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mmreason.analysis.comparison.gains import over_seeds
from mmreason.analysis.comparison.protocol import HEADLINE_NAME
from mmreason.analysis.statistics import FEWEST_SEEDS, rank_correlation

PREDICTORS = {  # what is ranked against the gain
    "leak_to_signal": "leak to signal",
    "sign_conflict": "sign conflict",
    "idle_push": "idle push",
    "snr_ratio": "signal-to-noise, factorized to joint",
    "progress": "progress of a step, factorized less joint",
}
BESIDE = {"snr_joint": "signal-to-noise, joint", "sigma_ratio": "σ of joint to own"}
"""What stands beside them: whether the gradients are more than noise, and how differently the arms scale a reward."""
FEWEST_POINTS = 5  # for a correlation


def relation(result: Mapping[str, Any]) -> dict[str, Any]:
    """Every point of ``reproduce.json``, its gain null while runs are missing; and each predictor's correlation."""
    points = [*_of_headline(result), *_of_setups(result.get("setups", {}))]
    known = [point for point in points if point["gain"] is not None and len(point["gain"]["seeds"]) >= FEWEST_SEEDS]
    correlations = {name: _correlation(known, name) for name in PREDICTORS}
    return {"points": points, "correlations": correlations, "spread": _spread(known)}


def _spread(points: list[dict[str, Any]]) -> dict[str, float] | None:
    """How far the gains of ``points`` lie apart (``sd``), and their standard error over seeds, root mean square."""
    if len(points) < FEWEST_POINTS:
        return None
    seeds = [np.array(point["gain"]["seeds"]) for point in points]
    errors_P = [float(gains_S.std(ddof=1) / np.sqrt(len(gains_S))) for gains_S in seeds]
    sd = float(np.std([point["gain"]["mean"] for point in points], ddof=1))
    return {"sd": sd, "standard_error": float(np.sqrt(np.mean(np.square(errors_P))))}


def _of_headline(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The points of the comparison that is no set-up."""
    for key, by_task in result.get("interference", {}).items():
        own = key == f"joint_{result['granularity']}"
        for task, predicted in by_task.items():
            row = result["by_task"][task]
            yield _point(HEADLINE_NAME, key, task, predicted, (row["joint"], row["factorized"]) if own else None)


def _of_setups(setups: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, row in setups.items():
        for key, by_task in (row["interference"] or {}).items():
            for task, predicted in by_task.items():
                arms = [row["by_task"][task].get(arm) for arm in (key, key.replace("joint", "factorized"))]
                seeds = (arms[0]["seeds"], arms[1]["seeds"]) if arms[0] and arms[1] else None
                yield _point(f"set-up {name}", key, task, predicted, seeds)


def _point(
    comparison: str, arm: str, task: str, predicted: Mapping[str, Any], seeds: tuple[list[float], list[float]] | None
) -> dict[str, Any]:
    """``seeds``: what joint and factorized solve, seed by seed; the gain is the difference of the two."""
    joint, factorized = predicted["snr_joint"], predicted["snr_factorized"]
    pooled = ", one mean over all tokens" if "pooled" in arm else ""
    found = {"comparison": f"{comparison}, by {arm.rpartition('_')[2]}{pooled}", "task": task}
    found |= {name: predicted.get(name) for name in (*PREDICTORS, *BESIDE)}
    found["snr_ratio"] = factorized / joint if joint and factorized else None
    joint, factorized = (predicted.get(f"progress_{name}") for name in ("joint", "factorized"))  # not of older files
    found["progress"] = None if joint is None or factorized is None else factorized - joint
    if seeds is None:
        return found | {"gain": None}
    return found | {"gain": over_seeds([b - a for a, b in zip(*seeds, strict=True)])}


def _correlation(points: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Spearman's, over all and ``within`` comparisons; None of too few points."""
    used = [point for point in points if point[name] is not None]
    if len(used) < FEWEST_POINTS:
        return None
    predicted_P, gains_P = [point[name] for point in used], [point["gain"]["mean"] for point in used]
    within = rank_correlation(predicted_P, gains_P, [point["comparison"] for point in used])
    return {"spearman": rank_correlation(predicted_P, gains_P), "within": within, "points": len(used)}
