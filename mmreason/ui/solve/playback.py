"""A trace as the player's value: plain JSON whose lists only grow while a run streams in.

The player draws every canvas itself from the codebook sheet, so no picture travels with a frame.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Any

import numpy as np

from mmreason.records import DIFFICULTIES, MASK, NUM_CELLS, Problem, Segment, Trace
from mmreason.rewards.advice import Codes, expected_solution, first_wrong, parts_right
from mmreason.rewards.verify import Verifier
from mmreason.tasks import TASKS
from mmreason.traces.schema import PICTURES
from mmreason.traces.sheet import sheet_pixels
from mmreason.ui.host.web.sheets import sheet_link

_NUMBERS = count(time.time_ns() // 1000)

LEAST_SHOWN = 0.0005  # of a runner-up's probability: less is 0.0 % in words


class Judged:
    """A growing trace with verdicts; the judge is asked only when another segment has finished."""

    def __init__(self, score: Callable[[Trace], Trace], num_finished: Callable[[Trace], int]) -> None:
        self._score, self._num_finished = score, num_finished
        self._scored: Sequence[Segment] = ()

    def __call__(self, trace: Trace) -> Trace:
        finished = self._num_finished(trace)
        if finished > len(self._scored) or trace.end_reason:
            scored = self._score(trace)
            self._scored = scored.segments[:finished]
            return scored
        return replace(trace, segments=(*self._scored, *trace.segments[len(self._scored) :]))


class Playback:
    """Turns the partial traces of one run into player values; each segment is scored once, when finished.

    ``run`` rises from run to run, so that the player knows what is out of date.
    """

    def __init__(self, words: Sequence[str], sheet: np.ndarray) -> None:
        self.words, self.run = words, run_number()
        self.mask = list(words).index(MASK)
        self.verifier = Verifier(words, sheet)
        self.sheet = sheet_link(sheet)
        self.codes = Codes(sheet)
        self._judged = Judged(self.verifier.score, lambda trace: sum(map(is_finished, trace.segments)))
        self._entries: list[dict[str, Any]] = []

    def update(self, trace: Trace, state: str, link: str = "") -> tuple[Trace, dict[str, Any]]:
        """The scored trace, and the player's value for it."""
        trace = self._judged(trace)
        finished = state == "finished"
        value = {
            "run": self.run,
            "state": state,
            "problem": shown_problem(trace.problem),
            "settings": dict(trace.settings),
            "sheet": self.sheet,
            "canvas_codes": [token - len(self.words) for token in trace.canvas_tokens],
            "segments": self._segments(trace),
            "end_reason": trace.end_reason,
            "success": trace.success,
            "right": parts_right(trace, self.verifier) if finished else None,
            "cost": cost_entry(trace),
            "expected": expected_solution(trace.problem, self.codes) if finished else None,
            "advice": first_wrong(trace, self.verifier, self.codes) if finished else None,
            "link": link,
        }
        return trace, value

    def _segments(self, trace: Trace) -> list[dict[str, Any]]:
        """One entry a segment; those finished before are the same objects as last time."""
        num_kept = sum(entry["done"] for entry in self._entries)
        fresh = [self._entry(segment) for segment in trace.segments[num_kept:]]
        self._entries = [*self._entries[:num_kept], *fresh]
        return list(self._entries)

    def _entry(self, segment: Segment) -> dict[str, Any]:
        is_edit = segment.kind == "edit"
        verdict = segment.verdict
        return {
            "kind": segment.kind,
            "turn": segment.turn,
            "done": is_finished(segment),
            "region": [box.words for box in segment.boxes] if is_edit else None,
            "cells": list(segment.cells) if is_edit else None,
            "reward": segment.reward,
            "verdict": verdict and {"right": verdict.right, "reason": verdict.reason},
            "frames": [
                {
                    "tokens": [self._token(token, is_edit) for token in frame.tokens],
                    "committed": list(frame.committed),
                    "probability": [round(min(1.0, math.exp(sure)), 4) for sure in frame.logprobs],
                }
                for frame in segment.frames
            ],
        } | self._runners_up(segment)

    def _runners_up(self, segment: Segment) -> dict[str, Any]:
        if not any(frame.runners_up for frame in segment.frames):
            return {}
        kept = [
            [[(token, math.exp(sure)) for token, sure in others] for others in frame.runners_up]
            for frame in segment.frames
        ]
        return {"runners_up": _shown(kept, lambda token: self._token(token, segment.kind == "edit"))}

    def _token(self, token: int, is_edit: bool) -> str | int | None:
        if token == self.mask:
            return None
        return token - len(self.words) if is_edit else self.words[token]


