"""The form as its visitor left it: the browser keeps it, so that a reload finds it again."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmreason.errors import MMReasonError
from mmreason.training.rl.presets import TrainSettings
from mmreason.ui.host.visitor import storage_key
from mmreason.ui.runs.state import status_of
from mmreason.ui.runs.store import Run
from mmreason.ui.train.form import PUBLIC, filled, known_of, public_fields, read_form

PLACE = "mmreason-train-form"  # where the browser keeps it


def kept_state() -> gr.BrowserState:
    """The settings that the form made last, as ``TrainSettings.stored`` has them; None until it has made any."""
    return gr.BrowserState(None, storage_key=PLACE, secret=storage_key())


def values_at_arrival(kept: Any, run: Run | None, token: Any) -> dict[str, Any]:
    """The controls' values of the visitor's run that goes on, else of what was ``kept``; none where there is neither.

    What is of no use here, whoever wrote it and whatever has changed since, counts as not kept.
    """
    if run is not None and run.is_of(token) and status_of(run).is_active:
        return _values(run.settings, token)
    try:
        return _values(TrainSettings.of(kept), token) if isinstance(kept, dict) and kept else {}
    except MMReasonError:
        return {}


def _values(settings: TrainSettings, token: Any) -> dict[str, Any]:
    """What the controls have to be to make ``settings``; nothing where they cannot."""
    checkpoint = settings.checkpoint
    own = [task for task in settings.tasks if task not in settings.datasets]  # a dataset is gone with its session
    values = filled(settings) | {"checkpoint": checkpoint, "assignment": settings.assignment}
    values["tasks"] = own or known_of(None, checkpoint)
    if read_form(values, token)[0] is None:
        return {}
    left = () if public_fields(checkpoint) is not None else [setting.name for setting in PUBLIC]
    return {name: value for name, value in values.items() if name not in left}
