"""Public checkpoints as policies that learn: low-rank adapters on a frozen base, scored view by view.

Logits are computed where something was committed only; a random share of the denoising steps may stand for all,
weighted so that the gradient has the whole one as its mean.  The reference is the base, or the adapter as it was when
the run began.

Axes: N scored tokens, K slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmreason.backbones.backbone import Snapshot
from mmreason.errors import ConfigError
from mmreason.records import Trace
from mmreason.sampling.unmask import certainty, choose_positions, log_distribution
from mmreason.sampling.views.config import PUZZLE_PIXELS
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.sampling.views.rollout import Unit, views_of, words_in
from mmreason.sampling.views.sampler import alphabets, scales_of
from mmreason.sampling.views.scoring import log_likelihood, share_of_steps, snapshots
from mmreason.training.hardware import PATIENCE, half_precision, recomputes, tokens_at_once
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.loss import constant_lengths
from mmreason.training.validation import rollouts_at_once

LOOKED_AT = 8  # denoising steps whose order is compared after an update
BASE = "base"  # as reference: no adapter
Weights = list[torch.Tensor]  # of an adapter, as reference
Entry = tuple[Snapshot, int, np.ndarray, float]  # with its trace, its tokens' segments (N,), and what it stands for


@dataclass(frozen=True, slots=True, eq=False)
class ScoredViews:
    """Snapshots of one kind of unit that are forwarded together, and whose tokens they committed."""

    snapshots: list[Snapshot]
    unit: Unit
    trace_N: torch.Tensor
    segment_N: torch.Tensor
    is_image_N: torch.Tensor
    share_N: torch.Tensor


class ViewsLearner:
    """A public checkpoint with adapters."""

    def __init__(self, pipe: ViewsPipeline, config: GRPOConfig, shared_on: torch.device | None = None) -> None:
        """Adds adapters of ``config.lora_rank``, or goes on with those that the checkpoint has; raises ConfigError.

        With ``shared_on`` this process keeps its share of the base there, and moves there what is not shared.
        """
        if config.likelihood != "trajectory":
            raise ConfigError(
                f"likelihood must be trajectory for checkpoints of public families, got {config.likelihood}"
            )
        pipe.check_tasks(config.tasks)
        model = pipe.model
        self.pipe, self.config, self.backbone = pipe, config, model.backbone
        self.is_new = model.adapter is None
        again = recomputes(config.gradient_checkpointing, shared_on or self.device)
        self.adapter = model.to_train(config.lora_rank, config.seed, again, config.lora_alpha)
        if shared_on is not None:
            self.backbone.shard(shared_on, PATIENCE)  # before it moves: no device ever holds the whole base
            pipe.to(shared_on)
        self.policy: nn.Module = self.adapter.peft
        self.at_once = rollouts_at_once(pipe)
        self.alphabets = alphabets(model)

    @property
    def device(self) -> torch.device:
        return self.backbone.device

    @property
    def lengths(self) -> Mapping[str, int]:
        views, codec = self.pipe.views, self.pipe.model.codec
        return constant_lengths(views.text_length, ((views.pixels or PUZZLE_PIXELS) // codec.pixels_per_code) ** 2)

    def reference(self) -> str | Weights:
        """What KL is measured from: to be asked before the first update."""
        return BASE if self.is_new else [each.detach().clone() for each in self.adapter.parameters]

    def parameters(self) -> list[nn.Parameter]:
        return self.adapter.parameters

    def half(self) -> AbstractContextManager[None]:
        return half_precision(self.device, self.config.bf16)

    def meet(self) -> None:
        self.backbone.meet()

    def batches(
        self, traces: Sequence[Trace], rngs: Sequence[np.random.Generator], live: Sequence[Sequence[bool]] | None
    ) -> list[ScoredViews]:
        backbone = self.backbone
        budget = self.config.max_tokens or tokens_at_once(backbone.shape, self.device, backbone.checkpointing)
        found: dict[Unit, list[Entry]] = {"text": [], "image": [], "turn": []}
        for t, trace in enumerate(traces):
            s = 0
            for segments, view in views_of(trace, self.pipe.model.layout):
                steps = snapshots(view, self.pipe.mask, *(segment.frames for segment in reversed(segments)))
                # of all steps, so that what is chosen stays the same
                chosen, share = share_of_steps(len(steps), self.config.score_steps, rngs[t])
                wanted = [live is None or bool(live[t][s + i]) for i in range(len(segments))]
                unit: Unit = "turn" if len(segments) > 1 else segments[0].modality
                for i in chosen:
                    found[unit] += _entries(steps[i], t, s, wanted, share)
                s += len(segments)
        batches = []
        for unit, entries in found.items():
            parts = backbone.micro_batches([each[0] for each in entries], budget, scales_of(unit, self.pipe.views))
            batches += [_scored_views([entries[i] for i in part], unit) for part in parts]
        return batches

    def shares(self, batch: ScoredViews) -> torch.Tensor:
        return batch.share_N

    def score(self, batch: ScoredViews) -> torch.Tensor:
        temperature, scales = self.config.sampling.temperature, scales_of(batch.unit, self.pipe.views)
        alphabet = self.alphabets[batch.unit].to(self.device)
        return log_likelihood(self.backbone, batch.snapshots, alphabet, temperature, scales)

    def score_reference(self, reference: str | Weights, batch: ScoredViews) -> torch.Tensor:
        with torch.no_grad(), self.adapter.off() if isinstance(reference, str) else self._swapped(reference):
            return self.score(batch)

    def flops(self, batch: ScoredViews, asks: bool) -> float:
        spent, shape, checkpointing = self.backbone.take_cost(), self.backbone.shape, self.backbone.checkpointing
        forward, tokens = spent.flops / (1 + asks), spent.tokens_forwarded // (1 + asks)
        return shape.backward_flops(forward, self.adapter.rank, tokens, checkpointing) + forward * asks

    @torch.no_grad()
    def changed_orders(self, batch: ScoredViews) -> tuple[int, int, float]:
        config, views, alphabet = self.config, self.pipe.views, self.alphabets[batch.unit].to(self.device)
        changed, looked = 0, batch.snapshots[:LOOKED_AT]
        length = views.block_length if batch.unit == "text" else None
        for each in looked:
            open_K = each.tokens == self.pipe.mask
            if length:
                open_K &= np.arange(len(open_K)) // length == int(each.places[0]) // length
            places, is_word_K = np.flatnonzero(open_K), each.view.is_word
            whole = Snapshot(each.view, each.tokens, places, np.full(len(places), alphabet.first))
            logits = self.backbone.scored([whole], alphabet, scales_of(batch.unit, views))
            allowed = alphabet.at(torch.from_numpy(is_word_K[places]))
            logp = log_distribution(logits, allowed, config.sampling.temperature)[None]
            score = certainty(logp, config.sampling.order)
            now = np.zeros(len(places), dtype=bool)
            for kind in (False, True):
                quota = torch.tensor([int((is_word_K[each.places] == kind).sum())], device=score.device)
                of_kind = torch.from_numpy(is_word_K[places] == kind)[None].to(score.device)
                now |= choose_positions(score, of_kind, quota)[0].cpu().numpy()
            changed += not np.array_equal(places[now], np.sort(each.places))
        return changed, len(looked), self.backbone.take_cost().flops

    def state(self) -> dict[str, torch.Tensor]:
        return self.adapter.weights()

    def load(self, state: dict[str, torch.Tensor]) -> None:
        self.adapter.set_weights(state)

    def export(self, folder: Path) -> None:
        self.pipe.save_pretrained(folder)

    @contextmanager
    def _swapped(self, weights: Weights) -> Iterator[None]:
        """The adapter with other ``weights``."""
        now = [each.detach().clone() for each in self.adapter.parameters]
        self.load({str(i): each for i, each in enumerate(weights)})
        try:
            yield
        finally:
            self.load({str(i): each for i, each in enumerate(now)})


def _entries(snapshot: Snapshot, trace: int, segment: int, wanted: Sequence[bool], share: float) -> list[Entry]:
    """``snapshot`` as far as its segments are ``wanted``: one segment, or a turn's text and the edit after it."""
    is_edit_N = ~snapshot.view.is_word[snapshot.places] if len(wanted) > 1 else np.zeros(len(snapshot.places), int)
    segment_N = segment + is_edit_N.astype(np.int64)
    kept = np.array(wanted)[segment_N - segment]
    if not kept.any():
        return []
    part = replace(snapshot, places=snapshot.places[kept], targets=snapshot.targets[kept])
    return [(part, trace, segment_N[kept], share)]


def _scored_views(entries: Sequence[Entry], unit: Unit) -> ScoredViews:
    counts = torch.tensor([len(snapshot.places) for snapshot, *_ in entries])
    traces, shares = (torch.tensor([entry[i] for entry in entries]) for i in (1, 3))
    is_word_N = np.concatenate([words_in(snapshot, unit) for snapshot, *_ in entries])
    return ScoredViews(
        [snapshot for snapshot, *_ in entries],
        unit,
        traces.repeat_interleave(counts),
        torch.from_numpy(np.concatenate([segment_N for _, _, segment_N, _ in entries])),
        torch.from_numpy(~is_word_N),
        shares.float().repeat_interleave(counts),
    )
