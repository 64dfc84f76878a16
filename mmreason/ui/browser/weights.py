"""A checkpoint as the browser's network reads it: weights of 16 bits, and what else its sampler needs, as data."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from mmreason.errors import ConfigError
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.ui.solve.request import SolveRequest

SUPERVISED = ("hint_norm.", "hints.")  # weights that sampling never reads
SAMPLED = ("num_steps", "threshold", "order", "schedule", "max_turns")


def stored_model(pipe: InterleavedReasoningPipeline) -> dict[str, Any]:
    """``arrays`` (name and size, in order), their ``numbers`` as base64 of little-endian float16, ``sizes`` and
    ``layout``; raises ConfigError for a checkpoint that the browser's network is not made for.
    """
    _check(pipe)
    kept = {
        name: value.detach().float().cpu().numpy()
        for name, value in pipe.transformer.state_dict().items()
        if not name.startswith(SUPERVISED)
    }
    halves = {name: value.astype("<f2") for name, value in kept.items()}
    for name, value in halves.items():
        if not np.isfinite(value).all():
            raise ConfigError(f"weights must lie within ±65,504 to be solved with in a browser; {name} holds others")
    return {
        "arrays": [[name, value.size] for name, value in halves.items()],
        "numbers": base64.b64encode(b"".join(value.tobytes() for value in halves.values())).decode(),
        "sizes": _sizes(pipe),
        "layout": _layout(pipe),
    }


def sampling_settings() -> dict[str, Any]:
    """The page's own settings, at temperature 0: the same puzzle is solved in the same way in every browser."""
    config = SolveRequest(temperature=0).sampling()
    return {name: getattr(config, name) for name in (*SAMPLED, "temperature")}


def _check(pipe: InterleavedReasoningPipeline) -> None:
    config = pipe.transformer.config
    for name, is_so in (
        ("attention blocks", config.attention == "blocks"),
        ("interleaved turns", config.turn == "interleaved"),
        ("no causal mask", not config.causal),
        ("one code a cell", pipe.one_code_a_cell),
        ("at most 256 codes", pipe.vocabulary.num_codes <= 256),
    ):
        if not is_so:
            raise ConfigError(f"a checkpoint that browsers solve with must have {name}; this one has not")


def _sizes(pipe: InterleavedReasoningPipeline) -> dict[str, Any]:
    config = pipe.transformer.config
    return {
        "width": config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "inner": config.intermediate_size,
        "grid": config.grid_size,
        "first_cell": config.first_cell,
        "rope_theta": config.rope_theta,
        "axis_rope_theta": config.axis_rope_theta,
    }


def _layout(pipe: InterleavedReasoningPipeline) -> dict[str, Any]:
    vocabulary = pipe.vocabulary
    return {
        "words": pipe.words,
        "says": list(vocabulary.generable_text),
        "codes": vocabulary.num_codes,
        "grid": pipe.layout.grid[0],
        "text_length": pipe.layout.text_length,
        "text_slots": {vocabulary.task_token(task): pipe.layout.slots(task) for task in vocabulary.tasks},
        "mask": vocabulary.mask,
        "end": vocabulary.end,
    }
