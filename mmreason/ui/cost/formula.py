"""Other sizes, by formula: checked values in, one figure of cost against region share and sentences out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmreason.analysis.cost.compute import arms_by_formula
from mmreason.analysis.cost.scaling import MODELS, break_even_share, model_of
from mmreason.analysis.cost.workload import Workload, forward_passes, rollout_flops
from mmreason.errors import ConfigError
from mmreason.limits import Number, Whole
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.ui.cost.words import ARM_WORDS
from mmreason.ui.host import checkpoints as host_checkpoints
from mmreason.ui.shell.figure import QUIET, Data, axis, chart, line
from mmreason.wording import flops, percent

THIS_MODEL = "this one"
MODEL_NAMES = (THIS_MODEL, *MODELS)
LOOKS: dict[str, Data] = {
    "ar_full": {"colour": QUIET, "dash": "solid"},
    "ar_local": {"colour": QUIET, "dash": "dot"},
    "diffusion_full": {"colour": "accent", "dash": "dash"},
    "diffusion_local": {"colour": "accent", "dash": "solid", "weight": 3},
}


@dataclass(frozen=True, slots=True)
class Slider:
    """One quantity that a visitor may set."""

    name: str
    label: str
    low: float
    high: float
    step: float
    start: float


def sliders(workload: dict[str, float]) -> list[Slider]:
    """The sliders, standing at the measured ``workload`` where one is known."""
    at = _known(workload)
    made = [
        Slider("text steps", "Steps of a thought", 1, 12, 0.1, round(at["text_steps"], 1)),
        Slider("image steps", "Steps of an edit", 1, 12, 0.1, round(at["image_steps"], 1)),
        Slider("turns", "Turns", 1, 16, 1, round(at["turns"])),
        Slider("canvas side", "Canvas side, cells", 4, 32, 1, round(math.sqrt(max(1, at["canvas"])))),
        Slider("group size", "Rollouts of one problem", 1, 64, 1, round(at["num_generations"])),
    ]
    return [_inside(slider) for slider in made]


def _inside(slider: Slider) -> Slider:
    start = min(slider.high, max(slider.low, slider.start))
    return Slider(slider.name, slider.label, slider.low, slider.high, slider.step, start)


def _known(workload: dict[str, float]) -> dict[str, float]:
    return asdict(Workload()) | workload


def recompute(values: tuple[Any, ...], model: Any, workload: dict[str, float]) -> tuple[Data, list[list[str]]]:
    """Figure and sentences for the sliders' ``values``, in order, and the name of a model; raises ConfigError."""
    text_steps, image_steps, turns, side, group = (
        _number(slider, value) for slider, value in zip(sliders(workload), values, strict=True)
    )
    canvas = int(side) ** 2
    known = _known(workload)
    share = min(100, max(1, round(100 * known["region"] / max(1, known["canvas"]))))
    load = Workload(
        canvas=canvas,
        turns=int(turns),
        region=_region(share, canvas),
        thought=max(1, round(known["thought"])),
        text_steps=text_steps,
        image_steps=image_steps,
        num_generations=int(group),
    )
    config = model_config(model)
    return sizes_chart(config, load, share), formula_words(config, load, arms_by_formula(config, load))


def _region(share: int, canvas: int) -> int:
    return max(1, round(share / 100 * canvas))


