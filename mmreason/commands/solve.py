"""``solve``: solve one problem and write its trace."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.checkpoint import add_base
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.settings import add_chosen, add_settings
from mmreason.commands._options.tasks import HOW, task_named
from mmreason.sampling.config import REGIONS, SamplingConfig
from mmreason.sampling.views.config import OWN_TURNS, ViewsConfig

if TYPE_CHECKING:
    from mmreason.records import Problem, Trace
    from mmreason.sampling.pipeline import InterleavedReasoningPipeline
    from mmreason.sampling.views.pipeline import ViewsPipeline

HELP = "solve one problem and write its trace"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``solve``."""
    parser.add_argument("--task", help=f"draw a problem of this task: {HOW}")
    parser.add_argument("--difficulty", help="easy, medium or hard, with --task (default: medium)")
    add_number(parser, limits.SEED, says="problem seed, with --task; default: 0")
    parser.add_argument("--problem", metavar="FILE", help="solve the problem in this JSON file (- is standard input)")
    parser.add_argument(
        "--image", metavar="FILE", help="edit this picture of your own, with a checkpoint of a public family"
    )
    parser.add_argument("--instruction", metavar="TEXT", help="what to do with --image")
    parser.add_argument("--mask", metavar="FILE", help="a picture as large as --image, white where it is to change")
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    add_base(parser)
    parser.add_argument("--out", default="trace.json", metavar="FILE", help="the trace (default: trace.json)")
    parser.add_argument("--gif", metavar="FILE", help="also write a replay")
    parser.add_argument("--picture", metavar="FILE", help="also write the last canvas (PNG), of a public checkpoint")
    add_number(parser, limits.TEMPERATURE, 0.0)
    add_chosen(parser, SamplingConfig, "num_steps", "threshold")
    parser.add_argument(
        "--region",
        default="stated",
        help="stated, full or confidence (default: stated); with --image also the cells to change where a thought "
        "names none: two corners like r2c2:r5c6, several with commas, a cell being one code of the codec",
    )
    add_chosen(parser, SamplingConfig, "default_region", "schedule")
    parser.add_argument("--order", help="confidence or entropy; maskgit to watch public checkpoints")
    add_number(parser, limits.MAX_TURNS, says="default: the checkpoint's; 1 with --image")
    add_number(parser, limits.SAMPLING_SEED, 0, says="sampling seed")
    add_settings(parser, ViewsConfig)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Solve; returns ``success``, ``segments``, ``cost``, ``end_reason`` and ``out``."""
    from mmreason.commands._options.checkpoint import given, is_public, load_policy, views_given
    from mmreason.commands._options.files import check_files
    from mmreason.errors import ConfigError
    from mmreason.tasks import load_problem, make_problem
    from mmreason.traces.photo import read_mask, read_picture

    args.task = task_named(args.task)
    boxes = None if args.region in REGIONS or args.image is None else args.region
    settings = given(args, "temperature", "num_steps", "threshold", "default_region", "schedule", "order", "max_turns")
    settings["region"] = args.region if boxes is None else "stated"
    SamplingConfig(**settings)  # refuse a wrong setting before the checkpoint is loaded
    views = views_given(args)
    _check_what(args)
    reads = {"--problem": args.problem, "--image": args.image, "--mask": args.mask}
    check_files({"--out": args.out, "--gif": args.gif, "--picture": args.picture}, reads)
    if args.gif is not None and os.path.splitext(args.gif)[1].lower() not in ("", ".gif"):
        raise ConfigError(f"--gif must be the path of a .gif file, got {args.gif!r}")
    for option in ("image", "picture"):
        if getattr(args, option) is not None and not is_public(args.checkpoint):
            raise ConfigError(
                f"--{option} needs a checkpoint of a public family, such as Lumina-DiMOO; {args.checkpoint!r} is none "
                "(python -m mmreason check says what a checkpoint is)"
            )
    image = mask = problem = None
    if args.image is not None:
        image = read_picture(args.image)
        mask = None if args.mask is None else read_mask(args.mask)
        settings.setdefault("max_turns", OWN_TURNS)
    elif args.problem is not None:
        problem = load_problem(args.problem)
    else:
        difficulty = "medium" if args.difficulty is None else args.difficulty
        problem = make_problem(args.task, difficulty, args.seed or 0)
    pipe = load_policy(args.checkpoint, views, base=args.base)
    config = pipe.sampling_config(**settings)
    if image is not None:
        from mmreason.sampling.views.pipeline import ViewsPipeline

        assert isinstance(pipe, ViewsPipeline)
        problem = pipe.own_problem(image, args.instruction, boxes, mask)
        height, width = problem.image.shape[:2]
        print(f"editing {width} × {height} pixels", file=sys.stderr)
    else:
        assert problem is not None
        print(f"solving {problem.task} ({problem.difficulty}), {problem.turns} turns needed", file=sys.stderr)
    return _solved(args, pipe, problem, config)


def _check_what(args: argparse.Namespace) -> None:
    """Refuse what is to be solved if it is nothing, or several things at once; raises ConfigError."""
    from mmreason.errors import ConfigError
    from mmreason.handed import is_unicode

    own = ("instruction", "mask")
    if args.image is None:
        for option in own:
            if getattr(args, option) is not None:
                raise ConfigError(f"--{option} goes with --image, the picture that it is about")
        if (args.task is None) == (args.problem is None):
            raise ConfigError("give either --task with --seed, or --problem FILE, or --image with --instruction")
        for option in ("seed", "difficulty"):
            if args.problem is not None and getattr(args, option) is not None:
                raise ConfigError(f"--{option} goes with --task; a problem file is one problem already")
        return
    for option in ("task", "problem", "seed", "difficulty"):
        if getattr(args, option) is not None:
            raise ConfigError(f"--{option} does not go with --image, which is a problem of its own")
    if args.instruction is None or not args.instruction.strip():
        raise ConfigError("--image needs --instruction, which says what to do with the picture")
    if not is_unicode(args.instruction):
        raise ConfigError(f"--instruction must be UTF-8 text, got {args.instruction[:60]!r}")
    if args.mask is not None and args.region != "stated":
        raise ConfigError(f"give --mask or --region, not both; got --region {args.region!r}")


def _solved(
    args: argparse.Namespace,
    pipe: InterleavedReasoningPipeline | ViewsPipeline,
    problem: Problem,
    config: SamplingConfig,
) -> dict[str, Any]:
    from dataclasses import replace

    from mmreason.commands._options.checkpoint import origin_of
    from mmreason.rewards.pixels import judge_of
    from mmreason.traces.file import save, to_json
    from mmreason.traces.replay import write_gif, write_picture, write_pictures_gif
    from mmreason.traces.versions.views import save_two, to_two

    trace = judge_of(pipe).score(pipe([problem], config, seeds=[args.sampling_seed]).traces[0])
    origin = origin_of(args.checkpoint, pipe)
    trace = replace(trace, settings={**trace.settings, "seed": args.sampling_seed, **origin})
    found = _result(trace)
    if pipe.sheet is None:
        save_two(args.out, to_two([trace], pipe))
        if args.gif is not None:
            write_pictures_gif(trace, args.gif)
        if args.picture is not None:
            write_picture(trace, args.picture)
    else:
        data = to_json(trace, pipe.words, pipe.sheet)
        save(args.out, data)
        if args.gif is not None:
            write_gif(data, pipe.sheet, args.gif)
        found |= {"reward": data["reward"], "cost": data["cost"]}
    return found | {"out": str(args.out), "gif": args.gif, "picture": args.picture}


def _result(trace: Trace) -> dict[str, Any]:
    """What is said of it; ``success`` is null where nothing judges."""
    from dataclasses import asdict

    from mmreason.records import trace_rewards

    judged = any(segment.reward is not None for segment in trace.segments)
    text, image = trace_rewards(trace)
    return {
        "success": trace.success if judged else None,
        "end_reason": trace.end_reason,
        "segments": [_brief(segment, trace) for segment in trace.segments],
        "reward": {"text": text, "image": image} if judged else {"text": None, "image": None},
        "cost": asdict(trace.cost),
        "attention": trace.settings.get("attention", "blocks"),
    }


def _brief(segment: Any, trace: Trace) -> dict[str, Any]:
    from mmreason.traces.versions.views import region_words

    said = {"text": segment.text} if segment.modality == "text" else {"region": region_words(segment, trace.grid)}
    return {name: getattr(segment, name) for name in ("modality", "kind", "turn")} | {
        **said,
        "reward": segment.reward,
        "reason": segment.verdict.reason if segment.verdict else None,
    }


def readable(result: dict[str, Any]) -> str:
    """One line a segment, then how it ended and what it cost."""
    lines = []
    for segment in result["segments"]:
        said = segment["text"] if segment["modality"] == "text" else ", ".join(segment["region"])
        mark = "–" if segment["reward"] is None else "✓" if segment["reward"] >= 1 else "✗"
        why = f"   ({segment['reason']})" if segment["reason"] else ""
        lines.append(f"{mark} {segment['turn']:>2} {segment['kind']:<7} {said}{why}")
    cost = result["cost"]
    how = "not judged" if result["success"] is None else "solved" if result["success"] else "not solved"
    lines.append(
        f"{how} ({result['end_reason']}), {cost['forward_passes']} forward passes, "
        f"{cost['tokens_forwarded']} tokens, {cost['seconds']:.2f} s"
    )
    lines.append("written: " + ", ".join(filter(None, (result["out"], result["gif"], result["picture"]))))
    return "\n".join(lines)
