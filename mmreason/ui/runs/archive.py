"""The archive of a training run, for its owner to take away: checkpoints, curves, and what it sampled on the way."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmreason.errors import TraceError
from mmreason.training.run.rundir import CONFIG_FILE, METRICS_FILE
from mmreason.training.run.traces import sampled_group, samples
from mmreason.ui.host.files import kept_file
from mmreason.ui.host.settings import MB, read_settings
from mmreason.ui.runs.state import Status, status_of
from mmreason.ui.runs.store import owned

ROLLOUTS, CARD = "rollouts.jsonl", "README.md"
LISTED = 8  # groups that the card names one by one
# Both stand highest in the zip, where ``traces.opening`` looks for rollouts.
CARD_TEXT = """# Training run {id}

{arms} rewards on {tasks}, {mix}. What is here:

{parts}
"""


@dataclass(frozen=True, slots=True)
class Sampled:
    """The rollouts of a run in one file: its lines, a group each, and which these are of how many that were kept."""

    lines: tuple[bytes, ...]
    names: tuple[str, ...]
    kept: int


def write_archive(run_id: Any, token: Any) -> str | None:
    """Path of a zip of what the run has made, one folder an arm; None while it may change.

    Asked for again it is the same file, as long as the run is as it was.  Raises ConfigError.
    """
    run = owned(run_id, token, "download")
    status = status_of(run)
    if status.is_active or not status.checkpoints:
        return None
    files, sampled = {}, []
    for arm in status.checkpoints:
        folder = run.arm_folder(arm)
        paths = [*sorted((folder / "checkpoint").rglob("*")), folder / CONFIG_FILE, folder / METRICS_FILE]
        files |= {f"{arm}/{path.relative_to(folder).as_posix()}": path for path in paths if path.is_file()}
        sampled += [path for group in samples(folder).values() for path in group]
    seen = [*files.items(), *((path.name, path) for path in sampled)]
    states = [(name, path.stat().st_size, path.stat().st_mtime_ns) for name, path in seen]
    most = read_settings().max_upload_mb
    key = f"{run.id} {most} {hashlib.sha256(repr(states).encode()).hexdigest()}"
    return str(kept_file(key, f"mmreason-{run.id}.zip", lambda path: _write(path, status, files, most)))


def _write(path: Path, status: Status, files: Mapping[str, Path], most: int) -> None:
    sampled = _sampled(status, most * MB)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:  # weights do not shrink
        archive.writestr(CARD, _card(status, sampled, most))
        if sampled.lines:
            archive.writestr(ROLLOUTS, b"".join(sampled.lines), zipfile.ZIP_DEFLATED)
        for name, file in files.items():
            archive.write(file, name)


def _sampled(status: Status, most: int) -> Sampled:
    """The newest groups of all arms that fit in ``most`` bytes together, in their order; damaged ones are left out."""
    groups = [
        (step, arm, files) for arm in status.checkpoints for step, files in samples(status.run.arm_folder(arm)).items()
    ]
    found: list[tuple[int, str, bytes]] = []
    for step, arm, files in sorted(groups, reverse=True):
        try:
            line = json.dumps(sampled_group(files, _name(arm, step)), separators=(",", ":")).encode() + b"\n"
        except TraceError:
            continue
        if sum(len(each) for *_, each in found) + len(line) > most:
            break
        found.append((step, arm, line))
    found.sort()
    return Sampled(tuple(line for *_, line in found), tuple(_name(arm, step) for step, arm, _ in found), len(groups))


def _name(arm: str, step: int) -> str:
    """What a group is called in the file and in the inspector."""
    return f"{arm}, step {step}"


def _card(status: Status, sampled: Sampled, most: int) -> str:
    run = status.run
    parts = []
    if sampled.lines:
        count, names = len(sampled.lines), sampled.names
        which = f"the newest {count} of {sampled.kept}" if count < sampled.kept else f"all {count}"
        listed = "; ".join(names) if count <= LISTED else f"{names[0]} to {names[-1]}"
        parts.append(
            f"`{ROLLOUTS}`: rollouts that the run learnt from, with the rewards of every thought and edit: {which} "
            f"groups that it kept ({listed}), in at most {most} MB. Open it in Inspect under File, or with "
            f"`python -m mmreason inspect {ROLLOUTS}`."
        )
    for arm in status.checkpoints:
        parts += [
            f"`{arm}/checkpoint`: the checkpoint after step {status.saved[arm]}, which every command takes: "
            f"`python -m mmreason evaluate --checkpoint {arm}/checkpoint`.",
            f"`{arm}/{METRICS_FILE}`: a line of metrics for every step, and `{arm}/{CONFIG_FILE}`: all settings.",
        ]
    return CARD_TEXT.format(
        id=run.id,
        arms=" and ".join(run.settings.arms).capitalize(),
        tasks=", ".join(run.settings.tasks),
        mix=run.settings.mix,
        parts="\n".join(f"- {part}" for part in parts),
    )
