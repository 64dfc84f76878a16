"""Which family a published checkpoint is of, and its parts put together: network, layout, codec.

A checkpoint is a folder, or the id of a repository on the Hub, of which JSON and safetensors are fetched only.
"""

from __future__ import annotations

import os
import re
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mmreason.backbones.adapter import ADAPTER, ADAPTER_WEIGHTS, Adapter
from mmreason.backbones.backbone import Attention
from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import load_llama, read_json, shards, stored_shape
from mmreason.backbones.shape import Shape
from mmreason.codecs import magvit
from mmreason.codecs.magvit import MagvitCodec
from mmreason.codecs.vq import VQCodec
from mmreason.disk import one_line, reason_of
from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts.dimoo import DimooLayout
from mmreason.layouts.mmada import MmadaLayout
from mmreason.layouts.parallel import ParallelLayout
from mmreason.layouts.words import load_tokenizer

AnyLayout = DimooLayout | MmadaLayout
LAYOUTS: dict[str, type[DimooLayout] | type[MmadaLayout]] = {
    kind.family: kind for kind in (DimooLayout, ParallelLayout, MmadaLayout)
}
CODEC = "vqvae"  # folder of the codec in a checkpoint
MAGVIT_SOURCE = "showlab/magvitv2"  # MMaDA-8B is published without the codec that it was trained with
AnyCodec = VQCodec | MagvitCodec
FETCHED = ("*.json", "*.safetensors", "*.md", "LICENSE*", f"{CODEC}/*.json", f"{CODEC}/*.safetensors")
SMALL_BYTES = 2**30  # of weights; a CPU is slower in half precision, and has room for these in 32 bits
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def find(checkpoint: str) -> Path:
    """The folder of a checkpoint, fetched from the Hub where it is the id of one.  Raises CheckpointError."""
    folder = Path(checkpoint)
    if os.path.isdir(folder):
        refuse_run(folder)
        return folder
    if not may_be_on_hub(checkpoint):
        raise CheckpointError(f"checkpoint must be a folder or owner/name of the Hub, got {checkpoint[:100]!r}")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(checkpoint, allow_patterns=list(FETCHED)))
    except Exception as error:  # of network, of rights, of names: one sentence for all
        raise CheckpointError(
            f"checkpoint {checkpoint!r} is no folder here, and cannot be fetched from the Hub: "
            f"{one_line(str(error), 120)}"
        ) from None


def refuse_run(folder: Path) -> None:
    """A run directory is no checkpoint, and holds one; raises CheckpointError."""
    inner = folder / "checkpoint"
    if _is_trained(inner) and not _is_trained(folder):
        raise CheckpointError(f"{str(folder)!r} is a run directory; its checkpoint is {str(inner)!r}")


def _is_trained(folder: Path) -> bool:
    """Is it a checkpoint as a run writes one: ours, or an adapter?"""
    return any(os.path.isfile(folder / name) for name in ("model_index.json", ADAPTER))


def may_be_on_hub(checkpoint: str) -> bool:
    """True for owner/name where no folder ``owner`` is here; ``checkpoints`` is a folder, here or not."""
    owner = Path(checkpoint).parent
    return bool(_HUB_ID.fullmatch(checkpoint)) and owner != Path("checkpoints") and not os.path.exists(owner)


def is_public(folder: Path) -> bool:
    """True for a checkpoint as the public families publish it, or an adapter on one; False for one of ours."""
    named = any((folder / name).is_file() for name in ("config.json", ADAPTER))
    return named and not (folder / "model_index.json").is_file()


def base_of(folder: Path) -> str | None:
    """The checkpoint that the adapter in ``folder`` stands on, here or not; None where it is no adapter.

    A path that begins with a dot is taken from the adapter's folder if it leads to one from there.  Raises
    CheckpointError.
    """
    if not (folder / ADAPTER).is_file():
        return None
    base = read_json(folder / ADAPTER).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointError(
            f"adapter {str(folder)!r} does not name its base: base_model_name_or_path is {base!r:.60}"
        )
    if re.match(r"\.\.?/", base):
        beside = os.path.normpath(os.path.join(os.path.realpath(folder), base))
        base = beside if os.path.isdir(beside) else base
    try:
        stands_on_one = (Path(base) / ADAPTER).is_file()
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"base_model_name_or_path of adapter {str(folder)!r} must be a folder or owner/name of the Hub, "
            f"got {base!r:.60}: {reason_of(error)}"
        ) from None
    if stands_on_one:
        raise CheckpointError(f"adapter {str(folder)!r} must stand on a whole checkpoint, and stands on an adapter")
    return base


