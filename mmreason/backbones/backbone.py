"""What every backbone can do: denoise views, and score what was committed, with gradients.

Axes: B views, K slots, W columns of an alphabet, N scored tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch

from mmreason.errors import ConfigError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.records import Cost

Attention = Literal["blocks", "full", "prefix"]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A segment's slots as they stood at one denoising step, and what was committed there.

    Snapshots of one segment share one ``view`` object, which lets a backbone pack them.
    """

    view: View
    tokens: np.ndarray  # (K,) ids at the slots, the mask id where still masked
    places: np.ndarray  # (N,) indices into the slots
    targets: np.ndarray  # (N,) ids committed at ``places``


class Session(Protocol):
    """Views that are being denoised."""

    cost: Cost

    def logits(self, tokens_BK: torch.Tensor, rows: Sequence[int] | None = None) -> torch.Tensor:
        """(B, K, W) guided logits of the slots, given the ids in them now; of the views ``rows`` (default: all).

        What lies beyond a view's own slots means nothing.
        """
        ...


class Backbone(Protocol):
    """A network with one attention mode; ``native`` where its weights were trained with that mode."""

    attention: Attention

    @property
    def native(self) -> bool: ...

    def open(self, views: Sequence[View], alphabet: Alphabet, guidance: Sequence[float] = ()) -> Session:
        """Begin to denoise ``views``; ``guidance`` has a scale for each of their twins."""
        ...

    def scored(
        self, snapshots: Sequence[Snapshot], alphabet: Alphabet, guidance: Sequence[float] = ()
    ) -> torch.Tensor:
        """(N, W) guided logits of every scored token, snapshots in order, with gradients."""
        ...

    def micro_batches(
        self, snapshots: Sequence[Snapshot], max_tokens: int, guidance: Sequence[float] = ()
    ) -> list[list[int]]:
        """Indices of snapshots that fit in ``max_tokens`` forwarded at once; one that alone needs more is alone."""
        ...


def guided(logits: torch.Tensor, twins: Sequence[torch.Tensor], scales: Sequence[float]) -> torch.Tensor:
    """Logits moved away from those of each twin: c + Σ s (c − u), in at least 32 bits.

    With one twin that is classifier-free guidance (arXiv 2207.12598) as the public checkpoints write it, with two
    (without the text, without the picture) their editing formula.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    moved = wide
    for twin, scale in zip(twins, scales, strict=True):
        moved = moved + scale * (wide - twin)
    return moved


def guided_codes(
    logits: torch.Tensor, twins: Sequence[torch.Tensor], scales: Sequence[float], is_word: np.ndarray
) -> torch.Tensor:
    """``guided``, but for the words of a turn denoised together, as MMaDA-Parallel guides its pictures alone."""
    moved = guided(logits, twins, scales)
    if not scales or not is_word.any():
        return moved
    return torch.where(torch.from_numpy(is_word)[:, None].to(moved.device), logits.to(moved.dtype), moved)


def check_guidance(guidance: Sequence[float]) -> None:
    """Refuse scales for twins that a family does not have; raises ConfigError."""
    if any(guidance):
        raise ConfigError(f"guidance must be left out for this checkpoint, which knows none, got {list(guidance)}")
