"""The Llama-shaped backbone of LLaDA's descendants: transformers' own network without the causal mask.

``full`` is how the public weights were trained: every token sees every other, so each step is a whole forward.
``prefix`` runs the same weights by our rule: the context does not see the slots, so its keys are computed once, and
all snapshots of a segment pack into one row.  It is exact for what it samples, and not what the weights were
trained with.  Views of unlike length are never padded to one: they are grouped by length.

Axes: B views, K slots, L tokens of a row, C context, W columns of an alphabet, D width, N scored tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaAttention

from mmreason.backbones.backbone import Attention, Snapshot, guided_codes
from mmreason.backbones.keys import ContextKeys
from mmreason.backbones.shape import Shape
from mmreason.errors import ConfigError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.models.kernels import quick_attention
from mmreason.records import Cost

if TYPE_CHECKING:
    from mmreason.backbones.shards import Shards

MAX_TOKENS = 16_384  # forwarded at once
ROTATED = "rotated_in_32_bits"  # as rope_full_precision has it; transformers rounds the angles to the weights' type


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One row to forward for one view or twin: the view as shown, and the places whose logits are wanted."""

    view: View
    tokens: np.ndarray  # (K,) ids at the slots
    wanted: np.ndarray  # (M,) indices into the slots

    @property
    def ids(self) -> np.ndarray:
        """(L,) the view with its slots filled."""
        filled = self.view.seen_ids.copy()
        filled[self.view.seen_slots] = self.tokens
        return filled


def used_twins(view: View, guidance: Sequence[float]) -> tuple[list[View], list[float]]:
    """The twins with a scale other than 0, and those scales.  Raises ConfigError where a scale has no twin."""
    if len(guidance) > len(view.twins) and any(guidance[len(view.twins) :]):
        raise ConfigError(f"guidance must have at most {len(view.twins)} scales for this view, got {list(guidance)}")
    pairs = [(twin, scale) for twin, scale in zip(view.twins, guidance, strict=False) if scale]
    return [twin for twin, _ in pairs], [scale for _, scale in pairs]


