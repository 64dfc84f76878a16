"""Which set-ups are registered, at what commit, and what is known of all of them.

A set-up is registered by committing it and then noting that commit with the set-up's digest: what is registered
cannot change without a test failing, and a changed set-up is refused here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmreason import places
from mmreason.analysis.comparison.gains import summary
from mmreason.analysis.comparison.series import Series
from mmreason.analysis.comparison.setups import SETUPS, P, Setup
from mmreason.errors import ConfigError

FOLDER = places.ASSETS / "results" / "setups"
GAIN = "gain_separate_over_unified"  # of set-up P: the primary comparison


def registered() -> dict[str, dict[str, str]]:
    """By set-up: the ``commit`` of its protocol, and its ``digest``."""
    path = FOLDER / "registered.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def check_registered(setup: Setup) -> None:
    """Refuse to run what is not registered, or what differs from it; raises ConfigError."""
    noted = registered().get(setup.name)
    if noted is None:
        raise ConfigError(f"set-up {setup.name} is not registered: commit it and note that in registered.json")
    if noted["digest"] != setup.digest:
        raise ConfigError(
            f"set-up {setup.name} differs from what was registered at {noted['commit'][:12]} "
            f"(digest {setup.digest}, registered {noted['digest']}): name a changed one anew"
        )


def all_setups(series: Mapping[str, Series] | None = None) -> dict[str, Any]:
    """``setups`` by name, each with the commit at which it was registered; the ``primary`` comparison, and the commit
    of that one.
    """
    where = {name: Series(setup, FOLDER / name, Path("runs") / f"setup-{name}") for name, setup in SETUPS.items()}
    noted = {name: each["commit"] for name, each in registered().items()}
    found = {name: summary(each) for name, each in (where | dict(series or {})).items()}
    return {
        "setups": {name: row | {"registered": noted.get(name)} for name, row in found.items()},
        "primary": {"setup": P.name, "gain": GAIN, "measure": P.measure, "arms": list(P.primary)},
        "registered": noted.get(P.name),
    }
