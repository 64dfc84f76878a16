"""What a rollout and its update cost here, for estimates before a start; ``make train-rate`` measures it.

On a CPU it counts the processor's seconds of one thread, so that neighbours on the machine do not matter.  On a GPU
a batch costs something whatever its size, so batches of two sizes are timed there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from mmreason.analysis.results_file import object_or_none
from mmreason.records import DIFFICULTIES
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import TASKS
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.grpo import GRPO
from mmreason.training.rl.loss import POOLED

DIGITS = 5
FILES = {False: "train_rate.json", True: "train_rate_gpu.json"}  # in the folder of results; True: of a GPU
SIZES = {False: (8,), True: (2, 32)}  # problems in the batches that are timed


def measure_rate(
    pipe: InterleavedReasoningPipeline,
    tasks: Sequence[str] = (),
    difficulties: Sequence[str] = DIFFICULTIES,
    sizes: Sequence[int] = SIZES[False],
    num_generations: int = 8,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, dict[str, dict[str, float]]]:
    """By task and difficulty: seconds to roll out and to learn from one rollout, and its tokens.

    Of all tasks that the policy knows, unless some are named.  With two ``sizes`` (problems in a batch, the smaller
    first) also the seconds that a batch takes besides.
    """
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    pipe.to(accelerator.device)
    pipe.transformer.requires_grad_(True)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for task in tasks or pipe.vocabulary.known(TASKS):
        for difficulty in difficulties:
            timed: dict[str, list[float]] = {"rollout": [], "update": []}
            tokens = 0.0
            for num_problems in sizes:
                config = GRPOConfig(
                    tasks={task: 1.0},
                    difficulties={difficulty: 1.0},
                    num_problems=num_problems,
                    num_generations=num_generations,
                    learning_rate=1e-8,  # the least there is: what is measured stays as it was loaded
                    sampling=pipe.scheduler.sampling_config(temperature=1.0),
                )
                grpo = GRPO(pipe, config, accelerator, None, ())
                began = clock()
                rollouts = grpo.rollouts(0)
                rolled = clock()
                grpo.update(rollouts, 0)
                timed["rollout"].append(rolled - began)
                timed["update"].append(clock() - rolled)
                tokens = rollouts.counts[POOLED].tokens / (num_problems * num_generations)
            rates = {"tokens": round(tokens, 1)}
            for name, seconds in timed.items():
                rates |= _line([size * num_generations for size in sizes], seconds, name)
            found.setdefault(task, {})[difficulty] = rates
    return found


def _line(rollouts: Sequence[int], seconds: Sequence[float], name: str) -> dict[str, float]:
    """Seconds a rollout, and of a batch besides where two were timed."""
    if len(rollouts) == 1:
        return {f"{name}_seconds": round(seconds[0] / rollouts[0], DIGITS)}
    slope = (seconds[1] - seconds[0]) / (rollouts[1] - rollouts[0])
    slope = min(max(slope, 10.0**-DIGITS), seconds[1] / rollouts[1])  # timing is noisy; neither part is negative
    rest = seconds[1] - slope * rollouts[1]
    return {f"{name}_seconds": round(slope, DIGITS), f"{name}_batch_seconds": round(rest, DIGITS)}


def read_rates(path: Path) -> dict[str, Any] | None:
    """The file that ``make train-rate`` wrote, or None if it is missing or cannot be used."""
    try:
        content = object_or_none(path) or {}
        for by_difficulty in content["rates"].values():
            for rate in by_difficulty.values():
                if not all(rate[name] > 0 for name in ("rollout_seconds", "update_seconds", "tokens")):
                    return None
        return content if content["rates"] and content["start_seconds"] > 0 else None
    except (KeyError, TypeError, AttributeError):
        return None
