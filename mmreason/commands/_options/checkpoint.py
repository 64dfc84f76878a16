"""What the commands that sample share: settings as given, and the checkpoint that they name."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreason.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from mmreason.sampling.pipeline import InterleavedReasoningPipeline
    from mmreason.sampling.views.pipeline import ViewsPipeline


def add_base(parser: argparse.ArgumentParser) -> None:
    """``--base``, of commands that take an adapter whose base is not where it says."""
    parser.add_argument("--base", metavar="DIR", help="where an adapter's base is (default: where the adapter says)")


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of the named arguments that were given or have a default."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def checkpoint_name(path: str) -> str:
    """What traces and results call the checkpoint in folder ``path``, ``.`` too."""
    return os.path.basename(os.path.abspath(path)) or path


def origin_of(path: str, pipe: InterleavedReasoningPipeline | ViewsPipeline) -> dict[str, Any]:
    """What the settings of a trace say of the checkpoint in ``path`` that sampled it."""
    return {"checkpoint": checkpoint_name(path), "checkpoint_hash": pipe.fingerprint}


def load_pipeline(path: str) -> InterleavedReasoningPipeline:
    """The pipeline in folder ``path`` on the fastest device; raises CheckpointError.

    Only folders: what is none would else be taken for the name of a repository and asked of the network.
    """
    if not os.path.isfile(os.path.join(path, "model_index.json")):
        from mmreason.backbones.family import refuse_run

        refuse_run(Path(path))
        there = sorted(str(found.parent) for found in Path("checkpoints").glob("*/model_index.json"))
        hint = f", e.g. {', '.join(there)}" if there else " that holds model_index.json"
        raise CheckpointError(f"--checkpoint must be a checkpoint folder{hint}; got {path!r}")
    from mmreason.sampling.pipeline import InterleavedReasoningPipeline, fastest_device

    return InterleavedReasoningPipeline.from_pretrained(path).to(fastest_device())


def views_given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of views that were given, which only checkpoints of public families know; checked."""
    from mmreason.sampling.views.config import ViewsConfig
    from mmreason.settings import settings_of

    found = given(args, *settings_of(ViewsConfig))
    ViewsConfig(**found)
    return found


def is_public(path: str) -> bool:
    """Does ``path`` name a checkpoint of a public family: a folder as they publish it, an adapter, or owner/name?

    Raises CheckpointError for a run directory.
    """
    from mmreason.backbones import family

    if not os.path.isdir(path):
        return family.may_be_on_hub(path)
    family.refuse_run(Path(path))
    return family.is_public(Path(path))


def load_policy(
    path: str, views: Mapping[str, Any] | None = None, device: str | None = None, base: str | None = None
) -> InterleavedReasoningPipeline | ViewsPipeline:
    """The policy that ``path`` names, ours or of a public family: that one on ``device``, else on the fastest.

    ``base`` is where an adapter's base is, if not where the adapter says.
    Raises CheckpointError, and ConfigError where ``views`` are set for a checkpoint that knows none.
    """
    if is_public(path):
        from mmreason.sampling.pipeline import fastest_device
        from mmreason.sampling.views.pipeline import ViewsPipeline

        return ViewsPipeline.from_pretrained(path, device or fastest_device(), views, base=base)
    if base is not None:
        from mmreason.backbones.family import find_base

        find_base(Path(path), base)  # refuses what is no adapter
    pipe = load_pipeline(path)
    if views:
        raise ConfigError(f"--{next(iter(views))} is for checkpoints of public families; {path!r} is one of ours")
    return pipe