class LlamaBackbone:
    """A ``LlamaForCausalLM`` whose tokens see both ways."""

    def __init__(
        self, model: LlamaForCausalLM, shape: Shape, attention: Attention = "full", max_tokens: int = MAX_TOKENS
    ) -> None:
        if attention not in ("full", "prefix"):
            raise ConfigError(f"attention must be full or prefix for this checkpoint, got {attention!r}")
        self.attention: Attention = attention
        self.model, self.shape, self.max_tokens = model, shape, max_tokens
        self.spent = Cost()  # since the last ``take_cost``
        self.checkpointing = False  # recompute blocks in a backward pass instead of keeping what they computed
        self.shards: Shards | None = None  # of the layers, where processes share them
        for module in model.modules():
            if isinstance(module, LlamaAttention):
                module.is_causal = False
        model.set_attn_implementation(ROTATED)

    @property
    def native(self) -> bool:
        """True in the mode that the public weights were trained with."""
        return self.attention == "full"

    @property
    def device(self) -> torch.device:
        return self.model.lm_head.weight.device

    def shard(self, device: torch.device, patience: timedelta | None = None) -> None:
        """Keep a share of each layer's frozen weights, on ``device``, of as many as there are processes.

        ``patience``: how long one waits for the others, if not as long as torch does.
        """
        from mmreason.backbones.shards import Shards  # torch's FSDP takes its time to import

        self.shards = Shards(self.model.model.layers, device, patience)

    def meet(self) -> None:
        """Wait for the other processes that share the weights, helping them to forward."""
        if self.shards is not None:
            self.shards.meet()

    def open(self, views: Sequence[View], alphabet: Alphabet, guidance: Sequence[float] = ()) -> LlamaSession:
        """Begin to denoise ``views``; in ``prefix`` their contexts are forwarded now."""
        return LlamaSession(self, views, alphabet.to(self.device), guidance)

    def scored(
        self, snapshots: Sequence[Snapshot], alphabet: Alphabet, guidance: Sequence[float] = ()
    ) -> torch.Tensor:
        """(N, W) guided logits of every scored token, snapshots in order, with gradients."""
        lanes: list[Lane] = []
        plan: list[tuple[int, list[float]]] = []  # first lane of each snapshot, and the scales of those after it
        for snapshot in snapshots:
            twins, scales = used_twins(snapshot.view, guidance)
            plan.append((len(lanes), scales))
            lanes += [Lane(view, snapshot.tokens, snapshot.places) for view in (snapshot.view, *twins)]
        hidden = self._packed(lanes) if self.attention == "prefix" else self._whole(lanes)
        logits = [self.head(each, alphabet) for each in hidden]
        found = []
        for (at, scales), snapshot in zip(plan, snapshots, strict=True):
            is_word = snapshot.view.is_word[snapshot.places]
            found.append(guided_codes(logits[at], logits[at + 1 : at + 1 + len(scales)], scales, is_word))
        return torch.cat(found)

    def micro_batches(
        self, snapshots: Sequence[Snapshot], max_tokens: int, guidance: Sequence[float] = ()
    ) -> list[list[int]]:
        """Indices of snapshots that fit in ``max_tokens`` at once, those of one view side by side.

        In ``prefix`` a view's context is counted once a batch.  A snapshot that alone needs more is alone.
        """
        by_view: dict[int, list[int]] = {}
        for i, snapshot in enumerate(snapshots):
            by_view.setdefault(id(snapshot.view), []).append(i)
        groups = sorted(by_view.values(), key=lambda group: (len(snapshots[group[0]].view.seen_ids), group[0]))
        batches: list[list[int]] = []
        filled = max_tokens
        for group in groups:
            view = snapshots[group[0]].view
            views = [view, *used_twins(view, guidance)[0]]
            context = sum(len(each.context) for each in views) if self.attention == "prefix" else 0
            each = sum(len(v.slots if self.attention == "prefix" else v.seen_ids) for v in views)
            fresh = True
            for i in group:
                needed = each + (context if fresh else 0)
                if filled + needed > max_tokens:
                    batches.append([])
                    filled, needed = 0, each + context
                batches[-1].append(i)
                filled, fresh = filled + needed, False
        return batches

    def take_cost(self) -> Cost:
        """What was forwarded since this was last asked."""
        spent, self.spent = self.spent, Cost()
        return spent

    def head(self, hidden_MD: torch.Tensor, alphabet: Alphabet) -> torch.Tensor:
        """(M, W) logits of an alphabet's columns only."""
        self.spent = self.spent + Cost(flops=2.0 * hidden_MD.shape[0] * self.shape.width * alphabet.width)
        return hidden_MD @ self.model.lm_head.weight[alphabet.run].T

    def forward(
        self,
        ids_BL: np.ndarray,
        positions_BL: np.ndarray,
        mask_LL: torch.Tensor | None = None,
        keys: ContextKeys | None = None,
    ) -> torch.Tensor:
        """(B, L, D) last hidden states; without a mask every token sees every other and all cached ``keys``."""
        network = self.model.model
        ids = torch.as_tensor(ids_BL, dtype=torch.long, device=self.device)
        hidden = network.embed_tokens(ids)
        in_32_bits = hidden.new_empty(0, dtype=torch.float32)
        angles = network.rotary_emb(in_32_bits, torch.as_tensor(positions_BL, device=self.device))
        for layer in network.layers:
            run = partial(_block, layer, mask_LL, angles, keys)
            if self.checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(run, hidden, use_reentrant=False, preserve_rng_state=False)
            else:
                hidden = run(hidden)
        seen = ids.shape[1] + (0 if keys is None else keys.cached)
        self.spent = self.spent + Cost(1, ids.numel(), self.shape.flops(ids.numel(), seen))
        return network.norm(hidden)

    def _whole(self, lanes: Sequence[Lane]) -> list[torch.Tensor]:
        """(M, D) hidden states of each lane's wanted slots, one row per lane."""
        hidden: list[torch.Tensor | None] = [None] * len(lanes)
        for batch in batches_of_equals([len(lane.view.seen_ids) for lane in lanes], self.max_tokens):
            ids_BL = np.stack([lanes[i].ids for i in batch])
            positions_BL = np.stack([lanes[i].view.seen_positions for i in batch])
            out_BLD = self.forward(ids_BL, positions_BL)
            for b, i in enumerate(batch):
                hidden[i] = out_BLD[b, lanes[i].view.seen_slots[lanes[i].wanted]]
        return [each for each in hidden if each is not None]

    def _packed(self, lanes: Sequence[Lane]) -> list[torch.Tensor]:
        """The same in ``prefix``: a row holds a context once, and after it every copy of its slots."""
        hidden: list[torch.Tensor | None] = [None] * len(lanes)
        by_view: dict[int, list[int]] = {}
        for i, lane in enumerate(lanes):
            by_view.setdefault(id(lane.view), []).append(i)
        for copies in by_view.values():
            view = lanes[copies[0]].view
            context, slots = view.context, view.seen_slots
            places = np.concatenate([context, np.tile(slots, len(copies))])
            ids = np.concatenate([view.seen_ids[context], *(lanes[i].tokens for i in copies)])
            mask = copies_mask(len(context), len(slots), len(copies)).to(self.device)
            out_LD = self.forward(ids[None], view.seen_positions[places][None], mask[None, None])[0]
            for copy, i in enumerate(copies):
                hidden[i] = out_LD[len(context) + copy * len(slots) + lanes[i].wanted]
        return [each for each in hidden if each is not None]


def _attention(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any, **more: Any
) -> tuple[torch.Tensor, None]:
    """Attention in the type of the values; queries and keys come as their angles are, in 32 bits."""
    return sdpa_attention_forward(module, query.to(value.dtype), key.to(value.dtype), value, *rest, **more)


ALL_ATTENTION_FUNCTIONS.register(ROTATED, _attention)


