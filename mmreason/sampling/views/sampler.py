"""Rollouts of public checkpoints in lockstep: all texts of a turn, then all its edits, or both together.

Each rollout draws from its own random stream, so a trace does not depend on its batch.

Axes: B rollouts, K slots, W columns of an alphabet, H W codes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
import torch

from mmreason.backbones.backbone import Session
from mmreason.backbones.family import PublicModel
from mmreason.backbones.llama import used_twins
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.records import MODALITIES, Cost, Problem, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.unmask import log_distribution
from mmreason.sampling.views.canvas import start_canvas
from mmreason.sampling.views.config import ViewsConfig
from mmreason.sampling.views.denoise import DenoiseConfig, denoise, plan_of
from mmreason.sampling.views.rollout import Unit, ViewRollout

PUZZLE_SHARE = 0.25  # of the cells, where neither thought nor user names a region


def alphabets(model: PublicModel) -> dict[Unit, Alphabet]:
    """What a text, an edit and a joint turn may hold."""
    words, codes = (Alphabet.of(model.layout.allowed(modality)) for modality in MODALITIES)
    return {"text": words, "image": codes, "turn": Alphabet.of_turn(codes, words)}


def scales_of(unit: Unit, views: ViewsConfig) -> tuple[float, ...]:
    """Of guidance, which moves pictures."""
    return () if unit == "text" else views.scales


def denoising(unit: Unit, config: SamplingConfig, views: ViewsConfig) -> DenoiseConfig:
    """How a text, an edit or a joint turn is denoised; the schedule of a turn is the published one."""
    steps = views.steps_of_text(config)
    if unit == "text":
        return DenoiseConfig(steps, config.temperature, "equal", config.order, views.block_length)
    schedule = "cosine" if unit == "turn" else config.schedule
    return DenoiseConfig(config.num_steps or 1, config.temperature, schedule, config.order, text_steps=steps)


class ViewSampler:
    """One run over some problems; ``run`` yields after every denoising step."""

    def __init__(
        self,
        model: PublicModel,
        views: ViewsConfig,
        problems: Sequence[Problem],
        config: SamplingConfig,
        seeds: Sequence[int],
        num_generations: int,
    ) -> None:
        self.model, self.views, self.config = model, views, config
        self.alphabets = alphabets(model)
        starts = [start_canvas(problem, model.codec, views.pixels) for problem in problems]
        self.rollouts = [
            ViewRollout(
                problem,
                model.layout,
                model.codec,
                copy(start),
                torch_generator("rollout", seed, generation),
                views.turn == "joint",
            )
            for problem, seed, start in zip(problems, seeds, starts, strict=True)
            for generation in range(num_generations)
        ]
        self.settings = config.recorded() | views.recorded()
        del self.settings["default_region"]  # region_share says that here
        self.settings |= {"family": model.family, "native": model.backbone.native}
        self.settings["exact"] = denoising("text", config, views).exact
        if views.turn == "joint":
            self.settings["schedule"] = denoising("turn", config, views).schedule

    def traces(self) -> list[Trace]:
        """What the rollouts hold now."""
        return [rollout.trace(self.settings) for rollout in self.rollouts]

    @torch.no_grad()
    def run(self) -> Iterator[None]:
        """Generate until every rollout has ended."""
        active, limit = self.rollouts, self.config.max_turns
        joint = self.views.turn == "joint"
        for turn in range(1, limit + 2):
            cells = self._regions(active) if joint else [()] * len(active)
            for rollout, region in zip(active, cells, strict=True):
                rollout.begin(turn, self.views.text_length, region)
            yield from self._denoise(active, "turn" if joint else "text")
            for rollout in active:
                rollout.follow(turn, limit)
            active = [rollout for rollout in active if not rollout.end_reason]
            if not active:
                break
            if joint:
                continue
            for rollout, region in zip(active, self._regions(active), strict=True):
                boxes = rollout.stated() if self.config.region == "stated" else []
                rollout.begin(turn, cells=region, boxes=boxes)
            yield from self._denoise(active, "image")
        yield None  # the last yield shows every rollout ended

    def _denoise(self, active: list[ViewRollout], unit: Unit) -> Iterator[None]:
        """Denoise the draft of every rollout."""
        how, scales = denoising(unit, self.config, self.views), scales_of(unit, self.views)
        shown = [rollout.view() for rollout in active]
        began = time.perf_counter()
        session = self.model.backbone.open(shown, self.alphabets[unit], scales)
        self._spend(active, shown, session.cost, time.perf_counter() - began, scales)
        plans = [len(plan_of(view, how)) for view in shown]

        def uniform(step: int, width: int) -> torch.Tensor:
            numbers_BK = torch.zeros(len(active), width)
            for b, rollout in enumerate(active):
                if step < plans[b] and self.config.temperature:
                    numbers_BK[b, : len(shown[b].slots)] = torch.rand(len(shown[b].slots), generator=rollout.generator)
            return numbers_BK

        before, began = session.cost, time.perf_counter()
        for frames in denoise(session, shown, self.alphabets[unit], self.model.layout.mask, how, uniform):
            going = sorted(frames)
            self._spend(
                [active[b] for b in going],
                [shown[b] for b in going],
                _less(session.cost, before),
                time.perf_counter() - began,
                scales,
            )
            for b in going:
                active[b].add_frame(frames[b], self.config.max_turns)
            before, began = session.cost, time.perf_counter()
            yield None
            began = time.perf_counter()

    def _spend(
        self, active: list[ViewRollout], shown: list[View], cost: Cost, seconds: float, scales: Sequence[float]
    ) -> None:
        """Share out what was forwarded for ``shown``, by the lengths of the views and their twins."""
        if not cost.tokens_forwarded:
            return
        lengths = [sum(len(each.seen_ids) for each in (view, *used_twins(view, scales)[0])) for view in shown]
        for rollout, view, length in zip(active, shown, lengths, strict=True):
            share = length / sum(lengths)
            tokens = round(cost.tokens_forwarded * share)
            passes = 1 + len(used_twins(view, scales)[0])
            rollout.cost = rollout.cost + Cost(passes, tokens, cost.flops * share, seconds / len(active))

    def _regions(self, active: list[ViewRollout]) -> list[np.ndarray]:
        """Flat code indices that each rollout's next edit redraws.

        The boxes that the thought names; else what the user gave; else the least certain cells, or all.  A joint turn,
        whose words come with its picture, has no boxes.
        """
        chosen: list[np.ndarray | None] = []
        counts: list[int] = []
        for rollout in active:
            canvas, boxes = rollout.canvas, rollout.stated()
            every = canvas.cells[0] * canvas.cells[1]
            share = self.views.region_share or (PUZZLE_SHARE if rollout.is_puzzle and not rollout.joint else 1.0)
            named = canvas.codes_of(boxes) if boxes else np.empty(0, dtype=np.int64)
            per_cell = canvas.codes_HW.size // every
            counts.append(len(named) // per_cell if boxes else max(1, round(share * every)))
            if self.config.region == "full":
                chosen.append(np.arange(canvas.codes_HW.size))
            elif self.config.region == "confidence":
                chosen.append(None)
            elif boxes:
                chosen.append(named)
            elif canvas.given_HW is not None:
                chosen.append(np.flatnonzero(canvas.given_HW))
            else:
                chosen.append(None)
            if chosen[-1] is None and counts[-1] == every:
                chosen[-1] = np.arange(canvas.codes_HW.size)
        return [
            cells if cells is not None else self._least_certain(rollout, count)
            for rollout, cells, count in zip(active, chosen, counts, strict=True)
        ]

    def _least_certain(self, rollout: ViewRollout, count: int) -> np.ndarray:
        """The codes of ``count`` cells, those that the model finds least likely as they are."""
        canvas, alphabet = rollout.canvas, self.alphabets["image"]
        view = rollout.edit_view(np.arange(canvas.codes_HW.size))
        began = time.perf_counter()
        session: Session = self.model.backbone.open([view], alphabet, self.views.scales)
        logits_1KW = session.logits(torch.full((1, len(view.slots)), self.model.layout.mask))
        self._spend([rollout], [view], session.cost, time.perf_counter() - began, self.views.scales)
        allowed_W = alphabet.allowed_W.to(logits_1KW.device)
        logp_KW = log_distribution(logits_1KW, allowed_W, self.config.temperature)[0]
        codes_K = torch.from_numpy(canvas.codes_HW.ravel()).to(logits_1KW.device)
        shown_K = codes_K + self.model.layout.first_code - alphabet.first
        likely_K = logp_KW.gather(-1, shown_K[:, None]).squeeze(-1)
        return canvas.least(likely_K.double().cpu().numpy().reshape(canvas.grid), count)


def _less(now: Cost, before: Cost) -> Cost:
    return Cost(
        now.forward_passes - before.forward_passes,
        now.tokens_forwarded - before.tokens_forwarded,
        now.flops - before.flops,
        now.seconds - before.seconds,
    )
