"""A progress line for long work: step, speed and time left, on one line of a terminal or a log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO


class ProgressLine:
    """Rewrites its line on a terminal; in a log it writes a line at most every ten seconds."""

    def __init__(self, name: str, out: TextIO) -> None:
        self.name, self.out = name, out
        self.first: tuple[float, int] | None = None
        self.written = 0.0

    def show(self, step: int, total: int, values: Mapping[str, float]) -> None:
        """Tell that ``step`` of ``total`` is done."""
        now = time.monotonic()
        if self.first is None:
            self.first = (now, step)
        terminal = self.out.isatty()
        if now - self.written < (0.2 if terminal else 10) and step < total:
            return
        self.written = now
        speed = (step - self.first[1]) / max(now - self.first[0], 1e-9)
        left = f"{(total - step) / speed / 60:.1f} min left" if speed > 0 else ""
        numbers = "  ".join(f"{name} {value:.3g}" for name, value in values.items())
        print(
            f"{self.name} {step}/{total}  {numbers}  {left}",
            end="\r" if terminal else "\n",
            file=self.out,
            flush=True,
        )

    def close(self, text: str) -> None:
        """End the line with a closing remark."""
        print(text, file=self.out, flush=True)


def step_values(row: Mapping[str, Any]) -> dict[str, float]:
    """What the line says of a row of a training's metrics."""
    names = {"text": "rewards/text/mean", "image": "rewards/image/mean", "seconds": "seconds"}
    return {name: row[key] for name, key in names.items() if row.get(key) is not None}
