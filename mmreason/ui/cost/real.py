"""What a real 8 B checkpoint costs, in words: by formula, and measured where a GPU was had."""

from __future__ import annotations

from typing import Any

from mmreason.analysis.cost.real import COLUMNS, rows
from mmreason.analysis.results_file import stored_or_none
from mmreason.ui.cost.words import ARM_WORDS


def real_table() -> dict[str, Any] | None:
    """The arms as the component ``table`` takes them; None where there is no results file."""
    formula = stored_or_none("compute_dimoo")
    if formula is None:
        return None
    named = [[_arm(arm), *figures] for arm, *figures in rows(formula)]
    return {"summary": "The arms in figures", "columns": list(COLUMNS), "rows": named}


def _arm(said: str) -> str:
    """An arm such as "ar_full_prefix, 256 px" without code names."""
    name, _, size = said.partition(", ")
    attention = " in prefix" if name.endswith("_prefix") else ""
    return f"{ARM_WORDS[name.removesuffix('_prefix')]}{attention}, {size}"


def real_words() -> list[list[str]]:
    """What they come to, as the component ``prose`` takes it; empty where there is no results file."""
    formula, measured = stored_or_none("compute_dimoo"), stored_or_none("measure_gpu")
    if formula is None:
        return []
    at = formula["pixels"]["512"]
    arms = at["arms"]
    passes = arms["ar_full"]["forward_passes"] / arms["diffusion_local"]["forward_passes"]
    parts = [
        f"By formula, at {formula['parameters'] / 1e9:.2f} B parameters; nothing in this table is measured. At 512 "
        f"pixels local edits take {_change(at['flops_reduction_within_diffusion'])} than full redraws by the same "
        "model, since in full attention every step forwards the whole view. The same edits in “prefix”, which the "
        f"public weights were not trained for, take {_change(at['flops_reduction_of_prefix'])} than those.",
        "An autoregressive model of the same shape that redraws the whole picture on its native cache computes less: "
        f"local edits in full attention take {_change(at['flops_reduction'])}, and in “prefix” "
        f"{_change(at['flops_reduction_of_prefix_to_ar_full'])}. What diffusion saves at this size "
        f"is passes, {passes:.0f} times fewer, and so time where a rollout is alone, against the full redraw; an "
        "autoregressive model with the same edits is faster still, unless diffusion runs in “prefix”.",
    ]
    steps = [] if measured is None else [(n, p) for n, p in measured.get("parts", {}).items() if "seconds_a_step" in p]
    if measured is not None and steps:
        said = ", ".join(f"{name.replace('_', ' ')} px {part['seconds_a_step']:.2f} s" for name, part in steps)
        gpu = measured.get("machine", {}).get("gpu", "a GPU")
        parts.append(f"Measured on {gpu}, a denoising step of {steps[0][1].get('rows', 8)} rows: {said}.")
    return [["plain", part] for part in parts]


def _change(reduction: float) -> str:
    """Against what else it would take; more than half again as much is said as a multiple."""
    if reduction < -0.5:
        return f"{1 - reduction:.2g} times the FLOPs"
    return f"{abs(100 * reduction):.0f} % {'fewer' if reduction >= 0 else 'more'} FLOPs"
