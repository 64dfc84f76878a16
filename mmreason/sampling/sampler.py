"""The sampler: rollouts of thoughts and edits in lockstep, on an exact prefix cache.

Axes: B rollouts in a batch, L block positions, M cached positions, P position fields, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mmreason.models.cache import PrefixCache
from mmreason.models.flops import forward_flops
from mmreason.records import MAX_TEXT_TOKENS, NUM_CELLS, Cost, Problem, Segment, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.given import clean_piece, skip_draws
from mmreason.sampling.policy import Policy
from mmreason.sampling.rollout import Rollout
from mmreason.sampling.unmask import log_distribution
from mmreason.tokenizers.layout import PADDING, Piece, attention_rule, edit_piece, pack, problem_piece, text_piece


class Sampler:
    """Runs rollouts in lockstep: all thoughts of a turn, then all its edits.

    Each problem is encoded once and shared by its generations.  A finished segment is forwarded once,
    clean, together with the first step of the segment after it; its keys and values stay in the cache.
    """

    def __init__(
        self,
        pipe: Policy,
        problems: Sequence[Problem],
        config: SamplingConfig,
        seeds: Sequence[int],
        num_generations: int,
    ) -> None:
        self.pipe, self.config, self.vocabulary = pipe, config, pipe.vocabulary
        self.model, self.device = pipe.transformer, pipe.transformer.device
        self.allowed = {m: self.vocabulary.allowed(m).to(self.device) for m in ("text", "image")}
        self.num_generations = num_generations
        self.rollouts = [
            Rollout(problem, pipe.encode_image(problem.image), torch_generator("rollout", seed, g), pipe.words)
            for problem, seed in zip(problems, seeds, strict=True)
            for g in range(num_generations)
        ]
        self.given: Sequence[Segment] = ()
        self.turn_limit = config.max_turns
        sizes = self.model.config
        heads = sizes.num_attention_heads
        self.cache = PrefixCache(sizes.num_hidden_layers, heads, sizes.hidden_size // heads)

    def begin_with(self, segments: Sequence[Segment], generator: torch.Generator) -> None:
        """Let the one rollout start from ``segments``, made with ``generator`` or in place of what was."""
        self.given = segments
        if self.config.temperature:
            skip_draws(generator, segments)
        self.rollouts[0].generator = generator

    def traces(self) -> list[Trace]:
        """What the rollouts hold now."""
        return [rollout.trace(self.config.recorded()) for rollout in self.rollouts]

    @torch.no_grad()
    def run(self) -> Iterator[None]:
        """Generate until every rollout has ended; yields after every denoising step."""
        if not self.rollouts:
            return
        active = self.rollouts
        self._encode_problems()
        pending: list[Piece | None] = [None] * len(active)
        first, thought_given = 1, False
        if self.given:
            pending, first, thought_given = self._encode_given()
        for turn in range(first, self.turn_limit + 2):
            if not thought_given:
                yield from self._denoise_texts(active, pending, turn)
            thought_given = False
            for rollout in active:
                rollout.follow(turn, self.turn_limit)
            going = [i for i, rollout in enumerate(active) if not rollout.end_reason]
            active = [active[i] for i in going]
            if not active:
                break
            self.cache = self.cache.select(torch.tensor(going, device=self.device))
            pending = [clean_piece(rollout.segments[-1], self.vocabulary.end) for rollout in active]
            regions = [rollout.stated_cells() for rollout in active]
            if self.config.region == "full":
                regions = [np.arange(NUM_CELLS)] * len(active)
            if self.config.region == "confidence":
                regions = self._least_likely(active, pending, turn, regions)
                pending = [None] * len(active)
            yield from self._denoise_edits(active, pending, turn, regions)
            pending = [clean_piece(rollout.segments[-1], self.vocabulary.end) for rollout in active]
        yield None  # the last yield shows every rollout ended

    def _encode_problems(self) -> None:
        first = self.rollouts[:: self.num_generations]
        pieces = [problem_piece(self.vocabulary.prompt(r.problem), r.canvas_tokens) for r in first]
        self.cache.allocate(self.model.norm.weight, len(first))
        self._forward([[piece] for piece in pieces], first, scored=0)
        self._share_problems()

    def _share_problems(self) -> None:
        """One row of the cache for each generation of a problem."""
        if self.num_generations > 1:
            rows = torch.arange(self.cache.num_rows, device=self.device).repeat_interleave(self.num_generations)
            self.cache = self.cache.select(rows)

    def _encode_given(self) -> tuple[list[Piece | None], int, bool]:
        """Cache all given segments but the last, which stays pending.

        Also returns the turn to go on with, and whether its thought is given.
        """
        *before, last = self.given
        self.rollouts[0].take(self.given)  # not before the problem, with its own canvas, is encoded
        pieces = [clean_piece(segment, self.vocabulary.end) for segment in before]
        if pieces:
            self._forward([pieces], self.rollouts, scored=0)
        pending: list[Piece | None] = [clean_piece(last, self.vocabulary.end)]
        return (pending, last.turn + 1, False) if last.kind == "edit" else (pending, last.turn, True)

    def _denoise_texts(self, active: list[Rollout], pending: list[Piece | None], turn: int) -> Iterator[None]:
        kinds = [(None, MAX_TEXT_TOKENS)] * len(active)
        for rollout in active:
            rollout.begin_text(turn, MAX_TEXT_TOKENS)
        yield from self._denoise("text", active, pending, turn, kinds)

    def _denoise_edits(
        self, active: list[Rollout], pending: list[Piece | None], turn: int, regions: list[np.ndarray]
    ) -> Iterator[None]:
        for rollout, cells in zip(active, regions, strict=True):
            rollout.begin_edit(turn, cells, stated=self.config.region == "stated")
        yield from self._denoise("image", active, pending, turn, [(cells, len(cells)) for cells in regions])

    def _denoise(self, modality, active, pending, turn, kinds) -> Iterator[None]:
        """Denoise one segment a row; the first forward also commits the pending clean pieces.

        Later forwards leave out the rows that are done, and commit nothing.
        """
        width = max(length for _, length in kinds)
        lengths = torch.tensor([length for _, length in kinds], device=self.device)
        masked_BL = torch.arange(width, device=self.device) < lengths[:, None]
        tokens_BL = torch.full(masked_BL.shape, self.vocabulary.mask, device=self.device)
        step, going_B = 0, torch.arange(len(active), device=self.device)
        while len(going_B):
            rows: list[list[Piece]] = []
            ids_host, going = tokens_BL.cpu().numpy(), going_B.tolist()
            for b in going:
                cells, length = kinds[b]
                ids = ids_host[b, :length]
                noisy = text_piece(ids, turn, copy=1) if cells is None else edit_piece(ids, cells, turn, copy=1)
                clean = pending[b]
                rows.append([noisy] if clean is None or step else [noisy, clean])
            cache = self.cache if len(going) == len(active) else self.cache.select(going_B)
            rollouts, width = [active[b] for b in going], max(kinds[b][1] for b in going)
            hidden_BLD = self._forward(rows, rollouts, width, cache)
            output = self.pipe.scheduler.step(
                self.model.logits(hidden_BLD[:, :width]),
                step,
                tokens_BL[going_B, :width],
                masked_BL[going_B, :width],
                self.allowed[modality],
                self._uniform(rollouts, width, [kinds[b] for b in going]),
                self.config,
            )
            tokens_BL[going_B, :width] = output.tokens_BL
            masked_BL[going_B, :width] &= ~output.committed_BL
            step += 1
            tokens, committed, logprobs = (
                t.tolist() for t in (output.tokens_BL.cpu(), output.committed_BL.cpu(), output.logprob_BL.cpu())
            )
            for row, rollout in enumerate(rollouts):
                rollout.add_frame(step, tokens[row], committed[row], logprobs[row])
            going_B = masked_BL.any(dim=1).nonzero()[:, 0]
            yield None

    def _uniform(self, active: list[Rollout], width: int, kinds) -> torch.Tensor:
        """(B, width) numbers in [0, 1), each row from its own generator; none of a row that is done."""
        uniform_BL = torch.zeros(len(active), width)
        if self.config.temperature:
            for b, rollout in enumerate(active):
                length = kinds[b][1]
                if rollout.draft is not None:
                    uniform_BL[b, :length] = torch.rand(length, generator=rollout.generator)
        return uniform_BL.to(self.device)

    def _forward(
        self, rows: list[list[Piece]], active: list[Rollout], scored: int, cache: PrefixCache | None = None
    ) -> torch.Tensor:
        """Forward a block on the cache; its clean positions are committed to it."""
        packed = pack(rows, self.vocabulary.pad)
        segment_BL, copy_BL = packed.segment_BL.to(self.device), packed.copy_BL.to(self.device)
        cache, width = cache or self.cache, packed.ids_BL.shape[1]
        cache.reserve(cache.num_columns + width)
        columns = cache.num_columns
        inside = attention_rule(segment_BL, copy_BL, segment_BL, copy_BL)
        cached = cache.filled(columns)[:, None].expand(-1, inside.shape[1], -1)
        keep_BL = (segment_BL != PADDING) & (copy_BL == 0)
        began = time.perf_counter()
        output = self.model(
            packed.ids_BL.to(self.device),
            packed.positions_BLP.to(self.device),
            torch.cat((cached, inside), dim=-1)[:, None],
            cache=cache,
            keep_BL=keep_BL if bool(keep_BL.any()) else None,
        )
        self._count(active, width, columns, scored, time.perf_counter() - began)
        return output.hidden_BLD

    def _count(self, active: list[Rollout], width: int, columns: int, scored: int, seconds: float) -> None:
        """Add one forward of ``width`` tokens a row on ``columns`` cached ones to what the rollouts cost."""
        flops = forward_flops(self.model.config, 1, width, columns, scored)
        spent = Cost(1, width, flops, seconds / len(active))
        for rollout in active:
            rollout.cost = rollout.cost + spent

    def _least_likely(self, active, pending, turn, regions) -> list[np.ndarray]:
        """As many cells as each stated region has, where the model finds the canvas least likely."""
        everywhere = np.arange(NUM_CELLS)
        masks = np.full(NUM_CELLS, self.vocabulary.mask)
        rows = [[edit_piece(masks, everywhere, turn, copy=1), piece] for piece in pending]
        hidden_BLD = self._forward(rows, active, scored=NUM_CELLS)
        logp_BLV = log_distribution(
            self.model.logits(hidden_BLD[:, :NUM_CELLS]), self.allowed["image"], self.config.temperature
        )
        shown_BL = torch.tensor(np.stack([r.canvas_tokens for r in active]), device=self.device)
        likely_BL = logp_BLV.gather(-1, shown_BL[..., None]).squeeze(-1)
        order = likely_BL.argsort(dim=-1, stable=True).cpu().numpy()
        return [np.sort(order[b, : len(cells)]) for b, cells in enumerate(regions)]
