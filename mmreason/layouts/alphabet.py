"""The ids that a segment may hold, as a run of the vocabulary, so that only their logits are computed.

Axes: V vocabulary, W columns of the run.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Alphabet:
    """Column w of logits is the id ``first`` + w; it may be sampled where ``allowed_W`` is True."""

    first: int
    allowed_W: torch.Tensor

    @classmethod
    def of(cls, allowed_V: torch.Tensor) -> Alphabet:
        """The shortest run that holds every True of ``allowed_V``."""
        allowed = allowed_V.nonzero()[:, 0]
        first, last = int(allowed[0]), int(allowed[-1])
        return cls(first, allowed_V[first : last + 1])

    @property
    def width(self) -> int:
        return len(self.allowed_W)

    @property
    def run(self) -> slice:
        """The run as rows of a head."""
        return slice(self.first, self.first + self.width)

    def to(self, device: torch.device) -> Alphabet:
        """The same alphabet on ``device``."""
        return Alphabet(self.first, self.allowed_W.to(device))