def sizes_chart(config: InterleavedDiffusionConfig, load: Workload, share: int) -> Data:
    """FLOPs of the four arms against the share of the canvas that an edit redraws, the crossing marked."""
    shares = range(1, 101)
    full = {arm: rollout_flops(config, arm, load) for arm in ("ar_full", "diffusion_full")}  # whatever the region
    regions = {_region(each, load.canvas) for each in shares}
    by_region = {
        region: full
        | {arm: rollout_flops(config, arm, replace(load, region=region)) for arm in ("ar_local", "diffusion_local")}
        for region in regions
    }
    costs = [by_region[_region(each, load.canvas)] for each in shares]
    lines = [
        line(ARM_WORDS[arm], [(each, cost[arm]) for each, cost in zip(shares, costs, strict=True)], **look)
        for arm, look in LOOKS.items()
    ]
    crossing = break_even_share(config, load)
    rules = []
    if crossing is not None and crossing > 1 / load.canvas:
        at = 100 * crossing
        rules.append({"axis": "x", "at": at, "says": f"autoregressive cheaper from {at:.0f} % on"})
        mark = {"colour": "text", "mark": "circle-open", "size": 6, "weight": 0, "unnamed": True}
        lines.append(line("crossing", [(at, full["ar_full"])], **mark))
    spent = [cost for each in by_region.values() for cost in each.values()]
    passes = {arm: forward_passes(arm, load) for arm in ("diffusion_local", "ar_full")}
    return chart(
        "flops-against-region-share",
        "FLOPs a rollout, by how much of the canvas an edit redraws",
        axis("redrawn by an edit, % of the canvas", 0, 100, unit=" %"),
        axis("FLOPs a rollout", min(spent) / 1.4, max(spent) * 1.4, log=True),
        lines,
        ("redrawn %", "FLOPs a rollout"),
        says="Drag the line, or move it with the arrow keys.",
        labels="ends",
        rules=rules,
        drag={
            "name": "Share of the canvas that an edit redraws",
            "low": 1,
            "high": 100,
            "at": share,
            "says": [_at_share(each, cost, passes) for each, cost in zip(shares, costs, strict=True)],
        },
        height=400,
    )


def _at_share(share: int, cost: Mapping[str, float], passes: Mapping[str, float]) -> str:
    """The saving at one share of the canvas."""
    saving = 1 - cost["diffusion_local"] / cost["ar_full"]
    return (
        f"At {share} % of the canvas local diffusion spends {percent(abs(saving))} "
        f"{'fewer' if saving >= 0 else 'more'} FLOPs than the autoregressive full redraw "
        f"({flops(cost['diffusion_local'])} against {flops(cost['ar_full'])}), in {passes['diffusion_local']:.0f} "
        f"forward passes instead of {passes['ar_full']:.0f}."
    )


def _number(slider: Slider, value: Any) -> float:
    kind = Whole if slider.step == 1 else Number
    return kind(slider.name, slider.low, slider.high, slider.label).check(value)


def model_config(name: Any) -> InterleavedDiffusionConfig:
    """The sizes of the model called ``name``; raises ConfigError."""
    if name == THIS_MODEL:
        return _own_config(host_checkpoints.checkpoints_folder())
    if name not in MODELS:
        raise ConfigError(f"model must be one of {', '.join(MODEL_NAMES)}, got {str(name)[:40]!r}")
    return model_of(*MODELS[name])


@lru_cache(maxsize=2)
def _own_config(checkpoints: Path) -> InterleavedDiffusionConfig:
    """That of ``base``, or the default sizes where it is not here."""
    folder = checkpoints / "base" / "transformer"
    if not (folder / "config.json").is_file():
        return InterleavedDiffusionConfig()
    return InterleavedDiffusionConfig.from_pretrained(folder)


def formula_words(
    config: InterleavedDiffusionConfig, load: Workload, by_arm: dict[str, dict[str, float]]
) -> list[list[str]]:
    """Where an autoregressive model wins at these sizes, in sentences."""
    local, trick = by_arm["diffusion_local"], by_arm["ar_local"]
    share = break_even_share(config, load)
    if share is None:
        wins = "Here the autoregressive full redraw never wins on FLOPs, not even when an edit redraws everything."
    elif share <= 1 / load.canvas:
        wins = "Here the autoregressive full redraw wins on FLOPs however small the edits are."
    else:
        wins = f"The autoregressive full redraw wins on FLOPs once an edit redraws {percent(share)} of the canvas."
    more = local["flops"] / trick["flops"] - 1
    compared = (
        f"An autoregressive model that also draws only the region forwards every token once: local diffusion spends "
        f"{percent(abs(more))} {'more' if more >= 0 else 'fewer'} FLOPs than that, "
        f"in {trick['forward_passes'] / local['forward_passes']:.1f} times fewer forward passes."
    )
    if trick["forward_passes"] < local["forward_passes"]:
        compared = (
            f"An autoregressive model that also draws only the region needs fewer forward passes here, "
            f"{trick['forward_passes']:.0f}, and local diffusion spends {percent(abs(more))} "
            f"{'more' if more >= 0 else 'fewer'} FLOPs than it."
        )
    return [["plain", wins], ["plain", compared]]
