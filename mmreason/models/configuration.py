"""Configuration of the interleaved discrete diffusion transformer."""

from __future__ import annotations

from transformers import PreTrainedConfig


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

    @property
    def head_dim(self) -> int:
        """Width of an attention head."""
        return self.hidden_size // self.num_attention_heads
