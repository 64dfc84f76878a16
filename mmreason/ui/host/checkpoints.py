"""What the page runs on: checkpoints loaded once when first asked for, the device, and the limits."""

from __future__ import annotations

import json
import logging
import re
import time
from functools import lru_cache
from pathlib import Path
from threading import Lock

import torch

from mmreason import places
from mmreason.backbones import family
from mmreason.errors import CheckpointError
from mmreason.layouts.vocabulary import task_token
from mmreason.rewards.assignment import ASSIGNMENTS
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import TASKS
from mmreason.ui.host import gpu, hub
from mmreason.ui.host.settings import name_of, read_settings

CHECKPOINTS_SETTING, RUNS_SETTING = name_of("checkpoints"), name_of("runs")
ARM_OF_RUN = rf"run:([0-9a-f]{{12}})/({'|'.join(ASSIGNMENTS)})"
RUN_CHECKPOINT = re.compile(rf"{ARM_OF_RUN}\Z", re.ASCII)  # what a run of the page trained
PUBLIC_CAN = "it solves in Watch, rolls out in Inspect and is trained in Train"
ASK_AGAIN = 60.0  # seconds after which a Hub that refused is asked once more

_LOAD = Lock()


def checkpoints_folder() -> Path:
    """The folder whose subfolders are checkpoints."""
    return Path(read_settings().checkpoints or places.ROOT / "checkpoints")


def runs_folder() -> Path:
    """The folder whose subfolders are training runs."""
    return Path(read_settings().runs or places.ROOT / "runs")


def page_runs_folder() -> Path:
    """The folder of the runs that visitors started; those are listed for their owners only."""
    return runs_folder() / "page"


def checkpoint_folder(name: str) -> Path | None:
    """The folder of the checkpoint called ``name``, ``run:<id>/<arm>`` being a run's; None if it is not here."""
    if match := RUN_CHECKPOINT.match(name):
        folder = page_runs_folder() / match[1] / match[2] / "checkpoint"
        return folder if is_checkpoint(folder) else None
    if name in hub_names():
        return _of_hub(name)
    return checkpoints_folder() / name if name in checkpoint_names() or name in public_folders() else None


def is_checkpoint(folder: Path) -> bool:
    """Is there a checkpoint in ``folder``, ours or of a public family, or an adapter?"""
    return (folder / "model_index.json").is_file() or family.is_public(folder)


def is_public(name: str) -> bool:
    """Is the checkpoint called ``name`` here, and of a public family or an adapter on one?"""
    folder = None if name in hub_names() else checkpoint_folder(name)
    return folder is not None and family.is_public(folder)


def public_folders() -> dict[str, Path]:
    """The subfolders in the layout of a public family, by name; ``host.public`` says what they are."""
    found = (path.parent for path in checkpoints_folder().glob("*/*config.json"))
    return {folder.name: folder for folder in sorted(set(found)) if family.is_public(folder)}


def checkpoint_names() -> list[str]:
    """Subfolders with a ``model_index.json``, ``base`` first, then those of the Hub."""
    names = [path.parent.name for path in checkpoints_folder().glob("*/model_index.json")]
    return sorted(names, key=lambda name: (name != "base", name)) + hub_names()


def known_tasks(folder: Path) -> list[str]:
    """The tasks that the checkpoint in ``folder`` was trained on, by its tokenizer; all where it cannot be read."""
    words = words_of(folder)
    if words is None:  # of a public checkpoint, too: what is asked of it is written out in words
        return list(TASKS)
    return [name for name, task in TASKS.items() if task_token(name) in words and words >= set(task.words)]


def is_cached(name: str) -> bool:
    """Does the policy called ``name`` keep prefixes: attention in blocks, turns interleaved?  True of one not here."""
    try:
        folder = checkpoint_folder(name)
        if folder is None:
            return True
        config = json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8"))
        return (config.get("attention", "blocks"), config.get("turn", "interleaved")) == ("blocks", "interleaved")
    except (OSError, ValueError, AttributeError, CheckpointError):
        return True


