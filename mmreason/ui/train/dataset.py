"""A dataset that a visitor hands over as a zip: checked, and shown with what its rewards would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import numpy as np

from mmreason.disk import one_line, quoted
from mmreason.errors import CheckpointError, ConfigError, MMReasonError
from mmreason.layouts.vocabulary import task_token
from mmreason.limits import exactly
from mmreason.tasks import TASKS
from mmreason.tasks.dataset.rows import Row
from mmreason.tasks.dataset.task import DataTask, judge_answer
from mmreason.ui.host import checkpoints
from mmreason.ui.host.settings import name_of
from mmreason.ui.shell.component import component
from mmreason.ui.shell.events import CHECKING, PRIVATE
from mmreason.ui.solve.line import HANDED_IN, in_turn
from mmreason.ui.train.upload import MAX_IN_ROWS, MAX_PIXELS, MAX_TEXT, Upload, folder_name, takes, unpack, upload_of

SHOWN = 12
PUBLIC_CHECKPOINT = "Alpha-VLLM/Lumina-DiMOO"  # for example
COLUMNS = ["Asked", "Split", "Right answer", "earns", "A wrong one", "earns", "Target drawn", "Nothing drawn"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a dataset: a sentence, pictures with words, and the rewards as rows of a table."""

    sentence: str
    fits: str  # whether the chosen checkpoint can be trained on it, and what would do
    pictures: list[tuple[np.ndarray, str]]
    table: dict[str, Any]
    commands: str
    upload: Upload


def preview(path: str | Path, checkpoint: str, token: Any) -> Preview:
    """Check the zip at ``path`` and look at twelve of its problems; raises MMReasonError, one sentence.

    ``token`` is of the visitor who handed it over.
    """
    with TemporaryDirectory(prefix="mmreason-dataset-") as place:
        folder = unpack(path, Path(place) / folder_name(path))
        try:
            task = DataTask(folder, max_pixels=MAX_PIXELS, max_bytes=MAX_IN_ROWS, max_letters=MAX_TEXT)
        except MMReasonError as error:  # where it was unpacked says nothing to who handed it over
            raise ConfigError(str(error).replace(f"{place}/", "")) from None
        keys = list(task.rows.rows)
        chosen = keys[:: max(1, len(keys) // SHOWN)][:SHOWN]
        pictures, rows = [], []
        for key in chosen:
            spec, row = {"task": task.name, "row": key}, task.rows.rows[key]
            asked, right = one_line(row.question, 120), one_line(" ".join(row.answer), 120)
            pictures.append((task.goal(spec), f"{asked} → {right}"))
            rows.append(_rewards(task, spec, row, list(task.rows.rows.values())))
        counts = {split: 0 for split in ("train", "validation", "test")}
        for key in keys:
            counts[task.own_split({"row": key})] += 1
        of = ", ".join(f"{count} {split}" for split, count in counts.items())
        few = [split for split, count in counts.items() if not count]
        short = f" It needs more rows: none is in {' or '.join(few)}." if few else ""
        sentence = f"✓ {len(keys)} rows ({of}) and {len(task.words)} different words.{short}"
        sentence += "".join(f" {note[0].upper()}{note[1:]}." for note in task.notes)
        table = {"summary": f"What rewards give, {len(rows)} of {len(keys)} rows", "columns": COLUMNS, "rows": rows}
        upload = upload_of(path, task, few, token)
        return Preview(sentence, fits(upload, checkpoint), pictures, table, _commands(task), upload)


def fits(upload: Upload, checkpoint: str) -> str:
    """Can ``checkpoint`` be trained on a dataset of that name and those words?  A sentence that says what would do."""
    listed, name = f"{name_of('tasks')}=data:{upload.called}", quoted(checkpoint)
    if takes(checkpoint):
        if upload.fault:
            return f"✗ {name} cannot be trained on it: {upload.fault}."
        return f"✓ {name} can be trained on it: “{upload.label}” is checked under Tasks."
    if upload.too_long:
        return f"✗ {name} cannot be trained on it, only a public checkpoint: {upload.too_long}."
    try:
        folder = checkpoints.checkpoint_folder(checkpoint)
    except CheckpointError:
        folder = None
    words = (folder and checkpoints.words_of(folder)) or frozenset()
    lacks = [word for word in (task_token(upload.called), *upload.words) if word not in words]
    if not lacks:
        if upload.called in TASKS:
            return f"✓ {name} knows it: choose {TASKS[upload.called].label} under Tasks to train on it."
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
    return (exactly(row.tolerance + 1 + float(row.answer[0])),) if row.reward == "number" else ("no", *row.answer[1:])


def _commands(task: DataTask) -> str:
    """How to train on it, where it lies: a small policy, or a public one where the texts are too long for that."""
    name = task.name
    if task.too_long:
        return (
            f"python -m mmreason train --tasks data:{name} --difficulty easy "
            f"--checkpoint {PUBLIC_CHECKPOINT} --lora_rank 4 --output {name}_run"
        )
    return (
        f"python -m mmreason pretrain --tasks data:{name} --difficulty easy --output {name}_run/start\n"
        f"python -m mmreason train --tasks data:{name} --difficulty easy "
        f"--checkpoint {name}_run/start/checkpoint --output {name}_run/run"
    )


def build_dataset(checkpoint: gr.Dropdown, visitor: gr.BrowserState) -> gr.State:
    """A folded part of the form: hand a dataset over, and see what it would be for ``checkpoint``.

    The state is the ``Upload``, None while there is none.
    """
    upload = gr.State(None)
    with gr.Accordion("A dataset of your own", open=False, elem_id="train-dataset", elem_classes="folded"):
        intro = (
            "A zip of a folder with pictures and data.jsonl, or parquet. A run that you start on it keeps its rows "
            "until the run is deleted; otherwise nothing is kept."
        )
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
    shown = [says, fit, pictures, table, commands, upload]
    gr.on([file.upload, file.clear], on_handed_in, [file, checkpoint, visitor], shown, **CHECKING)
    checkpoint.change(on_fit, [upload, checkpoint], fit, **PRIVATE)
    return upload


async def on_handed_in(path: Any, checkpoint: Any, visitor: Any, request: gr.Request) -> tuple[Any, ...]:
    """``on_dataset`` when its turn has come; nothing where there is none any more."""

    def looked_at() -> tuple[Any, ...]:
        return on_dataset(path, checkpoint, visitor)

    if path is None:
        return _says("")
    return await in_turn("dataset", request, looked_at, _says, HANDED_IN)


def on_dataset(path: Any, checkpoint: Any, visitor: Any) -> tuple[Any, ...]:
    """What is said and shown of an upload for a checkpoint to start from, and the ``Upload``; else nothing."""
    try:
        if not isinstance(path, str) or not Path(path).is_file():
            raise ConfigError("the file is not here any more; hand it over again")
        found = preview(path, str(checkpoint), visitor)
    except MMReasonError as error:
        return _says(f"✗ {error}")
    shown = gr.Gallery([(picture, words) for picture, words in found.pictures], visible=True)
    commands = gr.Textbox(found.commands, visible=True)
    return found.sentence, [["plain", found.fits]], shown, found.table, commands, found.upload


def _says(words: str) -> tuple[Any, ...]:
    """Words, and nothing of a dataset."""
    return words, [], gr.Gallery(visible=False), None, gr.Textbox(visible=False), None


def on_fit(upload: Any, checkpoint: Any) -> list[list[str]]:
    """Whether another checkpoint can be trained on what was handed over."""
    return [["plain", fits(upload, str(checkpoint))]] if isinstance(upload, Upload) else []
