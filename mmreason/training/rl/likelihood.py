"""Log-probabilities of traces, with gradients, packed into few forwards.

In ``blocks`` all copies of a trace share a row, since context does not look at them; in ``full`` each has its own.
What several traces have alike, as rollouts of a group mostly begin, is forwarded once.

``trajectory`` is exact: a noisy copy of a segment for every denoising step, as the sampler saw it, scored
where it committed tokens.  ``one_step`` masks every segment fully, once (d1, arXiv 2504.12216);
``random_mask`` masks a random part that old and new policy share (MMaDA, arXiv 2505.15809), of each segment a share
drawn for it, or of a whole rollout's tokens the same ``mask_share``.

Axes: B traces in a batch, L packed positions, N scored tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from mmreason.errors import ConfigError
from mmreason.layouts.cells import CellsLayout, Piece
from mmreason.layouts.packing import Packed, pack, pack_blocks, row_length, widest_edit
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.flops import packed_flops
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Modality, Segment, Trace
from mmreason.sampling.unmask import log_distribution
from mmreason.training.rl.config import LIKELIHOODS

MAX_TOKENS = 8192  # positions forwarded at once where nothing else is said: they keep a GPU busy
BITS = 62  # of traces in a row
CPU_MAX_TOKENS = 2048  # a CPU is no slower with these, and needs a quarter of the memory: about 0.5 GB of gradients


class Copy(NamedTuple):
    """Where a noisy copy of a trace is: ``length`` tokens from ``column`` on, ``words`` of text first."""

    trace: int
    row: int
    column: int
    length: int
    words: int
    step: int


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
    copies: tuple[Copy, ...] = ()

    def flops(self, config: InterleavedDiffusionConfig) -> float:
        """FLOPs of the forward that scores, by formula."""
        return self._flops(config, len(self.token_N), len(self.wanted_N))

    def flops_of_all_states(self, config: InterleavedDiffusionConfig, scored: int) -> float:
        """The same of a forward that gives every final state, ``scored`` of them logits."""
        return self._flops(config, scored, None)

    def _flops(self, config: InterleavedDiffusionConfig, scored: int, wanted: int | None) -> float:
        rows, length = self.packed.ids_BL.shape
        clean = self.packed.clean_length if self.packed.runs else length
        return packed_flops(config, rows, clean, self.packed.runs, scored, self.packed.num_tokens, wanted)

    @property
    def wanted_N(self) -> torch.Tensor:
        """Flat indices of the positions that are scored, each once."""
        return (self.row_N * self.packed.ids_BL.shape[1] + self.column_N).unique()


def noisy_copies(
    unit: Sequence[Segment], kind: str, mask: int, rng: np.random.Generator | None, mask_share: float | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(ids, positions to score) of each noisy copy of a segment, or of a joint turn's text and edit.

    None if ``mask_share`` happened to hide nothing.
    """
    tokens = np.array([token for segment in unit for token in segment.tokens])
    hidden = np.ones(len(tokens), dtype=bool)
    if kind == "trajectory":
        committed: dict[int, list[int]] = {}
        start = 0
        for segment in unit:
            for frame in segment.frames:
                committed.setdefault(frame.step, []).extend(start + i for i in frame.committed)
            start += len(segment.tokens)
        copies = []
        for step in sorted(committed):
            copies.append((np.where(hidden, mask, tokens), np.array(committed[step], dtype=np.int64)))
            hidden[committed[step]] = False
        return copies
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
    """The pieces of one packed row, and (noisy piece, position in it, token, trace, segment) of all tokens to score.

    ``words`` and ``steps`` are those of each noisy piece; of a ``whole`` row everything sees everything.
    """

    clean: list[Piece]
    noisy: list[Piece]
    words: list[int]
    steps: list[int]
    scored: list[tuple[int, int, int, int, int]]
    whole: bool = False

    @property
    def extent(self) -> Extent:
        """What this row needs when it is packed alone."""
        clean = row_length(self.clean)
        if self.whole:
            return Extent(clean + row_length(self.noisy))
        edits = sum(piece.is_edit for piece in self.noisy)
        text_width = max((len(piece.ids) for piece in self.noisy if not piece.is_edit), default=0)
        return Extent(clean, len(self.noisy) - edits, edits, widest_edit(self.noisy), text_width)


