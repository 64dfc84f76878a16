"""A run in words: its state, its name, the command that repeats it."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmreason import places
from mmreason.analysis.preset_gain import read_gain
from mmreason.analysis.results_file import results_path
from mmreason.tasks.task import label_of
from mmreason.training.rl.presets import BOTH
from mmreason.training.run.remaining import last_step
from mmreason.ui.host import checkpoints, gpu
from mmreason.ui.runs.estimate import estimate
from mmreason.ui.runs.state import Status
from mmreason.ui.runs.store import EXAMPLE, Run
from mmreason.wording import count, counted, duration, flops, points


def kept_words() -> str:
    """What a run survives here, and what it does not."""
    survives = (
        "The GPU is lent in slices: a run continues while this tab is open, pauses after the slice in which you "
        "close it, and continues with Resume."
        if gpu.is_lent()
        else "A run survives a closed tab and a restarted server."
    )
    return (
        f"{survives} A restart of the container loses it (a Space restarts when it has slept): download the "
        "checkpoint you want to keep."
    )


def head(status: Status) -> dict[str, Any]:
    """The value of the component ``run_head``."""
    settings = status.run.settings
    done = sum(last_step(rows) for rows in status.rows.values())
    before = estimate(settings)
    left = status.left(before.left if before else None) if status.state == "running" else None
    return {
        "state": status.state,
        "says": state_words(status),
        "left": _place(status),
        "seconds": None if left is None else asdict(left),
        "ends": all(last_step(rows) >= max(1, settings.steps - 1) for rows in status.rows.values()),
        "share": done / (settings.steps * len(settings.arms)),
        "spent": spent_words(status),
        "trouble": status.trouble,
    }


def going_words(status: Status) -> str:
    """The button that stops what its visitor has started."""
    if status.state == "stopping":
        return "Stopping…"
    if status.state == "queued":
        return "Waiting in line · Stop"
    return f"Training… step {status.step} of {status.run.settings.steps} · Stop"


def state_words(status: Status) -> str:
    """``Step 23 of 60`` and what else there is to say of the state."""
    settings = status.run.settings
    of = f"{status.step} of {settings.steps}{_who(status)}"
    match status.state:
        case "queued":
            return "Waiting" if not any(status.rows.values()) else f"Waiting at step {of}"
        case "running":
            if not all(status.rows.values()):
                return f"Evaluating {settings.eval_problems} held-out problems before the first step{_who(status)}"
            return f"Step {of}"
        case "stopping":
            return f"Stopping at step {of}"
        case "stopped":
            if status.resumes_at is None:
                return "Stopped before the first step"
            return f"Stopped at step {of}: Resume goes on from there"
        case "failed":
            at = status.resumes_at
            goes_on = "Resume starts over" if at is None else f"Resume goes on from step {at}"
            return f"Failed at step {of}: {goes_on}"
    done = counted(settings.steps, "step")
    return f"Finished: {done}" + (" in both arms" if len(settings.arms) > 1 else "")


def _who(status: Status) -> str:
    """Whose step it is: both arms', or that of the one which is behind, as in runs of earlier versions."""
    steps = {arm: last_step(rows) for arm, rows in status.rows.items()}
    if len(steps) == 1:
        return ""
    behind = [arm for arm, step in steps.items() if step < max(steps.values()) - 1]
    return f" · {behind[0] if behind else 'both arms'}"


def _place(status: Status) -> str:
    """The place in line."""
    if status.state == "queued":
        if not status.ahead:
            return "Next in line"
        return f"{status.ahead} run{'s are' if status.ahead > 1 else ' is'} before it in line"
    return ""


def spent_words(status: Status) -> str:
    """Tokens, FLOPs and time so far."""
    spent = status.spent
    if not spent["tokens"]:
        return ""
    return (
        f"Spent: {count(spent['tokens'])} tokens learnt from, {flops(spent['flops'])} FLOPs, "
        f"{duration(spent['seconds'])}"
    )


def label(run: Run) -> str:
    """What a run is called in a list; two never have the same."""
    settings, when = run.settings, time.strftime("%d %b %H:%M", time.localtime(run.created))
    arm = "both arms" if settings.assignment == BOTH else settings.assignment
    problems = f"{', '.join(map(label_of, settings.tasks))} {settings.mix}"
    if run.id == EXAMPLE:
        return f"Example · {problems} · {arm}"
    return f"{when} · {problems} · {arm} · {run.id[:4]}"


def command_line(run: Run) -> str:
    """The command line that repeats the run, into a folder of its own; one of the Hub is not fetched for that."""
    name, first = run.settings.checkpoint, ""
    if name in checkpoints.hub_names():
        place = Path("checkpoints") / name.rpartition("/")[2]
        first = f"{shlex.join(['hf', 'download', name, '--local-dir', str(place)])} && "
    elif (start := checkpoints.checkpoint_folder(name)) is None:
        return f"The checkpoint {name} is no longer here."
    elif start.is_relative_to(places.ROOT):
        place = start.relative_to(places.ROOT)
    else:
        place = Path("checkpoints") / start.name
    words = run.settings.arguments(run.settings.assignment, str(place), f"runs/{run.id}")
    return first + shlex.join(["python", "-m", "mmreason", *words])


def notes(status: Status) -> list[list[str]]:
    """What the figures cannot show with these settings."""
    settings, said = status.run.settings, []
    if not settings.beta:
        said.append("KL to the start is drawn only with beta above 0.")
    if settings.num_iterations == 1:
        said.append("With one update a batch nothing can be clipped.")
    if not settings.eval_steps:
        said.append("With no evaluations there are no held-out problems.")
    leak = "Leak against signal is measured at every evaluation, " if settings.plan.leak_steps else ""
    said.append(f"{leak}{'sign' if leak else 'Sign'} conflict at every step.")
    return [["quiet", " ".join(said)]]


def preset_words(preset: Any, checkpoint: Any) -> str:
    """What the preset was measured to do from ``checkpoint``; empty where that was not measured."""
    found = read_gain(results_path("preset_gain.json"), str(preset))
    if found is None or found["gain_ci95"] is None or found["checkpoint"] != checkpoint:
        return ""
    seeds, problems = len(found["seeds"]), found["settings"]["eval_problems"]
    low, high = found["gain_ci95"]
    rates = f"from {100 * found['before']:.0f} % solved to {100 * found['after']:.0f} %"
    what = "no clear change on average" if low <= 0 <= high else "better on average" if low > 0 else "worse on average"
    return (
        f"Measured with {found['settings']['assignment']} rewards over {seeds} seeds, each on the same {problems} "
        f"held-out problems before and after, sampled at temperature {found['settings']['temperature']:g} like the "
        f"rollouts (cooler, the start solves more): {what}, {rates} ({points(found['gain'])} points, 95 % interval "
        f"{points(low)} to {points(high)})."
    )


def claim(preset: Any, checkpoint: Any) -> list[list[str]]:
    """The same as ``prose`` takes it."""
    said = preset_words(preset, checkpoint)
    return [["quiet", said]] if said else []
