"""What of the verdicts is learnt from: the score of a segment, and of a trace by modality.

A trace keeps the verifier's rewards.  A choice here replaces their part by other components of the verdicts; what
users' own rewards added is kept.
"""

from __future__ import annotations

from mmreason.records import Segment, Trace, trace_rewards
from mmreason.rewards.custom import COMPONENT

TEXT_SCORES = ("segments", "answer")
IMAGE_SCORES = ("exact", "cells")
RIGHT, WELL_FORMED = 0.8, 0.2  # of an answer's score: with a weight of 2.5 these are 2 and 0.5


def segment_score(segment: Segment, text_score: str, image_score: str) -> float | None:
    """What ``segment`` earns; None where it is left out.

    ``image_score="cells"`` takes the share of an edit's cells that are right, where ``"exact"`` asks for all of them.
    ``text_score="answer"`` judges answers alone, 0.8 for a right one and 0.2 for a well-formed one; a thought then
    earns what users' rewards added, and is left out if that is nothing.
    """
    if segment.modality == "image":
        return segment.reward if image_score == "exact" else _with(segment, _cells(segment))
    if text_score == "segments":
        return segment.reward
    return _with(segment, _answer(segment)) if segment.kind == "answer" else _added_alone(segment)


def trace_scores(trace: Trace, text_score: str, image_score: str) -> tuple[float, float | None]:
    """Text and image score of a whole trace; by ``"segments"`` and ``"exact"`` those of ``trace_rewards``.

    By ``"answer"`` the text score is that of the answer, 0 where there is none.
    """
    text, image = trace_rewards(trace)
    if text_score == "answer":
        words = [segment for segment in trace.segments if segment.modality == "text"]
        added = sum(map(_added, words)) / max(len(words), trace.problem.turns + 1)
        text = added + sum(_answer(segment) for segment in words if segment.kind == "answer")
    if image_score == "cells":
        scores = [segment_score(s, text_score, image_score) for s in trace.segments if s.modality == "image"]
        there = [score for score in scores if score is not None]
        image = sum(there) / len(there) if there else None
    return text, image


def _with(segment: Segment, score: float) -> float | None:
    """The reward with ``score`` as the verifier's part; null stays null."""
    return None if segment.reward is None else _added(segment) + score


def _cells(segment: Segment) -> float:
    return segment.verdict.components.get("cells", 0.0) if segment.verdict is not None else 0.0


def _answer(segment: Segment) -> float:
    verdict = segment.verdict
    if verdict is None:
        return 0.0
    return RIGHT * verdict.right + WELL_FORMED * verdict.components.get("well_formed", 0.0)


def _added_alone(segment: Segment) -> float | None:
    """What users' own rewards added, None where none of them scored ``segment``."""
    scored = segment.verdict is not None and any(name.startswith(COMPONENT) for name in segment.verdict.components)
    return _added(segment) if scored else None


def _added(segment: Segment) -> float:
    """What users' own rewards added to the verifier's."""
    right = segment.verdict is not None and segment.verdict.right
    return (segment.reward or 0.0) - float(right)