def trace_rows(
    trace: Trace,
    layout: CellsLayout,
    kind: str = "trajectory",
    rng: np.random.Generator | None = None,
    wanted: Sequence[bool] | None = None,
    mask_share: float | None = None,
    number: int = 0,
) -> list[Row]:
    """Noisy copies of a trace's segments, or of those ``wanted``, and clean ones as far as these look back.

    One row that holds all of them, or with ``full`` attention a row of each.
    """
    problem = layout.problem_piece(layout.vocabulary.prompt(trace.problem), trace.canvas_tokens)
    clean, row, rows = [problem], Row([problem], [], [], [], []), []
    first = 0
    for unit in layout.units(trace.segments):
        inside = [first + n for n, segment in enumerate(unit) for _ in segment.tokens]  # whose each position is
        starts = np.cumsum([0, *(len(segment.tokens) for segment in unit)]).tolist()
        copies = noisy_copies(unit, kind, layout.mask, rng, mask_share)  # of all, so that masks stay the same
        chosen = {first + n for n in range(len(unit)) if wanted is None or wanted[first + n]}
        for step, (ids, positions) in enumerate(copies if chosen else []):
            if layout.attention == "full":
                row = Row(list(clean), [], [], [], [], whole=True)
                rows.append(row)
            for i in positions.tolist():
                s = inside[i]
                if s in chosen:
                    token = unit[s - first].tokens[i - starts[s - first]]
                    row.scored.append((len(row.noisy), i, token, number, s))
            row.noisy.append(layout.unit_piece(unit, ids, step + 1))
            row.words.append(sum(len(segment.tokens) for segment in unit if segment.modality == "text"))
            row.steps.append(step)
        if chosen and layout.attention != "full":
            row.clean[:] = clean
        clean.append(layout.clean_piece(*unit))
        first += len(unit)
    return [each for each in rows if each.scored] if layout.attention == "full" else [row]


@dataclass(slots=True)
class _Shared:
    """A row of traces that begin alike: each clean piece once, with the traces that hold it as bits."""

    row: Row
    branches: list[int] = field(default_factory=list)
    columns: dict[int, int] = field(default_factory=dict)  # context → which of the clean pieces ends it
    traces: int = 0

    def add(self, clean: Sequence[Piece], contexts: Sequence[int]) -> int:
        """Take the clean pieces of one more trace; returns its bit."""
        bit = 1 << self.traces
        self.traces += 1
        for piece, context in zip(clean, contexts, strict=True):
            if context not in self.columns:
                self.columns[context] = len(self.branches)
                self.row.clean.append(piece)
                self.branches.append(0)
            self.branches[self.columns[context]] |= bit
        return bit

    def takes_more(self, max_tokens: int) -> bool:
        return self.traces < BITS and 2 * self.row.extent.columns <= max_tokens

    def marked(self) -> Row:
        """With the bits on its pieces."""
        clean = [replace(p, branches=bits) for p, bits in zip(self.row.clean, self.branches, strict=True)]
        return replace(self.row, clean=clean)


def share_rows(rows: Sequence[Row], max_tokens: int) -> list[Row]:
    """Rows of traces that begin alike: what they have alike stands once in a row.

    Rollouts of a group have their problem alike, and mostly how they begin.  A clean piece is seen by those after it
    in the same traces.  A noisy copy after the same context is forwarded once, and the tokens that several traces
    drew there are scored one by one.  A row takes another trace until it has half of ``max_tokens``.
    """
    contexts: dict[tuple[int, bytes, bytes], int] = {}  # a tree: (the context before a piece, it) → that with it
    owners: dict[tuple[int, bytes, bytes], tuple[Row, int]] = {}  # of noisy copies
    open_rows: dict[tuple[bytes, bytes], _Shared] = {}  # by problem
    found: list[_Shared] = []
    for row in rows:
        path, before = [0], []
        for piece in row.clean:
            before.append((piece.segment, path[-1]))
            path.append(contexts.setdefault((path[-1], *_content(piece)), len(contexts) + 1))
        keys = []
        for piece in row.noisy:
            seen = path[-1] if row.whole else next((at for s, at in before if s >= piece.segment), path[-1])
            keys.append((seen, *_content(piece)))
        fresh = [n for n, key in enumerate(keys) if key not in owners]
        if fresh:
            problem = _content(row.clean[0])
            shared = open_rows.get(problem)
            if shared is None or row.whole or not shared.takes_more(max_tokens):
                shared = open_rows[problem] = _Shared(replace(row, clean=[], noisy=[], words=[], steps=[], scored=[]))
                found.append(shared)
            bit, into = shared.add(row.clean, path[1:]), shared.row
            for n in fresh:
                owners[keys[n]] = (into, len(into.noisy))
                into.noisy.append(replace(row.noisy[n], branches=bit))
                into.words.append(row.words[n])
                into.steps.append(row.steps[n])
        for n, at, token, trace, segment in row.scored:
            owner, copy = owners[keys[n]]
            owner.scored.append((copy, at, token, trace, segment))
    return [shared.marked() for shared in found if shared.row.scored]


