"""A dataset that a visitor hands over as a zip: checked, and shown with what its rewards would give.

Nothing of it is kept, and nothing in it is run: it may hold rows and pictures only.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import numpy as np

from mmreason.disk import one_line, quoted
from mmreason.errors import CheckpointError, ConfigError, MMReasonError
from mmreason.handed import inner_parts
from mmreason.layouts.vocabulary import task_token
from mmreason.tasks import TASKS
from mmreason.tasks.dataset.rows import MAX_ROWS, Row
from mmreason.tasks.dataset.task import DataTask, judge_answer
from mmreason.ui.host import checkpoints
from mmreason.ui.host.settings import name_of, read_settings
from mmreason.ui.shell.component import component
from mmreason.ui.shell.events import WRITING

SHOWN = 12
MAX_UNPACKED = 256 * 2**20
MAX_ENTRIES = 3 * MAX_ROWS
SUFFIXES = (".jsonl", ".parquet", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".md", ".txt", "")
COLUMNS = ["Asked", "Split", "Right answer", "earns", "A wrong one", "earns", "Target drawn", "Nothing drawn"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a dataset: a sentence, pictures with words, and the rewards as rows of a table."""

    sentence: str
    fits: str  # whether the chosen checkpoint can be trained on it, and what would do
    pictures: list[tuple[np.ndarray, str]]
    table: dict[str, Any]
    commands: str


