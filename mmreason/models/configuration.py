"""Configuration of the interleaved discrete diffusion transformer."""

from __future__ import annotations

from transformers import PreTrainedConfig

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.limits import Number, Whole

SIZES = (
    *(limits.WIDTH, limits.LAYERS, limits.HEADS),
    Whole("vocab_size", 1, 2**17, "ids of words and codes"),
    Whole("intermediate_size", 1, 2**15, "width inside a block's perceptron"),
    Whole("grid_size", 1, 256, "image tokens along a side of the canvas"),
    Whole("cell_tokens", 1, 256, "image tokens along a side of a cell"),
    Whole("max_turns", 1, 1024, "turns that have a place"),
    Whole("max_text_tokens", 1, 1024, "slots of a text"),
    Whole("first_cell", 0, 2**17, "id of the word r1c1"),
    Whole("num_hints", 0, 2**16, "labels of the auxiliary head"),
    Whole("hint_layer", 0, 256, "layers before the auxiliary head"),
    Number("rope_theta", 1, 1e12, "base of the angles of the running index"),
    Number("axis_rope_theta", 1, 1e12, "base of the angles of rows and columns"),
    Number("initializer_range", 0, 1, "spread of new weights"),
)


class InterleavedDiffusionConfig(PreTrainedConfig):
    """Sizes of the policy.

    ``first_cell`` is the id of the word ``r1c1``: cell words share the row and column embeddings of the
    canvas positions.  ``num_hints`` labels feed the auxiliary head that reads the start canvas after
    ``hint_layer`` layers in supervised training; sampling never calls it.
    """

    model_type = "interleaved_diffusion"

    vocab_size: int = 512
    hidden_size: int = 192
    num_hidden_layers: int = 8
    num_attention_heads: int = 3
    intermediate_size: int = 768
    grid_size: int = 8  # image tokens along a side of the canvas
    cell_tokens: int = 1  # of them along a side of a cell that words name
    max_turns: int = 24
    max_text_tokens: int = 12
    text_slots: dict[str, int] | None = None  # of a text, by task; of a task that is not named, max_text_tokens
    first_cell: int = 10
    num_hints: int = 52
    hint_layer: int = 6
    rope_theta: float = 100.0  # of the running index
    axis_rope_theta: float = 20.0  # of rows and columns, which are few
    initializer_range: float = 0.02
    attention: str = "blocks"  # or full: who sees whom; of a causal model neither
    turn: str = "interleaved"  # or joint: a turn's words and picture are denoised together
    causal: bool = False  # autoregressive: the next token's place is told, and its identity predicted
    tie_word_embeddings: bool = False

    def check_sizes(self) -> None:
        """Raise ConfigError, which names the field, where a size is none that a network can have."""
        for limit in SIZES:
            limit.check_stored(getattr(self, limit.name), f"{limit.name} of the transformer")
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ConfigError(
                f"hidden_size of the transformer must be a multiple of twice its {self.num_attention_heads} attention "
                f"heads, got {self.hidden_size}"
            )

    @property
    def head_dim(self) -> int:
        """Width of an attention head."""
        return self.hidden_size // self.num_attention_heads
