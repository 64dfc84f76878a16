"""Tasks of one's own: found in a file, a module or an installed package, checked, and made known by their name.

A task is named as ``FILE.py:CLASS`` (``FILE.py`` alone where it holds one), ``MODULE:CLASS``, or by the name of an
entry point in the group ``mmreason.tasks`` of an installed package; a dataset as ``data:FOLDER``.
Built-in tasks go by their name.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

import numpy as np

from mmreason.disk import one_line
from mmreason.errors import MMReasonError, TaskError
from mmreason.own_code import file_fingerprint, module_of
from mmreason.records import DIFFICULTIES
from mmreason.tasks import TASKS, register
from mmreason.tasks.dataset.task import DataTask
from mmreason.tasks.picture import PictureTask
from mmreason.tasks.task import Task

DATA = "data:"
GROUP = "mmreason.tasks"  # of entry points
MAX_CELLS = 256  # drawings of one task
MAX_TURNS = 16

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z", re.ASCII)
_WORD = re.compile(r"[^\s<>]{1,40}\Z")
_KINDS: dict[str, type] = {"name": str, "question": str, "words": Sequence, "turns": Mapping, "example": Mapping}
_CALLED: dict[type, str] = {str: "text", Sequence: "a tuple", Mapping: "a dictionary"}
_SOURCES: dict[str, str] = {}  # name → as it was asked for


def known(text: str) -> str:
    """The name of the task that ``text`` means, which is registered if it was not; raises TaskError."""
    if text in TASKS:
        return text
    for name, source in _SOURCES.items():
        if source == text:
            return name
    task = _found(text)
    return add(task, text)


def add(task: Task, source: str) -> str:
    """Check and register ``task``; its name.  Raises TaskError, one sentence."""
    called = f"task {one_line(source, 120)!r}"
    reason = fault(task)
    if reason:
        raise TaskError(f"{called}: {reason}")
    if task.name in TASKS:
        there = _SOURCES.get(task.name, "built in")
        raise TaskError(f"{called}: name must be another than {task.name!r}, which is taken ({there})")
    _SOURCES[task.name] = source
    register(task)
    return task.name


def source_of(name: str) -> str:
    """As a command line has the task called ``name``."""
    return _SOURCES.get(name, name)


def fingerprints(names: Iterable[str]) -> dict[str, str]:
    """What each task of one's own among ``names`` consists of: a dataset's rows, or the file of its code."""
    own = {name: TASKS[name] for name in names if name in _SOURCES}
    return {
        name: task.rows.fingerprint if isinstance(task, DataTask) else file_fingerprint(type(task))
        for name, task in own.items()
    }


def _found(text: str) -> Task:
    """The task that ``text`` names; raises TaskError."""
    if text.startswith(DATA):
        if text == DATA:
            raise TaskError("task 'data:' must name a folder, such as data:my_data or data:. for this one")
        return _tried(lambda: DataTask(text.removeprefix(DATA)), text, is_own=False)
    where, _, name = text.rpartition(":")
    if text.endswith(".py"):
        where, name = text, ""
    if where.endswith(".py"):
        if not os.path.isfile(os.path.expanduser(where)):
            raise TaskError(f"task {one_line(text, 120)!r}: there is no file {one_line(where, 120)!r}")
        return _made(_tried(lambda: module_of(where), text), name, text)
    if name and all(part.isidentifier() for part in where.split(".")):
        return _made(_imported(where, text), name, text)
    for point in entry_points(group=GROUP):
        if point.name == text:
            return _instance(_tried(point.load, text), text)
    installed = [point.name for point in entry_points(group=GROUP)]
    raise TaskError(
        f"task must be one of {', '.join([*TASKS, *installed])}, FILE.py:CLASS or data:FOLDER, got {text[:80]!r}"
    )


def _tried(step: Any, text: str, is_own: bool = True) -> Any:
    """What ``step`` gives; whatever it raises is a TaskError about ``text``, its cause if it ``is_own`` code."""
    try:
        return step()
    except MMReasonError:
        raise
    except (Exception, SystemExit) as error:  # a file of the user's may fail in any way while it is imported
        reason = f"{type(error).__name__}: {one_line(str(error), 200)}"
        raise TaskError(f"task {one_line(text, 120)!r} cannot be loaded: {reason}") from (error if is_own else None)


def _imported(name: str, text: str) -> ModuleType:
    return _tried(lambda: importlib.import_module(name), text)


def _made(module: ModuleType, name: str, text: str) -> Task:
    own = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__
    }
    if not name and len(own) == 1:
        return _instance(next(iter(own.values())), text)
    if not name or not hasattr(module, name):
        there = f"it has {', '.join(own)}" if own else "it has no class that is a Task"
        raise TaskError(f"task {one_line(text, 120)!r} must name a class of the file; {there}")
    return _instance(getattr(module, name), text)


def _instance(found: Any, text: str) -> Task:
    if isinstance(found, Task):
        return found
    if not isinstance(found, type) or not issubclass(found, Task):
        raise TaskError(f"task {one_line(text, 120)!r} must be a class that derives from Task, got {found!r:.80}")
    lacks = sorted(getattr(found, "__abstractmethods__", ()))
    if lacks:
        raise TaskError(f"task {one_line(text, 120)!r} lacks {', '.join(lacks)}")
    return _tried(found, text)


def fault(task: Task) -> str:
    """What of the attributes of ``task`` is not as it must be, in a sentence; "" if all are."""
    for name, kind in _KINDS.items():
        if not hasattr(task, name):
            return f"{name} is missing"
        value = getattr(task, name)
        if not isinstance(value, kind) or (kind is Sequence and isinstance(value, str)):
            return f"{name} must be {_CALLED[kind]}, got {value!r:.60}"
    if not _NAME.match(task.name):
        return f"name must be lower-case letters, digits and _, got {task.name[:60]!r}"
    if not task.question.strip():
        return "question must be a sentence, got nothing"
    for word in task.words:
        if not isinstance(word, str) or not _WORD.match(word):
            return f"words must be single words without < and >, got {word!r:.60}"
    for level in DIFFICULTIES:
        limits = task.turns.get(level)
        if not isinstance(limits, tuple | list) or len(limits) != 2 or any(type(each) is not int for each in limits):
            return f"turns must give {level} two whole numbers, got {limits!r:.60}"
        if not 0 <= limits[0] <= limits[1] <= MAX_TURNS:
            return f"turns of {level} must rise from 0 to {MAX_TURNS} at most, got {tuple(limits)}"
    if isinstance(task, PictureTask):
        if type(task.side) is not int or task.side % 8 or not 16 <= task.side <= 1024:
            return f"side must be a multiple of 8 from 16 to 1024, got {task.side!r:.40}"
        return ""
    if not hasattr(task, "cells") or not isinstance(task.cells, tuple | list) or not task.cells:
        return f"cells must name the drawings of its cells, got {getattr(task, 'cells', None)!r:.60}"
    if not 1 <= len(task.cells) <= MAX_CELLS or len(set(task.cells)) != len(task.cells):
        return f"cells must be at most {MAX_CELLS} different names, got {len(task.cells)}"
    if type(task.num_hints) is not int or task.num_hints < 0:
        return f"num_hints must be a whole number from 0, got {task.num_hints!r:.40}"
    return _drawing_fault(task)


def _drawing_fault(task: Task) -> str:
    for cell in task.cells:
        try:
            pixels = np.asarray(task.draw_cell(cell).convert("RGB"))
        except (Exception, SystemExit) as error:  # of the user's
            return f"draw_cell failed for {cell!r}: {type(error).__name__}: {one_line(str(error), 120)}"
        if pixels.shape != (16, 16, 3):
            return f"draw_cell must give 16 × 16 pixels, got {pixels.shape[1]} × {pixels.shape[0]} for {cell!r}"
    return ""
