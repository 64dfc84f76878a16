"""What full attention costs beside attention in blocks, in words."""

from __future__ import annotations

from pydantic import BaseModel

from mmreason.analysis.results_file import Finite, Positive, read_results
from mmreason.wording import percent

FILE, COMMAND = "compute_bidirectional.json", "python -m mmreason compute --bidirectional checkpoints/base-full"


class Solved(BaseModel):
    """An arm's share of solved puzzles."""

    success: Finite


class Attentions(BaseModel):
    """``compute_bidirectional.json``, what the page uses of it."""

    arms: dict[str, Solved]
    times: dict[str, dict[str, Positive]]
    batch_size: int
    command: str


def attention_words() -> list[list[str]]:
    """What not being able to cache costs, as the component ``prose`` takes it."""
    found, why_not = read_results(Attentions, FILE, COMMAND, "attention in blocks beside full attention")
    if found is None:
        return [["plain", why_not]]
    times = found.times["local"]
    blocks, whole = (found.arms[f"{policy}_local"].success for policy in ("blocks", "whole"))
    return [
        [
            "plain",
            "In full attention what was generated before looks at what is being denoised, so that nothing can be kept "
            "and every step forwards the whole view. A policy of the same size that was trained on to do so, "
            f"base-full, spends {_times(times['flops'])} the FLOPs of base on the same local edits: "
            f"{_times(times['seconds'])} the seconds in a batch of {found.batch_size}, and "
            f"{_times(times['seconds_single'])} alone. Scoring a rollout in training takes "
            f"{_times(times['update_flops'])} the FLOPs. It solves {percent(whole)} of medium puzzles, base "
            f"{percent(blocks)}.",
        ],
        ["code", found.command],
    ]


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times"
