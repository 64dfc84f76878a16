"""The sliders of the tab Cost: checked values in, the formula's bars and sentences out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmreason.analysis.cost.compute import arms_by_formula
from mmreason.analysis.cost.scaling import MODELS, break_even_share, model_of
from mmreason.analysis.cost.workload import Workload
from mmreason.errors import ConfigError
from mmreason.limits import Number, Whole
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.ui.cost.words import formula_bars
from mmreason.ui.host import checkpoints as host_checkpoints
from mmreason.ui.shell.words import percent

THIS_MODEL = "this one"
MODEL_NAMES = (THIS_MODEL, *MODELS)


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
    typical = Workload()
    at: dict[str, float] = asdict(typical) | workload
    share = 100 * at["region"] / max(1, at["canvas"])
    made = [
        Slider("region share", "Region, % of the canvas", 1, 100, 1, round(share)),
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


def recompute(values: tuple[Any, ...], model: Any, workload: dict[str, float]) -> tuple[dict[str, Any], list[Any]]:
    """Bars and sentences for the sliders' ``values``, in order, and the name of a model; raises ConfigError."""
    share, text_steps, image_steps, turns, side, group = (
        _number(slider, value) for slider, value in zip(sliders(workload), values, strict=True)
    )
    canvas = int(side) ** 2
    load = Workload(
        canvas=canvas,
        turns=int(turns),
        region=max(1, round(share / 100 * canvas)),
        thought=max(1, round(workload.get("thought", Workload().thought))),
        text_steps=text_steps,
        image_steps=image_steps,
        num_generations=int(group),
    )
    config = model_config(model)
    by_arm = arms_by_formula(config, load)
    return formula_bars(by_arm), formula_words(config, load, by_arm)


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
    """What these sizes mean, in sentences: the saving, and where an autoregressive model wins."""
    local, full, trick = by_arm["diffusion_local"], by_arm["ar_full"], by_arm["ar_local"]
    saving = 1 - local["flops"] / full["flops"]
    lines = [
        [
            "lead",
            f"Local diffusion spends {percent(abs(saving))} {'fewer' if saving >= 0 else 'more'} FLOPs than the "
            f"autoregressive full redraw, in {local['forward_passes']:.0f} forward passes instead of "
            f"{full['forward_passes']:.0f}.",
        ]
    ]
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
    return [*lines, ["plain", wins], ["plain", compared]]
