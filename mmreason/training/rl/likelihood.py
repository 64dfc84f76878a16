"""Log-probabilities of traces, with gradients, in one packed forward.

``trajectory`` is exact: a noisy copy of a segment for every denoising step, as the sampler saw it, scored
where it committed tokens.  ``one_step`` masks every segment fully, once (d1, arXiv 2504.12216);
``random_mask`` masks a random part that old and new policy share (MMaDA, arXiv 2505.15809), of each segment a share
drawn for it, or of a whole rollout's tokens the same ``mask_share``.

Axes: B traces in a batch, L packed positions, N scored tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from mmreason.errors import ConfigError
from mmreason.layouts.cells import CellsLayout, Piece
from mmreason.layouts.packing import Packed, pack_blocks
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Segment, Trace
from mmreason.sampling.unmask import log_distribution
from mmreason.training.rl.config import LIKELIHOODS

MAX_TOKENS = 8192  # positions forwarded at once where nothing else is said: they keep a GPU busy
CPU_MAX_TOKENS = 2048  # a CPU is no slower with these, and needs a quarter of the memory: about 0.5 GB of gradients


@dataclass(frozen=True, slots=True)
class ScoredTokens:
    """Packed traces and the tokens to score: where they lie, what they are, and whose they are."""

    packed: Packed
    row_N: torch.Tensor
    column_N: torch.Tensor
    token_N: torch.Tensor
    trace_N: torch.Tensor  # index into the traces given
    segment_N: torch.Tensor  # index into the trace's segments
    is_image_N: torch.Tensor

    @property
    def num_positions(self) -> int:
        """Positions forwarded, padding included."""
        return self.packed.ids_BL.numel()


def noisy_copies(
    segment: Segment, kind: str, mask: int, rng: np.random.Generator | None, mask_share: float | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(ids, positions to score) of each noisy copy of a segment; none if ``mask_share`` happened to hide nothing."""
    tokens = np.array(segment.tokens)
    if kind == "trajectory":
        copies = []
        hidden = np.ones(len(tokens), dtype=bool)
        for frame in segment.frames:
            copies.append((np.where(hidden, mask, tokens), np.array(frame.committed, dtype=np.int64)))
            hidden[list(frame.committed)] = False
        return copies
    hidden = np.ones(len(tokens), dtype=bool)
    if kind == "random_mask":
        if rng is None:
            raise ConfigError("random_mask needs a generator a trace, so that its masks can be drawn again")
        if mask_share is None:
            hidden = rng.random(len(tokens)) < rng.random()
            hidden[rng.integers(len(tokens))] = True
        else:
            hidden = rng.random(len(tokens)) < mask_share
            if not hidden.any():
                return []
    return [(np.where(hidden, mask, tokens), np.flatnonzero(hidden))]


class Extent(NamedTuple):
    """Columns of packed rows: clean ones, blocks of text, blocks of edits and the width of either."""

    clean: int = 0
    texts: int = 0
    edits: int = 0
    width: int = 0
    text_width: int = 0

    @property
    def columns(self) -> int:
        return self.clean + self.texts * self.text_width + self.edits * self.width

    def around(self, other: Extent) -> Extent:
        """The extent of a batch that holds both; it may exceed either."""
        return Extent(*map(max, self, other))


@dataclass(frozen=True, slots=True)
class Row:
    """The pieces of one trace, and (noisy piece, position in it, token, segment) of every token to score."""

    clean: list[Piece]
    noisy: list[Piece]
    scored: list[tuple[int, int, int, int]]

    @property
    def widest(self) -> int:
        """Tokens of the largest edit; rows of like edits are packed together."""
        return max((len(piece.ids) for piece in self.noisy if piece.is_edit), default=0)

    @property
    def extent(self) -> Extent:
        """What this row needs when it is packed alone."""
        edits = sum(piece.is_edit for piece in self.noisy)
        text_width = max((len(piece.ids) for piece in self.noisy if not piece.is_edit), default=0)
        clean = sum(len(piece.ids) for piece in self.clean)
        return Extent(clean, len(self.noisy) - edits, edits, self.widest, text_width)


def trace_row(
    trace: Trace,
    layout: CellsLayout,
    kind: str = "trajectory",
    rng: np.random.Generator | None = None,
    wanted: Sequence[bool] | None = None,
    mask_share: float | None = None,
) -> Row:
    """Noisy copies of a trace's segments, or of those ``wanted``, and clean ones as far as these look back."""
    chosen = [s for s in range(len(trace.segments)) if wanted is None or wanted[s]]
    clean = [layout.problem_piece(layout.vocabulary.prompt(trace.problem), trace.canvas_tokens)]
    clean += [layout.clean_piece(segment) for segment in trace.segments[: max(chosen, default=0)]]
    noisy: list[Piece] = []
    scored = []
    for s, segment in enumerate(trace.segments):
        copies = noisy_copies(segment, kind, layout.mask, rng, mask_share)  # of all, so that masks stay the same
        for copy, (ids, positions) in enumerate(copies if s in chosen else [], start=1):
            scored += [(len(noisy), int(i), segment.tokens[int(i)], s) for i in positions]
            if segment.kind == "edit":
                noisy.append(layout.edit_piece(ids, segment.cells, segment.turn, copy))
            else:
                noisy.append(layout.text_piece(ids, segment.turn, copy))
    return Row(clean, noisy, scored)