def _block(
    layer: nn.Module,
    mask_LL: torch.Tensor | None,
    angles: tuple[torch.Tensor, torch.Tensor],
    keys: ContextKeys | None,
    hidden_BLD: torch.Tensor,
) -> torch.Tensor:
    """One block; it chooses the attention's kernel itself, so that a backward pass recomputes with the same one."""
    with quick_attention(hidden_BLD.device):
        return layer(hidden_BLD, attention_mask=mask_LL, position_embeddings=angles, past_key_values=keys)


def batches_of_equals(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Indices of rows of one length, as many as fit in ``max_tokens`` (at least one)."""
    for length in sorted(set(lengths)):
        same = [i for i, each in enumerate(lengths) if each == length]
        count = max(1, max_tokens // max(1, length))
        yield from (same[i : i + count] for i in range(0, len(same), count))


def copies_mask(context: int, slots: int, copies: int) -> torch.Tensor:
    """Boolean (L, L): the context sees itself; a copy of the slots sees the context and itself."""
    owner_L = torch.cat((torch.full((context,), -1), torch.arange(copies).repeat_interleave(slots)))
    return (owner_L[None] == -1) | (owner_L[:, None] == owner_L[None])


class LlamaSession:
    """Views that are being denoised on a ``LlamaBackbone``; ``cost`` is what was forwarded for them so far."""

    def __init__(
        self, backbone: LlamaBackbone, views: Sequence[View], alphabet: Alphabet, guidance: Sequence[float]
    ) -> None:
        self.backbone, self.alphabet = backbone, alphabet
        self.cost = Cost()
        self.lanes: list[list[View]] = []  # of each view: itself, then the twins that count
        self.scales: list[list[float]] = []
        for view in views:
            twins, scales = used_twins(view, guidance)
            self.lanes.append([view, *twins])
            self.scales.append(scales)
        self.contexts: dict[int, tuple[ContextKeys, int]] = {}  # id of a view → keys and its row there
        if backbone.attention == "prefix":
            self._forward_contexts()

    @torch.no_grad()
    def logits(self, tokens_BK: torch.Tensor, rows: Sequence[int] | None = None) -> torch.Tensor:
        """(B, K, W) guided logits of the slots of the views ``rows`` (default: all), given the ids in them now."""
        chosen = range(len(self.lanes)) if rows is None else rows
        tokens = tokens_BK.cpu().numpy()
        lanes = []
        for b, row in enumerate(chosen):
            width = len(self.lanes[row][0].slots)
            lanes += [Lane(view, tokens[b, :width], np.arange(width)) for view in self.lanes[row]]
        hidden = self._on_contexts(lanes) if self.contexts else self.backbone._whole(lanes)
        out_BKW = torch.zeros(
            (*tokens_BK.shape, self.alphabet.width), device=self.backbone.device, dtype=torch.float32
        )
        at = 0
        for b, row in enumerate(chosen):
            scales = self.scales[row]
            parts = [self.backbone.head(hidden[at + i], self.alphabet) for i in range(1 + len(scales))]
            is_word = self.lanes[row][0].is_word
            out_BKW[b, : len(parts[0])] = guided_codes(parts[0], parts[1:], scales, is_word)
            at += 1 + len(scales)
        self.cost = self.cost + self.backbone.take_cost()
        return out_BKW

    @torch.no_grad()
    def _forward_contexts(self) -> None:
        """Keep the keys of every context; equal views that are one object share them."""
        views = list({id(view): view for lanes in self.lanes for view in lanes}.values())
        for batch in batches_of_equals([len(view.context) for view in views], self.backbone.max_tokens):
            keys = ContextKeys()
            self.backbone.forward(
                np.stack([views[i].seen_ids[views[i].context] for i in batch]),
                np.stack([views[i].seen_positions[views[i].context] for i in batch]),
                keys=keys,
            )
            for row, i in enumerate(batch):
                self.contexts[id(views[i])] = (keys, row)
        self.cost = self.cost + self.backbone.take_cost()

    def _on_contexts(self, lanes: Sequence[Lane]) -> list[torch.Tensor]:
        """(K, D) hidden states of each lane's slots, on the kept keys of its context."""
        hidden: list[torch.Tensor | None] = [None] * len(lanes)
        groups: dict[tuple[int, int], list[int]] = {}
        for i, lane in enumerate(lanes):
            groups.setdefault((id(self.contexts[id(lane.view)][0]), len(lane.tokens)), []).append(i)
        for group in groups.values():
            keys = self.contexts[id(lanes[group[0]].view)][0]
            here = keys.of_rows([self.contexts[id(lanes[i].view)][1] for i in group])
            out_BKD = self.backbone.forward(
                np.stack([lanes[i].tokens for i in group]),
                np.stack([lanes[i].view.seen_positions[lanes[i].view.seen_slots] for i in group]),
                keys=here,
            )
            for b, i in enumerate(group):
                hidden[i] = out_BKD[b]
        return [each for each in hidden if each is not None]
