"""A pipeline that plays back demonstrations, step by step as it is let: a slowed model whose every step is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mmreason.records import MASK, NUM_CELLS, Cost, Problem, Segment, Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.running import StreamBatch
from mmreason.tasks import atlas
from tests.helpers.standin import SHEET, WORDS, stand_in_trace

FAILS = 5000  # sampling seeds from here on lead to a failure; those that Try again draws lie below
PACE = 0.08  # seconds that a step takes after it was let, so that each is worth sending
PATIENCE = 30.0  # seconds that a step waits to be let


class ScriptedPipe:
    """Solves by the demonstration; with ``hold`` each step waits for ``let``."""

    words, sheet, fingerprint = WORDS, SHEET, "0123456789ab"

    def __init__(self) -> None:
        self.steps_taken = 0
        self.streams_open = 0
        self._permits: threading.Semaphore | None = None

    def hold(self) -> None:
        """From now on each step waits until it is let."""
        self._permits, self.steps_taken = threading.Semaphore(0), 0

    def let(self, steps: int) -> None:
        assert self._permits is not None, "hold first"
        self._permits.release(steps)

    def let_go(self) -> None:
        """Steps wait no longer."""
        permits, self._permits = self._permits, None
        if permits is not None:
            permits.release(1000)

    def running_batch(self) -> StreamBatch:
        return StreamBatch(self)

    def encode_image(self, image: np.ndarray) -> np.ndarray:
        cells = image.reshape(8, 16, 8, 16, 3).swapaxes(1, 2)
        return atlas().nearest(cells).reshape(NUM_CELLS) + len(WORDS)

    def stream(
        self, problems: Sequence[Problem], config: SamplingConfig, seeds: Sequence[int], num_generations: int = 1
    ) -> Iterator[list[Trace]]:
        whole = stand_in_trace(problems[0])
        if seeds[0] >= FAILS:
            whole = _spoiled(whole)
        settings = {**whole.settings, "temperature": config.temperature, "num_steps": config.num_steps}
        settings |= {"threshold": config.threshold, "region": config.region}
        whole = replace(whole, settings=settings)
        done: list[Segment] = []
        cost = Cost()
        self.streams_open += 1
        try:
            for segment in whole.segments:
                for number in range(1, len(segment.frames) + 1):
                    if self._permits is not None:
                        self._permits.acquire(timeout=PATIENCE)
                        time.sleep(PACE)
                    self.steps_taken += 1
                    cost = cost + Cost(1, 12, 1e6, 0.01)
                    frames = segment.frames[:number]
                    part = replace(segment, frames=frames, tokens=frames[-1].tokens)
                    yield [replace(whole, segments=(*done, part), end_reason="", cost=cost)] * num_generations
                done.append(segment)
            yield [replace(whole, cost=cost)] * num_generations
        finally:
            self.streams_open -= 1


def _spoiled(trace: Trace) -> Trace:
    """The first edit leaves its last cell as it was: right thought, wrong drawing."""
    mask = WORDS.index(MASK)
    first, edit, *rest = trace.segments
    wrong = trace.canvas_tokens[edit.cells[-1]]
    frames = tuple(
        replace(frame, tokens=(*frame.tokens[:-1], mask if frame.tokens[-1] == mask else wrong))
        for frame in edit.frames
    )
    tokens = (*edit.tokens[:-1], wrong)
    return replace(trace, segments=(first, replace(edit, tokens=tokens, frames=frames), *rest))
