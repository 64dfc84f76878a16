"""A progress line for long work: step, speed and time left, on one line of a terminal or a log."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any, TextIO

from mmreason.training.run.remaining import Left
from mmreason.wording import duration

CLEAR = "\x1b[K"  # a terminal's word for the rest of the line


class ProgressLine:
    """Rewrites its line on a terminal; in a log it writes a line at most every ten seconds."""

    def __init__(self, name: str, out: TextIO) -> None:
        self.name, self.out = name, out
        self.first: tuple[float, int] | None = None
        self.written = 0.0

    def show(self, step: int, total: int, values: Mapping[str, float], left: str | None = None) -> None:
        """Tell that ``step`` of ``total`` is done; ``left`` in place of what the speed of all steps so far says."""
        now = time.monotonic()
        if self.first is None:
            self.first = (now, step)
        terminal = self.out.isatty()
        if now - self.written < (0.2 if terminal else 10) and step < total:
            return
        self.written = now
        if left is None:
            speed = (step - self.first[1]) / max(now - self.first[0], 1e-9)
            left = f"{duration((total - step) / speed)} left" if speed > 0 and step < total else ""
        numbers = (f"{name} {value:.3g}" for name, value in values.items())
        text = "  ".join(part for part in (f"{self.name} {step}/{total}", *numbers, left) if part)
        if terminal:  # a line that breaks is not rewritten by the next
            text = text[: shutil.get_terminal_size().columns - 1] + CLEAR
        print(text, end="\r" if terminal else "\n", file=self.out, flush=True)

    def close(self, text: str) -> None:
        """End the line with a closing remark."""
        print(f"{CLEAR}{text}" if self.out.isatty() else text, file=self.out, flush=True)


def left_words(left: Left | None) -> str:
    """The end of the line of a training that evaluates; empty where nothing is known or left."""
    named = () if left is None else ((left.steps, ""), (left.evaluations, " evaluating"))
    parts = [f"{duration(seconds)}{what}" for seconds, what in named if seconds]
    return f"{' + '.join(parts)} left" if parts else ""


def step_values(row: Mapping[str, Any]) -> dict[str, float]:
    """What the line says of a row of a training's metrics."""
    names = {"text": "rewards/text/mean", "image": "rewards/image/mean", "seconds": "seconds"}
    return {name: row[key] for name, key in names.items() if row.get(key) is not None}
