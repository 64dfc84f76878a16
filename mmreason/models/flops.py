"""FLOPs of a forward pass by formula: two per multiply-add, matrix products only.

Source: the usual count (e.g. Kaplan et al. 2020, arXiv 2001.08361, section 2.1), with attention over
the keys that are really multiplied, masked ones included.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmreason.models.configuration import InterleavedDiffusionConfig


def forward_flops(
    config: InterleavedDiffusionConfig, rows: int, block: int, cached: int, scored: int, tokens: int | None = None
) -> float:
    """FLOPs of one forward of ``rows`` × ``block`` positions on ``cached`` columns.

    ``scored`` is the number of positions (over all rows) whose logits over the vocabulary are computed, ``tokens``
    that of positions (over all rows) that are no padding (default: all).
    """
    tokens = rows * block if tokens is None else tokens
    return _flops(config, tokens, rows * block * (cached + block), scored)


def packed_flops(
    config: InterleavedDiffusionConfig,
    rows: int,
    clean: int,
    runs: Sequence[tuple[int, int]],
    scored: int,
    tokens: int | None = None,
) -> float:
    """FLOPs of one forward of ``rows`` packed rows: ``clean`` columns, then runs of (blocks, their width).

    A block is multiplied with the clean columns and with itself only; see ``block_attention``.  ``scored`` and
    ``tokens`` as in ``forward_flops``.
    """
    columns = clean + sum(blocks * size for blocks, size in runs)
    products = clean * clean + sum(blocks * size * (clean + size) for blocks, size in runs)
    return _flops(config, rows * columns if tokens is None else tokens, rows * products, scored)


def _flops(config: InterleavedDiffusionConfig, tokens: int, products: int, scored: int) -> float:
    """``tokens`` pass the linear maps; ``products`` is the number of pairs of query and key."""
    width, inner = config.hidden_size, config.intermediate_size
    linear = 2 * tokens * (4 * width * width + 2 * width * inner)
    attention = 4 * products * width
    return config.num_hidden_layers * (linear + attention) + 2.0 * scored * width * config.vocab_size
