"""What the tab Results says: pure functions of the results files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmreason.analysis.comparison.gains import gain_of_control
from mmreason.analysis.comparison.headline import unlearnt, who_is_ahead
from mmreason.analysis.comparison.protocol import ARMS, DOUBLE
from mmreason.analysis.comparison.results import Comparison, Estimate
from mmreason.analysis.comparison.setups import SETUPS, SHIPPED
from mmreason.analysis.comparison.tables import CONTROL_WORDS, gains_of, setup_progress, supported
from mmreason.analysis.cost.results import Results
from mmreason.analysis.paper import FLOPS_REDUCTION
from mmreason.analysis.statistics import FEWEST_SEEDS
from mmreason.rewards.assignment import GRANULARITIES, SWAPPED
from mmreason.ui.cost.words import against_us, families, setbacks, success_words
from mmreason.wording import change, counted, flops, percent, points

DIFFERS = (
    "The paper's figures are of its own model, data and tasks. Ours are of a policy of a few million parameters that "
    "was trained here from nothing on four procedural puzzles, with rewards that a program can check, most of it on "
    "two CPU cores: they say whether an effect is there at this size, not how large it is at the paper's. The first "
    "comparison of rewards redraws the whole canvas at every edit, so that drawing is uncertain as well; set-ups A "
    "and C have the sampler that visitors use."
)

MOSTLY = 0.5  # of what joint gains
OF_CONTROLS = frozenset(map(gain_of_control, CONTROL_WORDS))  # where they gain over joint, without factorizing


def cost_claim(results: Results | None, why_not: str) -> list[list[str]]:
    """The first claim in a sentence."""
    if results is None:
        return [["plain", why_not]]
    local, full = results.arms["diffusion_local"], results.arms["ar_full"]
    more = "fewer" if results.flops_reduction >= 0 else "more"
    lines = [
        [
            "lead",
            f"Local edits: {percent(abs(results.flops_reduction))} {more} FLOPs a rollout than redrawing the whole "
            f"image autoregressively ({flops(local.flops)} against {flops(full.flops)}); it "
            f"{success_words(results)}. The paper: {percent(FLOPS_REDUCTION)} fewer.",
        ],
        ["plain", families(results)],
    ]
    return [*lines, *against_us(setbacks(results)), ["code", results.command]]


def reward_title(found: Comparison | None) -> str:
    """What the second claim comes to here, as a heading."""
    if found is None:
        return "Rewarding words and pictures apart"
    paper = change(found.paper["gain_over_joint"])
    if len(found.paired_seeds) < FEWEST_SEEDS:
        return "Rewarding words and pictures apart: too few seeds to tell"
    if found.gain_over_joint.ci95[1] < found.paper["gain_over_joint"]:
        return f"Rewarding words and pictures apart: the paper’s {paper} is not reproduced here"
    if found.difference.ci95[0] > 0:
        return "Rewarding words and pictures apart trains better"
    return "Rewarding words and pictures apart: no clear difference here"


def reward_claim(found: Comparison | None, why_not: str) -> list[list[str]]:
    """The second claim in a sentence, what goes against it, and how it was tested."""
    if found is None:
        return [["plain", why_not]]
    second_look = found.first_look is not None
    ahead = who_is_ahead(found.difference.ci95, len(found.difference.seeds), second_look).capitalize()
    lines = [
        [
            "lead",
            f"{ahead}: factorized rewards solve "
            f"{rate(found.factorized)} of held-out puzzles, joint rewards {rate(found.joint)}, the base "
            f"{rate(found.base)}.",
        ],
        [
            "plain",
            f"That is {gain(found.gain_over_joint)} over joint (the paper: {change(found.paper['gain_over_joint'])}) "
            f"and {gain(found.gain_over_base)} over base (the paper: {change(found.paper['gain_over_base'])}; "
            f"joint alone: {change(found.joint.mean / found.base.mean - 1)}).",
        ],
    ]
    if found.own_turn:
        lines.append(["plain", own_turn_words(found)])
    lines += against_us(reward_setbacks(found))
    lines.append(["quiet", protocol_words(found)])
    return [*lines, ["code", found.command], *setup_claim(found)]


def setup_claim(found: Comparison) -> list[list[str]]:
    """The same claim in the set-ups that were registered before their tests; nothing of those that are not."""
    return [*_authors_setting(found), *_shipped(found), *_other_setups(found)]


def _shipped(found: Comparison) -> list[list[str]]:
    """What both arms come to in the set-up whose checkpoints are shipped."""
    row = found.setups.get(SHIPPED, {})
    start, joint, factorized, gained = (
        row.get(key) for key in ("base", "joint_turn", "factorized_turn", "gain_factorized_over_base")
    )
    if not (start and joint and factorized and gained):
        return []
    said = (
        f"Of hard puzzles of all four tasks, as Watch solves them, the base solves {percent(start['mean'])}, and "
        f"trained on with factorized rewards {percent(factorized['mean'])}: {registered_gain(gained)}; the paper: "
        f"{change(found.paper['gain_over_base'])}. Joint rewards bring {change(joint['mean'] / start['mean'] - 1)}. "
        "The checkpoints joint and factorized are of these runs."
    )
    return [["lead", said]]


def _other_setups(found: Comparison) -> list[list[str]]:
    """A line for each of the others of which a gain is known."""
    lines = []
    for name, row in found.setups.items():
        gains = [f"{words} {registered_gain(row[key])}" for key, words in gains_of(row).items()]
        if name != "P" and gains:
            fixed = f"fixed at commit {row['registered'][:12]} before its first test"
            lines.append(["plain", "\n".join([f"Set-up {name} ({SETUPS[name].says}), {fixed}:", *gains])])
            lines.append(["code", f"{found.command} --setup {name}"])
    return lines


def _includes_zero(gain: Mapping[str, Any]) -> bool:
    """Is its interval known, and zero in it?"""
    low, high = gain["ci95"] or (1, -1)
    return low <= 0 <= high


def _authors_setting(found: Comparison) -> list[list[str]]:
    """Set-up P, as far as it is."""
    row = found.setups.get("P")
    if row is None or found.registered is None:
        return []
    gained, why = row.get("gain_separate_over_unified"), []
    if gained:
        said = f"factorized as theirs over joint as theirs: {registered_gain(gained)} (the paper: "
        said += f"{change(found.paper['gain_over_joint'])})"
        for key, name in (("gain_assignment", "assignment"), ("gain_denominator", "denominator")):
            if row.get(key):
                why.append(f"the {name} alone {registered_gain(row[key])}")
        said += f"; {' and '.join(why)}" * bool(why)
        learnt = [row[key] for key in ("gain_factorized_over_base", "gain_unified_over_base") if row.get(key)]
        if len(learnt) == 2 and all(map(_includes_zero, learnt)):
            factorized, joint = map(registered_gain, learnt)
            said += f"; neither arm learns there (over the start factorized {factorized} and joint {joint}), which "
            said += "says nothing of what would differ if they did"
    else:
        said = f"not known yet: {setup_progress(row)}"
    return [
        ["lead" if gained else "plain", f"In our approximation of the authors' setting, {said}."],
        [
            "plain",
            "As far as the authors' public repositories show, their arms differ in more than whose reward a token "
            "gets: joint takes one mean over all tokens, in which pictures outweigh words by their number, and "
            "factorized adds a mean of words and a mean of pictures (in part they also differ in what the answer "
            "sees). Both of our arms above have the second. This comparison (set-up P) is registered with all four "
            f"combinations; {row['runs']['finished']} of its {row['runs']['registered']} runs are done. It was fixed "
            f"at commit {found.registered[:12]}, before its first test.",
        ],
        ["code", f"{found.command} --setup P"],
    ]


def registered_gain(row: dict[str, Any]) -> str:
    """A gain with its interval, where there are seeds enough for one."""
    low_high = row["ci95"]
    return change(row["mean"]) + (f" ({change(low_high[0])} to {change(low_high[1])})" if low_high else "")


def own_turn_words(found: Comparison) -> str:
    """What judging each turn on its own brings over one reward for the whole trace."""
    said = [
        f"{name.partition('_')[0]} {registered_gain(supported(row['gain_over_joint_trace'], row))} "
        f"on {counted(len(row['paired_seeds']), 'seed')}"
        for name, row in found.own_turn.items()
    ]
    return (
        "Against one reward for the whole trace, given to every token in it, judging each turn on its own"
        f" brings {' and '.join(said)}."
    )


def reward_setbacks(found: Comparison) -> list[str]:
    """What goes against factorized rewards, in words."""
    low, high = found.difference.ci95
    said = []
    if len(found.difference.seeds) < FEWEST_SEEDS:
        said.append(f"{counted(len(found.difference.seeds), 'seed')} cannot show how much seeds vary")
    elif high < 0:
        said.append(f"joint is ahead, the paired difference is {_between(found.difference)}")
    elif low <= 0:
        said.append(f"no clear difference between the arms, the paired one is {_between(found.difference)}")
    if found.first_look:
        first, added = counted(len(found.first_look.seeds), "seed"), found.added
        alone = (
            f", which are inconclusive on their own as well ({_between(added)})" if added and _unclear(added) else ""
        )
        said.append(f"the first {first} were inconclusive ({_between(found.first_look)}), so more were added{alone}")
    greedy = Estimate.model_validate(found.greedy["difference"]) if found.greedy else None
    if greedy and _unclear(greedy):
        said.append(f"with greedy sampling the difference is not clear ({_between(greedy)})")
    if before := found.protocol.get("looks_before"):
        said.append(f"{counted(before, 'earlier comparison')} on the same problems showed no clear difference")
    if found.gain_over_joint.mean < found.paper["gain_over_joint"]:
        below = found.gain_over_joint.ci95[1] < found.paper["gain_over_joint"]
        excluded = ", which its interval excludes" * (below and len(found.paired_seeds) >= FEWEST_SEEDS)
        said.append(f"the gain over joint is smaller than the paper's{excluded}")
    if found.gain_over_base.mean < found.paper["gain_over_base"]:
        said.append("the gain over base is smaller than the paper's")
    said += unlearnt(found.by_task, ["factorized"])
    if doubled := found.controls.get(DOUBLE):
        own = dict(zip(found.paired_seeds, found.difference.seeds, strict=True))
        ours = [own[seed] for seed in doubled["paired_seeds"] if seed in own]
        brought, ours = doubled["difference"]["mean"], sum(ours) / max(1, len(ours))
        if brought > ours:
            said.append(
                f"joint with twice the problems a step gains more than factorizing does ({points(brought)} points "
                f"against {points(ours)}, on {counted(len(doubled['paired_seeds']), 'seed')})"
            )
    for name, row in found.setups.items():
        for key, words in gains_of(row).items():
            low, high = row[key]["ci95"] or (0, 0)
            if low > 0 if key in OF_CONTROLS else high < 0 and key != "gain_joint_over_base":
                said.append(f"in set-up {name}, {words}: {registered_gain(row[key])}")
        said += _leaked_credit(name, row)
    if found.missing:
        said.append(f"{len(found.missing)} of the planned runs are still missing")
    return said


def _leaked_credit(name: str, row: Mapping[str, Any]) -> list[str]:
    """Whether the other modality's reward alone trains most of what joint does, in words."""
    said = []
    for granularity in GRANULARITIES:
        keys = ("base", f"joint_{granularity}", f"{SWAPPED}_{granularity}")
        share = _share_of_gain(row, keys)
        if share is None or share <= MOSTLY:
            continue
        shares = {task: _share_of_gain(found, keys) for task, found in row.get("by_task", {}).items()}
        by_task = ", ".join(f"{task} {percent(each)}" for task, each in shares.items() if each is not None)
        said.append(
            f"in set-up {name}, the other modality's reward alone brings {percent(share)} of what joint gains by "
            f"{granularity}{f' ({by_task})' * bool(by_task)}: what leaks there may in part be credit, not noise alone"
        )
    return said


