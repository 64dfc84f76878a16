"""``solve``: solve one problem and write its trace."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mmreason import limits
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.tasks import HOW, task_named

HELP = "solve one problem and write its trace"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``solve``."""
    parser.add_argument("--task", help=f"draw a problem of this task: {HOW}")
    parser.add_argument("--difficulty", default="medium", help="easy, medium or hard (default: medium)")
    add_number(parser, limits.SEED, says="problem seed, with --task; default: 0")
    parser.add_argument("--problem", metavar="FILE", help="solve the problem in this JSON file (- is standard input)")
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    parser.add_argument("--out", default="trace.json", metavar="FILE", help="the trace (default: trace.json)")
    parser.add_argument("--gif", metavar="FILE", help="also write a replay")
    add_number(parser, limits.TEMPERATURE, 0.0)
    add_number(parser, limits.NUM_STEPS, says="denoising steps a segment; default: the checkpoint's")
    add_number(
        parser,
        limits.THRESHOLD,
        says="commit every more certain token at once; 0 is off; default: the checkpoint's",
    )
    parser.add_argument("--region", default="stated", help="stated, full or confidence (default: stated)")
    parser.add_argument("--order", help="confidence or entropy (default: the checkpoint's)")
    add_number(parser, limits.SAMPLING_SEED, 0, says="sampling seed")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Solve; returns ``success``, ``segments``, ``cost``, ``end_reason`` and ``out``."""
    from dataclasses import replace

    from mmreason.commands._options.checkpoint import checkpoint_name, given, load_pipeline
    from mmreason.commands._options.files import check_files
    from mmreason.errors import ConfigError
    from mmreason.rewards.verify import Verifier
    from mmreason.sampling.config import SamplingConfig
    from mmreason.tasks import load_problem, make_problem
    from mmreason.traces.file import save, to_json
    from mmreason.traces.replay import write_gif

    args.task = task_named(args.task)
    settings = given(args, "temperature", "num_steps", "threshold", "region", "order")
    SamplingConfig(**settings)  # refuse a wrong setting before the checkpoint is loaded
    if (args.task is None) == (args.problem is None):
        raise ConfigError("give either --task with --seed, or --problem FILE")
    if args.problem is not None and args.seed is not None:
        raise ConfigError("--seed goes with --task; a problem file is one problem already")
    check_files({"--out": args.out, "--gif": args.gif}, {"--problem": args.problem})
    if args.problem is not None:
        problem = load_problem(args.problem)
    else:
        problem = make_problem(args.task, args.difficulty, args.seed or 0)
    pipe = load_pipeline(args.checkpoint)
    config = pipe.scheduler.sampling_config(**settings)
    print(f"solving {problem.task} ({problem.difficulty}), {problem.turns} turns needed", file=sys.stderr)
    trace = pipe([problem], config, seeds=[args.sampling_seed]).traces[0]
    trace = Verifier(pipe.words, pipe.sheet).score(trace)
    origin = {"checkpoint": checkpoint_name(args.checkpoint), "checkpoint_hash": pipe.fingerprint}
    settings = {**trace.settings, "seed": args.sampling_seed, **origin}
    data = to_json(replace(trace, settings=settings), pipe.words, pipe.sheet)
    save(args.out, data)
    if args.gif is not None:
        write_gif(data, pipe.sheet, args.gif)
    return {
        "success": data["success"],
        "end_reason": data["end_reason"],
        "segments": [_brief(segment) for segment in data["segments"]],
        "reward": data["reward"],
        "cost": data["cost"],
        "out": str(args.out),
        "gif": args.gif,
    }


def _brief(segment: dict[str, Any]) -> dict[str, Any]:
    says = "text" if segment["modality"] == "text" else "region"
    names = ("modality", "kind", "turn", says, "reward")
    verdict = segment["verdict"]
    return {name: segment[name] for name in names} | {"reason": verdict["reason"] if verdict else None}


def readable(result: dict[str, Any]) -> str:
    """One line a segment, then how it ended and what it cost."""
    lines = []
    for segment in result["segments"]:
        said = segment["text"] if segment["modality"] == "text" else ", ".join(segment["region"])
        mark = "–" if segment["reward"] is None else "✓" if segment["reward"] >= 1 else "✗"
        lines.append(f"{mark} {segment['turn']:>2} {segment['kind']:<7} {said}   ({segment['reason']})")
    cost = result["cost"]
    lines.append(
        f"{'solved' if result['success'] else 'not solved'} ({result['end_reason']}), "
        f"{cost['forward_passes']} forward passes, {cost['tokens_forwarded']} tokens, {cost['seconds']:.2f} s"
    )
    lines.append("written: " + ", ".join(filter(None, (result["out"], result["gif"]))))
    return "\n".join(lines)
