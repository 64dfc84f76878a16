"""``--threads``, as every command that computes has it."""

from __future__ import annotations

import argparse

from mmreason import limits
from mmreason.commands._options.numbers import add_number


def add_threads(parser: argparse.ArgumentParser, default: int = 0) -> None:
    """The option; 0 leaves the choice to torch."""
    add_number(parser, limits.THREADS, default)


def use_threads(threads: int) -> None:
    """Compute with ``threads`` threads."""
    import torch

    if threads:
        torch.set_num_threads(threads)
