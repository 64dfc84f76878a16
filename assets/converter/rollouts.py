"""Rollouts of another system → a version 2 file: ``python assets/converter/rollouts.py rollouts.json group.json``.

``rollouts.json`` holds a list of rollouts of one problem, each with ``problem`` (a problem file), ``turns`` of
``words``, ``box``, ``picture`` (a PNG of 128 × 128 pixels in base64) and two rewards, an ``answer`` and ``solved``.
"""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mmreason.tasks import problem_from_json
from mmreason.traces.convert import ForeignTurn, foreign_trace
from mmreason.traces.versions.ours import two_of


def picture(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


def convert(rollout: dict) -> dict:
    turns = [
        ForeignTurn(t["words"], [t["box"]], picture(t["picture"]), t["words_reward"], t["picture_reward"])
        for t in rollout["turns"]
    ]
    answer, reward = rollout["answer"], rollout["answer_reward"]
    return foreign_trace(problem_from_json(rollout["problem"]), turns, answer, reward, rollout["solved"])


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    traces = [convert(rollout) for rollout in json.loads(source.read_text())]
    target.write_text(json.dumps(two_of(traces)))