def _share_of_gain(row: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    """How much of what the second arm gains over the start, which is the first, the third does; None of no gain."""
    start, joint, other = (row.get(key) for key in keys)
    if not (start and joint and other) or joint["mean"] <= start["mean"]:
        return None
    return (other["mean"] - start["mean"]) / (joint["mean"] - start["mean"])


def protocol_words(found: Comparison) -> str:
    """What all runs share, in a few sentences."""
    protocol = found.protocol
    steps = protocol["num_steps"]
    p_value = found.difference.sign_flip_p
    flipped = (
        ""
        if p_value is None
        else f" The paired difference by an exact sign-flip test over seeds: p = {p_value:.3f}, "
        "not corrected for the looks and comparisons before it."
    )
    start = protocol.get("checkpoint", "checkpoints/earlier/base")
    return (
        f"Base is here {start}. {counted(len(found.paired_seeds), 'seed')} an arm, {protocol['points'][-1]} steps of "
        f"{protocol['num_problems']} problems × {protocol['num_generations']} rollouts, learning rate "
        f"{protocol['learning_rate']:g} ({protocol['lr_scheduler_type']}), {', '.join(protocol['tasks'])}, "
        f"{' and '.join(found.difficulty)}, by {found.granularity}; every edit {redraws(protocol)}, "
        f"{counted(steps, 'denoising step')} a segment; tested at temperature 1 on {protocol['problems_at_end']} "
        "problems a task that occur in no training. Both arms have the same prompts, "
        "number of rollouts, random seeds and hyper-parameters. "
        f"Intervals: 95 %, bootstrap over seeds and problems.{flipped}"
    )


def redraws(protocol: Mapping[str, Any]) -> str:
    """What an edit does to the canvas, in words."""
    return f"redraws the {'whole canvas' if protocol['region'] == 'full' else 'stated region'}"


def rate(estimate: Estimate) -> str:
    """``61.2 % (58.9 to 63.0)``."""
    low, high = estimate.ci95
    return f"{percent(estimate.mean)} ({100 * low:.1f} to {100 * high:.1f})"


def _between(estimate: Estimate) -> str:
    """The interval of a difference."""
    low, high = estimate.ci95
    return f"{points(low)} to {points(high)} points"


def _unclear(estimate: Estimate) -> bool:
    return estimate.ci95[0] <= 0 <= estimate.ci95[1]


def gain(estimate: Estimate) -> str:
    """A relative gain with its interval."""
    low, high = estimate.ci95
    return f"{change(estimate.mean)} ({change(low)} to {change(high)})"


def task_table(found: Comparison | None) -> dict[str, Any] | None:
    """Success by task: base, and every seed of both arms."""
    if found is None:
        return None
    rows = []
    for task, row in found.by_task.items():
        seeds = [" ".join(f"{100 * value:.0f}" for value in row[arm]) for arm in ARMS]
        rows.append([task, f"{100 * row['base']:.0f}", *seeds])
    means = {"all, greedy": found.greedy} if found.greedy else {}
    if found.other_granularity:
        seeds = counted(len(found.other_granularity["paired_seeds"]), "seed")
        means[f"all, by {found.other_granularity['granularity']} ({seeds})"] = found.other_granularity
    for name, row in means.items():
        rows.append([name, *(f"{100 * row[arm]['mean']:.1f}" for arm in ("base", *ARMS))])
    for name, row in found.apart.items():
        rows.append([f"{name}, not trained on", *(f"{100 * row[arm]:.1f}" for arm in ("base", *ARMS))])
    for arm, control in found.controls.items():
        name = f"{CONTROL_WORDS.get(arm, arm)} ({counted(len(control['paired_seeds']), 'seed')})"
        rows.append([name, *(f"{100 * control[one]['mean']:.1f}" for one in ("base", "joint", arm))])
    return {
        "summary": "Solved, %: by task for every seed, greedy, other difficulties, and the controls",
        "columns": ["", "base", "joint", "factorized, or the control"],
        "rows": rows,
    }
