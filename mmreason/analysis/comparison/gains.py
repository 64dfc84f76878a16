"""A set-up's arms and gains over seeds, each arm only when all its registered runs are there.

Every seed has test problems of its own, which its arms share, so that seeds are independent in problems, too, and a
t-interval over seeds covers both.  A gain is the mean over seeds of log(second / first), as a relative difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmreason.analysis.comparison.prediction import INTERFERENCE
from mmreason.analysis.comparison.protocol import ARMS, CONTROLS
from mmreason.analysis.comparison.series import PILOT_START, Series
from mmreason.analysis.comparison.setups import Setup
from mmreason.analysis.statistics import FEWEST_SEEDS, sign_flip, t_interval
from mmreason.rewards.assignment import GRANULARITIES, TO_GO, WHITENED

MEASURES = ("answer_accuracy", "success")
ARM_KEYS = ("joint_trace", "factorized_trace", "joint_turn", "factorized_turn")
GAINS = {  # name: (second, first) by key
    "gain_factorized_trace_over_joint_trace": ("factorized_trace", "joint_trace"),
    "gain_factorized_turn_over_joint_turn": ("factorized_turn", "joint_turn"),
    "gain_factorized_turn_over_joint_trace": ("factorized_turn", "joint_trace"),
    "gain_joint_turn_over_joint_trace": ("joint_turn", "joint_trace"),
}
AGAINST_JOINT = (*CONTROLS, WHITENED, TO_GO)  # arms that are set against joint of the same granularity
SEPARATE, UNIFIED = "factorized_trace", "joint_pooled_trace"  # as theirs
PRIMARY = {pair: name for name, pair in GAINS.items()} | {(SEPARATE, UNIFIED): "gain_separate_over_unified"}
CELLS = ("joint_pooled", "factorized_pooled", "joint", "factorized")  # assignment × denominator, of one granularity
POOLED_GAIN = "gain_factorized_pooled_over_joint_pooled"
ALMOST_NONE = 1e-3  # of the problems: an arm that solves none has a gain all the same

Values = Mapping[str, Mapping[int, float]]  # by arm's key or "base", by seed


def summary(series: Series) -> dict[str, Any]:
    """What is known of a set-up: arms and gains of the complete ones, else null, and how many runs are done.

    Nothing is computed of an arm before its registered number of seeds is complete.
    """
    setup = series.setup
    complete = [arm for arm in setup.arms if all(series.has(run.name) for run in setup.runs_of(arm))]
    found: dict[str, Any] = {
        "measure": setup.measure,
        "primary": PRIMARY[setup.primary[1], setup.primary[0]],
        "runs": {"finished": sum(map(series.has, series.runs)), "registered": len(series.runs)},
        "pilots_registered": len(series.pilots),
        "learning_rate": series.rate,
        "pilots": {str(rate): _pilot(series, job) for job, rate in series.pilots.items() if series.has(job)},
        "pilot_start": _pilot(series, PILOT_START) if series.has(PILOT_START) else None,
        "pilot_problems": setup.pilot_problems * len(setup.protocol.tasks),
        "seeds": setup.seeds if len(complete) == len(setup.arms) else None,
    }
    ends = {arm.key: {run["seed"]: run["end"] for run in series.outcomes(setup.runs_of(arm))} for arm in complete}
    if complete and all(series.has(f"start-{seed}") for seed in setup.seeds):
        ends["base"] = dict(zip(setup.seeds, (start["end"] for start in series.starts(setup.seeds)), strict=True))
    (other,) = (name for name in MEASURES if name != setup.measure)
    found |= of_values(setup, _values(ends, "sampled", setup.measure))
    found[f"by_{other}"] = of_values(setup, _values(ends, "sampled", other))
    hows = ("greedy", *setup.protocol.difficulties_apart)
    found["apart"] = {how: _estimates(_values(ends, how, setup.measure)) for how in hows}
    tasks = setup.protocol.tasks
    predicted = INTERFERENCE in series.jobs and series.has(INTERFERENCE)
    found["interference"] = series.interference() if predicted else None
    found["by_task"] = {task: _estimates(_values(ends, "sampled", setup.measure, task)) for task in tasks}
    return found


def _pilot(series: Series, job: str) -> dict[str, float]:
    """A pilot's shares of validation problems, or those of the start; one seed, so that no interval is known."""
    return {measure: series.pilot_share(job, measure) for measure in MEASURES}


