"""FLOPs of a forward pass by formula: two per multiply-add, matrix products only.

Source: the usual count (e.g. Kaplan et al. 2020, arXiv 2001.08361, section 2.1), with attention over
the keys that are really multiplied, masked ones included.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmreason.models.configuration import InterleavedDiffusionConfig


def forward_flops(
    config: InterleavedDiffusionConfig,
    rows: int,
    block: int,
    cached: int,
    scored: int,
    tokens: int | None = None,
    wanted: int | None = None,
) -> float:
    """FLOPs of one forward of ``rows`` × ``block`` positions on ``cached`` columns.

    ``scored`` is the number of positions (over all rows) whose logits over the vocabulary are computed, ``tokens``
    that of positions (over all rows) that are no padding (default: all), ``wanted`` that of those whose final states
    are asked for (default: ``tokens``).
    """
    tokens = rows * block if tokens is None else tokens
    return _flops(config, tokens, rows * block * (cached + block), scored, wanted)


def packed_flops(
    config: InterleavedDiffusionConfig,
    rows: int,
    clean: int,
    runs: Sequence[tuple[int, int]],
    scored: int,
    tokens: int | None = None,
    wanted: int | None = None,
) -> float:
    """FLOPs of one forward of ``rows`` packed rows: ``clean`` columns, then runs of (blocks, their width).

    A block is multiplied with the clean columns and with itself only; see ``block_attention``.  ``scored``,
    ``tokens`` and ``wanted`` as in ``forward_flops``.
    """
    columns = clean + sum(blocks * size for blocks, size in runs)
    products = clean * clean + sum(blocks * size * (clean + size) for blocks, size in runs)
    return _flops(config, rows * columns if tokens is None else tokens, rows * products, scored, wanted)


def _flops(config: InterleavedDiffusionConfig, tokens: int, products: int, scored: int, wanted: int | None) -> float:
    """``tokens`` pass the linear maps, those behind the last attention only what is ``wanted``.

    ``products`` is the number of pairs of query and key.
    """
    width, inner = config.hidden_size, config.intermediate_size
    before, behind = 3 * width * width, width * width + 2 * width * inner
    left_out = 0 if wanted is None else tokens - wanted
    linear = 2 * (config.num_hidden_layers * tokens * (before + behind) - left_out * behind)
    attention = 4 * config.num_hidden_layers * products * width
    return linear + attention + 2.0 * scored * width * config.vocab_size
