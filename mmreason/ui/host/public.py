"""Checkpoints of public families on this machine: what they are, whether they run here, and their pipelines.

Only the heads of their files are read until somebody asks for one.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from mmreason.backbones.adapter import stored_adapter
from mmreason.backbones.family import CODEC, SMALL_BYTES, base_of, codec_of, family_of, licence_of
from mmreason.backbones.loading import check_tensors, read_json, shards, stored_shape
from mmreason.backbones.shape import Shape
from mmreason.codecs import magvit, vq
from mmreason.disk import one_line
from mmreason.errors import CheckpointError, MMReasonError
from mmreason.sampling.views.config import views_config
from mmreason.sampling.views.pipeline import ViewsPipeline, check_views, stored_views
from mmreason.ui.host import checkpoints
from mmreason.wording import count

TITLES = {"dimoo": "Lumina-DiMOO", "parallel": "MMaDA-Parallel-A", "mmada": "MMaDA-8B"}
TEXT_LENGTH = (32, 128)  # on a CPU, which only stand-ins run on, and on a GPU
NEEDS_GPU = "it needs a GPU that is there all the time, and this server has none"

Stamp = tuple[tuple[str, int, int], ...]

_LOAD = Lock()  # apart from that of the small checkpoints, whose visitors need not wait for these
_PIPES: OrderedDict[tuple[Path, Stamp], ViewsPipeline] = OrderedDict()  # the last used last
MAX_PIPES = 2
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Public:
    """A checkpoint of a public family; with a ``fault``, a sentence, it cannot be chosen."""

    name: str
    folder: Path
    family: str = ""
    shape: Shape | None = None
    licence: str | None = None
    attention: str = "full"
    pixels_per_code: int = 16
    square: bool = False  # its codec takes the middle of a picture
    text_length: int | None = None  # of its texts, where it says
    rank: int | None = None  # of an adapter
    fault: str = ""

    @property
    def words(self) -> str:
        """What it is, on a line."""
        size = "" if self.shape is None else f"{count(self.shape.parameters)} parameters"
        adapter = "" if self.rank is None else f"adapter of rank {self.rank}"
        seen = "full attention, as it was trained" if self.attention == "full" else "prefix attention, not native"
        licence = f"licence {self.licence or 'not stated'}"
        return " · ".join(filter(None, (TITLES.get(self.family, self.family), size, adapter, licence, seen)))


def public_checkpoints() -> list[Public]:
    """Those in the folder of checkpoints, sound or not."""
    return [look(name, folder) for name, folder in checkpoints.public_folders().items()]


def public_names() -> list[str]:
    """Names of those that run here."""
    return [each.name for each in public_checkpoints() if not each.fault]


def find(name: str) -> Public | None:
    """The checkpoint called ``name``, ``run:<id>/<arm>`` too; None if it is not here or not of a public family."""
    return (
        look(name, folder) if checkpoints.is_public(name) and (folder := checkpoints.checkpoint_folder(name)) else None
    )


def usable(name: str) -> Public | None:
    """The same, None too if it has a fault."""
    found = find(name)
    return None if found is None or found.fault else found


def look(name: str, folder: Path) -> Public:
    """What ``folder`` holds; whatever is wrong with it is its fault, and in the log once."""
    found = _looked_at(name, folder, _stamp(folder))
    if not found.fault and checkpoints.device() == "cpu" and _is_large(found):
        return replace(found, fault=NEEDS_GPU)
    return found


@lru_cache(maxsize=64)
def _looked_at(name: str, folder: Path, _stamp: Stamp) -> Public:
    try:
        return _read(name, folder)
    except MMReasonError as error:
        fault = one_line(str(error).replace(str(folder), name), 300)
    except Exception:  # of numbers, types and files that nobody has thought of
        _LOG.exception("checkpoint %s", name)
        fault = "it cannot be read; the server's log says why"
    _LOG.warning("checkpoint %s cannot be offered: %s", name, fault)
    return Public(name, folder, fault=fault)


def _read(name: str, folder: Path) -> Public:
    base = base_of(folder)
    if base is not None:
        if not Path(base).is_dir():
            raise CheckpointError(f"its base, {Path(base).name!r}, is not on this machine")
        found = _base(name, Path(base))
        assert found.shape is not None, "a whole checkpoint has a shape"
        rank, _ = stored_adapter(folder, found.shape)
        stored = stored_views(folder)
        views, family = views_config(stored), stored.get("family", found.family)
        check_views(views, family)
        said = replace(found, attention=views.attention, text_length=_text_length(stored))
        return replace(said, folder=folder, family=family, rank=rank)
    config, stored = read_json(folder / "config.json"), stored_views(folder)  # these of one that an adapter became
    views, family = views_config(stored), stored.get("family") or family_of(folder, config)
    check_views(views, family)
    shape = stored_shape(folder, config)
    check_tensors(folder, shape)
    pixels, square = _codec(folder, family)
    length = _text_length(stored)
    return Public(name, folder, family, shape, licence_of(folder), views.attention, pixels, square, length)


def _text_length(stored: Mapping[str, Any]) -> int | None:
    return views_config(stored).text_length if "text_length" in stored else None


def _base(name: str, folder: Path) -> Public:
    """The same of an adapter's base; what is wrong with it is said by the last part of its path alone."""
    try:
        return _read(name, folder)
    except MMReasonError as error:
        raise CheckpointError(f"its base: {str(error).replace(str(folder), folder.name)}") from None