def shown_problem(problem: Problem) -> dict[str, Any]:
    """What is said of ``problem``; of one that a visitor made on a board, all that they made."""
    task = TASKS.get(problem.task)
    is_own = problem.difficulty not in DIFFICULTIES and task is not None and task.board is not None
    return problem.summary | ({"own": dict(problem.spec)} if is_own else {})


def run_number() -> int:
    """A number for what is to be shown from now on, above all earlier ones, wherever the clock jumps.

    It begins at the time, so that a page that is still open after a restart takes what is new for new.
    """
    return next(_NUMBERS)


def is_finished(segment: Segment) -> bool:
    """Is every token of ``segment`` committed?"""
    return sum(len(frame.committed) for frame in segment.frames) == len(segment.tokens)


def cost_entry(trace: Trace) -> dict[str, Any]:
    """Tokens, seconds, and the tokens had every edit redrawn all cells (one forward a step, one clean copy)."""
    edits = [segment for segment in trace.segments if segment.kind == "edit" and is_finished(segment)]
    more = sum((NUM_CELLS - len(edit.cells)) * (len(edit.frames) + 1) for edit in edits)
    return {
        "tokens_forwarded": trace.cost.tokens_forwarded,
        "full_redraw_tokens": trace.cost.tokens_forwarded + more,
        "seconds": trace.cost.seconds,
    }


def _shown(runners_up: Sequence[Any], named: Callable[[Any], Any]) -> list[Any]:
    """Runners-up by frame and committed token as the player has them: of tokens as ``named``, and how likely."""
    return [
        [[[named(token), round(p, 4)] for token, p in others if p >= LEAST_SHOWN] for others in of_frame]
        for of_frame in runners_up
    ]


def value_of_file(data: Mapping[str, Any], problem: Problem) -> dict[str, Any]:
    """The player's value for a trace file of the page itself that holds its ``sheet``; of that, what it uses."""
    sheet = sheet_pixels(data["sheet"])
    expected = expected_solution(problem, Codes(sheet))
    segments: list[dict[str, Any]] = [
        {key: value for key, value in segment.items() if key not in PICTURES} | {"done": True}
        for segment in data["segments"]
    ]
    for segment in segments:
        if "runners_up" in segment:
            segment["runners_up"] = _shown(segment["runners_up"], lambda token: token)
    edits = [segment for segment in segments if segment["kind"] == "edit"]
    frames = [frame["tokens"] for edit in edits for frame in edit["frames"]]
    frames += [[code for code, _ in others] for edit in edits for others in chain(*edit.get("runners_up", ()))]
    steps: list[dict[str, Any]] = expected["steps"] if expected is not None else []
    drawn = [data["canvas_codes"], *frames, *(step["codes"] for step in steps)]
    used = sorted({code for codes in drawn for code in codes if code is not None})
    place = {code: i for i, code in enumerate(used)} | {None: None}
    for edit in edits:
        edit["frames"] = [frame | {"tokens": [place[c] for c in frame["tokens"]]} for frame in edit["frames"]]
        if "runners_up" in edit:
            edit["runners_up"] = _shown(edit["runners_up"], place.__getitem__)
    if expected is not None:
        expected["steps"] = [step | {"codes": [place[c] for c in step["codes"]]} for step in steps]
    return {
        "run": 0,
        "state": "example",
        "problem": problem.summary,
        "settings": dict(data["settings"]),
        "sheet": sheet_link(sheet[used], pinned=True),
        "canvas_codes": [place[code] for code in data["canvas_codes"]],
        "segments": segments,
        "end_reason": data["end_reason"],
        "success": data["success"],
        "cost": data["cost"],
        "expected": expected,
        "advice": None,
        "link": "",
    }
