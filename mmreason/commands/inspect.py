"""``inspect``: check a trace file and score it again."""

from __future__ import annotations

import argparse
from typing import Any

from mmreason.errors import TraceError

HELP = "check a trace or group file and score it again"
TOLERANCE = 1e-6


class InvalidTrace(TraceError):
    """A trace file that is refused; ``result`` is what ``--json`` prints of it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.result = {"valid": False, "problems_found": [sentence], "rewards": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``inspect``."""
    parser.add_argument("trace", metavar="TRACE", nargs="?", help="a trace file or a group file (version 1 JSON)")
    parser.add_argument("--schema", metavar="FILE", help="write the JSON schema of trace files to FILE")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Check; returns ``valid``, ``problems_found``, ``rewards``, ``segments`` and ``success`` as scored now.

    A file that is not a trace, or whose problem is not one, raises InvalidTrace.  What is only
    inconsistent (a picture that is not what the codes say, a recorded reward that the verifier would not
    give) is listed in ``problems_found``: a user's own reward may well differ.
    """
    from mmreason.errors import ConfigError
    from mmreason.traces.file import export_schema
    from mmreason.traces.group import load_group

    if args.schema is not None:
        export_schema(args.schema)
    if args.trace is None:
        if args.schema is None:
            raise ConfigError("TRACE is missing; give the path of a trace file")
        return {"schema": args.schema}
    try:
        reviews = [review(data) for data in load_group(args.trace)]
        return reviews[0] if len(reviews) == 1 else summary(reviews)
    except TraceError as error:
        raise InvalidTrace(str(error)) from None


def review(data: dict[str, Any]) -> dict[str, Any]:
    """Score a loaded trace again and compare; raises TraceError if its problem is not valid."""
    import numpy as np

    from mmreason.errors import ProblemError
    from mmreason.records import trace_rewards
    from mmreason.rewards.verify import Verifier
    from mmreason.tasks import problem_from_json
    from mmreason.traces.rebuild import rebuild
    from mmreason.traces.schema import decode_png

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
    for number, (entry, segment) in enumerate(zip(data["segments"], trace.segments, strict=False)):
        if not _same(entry["reward"], segment.reward):
            place = f"segments[{number}].reward"
            found.append(f"{place}: is {entry['reward']}, the verifier gives {segment.reward}")
    text, image = trace_rewards(trace)
    finished = len(trace.segments) == len(data["segments"]) and all(s.verdict for s in trace.segments)
    if finished:
        for name, score in (("text", text), ("image", image)):
            if not _same(data["reward"][name], score):
                found.append(f"reward.{name}: is {data['reward'][name]}, the verifier gives {score}")
    elif len(trace.segments) < len(data["segments"]):
        found.append(f"segments[{len(trace.segments) - 1}]: is unfinished, but others follow")
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


def _same(recorded: float | None, scored: float | None) -> bool:
    if recorded is None or scored is None:
        return recorded is scored
    return abs(recorded - scored) <= TOLERANCE


def readable(result: dict[str, Any]) -> str:
    """What was found, or that nothing was, and the rewards."""
    if "schema" in result:
        return f"written: {result['schema']}"
    text, image = result["rewards"]["text"], result["rewards"]["image"]
    members = result.get("traces")
    how = "solved" if result["success"] else "not solved"
    lines = [
        f"valid group of {len(members)}, {result['success']:.0%} solved" if members else f"valid trace, {how}",
        f"text reward {text:.3f}, image reward {'–' if image is None else f'{image:.3f}'}",
    ]
    found = result["problems_found"]
    return "\n".join(lines + ([f"problem: {sentence}" for sentence in found] or ["no problems found"]))
