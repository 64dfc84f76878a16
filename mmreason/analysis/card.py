"""The model card of a checkpoint: what it is, how it was trained, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmreason.analysis.tables import success_table
from mmreason.models.configuration import InterleavedDiffusionConfig

FRONT_MATTER = """---
license: apache-2.0
library_name: diffusers
tags: [masked-diffusion, discrete-diffusion, visual-reasoning, multimodal]
---
"""


def kind(config: InterleavedDiffusionConfig) -> str:
    """What a policy of ``config`` is."""
    if config.causal:
        return "An autoregressive policy"
    return f"A {'bidirectional ' if config.attention == 'full' else ''}masked discrete diffusion policy"


def model_card(
    name: str, results: Mapping[str, Any], parameters: int, history: str, config: InterleavedDiffusionConfig
) -> str:
    """The card's Markdown; ``history`` says what was trained how long on what, ``config`` is the policy's."""
    any_result = next(iter(results["by_difficulty"].values()))
    denoising = ""
    if not config.causal:
        denoising = f", at most {results['num_steps']} denoising steps a segment"
        if results.get("threshold"):
            denoising += f", whatever is surer than {results['threshold']:g} at once"
    return f"""{FRONT_MATTER}
# mmreason {name}

{kind(config)} of {parameters:,} parameters that solves visual puzzles
({", ".join(any_result["by_task"])}) in turns of a thought in words and a localized edit of image
tokens. Load it with `InterleavedReasoningPipeline.from_pretrained(<this folder>)` of the mmreason package.

## Training

{history.strip()}

## Measured

Success on held-out test problems of seed {results["seed"]}, {any_result["problems"]} problems a difficulty,
sampled at temperature {results["temperature"]:g}{denoising} (a puzzle counts as solved when every thought is
true, every edit right and the answer right):

{success_table(results["by_difficulty"])}

Command: `{results["command"]}`

## Limits

It knows these puzzles and nothing else. Image tokens are decoded cell by cell, so an edit changes no pixel outside
its region.
"""
