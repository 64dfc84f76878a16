"""What ``measure`` measures: shapes, lengths, and random views of those lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers

from mmreason.backbones.shape import DIMOO, Shape
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.dimoo import FIRST_CODE
from mmreason.layouts.llada import MASK
from mmreason.layouts.view import View

CODES = 8192
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: lengths in tokens, at two sizes of picture."""

    rows: int = 8
    steps: int = 3
    text: tuple[int, int] = (520, 1304)  # a text view at 256 and at 512 pixels
    edit: tuple[int, int] = (730, 2298)  # an edit view, with the picture before and the one to fill
    text_slots: int = 32
    region: tuple[int, int] = (16, 64)  # four puzzle cells of 2 × 2 and of 4 × 4 codes
    turns: int = 4
    segment_steps: int = 8
    backward_tokens: int = 16_384
    rank: int = 16


SHAPES = {"dimoo": DIMOO, "tiny": Shape(width=64, layers=2, heads=4, inner=96, vocab=DIMOO.vocab)}
PLANS = {
    "dimoo": Plan(),
    "tiny": Plan(2, 2, (60, 90), (80, 120), 8, (4, 16), turns=1, segment_steps=2, backward_tokens=480, rank=4),
}


def text_view(length: int, slots: int, rng: np.random.Generator) -> View:
    """A prompt with a picture, then words to fill."""
    ids = rng.integers(0, 126_000, length)
    ids[-slots - 1 : -1] = MASK
    return View.of(ids, MASK)


def edit_view(length: int, region: int, rng: np.random.Generator) -> View:
    """A prompt with a picture, then a picture with a region to fill."""
    ids = rng.integers(FIRST_CODE, FIRST_CODE + CODES, length)
    ids[-2 * region : -region] = MASK
    return View.of(ids, MASK)


def alphabets(vocab: int) -> tuple[Alphabet, Alphabet]:
    """Words and codes, as Lumina-DiMOO numbers them."""
    ids = torch.arange(vocab)
    return Alphabet.of(ids < MASK), Alphabet.of((ids >= FIRST_CODE) & (ids < FIRST_CODE + CODES))


def machine(device: torch.device) -> dict[str, Any]:
    """What it runs on."""
    found = {"torch": torch.__version__, "transformers": transformers.__version__, "device": device.type}
    if device.type == "cuda":
        found |= {"gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)}
        found["memory_gib"] = str(round(torch.cuda.get_device_properties(device).total_memory / GIB, 1))
    return found