def pack_traces(
    traces: Sequence[Trace],
    layout: CellsLayout,
    kind: str = "trajectory",
    max_tokens: int = MAX_TOKENS,
    rngs: Sequence[np.random.Generator] | None = None,
    wanted: Sequence[Sequence[bool]] | None = None,
    mask_share: float | None = None,
) -> Iterator[ScoredTokens]:
    """Pack traces of like shape together, at most ``max_tokens`` positions (padding included) a batch.

    A trace that alone needs more is a batch of its own.  ``rngs``, one a trace, draw the masks of ``random_mask``.
    ``mask_share`` is that of ``random_mask``, if it is not drawn anew for each segment.  ``wanted`` names the segments
    of each trace to score (default: all); a trace without any is left out.
    """
    if kind not in LIKELIHOODS:
        raise ConfigError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {kind!r}")
    rows = [
        trace_row(
            trace,
            layout,
            kind,
            rngs[i] if rngs else None,
            None if wanted is None else wanted[i],
            mask_share,
        )
        for i, trace in enumerate(traces)
    ]
    extents = [row.extent for row in rows]
    batch: list[int] = []
    filled = Extent()
    scored = [i for i, row in enumerate(rows) if row.scored]
    for i in sorted(scored, key=lambda i: (extents[i].width, extents[i].columns, i)):
        filled = filled.around(extents[i])
        if batch and (len(batch) + 1) * filled.columns > max_tokens:
            yield _scored_tokens(traces, rows, batch, layout)
            batch, filled = [], extents[i]
        batch.append(i)
    if batch:
        yield _scored_tokens(traces, rows, batch, layout)


def _scored_tokens(
    traces: Sequence[Trace], rows: Sequence[Row], batch: list[int], layout: CellsLayout
) -> ScoredTokens:
    packed, columns = pack_blocks([rows[i].clean for i in batch], [rows[i].noisy for i in batch], layout.pad)
    entries = [
        (b, columns[b][n] + at, token, i, s, traces[i].segments[s].kind == "edit")
        for b, i in enumerate(batch)
        for n, at, token, s in rows[i].scored
    ]
    row_N, column_N, token_N, trace_N, segment_N, is_image_N = torch.tensor(entries, dtype=torch.long).T
    return ScoredTokens(packed, row_N, column_N, token_N, trace_N, segment_N, is_image_N.bool())


def token_budget(device: torch.device) -> int:
    """Positions to forward at once on ``device``."""
    return CPU_MAX_TOKENS if device.type == "cpu" else MAX_TOKENS


def check_policy(model: InterleavedDiffusionModel) -> None:
    """Refuse what has no likelihood by denoising steps; raises ConfigError."""
    if model.config.causal:
        raise ConfigError("checkpoint must be a diffusion policy, got an autoregressive one: it is a baseline of cost")


def score_tokens(
    model: InterleavedDiffusionModel, scored: ScoredTokens, layout: CellsLayout, temperature: float
) -> torch.Tensor:
    """Log-probability (nats) of every scored token, (N,), with gradients.

    Sampling at temperature 0 has no likelihood; ``temperature`` must be above 0.
    """
    check_policy(model)
    if temperature <= 0:
        raise ConfigError(f"temperature must be above 0 for a likelihood, got {temperature}")
    device = model.device
    packed = scored.packed.to(device)
    mask = packed.block_mask() if packed.runs else packed.attention_mask()
    output = model(packed.ids_BL, packed.positions_BLP, mask)
    hidden_ND = output.hidden_BLD[scored.row_N.to(device), scored.column_N.to(device)]
    logp_N = hidden_ND.new_zeros(len(hidden_ND), dtype=torch.promote_types(hidden_ND.dtype, torch.float32))
    token_N, is_image_N = scored.token_N.to(device), scored.is_image_N.to(device)
    for modality, chosen_N in (("text", ~is_image_N), ("image", is_image_N)):
        allowed_V = layout.allowed(modality).to(device)
        logp_MV = log_distribution(model.logits(hidden_ND[chosen_N]), allowed_V, temperature)
        picked_M = logp_MV.gather(-1, token_N[chosen_N][:, None]).squeeze(-1)
        logp_N = logp_N.masked_scatter(chosen_N, picked_M)
    return logp_N