def _content(piece: Piece) -> tuple[bytes, bytes]:
    return piece.ids.tobytes(), piece.positions.tobytes()


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
    rows = share_rows(
        [
            row
            for i, trace in enumerate(traces)
            for row in trace_rows(
                trace, layout, kind, rngs[i] if rngs else None, None if wanted is None else wanted[i], mask_share, i
            )
            if row.scored
        ],
        max_tokens,
    )
    extents = [row.extent for row in rows]
    batch: list[int] = []
    filled = Extent()
    for i in sorted(range(len(rows)), key=lambda i: (extents[i].width, extents[i].columns, i)):
        filled = filled.around(extents[i])
        if batch and (len(batch) + 1) * filled.columns > max_tokens:
            yield _scored_tokens(traces, [rows[i] for i in batch], layout)
            batch, filled = [], extents[i]
        batch.append(i)
    if batch:
        yield _scored_tokens(traces, [rows[i] for i in batch], layout)


def _scored_tokens(traces: Sequence[Trace], rows: Sequence[Row], layout: CellsLayout) -> ScoredTokens:
    if layout.attention == "full":
        packed = pack([[*row.noisy, *row.clean] for row in rows], layout.pad)
        columns = [[0] for _ in rows]
    else:
        packed, columns = pack_blocks([row.clean for row in rows], [row.noisy for row in rows], layout.pad)
    scored = [(b, row, *each) for b, row in enumerate(rows) for each in row.scored]
    scored.sort(key=lambda each: (each[5], each[1].noisy[each[2]].segment, each[1].steps[each[2]]))  # as committed
    entries = [
        (b, columns[b][n] + at, token, trace, s, traces[trace].segments[s].kind == "edit")
        for b, _, n, at, token, trace, s in scored
    ]
    copies = tuple(
        Copy(trace, b, columns[b][n], len(row.noisy[n].ids), row.words[n], row.steps[n])
        for trace, b, n, row in {(trace, b, n): (trace, b, n, row) for b, row, n, _, _, trace, _ in scored}.values()
    )
    row_N, column_N, token_N, trace_N, segment_N, is_image_N = torch.tensor(entries, dtype=torch.long).T
    return ScoredTokens(packed, row_N, column_N, token_N, trace_N, segment_N, is_image_N.bool(), copies)


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
    mask = packed.mask_of(layout.attention)
    output = model(
        packed.ids_BL, packed.positions_BLP, mask, tokens_T=packed.tokens_T, wanted_N=scored.wanted_N.to(device)
    )
    hidden_ND = output.hidden_BLD[scored.row_N.to(device), scored.column_N.to(device)]
    logp_N = hidden_ND.new_zeros(len(hidden_ND), dtype=torch.promote_types(hidden_ND.dtype, torch.float32))
    token_N, is_image_N = scored.token_N.to(device), scored.is_image_N.to(device)
    of_modality: dict[Modality, torch.Tensor] = {"text": ~is_image_N, "image": is_image_N}
    for modality, chosen_N in of_modality.items():
        allowed_V = layout.allowed(modality).to(device)
        logp_MV = log_distribution(model.logits(hidden_ND[chosen_N]), allowed_V, temperature)
        picked_M = logp_MV.gather(-1, token_N[chosen_N][:, None]).squeeze(-1)
        logp_N = logp_N.masked_scatter(chosen_N, picked_M)
    return logp_N
