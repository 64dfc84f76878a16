"""A running batch: rollouts join and leave while others go on, each as if it were alone.

Every row is a program that asks for forwards.  A step answers all asks, as many rows to a forward as have
like widths; what a row does with its answer (which positions, which tokens) concerns that row alone and draws
from its own random stream.  So a trace does not depend on who else is there.

Axes: L positions of an ask, D width.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mmreason.models.cache import PrefixCache
from mmreason.models.flops import forward_flops
from mmreason.records import MAX_TEXT_TOKENS, NUM_CELLS, Cost, Problem, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.given import clean_piece
from mmreason.sampling.policy import Policy
from mmreason.sampling.rollout import Rollout
from mmreason.sampling.unmask import log_distribution
from mmreason.tokenizers.layout import PADDING, Piece, attention_rule, edit_piece, pack, problem_piece, text_piece

NARROW = 32  # tokens; wider asks are forwarded apart, so that narrow ones are not padded to their width


@dataclass(frozen=True, slots=True)
class Ask:
    """What a row wants forwarded next; the hidden states of the first ``scored`` positions are read."""

    pieces: list[Piece]
    scored: int

    @property
    def width(self) -> int:
        return sum(len(piece.ids) for piece in self.pieces)


Program = Generator[Ask, torch.Tensor, None]


class Row:
    """One rollout of a running batch: how far it is, whether it has ended, and what went wrong if anything did."""

    def __init__(self, rollout: Rollout, config: SamplingConfig) -> None:
        self.rollout, self.config = rollout, config
        self.program: Program | None = None
        self.ask: Ask | None = None
        self.ended = False
        self.error: BaseException | None = None

    def trace(self) -> Trace:
        """What there is now."""
        return self.rollout.trace(self.config.recorded())


class RunningBatch:
    """Advances all its rows by one denoising step at a time."""

    def __init__(self, pipe: Policy) -> None:
        self.pipe, self.vocabulary = pipe, pipe.vocabulary
        self.model, self.device = pipe.transformer, pipe.transformer.device
        self.allowed = {m: self.vocabulary.allowed(m).to(self.device) for m in ("text", "image")}
        self.rows: list[Row] = []
        sizes = self.model.config
        heads = sizes.num_attention_heads
        self.cache = PrefixCache(sizes.num_hidden_layers, heads, sizes.hidden_size // heads)

    def join(self, problem: Problem, config: SamplingConfig, seed: int) -> Row:
        """A new row that takes part in the next step; it gives the trace that ``pipe.stream`` gives for ``seed``."""
        canvas = self.pipe.encode_image(problem.image)
        row = Row(Rollout(problem, canvas, torch_generator("rollout", seed, 0), self.pipe.words), config)
        row.program = self._program(row.rollout, config)
        row.ask = next(row.program)
        if not self.rows:
            self.cache.allocate(self.model.norm.weight, 0)
        self.cache.append_row()
        self.rows.append(row)
        return row

    def leave(self, row: Row) -> None:
        """Free the row; the others stay as they are."""
        if row in self.rows:
            self._keep([other is not row for other in self.rows])

    @torch.no_grad()
    def step(self) -> None:
        """One forward for every row; those that end or fail are out of ``rows`` afterwards."""
        for lane in self._lanes():
            for i, hidden_LD in self._answers(lane):
                self._advance(self.rows[i], hidden_LD)
        self._keep([not row.ended for row in self.rows])

    def _keep(self, kept: list[bool]) -> None:
        if all(kept):
            return
        self.rows = [row for row, stays in zip(self.rows, kept, strict=True) if stays]
        self.cache = self.cache.select(torch.tensor(kept, device=self.device).nonzero()[:, 0])
        self.cache.shrink()

    # Forwards

    def _lanes(self) -> list[list[int]]:
        """Numbers of the rows that share a forward."""
        widths = [row.ask.width if row.ask else 0 for row in self.rows]
        narrow = [i for i, width in enumerate(widths) if width <= NARROW]
        wide = [i for i, width in enumerate(widths) if width > NARROW]
        return [lane for lane in (narrow, wide) if lane]

    def _answers(self, lane: list[int]) -> Iterator[tuple[int, torch.Tensor]]:
        """Hidden states of each row of ``lane``; if the forward fails, each row tries alone, and some may fail."""
        try:
            answers = self._forward(lane)
        except BaseException as error:
            if len(lane) == 1:
                self._fail(self.rows[lane[0]], error)
                return
        else:
            yield from zip(lane, answers, strict=True)
            return
        for i in lane:
            yield from self._answers([i])

    def _forward(self, lane: list[int]) -> list[torch.Tensor]:
        """Forward the asks of ``lane``; clean positions are committed to the cache."""
        rows = [self.rows[i] for i in lane]
        asks = [row.ask for row in rows if row.ask is not None]
        packed = pack([ask.pieces for ask in asks], self.vocabulary.pad).to(self.device)
        numbers = torch.tensor(lane, device=self.device)
        cache = self.cache if len(lane) == len(self.rows) else self.cache.select(numbers)
        cached_B, columns = cache.length_B.tolist(), cache.num_columns
        cache.reserve(columns + packed.ids_BL.shape[1])
        inside = attention_rule(packed.segment_BL, packed.copy_BL, packed.segment_BL, packed.copy_BL)
        before = cache.filled(columns)[:, None].expand(-1, inside.shape[1], -1)
        keep_BL = (packed.segment_BL != PADDING) & (packed.copy_BL == 0)
        keeps = bool(keep_BL.any())
        began = time.perf_counter()
        hidden_BLD = self.model(
            packed.ids_BL,
            packed.positions_BLP,
            torch.cat((before, inside), dim=-1)[:, None],
            cache=cache,
            keep_BL=keep_BL if keeps else None,
        ).hidden_BLD
        seconds = (time.perf_counter() - began) / len(rows)
        if keeps and cache is not self.cache:
            self.cache.put(numbers, cache)
        for row, ask, length in zip(rows, asks, cached_B, strict=True):  # as if alone: no padding of others
            flops = forward_flops(self.model.config, 1, ask.width, length, ask.scored)
            row.rollout.cost = row.rollout.cost + Cost(1, ask.width, flops, seconds)
        return [hidden_BLD[b, : ask.scored] for b, ask in enumerate(asks)]

    def _advance(self, row: Row, hidden_LD: torch.Tensor) -> None:
        assert row.program is not None
        try:
            row.ask = row.program.send(hidden_LD)
        except StopIteration:
            row.ended, row.ask = True, None
        except BaseException as error:  # of this row alone: the others go on
            self._fail(row, error)

    def _fail(self, row: Row, error: BaseException) -> None:
        row.ended, row.ask, row.error = True, None, error

    # What one row does

    def _program(self, rollout: Rollout, config: SamplingConfig) -> Program:
        """The steps of ``Sampler.run`` for one row."""
        prompt = self.vocabulary.prompt(rollout.problem)
        yield Ask([problem_piece(prompt, rollout.canvas_tokens)], 0)
        pending: Piece | None = None
        for turn in range(1, config.max_turns + 2):
            rollout.begin_text(turn, MAX_TEXT_TOKENS)
            yield from self._denoise(
                rollout, config, "text", pending, lambda ids, turn=turn: text_piece(ids, turn, copy=1)
            )
            rollout.follow(turn, config.max_turns)
            if rollout.end_reason:
                return
            pending = clean_piece(rollout.segments[-1], self.vocabulary.end)
            cells = rollout.stated_cells() if config.region != "full" else np.arange(NUM_CELLS)
            if config.region == "confidence":
                cells = yield from self._least_likely(rollout, config, pending, turn, len(cells))
                pending = None
            rollout.begin_edit(turn, cells, stated=config.region == "stated")
            yield from self._denoise(
                rollout,
                config,
                "image",
                pending,
                lambda ids, cells=cells, turn=turn: edit_piece(ids, cells, turn, copy=1),
            )
            pending = clean_piece(rollout.segments[-1], self.vocabulary.end)

    def _denoise(
        self,
        rollout: Rollout,
        config: SamplingConfig,
        modality: str,
        pending: Piece | None,
        noisy: Callable[[np.ndarray], Piece],
    ) -> Program:
        """Denoise one segment; the first forward also commits the pending clean piece."""
        assert rollout.draft is not None
        length = rollout.draft.length
        tokens_BL = torch.full((1, length), self.vocabulary.mask, device=self.device)
        masked_BL = torch.ones_like(tokens_BL, dtype=torch.bool)
        step = 0
        while bool(masked_BL.any()):
            piece = noisy(tokens_BL[0].cpu().numpy())
            hidden_LD = yield Ask([piece] if pending is None or step else [piece, pending], length)
            uniform_BL = torch.zeros(1, length)
            if config.temperature:
                uniform_BL[0] = torch.rand(length, generator=rollout.generator)
            output = self.pipe.scheduler.step(
                self.model.logits(hidden_LD[None]),
                step,
                tokens_BL,
                masked_BL,
                self.allowed[modality],
                uniform_BL.to(self.device),
                config,
            )
            tokens_BL, masked_BL = output.tokens_BL, masked_BL & ~output.committed_BL
            step += 1
            shown = (output.tokens_BL, output.committed_BL, output.logprob_BL)
            rollout.add_frame(step, *(t[0].tolist() for t in shown))

    def _least_likely(
        self, rollout: Rollout, config: SamplingConfig, pending: Piece, turn: int, count: int
    ) -> Generator[Ask, torch.Tensor, np.ndarray]:
        """``count`` cells where the model finds the canvas least likely."""
        everywhere, masks = np.arange(NUM_CELLS), np.full(NUM_CELLS, self.vocabulary.mask)
        hidden_LD = yield Ask([edit_piece(masks, everywhere, turn, copy=1), pending], NUM_CELLS)
        logp_BLV = log_distribution(self.model.logits(hidden_LD[None]), self.allowed["image"], config.temperature)
        shown_BL = torch.from_numpy(rollout.canvas_tokens)[None].to(self.device)
        likely_BL = logp_BLV.gather(-1, shown_BL[..., None]).squeeze(-1)
        order = likely_BL.argsort(dim=-1, stable=True)[0].cpu().numpy()
        return np.sort(order[:count])


class StreamRow:
    """A rollout that advances by itself."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.latest: Trace | None = None
        self.ended = False
        self.error: BaseException | None = None

    def trace(self) -> Trace | None:
        """What there is now; None before the first step."""
        return self.latest


class StreamBatch:
    """The same for a policy whose rollouts cannot share a forward: each takes a step in turn."""

    def __init__(self, pipe: Policy) -> None:
        self.pipe = pipe
        self.rows: list[StreamRow] = []

    def join(self, problem: Problem, config: SamplingConfig, seed: int) -> StreamRow:
        """A new row that takes part in the next step."""
        row = StreamRow(self.pipe.stream([problem], config, seeds=[seed]))
        self.rows.append(row)
        return row

    def leave(self, row: StreamRow) -> None:
        """End the row's stream; the others stay as they are."""
        if row in self.rows:
            self.rows.remove(row)
            row.stream.close()

    def step(self) -> None:
        """One step of every row; those that end or fail are out of ``rows`` afterwards."""
        for row in list(self.rows):
            try:
                (row.latest,) = next(row.stream)
            except StopIteration:
                row.ended = True
            except BaseException as error:  # of this row alone: the others go on
                row.ended, row.error = True, error
            if row.ended:
                self.leave(row)
