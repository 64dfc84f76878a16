"""``inspect``: check a trace file and score it again."""

from __future__ import annotations

import argparse
from typing import Any

from mmreason.errors import TraceError

HELP = "check a trace or group file and score it again"


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
    from mmreason.analysis.review import review_all
    from mmreason.commands._options.files import check_files
    from mmreason.errors import ConfigError
    from mmreason.traces.file import export_schema
    from mmreason.traces.group import load_group

    check_files({"--schema": args.schema}, {"TRACE": args.trace})
    if args.schema is not None:
        export_schema(args.schema)
    if args.trace is None:
        if args.schema is None:
            raise ConfigError("TRACE is missing; give the path of a trace file")
        return {"schema": args.schema}
    try:
        return review_all(load_group(args.trace))
    except TraceError as error:
        raise InvalidTrace(str(error)) from None


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
