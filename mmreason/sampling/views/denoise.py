"""Denoising of views on any backbone: one segment of each, or one turn's picture and words together, step by step.

Axes: B views, K slots, W columns of an alphabet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mmreason.backbones.backbone import Session
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.records import Frame
from mmreason.sampling.unmask import TIE, certainty, choose_positions, log_distribution, sample_tokens
from mmreason.sampling.views.maskgit import drawn_certainty
from mmreason.sampling.views.schedule import block_shares, joint_shares

LARGEST = 2**27  # logits of one look at some views: half a gigabyte, and several times that while tokens are drawn

Uniform = Callable[[int, int], torch.Tensor]  # (step from 0, slots) → (B, K) numbers in [0, 1)


@dataclass(frozen=True, slots=True)
class DenoiseConfig:
    """How the slots of a view are committed; the names are those of ``SamplingConfig``."""

    num_steps: int = 8
    temperature: float = 0.0  # 0 is greedy
    schedule: str = "equal"
    order: Literal["confidence", "entropy", "maskgit"] = "confidence"
    block_length: int | None = None  # slots of a block of semi-autoregressive text
    text_steps: int | None = None  # of the words of a turn denoised together; its picture has ``num_steps``
    tie: float = TIE  # relative width within which scores are equal and the first slots are taken

    @property
    def exact(self) -> bool:
        """True where the recorded log-probabilities add up to that of the segment."""
        return self.order != "maskgit"


Part = tuple[int, int, int]  # slots from, to, and how many of them are committed


def plan_of(view: View, config: DenoiseConfig) -> list[list[Part]]:
    """What each step commits: of one block of slots, or of a turn's codes and of its words.  Raises ConfigError."""
    slots = len(view.slots)
    if view.words:
        codes = slots - view.words
        shares = joint_shares(codes, view.words, config.text_steps or config.num_steps, config.num_steps)
        return [[(0, codes, of_codes), (codes, slots, of_words)] for of_codes, of_words in shares]
    size = config.block_length or slots
    shares = block_shares(slots, config.num_steps, config.schedule, config.block_length)
    return [[(number * size, (number + 1) * size, share)] for number, share in shares]


def denoise(
    session: Session,
    views: Sequence[View],
    alphabet: Alphabet,
    mask: int,
    config: DenoiseConfig,
    uniform: Uniform | None = None,
) -> Iterator[dict[int, Frame]]:
    """Yield after every step a frame of each view that was not yet done.

    ``uniform`` gives the numbers that tokens are drawn with (temperature 0 needs none).  The order of commitment
    depends on the distributions only, but for ``maskgit``.
    """
    sizes = [len(view.slots) for view in views]
    plans = [plan_of(view, config) for view in views]
    width = max(sizes, default=0)
    is_word_BK = torch.from_numpy(np.stack([np.pad(v.is_word, (0, width - len(v.slots))) for v in views]))
    tokens_BK = torch.full((len(views), width), mask)
    masked_BK = torch.arange(width) < torch.tensor(sizes, dtype=torch.long)[:, None]
    for step in range(max(map(len, plans), default=0)):
        going = [b for b, plan in enumerate(plans) if step < len(plan)]
        frames: dict[int, Frame] = {}
        numbers_BK = None if uniform is None else uniform(step, width)
        at_once = max(1, LARGEST // max(1, width * alphabet.width))
        for rows in (going[i : i + at_once] for i in range(0, len(going), at_once)):
            logits_RKW = session.logits(tokens_BK[rows], rows)
            alphabet = alphabet.to(logits_RKW.device)
            logp_RKW = log_distribution(logits_RKW, alphabet.at(is_word_BK[rows]), config.temperature)
            numbers_RK = torch.zeros(len(rows), width) if numbers_BK is None else numbers_BK[rows]
            drawn_RK = sample_tokens(logp_RKW, numbers_RK.to(logp_RKW.device), config.temperature)
            if config.order == "maskgit":
                score_RK = drawn_certainty(logp_RKW, drawn_RK)
            else:
                score_RK = certainty(logp_RKW, config.order)
            chosen_RK = torch.zeros_like(masked_BK[rows])
            for parts in zip(*(plans[b][step] for b in rows), strict=True):
                open_RK = masked_BK[rows] & _within(parts, width)
                quota_R = torch.tensor([count for *_, count in parts], device=score_RK.device)
                chosen_RK |= choose_positions(score_RK, open_RK.to(score_RK.device), quota_R, tie=config.tie).cpu()
            logprob_RK = logp_RKW.gather(-1, drawn_RK[..., None]).squeeze(-1).cpu()
            ids_RK = (drawn_RK + alphabet.first).cpu()
            tokens_BK[rows] = torch.where(chosen_RK, ids_RK, tokens_BK[rows])
            masked_BK[rows] &= ~chosen_RK
            for r, b in enumerate(rows):
                committed = chosen_RK[r].nonzero()[:, 0].tolist()
                logprobs = logprob_RK[r, committed].tolist()
                tokens = tuple(tokens_BK[b, : sizes[b]].tolist())
                frames[b] = Frame(step + 1, tokens, tuple(committed), tuple(logprobs))
        yield frames


def _within(parts: Sequence[Part], width: int) -> torch.Tensor:
    """Boolean (R, K): the slots of each row's part."""
    starts, stops = (torch.tensor([part[i] for part in parts])[:, None] for i in (0, 1))
    places_K = torch.arange(width)
    return (places_K >= starts) & (places_K < stops)
