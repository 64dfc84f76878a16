"""What comparisons of joint with factorized rewards found, as Markdown tables, and their words for arms and gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmreason.analysis.comparison.gains import (
    POOLED_GAIN,
    UNIFIED,
    compared,
    gain_of_control,
    granularity_over_base,
)
from mmreason.analysis.comparison.headline import unlearnt, who_is_ahead
from mmreason.analysis.comparison.protocol import ARMS, DOUBLE, HEADLINE_NAME
from mmreason.analysis.comparison.relation import BESIDE, PREDICTORS
from mmreason.analysis.comparison.setups import SETUPS
from mmreason.analysis.paper import GAINS
from mmreason.analysis.statistics import FEWEST_SEEDS
from mmreason.rewards.assignment import SWAPPED, TO_GO, WHITENED
from mmreason.wording import change, formatted, signed


def comparison_table(result: Mapping[str, Any]) -> str:
    """What ``reproduce`` found, as Markdown."""
    lines = ["| | solved at temperature 1 (95 %) | each seed | greedy (95 %) |", "|---|---|---|---|"]
    for arm in ("base", "joint", "factorized"):
        row, greedy = result[arm], result["greedy"][arm]
        seeds = ", ".join(f"{value:.3f}" for value in row["seeds"])
        lines.append(f"| {arm} | {_estimate(row, '.3f')} | {seeds} | {_estimate(greedy, '.3f')} |")
    difference, before = result["difference"], result["protocol"].get("looks_before", 0)
    ahead = who_is_ahead(difference["ci95"], len(difference["seeds"]), "first_look" in result)
    said = [f"Factorized − joint, paired: {_estimate(difference, '+.4f')}, {ahead}{_flipped(difference)}."]
    if "first_look" in result:
        first, added = result["first_look"], result["added"]
        said.append(
            f"The first {len(first['seeds'])} seeds: {_estimate(first, '+.4f')}, so more were added; "
            f"the {len(added['seeds'])} added: {_estimate(added, '+.4f')}."
        )
    greedy = result["greedy"]["difference"]
    said.append(f"Greedy: {_estimate(greedy, '+.4f')}{_flipped(greedy)}.")
    for name, words in (("gain_over_joint", "joint"), ("gain_over_base", "base")):
        gain, paper = _estimate(result[name], "+z.1%"), change(result["paper"][name])
        said.append(f"Gain over {words}: {gain}; the paper {paper}.")
    said.append(f"Joint alone over base: {change(result['joint']['mean'] / result['base']['mean'] - 1)}.")
    said += [f"{words.capitalize()}." for words in unlearnt(result["by_task"])]
    if before:
        said.append(f"Earlier comparisons on the same problems, none with a clear difference: {before}.")
    lines += ["", " ".join(said)]
    others = dict(result["controls"])
    if "other_granularity" in result:
        others["factorized"] = result["other_granularity"]
    for arm, row in others.items():
        name = f"by {row['granularity']}, {arm}" if "granularity" in row else arm
        lines.append(
            f"- {name}: {row[arm]['mean']:.3f} against joint's {row['joint']['mean']:.3f} on {_seeds(row)}; "
            f"difference {of_seeds(row['difference'], row, '+z.3f')}."
        )
    for name, row in result["own_turn"].items():
        lines.append(
            f"- {name.replace('_', ' by ')} against joint by trace, one reward for everything in a trace: "
            f"{row[name]['mean']:.3f} against {row['joint_trace']['mean']:.3f}, "
            f"{of_seeds(row['gain_over_joint_trace'], row, '+z.1%')}, {_seeds(row)}."
        )
    if result["missing"]:
        lines += ["", f"Runs still missing: {', '.join(result['missing'])}."]
    return "\n".join(lines)


CONTROL_WORDS = {
    SWAPPED: "factorized, the two rewards swapped",
    DOUBLE: "joint, twice the problems a step",
    WHITENED: "joint, each modality's reward over its own spread",
    TO_GO: "each segment and all after it, against the rollouts still going",
}
ARM_WORDS = {
    "base": "start",
    "joint_pooled_trace": "joint, one mean over all tokens (joint as theirs)",
    "factorized_trace": "factorized, a mean a modality (factorized as theirs)",
    "joint_trace": "joint, a mean a modality",
    "factorized_pooled_trace": "factorized, one mean over all tokens",
    "text_only_trace": "text reward only",
    "image_only_trace": "image reward only",
    "joint_turn": "joint by turn",
    "factorized_turn": "factorized by turn",
    "joint_pooled_turn": "joint by turn, one mean over all tokens",
    "factorized_pooled_turn": "factorized by turn, one mean over all tokens",
    **{f"{name}_turn": f"{words}, by turn" for name, words in CONTROL_WORDS.items()},
}
GAIN_WORDS = {
    "gain_separate_over_unified": "factorized, a mean a modality, over joint, one mean over all tokens",
    "gain_assignment": "the assignment alone, mean of both denominators",
    "gain_denominator": "a mean a modality instead of one mean over all tokens, mean of both assignments",
    POOLED_GAIN: "factorized over joint, both with one mean over all tokens",
    "gain_factorized_trace_over_joint_trace": "factorized over joint by trace, all else alike",
    "gain_factorized_turn_over_joint_turn": "factorized over joint by turn, all else alike",
    "gain_factorized_turn_over_joint_trace": "factorized by turn over joint by trace",
    "gain_joint_turn_over_joint_trace": "joint by turn over joint by trace",
    "gain_factorized_over_base": "factorized by {granularity} over the start (the paper {gain_over_base})",
    "gain_joint_over_base": "joint by {granularity} over the start",
    **{gain_of_control(name): f"{words}, over joint" for name, words in CONTROL_WORDS.items()},
}
AS_THEIRS = {"gain_separate_over_unified": "factorized as theirs over joint as theirs (the paper {gain_over_joint})"}
READINGS = {  # of the comparison of a set-up
    "gain_separate_over_unified": "each with its own denominator",
    "gain_factorized_trace_over_joint_trace": "by trace",
    "gain_factorized_turn_over_joint_turn": "by turn",
    POOLED_GAIN: "one mean over all tokens",
    "gain_factorized_turn_over_joint_trace": "by turn, over joint by trace",
}
MEASURE_WORDS = {"answer_accuracy": "answers right", "success": "whole traces right"}


def gains_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The gains that are known of a set-up, in words, by their keys; the registered primary one is the first."""
    granularity, primary = granularity_over_base(row), row.get("primary")
    ordered = sorted(GAIN_WORDS, key=lambda key: key != primary)
    named = GAIN_WORDS | (AS_THEIRS if UNIFIED in row else {})
    known = {"granularity": granularity, **{name: change(gain) for name, gain in GAINS.items()}}
    said = {key: "primary: " * (key == primary) + named[key].format(**known) for key in ordered}
    return {key: words for key, words in said.items() if row.get(key)}


