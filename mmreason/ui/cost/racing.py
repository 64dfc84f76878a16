"""The race: read from the bundled file on arrival, or run live for a visitor."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from mmreason import places
from mmreason.analysis.cost.compute import four_arms
from mmreason.analysis.cost.race import LOCAL, VERSION, check_rival, joint_sheet, run_race
from mmreason.errors import MMReasonError
from mmreason.records import Problem
from mmreason.traces.sheet import sheet_pixels
from mmreason.ui.cost import measuring
from mmreason.ui.cost.words import arm_words
from mmreason.ui.host import checkpoints
from mmreason.ui.host.web.sheets import sheet_link
from mmreason.ui.solve.playback import run_number
from mmreason.ui.solve.request import checked
from mmreason.ui.solve.solving import PERIOD

SAMPLING_SEED = 0
RIVAL_CHOICES = (("autoregressive", "ar_full"), ("diffusion", "diffusion_full"))


@dataclass(frozen=True, slots=True)
class Raced:
    """What the tab shows next; ``value`` of the component ``race``, at the end only."""

    notice: str
    value: dict[str, Any] | None = None
    busy: bool = True


def bundled_race() -> dict[str, Any] | None:
    """The first usable race of ``assets/race``."""
    for path in sorted((places.ASSETS / "race").glob("*.json")):
        try:
            race = json.loads(path.read_text(encoding="utf-8"))
            if race["version"] == VERSION and len(race["lanes"]) == 2:
                sheet = sheet_link(sheet_pixels(race["sheet"]), pinned=True)
                return race_value(race | {"sheet": sheet}, run=0)
        except (OSError, ValueError, KeyError, TypeError, MMReasonError):
            continue
    return None


def race_value(race: dict[str, Any], run: int) -> dict[str, Any]:
    """The component's value: the race, its arms in words, and the result in a sentence."""
    lanes = [lane | {"words": arm_words(lane["arm"])} for lane in race["lanes"]]
    return race | {"lanes": lanes, "run": run, "result": result_words(race)}


def result_words(race: dict[str, Any]) -> str:
    """How the race ended."""
    local, full = race["lanes"]
    first = "first" if local["passes"] < full["passes"] else "not first"
    ends = [
        f"{arm_words(lane['arm'])}: {lane['passes']} forward passes, {lane['tokens']} tokens, "
        f"{'solved' if lane['success'] else 'not solved'}"
        for lane in (local, full)
    ]
    return f"{ends[0]}. {ends[1]}. By forward passes local edits are {first} to finish."


def command_line(problem: Problem, rival: str) -> str:
    """The command line that runs this race again, as the bundled one's."""
    puzzle = f"--task {problem.task} --difficulty {problem.difficulty} --seed {problem.seed}"
    return f"python -m mmreason race {puzzle} --sampling_seed {SAMPLING_SEED} --against {rival}"


def race_live(task: Any, difficulty: Any, seed: Any, rival: Any, is_stopped: Callable[[], bool]) -> Iterator[Raced]:
    """Run a race; progress in words, then its value.  Closing this generator ends it.

    Raises ConfigError and CheckpointError.
    """
    rival = str(rival)
    check_rival(rival)
    request = checked(task=task, difficulty=difficulty, seed=seed, checkpoint=measuring.DIFFUSION)
    problem = request.problem()
    yield Raced("Loading the policies.")
    base = checkpoints.load_pipeline(measuring.DIFFUSION)
    ar = checkpoints.load_pipeline(measuring.AUTOREGRESSIVE) if rival.startswith("ar") else base
    by_name = {arm.name: arm for arm in four_arms(base, ar)}
    arms = by_name[LOCAL], by_name[rival]
    sent = 0.0
    steps = run_race(arms, problem, base.scheduler.sampling_config(), SAMPLING_SEED)
    with closing(cast("Any", steps)):
        for name, passes, race in steps:
            if is_stopped():
                yield Raced("Stopped.", busy=False)
                return
            if race is not None:
                race["sheet"] = sheet_link(joint_sheet(arms))
                race["command"] = command_line(problem, rival)
                value = race_value(race, run_number())
                yield Raced("", value, busy=False)
            elif time.monotonic() - sent >= PERIOD:
                sent = time.monotonic()
                yield Raced(f"{arm_words(name)}: {passes} forward passes so far.")
