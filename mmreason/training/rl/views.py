"""Public checkpoints as policies that learn: low-rank adapters on a frozen base, scored view by view.

Logits are computed where something was committed only; a random share of the denoising steps may stand for all,
weighted so that the gradient has the whole one as its mean.  The reference is the base, or the adapter as it was when
the run began.

Axes: N scored tokens, K slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmreason.backbones.backbone import Snapshot
from mmreason.errors import ConfigError
from mmreason.records import Modality, Trace
from mmreason.sampling.unmask import certainty, choose_positions, log_distribution
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.sampling.views.rollout import views_of
from mmreason.sampling.views.sampler import alphabets
from mmreason.sampling.views.scoring import log_likelihood, share_of_steps, snapshots
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.validation import rollouts_at_once

CPU_TOKENS, GPU_TOKENS = 8_192, 16_384  # forwarded at once where nothing else is said
LOOKED_AT = 8  # denoising steps whose order is compared after an update
BASE = "base"  # as reference: no adapter
Weights = list[torch.Tensor]  # of an adapter, as reference


@dataclass(frozen=True, slots=True, eq=False)
class ScoredViews:
    """Snapshots of one modality that are forwarded together, and whose tokens they committed."""

    snapshots: list[Snapshot]
    modality: Modality
    trace_N: torch.Tensor
    segment_N: torch.Tensor
    is_image_N: torch.Tensor
    share_N: torch.Tensor


class ViewsLearner:
    """A public checkpoint with adapters."""

    def __init__(self, pipe: ViewsPipeline, config: GRPOConfig) -> None:
        """Adds adapters of ``config.lora_rank``, or goes on with those that the checkpoint has; raises ConfigError."""
        if config.likelihood != "trajectory":
            raise ConfigError(
                f"likelihood must be trajectory for checkpoints of public families, got {config.likelihood}"
            )
        model = pipe.model
        self.pipe, self.config, self.backbone = pipe, config, model.backbone
        self.is_new = model.adapter is None
        self.adapter = model.to_train(config.lora_rank, config.seed, config.gradient_checkpointing)
        self.policy: nn.Module = self.adapter.peft
        self.at_once = rollouts_at_once(pipe)
        self.alphabets = alphabets(model)

    @property
    def device(self) -> torch.device:
        return self.backbone.device

    def reference(self) -> str | Weights:
        """What KL is measured from: to be asked before the first update."""
        return BASE if self.is_new else [each.detach().clone() for each in self.adapter.parameters]

    def parameters(self) -> list[nn.Parameter]:
        return self.adapter.parameters

    def half(self) -> AbstractContextManager[None]:
        return nullcontext()  # the base has a type of its own, the adapters have 32 bits

    def batches(
        self, traces: Sequence[Trace], rngs: Sequence[np.random.Generator], live: Sequence[Sequence[bool]] | None
    ) -> list[ScoredViews]:
        budget = self.config.max_tokens or (CPU_TOKENS if self.device.type == "cpu" else GPU_TOKENS)
        found: dict[Modality, list[tuple[Snapshot, int, int, float]]] = {"text": [], "image": []}
        for t, trace in enumerate(traces):
            views = views_of(trace, self.pipe.model.layout)
            for s, (segment, view) in enumerate(zip(trace.segments, views, strict=True)):
                steps = snapshots(view, self.pipe.mask, segment.frames)
                chosen, share = share_of_steps(
                    len(steps), self.config.score_steps, rngs[t]
                )  # of all, to stay the same
                if live is None or live[t][s]:
                    found[segment.modality] += [(steps[i], t, s, share) for i in chosen]
        batches = []
        for modality, entries in found.items():
            parts = self.backbone.micro_batches([each[0] for each in entries], budget, self._scales(modality))
            batches += [_scored_views([entries[i] for i in part], modality) for part in parts]
        return batches

    def shares(self, batch: ScoredViews) -> torch.Tensor:
        return batch.share_N

    def score(self, batch: ScoredViews) -> torch.Tensor:
        temperature, scales = self.config.sampling.temperature, self._scales(batch.modality)
        alphabet = self.alphabets[batch.modality].to(self.device)
        return log_likelihood(self.backbone, batch.snapshots, alphabet, temperature, scales)

    def score_reference(self, reference: str | Weights, batch: ScoredViews) -> torch.Tensor:
        with torch.no_grad(), self.adapter.off() if isinstance(reference, str) else self._swapped(reference):
            return self.score(batch)

    def flops(self, batch: ScoredViews, asks: bool) -> float:
        spent, shape = self.backbone.take_cost(), self.backbone.shape
        forward = spent.flops / (1 + asks)
        return shape.backward_flops(forward, self.adapter.rank, spent.tokens_forwarded // (1 + asks)) + forward * asks

    @torch.no_grad()
    def changed_orders(self, batch: ScoredViews) -> tuple[int, int, float]:
        config, alphabet = self.config, self.alphabets[batch.modality].to(self.device)
        changed, looked = 0, batch.snapshots[:LOOKED_AT]
        for each in looked:
            masked_K = each.tokens == self.pipe.mask
            length = self.pipe.views.block_length
            if batch.modality == "text" and length:
                masked_K &= np.arange(len(masked_K)) // length == int(each.places[0]) // length
            places = np.flatnonzero(masked_K)
            whole = Snapshot(each.view, each.tokens, places, np.full(len(places), alphabet.first))
            logits = self.backbone.scored([whole], alphabet, self._scales(batch.modality))
            logp = log_distribution(logits, alphabet.allowed_W.to(logits.device), config.sampling.temperature)[None]
            score = certainty(logp, config.sampling.order)
            quota = torch.tensor([len(each.places)], device=score.device)
            now = choose_positions(score, torch.ones_like(score, dtype=torch.bool), quota)[0].cpu().numpy()
            changed += not np.array_equal(places[now], np.sort(each.places))
        return changed, len(looked), self.backbone.take_cost().flops

    def state(self) -> dict[str, torch.Tensor]:
        return self.adapter.weights()

    def load(self, state: dict[str, torch.Tensor]) -> None:
        self.adapter.set_weights(state)

    def export(self, folder: Path) -> None:
        self.pipe.save_pretrained(folder)

    def _scales(self, modality: Modality) -> tuple[float, ...]:
        return self.pipe.views.scales if modality == "image" else ()

    @contextmanager
    def _swapped(self, weights: Weights) -> Iterator[None]:
        """The adapter with other ``weights``."""
        now = [each.detach().clone() for each in self.adapter.parameters]
        self.load({str(i): each for i, each in enumerate(weights)})
        try:
            yield
        finally:
            self.load({str(i): each for i, each in enumerate(now)})


def _scored_views(entries: Sequence[tuple[Snapshot, int, int, float]], modality: Modality) -> ScoredViews:
    counts = torch.tensor([len(snapshot.places) for snapshot, *_ in entries])
    traces, segments, shares = (torch.tensor([entry[i] for entry in entries]) for i in (1, 2, 3))
    is_image_N = torch.full((int(counts.sum()),), modality == "image")
    return ScoredViews(
        [snapshot for snapshot, *_ in entries],
        modality,
        traces.repeat_interleave(counts),
        segments.repeat_interleave(counts),
        is_image_N,
        shares.float().repeat_interleave(counts),
    )
