"""How many masks each denoising step commits, as pure functions.

``equal`` gives equal shares, the remainder first (LLaDA, arXiv 2502.09992); ``cosine`` begins slowly (MaskGIT,
arXiv 2202.04200), computed in 32 bits as the public checkpoints' samplers do: 64 bits give other counts at some
steps.  ``tests/sampling/views/test_schedule.py`` holds them against those samplers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from mmreason.errors import ConfigError


def equal_shares(slots: int, steps: int) -> list[int]:
    """Masks committed at each step; there are no empty steps, so at most ``slots`` of them."""
    steps = min(steps, slots)
    return [slots // steps + (step < slots % steps) for step in range(steps)]


def _cosine(slots: int, progress: float) -> int:
    """Masks left at ``progress`` (from 0 to 1)."""
    angle = np.float32(progress) * np.float32(np.pi * 0.5)
    return int(np.floor(np.float32(slots) * np.cos(angle)))


def cosine_left(slots: int, steps: int) -> list[int]:
    """Masks left after each step; every step commits at least one while there are any."""
    left, counts = slots, []
    for step in range(steps):
        share = _cosine(slots, (step + 1) / steps)
        left = min(max(1, share), left - 1) * (step + 1 < steps)
        counts.append(left)
        if left == 0:
            break
    return counts


def cosine_shares(slots: int, steps: int) -> list[int]:
    """Masks committed at each step."""
    left = [slots, *cosine_left(slots, steps)]
    return [before - after for before, after in itertools.pairwise(left)]


SCHEDULES: dict[str, Callable[[int, int], list[int]]] = {"equal": equal_shares, "cosine": cosine_shares}


def block_shares(slots: int, steps: int, schedule: str = "equal", block: int | None = None) -> list[tuple[int, int]]:
    """(number of the block, masks committed in it) of each step: semi-autoregressive where ``block`` is less.

    Blocks of ``block`` slots are denoised one after the other and share the steps; later ones are masked, but
    seen.  Raises ConfigError where slots or steps do not divide.
    """
    if schedule not in SCHEDULES:
        raise ConfigError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    if steps < 1:
        raise ConfigError(f"num_steps must be at least 1, got {steps}")
    if slots == 0:
        return []
    size = min(block or slots, slots)
    count = -(-slots // size)
    if block is not None and (slots % size or steps % count):
        raise ConfigError(
            f"block_length must divide the {slots} slots, and num_steps be a multiple of the blocks; "
            f"got block_length {block} and num_steps {steps}"
        )
    return [(b, share) for b in range(count) for share in SCHEDULES[schedule](size, steps // count)]


def joint_image_steps(text_steps: int, image_steps: int) -> list[int]:
    """Text steps (from 0) at which a picture denoised together with its text commits codes (MMaDA-Parallel)."""
    return np.linspace(text_steps // 4, text_steps - 1, image_steps).round().astype(int).tolist()


def joint_image_left(slots: int, text_steps: int, image_steps: int) -> list[int]:
    """Codes masked after each text step.  What is left at the end, one, is drawn with the last step's others."""
    at, left, counts = set(joint_image_steps(text_steps, image_steps)), slots, []
    for step in range(text_steps):
        if step in at:
            left = max(1, min(left, _cosine(slots, (step + 1) / text_steps)))
        counts.append(left)
    return counts


def joint_shares(codes: int, words: int, text_steps: int, image_steps: int) -> list[tuple[int, int]]:
    """(codes, words) committed at each step that commits any; the last one takes the code that is left."""
    left = [codes, *joint_image_left(codes, text_steps, image_steps)]
    left[-1] = 0
    of_codes = [before - after for before, after in itertools.pairwise(left)]
    return [pair for pair in zip(of_codes, joint_text_shares(words, text_steps), strict=True) if any(pair)]


def joint_text_shares(slots: int, steps: int) -> list[int]:
    """Words committed at each step beside a picture: by what is then to be left, so that some steps have none."""
    left = [slots, *(int(slots * (1 - (step + 1) / steps)) for step in range(steps))]
    return [before - after for before, after in itertools.pairwise(left)]