def readings_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The comparisons of factorized with joint that are known of a set-up, in words, by the keys of their gains."""
    named = READINGS | ({"gain_separate_over_unified": "both as theirs"} if UNIFIED in row else {})
    return {gain: words for gain, words in named.items() if row.get(gain)}


def setup_progress(row: Mapping[str, Any]) -> str:
    """How far a set-up is, in words."""
    if row["registered"] is None:
        return "not registered"
    runs, pilots = row["runs"], row["pilots"]
    done = f"{runs['finished']} of {runs['registered']} runs done"
    if row["learning_rate"] is None:
        done = f"{len(pilots)} of {row['pilots_registered']} pilots done, which choose the learning rate, and {done}"
    complete = runs["finished"] == runs["registered"]
    return done if complete else f"{done} (no arm is summarised before its registered seeds are complete)"


def setup_table(name: str, row: Mapping[str, Any]) -> str:
    """What is known of set-up ``name``, as Markdown."""
    at = f", registered at `{row['registered'][:12]}`" if row["registered"] else ""
    lines = [f"{SETUPS[name].says[0].upper()}{SETUPS[name].says[1:]}{at}: {setup_progress(row)}.", "", *_pilots(row)]
    arms = [key for key in ARM_WORDS if row.get(key)]
    if arms:
        theirs = UNIFIED in row  # of the other set-ups no arm is the authors' own
        other = next(key for key in row if key.startswith("by_") and key != "by_task")
        heads = [MEASURE_WORDS[row["measure"]], MEASURE_WORDS[other.removeprefix("by_")]]
        lines += [f"| | {heads[0]} (95 %) | each seed | {heads[1]} |", "|---|---|---|---|"]
        for key in arms:
            seeds = ", ".join(f"{value:.3f}" for value in row[key]["seeds"])
            words = ARM_WORDS[key] if theirs else ARM_WORDS[key].partition(" (")[0]
            lines.append(f"| {words} | {_over_seeds(row[key], '.3f')} | {seeds} | {row[other][key]['mean']:.3f} |")
        lines += [""] + [
            f"- {words}: {_over_seeds(row[key], '+z.1%')}{_flipped(row[key])}" for key, words in gains_of(row).items()
        ]
    return "\n".join(lines).strip()


def comparison_tables(found: Mapping[str, Any]) -> dict[str, str]:
    """All tables of a comparison's results file, by their block on the page of results."""
    tables = {"gains": gains_table(found), "relation": relation_table(found["relation"])}
    if "gain_over_joint" in found:
        tables["reproduce"] = comparison_table(found)
    return tables | {f"setup:{name}": setup_table(name, row) for name, row in found.get("setups", {}).items()}


