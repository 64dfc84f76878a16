"""A run in words: its state, its name, the command that repeats it."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from mmreason import places
from mmreason.analysis.preset_gain import read_gain
from mmreason.training.rl.presets import BOTH
from mmreason.ui.host import checkpoints, gpu
from mmreason.ui.runs.estimate import estimate
from mmreason.ui.runs.state import Status, last_step
from mmreason.ui.runs.store import EXAMPLE, Run
from mmreason.ui.shell.words import count, duration, flops, points


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
        "seconds": None if left is None else {"steps": left.steps, "evaluations": left.evaluations},
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
    arm = f"{status.arm}, " if len(status.run.settings.arms) > 1 else ""
    return f"Training… {arm}step {status.step} of {status.run.settings.steps} · Stop"


def state_words(status: Status) -> str:
    """``step 23 of 60`` and what else there is to say of the state."""
    steps = status.run.settings.steps
    arms = status.run.settings.arms
    of = f"{status.step} of {steps}"
    arm = f"{status.arm.capitalize()}, arm {arms.index(status.arm) + 1} of {len(arms)}: " if len(arms) > 1 else ""
    saved = status.saved[status.arm]
    match status.state:
        case "queued":
            return "Waiting" if not any(status.rows.values()) else f"{arm}waiting at step {of}"
        case "running":
            if not status.rows[status.arm]:
                what = f"evaluating {status.run.settings.eval_problems} held-out problems before the first step"
                return f"{arm}{what}" if arm else what.capitalize()
            return f"{arm}step {of}" if arm else f"Step {of}"
        case "stopping":
            return f"{arm}stopping at step {of}" if arm else f"Stopping at step {of}"
        case "stopped":
            if saved is None:
                return "Stopped before the first step"
            return f"{arm}stopped at step {of}: Resume goes on from there" if arm else (
                f"Stopped at step {of}: Resume goes on from there"
            )  # fmt: skip
        case "failed":
            goes_on = f"Resume goes on from step {saved}" if saved is not None else "Resume starts over"
            word = "killed" if arm else "Killed"
            return f"{arm}{word} at step {of}: {goes_on}"
    return f"Finished: {steps} steps" + (" in both arms" if arm else "")


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
    if run.id == EXAMPLE:
        return f"Example · {', '.join(settings.tasks)} {settings.mix} · {arm}"
    return f"{when} · {', '.join(settings.tasks)} {settings.mix} · {arm} · {run.id[:4]}"


def command_lines(run: Run) -> str:
    """The command lines that repeat the run, one an arm, into folders of their own."""
    start = checkpoints.checkpoint_folder(run.settings.checkpoint)
    if start is None:
        return f"The checkpoint {run.settings.checkpoint} is no longer here."
    place = start.relative_to(places.ROOT) if start.is_relative_to(places.ROOT) else Path("checkpoints") / start.name
    commands = [run.settings.arguments(arm, str(place), f"runs/{run.id}-{arm}") for arm in run.settings.arms]
    return "\n".join(shlex.join(["python", "-m", "mmreason", *command]) for command in commands)


def notes(status: Status) -> list[list[str]]:
    """What the figures cannot show with these settings."""
    settings, said = status.run.settings, []
    if not settings.beta:
        said.append("KL to the start is drawn only with beta above 0.")
    if settings.num_iterations == 1:
        said.append("With one update a batch nothing can be clipped.")
    leak = "" if settings.lora_rank else "Leak against signal is measured at every evaluation, "
    said.append(f"{leak}{'sign' if leak else 'Sign'} conflict at every step.")
    return [["quiet", " ".join(said)]]


def preset_words(preset: Any, checkpoint: Any) -> str:
    """What the preset was measured to do from ``checkpoint``; empty where that was not measured."""
    found = read_gain(places.ASSETS / "results" / "preset_gain.json", str(preset))
    if found is None or found["gain_ci95"] is None or found["checkpoint"] != checkpoint:
        return ""
    seeds, problems = len(found["seeds"]), found["settings"]["eval_problems"]
    low, high = found["gain_ci95"]
    rates = f"from {100 * found['before']:.0f} % solved to {100 * found['after']:.0f} %"
    what = "no clear change on average" if low <= 0 <= high else "better on average" if low > 0 else "worse on average"
    return (
        f"Measured with {found['settings']['assignment']} rewards over {seeds} seeds, each on the same {problems} "
        f"held-out problems before and after: {what}, {rates} ({points(found['gain'])} points, 95 % interval "
        f"{points(low)} to {points(high)})."
    )


def claim(preset: Any, checkpoint: Any) -> list[list[str]]:
    """The same as ``prose`` takes it."""
    said = preset_words(preset, checkpoint)
    return [["quiet", said]] if said else []
