"""The main results on one page: a table made from the files in ``assets/results``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmreason.analysis.comparison.setups import SHIPPED
from mmreason.analysis.paper import FLOPS_REDUCTION
from mmreason.analysis.results_file import stored
from mmreason.records import DIFFICULTIES
from mmreason.wording import change, percent


def overview_table() -> str:
    """The main figures as Markdown, next to the paper's if it has them.  Raises ConfigError without a file."""
    base = stored("evaluate")["base"]["by_difficulty"]
    cost, arms, speed, load = (stored(name) for name in ("compute", "reproduce", "benchmark", "load"))
    solved = ", ".join(f"{name} {percent(base[name]['success']['mean'])}" for name in DIFFICULTIES)
    paper = {name: change(gain) for name, gain in arms["paper"].items()}
    rows = [
        ("Held-out puzzles solved by `checkpoints/base`", solved, ""),
        (
            "FLOPs of a rollout: local edits against an autoregressive full redraw",
            change(-cost["flops_reduction"]),
            change(-FLOPS_REDUCTION),
        ),
        (
            "Time of a rollout, the same two",
            f"{cost['time_ratio']:.1f} times as fast at batch {cost['batch_size']}, "
            f"{cost['time_ratio_single']:.1f} times alone",
            "",
        ),
        (
            "FLOPs, local edits against a full redraw of the same family",
            f"autoregressive {_saved(cost, 'ar')}, diffusion {_saved(cost, 'diffusion')}",
            "",
        ),
        ("An autoregressive policy with the same local edits", _same_edits(cost["arms"]), ""),
        (f"Factorized over joint rewards ({_seeds(arms)})", _gain(arms["gain_over_joint"]), paper["gain_over_joint"]),
        *_over_joint(arms["setups"]),
        (
            "Factorized over its start, edits redrawn whole in one step",
            _gain(arms["gain_over_base"]),
            paper["gain_over_base"],
        ),
        ("Joint over the same", change(arms["joint"]["mean"] / arms["base"]["mean"] - 1), ""),
        *_over_start(arms["setups"], paper["gain_over_base"]),
        ("Cached rollouts against uncached ones", f"{speed['cache_speedup']:.1f} times as fast", ""),
        ("The packed likelihood against one forward a step", f"{speed['packing_speedup']:.1f} times as fast", ""),
        (
            f"{load['visitors']} visitors at once on two cores, 95th percentile",
            f"first token in {load['first_token_seconds']['p95']:.1f} s, "
            f"solved in {load['whole_solve_seconds']['p95']:.1f} s",
            "",
        ),
    ]
    lines = ["| | here | the paper |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(line.replace("|  |", "| |") for line in lines)


def _over_joint(setups: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What factorized gains over joint in the set-ups that are known and belong here."""
    by_trace, by_turn = (f"gain_factorized_{each}_over_joint_{each}" for each in ("trace", "turn"))
    named = (
        ("P", "near the authors' setting, right answers", "gain_separate_over_unified"),
        ("A", "on hard puzzles, by trace", by_trace),
        ("C", "from `checkpoints/base`, by trace", by_trace),
        (SHIPPED, "from there by turn, in four times the steps", by_turn),
    )
    found = [(words, setups.get(name, {}).get(gain)) for name, words, gain in named]
    return [(f"The same {words} ({len(gain['seeds'])} seeds)", _gain(gain), "") for words, gain in found if gain]


def _over_start(setups: Mapping[str, Any], paper: str) -> list[tuple[str, str, str]]:
    """What both gain over their start in the set-up whose checkpoints are shipped, if it is known."""
    row = setups.get(SHIPPED, {})
    gain, start, joint = (row.get(key) for key in ("gain_factorized_over_base", "base", "joint_turn"))
    if not (gain and start and joint):
        return []
    return [
        (f"Factorized by turn over `checkpoints/base` ({len(gain['seeds'])} seeds)", _gain(gain), paper),
        ("Joint by turn over the same", change(joint["mean"] / start["mean"] - 1), ""),
    ]


def _saved(cost: Mapping[str, Any], family: str) -> str:
    full, local = (cost["arms"][f"{family}_{redraw}"]["flops"] for redraw in ("full", "local"))
    return change(local / full - 1)


def _same_edits(arms: Mapping[str, Any]) -> str:
    theirs, ours = arms["ar_local"], arms["diffusion_local"]
    return (
        f"{percent(theirs['flops'] / ours['flops'], 0)} of diffusion's FLOPs, "
        f"{theirs['forward_passes'] / ours['forward_passes']:.1f} times its passes, "
        + f"{theirs['seconds_single'] / ours['seconds_single']:.1f} times its time alone"
    )


def _gain(row: Mapping[str, Any]) -> str:
    low, high = row["ci95"]
    return f"{change(row['mean'])} ({change(low)} to {change(high)})"


def _seeds(arms: Mapping[str, Any]) -> str:
    before = arms["protocol"].get("looks_before", 0)
    return f"{len(arms['paired_seeds'])} seeds" + f", after {before} earlier comparisons" * bool(before)