def preview(path: str | Path, checkpoint: str) -> Preview:
    """Check the zip at ``path`` and look at twelve of its problems; raises MMReasonError, one sentence."""
    with TemporaryDirectory(prefix="mmreason-dataset-") as place:
        folder = unpack(path, Path(place))
        task = DataTask(folder)
        keys = list(task.rows.rows)
        chosen = keys[:: max(1, len(keys) // SHOWN)][:SHOWN]
        pictures, rows = [], []
        for key in chosen:
            spec, row = {"task": task.name, "row": key}, task.rows.rows[key]
            pictures.append((task.goal(spec), f"{row.question} → {' '.join(row.answer)}"))
            rows.append(_rewards(task, spec, row, list(task.rows.rows.values())))
        counts = {split: 0 for split in ("train", "validation", "test")}
        for key in keys:
            counts[task.own_split({"row": key})] += 1
        of = ", ".join(f"{count} {split}" for split, count in counts.items())
        few = [split for split, count in counts.items() if not count]
        short = f" It needs more rows: none is in {' or '.join(few)}." if few else ""
        sentence = f"✓ {len(keys)} rows ({of}) and {len(task.words)} different words.{short}"
        table = {"summary": f"What rewards give, {len(rows)} of {len(keys)} rows", "columns": COLUMNS, "rows": rows}
        return Preview(sentence, fits(task, checkpoint), pictures, table, _commands(task.name))


def fits(task: DataTask, checkpoint: str) -> str:
    """Can ``checkpoint`` be trained on a dataset of that name and those words?  A sentence that says what would do."""
    listed, name = f"{name_of('tasks')}=data:{task.name}", quoted(checkpoint)
    try:
        folder = checkpoints.checkpoint_folder(checkpoint)
    except CheckpointError:
        folder = None
    words = (folder and checkpoints.words_of(folder)) or frozenset()
    lacks = [word for word in (task_token(task.name), *task.words) if word not in words]
    if not lacks:
        if task.name in TASKS:
            return f"✓ {name} knows it: choose {task.label} under Tasks to train on it."
        return f"✓ {name} knows it: the page lists it under Tasks where its host sets {listed}."
    few = ", ".join(lacks[:4]) + (f" and {len(lacks) - 4} more" if len(lacks) > 4 else "")
    return (
        f"✗ {name} cannot be trained on it from here, since it was never taught the words {few}. The first command "
        f"below makes a checkpoint that knows them; the second trains it, or this page if its host sets {listed}."
    )


def _rewards(task: DataTask, spec: dict[str, Any], row: Row, rows: Sequence[Row]) -> list[str]:
    """What a right answer earns and a wrong one, and an edit that draws the target or nothing."""
    wrong = _wrong(row, rows)
    right, other = (f"{float(judge_answer(row, said).right):g}" for said in (row.answer, wrong))
    drawn, still = "–", "–"
    if row.region:
        start, goal = task.canvas(spec), task.goal(spec)
        everywhere = np.ones(start.shape[:2], dtype=bool)
        accepted = task.accepted_edits(spec, start, everywhere, 1)
        drawn, still = (
            f"{float(any(not task.differs(picture, each).any() for each in accepted)):g}" for picture in (goal, start)
        )
    told = [row.question, task.own_split(spec), " ".join(row.answer), right, " ".join(wrong), other, drawn, still]
    return [one_line(text, 120) for text in told]


def _wrong(row: Row, rows: Sequence[Row]) -> tuple[str, ...]:
    """An answer that is not right: another choice, another row's, or another number."""
    for said in (*row.choices, *(each.answer for each in rows)):
        if not judge_answer(row, said).right:
            return said
    return (f"{row.tolerance + 1 + float(row.answer[0]):g}",) if row.reward == "number" else ("no", *row.answer[1:])


def _commands(name: str) -> str:
    """How to train on it, where it lies."""
    return (
        f"python -m mmreason pretrain --tasks data:{name} --difficulty easy --output {name}_run/start\n"
        f"python -m mmreason train --tasks data:{name} --difficulty easy "
        f"--checkpoint {name}_run/start/checkpoint --output {name}_run/run"
    )


def unpack(path: str | Path, place: Path) -> Path:
    """The dataset's folder, unpacked inside ``place``; raises ConfigError for what no dataset has in it."""
    most = read_settings().max_upload_mb
    if Path(path).stat().st_size > most * 2**20:
        raise ConfigError(f"the zip must be at most {most} MB")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(entries)
            for entry in entries:
                inner = inner_parts(entry.filename)
                assert inner is not None, "checked before"
                target = place.joinpath(*inner)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source:
                    content = source.read(entry.file_size + 1)
                if len(content) > entry.file_size:
                    raise ConfigError(f"the zip is forged: {quoted(entry.filename)} is larger than it says")
                target.write_bytes(content)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        if isinstance(error, MMReasonError):
            raise
        raise ConfigError(f"the file must be a zip that can be read: {one_line(str(error), 120)}") from None
    inside = [each for each in place.iterdir() if each.name != "__MACOSX"]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and inside[0].name != "data" else place


def _check(entries: Sequence[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise ConfigError(f"the zip must hold at most {MAX_ENTRIES} files, got {len(entries)}")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise ConfigError(f"the zip must unpack to at most {MAX_UNPACKED // 2**20} MB")
    for entry in entries:
        called = quoted(one_line(entry.filename, 80))
        if inner_parts(entry.filename) is None:
            raise ConfigError(f"the zip holds {called}, whose path leads out of it")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ConfigError(f"the zip holds {called}, which is a link")
        if entry.flag_bits & 1:
            raise ConfigError(f"the zip holds {called}, which is encrypted")
        hidden = entry.filename.startswith("__MACOSX/")
        if not hidden and PurePosixPath(entry.filename).suffix.lower() not in SUFFIXES:
            raise ConfigError(f"the zip holds {called}; a dataset has data.jsonl or parquet files and pictures only")


def build_dataset(checkpoint: gr.Dropdown) -> None:
    """A folded part of the form: hand a dataset over, and see what it would be for ``checkpoint``."""
    with gr.Accordion("Check a dataset of your own", open=False, elem_id="train-dataset"):
        intro = "A zip of a folder with pictures and data.jsonl, or parquet. It is looked at and not kept."
        component("prose", value=[["quiet", intro]])
        file = gr.File(label="Dataset (zip)", file_types=[".zip"], elem_id="train-dataset-file")
        says = component("notice", value="", elem_id="train-dataset-says")
        fit = component("prose", value=[], elem_id="train-dataset-fits")
        pictures = gr.Gallery(
            visible=False, label="How twelve of its pictures end", columns=3, elem_id="train-dataset-pictures"
        )
        table = component("table", value=None, elem_id="train-dataset-table")
        commands = gr.Textbox(
            visible=False,
            label="Train on it, from the folder that it lies in",
            interactive=False,
            buttons=["copy"],
            lines=3,
            elem_id="train-dataset-commands",
        )
    shown = [says, fit, pictures, table, commands]
    gr.on([file.upload, file.clear, checkpoint.change], on_dataset, [file, checkpoint], shown, **WRITING)


def on_dataset(path: Any, checkpoint: Any) -> tuple[Any, ...]:
    """What is said and shown of an upload for a checkpoint to start from; nothing where none is there."""
    nothing = [], gr.Gallery(visible=False), None, gr.Textbox(visible=False)
    if path is None:
        return "", *nothing
    try:
        if not isinstance(path, str) or not Path(path).is_file():
            raise ConfigError("the file is not here any more; hand it over again")
        found = preview(path, str(checkpoint))
    except MMReasonError as error:
        return f"✗ {error}", *nothing
    shown = gr.Gallery([(picture, words) for picture, words in found.pictures], visible=True)
    return found.sentence, [["plain", found.fits]], shown, found.table, gr.Textbox(found.commands, visible=True)
