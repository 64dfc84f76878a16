"""Golden numbers of the reference implementations, see ``tests/parity/README.md``."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

PARITY = Path(__file__).parents[1] / "parity"
LAYERS, WIDTH, INNER, VOCAB = 3, 64, 96, 200
MASK = 199


@cache
def numbers(name: str) -> dict[str, np.ndarray]:
    """The arrays of ``name``.npz."""
    with np.load(PARITY / f"{name}.npz") as file:
        return dict(file)


@cache
def facts(name: str) -> Any:
    """The content of ``name``.json."""
    return json.loads((PARITY / f"{name}.json").read_text())


def mmada_left(slots: int, steps: int, of: int) -> list[int]:
    """Masks left after each step as MMaDA counts, by the canvas that the slots are a part ``of``, in 32 bits.

    One is left to the end of the loop, which then takes its last draw.
    """
    left, counts = slots, []
    for step in range(steps):
        angle = np.float32((step + 1) / steps) * np.float32(np.pi * 0.5)
        left = max(1, min(left - 1, int(np.floor(np.float32(of) * np.cos(angle)))))
        counts.append(left)
    return counts


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of the tiny reference network under the reference's names."""
    shapes = {"wte": (VOCAB, WIDTH), "ff_out": (VOCAB, WIDTH), "ln_f": (WIDTH,)}
    inside = {name: (WIDTH, WIDTH) for name in ("q_proj", "k_proj", "v_proj", "attn_out")}
    inside |= {"ff_proj": (INNER, WIDTH), "up_proj": (INNER, WIDTH), "ff_out": (WIDTH, INNER)}
    inside |= {"attn_norm": (WIDTH,), "ff_norm": (WIDTH,)}
    for layer in range(LAYERS):
        shapes |= {f"blocks.{layer}.{name}": shape for name, shape in inside.items()}
    return {f"model.transformer.{name}.weight": shape for name, shape in shapes.items()}


@cache
def reference_weights() -> dict[str, np.ndarray]:
    """The weights that the golden numbers were computed with, by the recipe of the README."""
    generator = np.random.Generator(np.random.Philox(20261127))
    weights = {}
    for name, shape in sorted(tensor_shapes().items()):
        drawn = generator.standard_normal(shape)
        weights[name] = (1 + 0.1 * drawn if len(shape) == 1 else 0.15 * drawn).astype(np.float32)
    return weights


def write_reference(folder: Path, family: str = "dimoo", weights: dict[str, np.ndarray] | None = None) -> Path:
    """A checkpoint folder as the reference class of ``family`` writes it, in two shards."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PARITY / f"backbone_{family}" / "config.json", folder / "config.json")
    weights = reference_weights() if weights is None else weights
    names = sorted(weights)
    files = {}
    for part, chosen in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{part:05d}-of-00002.safetensors"
        save_file({name: weights[name] for name in chosen}, folder / file, metadata={"format": "pt"})
        files |= dict.fromkeys(chosen, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return folder