def find_base(folder: Path, elsewhere: str | None = None) -> tuple[str, Path] | None:
    """Name and folder of the checkpoint that the adapter in ``folder`` stands on; None where it is no adapter.

    ``elsewhere``, a folder or an id of the Hub, is it in place of what the adapter names.  Raises CheckpointError, in
    words that lead to what names it, and ConfigError for ``elsewhere`` of what is no adapter.
    """
    if elsewhere is not None and not (folder / ADAPTER).is_file():
        raise ConfigError(f"--base is for adapters, and {str(folder)!r} is none: it holds no {ADAPTER}")
    base = base_of(folder) if elsewhere is None else elsewhere
    if base is None:
        return None
    named, hint = "--base", ""
    if elsewhere is None:
        named = f"base_model_name_or_path in {str(folder / ADAPTER)!r}"
        hint = "; write there where the base is now, or give it as --base"
    if not os.path.isdir(base) and not may_be_on_hub(base):
        raise CheckpointError(
            f"{named} must be a folder that is here or owner/name of the Hub, got {base!r:.200}{hint}"
        )
    try:
        whole = find(base)
    except CheckpointError as error:
        raise CheckpointError(f"{named}: {error}{hint}") from None
    if (whole / ADAPTER).is_file():
        raise CheckpointError(f"{named} must be a whole checkpoint, got the adapter {base!r:.200}")
    return base, whole


def family_of(checkpoint: str | Path, config: dict[str, Any]) -> str:
    """The family that a checkpoint says it is of.  Raises CheckpointError where it is of none.

    Lumina-DiMOO and MMaDA-Parallel-A publish the same network and configuration; they differ by name alone.
    """
    return family_and_source(checkpoint, config)[0]


def family_and_source(checkpoint: str | Path, config: dict[str, Any]) -> tuple[str, str]:
    """The same, and what says so: ``model_type``, the name of ``checkpoint``, or ``_name_or_path``.

    ``checkpoint`` is a folder or an id of the Hub, as it is asked for: a folder fetched from there has a hash for a
    name, and ``_name_or_path`` may be that of the weights from which a training began.
    """
    kind = config.get("model_type")
    if kind == "mmada":
        return "mmada", "model_type"
    if kind == "llada":
        path = Path(checkpoint)
        names = [os.path.basename(os.path.abspath(path)), path.resolve().name, str(config.get("_name_or_path", ""))]
        for named, source in zip(names, ("its name", "its name", "_name_or_path"), strict=True):
            for family in ("parallel", "dimoo"):
                if family in named.lower():
                    return family, source
        return "dimoo", "model_type"
    raise CheckpointError(
        f"checkpoint {Path(checkpoint).name!r} is of no family that is known: model_type must be llada (Lumina-DiMOO, "
        f"MMaDA-Parallel-A) or mmada (MMaDA-8B), got {kind!r}"
    )


def licence_of(folder: Path) -> str | None:
    """What a checkpoint's card states, else the first line of its licence file; None where it has neither."""
    card = folder / "README.md"
    if card.is_file():
        head = card.read_text(encoding="utf-8", errors="replace")[:4000]
        stated = re.search(r"\A---\s.*?^licen[sc]e:\s*(\S[^\n]*)$.*?^---", head, re.MULTILINE | re.DOTALL)
        if stated:
            return one_line(stated[1].strip("\"' "), 100)
    for file in sorted(path for path in folder.glob("LICEN[SC]E*") if path.is_file()):
        lines = file.read_text(encoding="utf-8", errors="replace")[:4000].split("\n")
        return one_line(next((line for line in lines if line.strip()), ""), 100) or None
    return None


def layout_of(family: str, folder: Path, config: dict[str, Any], shape: Shape, num_codes: int = 8192) -> AnyLayout:
    """The layout of a checkpoint, every id asserted.  Raises CheckpointError."""
    mask = config.get("mask_token_id")
    return LAYOUTS[family](load_tokenizer(folder), shape.vocab, num_codes, mask if type(mask) is int else -1)


def codec_of(
    folder: Path, device: torch.device | str = "cpu", family: str | None = None, on_hub: bool = False
) -> AnyCodec:
    """The codec in a checkpoint, or of an MMaDA-8B from the Hub (``on_hub``) the one it goes with.

    Raises CheckpointError.
    """
    own = folder / CODEC
    if not own.is_dir():
        if family != "mmada":
            raise CheckpointError(f"checkpoint lacks the folder {CODEC} with its codec, a diffusers VQModel")
        if not on_hub:
            raise CheckpointError(
                f"checkpoint lacks the folder {CODEC} with its codec: put {magvit.CONFIG} and {magvit.WEIGHTS} of "
                f"{MAGVIT_SOURCE} there"
            )
        return MagvitCodec.load(find(MAGVIT_SOURCE), device)
    named = read_json(own / magvit.CONFIG) if (own / magvit.CONFIG).is_file() else {}
    return MagvitCodec.load(own, device) if magvit.is_magvit(own, named) else VQCodec.load(own, device)


