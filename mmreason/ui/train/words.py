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
from mmreason.ui.shell.words import count, duration, flops


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
    left = status.seconds_left(before.seconds if before else None)
    is_going = status.state == "running" and left is not None
    return {
        "state": status.state,
        "says": state_words(status) + (f", {duration(left)} left" if is_going and left is not None else ""),
        "left": _place(status),
        "share": done / (settings.steps * len(settings.arms)),
        "spent": spent_words(status),
        "trouble": status.trouble,
    }


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
                return f"{arm}{'loading, then ' if arm else 'Loading, then '}the first evaluation"
            return f"{arm}step {of}" if arm else f"Step {of}"
        case "stopping":
            return f"{arm}stopping after this step, {of}" if arm else f"Stopping after this step, {of}"
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
        said.append("KL to the start is measured, and drawn, only with beta above 0.")
    if settings.num_iterations == 1:
        said.append("With one update a batch nothing can be clipped, so that is not drawn either.")
    said.append("Leak against signal is measured at every evaluation, sign conflict at every step.")
    return [["quiet", " ".join(said)]]


def preset_words(preset: Any) -> str:
    """A sentence or two; empty unless the preset as it is now was measured over several seeds."""
    found = read_gain(places.ASSETS / "results" / "preset_gain.json", str(preset))
    if found is None or found["gain_ci95"] is None:
        return ""
    seeds, problems = len(found["seeds"]), found["settings"]["eval_problems"]
    low, high = (100 * bound for bound in found["gain_ci95"])
    what = "no clear change on average" if low <= 0 <= high else "better on average" if low > 0 else "worse on average"
    return (
        f"Measured over {seeds} seeds, each on the same {problems} held-out problems before and after: {what}, from "
        f"{100 * found['before']:.0f} % solved to {100 * found['after']:.0f} % ({100 * found['gain']:+.1f} points, "
        f"95 % interval {low:+.1f} to {high:+.1f}), clear by itself for {found['clear']} of {seeds}. The longest took "
        f"{duration(found['longest_seconds'])}."
    )
