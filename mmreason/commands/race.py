"""``race``: local edits against full redraw on one puzzle, written for the page, and as a GIF."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mmreason import limits
from mmreason.commands._options.again import again
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.tasks import HOW, task_named
from mmreason.errors import ConfigError

HELP = "local edits against full redraw on one puzzle, for the page and as a GIF"
_AR = "checkpoints/ar"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``race``."""
    parser.add_argument("--task", default="maze", help=f"{HOW} (default: maze)")
    parser.add_argument("--difficulty", default="medium", help="easy, medium or hard (default: medium)")
    add_number(parser, limits.SEED, 0, says="problem seed")
    add_number(parser, limits.SAMPLING_SEED, 0, says="sampling seed")
    parser.add_argument("--against", default="ar_full", help="ar_full or diffusion_full (default: ar_full)")
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR", help="the diffusion policy")
    parser.add_argument(
        "--ar", metavar="DIR", help=f"the autoregressive policy, with --against ar_full (default: {_AR})"
    )
    parser.add_argument("--out", default="race.json", metavar="FILE", help="default: race.json")
    parser.add_argument("--gif", metavar="FILE", help="also write a GIF")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Race; returns each arm's ``passes``, ``tokens``, ``flops`` and ``success``, and the paths written."""
    from mmreason.analysis.cost.compute import four_arms
    from mmreason.analysis.cost.race import LOCAL, check_rival, joint_sheet, run_race
    from mmreason.analysis.cost.race_gif import write_race_gif
    from mmreason.commands._options.checkpoint import load_pipeline
    from mmreason.commands._options.files import check_files
    from mmreason.disk import write_json
    from mmreason.tasks import make_problem
    from mmreason.traces.sheet import sheet_value

    chosen = ("task", "difficulty", "seed", "sampling_seed", "against")
    command = again("race", add_arguments, args, *chosen, without=("out", "gif"))
    args.task = task_named(args.task)
    check_rival(args.against)
    if args.ar is not None and not args.against.startswith("ar"):
        raise ConfigError(f"--ar goes with --against ar_full, got --ar {args.ar!r} with --against {args.against}")
    check_files({"--out": args.out, "--gif": args.gif})
    problem = make_problem(args.task, args.difficulty, args.seed)
    base = load_pipeline(args.checkpoint)
    ar = load_pipeline(_AR if args.ar is None else args.ar) if args.against.startswith("ar") else base
    by_name = {arm.name: arm for arm in four_arms(base, ar)}
    arms = by_name[LOCAL], by_name[args.against]
    race: dict[str, Any] | None = None
    for name, passes, race in run_race(arms, problem, base.scheduler.sampling_config(), args.sampling_seed):  # noqa: B007
        if passes % 100 == 0:
            print(f"{name}: {passes} forward passes", file=sys.stderr, flush=True)
    assert race is not None, "a race ends with its record"
    sheet = joint_sheet(arms)
    race["command"] = command
    race["sheet"] = sheet_value(sheet)
    write_json(args.out, race)
    if args.gif is not None:
        write_race_gif(race, sheet, args.gif)
    told = ("passes", "tokens", "flops", "success")
    return {lane["arm"]: {name: lane[name] for name in told} for lane in race["lanes"]} | {
        "out": args.out,
        "gif": args.gif,
    }
