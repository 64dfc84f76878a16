"""The policy: a transformer over packed text and image segments.

Axes: B rows, L block positions, M cached positions, P position fields, V vocabulary, D width,
A heads, E head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.generic import ModelOutput

from mmreason.errors import CheckpointError
from mmreason.models.cache import PrefixCache
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.records import BlockMask


@dataclass
class InterleavedDiffusionOutput(ModelOutput):
    """``hidden_BLD``: final normed states; ``hint_states_BLD``: states that the hint head reads."""

    hidden_BLD: torch.Tensor | None = None
    hint_states_BLD: torch.Tensor | None = None


def axial_rotary(positions_BLP: torch.Tensor, config: InterleavedDiffusionConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines (B, 1, L, E/2): a third of each head turns with index, row and column each."""
    pairs = config.hidden_size // config.num_attention_heads // 2
    third = pairs // 3
    angles = []
    for axis, (share, fastest, theta) in enumerate(
        (
            (pairs - 2 * third, 1.0, config.rope_theta),
            (third, 2.0, config.axis_rope_theta),
            (third, 2.0, config.axis_rope_theta),
        )
    ):
        power = torch.arange(share, device=positions_BLP.device, dtype=torch.float32) / share
        angles.append(positions_BLP[..., axis, None].float() * fastest * theta**-power)
    angle_BLE = torch.cat(angles, dim=-1)[:, None]
    return angle_BLE.cos(), angle_BLE.sin()


