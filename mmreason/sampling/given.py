"""Segments that a rollout is given to start from, and the changes that make a counterfactual of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from mmreason.errors import ConfigError
from mmreason.layouts.cells import CellsLayout, clean_length
from mmreason.records import Segment


def check_given(segments: Sequence[Segment], max_turns: int, layout: CellsLayout, task: str) -> None:
    """Refuse what no rollout on a problem of ``task`` begins with; raises ConfigError.

    Right are finished segments, a thought and an edit a turn from turn 1, ending with either, joint turns whole.
    """
    slots = layout.slots(task)
    if layout.joint and len(segments) % 2:
        raise ConfigError(f"segments must be whole turns for a model that denoises turns jointly, got {len(segments)}")
    for number, segment in enumerate(segments):
        kind, turn = ("edit" if number % 2 else "thought"), number // 2 + 1
        if (segment.kind, segment.turn) != (kind, turn):
            raise ConfigError(
                f"segments[{number}] must be the {kind} of turn {turn}, got {segment.kind} of {segment.turn}"
            )
        if sum(len(frame.committed) for frame in segment.frames) != len(segment.tokens):
            raise ConfigError(f"segments[{number}] must be finished, got one with masks left")
        if kind == "thought" and (words := clean_length(segment.tokens, layout.vocabulary.end)) > slots:
            raise ConfigError(f"segments[{number}] must be a thought of at most {slots} tokens, got {words}")
    if segments and segments[-1].turn > max_turns:
        raise ConfigError(f"segments must end by turn {max_turns}, got turn {segments[-1].turn}")


def skip_draws(generator: torch.Generator, units: Sequence[Sequence[Segment]]) -> None:
    """Advance ``generator`` as the sampler did while it made ``units``, so that what follows is the same."""
    for unit in units:
        size = sum(len(segment.tokens) for segment in unit)
        for _ in range(max(segment.frames[-1].step if segment.frames else 0 for segment in unit)):
            torch.rand(size, generator=generator)


def reworded(thought: Segment, text: str, layout: CellsLayout) -> Segment:
    """``thought`` saying ``text``, in as many steps as before, each at probability 1; raises ConfigError."""
    said = text.split()
    slots = len(thought.tokens)
    if not 0 < len(said) < slots:
        raise ConfigError(f"a thought must have 1 to {slots - 1} words, got {len(said)}")
    ids = layout.filled(layout.write(text), slots)
    return replace(_forced(thought, ids, layout.mask), text=" ".join(said))


def redrawn(edit: Segment, cell: int, token: int, mask: int) -> Segment:
    """``edit`` with image token ``token`` at the flat canvas index ``cell``; raises ConfigError."""
    if cell not in edit.cells:
        raise ConfigError(f"the edit has no cell {cell}; it redraws {', '.join(map(str, edit.cells))}")
    ids = [token if here == cell else old for here, old in zip(edit.cells, edit.tokens, strict=True)]
    return _forced(edit, ids, mask)


def _forced(segment: Segment, ids: Sequence[int], mask: int) -> Segment:
    """The segment with other tokens, committed as before; what was changed has probability 1 and no verdict."""
    shown, frames = [mask] * len(ids), []
    for frame in segment.frames:
        for i in frame.committed:
            shown[i] = ids[i]
        kept = zip(frame.committed, frame.logprobs, strict=True)
        logprobs = tuple(logprob if ids[i] == segment.tokens[i] else 0.0 for i, logprob in kept)
        frames.append(replace(frame, tokens=tuple(shown), logprobs=logprobs))
    return replace(segment, tokens=tuple(ids), frames=tuple(frames), reward=None, verdict=None, transition=None)
