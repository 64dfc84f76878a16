"""Four arms at the shape of a real 8 B checkpoint, by formula: what one rollout of a puzzle takes.

All arms read and write the same tokens (lengths of ``measure_plan``).  The autoregressive ones have the same Llama,
causal, with its native cache: a token at a time.  The diffusion ones denoise in ``full`` attention, as the weights
were trained, a whole forward a step; in ``prefix`` a context is forwarded once.  Seconds are the larger of arithmetic
and of reading the weights once a pass, on one H100: a bound from below, and nothing here is measured.
"""

from __future__ import annotations

from typing import Any

from mmreason.analysis.cost.measure_plan import CODES, PLANS, SHAPES, Plan
from mmreason.backbones.shape import Shape
from mmreason.layouts.llada import MASK
from mmreason.records import Cost

RATE, BANDWIDTH = 0.4 * 989e12, 3.35e12  # FLOP/s (40 % of an H100's peak in bfloat16) and bytes/s
TEXT_STEPS, LOCAL_STEPS, FULL_STEPS = 16, 8, 16
SIZES = (256, 512)  # pixels, as in ``Plan``
CODE_PIXELS = 16
ROWS = 8  # rollouts that share a pass


def real_cost(name: str = "dimoo") -> dict[str, Any]:
    """The arms of shape ``name`` at both sizes of picture, for one rollout; ``ROWS`` of them share a pass."""
    shape, plan = SHAPES[name], PLANS[name]
    sizes = {str(pixels): _arms(shape, plan, at) for at, pixels in enumerate(SIZES)}
    return {
        "shape": name,
        "parameters": shape.parameters,
        "by": "formula",
        "rows": ROWS,
        "turns": plan.turns,
        "steps": {"text": TEXT_STEPS, "local": LOCAL_STEPS, "full": FULL_STEPS},
        "pixels": sizes,
        "command": f"python -m mmreason compute --shape {name}",
    }


def _arms(shape: Shape, plan: Plan, at: int) -> dict[str, Any]:
    side = SIZES[at] // CODE_PIXELS
    whole, region = side * side, plan.region[at]
    costs = {
        "ar_full": _autoregressive(shape, plan, at, whole),
        "ar_local": _autoregressive(shape, plan, at, region),
    }
    for attention, suffix in (("full", ""), ("prefix", "_prefix")):
        costs[f"diffusion_full{suffix}"] = _diffusion(shape, plan, at, whole, FULL_STEPS, attention)
        costs[f"diffusion_local{suffix}"] = _diffusion(shape, plan, at, region, LOCAL_STEPS, attention)
    arms = {name: _row(shape, cost) for name, cost in costs.items()}

    def less(arm: str, than: str) -> float:
        return 1 - arms[arm]["flops"] / arms[than]["flops"]

    return {
        "arms": arms,
        "flops_reduction": less("diffusion_local", "ar_full"),
        "flops_reduction_within_diffusion": less("diffusion_local", "diffusion_full"),
        "flops_reduction_of_prefix": less("diffusion_local_prefix", "diffusion_local"),
        "flops_reduction_of_prefix_to_ar_full": less("diffusion_local_prefix", "ar_full"),
    }


def _row(shape: Shape, cost: Cost) -> dict[str, float]:
    arithmetic, reading = cost.flops / RATE, cost.forward_passes * 2 * shape.parameters / BANDWIDTH / ROWS
    return {
        "flops": cost.flops,
        "forward_passes": cost.forward_passes,
        "tokens_forwarded": cost.tokens_forwarded,
        "seconds": max(arithmetic, reading),
        "seconds_single": max(arithmetic, reading * ROWS),
    }


def _autoregressive(shape: Shape, plan: Plan, at: int, redrawn: int) -> Cost:
    """One token a pass on the native cache; a causal query is multiplied with the keys up to itself only."""
    context = plan.text[at] - plan.text_slots
    cost, keys = Cost(1, context, shape.flops(context, (context + 1) // 2)), context
    for segment in range(2 * plan.turns + 1):
        is_edit = segment % 2 == 1
        count, columns = (redrawn, CODES) if is_edit else (plan.text_slots, MASK)
        mean = keys + (count + 1) // 2
        cost = cost + Cost(count, count, shape.flops(count, mean, count, columns))
        keys += count
    return cost


def _diffusion(shape: Shape, plan: Plan, at: int, redrawn: int, edit_steps: int, attention: str) -> Cost:
    cost = Cost()
    kinds = ((plan.turns + 1, plan.text[at], plan.text_slots, TEXT_STEPS, MASK),)
    kinds += ((plan.turns, plan.edit[at], redrawn, edit_steps, CODES),)
    for segments, length, slots, steps, columns in kinds:
        for _ in range(segments):
            if attention == "full":
                one = shape.flops(length, length, slots, columns)
                cost = cost + Cost(steps, steps * length, steps * one)
                continue
            context = length - slots
            one = shape.flops(slots, length, slots, columns)
            cost = cost + Cost(1 + steps, context + steps * slots, shape.flops(context, context) + steps * one)
    return cost


COLUMNS = ("arm, one rollout", "TFLOPs", "passes", "tokens", "s (8 at once)", "s (alone)")


def rows(result: dict[str, Any]) -> list[list[str]]:
    """The arms in words, in the order of ``COLUMNS``."""
    return [
        [
            f"{name}, {pixels} px",
            f"{row['flops'] / 1e12:,.0f}",
            f"{row['forward_passes']:,}",
            f"{row['tokens_forwarded']:,}",
            f"{row['seconds']:.1f}",
            f"{row['seconds_single']:.1f}",
        ]
        for pixels, found in result["pixels"].items()
        for name, row in found["arms"].items()
    ]


def table(result: dict[str, Any]) -> str:
    """The arms as Markdown."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows(result)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