@dataclass(slots=True)
class PublicModel:
    """A checkpoint of a public family, ready to denoise; ``adapter`` is the one that it was loaded with or given."""

    family: str
    name: str  # of the base: owner/name on the Hub, or the path of its folder
    folder: Path  # of the base
    backbone: LlamaBackbone
    layout: AnyLayout
    codec: AnyCodec
    licence: str | None
    adapter: Adapter | None = None
    adapter_folder: Path | None = None

    def to_train(self, rank: int, seed: int, checkpointing: bool = False, alpha: float | None = None) -> Adapter:
        """The adapter that learns: a new one of ``rank`` and ``alpha``, or the one that is there.  Raises ConfigError.

        With ``checkpointing`` a backward pass computes activations again.
        """
        if self.adapter is None:
            if not rank:
                raise ConfigError(
                    "lora_rank must be at least 1 for checkpoints of public families: adapters are trained, "
                    "not their own weights; got 0"
                )
            self.adapter = Adapter(self.backbone, rank, seed, self.name, alpha)
        elif rank not in (0, self.adapter.rank):
            raise ConfigError(f"lora_rank must be that of the adapter, {self.adapter.rank}, or left out, got {rank}")
        elif alpha not in (None, self.adapter.alpha):
            raise ConfigError(
                f"lora_alpha must be that of the adapter, {self.adapter.alpha:g}, or left out, got {alpha:g}"
            )
        for each in self.adapter.parameters:
            each.requires_grad_(True)
        self.backbone.checkpointing = checkpointing
        return self.adapter

    def beside(self) -> PublicModel:
        """Another on the same base, which is held once; adapters are its own, so that the two learn apart."""
        network = self.backbone.model
        frozen = [each for name, each in network.named_parameters() if "lora_" not in name]
        shared: dict[int, Any] = {id(each): each for each in (*frozen, *network.buffers())}
        backbone = copy(self.backbone)
        backbone.model, adapter = deepcopy((network, self.adapter), shared)
        return replace(self, backbone=backbone, layout=copy(self.layout), adapter=adapter)


def load_public(
    checkpoint: str,
    attention: Attention = "full",
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    family: str | None = None,
    elsewhere: str | None = None,
) -> PublicModel:
    """Load folder or Hub id ``checkpoint``, an adapter with its base; ``family`` overrides what its name says.

    Without a ``dtype`` weights stay as they are stored.  ``elsewhere`` and what is raised: as in ``find_base``.
    """
    folder = find(checkpoint)
    base = find_base(folder, elsewhere)
    if base is not None:
        return _with_adapter(load_public(base[0], attention, device, dtype, family), folder)
    config = read_json(folder / "config.json")
    family = family or family_of(checkpoint, config)
    codec = codec_of(folder, device, family, on_hub=not os.path.isdir(checkpoint))
    layout = layout_of(family, folder, config, stored_shape(folder, config), codec.num_codes)
    name = os.path.abspath(folder) if os.path.isdir(checkpoint) else checkpoint
    backbone = load_llama(folder, attention, device, dtype)
    return PublicModel(family, name, folder, backbone, layout, codec, licence_of(folder))


def quick_type(folder: Path, device: torch.device | str, elsewhere: str | None = None) -> torch.dtype | None:
    """The type in which the checkpoint, or the adapter's base, in ``folder`` runs best; None: as it is stored."""
    if torch.device(device).type != "cpu":
        return None
    base = find_base(folder, elsewhere)
    files = shards(folder if base is None else base[1])
    return torch.float32 if sum(file.stat().st_size for file in files) <= SMALL_BYTES else None


def _with_adapter(model: PublicModel, folder: Path) -> PublicModel:
    """``model`` with the adapter in ``folder``."""
    model.adapter = Adapter.stored(model.backbone, folder, model.name)
    model.adapter_folder = folder
    return model


def weight_files(model: PublicModel) -> list[Path]:
    """The files that the weights of ``model`` were read from: network, codec, adapter."""
    codec = model.codec.weights
    files = [*shards(model.folder), *([] if codec is None else [codec])]
    return files if model.adapter_folder is None else [*files, model.adapter_folder / ADAPTER_WEIGHTS]
