"""The fields of a training: the settings that the page asks for, and what their controls' values make."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mmreason import limits
from mmreason.errors import CheckpointError, ConfigError, MMReasonError
from mmreason.layouts.vocabulary import check_known
from mmreason.records import DIFFICULTIES
from mmreason.settings import NumberSetting, Setting
from mmreason.tasks import TASKS
from mmreason.tasks.own import DATA
from mmreason.training.rl.presets import BOTH, PRESETS, SETTINGS, TrainSettings
from mmreason.ui.host import checkpoints, public
from mmreason.ui.runs.quota import check_work
from mmreason.ui.runs.store import find
from mmreason.ui.train.upload import Upload, offered

MAX_ROLLOUTS = 1024  # of one step
ASSIGNMENT_CHOICES = (("joint against factorized", BOTH), ("factorized", "factorized"), ("joint", "joint"))
CUSTOM = "custom"  # what the fields make is no preset


def _placed(place: str) -> tuple[Setting, ...]:
    return tuple(each for each in SETTINGS.values() if each.page is not None and each.page.place == place)


FEW, MORE, PUBLIC = _placed("first"), _placed("more"), _placed("public")
WEIGHTS = tuple(f"weight_{name}" for name in DIFFICULTIES)
CONTROLS = ("checkpoint", "tasks", *WEIGHTS, "assignment", *(setting.name for setting in (*FEW, *MORE, *PUBLIC)))
"""Names of the controls, in their order on the page."""
PUBLIC_START = {"lora_rank": 8, "attention": "full", "max_turns": 3, "score_steps": 1}  # text_length: the host's
PUBLIC_SIZES = (  # of a first training of a public checkpoint: on a CPU, where only a stand-in runs, and on a GPU
    {"steps": 4, "num_problems": 2, "num_generations": 4, "eval_problems": 4, "eval_steps": 4, "save_steps": 2},
    {"steps": 60, "num_problems": 4, "num_generations": 8, "eval_problems": 32, "eval_steps": 20, "save_steps": 5},
)


CALLED = {  # what a reason of ``read_form`` calls a field, and the field's id
    **{f"weight of {name}": f"train-weight_{name}" for name in DIFFICULTIES},
    "weight of easy, medium or hard": f"train-{WEIGHTS[0]}",
    "problems a step × group size": "train-num_problems",
    **{name: f"train-{name}" for name in ("tasks", "checkpoint")},
    "choose at least one": "train-tasks",
    **{each.page.label.lower(): f"train-{each.name}" for each in (*FEW, *MORE, *PUBLIC) if each.page is not None},
}


def read_form(
    values: dict[str, Any], token: Any, upload: Upload | None = None
) -> tuple[TrainSettings | None, list[MMReasonError]]:
    """Values as they come from the controls, checked, or all that is wrong with them, from the top of the page on.

    ``upload`` is the dataset that was handed over in this session.
    """
    wrong: list[MMReasonError] = []

    def tried(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except MMReasonError as error:
            wrong.append(error)

    checkpoint = tried(lambda: _checkpoint(values["checkpoint"], token))
    asked = PUBLIC if not wrong and checkpoints.is_public(checkpoint) else ()
    tasks = tried(lambda: _tasks(values["tasks"], upload, checkpoint, token))
    found = {each.name: tried(partial(_checked, each, values[each.name])) for each in asked}
    if found.get("lora_rank") is not None:
        tried(lambda: _check_rank(found["lora_rank"], checkpoint))
    weights = {
        name: tried(partial(limits.WEIGHT.check, values[f"weight_{name}"], f"weight of {name}"))
        for name in DIFFICULTIES
    }
    if not any(weight is None or weight for weight in weights.values()):
        wrong.append(ConfigError("weight of easy, medium or hard must be above 0, got 0 for all three"))
    found |= {each.name: tried(partial(_checked, each, values[each.name])) for each in (*FEW, *MORE)}
    tried(lambda: _check_rollouts(found["num_problems"], found["num_generations"]))
    if wrong:
        return None, wrong

    def made() -> TrainSettings:
        difficulties = {name: weight for name, weight in weights.items() if weight}
        assignment = str(values["assignment"])
        settings = TrainSettings(checkpoint, tasks=tasks, difficulties=difficulties, assignment=assignment, **found)
        folder = checkpoints.checkpoint_folder(checkpoint)
        if folder is not None:
            for task in settings.tasks:
                if task not in settings.datasets:
                    check_known(task, checkpoints.known_tasks(folder))
        check_work(settings)
        return settings

    return tried(made), wrong


def _tasks(tasks: Any, upload: Upload | None, checkpoint: str | None, token: Any) -> tuple[str, ...]:
    """Those of the ``tasks`` that are here, and the dataset handed over where it is among them; raises ConfigError."""
    if not isinstance(tasks, list) or not tasks:
        raise ConfigError("choose at least one task")
    own = [str(task) for task in tasks if str(task).startswith(DATA)]
    there = None if checkpoint is None else offered(upload, checkpoint, token)
    for task in own if checkpoint is not None else ():
        if there is None or task != there.task:
            raise ConfigError(
                "tasks must name a dataset that you have handed over here and that this checkpoint can be trained "
                f"on, got {task[:60]!r}"
            )
    return (*(name for name in TASKS if name in tasks), *own[:1]) or tuple(map(str, tasks))


def _check_rollouts(problems: int | None, generations: int | None) -> None:
    """Refuse too large a step, where both of its numbers are right on their own; raises ConfigError."""
    if problems is not None and generations is not None and problems * generations > MAX_ROLLOUTS:
        raise ConfigError(
            f"problems a step × group size must be at most {MAX_ROLLOUTS}, got {problems} × {generations}"
        )


def _checked(setting: Setting, value: Any) -> Any:
    """``value`` of a control, called as the page calls it; raises ConfigError."""
    label = setting.page.label.lower() if setting.page is not None else setting.name
    if value is None and setting.start is None:
        return None
    if isinstance(setting, NumberSetting):
        return setting.limit.check(value, label)
    setting.check(value, label)
    return setting.read(value)


def _check_rank(rank: int, checkpoint: str) -> None:
    """Refuse a rank that the adapters of this checkpoint cannot have; raises ConfigError."""
    found = public.find(checkpoint)
    if found is None or found.fault:
        raise CheckpointError(f"checkpoint {checkpoint[:60]!r} cannot be trained here: {found and found.fault}")
    if found.rank is not None and rank != found.rank:
        raise ConfigError(f"lora rank must be that of the adapter, {found.rank}, got {rank}")
    most = found.shape.width if found.shape is not None else rank
    if not 1 <= rank <= most:
        raise ConfigError(f"lora rank must be a whole number from 1 to {most}, the network's width, got {rank}")


def public_fields(checkpoint: Any) -> dict[str, Any] | None:
    """What the fields are when a public checkpoint is chosen; None of one of our own."""
    found = public.usable(str(checkpoint))
    if found is None:
        return None
    views = {"attention": found.attention} | ({} if found.rank is None else {"lora_rank": found.rank})
    size = PUBLIC_SIZES[checkpoints.device() != "cpu"]
    weights = {f"weight_{name}": int(name == DIFFICULTIES[0]) for name in DIFFICULTIES}
    return PUBLIC_START | {"text_length": public.text_length(found), **size, **views, **weights}


def _checkpoint(name: Any, token: Any) -> str:
    """A shipped checkpoint, or one that the visitor trained."""
    match = checkpoints.RUN_CHECKPOINT.match(str(name))
    run = find(match[1]) if match else None
    is_theirs = run is not None and run.is_of(token)
    if checkpoints.checkpoint_folder(str(name)) is None or (match and not is_theirs):
        there = ", ".join([*checkpoints.checkpoint_names(), *public.public_names()]) or "none"
        raise CheckpointError(f"checkpoint must be one that is here ({there}), got {str(name)[:60]!r}")
    return str(name)


def task_choices(checkpoint: Any) -> list[tuple[str, str]]:
    """The tasks that a checkpoint was trained on, as a form lists them: label and name."""
    return [(TASKS[name].label, name) for name in checkpoints.tasks_of(str(checkpoint))]


def with_upload(tasks: Any, upload: Any, checkpoint: Any, token: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """The tasks to choose from and those that are checked: a dataset that can be learnt from alone, else what was."""
    choices, own = task_choices(checkpoint), offered(upload, checkpoint, token)
    if own is None:
        return choices, known_of(tasks, checkpoint)
    return [*choices, (own.label, own.task)], [own.task]


def known_of(wanted: Any, checkpoint: Any) -> list[str]:
    """Those of the ``wanted`` tasks that a checkpoint knows; where it knows none of them, all that it does."""
    known = [name for _, name in task_choices(checkpoint)]
    return [name for name in known if isinstance(wanted, list) and name in wanted] or known


def filled(settings: TrainSettings) -> dict[str, Any]:
    """The controls' values that make ``settings``, in both arms; the checkpoint stays as it is."""
    values: dict[str, Any] = {setting.name: settings.values[setting.name] for setting in (*FEW, *MORE, *PUBLIC)}
    values |= {f"weight_{name}": settings.difficulties.get(name, 0) for name in DIFFICULTIES}
    return values | {"tasks": list(settings.tasks), "assignment": BOTH}


def preset_of(settings: TrainSettings) -> str:
    """The preset that ``settings`` are, whatever they start from and whichever arm they train, or CUSTOM."""
    same = {"checkpoint": settings.checkpoint, "assignment": settings.assignment}
    return next((name for name, each in PRESETS.items() if each.but(**same) == settings), CUSTOM)
