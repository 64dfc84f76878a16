"""The groups that training runs have sampled, for those who may see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmreason.training.run.traces import runs_with_samples, samples
from mmreason.ui.host import checkpoints
from mmreason.ui.runs.choices import Choice
from mmreason.ui.runs.store import find, runs_of


def run_samples(visitor: Any = None, linked: Any = None) -> list[Choice]:
    """Samples of trainings to choose from: the visitor's own, those of the run of a link, and the host's.

    What visitors started is named by the run's id, which only its owner and those with its link know.
    """
    runs = runs_of(visitor)
    other = find(linked)
    if other is not None and all(run.id != other.id for run in runs):
        runs.append(other)
    found = []
    for run in runs:
        whose = "yours" if run.is_of(visitor) else "by link"
        for arm in run.settings.arms:
            steps = sorted(samples(run.arm_folder(arm)), reverse=True)
            found += [(f"{whose}: {arm}, step {n} ({run.id[:4]})", f"run:{run.id}/{arm}, step {n}") for n in steps]
    return found + [(name, name) for name in host_samples()]


def host_samples() -> dict[str, list[Path]]:
    """The groups that runs of the command line have left, newest step first: name → files."""
    found: dict[str, list[Path]] = {}
    for folder in runs_with_samples(checkpoints.runs_folder()):
        steps = samples(folder)
        found |= {f"{folder.name}, step {n}": steps[n] for n in sorted(steps, reverse=True)}
    return found
