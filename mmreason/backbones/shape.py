"""The shape of a LLaDA-like network, read off its configuration, and what runs on it by formula.

FLOPs count a multiply and an add each, matrix products only; a query is multiplied with every key that it is
given, masked ones included.  ``tests/backbones/test_shape.py`` holds them against torch's own counter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmreason.errors import CheckpointError, ConfigError
from mmreason.limits import Number, Whole

# What the reference's code would do otherwise with these fields is not what a Llama does.
REQUIRED: dict[str, tuple[Any, ...]] = {
    "block_type": ("llama",),
    "activation_type": ("silu",),
    "layer_norm_type": ("rms",),
    "layer_norm_with_affine": (True,),
    "rope": (True,),
    "rope_full_precision": (True,),
    "rope_scaling": (None,),
    "clip_qkv": (None,),
    "alibi": (False,),
    "include_bias": (False,),
    "include_qkv_bias": (False, None),
    "bias_for_layer_norm": (False, None),
    "attention_layer_norm": (False,),
    "input_emb_norm": (False,),
    "scale_logits": (False,),
    "multi_query_attention": (False, None),
    "block_group_size": (1,),
    "weight_tying": (False,),
    "quantization_config": (None,),
}
MODEL_TYPES = ("llada", "mmada")
WIDTH = Whole("d_model", 2, 2**16, "width of the network")
LAYERS = Whole("n_layers", 1, 1024, "blocks of the network")
HEADS = Whole("n_heads", 1, 1024, "attention heads of a block")
INNER = Whole("mlp_hidden_size", 1, 2**18, "width between the matrices of a block's perceptron")
RATIO = Number("mlp_ratio", 0.01, 100, "the same as a multiple of d_model")
ROPE_THETA = Number("rope_theta", 1, 1e12, "base of the rotary angles")
NORM_EPS = Number("rms_norm_eps", 0, 1, "what a norm adds to a mean square")


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a network; ``vocab`` is the number of rows of embedding and head, which are apart."""

    width: int
    layers: int
    heads: int
    inner: int
    vocab: int
    rope_theta: float = 500_000.0
    norm_eps: float = 1e-5

    @classmethod
    def of(cls, config: Mapping[str, Any], vocab: int) -> Shape:
        """The shape that a reference's ``config.json`` states.  Raises CheckpointError where it is no Llama."""
        kind = config.get("model_type")
        if kind not in MODEL_TYPES:
            raise CheckpointError(f"model_type must be one of {', '.join(MODEL_TYPES)}, got {kind!r:.60}")
        for name, right in REQUIRED.items():
            if config.get(name, right[0]) not in right:
                raise CheckpointError(f"{name} must be {right[0]!r} for this network, got {config[name]!r:.60}")
        width, layers, heads = (int(_number(config, limit)) for limit in (WIDTH, LAYERS, HEADS))
        if width % heads or width // heads % 2:
            raise CheckpointError(f"d_model must be n_heads ({heads}) times an even number, got {width}")
        if config.get("n_kv_heads") not in (None, heads):
            raise CheckpointError(f"n_kv_heads must be n_heads ({heads}), got {config['n_kv_heads']!r:.60}")
        inner = int(_number(config, INNER) if config.get(INNER.name) else _number(config, RATIO, 4) * width)
        return cls(
            width, layers, heads, inner, vocab, _number(config, ROPE_THETA, 1e4), _number(config, NORM_EPS, 1e-5)
        )

    @property
    def body_parameters(self) -> int:
        """Of all blocks and the last norm."""
        block = 4 * self.width**2 + 3 * self.width * self.inner + 2 * self.width
        return self.layers * block + self.width

    @property
    def parameters(self) -> int:
        return self.body_parameters + 2 * self.vocab * self.width

    def adapter_parameters(self, rank: int) -> int:
        """Parameters of low-rank adapters on every matrix of every block."""
        return self.layers * rank * (4 * 2 * self.width + 3 * (self.width + self.inner))

    def cached_bytes(self, tokens: int) -> int:
        """Of the keys and values of ``tokens``, in two bytes each."""
        return 2 * self.layers * self.width * 2 * tokens

    def flops(self, tokens: int, keys: int, scored: int = 0, columns: int | None = None) -> float:
        """Of one forward of ``tokens`` on ``keys`` each; ``scored`` of them over ``columns`` of the head."""
        block = 2 * (4 * self.width**2 + 3 * self.width * self.inner) + 4 * self.width * keys
        head = 2 * self.width * (self.vocab if columns is None else columns)
        return float(tokens) * self.layers * block + float(scored) * head

    def backward_flops(self, forward: float, rank: int, tokens: int, checkpointing: bool = True) -> float:
        """Of a backward through frozen matrices with adapters, its forward pass included.

        One forward, with ``checkpointing`` one more to recompute it, and one for the gradient of the activations; the
        adapters' own products (two each forward, and four backward) come on top.
        """
        forwards = 1 + checkpointing
        return (forwards + 1) * forward + (2.0 * forwards + 4) * tokens * self.adapter_parameters(rank)

    @property
    def _block_bytes(self) -> int:
        """What one block computes of a token and a backward pass needs."""
        return 40 * self.width + 10 * self.inner

    def activation_bytes(self, checkpointing: bool = True) -> int:
        """What a backward pass keeps of each token: all that the blocks compute, or with ``checkpointing`` what each
        began with and what one of them computes.
        """
        if not checkpointing:
            return self.layers * self._block_bytes
        return 2 * self.layers * self.width + self._block_bytes

    def training_bytes(self, tokens: int, rank: int, scored: int, columns: int) -> dict[str, int]:
        """What a likelihood's backward over ``tokens`` at once holds, by part: an estimate of the peak.

        Weights and what is kept of each block in two bytes; adapters, their gradients and Adam's two moments in
        four; one block recomputed; logits of the scored tokens in four bytes, three times over.
        """
        return {
            "weights": 2 * self.parameters,
            "adapters": 16 * self.adapter_parameters(rank),
            "checkpoints": 2 * self.layers * self.width * tokens,
            "one_block": tokens * self._block_bytes,
            "logits": 12 * scored * columns,
        }

    def step_bytes(self, tokens: int, scored: int, columns: int, cached: int = 0) -> dict[str, int]:
        """What one denoising step of ``tokens`` holds, by part: an estimate of the peak without gradients."""
        return {
            "weights": 2 * self.parameters,
            "keys": self.cached_bytes(cached),
            "one_block": tokens * (16 * self.width + 6 * self.inner),
            "logits": 36 * scored * columns,
        }


def _number(config: Mapping[str, Any], limit: Number, default: float | None = None) -> float:
    """What ``config`` says of ``limit``; raises CheckpointError."""
    try:
        return float(limit.check_stored(config.get(limit.name, default)))
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


DIMOO = Shape(width=4096, layers=32, heads=32, inner=12288, vocab=134_548)
MMADA = Shape(width=4096, layers=32, heads=32, inner=12288, vocab=134_656)
