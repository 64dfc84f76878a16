"""The ids that a segment may hold, as a run of the vocabulary, so that only their logits are computed.

Axes: V vocabulary, W columns of the run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Alphabet:
    """Column w of logits is the id ``first`` + w; it may be sampled where ``allowed_W`` is True.

    In a turn denoised together slots of text may hold ``words_W`` and the others ``codes_W``.
    """

    first: int
    allowed_W: torch.Tensor
    codes_W: torch.Tensor | None = None
    words_W: torch.Tensor | None = None

    @classmethod
    def of(cls, allowed_V: torch.Tensor) -> Alphabet:
        """The shortest run that holds every True of ``allowed_V``."""
        allowed = allowed_V.nonzero()[:, 0]
        first, last = int(allowed[0]), int(allowed[-1])
        return cls(first, allowed_V[first : last + 1])

    @classmethod
    def of_turn(cls, codes: Alphabet, words: Alphabet) -> Alphabet:
        """The run that holds the alphabets of a picture and of a text."""
        first = min(words.first, codes.first)
        width = max(each.first + each.width for each in (words, codes)) - first
        parts = []
        for each in (codes, words):
            part_W = torch.zeros(width, dtype=torch.bool)
            part_W[each.first - first : each.first - first + each.width] = each.allowed_W.cpu()
            parts.append(part_W)
        return cls(first, parts[0] | parts[1], *parts)

    def at(self, is_word: torch.Tensor) -> torch.Tensor:
        """What slots may hold, (…, W); the same for all of them, (W,), but in a turn denoised together."""
        if self.codes_W is None or self.words_W is None:
            return self.allowed_W
        return torch.where(is_word[..., None].to(self.allowed_W.device), self.words_W, self.codes_W)

    @property
    def width(self) -> int:
        return len(self.allowed_W)

    @property
    def run(self) -> slice:
        """The run as rows of a head."""
        return slice(self.first, self.first + self.width)

    def to(self, device: torch.device) -> Alphabet:
        """The same alphabet on ``device``."""
        if self.codes_W is None or self.words_W is None:
            return replace(self, allowed_W=self.allowed_W.to(device))
        parts = (each.to(device) for each in (self.allowed_W, self.codes_W, self.words_W))
        return Alphabet(self.first, *parts)
