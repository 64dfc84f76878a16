"""What the commands that sample share: settings as given, and the checkpoint that they name."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreason.errors import CheckpointError

if TYPE_CHECKING:
    from mmreason.sampling.pipeline import InterleavedReasoningPipeline


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of the named arguments that were given or have a default."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def checkpoint_name(path: str) -> str:
    """What traces and results call the checkpoint in folder ``path``, ``.`` too."""
    return os.path.basename(os.path.abspath(path)) or path


def load_pipeline(path: str) -> InterleavedReasoningPipeline:
    """The pipeline in folder ``path`` on the fastest device; raises CheckpointError.

    Only folders: what is none would else be taken for the name of a repository and asked of the network.
    """
    if not os.path.isfile(os.path.join(path, "model_index.json")):
        there = sorted(str(found.parent) for found in Path("checkpoints").glob("*/model_index.json"))
        hint = f", e.g. {', '.join(there)}" if there else " that holds model_index.json"
        raise CheckpointError(f"--checkpoint must be a checkpoint folder{hint}; got {path!r}")
    from mmreason.sampling.pipeline import InterleavedReasoningPipeline, fastest_device

    return InterleavedReasoningPipeline.from_pretrained(path).to(fastest_device())
