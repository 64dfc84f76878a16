"""A checkpoint from the Hub by its id: safetensors only, of limited size, and none of its code is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mmreason.errors import CheckpointError
from mmreason.ui.host.settings import MB

PARTS = ("transformer", "vqvae", "tokenizer", "scheduler")
SUFFIXES = (".json", ".safetensors", ".md", ".txt")
CLASSES = {  # what a model_index.json may name: library, class
    "transformer": [["mmreason.models.modeling", "InterleavedDiffusionModel"]],
    "vqvae": [["diffusers", "VQModel"]],
    "tokenizer": [["transformers", "TokenizersBackend"], ["transformers", "PreTrainedTokenizerFast"]],
    "scheduler": [["mmreason.sampling.scheduler", "MaskedDiffusionScheduler"]],
}
MAX_SIZES = {  # of the policy's configuration: nothing huge is allocated before the weights are found to differ
    "hidden_size": 4096,
    "intermediate_size": 16_384,
    "num_hidden_layers": 64,
    "vocab_size": 65_536,
}
MAX_FILES = 64
MAX_JSON_BYTES = 8 * 2**20

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository as the Hub lists it."""

    path: str
    size: int


def check_id(name: str) -> str:
    """``name`` if it is a Hub id; raises CheckpointError."""
    if not _ID.match(name) or ".." in name:
        raise CheckpointError(f"a checkpoint of the Hub must be named owner/name, got {name[:60]!r}")
    return name


def wanted(files: Iterable[RemoteFile], limit_mb: int) -> list[str]:
    """Paths to be fetched; raises CheckpointError if there is code, another format, or too much."""
    chosen, size = [], 0
    for file in files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise CheckpointError(f"file {file.path[:80]!r} lies outside the checkpoint")
        if len(path.parts) > 2 or path.name.startswith(".") or (len(path.parts) == 2 and path.parts[0] not in PARTS):
            continue  # examples, pictures, settings of git: nothing that a checkpoint needs
        if path.suffix == ".py" or path.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".pickle"):
            raise CheckpointError(
                f"file {file.path[:80]!r} could run code; a checkpoint must be safetensors and JSON only"
            )
        if path.suffix not in SUFFIXES:
            continue
        if path.suffix != ".safetensors" and file.size > MAX_JSON_BYTES:
            raise CheckpointError(f"file {file.path[:80]!r} must be at most {MAX_JSON_BYTES // 2**20} MB")
        chosen.append(file.path)
        size += file.size
    if len(chosen) > MAX_FILES:
        raise CheckpointError(f"a checkpoint may have at most {MAX_FILES} files, got {len(chosen)}")
    if size > limit_mb * MB:
        raise CheckpointError(f"a checkpoint may have at most {limit_mb} MB, got {-(-size // MB)}")
    if "model_index.json" not in chosen or not any(path.endswith(".safetensors") for path in chosen):
        raise CheckpointError("a checkpoint must have a model_index.json and safetensors; these files are not there")
    return chosen


def check_folder(folder: Path, limit_mb: int) -> None:
    """Check a checkpoint that lies in ``folder``, before anything of it is loaded; raises CheckpointError."""
    files = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(_cache_of(folder)):
            raise CheckpointError(f"file {relative[:80]!r} is a link out of the checkpoint")
        if path.is_file():
            files.append(RemoteFile(relative, path.stat().st_size))
    wanted(files, limit_mb)
    index = _json(folder / "model_index.json")
    for part, known in CLASSES.items():
        if index.get(part) not in known:
            raise CheckpointError(f"model_index.json: {part} must be {known[0]}, got {str(index.get(part))[:80]}")
    config = _json(folder / "transformer" / "config.json")
    for name, most in MAX_SIZES.items():
        if not isinstance(config.get(name), int) or not 0 < config[name] <= most:
            raise CheckpointError(f"transformer: {name} must be from 1 to {most}, got {str(config.get(name))[:20]}")
    for path in sorted(folder.rglob("*.json")):
        if "auto_map" in _json(path):
            raise CheckpointError(f"{path.relative_to(folder)}: auto_map names code of the checkpoint; it is not run")


def fetch(name: str, limit_mb: int, api: Any = None) -> Path:
    """The local folder of Hub checkpoint ``name``, checked by its listing first and by its files then.

    ``api`` is a ``huggingface_hub.HfApi``; raises CheckpointError.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = api or HfApi()
    check_id(name)
    try:
        info = api.model_info(name, files_metadata=True)
        listing = [RemoteFile(file.rfilename, file.size or 0) for file in info.siblings or []]
        paths = wanted(listing, limit_mb)
        folder = Path(api.snapshot_download(name, revision=info.sha, allow_patterns=paths))
    except (HfHubHTTPError, OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"checkpoint {name!r} cannot be fetched: {str(error).strip()[:200]}") from None
    check_folder(folder, limit_mb)
    return folder


def _cache_of(folder: Path) -> Path:
    """What links of a snapshot may point into: the Hub's cache keeps files as links to ``blobs`` beside it."""
    folder = folder.resolve()
    return folder.parents[1] / "blobs" if folder.parent.name == "snapshots" else folder


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise CheckpointError(f"{path.name} is not JSON") from None
    return data if isinstance(data, dict) else {}