def words_of(folder: Path) -> frozenset[str] | None:
    """The words of the checkpoint in ``folder``, those of its tasks included; None where they cannot be read."""
    try:
        text = (folder / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8")
        return frozenset(json.loads(text)["model"]["vocab"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def tasks_of(name: str) -> list[str]:
    """The tasks that the checkpoint called ``name`` was trained on; none of one that is not here."""
    try:
        folder = checkpoint_folder(name)
    except CheckpointError:
        return []
    return [] if folder is None else known_tasks(folder)


def hub_names() -> list[str]:
    """Checkpoints on the Hub that the host of the page has named."""
    return [name for part in read_settings().hub_checkpoints.split(",") if (name := part.strip())]


def load_pipeline(name: str) -> InterleavedReasoningPipeline:
    """The checkpoint called ``name``, loaded once and again when its files change; raises CheckpointError."""
    folder = checkpoint_folder(name)
    if folder is None:
        there = ", ".join(checkpoint_names()) or "none"
        raise CheckpointError(f"checkpoint {name[:60]!r} is not here; there is: {there}")
    if family.is_public(folder):
        raise CheckpointError(
            f"checkpoint {name[:60]!r} is of a public family, which has no part in this: {PUBLIC_CAN}"
        )
    changed = (folder / "model_index.json").stat().st_mtime_ns
    with _LOAD:
        pipe = _load(folder, changed)
    _fingerprints[folder, changed] = pipe.fingerprint
    return pipe


def fingerprint_of(name: str) -> str | None:
    """The fingerprint of the checkpoint called ``name``, read once and again when its files change.

    None for one of the Hub that nobody has needed yet: it is not fetched for this.  Raises CheckpointError.
    """
    if name in hub_names() and name not in _fetched:
        if name in _refused:
            raise CheckpointError(_refused[name][1])
        return None
    folder = checkpoint_folder(name)
    try:
        known = folder and _fingerprints.get((folder, (folder / "model_index.json").stat().st_mtime_ns))
    except OSError:
        known = None
    return known or load_pipeline(name).fingerprint


def _of_hub(name: str) -> Path:
    """Its folder; what went wrong is said again for a minute, so that a Hub that is down holds nobody up."""
    said = _refused.get(name)
    if said is not None and time.monotonic() - said[0] < ASK_AGAIN:
        raise CheckpointError(said[1])
    if name not in _fetched:
        try:
            _fetched[name] = hub.fetch(name, read_settings().max_checkpoint_mb)
        except CheckpointError as error:
            _refused[name] = time.monotonic(), str(error)
            raise
        _refused.pop(name, None)
    return _fetched[name]


_refused: dict[str, tuple[float, str]] = {}  # when, and why
_fetched: dict[str, Path] = {}
_fingerprints: dict[tuple[Path, int], str] = {}  # kept longer than pipelines: every visitor is told them


@lru_cache(maxsize=8)  # more than are shipped, 20 MB each: one that is dropped is read anew
def _load(folder: Path, _changed: int) -> InterleavedReasoningPipeline:
    use_few_threads()
    pipe = InterleavedReasoningPipeline.from_pretrained(folder)
    pipe.to(device())
    _ = pipe.words, pipe.sheet, pipe.fingerprint  # cached now, not in the first solve
    return pipe


def find_checkpoint(name: str, fingerprint: str | None) -> str | None:
    """The checkpoint that a link means: ``name`` if its weights fit, else another with those weights.

    Of the Hub nothing but ``name`` is fetched for this.
    """
    own = [name] if RUN_CHECKPOINT.match(name) and checkpoint_folder(name) else []
    there = sorted([*checkpoint_names(), *own], key=lambda other: other != name)
    if fingerprint is None:
        return name if name in there else None
    for candidate in there:
        try:
            found = load_pipeline(name).fingerprint if candidate == name else fingerprint_of(candidate)
            if found == fingerprint:
                return candidate
        except CheckpointError:
            logging.getLogger(__name__).warning("checkpoint %s cannot be loaded", candidate)
    return None


def warm_up() -> None:
    """Load the first checkpoint, so that the first visitor need not wait for it."""
    names = checkpoint_names()
    try:
        if names:
            load_pipeline(names[0])
    except CheckpointError as error:  # whoever asks for it is told
        logging.getLogger(__name__).error("%s", error)


def device() -> str:
    """The GPU, if there is one all the time, or else the CPU."""
    return "cuda" if torch.cuda.is_available() and not gpu.is_lent() else "cpu"


def use_few_threads() -> None:
    """One thread for the small products of one rollout: a second one mostly spins."""
    torch.set_num_threads(1)
