"""How the arms' cost grows, by formula: with canvas, turns, region and model size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mmreason.analysis.workload import ARMS, Workload, rollout_flops
from mmreason.models.configuration import InterleavedDiffusionConfig

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
    for region in range(1, load.canvas + 1):
        if rollout_flops(config, "diffusion_local", replace(load, region=region)) >= full:
            return region / load.canvas
    return None
