"""``inspect``: open anybody's rollouts, say what is in them, and score our own traces again."""

from __future__ import annotations

import argparse
from typing import Any

from mmreason.errors import TraceError
from mmreason.wording import counted, percent, signed

HELP = "open rollouts of ours or of another system, and check them"


class InvalidTrace(TraceError):
    """A file that is refused; ``result`` is what ``--json`` prints of it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.result = {"valid": False, "problems_found": [sentence], "rewards": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``inspect``."""
    parser.add_argument(
        "trace",
        metavar="TRACE",
        nargs="?",
        help="a file of rollouts, a folder or a zip: traces of ours (versions 1 and 2; those of your own task are "
        "scored again where MMREASON_TASKS names it), chats, TRL, verl, Zebra-CoT",
    )
    parser.add_argument(
        "--map",
        metavar="NAME=COLUMN",
        nargs="+",
        default=[],
        help="which rewards judge words and pictures (text=answer,format image=drawing), and which columns of "
        "another system's table are prompt, completion, images, rewards, …",
    )
    parser.add_argument("--schema", metavar="FILE", help="write the JSON schema of version 1 trace files to FILE")
    parser.add_argument("--schema_two", metavar="FILE", help="write the JSON schema of version 2 trace files to FILE")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Open and check; returns the counts and means, ``interference`` and ``first_look`` of any rollouts.

    Of version 1 traces also ``rewards``, ``segments`` and ``success`` as scored now.  A file that cannot be read, or a
    version 1 trace whose problem is not one, raises InvalidTrace.  What is only inconsistent (a picture that is not
    what the codes say, a recorded reward that the verifier would not give) or of a task that is not here is listed in
    ``problems_found``: a user's own reward may well differ.
    """
    from mmreason.analysis.rollouts.first_look import first_look
    from mmreason.analysis.rollouts.push import pushes
    from mmreason.analysis.rollouts.reading import damaged, reading
    from mmreason.commands._options.files import check_files
    from mmreason.errors import ConfigError
    from mmreason.traces.file import export_schema
    from mmreason.traces.opening import open_rollouts, parse_map
    from mmreason.traces.schema import TraceFile
    from mmreason.traces.versions.two import RolloutsFile

    check_files({"--schema": args.schema, "--schema_two": args.schema_two}, {"TRACE": args.trace})
    mapping = parse_map(args.map)
    written = {}
    for option, path, model in (("schema", args.schema, TraceFile), ("schema_two", args.schema_two, RolloutsFile)):
        if path is not None:
            export_schema(path, model)
            written[option] = path
    if args.trace is None:
        if not written:
            raise ConfigError("TRACE is missing; give the path of a file of rollouts")
        return written
    try:
        opened = open_rollouts(args.trace, mapping)
        notes = (*opened.rollouts.notes, *damaged(opened.rollouts))
        return {
            "valid": True,
            "problems_found": list(notes),
            **reading(opened.rollouts),
            "interference": pushes(opened.rollouts),
            "first_look": first_look(opened.rollouts),
            **_reviewed(opened.version_one, notes),
        }
    except TraceError as error:
        raise InvalidTrace(str(error)) from None


def _reviewed(members: list[dict[str, Any]], notes: tuple[str, ...]) -> dict[str, Any]:
    """What only traces of ours can have: they are scored again, those of the host's tasks too."""
    if not members:
        return {}
    from mmreason.analysis.review import review_all
    from mmreason.commands._options.tasks import named

    named([])
    found = review_all(members)
    return {**found, "problems_found": [*notes, *found["problems_found"]]}


def readable(result: dict[str, Any]) -> str:
    """What is in it, how the rewards push, what to read first, and what was found wrong."""
    if "format" not in result:
        return "\n".join(f"written: {path}" for path in result.values())
    lines = [
        f"{result['format']}: {counted(result['prompts'], 'prompt')}, {counted(result['rollouts'], 'rollout')}, "
        f"{counted(result['text_segments'], 'text')}, {counted(result['image_segments'], 'picture')}"
    ]
    if result.get("rewards"):
        members = result.get("traces")
        how = "solved" if result["success"] else "not solved"
        rate = percent(result["success"], 0)
        several = f"{counted(len(members or ()), 'rollout')} of {counted(result['prompts'], 'problem')}"
        lines.append(f"valid: {several}, {rate} solved" if members else f"valid trace, {how}")
    shown = result.get("rewards") or result["mean_reward"]
    lines.append(f"text reward {_score(shown['text'])}, image reward {_score(shown['image'])}")
    for granularity, found in result["interference"].items():
        if found is not None and result["rollouts"] > 1:
            correlation = found["correlation"]
            said = "" if correlation is None else f", rewards of words and pictures correlate by {signed(correlation)}"
            reversed_, idle = percent(found["sign_conflict"], 0), percent(found["idle_push"], 0)
            lines.append(
                f"by {granularity}: joint reverses {reversed_} of segments and pushes {idle} whose own reward says "
                f"nothing, σ ratio {found['sigma_ratio']:.2f}{said}"
            )
    lines += [f"look: {finding['sentence']}" for finding in result["first_look"]]
    found = result["problems_found"]
    return "\n".join(lines + ([f"problem: {sentence}" for sentence in found] or ["no problems found"]))


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
