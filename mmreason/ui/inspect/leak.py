"""The heat map of leak against signal: the bundled figures, and a measurement on the page."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreason.analysis.interference import MeasureConfig, measure, roll_out
from mmreason.analysis.results_file import stored_or_none
from mmreason.errors import ConfigError
from mmreason.tasks.task import label_of
from mmreason.ui.host import checkpoints as host_checkpoints
from mmreason.ui.host import gpu
from mmreason.wording import percent

NAMES = {"all": "all tokens", "text": "on words", "image": "on pictures"}
SHIPPED = "Of the shipped checkpoints that are named below, whatever rollouts are open above."
NUM_PROBLEMS, NUM_GENERATIONS = 4, 6  # what the page measures: about half a minute
SECONDS_PER_ROLLOUT = 0.5  # on a lent GPU, the gradients included


def bundled_leak() -> dict[str, Any] | None:
    """The value for the figures that the command has written, or None."""
    try:
        found = stored_or_none("interference") or {}
        return leak_value(found["checkpoints"], found["settings"], found["training"], SHIPPED)
    except (ValueError, KeyError, TypeError):
        logging.getLogger(__name__).warning("there are no interference figures to show")
        return None


@gpu.on_gpu(lambda *_: NUM_PROBLEMS * NUM_GENERATIONS * SECONDS_PER_ROLLOUT)
def measure_here(checkpoint: Any, task: Any, difficulty: Any) -> dict[str, Any]:
    """The value for a small measurement of one checkpoint now; raises ConfigError and CheckpointError."""
    if difficulty is None or task is None:
        raise ConfigError("choose a task and a difficulty first")
    config = MeasureConfig(
        (str(task),), (str(difficulty),), num_problems=NUM_PROBLEMS, num_generations=NUM_GENERATIONS
    )
    pipe = gpu.lent(host_checkpoints.load_pipeline(str(checkpoint)))
    groups = roll_out(pipe, config, pipe.scheduler.sampling_config(temperature=1.0))
    try:
        result = {"checkpoint": str(checkpoint), **measure(pipe, groups, config, 1.0)}
    finally:
        pipe.transformer.requires_grad_(False)
    counts = {"num_problems": NUM_PROBLEMS, "num_generations": NUM_GENERATIONS}
    settings = {"tasks": [task], "difficulty": [difficulty], "granularity": "trace", "temperature": 1.0}
    whose = f"Of the checkpoint {checkpoint}, measured just now on fresh rollouts, not on those that are open above."
    return leak_value([result], settings | counts, [], whose)


def leak_value(
    checkpoints: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    training: Sequence[Mapping[str, Any]],
    whose: str,
) -> dict[str, Any]:
    """The component's value: rows of (leak over signal, cosine), the whole first and then layer by layer."""
    shown = [
        {
            "name": Path(found["checkpoint"]).name,
            "told": _told(found),
            "title": title(found),
            "layers": [layer["name"] for layer in found["layers"]],
            "rows": [_row(found, kind) for kind in NAMES],
        }
        for found in checkpoints
    ]
    tasks, levels = ", ".join(map(label_of, settings["tasks"])), ", ".join(settings["difficulty"])
    return {
        "checkpoints": shown,
        "whose": whose,
        "lead": lead(checkpoints[-1]),
        "training": [dict(row) for row in training],
        "settings": (
            f"Measured on {settings['num_problems']} groups of {settings['num_generations']} rollouts: {tasks}; "
            f"{levels}; temperature {settings['temperature']:g}; by {settings['granularity']}. Gradients of one "
            "update at ratio 1, no KL: joint's gradient is signal + leak exactly."
        ),
    }


def title(found: Mapping[str, Any]) -> str:
    """What the bars show: in how many layers the leak is longer than the signal."""
    said = []
    for modality, name in (("text", "words"), ("image", "pictures")):
        ratios = [layer[modality]["leak_to_signal"] for layer in found["layers"]]
        known = [ratio for ratio in ratios if ratio is not None]
        if not known:
            said.append(f"none has a signal on {name}")
            continue
        above = sum(ratio > 1 for ratio in known)
        count = "all" if above == len(known) else "none" if not above else str(above)
        said.append(f"{count} of {len(known)} layers on {name}")
    return f"The other modality's push is the stronger one in {said[0]} and in {said[1]}"


def _row(found: Mapping[str, Any], kind: str) -> dict[str, Any]:
    whole = found if kind == "all" else found["by_modality"][kind]
    layers = [layer if kind == "all" else layer[kind] for layer in found["layers"]]
    cells = [[part["leak_to_signal"], part["cosine"]] for part in (whole, *layers)]
    return {"kind": kind, "name": NAMES[kind], "cells": cells}


def _told(found: Mapping[str, Any]) -> str:
    joint, signal, factorized = (found[f"snr_{name}"] for name in ("joint", "signal", "factorized"))
    ratio = ""
    if None not in (joint, signal, factorized):
        ratio = (
            f"; signal-to-noise {joint:.2f} joint, {signal:.2f} without the leak, {factorized:.2f} factorized "
            "(1 is noise alone)"
        )
    steps = [found.get(f"progress_{name}") for name in ("joint", "factorized")]  # not of files of older versions
    if None not in steps:
        ratio += "; progress of a step {:.2f} joint, {:.2f} factorized (1 is joint's without noise)".format(*steps)
    return (
        f"{percent(found['sign_conflict'])} of segments pushed the wrong way, {percent(found['idle_push'])} although "
        f"their own reward says nothing{ratio}"
    )


def lead(found: Mapping[str, Any]) -> str:
    """The finding in a sentence or two."""
    ratio, cosine = found["leak_to_signal"], found["cosine"]
    if ratio is None:
        return "These groups have no spread of rewards, so there is nothing to push and nothing to leak."
    words, pictures = (found["by_modality"][m]["leak_to_signal"] for m in ("text", "image"))
    parts = f"{_times(words)} on words, {_times(pictures)} on pictures"
    towards = (
        "nearly at right angles to it" if abs(cosine or 0) < 0.3 else "partly along it" if cosine > 0 else "against it"
    )
    return (
        f"Under joint, the push that comes from the other modality's reward is {ratio:.2f} times as long as the "
        f"push from a segment's own reward ({parts}), and points {towards} (cosine {cosine or 0:.2f})."
    )


def _times(ratio: float | None) -> str:
    return "none" if ratio is None else f"{ratio:.2f}"
