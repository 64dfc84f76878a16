"""A running batch: rollouts join and leave while others go on, each as if it were alone.

Every row is a program that asks for forwards.  A step answers all asks, as many rows to a forward as have
like widths; what a row does with its answer (which positions, which tokens) concerns that row alone and draws
from its own random stream.  So a trace does not depend on who else is there.

Axes: L positions of an ask, D width.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mmreason.layouts.cells import Piece
from mmreason.records import MODALITIES, Problem, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.policy import Policy, Streaming
from mmreason.sampling.regions import allowed_slots, least_likely, settled, wanted_region
from mmreason.sampling.rollout import Rollout
from mmreason.sampling.unmask import log_distribution

NARROW = 32  # tokens; wider asks are forwarded apart, so that narrow ones are not padded to their width


@dataclass(frozen=True, slots=True)
class Ask:
    """What a row wants forwarded next; the hidden states of the first ``scored`` positions are read."""

    noisy: list[Piece]
    scored: int
    finished: list[Piece] = field(default_factory=list)  # clean, and forwarded with it, once


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
        self.pipe, self.layout, self.vocabulary = pipe, pipe.layout, pipe.vocabulary
        self.model, self.device = pipe.transformer, pipe.transformer.device
        self.allowed = {m: self.vocabulary.allowed(m).to(self.device) for m in MODALITIES}
        self.rows: list[Row] = []
        self.cells = pipe.backbone.rows()

    def join(self, problem: Problem, config: SamplingConfig, seed: int) -> Row:
        """A new row that takes part in the next step; it gives the trace that ``pipe.stream`` gives for ``seed``."""
        canvas, config = self.pipe.encode_image(problem.image), settled(config, self.layout)
        row = Row(Rollout(problem, canvas, torch_generator("rollout", seed, 0), self.layout, self.pipe.draw), config)
        row.program = self._program(row.rollout, config)
        if not self.rows:
            self.cells = self.pipe.backbone.rows()
        self.cells.append_row()
        self.rows.append(row)
        self._asked(len(self.rows) - 1, next(row.program))
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
                self._advance(i, hidden_LD)
        self._keep([not row.ended for row in self.rows])

    def _keep(self, kept: list[bool]) -> None:
        if all(kept):
            return
        self.rows = [row for row, stays in zip(self.rows, kept, strict=True) if stays]
        self.cells = self.cells.select([i for i, stays in enumerate(kept) if stays])
        self.cells.shrink()

    # Forwards

    def _lanes(self) -> list[list[int]]:
        """Numbers of the rows that share a forward."""
        widths = [self.cells.width(i, row.ask.noisy) if row.ask else 0 for i, row in enumerate(self.rows)]
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
        """Forward the asks of ``lane``; what is finished stays."""
        asks = [ask for i in lane if (ask := self.rows[i].ask) is not None]
        done = self.cells.forward([ask.noisy for ask in asks], lane)
        for b, (i, ask) in enumerate(zip(lane, asks, strict=True)):
            rollout = self.rows[i].rollout
            rollout.cost = rollout.cost + done.cost_alone(b, ask.scored)
        return [done.hidden_BLD[b, : ask.scored] for b, ask in enumerate(asks)]

    def _asked(self, i: int, ask: Ask) -> None:
        """Row ``i`` wants this forwarded next."""
        self.rows[i].ask = ask
        self.cells.add(i, ask.finished)

    def _advance(self, i: int, hidden_LD: torch.Tensor) -> None:
        row = self.rows[i]
        assert row.program is not None
        try:
            self._asked(i, row.program.send(hidden_LD))
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
        yield Ask([], 0, [self.layout.problem_piece(prompt, rollout.canvas_tokens)])
        finished: list[Piece] = []
        for turn in range(1, config.max_turns + 2):
            if self.layout.joint:
                cells, finished = yield from self._region(rollout, config, finished, turn)
                rollout.begin_turn(turn, cells)
            else:
                rollout.begin_text(turn)
            yield from self._denoise(rollout, config, finished)
            rollout.follow(turn, config)
            if rollout.end_reason:
                return
            finished = self.layout.clean_pieces(rollout.segments)[-1:]
            if self.layout.joint:
                continue
            cells, finished = yield from self._region(rollout, config, finished, turn)
            rollout.begin_edit(turn, cells, stated=config.region == "stated")
            yield from self._denoise(rollout, config, finished)
            finished = self.layout.clean_pieces(rollout.segments)[-1:]

    def _denoise(self, rollout: Rollout, config: SamplingConfig, finished: list[Piece]) -> Program:
        """Denoise what is begun; ``finished`` pieces are forwarded with its first step."""
        draft = rollout.draft
        assert draft is not None
        tokens_BL = torch.full((1, draft.length), self.vocabulary.mask, device=self.device)
        masked_BL = torch.ones_like(tokens_BL, dtype=torch.bool)
        step = 0
        while bool(masked_BL.any()):
            piece = draft.piece(self.layout, tokens_BL[0].cpu().numpy())
            hidden_LD = yield Ask([piece], draft.length, [] if step else finished)
            uniform_BL = torch.zeros(1, draft.length)
            if config.temperature:
                uniform_BL[0] = torch.rand(draft.length, generator=rollout.generator)
            output = self.pipe.scheduler.step(
                self.model.logits(hidden_LD[None]),
                step,
                tokens_BL,
                masked_BL,
                allowed_slots(self.allowed, draft.words, draft.length),
                uniform_BL.to(self.device),
                config,
                draft.words,
            )
            tokens_BL, masked_BL = output.tokens_BL, masked_BL & ~output.committed_BL
            step += 1
            tokens, committed, logprobs = output.tokens_BL[0], output.committed_BL[0], output.logprob_BL[0]
            rollout.add_frame(step, tokens.tolist(), committed.tolist(), logprobs.tolist(), output.others()[0])

    def _region(
        self, rollout: Rollout, config: SamplingConfig, finished: list[Piece], turn: int
    ) -> Generator[Ask, torch.Tensor, tuple[np.ndarray, list[Piece]]]:
        """The cells to draw anew, and what of ``finished`` is still to be forwarded."""
        wanted = wanted_region(config, self.layout, rollout.boxes)
        if not isinstance(wanted, int):
            return wanted, finished
        size = self.layout.num_cells
        blank = self.layout.edit_piece(np.full(size, self.vocabulary.mask), np.arange(size), turn, copy=1)
        hidden_CD = yield Ask([blank], size, finished)
        logp_BCV = log_distribution(self.model.logits(hidden_CD[None]), self.allowed["image"], config.temperature)
        shown_BC = torch.from_numpy(rollout.canvas_tokens)[None].to(self.device)
        return least_likely(logp_BCV, shown_BC, [wanted])[0], []


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

    def __init__(self, pipe: Streaming) -> None:
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
