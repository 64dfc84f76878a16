"""``--threads``, as every command that computes has it."""

from __future__ import annotations

import argparse

MAX_THREADS = 1024


def add_threads(parser: argparse.ArgumentParser, default: int = 0) -> None:
    """The option; 0 leaves the choice to torch."""
    words = default or "torch's choice"
    parser.add_argument("--threads", type=int, default=default, help=f"CPU threads (default: {words})")


def use_threads(threads: int) -> None:
    """Compute with so many; raises ConfigError."""
    import torch

    from mmreason.errors import ConfigError

    if not 0 <= threads <= MAX_THREADS:
        raise ConfigError(f"--threads must be from 1 to {MAX_THREADS}, or 0 for torch's choice, got {threads}")
    if threads:
        torch.set_num_threads(threads)
