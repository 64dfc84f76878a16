"""The sampler: rollouts of thoughts and edits in lockstep, on an exact prefix cache.

Axes: B rollouts in a batch, L block positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from mmreason.backbones.blocks import Forwarded
from mmreason.records import MODALITIES, Problem, Segment, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.given import skip_draws
from mmreason.sampling.policy import Policy
from mmreason.sampling.regions import allowed_slots, least_likely, settled, wanted_region
from mmreason.sampling.rollout import Rollout
from mmreason.sampling.unmask import log_distribution

OnEdits = Callable[[list[Rollout]], None]  # may redraw the finished edits before anything that follows sees them


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
        self.pipe, self.layout, self.vocabulary = pipe, pipe.layout, pipe.vocabulary
        self.config = settled(config, pipe.layout)
        self.model, self.device = pipe.transformer, pipe.transformer.device
        self.allowed = {m: self.vocabulary.allowed(m).to(self.device) for m in MODALITIES}
        self.num_generations = num_generations
        self.rollouts = [
            Rollout(
                problem, pipe.encode_image(problem.image), torch_generator("rollout", seed, g), pipe.layout, pipe.draw
            )
            for problem, seed in zip(problems, seeds, strict=True)
            for g in range(num_generations)
        ]
        self.given: Sequence[Segment] = ()
        self.on_edits: OnEdits | None = None

    def begin_with(self, segments: Sequence[Segment], generator: torch.Generator) -> None:
        """Let the one rollout start from ``segments``, made with ``generator`` or in place of what was."""
        self.given = segments
        if self.config.temperature:
            skip_draws(generator, self.layout.units(segments))
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
        first, thought_given = self._encode_given() if self.given else (1, False)
        for turn in range(first, self.config.max_turns + 2):
            if self.layout.joint:
                yield from self._denoise_turns(active, turn)
            elif not thought_given:
                yield from self._denoise_texts(active, turn)
            thought_given = False
            for rollout in active:
                rollout.follow(turn, self.config)
            going = [i for i, rollout in enumerate(active) if not rollout.end_reason]
            if not going:
                break
            if len(going) < len(active):
                active = [active[i] for i in going]
                self._leave_out_others(going)
            self._finish(active)  # what has been denoised
            if not self.layout.joint:
                yield from self._denoise_edits(active, turn, self._regions(active, turn))
                if self.on_edits is not None:
                    self.on_edits(active)
                self._finish(active)
        yield None  # the last yield shows every rollout ended

    def _encode_problems(self) -> None:
        first = self.rollouts[:: self.num_generations]
        self.rows = self.pipe.backbone.rows(len(first))
        for row, rollout in enumerate(first):
            prompt = self.vocabulary.prompt(rollout.problem)
            self.rows.add(row, [self.layout.problem_piece(prompt, rollout.canvas_tokens)])
        self._count(first, self.rows.forward([[] for _ in first]), 0)
        if self.num_generations > 1:  # a row for each generation of a problem
            self.rows = self.rows.select([row for row in range(len(first)) for _ in range(self.num_generations)])

    def _encode_given(self) -> tuple[int, bool]:
        """Forward all that is given but the last unit, which stays pending.

        Returns the turn to go on with, and whether its thought is given.
        """
        self.rollouts[0].take(self.given)  # not before the problem, with its own canvas, is encoded
        before, last = self.layout.clean_pieces(self.given)[:-1], self.given[-1]
        if before:
            self.rows.add(0, before)
            self._count(self.rollouts, self.rows.forward([[]]), 0)
        if last.kind != "edit":
            return last.turn, True
        self._finish(self.rollouts)
        return last.turn + 1, False

    def _leave_out_others(self, going: list[int]) -> None:
        """Rows that have ended leave the batch; these go on."""
        self.rows = self.rows.select(going)

    def _finish(self, active: list[Rollout]) -> None:
        """The last unit of each rollout is forwarded, clean, with the first step of the next."""
        for row, rollout in enumerate(active):
            self.rows.add(row, self.layout.clean_pieces(rollout.segments)[-1:])

    def _regions(self, active: list[Rollout], turn: int) -> list[np.ndarray]:
        """The cells that each rollout draws anew."""
        wanted = [wanted_region(self.config, self.layout, rollout.boxes) for rollout in active]
        counted = [b for b, each in enumerate(wanted) if isinstance(each, int)]
        least = self._least_likely(active, turn, counted, [each for each in wanted if isinstance(each, int)])
        found = dict(zip(counted, least, strict=True))
        return [found[b] if isinstance(each, int) else each for b, each in enumerate(wanted)]

    def _denoise_texts(self, active: list[Rollout], turn: int) -> Iterator[None]:
        for rollout in active:
            rollout.begin_text(turn)
        yield from self._denoise(active)

    def _denoise_edits(self, active: list[Rollout], turn: int, regions: list[np.ndarray]) -> Iterator[None]:
        for rollout, cells in zip(active, regions, strict=True):
            rollout.begin_edit(turn, cells, stated=self.config.region == "stated")
        yield from self._denoise(active)

    def _denoise_turns(self, active: list[Rollout], turn: int) -> Iterator[None]:
        for rollout, cells in zip(active, self._regions(active, turn), strict=True):
            rollout.begin_turn(turn, cells)
        yield from self._denoise(active)

    def _denoise(self, active: list[Rollout]) -> Iterator[None]:
        """Denoise what each row has begun; later forwards leave out the rows that are done."""
        sizes = [rollout.draft.length if rollout.draft else 0 for rollout in active]
        words = max(rollout.draft.words if rollout.draft else 0 for rollout in active)
        lengths = torch.tensor(sizes, device=self.device)
        masked_BL = torch.arange(max(sizes), device=self.device) < lengths[:, None]
        tokens_BL = torch.full(masked_BL.shape, self.vocabulary.mask, device=self.device)
        step, going_B = 0, torch.arange(len(active), device=self.device)
        while len(going_B):
            ids_host, going = tokens_BL.cpu().numpy(), going_B.tolist()
            rollouts, width = [active[b] for b in going], max(sizes[b] for b in going)
            noisy = [
                [rollout.draft.piece(self.layout, ids_host[b, : sizes[b]])]
                for b, rollout in zip(going, rollouts, strict=True)
                if rollout.draft
            ]
            done = self.rows.forward(noisy, going)
            self._count(rollouts, done, width)
            output = self.pipe.scheduler.step(
                self.model.logits(done.hidden_BLD[:, :width]),
                step,
                tokens_BL[going_B, :width],
                masked_BL[going_B, :width],
                allowed_slots(self.allowed, words, width),
                self._uniform(rollouts, width, [sizes[b] for b in going]),
                self.config,
                words,
            )
            tokens_BL[going_B, :width] = output.tokens_BL
            masked_BL[going_B, :width] &= ~output.committed_BL
            step += 1
            tokens, committed, logprobs = (
                t.tolist() for t in (output.tokens_BL.cpu(), output.committed_BL.cpu(), output.logprob_BL.cpu())
            )
            others = output.others()
            for row, rollout in enumerate(rollouts):
                rollout.add_frame(step, tokens[row], committed[row], logprobs[row], others[row])
            going_B = masked_BL.any(dim=1).nonzero()[:, 0]
            yield None

    def _uniform(self, active: list[Rollout], width: int, lengths: Sequence[int]) -> torch.Tensor:
        """(B, width) numbers in [0, 1), each row from its own generator; none of a row that is done."""
        uniform_BL = torch.zeros(len(active), width)
        if self.config.temperature:
            for b, rollout in enumerate(active):
                if rollout.draft is not None:
                    uniform_BL[b, : lengths[b]] = torch.rand(lengths[b], generator=rollout.generator)
        return uniform_BL.to(self.device)

    def _count(self, active: list[Rollout], done: Forwarded, scored: int) -> None:
        """Add a forward, of which ``scored`` positions of a row get logits, to what the rollouts cost."""
        for b, rollout in enumerate(active):
            rollout.cost = rollout.cost + done.cost(b, scored)

    def _least_likely(
        self, active: list[Rollout], turn: int, rows: Sequence[int], counts: Sequence[int]
    ) -> list[np.ndarray]:
        """``counts`` cells of the canvas of each of ``rows``, where the model finds it least likely."""
        if not rows:
            return []
        size = self.layout.num_cells
        blank = self.layout.edit_piece(np.full(size, self.vocabulary.mask), np.arange(size), turn, copy=1)
        chosen = [active[row] for row in rows]
        done = self.rows.forward([[blank] for _ in rows], rows)
        self._count(chosen, done, size)
        logits_BCV = self.model.logits(done.hidden_BLD[:, :size])
        logp_BCV = log_distribution(logits_BCV, self.allowed["image"], self.config.temperature)
        shown_BC = torch.tensor(np.stack([r.canvas_tokens for r in chosen]), device=self.device)
        return least_likely(logp_BCV, shown_BC, counts)