def rotate(x_BALE: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the pairs (first half, second half) of each head by the given angles."""
    a, b = x_BALE.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1).to(x_BALE.dtype)


class Norm(nn.RMSNorm):
    """RMS norm in the type of what it norms: with weights of another type a GPU takes several kernels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Some positions of rows, (T,) flat indices into (B, L): those that hold a token, or whose states are asked for.

    Attention alone needs rows; everything else works on one row of these tokens, (1, T, …).
    """

    index_T: torch.Tensor
    shape: tuple[int, int]

    def gather(self, x_BL: torch.Tensor) -> torch.Tensor:
        """(1, T, …) of (B, L, …)."""
        return x_BL.flatten(0, 1).index_select(0, self.index_T)[None]

    def spread(self, x_1T: torch.Tensor) -> torch.Tensor:
        """(B, L, …) of (1, T, …), zero elsewhere."""
        padded = x_1T.new_zeros(prod(self.shape), *x_1T.shape[2:])
        return padded.index_copy(0, self.index_T, x_1T[0]).unflatten(0, self.shape)


class ResidualOutput(nn.Linear):
    """The last map of a residual branch: it starts at zero, so that a new block is the identity."""


class Attention(nn.Module):
    """Multi-head attention with axial rotary positions and normed queries and keys."""

    def __init__(self, config: InterleavedDiffusionConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.is_causal = False
        width = config.hidden_size
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = ResidualOutput(width, width, bias=False)
        self.query_norm = Norm(self.head_dim, eps=1e-6)
        self.key_norm = Norm(self.head_dim, eps=1e-6)

    def forward(
        self,
        x_BLD: torch.Tensor,
        rotary: tuple[torch.Tensor, torch.Tensor],
        mask_B1LM: torch.Tensor | BlockMask,
        cache: PrefixCache | None,
        keep_BL: torch.Tensor | None,
        places: Places | None,
        wanted: Places | None,
    ) -> torch.Tensor:
        """``wanted`` are the places to mix something for (default: all)."""
        shape = (*x_BLD.shape[:2], 3, self.config.num_attention_heads, self.head_dim)
        q, k, v = self.qkv(x_BLD).view(shape).permute(2, 0, 3, 1, 4)
        q, k = rotate(self.query_norm(q), *rotary).to(v.dtype), rotate(self.key_norm(k), *rotary).to(v.dtype)
        if places is not None:
            q, k, v = (places.spread(each.transpose(1, 2)).transpose(1, 2) for each in (q, k, v))
        seen_k, seen_v = k, v
        if cache is not None:
            assert isinstance(mask_B1LM, torch.Tensor)
            seen_k, seen_v = cache.read_with(self.layer, k, v, mask_B1LM.shape[-1] - k.shape[2])
        if isinstance(mask_B1LM, BlockMask):
            mixed = block_attention(q, k, v, mask_B1LM, self.scaling)
        else:
            named = self.config._attn_implementation or "eager"
            attend = ALL_ATTENTION_FUNCTIONS.get_interface(named, eager_attention)
            mixed, _ = attend(self, q, seen_k, seen_v, mask_B1LM, dropout=0.0, scaling=self.scaling)
        if cache is not None and keep_BL is not None:
            cache.write(self.layer, k, v, keep_BL)
        chosen = wanted or places
        if chosen is not None:
            mixed = chosen.gather(mixed)
        return self.out(mixed.flatten(2))


def added(mask: torch.Tensor) -> torch.Tensor:
    """What a boolean mask adds to scores: made once a forward, it costs each layer less than to fill them."""
    lowest = torch.finfo(torch.bfloat16).min  # finite in half precision, too
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, lowest)


def eager_attention(module, query, key, value, attention_mask, dropout=0.0, scaling=1.0, **_):
    """Plain attention, (B, A, L, E) in and (B, L, A, E) out; torch's FLOP counter sees its products.

    As torch's own it takes a mask that is boolean, or one that is added.
    """
    scores = query * scaling @ key.transpose(-1, -2)
    scores += added(attention_mask) if attention_mask.dtype == torch.bool else attention_mask
    return (scores.softmax(dim=-1) @ value).transpose(1, 2), None


def block_attention(q, k, v, mask: BlockMask, scaling: float) -> torch.Tensor:
    """Attention of packed rows, (B, A, L, E) in and (B, L, A, E) out, without the products masked whole.

    Clean columns see clean ones; a noisy block sees clean ones and itself.  ``mask`` is added.
    """
    clean = mask.clean_B1CC.shape[-1]
    q, k_clean, v_clean = q * scaling, k[:, :, :clean], v[:, :, :clean]
    out, _ = eager_attention(None, q[:, :, :clean], k_clean, v_clean, mask.clean_B1CC)
    outs, start = [out], clean
    for own_B1KWW in mask.own_runs:
        count, width = own_B1KWW.shape[2:4]
        here = slice(start, start + count * width)
        prefix = mask.prefix_B1NC[:, :, start - clean : start - clean + count * width]
        to_clean = q[:, :, here] @ k_clean.transpose(-1, -2)
        to_clean += prefix
        q_own, k_own, v_own = (x[:, :, here].unflatten(2, (count, width)) for x in (q, k, v))
        to_own = q_own @ k_own.transpose(-1, -2)
        to_own += own_B1KWW
        weight = torch.cat((to_clean, to_own.flatten(2, 3)), dim=-1).softmax(dim=-1)
        weight_clean, weight_own = weight.split([clean, width], dim=-1)
        mixed = weight_clean @ v_clean + (weight_own.unflatten(2, (count, width)) @ v_own).flatten(2, 3)
        outs.append(mixed.transpose(1, 2))
        start += count * width
    return torch.cat(outs, dim=1)


class Block(nn.Module):
    """Pre-norm attention and a squared-ReLU feed-forward net."""

    def __init__(self, config: InterleavedDiffusionConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = Norm(config.hidden_size, eps=1e-6)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = Norm(config.hidden_size, eps=1e-6)
        self.up = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down = ResidualOutput(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_BLD, rotary, mask_B1LM, cache=None, keep_BL=None, places=None, wanted=None):
        """Of ``wanted`` places, if given, only these pass what follows attention and come out, (1, N, D)."""
        mixed_BLD = self.attention(self.attention_norm(x_BLD), rotary, mask_B1LM, cache, keep_BL, places, wanted)
        if wanted is not None:
            x_BLD = wanted.gather(x_BLD if places is None else places.spread(x_BLD))
        x_BLD = x_BLD + mixed_BLD
        return x_BLD + self.down(F.relu(self.up(self.feed_forward_norm(x_BLD))).square())


class InterleavedDiffusionModel(PreTrainedModel):
    """Token ids, positions and an attention mask in, hidden states out; ``logits`` maps them to ids."""

    config_class = InterleavedDiffusionConfig
    config: InterleavedDiffusionConfig
    base_model_prefix = "model"
    main_input_name = "ids_BL"
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    def __init__(self, config: InterleavedDiffusionConfig) -> None:
        config.check_sizes()
        super().__init__(config)
        width = config.hidden_size
        self.tokens = nn.Embedding(config.vocab_size, width)
        self.rows = nn.Embedding(config.grid_size + 1, width)
        self.columns = nn.Embedding(config.grid_size + 1, width)
        self.turns = nn.Embedding(config.max_turns + 2, width)
        self.slots = nn.Embedding(config.max_text_tokens + 1, width)
        if config.causal:
            self.next_rows = nn.Embedding(config.grid_size + 1, width)
            self.next_columns = nn.Embedding(config.grid_size + 1, width)
            self.next_slots = nn.Embedding(config.max_text_tokens + 1, width)
        self.blocks = nn.ModuleList(Block(config, i) for i in range(config.num_hidden_layers))
        self.norm = Norm(width, eps=1e-6)
        self.output = nn.Embedding(config.vocab_size, width)
        self.hint_norm = Norm(width, eps=1e-6)
        self.hints = nn.Linear(width, config.num_hints, bias=False)
        self.gradient_checkpointing = False
        self.post_init()

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]  # the base's pair is not in its types
        cls, *args, output_loading_info: bool = False, **kwargs
    ):
        """The weights of a folder or Hub id, all of them; raises CheckpointError for those of another version."""
        kwargs |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
        model, info = cast(tuple[Any, dict[str, Any]], super().from_pretrained(*args, **kwargs))
        resized = {name for name, *_ in info["mismatched_keys"]}
        for what, names in (
            ("have another size of", resized),
            ("lack", info["missing_keys"]),
            ("have besides", info["unexpected_keys"]),
        ):
            if names:
                raise CheckpointError(f"weights must be those of this version; they {what} {min(names)}")
        return (model, info) if output_loading_info else model

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, ResidualOutput):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Linear | nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, Norm):
            init.ones_(module.weight)

    def _with_cells(self, table_VD: torch.Tensor) -> torch.Tensor:
        """Add to the cell words of ``table_VD`` the embeddings of the row and column that they name."""
        first, step = self.config.first_cell, self.config.cell_tokens  # a cell is where its first token is
        size = self.config.grid_size // step
        places_CD = (self.rows.weight[1::step, None] + self.columns.weight[None, 1::step]).flatten(0, 1)
        before, cells, after = table_VD.split([first, size * size, len(table_VD) - first - size * size])
        return torch.cat((before, cells + places_CD, after))

    def forward(
        self,
        ids_BL: torch.Tensor,
        positions_BLP: torch.Tensor,
        attention_mask: torch.Tensor | BlockMask,
        cache: PrefixCache | None = None,
        keep_BL: torch.Tensor | None = None,
        tokens_T: torch.Tensor | None = None,
        wanted_N: torch.Tensor | None = None,
    ) -> InterleavedDiffusionOutput:
        """Encode a block.

        ``attention_mask`` is boolean (B, 1, L, M + L): cached columns first, then the block itself; or,
        without a cache, a ``BlockMask``.  ``cache`` must have room for M + L columns.
        With ``keep_BL`` (boolean) the marked positions are appended to ``cache``.
        ``tokens_T``, flat indices into (B, L), says which positions hold a token (default: all): padding costs
        attention only, and is zero in what comes out.  ``wanted_N``, flat indices into (B, L), each once, says which
        final states are asked for (default: all): what follows the last attention is left out for the others, and
        they are zero.

        A causal model takes, after the five positions of each token, the row, column and slot of the next one
        (as in sigma-GPTs, Pannatier et al. 2024, arXiv 2404.09562).
        """
        shape = (ids_BL.shape[0], ids_BL.shape[1])
        places = None if tokens_T is None else Places(tokens_T, shape)
        if places is not None:
            ids_BL, positions_BLP = places.gather(ids_BL), places.gather(positions_BLP)
        x_BLD = F.embedding(ids_BL, self._with_cells(self.tokens.weight))
        x_BLD = x_BLD + self.rows(positions_BLP[..., 1]) + self.columns(positions_BLP[..., 2])
        x_BLD = x_BLD + self.turns(positions_BLP[..., 3]) + self.slots(positions_BLP[..., 4])
        if self.config.causal:
            x_BLD = x_BLD + self.next_rows(positions_BLP[..., 5]) + self.next_columns(positions_BLP[..., 6])
            x_BLD = x_BLD + self.next_slots(positions_BLP[..., 7])
        wanted = None if wanted_N is None else Places(wanted_N, shape)
        rotary = axial_rotary(positions_BLP, self.config)
        if isinstance(attention_mask, BlockMask):
            attention_mask = attention_mask.mapped(added)
        hint_states = None
        for i, block in enumerate(self.blocks):
            last = i + 1 == len(self.blocks)
            given = (rotary, attention_mask, cache, keep_BL, places, wanted if last else None)
            if self.gradient_checkpointing and self.training and cache is None:
                x_BLD = self._gradient_checkpointing_func(block.__call__, x_BLD, *given)
            else:
                x_BLD = block(x_BLD, *given)
            if i + 1 == self.config.hint_layer and not (last and wanted):
                hint_states = x_BLD
        if cache is not None and keep_BL is not None:
            cache.advance(keep_BL)
        hidden_BLD, left = self.norm(x_BLD), wanted or places
        if left is not None:
            hidden_BLD = left.spread(hidden_BLD)
        if places is not None and hint_states is not None:
            hint_states = places.spread(hint_states)
        return InterleavedDiffusionOutput(hidden_BLD=hidden_BLD, hint_states_BLD=hint_states)

    def logits(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        """(…, V) scores of every id."""
        return hidden_ND @ self._with_cells(self.output.weight).T

    def hint_logits(self, hint_states_ND: torch.Tensor) -> torch.Tensor:
        """(…, num_hints) scores of the auxiliary labels."""
        return self.hints(self.hint_norm(hint_states_ND))


AutoConfig.register(InterleavedDiffusionConfig.model_type, InterleavedDiffusionConfig)
AutoModel.register(InterleavedDiffusionConfig, InterleavedDiffusionModel)
