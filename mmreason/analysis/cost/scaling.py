"""How the arms' cost grows with canvas, turns, region and model size: by formula, and in measured seconds."""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from mmreason.analysis.cost.workload import ARMS, Workload, forward_passes, forwards, rollout_flops
from mmreason.models.cache import PrefixCache
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.training.hardware import fair_clock

CANVASES = (64, 256, 1024)  # 8×8, 16×16, 32×32 cells
TURNS = (2, 4, 8, 16)
REGION_SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
MODELS = {  # layers, width, vocabulary; heads and the inner width (4 × width) follow
    "0.1 billion": (12, 768, 32_768),
    "1 billion": (24, 1792, 65_536),
    "8 billion": (36, 4096, 131_072),
}


def model_of(layers: int, width: int, vocabulary: int) -> InterleavedDiffusionConfig:
    """A configuration of that size; nothing is built."""
    return InterleavedDiffusionConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers
    )


def scaling(config: InterleavedDiffusionConfig, load: Workload) -> list[dict[str, Any]]:
    """FLOPs of every arm for all canvases, turns, regions and models around the measured ``load``.

    ``reduction`` is that of local diffusion against AR's full redraw; where it is negative, AR wins.
    """
    models = {"this one": config} | {name: model_of(*sizes) for name, sizes in MODELS.items()}
    rows = []
    for name, sizes in models.items():
        for canvas in CANVASES:
            for turns in TURNS:
                for share in REGION_SHARES:
                    here = replace(load, canvas=canvas, turns=turns, region=max(1, round(share * canvas)))
                    flops = {arm: rollout_flops(sizes, arm, here) for arm in ARMS}
                    rows.append(
                        {"model": name, "canvas": canvas, "turns": turns, "region_share": share}
                        | {"flops": flops, "reduction": 1 - flops["diffusion_local"] / flops["ar_full"]}
                    )
    return rows


def break_even_share(config: InterleavedDiffusionConfig, load: Workload) -> float | None:
    """The smallest region share at which local diffusion costs as much as AR's full redraw; None if none does."""
    full = rollout_flops(config, "ar_full", load)
    regions = range(1, load.canvas + 1)  # the larger one is, the more it costs
    found = bisect_left(
        regions, full, key=lambda region: rollout_flops(config, "diffusion_local", replace(load, region=region))
    )
    return None if found == len(regions) else regions[found] / load.canvas


def measured_scaling(
    config: InterleavedDiffusionConfig,
    load: Workload,
    shares: tuple[float, ...] = (0.1, 0.5),
    device: str = "cpu",
    on_progress: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Seconds of one rollout alone for each arm, canvas and region share, with untrained weights of this size.

    What is timed are the forwards of the ``load`` one by one, with cache and scores, so it knows no task: tasks
    are drawn on 8 × 8 cells.
    """
    rows = []
    for canvas in CANVASES:
        model = _untrained(config, math.isqrt(canvas)).to(device)  # pyright: ignore[reportArgumentType]
        for share in shares:
            here = replace(load, canvas=canvas, region=max(1, round(share * canvas)))
            row: dict[str, Any] = {"canvas": canvas, "turns": here.turns, "region_share": share, "arms": {}}
            for arm in ARMS:
                if on_progress is not None:
                    on_progress(f"{math.isqrt(canvas)} × {math.isqrt(canvas)} cells, {share:.0%} redrawn: {arm}")
                row["arms"][arm] = {
                    "seconds": rollout_seconds(model, arm, here),
                    "flops": rollout_flops(config, arm, here),
                    "forward_passes": forward_passes(arm, here),
                }
            full, local = row["arms"]["ar_full"], row["arms"]["diffusion_local"]
            rows.append(row | {"time_ratio": full["seconds"] / local["seconds"]})
    return rows


def _untrained(config: InterleavedDiffusionConfig, side: int) -> InterleavedDiffusionModel:
    """A policy of this size for a canvas of ``side`` × ``side`` cells."""
    larger = copy.deepcopy(config)
    larger.vocab_size += side * side - config.grid_size * config.grid_size  # a word for every cell
    larger.grid_size = side
    return InterleavedDiffusionModel(larger).eval()


@torch.no_grad()
def rollout_seconds(model: InterleavedDiffusionModel, arm: str, load: Workload) -> float:
    """Seconds of the forwards of one rollout, each weighted by its count."""
    config, device = model.config, model.device
    cache = PrefixCache(
        config.num_hidden_layers, config.num_attention_heads, config.hidden_size // config.num_attention_heads
    )
    cache.allocate(model.norm.weight, 1)
    steps = list(forwards(arm, load))
    seconds, clock = 0.0, fair_clock()
    for step, after in zip(steps, [*steps[1:], steps[-1]], strict=True):
        ids = torch.zeros(1, step.width, dtype=torch.long, device=device)
        places = torch.zeros(1, step.width, 8 if config.causal else 5, dtype=torch.long, device=device)
        mask = torch.ones(1, 1, step.width, step.cached + step.width, dtype=torch.bool, device=device)
        keep = torch.arange(step.width, device=device)[None] < after.cached - step.cached
        wanted = torch.arange(step.scored, device=device)
        began = clock()
        cache.reserve(step.cached + step.width)
        output = model(ids, places, mask, cache=cache, keep_BL=keep if bool(keep.any()) else None, wanted_N=wanted)
        scores = model.logits(output.hidden_BLD[:, : step.scored])
        if device.type != "cpu":
            float(scores.sum())  # waits for the device
        seconds += step.count * (clock() - began)
    return seconds