def gains_table(found: Mapping[str, Any]) -> str:
    """What factorizing gained in every comparison and reading of it that is complete, as Markdown."""
    heads = ("comparison", "solved by the start", "joint", "factorized", "over joint (95 %)", "over the start (95 %)")
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    if "gain_over_joint" in found:
        name, arms = f"{HEADLINE_NAME}, by {found['granularity']}", [found[arm] for arm in ("base", *ARMS)]
        gains = [supported(found[gain], found) for gain in ("gain_over_joint", "gain_over_base")]
        lines.append(_gains_row(name, len(found["paired_seeds"]), arms, gains))
    for name, row in found.get("setups", {}).items():
        answers = ", of answers" * (row["measure"] == "answer_accuracy")
        over_base = f"factorized_{granularity_over_base(row)}"
        for gain, words in readings_of(row).items():
            second, first = compared(gain, row)
            gains = [row[gain], row["gain_factorized_over_base"] if second == over_base else None]
            arms = [row[arm] for arm in ("base", first, second)]
            lines.append(_gains_row(f"set-up {name}, {words}{answers}", len(row[gain]["seeds"]), arms, gains))
    return "\n".join(lines)


def _gains_row(
    name: str, seeds: int, arms: Sequence[Mapping[str, Any] | None], gains: Sequence[Mapping[str, Any] | None]
) -> str:
    """A line of the table: the means of start, joint and factorized, and what the last gains over the others."""
    rates = [f"{arm['mean']:.3f}" if arm else "–" for arm in arms]
    said = [_over_seeds(gain, "+z.1%") if gain else "–" for gain in gains]
    return f"| {' | '.join([f'{name} ({seeds} seeds)', *rates, *said])} |"


def relation_table(found: Mapping[str, Any]) -> str:
    """What interference at the start predicts, and what factorizing gained, as Markdown."""
    names = PREDICTORS | BESIDE
    heads = [*names.values(), "factorized − joint (95 %)"]
    lines = [f"| comparison | task | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    for point in found["points"]:
        cells = ["–" if point[name] is None else f"{point[name]:.3f}" for name in names]
        cells.append(_over_seeds(point["gain"], "+z.3f") if point["gain"] else "not known yet")
        lines.append(f"| {point['comparison']} | {point['task']} | {' | '.join(cells)} |")
    known = {name: row for name, row in found["correlations"].items() if row}
    said = [f"{PREDICTORS[name]} {signed(row['spearman'])} ({signed(row['within'])})" for name, row in known.items()]
    number = max((row["points"] for row in known.values()), default=0)
    if said:
        sd, error = found["spread"]["sd"], found["spread"]["standard_error"]
        lines += [
            "",
            f"Spearman's rank correlation with the gain over {number} points, and (within comparisons): "
            f"{'; '.join(said)}. The gains' standard "
            f"deviation is {sd:.4f}, their own standard error over seeds {error:.4f} (root mean square).",
        ]
    return "\n".join(lines)


def _pilots(row: Mapping[str, Any]) -> list[str]:
    """The lines of a table of a set-up's pilots; none where there are none."""
    ends = {"start": row["pilot_start"]} if row["pilot_start"] else {}
    for rate, end in row["pilots"].items():
        chosen = " (chosen)" if float(rate) == row["learning_rate"] else ""
        ends[f"{float(rate):f}".rstrip("0") + chosen] = end
    if not ends:
        return []
    heads = " | ".join(MEASURE_WORDS.values())
    lines = [
        f"| Pilot's learning rate ({row['pilot_problems']} validation problems, one seed) | {heads} |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{end[key]:.3f}" for key in MEASURE_WORDS) + " |" for name, end in ends.items()
    ]
    return [*lines, ""]


def _over_seeds(row: Mapping[str, Any], form: str) -> str:
    """A mean with its interval, where there are seeds enough for one."""
    return _estimate(row, form) if row["ci95"] else f"{formatted(row['mean'], form)} (too few seeds for an interval)"


def of_seeds(estimate: Mapping[str, Any], row: Mapping[str, Any], form: str) -> str:
    """``supported`` in words."""
    return _over_seeds(supported(estimate, row), form)


def supported(estimate: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """An estimate of ``row``'s paired seeds, its interval None where they are too few for one."""
    enough = len(row["paired_seeds"]) >= FEWEST_SEEDS
    return {"mean": estimate["mean"], "ci95": estimate["ci95"] if enough else None}


def _flipped(difference: Mapping[str, Any]) -> str:
    """The p-value of a paired difference, where there are seeds enough for one."""
    return (
        f" (exact sign-flip test over seeds: p = {difference['sign_flip_p']:.3f})"
        if "sign_flip_p" in difference
        else ""
    )


def _seeds(row: Mapping[str, Any]) -> str:
    """Which seeds a comparison is of."""
    return f"seed{'s' * (len(row['paired_seeds']) > 1)} {', '.join(map(str, row['paired_seeds']))}"


def _estimate(row: Mapping[str, Any], form: str) -> str:
    """A mean with its 95 % interval."""
    low, high = row["ci95"]
    return f"{formatted(row['mean'], form)} ({formatted(low, form)} to {formatted(high, form)})"
