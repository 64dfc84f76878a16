"""The model card of a checkpoint: what it is, how it was trained, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmreason.tasks import TASKS

FRONT_MATTER = """---
license: apache-2.0
library_name: diffusers
tags: [masked-diffusion, discrete-diffusion, visual-reasoning, multimodal]
---
"""


def success_table(by_difficulty: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table of success by difficulty and task, with the interval of the mean."""
    lines = [
        "| | " + " | ".join(TASKS) + " | mean (95 % interval) | text reward | image reward |",
        "|---|" + "---|" * (len(TASKS) + 3),
    ]
    for difficulty, result in by_difficulty.items():
        rates = " | ".join(f"{result['success'].get(task, float('nan')):.3f}" for task in TASKS)
        low, high = result["ci95"]
        image = "–" if result["image_reward"] is None else f"{result['image_reward']:.3f}"
        lines.append(
            f"| {difficulty} | {rates} | {result['success']['mean']:.3f} ({low:.3f} to {high:.3f}) "
            f"| {result['text_reward']:.3f} | {image} |"
        )
    return "\n".join(lines)


KINDS = {False: "A masked discrete diffusion policy", True: "An autoregressive policy"}


def model_card(name: str, results: Mapping[str, Any], parameters: int, history: str, causal: bool = False) -> str:
    """The card's Markdown; ``history`` says what was trained how long on what."""
    any_result = next(iter(results["by_difficulty"].values()))
    denoising = ""
    if not causal:
        denoising = f", at most {results['num_steps']} denoising steps a segment"
        if results.get("threshold"):
            denoising += f", whatever is surer than {results['threshold']:g} at once"
    return f"""{FRONT_MATTER}
# mmreason {name}

{KINDS[causal]} of {parameters:,} parameters that solves four kinds of visual puzzles
(maze, jigsaw, 4×4 sudoku, pattern transforms) in turns of a thought in words and a localized edit of image
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

It knows these puzzles and nothing else. Demonstrations covered easy and medium; hard is what it makes of
them. Image tokens are decoded cell by cell, so an edit changes no pixel outside its region.
"""


def replace_block(text: str, name: str, content: str) -> str:
    """``text`` with what stands between ``<!-- name -->`` and ``<!-- /name -->`` replaced, if they are there."""
    before, start, rest = text.partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    return f"{before}{start}\n{content}\n{end}{after}" if end else text
