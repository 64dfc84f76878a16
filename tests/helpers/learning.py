"""What the tests of reinforcement learning share: a policy that draws, its traces, and rewards with spread."""

from __future__ import annotations

import copy
import json
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from mmreason.records import DIFFICULTIES, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import FIRST_TASKS, make_problem
from mmreason.training.rl.config import GRPOConfig
from tests.helpers.policies import pipeline_of, talking_policy

WITHOUT_TIME = ("seconds", "rollout_seconds", "eval_seconds", "measure_seconds")
SAMPLING = SamplingConfig(num_steps=3, temperature=0.7, threshold=0.3, max_turns=2)


@cache
def shared_pipe() -> InterleavedReasoningPipeline:
    """A pipeline with a random policy whose thoughts mostly name a region; not to be trained."""
    return pipeline_of(talking_policy())


def fresh_pipe() -> InterleavedReasoningPipeline:
    """The same with weights of its own."""
    return pipeline_of(copy.deepcopy(shared_pipe().transformer))


@cache
def mixed_traces(sampling: SamplingConfig = SAMPLING, generations: int = 2) -> list[Trace]:
    """Rollouts of every task and difficulty, not scored."""
    problems = [make_problem(task, level, 3, "train", 0) for task in FIRST_TASKS for level in DIFFICULTIES]
    return shared_pipe()(problems, sampling, range(60, 60 + len(problems)), generations).traces


def even_tokens(trace: Trace) -> list[float]:
    """A reward with spread: the share of a segment's tokens that are even; ``SLOW`` seconds a trace."""
    time.sleep(float(os.environ.get("SLOW", 0)))
    return [sum(token % 2 == 0 for token in segment.tokens) / len(segment.tokens) for segment in trace.segments]


def fails_in_the_second(trace: Trace) -> list[None]:
    """No reward, and at the ninth trace an error in the second of two processes."""
    _JUDGED.append(1)
    if os.environ.get("RANK") == "1" and len(_JUDGED) > 8:
        raise ConnectionError("HTTP 503")
    return [None for _ in trace.segments]


_JUDGED: list[int] = []  # a mark for each trace that this process has judged


def in_shares(trace: Trace) -> list[None]:
    """No reward, but an error in a process that does not share its base with others."""
    from torch.distributed.fsdp import FSDPModule

    assert FSDPModule.__subclasses__(), "no layer was cut"
    return [None for _ in trace.segments]


def config(**changes: Any) -> GRPOConfig:
    """A run of three small steps on easy problems of all tasks."""
    small: dict[str, Any] = {
        "max_steps": 3,
        "num_problems": 2,
        "num_generations": 4,
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "save_steps": 2,
        "eval_problems": 4,
        "difficulties": {"easy": 1.0},
        "sampling": SAMPLING,
    }
    return GRPOConfig(**small | changes)


def weights_in(folder: Path) -> dict[str, torch.Tensor]:
    """The policy in checkpoint ``folder``."""
    found: dict[str, torch.Tensor] = {}
    for file in sorted((folder / "transformer").glob("*.safetensors")):
        found |= load_file(file)
    return found


def rows_in(folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in WITHOUT_TIME} for row in rows]


def assert_same_run(one: Path, other: Path) -> None:
    """Bit for bit: weights and metrics, the clock's apart."""
    a, b = weights_in(one / "checkpoint"), weights_in(other / "checkpoint")
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert rows_in(one) == rows_in(other)