def _values(ends: Mapping[str, Mapping[int, Any]], how: str, measure: str, of: str = "mean") -> Values:
    return {key: {seed: end[how][measure][of] for seed, end in rows.items()} for key, rows in ends.items()}


def _estimates(values: Values) -> dict[str, Any]:
    return {key: over_seeds([*rows.values()]) for key, rows in values.items()}


def of_values(setup: Setup, values: Values) -> dict[str, Any]:
    """Arms and gains by name; null where ``values`` lack an arm."""
    keys = ["base", *ARM_KEYS, *(arm.key for arm in setup.arms if arm.key not in ARM_KEYS)]
    found: dict[str, Any] = {key: over_seeds([*values[key].values()]) if key in values else None for key in keys}
    found |= {name: _gain(values, *pair) for name, pair in GAINS.items()}
    controls = [arm for arm in setup.arms if arm.name in AGAINST_JOINT]
    found |= {gain_of_control(arm.name): _gain(values, arm.key, f"joint_{arm.granularity}") for arm in controls}
    for arm in ARMS:
        found[f"gain_{arm}_over_base"] = _gain(values, f"{arm}_{granularity_over_base(values)}", "base")
    for granularity in GRANULARITIES:
        if {(name, granularity) for name in CELLS} <= {(arm.name, arm.granularity) for arm in setup.arms}:
            found |= _two_by_two(values, [f"{name}_{granularity}" for name in CELLS])
    return found


def _two_by_two(values: Values, cells: Sequence[str]) -> dict[str, Any]:
    """Gains of the arms as theirs, of which how much is assignment and denominator, and of those with one mean; null
    without an arm."""
    found: dict[str, Any] = {"gain_separate_over_unified": _gain(values, cells[-1], cells[0])}
    found["gain_unified_over_base"] = _gain(values, cells[0], "base")
    found[POOLED_GAIN] = _gain(values, cells[1], cells[0])
    found |= {"gain_assignment": None, "gain_denominator": None}
    if set(cells) <= set(values):
        theirs, factorized_pooled, joint, factorized = (_logs(values, cells, key) for key in cells)
        found["gain_assignment"] = _relative((factorized + factorized_pooled - joint - theirs) / 2)
        found["gain_denominator"] = _relative((factorized + joint - factorized_pooled - theirs) / 2)
    return found


def gain_of_control(name: str) -> str:
    """The key of what arm ``name`` gains over joint."""
    return f"gain_{name}_over_joint"


def compared(gain: str, known: Mapping[str, Any]) -> tuple[str, str]:
    """Keys of the two arms of ``gain``: of the second, and of the first that it is set against."""
    if gain in GAINS:
        return GAINS[gain]
    granularity = granularity_over_base(known)  # the two-by-two's
    second = CELLS[1] if gain == POOLED_GAIN else CELLS[-1]
    return f"{second}_{granularity}", f"{CELLS[0]}_{granularity}"


def granularity_over_base(known: Mapping[str, Any]) -> str:
    """Which arms are compared with the start: those by turn, where factorized by turn is known."""
    return "turn" if known.get("factorized_turn") else "trace"


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean, its interval over seeds (None below three) and each seed."""
    low_high = list(t_interval(values)) if len(values) >= FEWEST_SEEDS else None
    return {"mean": float(np.mean(values)), "ci95": low_high, "seeds": [float(value) for value in values]}


def _gain(values: Values, second: str, first: str) -> dict[str, Any] | None:
    pair = (second, first)
    if not set(pair) <= set(values):
        return None
    return _relative(_logs(values, pair, second) - _logs(values, pair, first))


def _logs(values: Values, keys: Sequence[str], key: str) -> np.ndarray:
    """(S): of ``key`` on the seeds that all of ``keys`` have."""
    shared = sorted(set.intersection(*(set(values[each]) for each in keys)))
    return np.log([max(values[key][seed], ALMOST_NONE) for seed in shared])


def _relative(logs_S: np.ndarray) -> dict[str, Any]:
    """A relative difference from differences of logarithms by seed."""
    found = over_seeds(logs_S.tolist())
    bounds = found["ci95"] and [math.expm1(bound) for bound in found["ci95"]]
    gains = {"mean": math.expm1(found["mean"]), "ci95": bounds, "seeds": [math.expm1(x) for x in found["seeds"]]}
    return gains | sign_flip(found["seeds"])
