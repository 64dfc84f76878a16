"""FLOPs of a forward pass by formula: two per multiply-add, matrix products only.

Source: the usual count (e.g. Kaplan et al. 2020, arXiv 2001.08361, section 2.1), with attention over
the keys that are really multiplied, masked ones included.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmreason.models.configuration import InterleavedDiffusionConfig


def forward_flops(config: InterleavedDiffusionConfig, rows: int, block: int, cached: int, scored: int) -> float:
    """FLOPs of one forward of ``rows`` × ``block`` tokens on ``cached`` columns.

    ``scored`` is the number of positions (over all rows) whose logits over the vocabulary are computed.
    """
    return _flops(config, rows, block, block * (cached + block), scored)


def packed_flops(
    config: InterleavedDiffusionConfig, rows: int, clean: int, runs: Sequence[tuple[int, int]], scored: int
) -> float:
    """FLOPs of one forward of ``rows`` packed rows: ``clean`` columns, then runs of (blocks, their width).

    A block is multiplied with the clean columns and with itself only; see ``block_attention``.
    """
    noisy = sum(blocks * size for blocks, size in runs)
    products = clean * clean + sum(blocks * size * (clean + size) for blocks, size in runs)
    return _flops(config, rows, clean + noisy, products, scored)


def _flops(config: InterleavedDiffusionConfig, rows: int, columns: int, products: int, scored: int) -> float:
    """``products`` is the number of pairs of query and key in a row."""
    width, inner = config.hidden_size, config.intermediate_size
    linear = 2 * rows * columns * (4 * width * width + 2 * width * inner)
    attention = 4 * rows * products * width
    return config.num_hidden_layers * (linear + attention) + 2.0 * scored * width * config.vocab_size
