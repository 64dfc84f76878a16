"""What runs here: versions, fingerprints by their hash, and how much is going on."""

from __future__ import annotations

import subprocess
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mmreason import places
from mmreason.errors import CheckpointError
from mmreason.ui.host import checkpoints, public
from mmreason.ui.solve.worker import WORKER

PACKAGES = ("torch", "gradio", "diffusers", "transformers")
NOT_YET = "is fetched when first needed"
STARTED = time.monotonic()


def health() -> dict[str, Any]:
    """``status`` is ``ok`` if the first checkpoint can be loaded and solves go on, else a few words that say what is
    wrong; names and numbers only, nothing of a visitor.
    """
    loaded = fingerprints()
    fine = bool(loaded) and next(iter(loaded.values())) is not None
    return {
        "status": WORKER.trouble() or "ok" if fine else "no checkpoint",
        "versions": versions(),
        "checkpoints": loaded,
        "public": {each.name: each.fault or each.words for each in public.public_checkpoints()},
        "solves": WORKER.counts(),
        "uptime_seconds": round(time.monotonic() - STARTED),
    }


def fingerprints() -> dict[str, str | None]:
    """Name → fingerprint of every checkpoint, or that it is not here yet; None for one that cannot be loaded."""
    found: dict[str, str | None] = {}
    for name in checkpoints.checkpoint_names():
        try:
            found[name] = checkpoints.fingerprint_of(name) or NOT_YET
        except CheckpointError:
            found[name] = None
    return found


@cache
def versions() -> dict[str, str]:
    """Versions of what matters most, and the commit, if known."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"mmreason": _commit()} | found


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=places.ROOT, capture_output=True, timeout=5, check=True
        )
        return done.stdout.decode().strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def build_words() -> str:
    """Versions and fingerprints in a line."""
    parts = [f"{name} {number}" for name, number in versions().items()]
    parts += [f"checkpoint {name} {mark or 'cannot be loaded'}" for name, mark in fingerprints().items()]
    parts += [f"checkpoint {each.name}: {each.fault or each.words}" for each in public.public_checkpoints()]
    return " · ".join(parts)
