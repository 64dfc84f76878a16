"""A trace file scored again: what of it holds, and what the verifier says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from mmreason.errors import ProblemError, TraceError
from mmreason.records import Trace, trace_rewards
from mmreason.rewards.verify import Verifier
from mmreason.tasks import TASKS, problem_from_json
from mmreason.traces.rebuild import rebuild
from mmreason.traces.schema import decode_png

TOLERANCE = 1e-6
_MAX_NAMED = 5  # tasks that are not here


def review_all(members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The review of one trace, or of a group as one; raises TraceError.

    What is of a task that is not here is left out, as ``problems_found`` says; ``rewards`` is null if all of it is.
    """
    tasks = [data["problem"]["task"] for data in members]
    unknown = dict.fromkeys(task for task in tasks if task not in TASKS)
    got = ", ".join(repr(task[:40]) for task in islice(unknown, _MAX_NAMED))
    notes = [f"not scored again: task must be one of {', '.join(TASKS)}, got {got}"] if unknown else []
    reviews = [review(data) for task, data in zip(tasks, members, strict=True) if task in TASKS]
    if not reviews:
        return {"valid": True, "problems_found": notes, "rewards": None}
    found = reviews[0] if len(members) == 1 else summary(reviews)
    return {**found, "problems_found": [*notes, *found["problems_found"]]}


def review(data: dict[str, Any]) -> dict[str, Any]:
    """Score a loaded trace again and compare; raises TraceError if its problem is not valid."""
    recorded = data["problem"]
    try:
        problem = problem_from_json({**recorded["spec"], "task": recorded["task"]})
    except ProblemError as error:
        raise TraceError(f"trace field 'problem.spec': {error}") from None
    rebuilt = rebuild(data, problem)
    found = list(rebuilt.problems_found)
    if recorded["turns"] != problem.turns:
        found.append(f"problem.turns: must be {problem.turns}, is {recorded['turns']}")
    if not np.array_equal(np.asarray(decode_png(recorded["image"])), problem.image):
        found.append("problem.image: is not what the problem file draws")
    trace = Verifier(rebuilt.words, rebuilt.sheet).score(rebuilt.trace)
    for number, (entry, segment) in enumerate(zip(data["segments"], trace.segments, strict=True)):
        if not _same(entry["reward"], segment.reward):
            place = f"segments[{number}].reward"
            found.append(f"{place}: is {entry['reward']}, the verifier gives {_or_none(segment.reward)}")
    text, image = trace_rewards(trace)
    unjudged = [number for number, segment in enumerate(trace.segments) if segment.verdict is None]
    if not unjudged:
        for name, score in (("text", text), ("image", image)):
            if not _same(data["reward"][name], score):
                found.append(f"reward.{name}: is {data['reward'][name]}, the verifier gives {_or_none(score)}")
    elif unjudged[0] + _size_of_unit(trace, unjudged[0]) < len(trace.segments):
        found.append(f"segments[{unjudged[0]}]: is unfinished, but others follow")
    if data["success"] != trace.success:
        found.append(f"success: is {data['success']}, the verifier says {trace.success}")
    return {
        "valid": True,
        "problems_found": found,
        "rewards": {"text": text, "image": image},
        "success": trace.success,
        "segments": [
            {
                "kind": segment.kind,
                "turn": segment.turn,
                "reward": segment.reward,
                "reason": segment.verdict.reason if segment.verdict else None,
            }
            for segment in trace.segments
        ],
    }


def summary(reviews: list[dict[str, Any]]) -> dict[str, Any]:
    """Reviews of a group as one: mean rewards, ``success`` the share solved, and all reviews as ``traces``."""
    text = [review["rewards"]["text"] for review in reviews]
    image = [r["rewards"]["image"] for r in reviews if r["rewards"]["image"] is not None]
    return {
        "valid": True,
        "problems_found": [
            f"traces[{g}].{said}" for g, review in enumerate(reviews) for said in review["problems_found"]
        ],
        "rewards": {"text": sum(text) / len(text), "image": sum(image) / len(image) if image else None},
        "success": sum(review["success"] for review in reviews) / len(reviews),
        "traces": reviews,
    }


def _size_of_unit(trace: Trace, first: int) -> int:
    """How many segments from ``first`` on are denoised with it: two if it is the text of a joint turn."""
    return 2 if trace.settings.get("turn") == "joint" and trace.segments[first].modality == "text" else 1


def _same(recorded: float | None, scored: float | None) -> bool:
    if recorded is None or scored is None:
        return recorded is scored
    return abs(recorded - scored) <= TOLERANCE


def _or_none(score: float | None) -> str:
    return "none" if score is None else f"{score}"
