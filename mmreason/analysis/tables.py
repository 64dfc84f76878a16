"""What was measured of a policy, its cost and its speed, as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmreason.analysis.paper import FLOPS_REDUCTION
from mmreason.analysis.statistics import difference_interval
from mmreason.tasks import TASKS
from mmreason.wording import change, counted, points


def success_table(by_difficulty: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table of success by difficulty and task, with the interval of the mean."""
    tasks = [task for task in TASKS if any(task in result["success"] for result in by_difficulty.values())]
    lines = [
        "| | " + " | ".join(tasks) + " | mean (95 % interval) | text reward | image reward |",
        "|---|" + "---|" * (len(tasks) + 3),
    ]
    for difficulty, result in by_difficulty.items():
        rates = " | ".join(f"{result['success'].get(task, float('nan')):.3f}" for task in tasks)
        low, high = result["ci95"]
        image = "–" if result["image_reward"] is None else f"{result['image_reward']:.3f}"
        lines.append(
            f"| {difficulty} | {rates} | {result['success']['mean']:.3f} ({low:.3f} to {high:.3f}) "
            f"| {result['text_reward']:.3f} | {image} |"
        )
    return "\n".join(lines)


def cost_table(result: Mapping[str, Any]) -> str:
    """What ``compute`` found, as Markdown."""
    lines = _arm_rows(result)
    lines += [
        "",
        f"`diffusion_local` against `ar_full`: {change(-result['flops_reduction'])} FLOPs (the paper: "
        f"{change(-FLOPS_REDUCTION)}), "
        f"{result['time_ratio']:.1f} times as fast at batch {result['batch_size']} and "
        f"{result['time_ratio_single']:.1f} times alone, success "
        f"{points(result['success_difference'])} points ({_points(result['arms'])}).",
    ]
    for row in result.get("scaling_measured", []):
        if row["region_share"] == min(other["region_share"] for other in result["scaling_measured"]):
            side = math.isqrt(row["canvas"])
            lines.append(
                f"On {side}×{side} cells with {100 * row['region_share']:.0f} % redrawn (untrained weights): "
                f"{row['time_ratio']:.0f} times as fast alone."
            )
    sizes = result.get("scaling", [])
    lost = [row for row in sizes if row["reduction"] < 0]
    if lost:
        least = min(row["region_share"] for row in lost)
        lines.append(
            f"By formula the autoregressive full redraw wins on FLOPs at {len(lost)} of {len(sizes)} sizes of canvas, "
            f"region, turns and model, all of which redraw at least {100 * least:.0f} % of the canvas at each edit. "
            f"All sizes have {result['workload']['image_steps']:.1f} denoising steps an edit, as the policy needs on "
            "8×8 cells; each step more costs diffusion a pass and its FLOPs."
        )
    return "\n".join(lines)


def _arm_rows(result: Mapping[str, Any]) -> list[str]:
    """The lines of a table of arms: what each costs and solves."""
    lines = [
        f"| arm | MFLOPs | forward passes | tokens | ms at batch {result['batch_size']} | ms alone | solved (95 %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["arms"].items():
        low, high = row["ci95"]
        lines.append(
            f"| {name} | {row['flops'] / 1e6:.0f} | {row['forward_passes']:.0f} | {row['tokens_forwarded']:.0f} "
            f"| {1e3 * row['seconds']:.0f} | {1e3 * row['seconds_single']:.0f} "
            f"| {row['success']:.3f} ({low:.3f} to {high:.3f}) |"
        )
    return lines


EDIT_WORDS = {"full": "With the whole canvas redrawn", "local": "With local edits"}


def attention_table(result: Mapping[str, Any]) -> str:
    """What ``compute --bidirectional`` found, as Markdown."""
    return "\n".join([*_arm_rows(result), "", " ".join(times_in_words(result))])


def speed_table(result: Mapping[str, Any]) -> str:
    """What ``benchmark`` found, as Markdown."""
    threads = result["threads"]
    rows = [
        ("cached rollouts over uncached ones", f"{result['cache_speedup']:.1f}×"),
        ("the packed likelihood over one forward a segment and step", f"{result['packing_speedup']:.1f}×"),
        ("scoring only what has an advantage (factorized, by turn) over all", f"{result['live_speedup']:.1f}×"),
        ("a GRPO step in bfloat16 over one in 32 bits", f"{result['bf16_speedup']:.2f}×"),
        ("a GRPO step's share of the peak for matrix multiplication", f"{100 * result['utilisation']:.0f} %"),
    ]
    head = f"| {result['rollouts']} rollouts, {counted(threads, 'thread')} | |"
    return "\n".join([head, "|---|---|", *(f"| {what} | {value} |" for what, value in rows)])


def times_in_words(result: Mapping[str, Any]) -> list[str]:
    """A sentence an edit: how many times what attention in blocks costs full attention costs."""
    return [
        f"{EDIT_WORDS[edit]} full attention takes {times['flops']:.1f} times the FLOPs and "
        f"{times['tokens_forwarded']:.1f} times the tokens, {times['seconds']:.1f} times the seconds at batch "
        f"{result['batch_size']} and {times['seconds_single']:.1f} times alone; scoring a rollout in training "
        f"{times['update_flops']:.1f} times the FLOPs."
        for edit, times in result["times"].items()
    ]


def _points(arms: Mapping[str, Any]) -> str:
    """The interval of the difference of success."""
    full, local = arms["ar_full"], arms["diffusion_local"]
    bounds = difference_interval(full["success"], full["ci95"], local["success"], local["ci95"])
    return " to ".join(points(bound) for bound in bounds)
