"""A turn's picture and words denoised in one view, as MMaDA-Parallel does it.

Each step is one forward; codes and words are committed in orders of their own, by the distributions alone, so the
log-probabilities add up to that of the turn.

Axes: K slots (codes first, then words), W columns of both alphabets.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch

from mmreason.backbones.backbone import Session
from mmreason.layouts.alphabet import Alphabet
from mmreason.records import Frame
from mmreason.sampling.unmask import certainty, choose_positions, log_distribution, sample_tokens
from mmreason.sampling.views.denoise import Uniform
from mmreason.sampling.views.schedule import joint_image_left, joint_text_shares


def both(words: Alphabet, codes: Alphabet) -> Alphabet:
    """The run that holds two alphabets; a session of a joint view is opened with it."""
    first = min(words.first, codes.first)
    allowed_W = torch.zeros(max(each.first + each.width for each in (words, codes)) - first, dtype=torch.bool)
    for each in (words, codes):
        allowed_W[each.first - first : each.first - first + each.width] |= each.allowed_W.cpu()
    return Alphabet(first, allowed_W)


def joint_shares(codes: int, words: int, text_steps: int, image_steps: int) -> list[tuple[int, int]]:
    """(codes, words) committed at each step that commits any; the last one takes the code that is left."""
    left = [codes, *joint_image_left(codes, text_steps, image_steps)]
    left[-1] = 0
    of_codes = [before - after for before, after in itertools.pairwise(left)]
    return [pair for pair in zip(of_codes, joint_text_shares(words, text_steps), strict=True) if any(pair)]


def denoise_together(
    session: Session,
    num_codes: int,
    num_words: int,
    codes: Alphabet,
    words: Alphabet,
    mask: int,
    steps: tuple[int, int] = (128, 64),
    temperature: float = 0.0,
    uniform: Uniform | None = None,
) -> Iterator[Frame]:
    """Yield a frame of the one view of ``session`` after every step; ``steps`` of text and of picture.

    The session was opened with ``both``; slots are ``num_codes`` codes, then ``num_words`` words.
    """
    alphabet, slots = both(words, codes), num_codes + num_words
    ids_W = torch.arange(alphabet.width) + alphabet.first
    of_codes_W, of_words_W = (
        (ids_W >= each.first) & (ids_W < each.first + each.width) & alphabet.allowed_W for each in (codes, words)
    )
    is_code_K = torch.arange(slots) < num_codes
    allowed_KW = torch.where(is_code_K[:, None], of_codes_W, of_words_W)
    tokens_1K = torch.full((1, slots), mask)
    masked_1K = torch.ones(1, slots, dtype=torch.bool)
    for step, quotas in enumerate(joint_shares(num_codes, num_words, *steps)):
        logits = session.logits(tokens_1K)
        logp_1KW = log_distribution(logits, allowed_KW.to(logits.device), temperature)
        numbers_1K = torch.zeros(1, slots) if uniform is None else uniform(step, slots)
        drawn_1K = sample_tokens(logp_1KW, numbers_1K.to(logits.device), temperature)
        score_1K = certainty(logp_1KW, "confidence")
        chosen_1K = torch.zeros(1, slots, dtype=torch.bool)
        for kind_K, quota in zip((is_code_K, ~is_code_K), quotas, strict=True):
            open_1K = (masked_1K & kind_K).to(logits.device)
            chosen_1K |= choose_positions(score_1K, open_1K, torch.tensor([quota], device=logits.device)).cpu()
        logprob_1K = logp_1KW.gather(-1, drawn_1K[..., None]).squeeze(-1).cpu()
        tokens_1K = torch.where(chosen_1K, drawn_1K.cpu() + alphabet.first, tokens_1K)
        masked_1K &= ~chosen_1K
        committed = chosen_1K[0].nonzero()[:, 0].tolist()
        logprobs = logprob_1K[0, committed].tolist()
        yield Frame(step + 1, tuple(tokens_1K[0].tolist()), tuple(committed), tuple(logprobs))
