"""``make rollouts``: a file of rollouts as a training script records them, to try Inspect on without a model.

A generator plays the policy: it says where the largest light of a picture is, rings one, and answers, sometimes wrong
in words, sometimes on the picture, at times in both.  ``--pause`` writes a rollout at a time, as a run does, so that
the page can follow the file.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.numbers import add_number
from mmreason.disk import write_whole
from mmreason.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from mmreason.traces.recorder import Recorder

HELP = "rollouts of a generator, recorded as a training script does"

PROMPTS = limits.Whole("prompts", 1, 1000, "of the file")
ROLLOUTS = limits.Whole("rollouts", 1, 1000, "of each prompt")
TURNS = limits.Whole("turns", 1, 100, "of each rollout: words and a picture each")
SIDE = limits.Whole("side", 32, 4096, "pixels of a picture's width")
PAUSE = limits.Number("pause", 0, 3600, "seconds before each rollout")
QUARTERS = ("upper left", "upper right", "lower left", "lower right")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make rollouts``."""
    parser.add_argument("--output", required=True, metavar="FILE", help="a new file of JSON lines")
    add_number(parser, PROMPTS, 2)
    add_number(parser, ROLLOUTS, 6)
    add_number(parser, TURNS, 1)
    add_number(parser, SIDE, 320)
    add_number(parser, PAUSE, 0.0, shown=0, metavar="SECONDS")
    add_number(parser, limits.SEED, 4)
    parser.add_argument("--overwrite", action="store_true", help="replace the file")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Record the file; returns ``written`` and the number of ``rollouts``.  Raises ConfigError."""
    if os.path.lexists(args.output) and not (args.overwrite and os.path.isfile(args.output)):
        raise ConfigError(f"--output {args.output!r} is there already: give --overwrite, or another name")
    import numpy as np

    from mmreason.traces.recorder import Recorder

    judges = {"text": ["answer", "format"], "image": ["drawing"]}
    with Recorder(args.output, judges) as record:
        for prompt in range(args.prompts):
            rng = np.random.default_rng((args.seed, prompt))
            picture, lights = lit(rng, args.side)
            for rollout in range(args.rollouts):
                time.sleep(args.pause)
                play(record, rng, picture, lights, args.turns)
                if args.overwrite and (prompt, rollout) == (0, 0):  # now that there is something new
                    write_whole(args.output, b"")
                record.flush()
    return {"written": [str(args.output)], "rollouts": args.prompts * args.rollouts}


def lit(rng: np.random.Generator, side: int) -> tuple[Image.Image, list[tuple[int, int, int]]]:
    """A dim picture with a light (x, y, radius) in each quarter, and the lights, the largest first."""
    import numpy as np
    from PIL import Image

    height = side * 3 // 4
    y, x = np.mgrid[:height, :side]
    hue = rng.uniform(0.2, 0.6, 3)
    pixels = 60 + 50 * np.sin(x[..., None] * hue * 9 / side) + 40 * np.cos(y[..., None] * hue[::-1] * 7 / side)
    radii = rng.permutation([side // 14, side // 20, side // 24, side // 30])
    lights = []
    for quarter, radius in enumerate(radii.tolist()):
        middle_x = int(side * (0.25 + 0.5 * (quarter % 2) + rng.uniform(-0.1, 0.1)))
        middle_y = int(height * (0.25 + 0.5 * (quarter // 2) + rng.uniform(-0.1, 0.1)))
        pixels[(x - middle_x) ** 2 + (y - middle_y) ** 2 < radius**2] = 250
        lights.append((middle_x, middle_y, radius))
    lights.sort(key=lambda light: -light[2])
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), lights


def play(
    record: Recorder, rng: np.random.Generator, picture: Image.Image, lights: list[tuple[int, int, int]], turns: int
) -> None:
    """One rollout: each turn names a light and rings it, words and ring right apart from each other."""
    from PIL import ImageDraw

    width, height = picture.size
    said = drawn = 0
    names: list[str] = []
    prompt = ["Ring the largest light, then say in which quarter it is.", picture]
    rollout = record.rollout(prompt, settings={"temperature": 1.0})
    for _ in range(turns):
        said, drawn = (int(rng.integers(1, 4)) if rng.random() < 0.5 else 0 for _ in range(2))
        (x, y, _), (ring_x, ring_y, radius) = lights[said], lights[drawn]
        names.append(QUARTERS[2 * (y > height / 2) + (x > width / 2)])
        words = ["The", "light", "in", "the", *names[-1].split(), "is", "the", "largest."]
        logprobs = [-0.02 if said == 0 else -0.9] * len(words)
        rollout.text(" ".join(words), reward={"true": float(said == 0), "form": 1.0}, tokens=words, logprobs=logprobs)
        reach = 2 * radius
        box = (max(0, ring_x - reach), max(0, ring_y - reach), min(width, ring_x + reach), min(height, ring_y + reach))
        after = picture.copy()
        ImageDraw.Draw(after).ellipse(box, outline=(255, 210, 60), width=max(2, width // 160))
        region = (box[1] + 1, box[0] + 1, box[3], box[2])
        rollout.image(after, region=region, reward={"ring": float(drawn == 0), "clean": 1.0})
    right = float(said == 0)
    rollout.answer(f"It is in the {names[-1]}.", reward=right)
    rewards = {"answer": right, "format": 1.0, "drawing": float(drawn == 0)}
    rollout.whole(rewards=rewards, success=bool(right and drawn == 0))
