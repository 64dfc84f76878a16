"""A race: two arms on one puzzle, every step of each with what it had cost by then.

A lane is plain JSON: its segments, and ``steps`` in order, each
``[forward passes so far, tokens forwarded so far, segment, positions committed, their tokens]``; words are
strings and image codes numbers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, cast

import numpy as np

from mmreason.analysis.cost.compute import Arm
from mmreason.errors import ConfigError
from mmreason.records import Problem, Trace
from mmreason.rewards.verify import Verifier
from mmreason.sampling.config import SamplingConfig

VERSION = 1
LOCAL = "diffusion_local"
RIVALS = ("ar_full", "diffusion_full")


def run_lane(arm: Arm, problem: Problem, config: SamplingConfig, seed: int) -> Generator[int, None, dict[str, Any]]:
    """Solve ``problem``; yields the forward passes after every step, and returns the lane."""
    spent: list[tuple[int, int]] = []
    trace: Trace | None = None
    stream = cast("Generator[list[Trace]]", arm.pipe.stream([problem], arm.settings(config), [seed]))
    with closing(stream):
        for (trace,) in stream:
            if sum(len(segment.frames) for segment in trace.segments) > len(spent):
                spent.append((trace.cost.forward_passes, trace.cost.tokens_forwarded))
                yield trace.cost.forward_passes
    assert trace is not None, "a stream yields at least once"
    return lane_of(arm, Verifier(arm.pipe.words, arm.pipe.sheet).score(trace), spent)


def lane_of(arm: Arm, trace: Trace, spent: list[tuple[int, int]]) -> dict[str, Any]:
    """The lane of a finished ``trace`` whose steps had cost ``spent`` (passes, tokens) by their ends."""
    words = arm.pipe.words
    frames = [(s, segment, frame) for s, segment in enumerate(trace.segments) for frame in segment.frames]
    steps = []
    for (passes, tokens), (s, segment, frame) in zip(spent, frames, strict=True):
        new = [frame.tokens[i] for i in frame.committed]
        shown = [i - len(words) for i in new] if segment.kind == "edit" else [words[i] for i in new]
        steps.append([passes, tokens, s, list(frame.committed), shown])
    return {
        "arm": arm.name,
        "canvas_codes": [token - len(words) for token in trace.canvas_tokens],
        "segments": [
            {
                "kind": segment.kind,
                "turn": segment.turn,
                "length": len(segment.tokens),
                "region": [box.words for box in segment.boxes] if segment.kind == "edit" else None,
                "cells": list(segment.cells) if segment.kind == "edit" else None,
            }
            for segment in trace.segments
        ],
        "steps": steps,
        "passes": trace.cost.forward_passes,
        "tokens": trace.cost.tokens_forwarded,
        "flops": trace.cost.flops,
        "success": trace.success,
        "end_reason": trace.end_reason,
    }


def run_race(
    arms: tuple[Arm, Arm], problem: Problem, config: SamplingConfig, seed: int
) -> Iterator[tuple[str, int, dict[str, Any] | None]]:
    """Both arms, one after the other; yields the arm, its passes so far, and at the very end the race."""
    lanes = []
    for arm in arms:
        lane = run_lane(arm, problem, config, seed)
        with closing(lane):
            while True:
                try:
                    yield arm.name, next(lane), None
                except StopIteration as end:
                    lanes.append(end.value)
                    break
    yield arms[-1].name, lanes[-1]["passes"], race_of(problem, lanes, arms)


def race_of(problem: Problem, lanes: list[dict[str, Any]], arms: tuple[Arm, Arm]) -> dict[str, Any]:
    """The race without its sheet; codes of the second arm follow those of the first in ``joint_sheet``."""
    shift = 0 if same_sheet(arms) else len(arms[0].pipe.sheet)
    second = lanes[1] | {"canvas_codes": [code + shift for code in lanes[1]["canvas_codes"]]}
    second["steps"] = [
        [*step[:4], [token + shift if isinstance(token, int) else token for token in step[4]]]
        for step in second["steps"]
    ]
    return {
        "version": VERSION,
        "problem": problem.summary,
        "lanes": [lanes[0], second],
    }


def same_sheet(arms: tuple[Arm, Arm]) -> bool:
    """Do both arms draw with the same codebook?"""
    return np.array_equal(arms[0].pipe.sheet, arms[1].pipe.sheet)


def joint_sheet(arms: tuple[Arm, Arm]) -> np.ndarray:
    """The codebooks of both arms as one, (C, 16, 16, 3)."""
    sheets = [arms[0].pipe.sheet] if same_sheet(arms) else [arm.pipe.sheet for arm in arms]
    return np.concatenate(sheets)


def check_rival(rival: str) -> None:
    """Raise ConfigError unless local edits can race against ``rival``."""
    if rival not in RIVALS:
        raise ConfigError(f"against must be one of {', '.join(RIVALS)}, got {rival[:40]!r}")
