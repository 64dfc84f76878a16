"""What the prompts and rollouts of a file are called: each like no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def at_step(name: str, step: int | None) -> str:
    """Prompts come back at every step of a training, each time for another group."""
    return name if step is None else f"{name} at step {step}"


def apart(names: Sequence[str]) -> list[str]:
    """``names`` so that none comes twice: ``a``, ``a′``, ``a′2``, ``a′3`` …"""
    found: dict[str, None] = {}
    again: Counter[str] = Counter()  # how often each of them was wanted for one more
    for wanted in names:
        name = wanted
        while name in found:
            again[wanted] += 1
            name = f"{wanted}′{again[wanted]}" if again[wanted] > 1 else f"{wanted}′"
        found[name] = None
    return list(found)