def _codec(folder: Path, family: str) -> tuple[int, bool]:
    """Pixels of a code, and whether pictures are square, of a codec whose files are there; raises CheckpointError."""
    own = folder / CODEC
    if not own.is_dir():
        codec_of(folder, family=family)  # says what goes there
        raise CheckpointError(f"it lacks its codec, the folder {CODEC}")
    config = read_json(own / vq.CONFIG)
    is_magvit = magvit.is_magvit(own, config)
    weights = magvit.WEIGHTS if is_magvit else vq.WEIGHTS
    if not (own / weights).is_file():
        raise CheckpointError(f"its codec lacks {CODEC}/{weights}")
    levels = magvit.MagvitShape.of(config).encoder_mult if is_magvit else config.get("block_out_channels")
    if not isinstance(levels, list | tuple) or not 1 <= len(levels) <= 8:
        raise CheckpointError(f"{CODEC}/{vq.CONFIG} must name block_out_channels, a list of 1 to 8 numbers")
    return 2 ** (len(levels) - 1), is_magvit


def _is_large(found: Public) -> bool:
    base = base_of(found.folder)
    files = shards(found.folder if base is None else Path(base))
    return sum(file.stat().st_size for file in files) > SMALL_BYTES


def _stamp(folder: Path) -> Stamp:
    """What changes when a file of the checkpoint, its codec or its base does."""
    places = [folder, folder / CODEC]
    try:
        base = base_of(folder)
    except CheckpointError:  # said where the folder is looked at
        base = None
    if base is not None:
        places += [Path(base), Path(base) / CODEC]
    paths = (path for place in places for path in sorted(place.glob("*")) if path.is_file())
    files = ((path, path.stat()) for path in paths)
    return tuple((str(path), there.st_mtime_ns, there.st_size) for path, there in files)


def quick_views(name: str) -> dict[str, Any]:
    """How long its texts are where nobody says."""
    found = find(name)
    return {} if found is None else {"text_length": text_length(found)}


def text_length(found: Public | None = None) -> int:
    """Tokens of a text: as many as the checkpoint was trained to, else as this machine can bear."""
    stored = None if found is None else found.text_length
    return TEXT_LENGTH[checkpoints.device() != "cpu"] if stored is None else stored


def is_loaded(name: str) -> bool:
    """Need nobody wait for its weights?"""
    folder = checkpoints.checkpoint_folder(name)
    return folder is not None and (folder, _stamp(folder)) in _PIPES


def load(name: str, changes: Mapping[str, Any] | None = None) -> ViewsPipeline:
    """The pipeline of the checkpoint called ``name``, with ``changes`` of how it sees; its weights are loaded once.

    Raises CheckpointError and ConfigError.
    """
    found = find(name)
    if found is None:
        raise CheckpointError(f"checkpoint {name[:60]!r} is not here, or of no public family")
    if found.fault:
        raise CheckpointError(f"checkpoint {name[:60]!r} cannot be used: {found.fault}")
    with _LOAD:
        key = (found.folder, _stamp(found.folder))
        if key not in _PIPES:
            while len(_PIPES) >= MAX_PIPES:  # before the next one needs memory
                _PIPES.popitem(last=False)
            _PIPES[key] = _load(found.folder)
        _PIPES.move_to_end(key)
        pipe = _PIPES[key]
    return pipe.but(changes or {})


def _load(folder: Path) -> ViewsPipeline:
    checkpoints.use_few_threads()
    try:
        pipe = ViewsPipeline.from_pretrained(str(folder), checkpoints.device())
    except torch.OutOfMemoryError:
        raise CheckpointError(f"checkpoint {folder.name!r} does not fit into the GPU's memory now") from None
    _ = pipe.fingerprint  # now, not in the first solve
    return pipe
