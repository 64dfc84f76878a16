"""``evaluate``: held-out evaluation of a checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.checkpoint import add_base
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.run import check_alone
from mmreason.commands._options.settings import add_chosen, add_settings
from mmreason.commands._options.tasks import add_tasks, named, tasks_of
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.views.config import ViewsConfig

if TYPE_CHECKING:
    from mmreason.records import Trace

HELP = "success and rewards on fresh test problems"
LESS_MEMORY = "a lower --batch_size"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``evaluate``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    add_base(parser)
    add_tasks(parser)
    add_number(parser, limits.PROBLEMS, 200, metavar="N")
    add_number(parser, limits.SEED, 0, says="any seed gives fresh problems")
    parser.add_argument("--difficulty", nargs="+", default=["medium"], metavar="D", help="easy, medium, hard")
    add_number(parser, limits.TEMPERATURE, 1.0)
    add_chosen(parser, SamplingConfig, "num_steps", "threshold")
    parser.add_argument("--region", default="stated", help="stated, full or confidence (default: stated)")
    add_chosen(parser, SamplingConfig, "default_region", "schedule")
    parser.add_argument("--order", help="confidence or entropy (default: the checkpoint's)")
    add_number(parser, limits.BATCH_SIZE, 64, says="rollouts at once")
    add_number(parser, limits.PASS_AT, [], metavar="K", nargs="+", shown="off")
    parser.add_argument(
        "--pictures",
        default="own",
        help="what a policy goes on from after an edit: own, hidden, shuffled or true (default: own)",
    )
    add_chosen(parser, SamplingConfig, "max_turns")
    add_settings(parser, ViewsConfig)
    parser.add_argument("--out", metavar="FILE", help="also write the rollouts (JSON), which Inspect opens")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate; returns what ``mmreason.analysis.evaluate`` says."""
    from mmreason.analysis.evaluate import check_choice, check_transfer, evaluate
    from mmreason.commands._options.checkpoint import given, load_policy, origin_of, views_given
    from mmreason.commands._options.files import check_files
    from mmreason.disk import write_json
    from mmreason.errors import ConfigError
    from mmreason.sampling.views.pipeline import ViewsPipeline
    from mmreason.tasks import TASKS
    from mmreason.training.run.progress import ProgressLine
    from mmreason.training.run.traces import as_two

    check_alone("evaluate")
    check_files({"--out": args.out})
    args.tasks = named(args.tasks)
    settings = given(args, "temperature", "num_steps", "threshold", "region", "default_region", "schedule", "order")
    settings |= given(args, "max_turns")
    views = views_given(args)
    SamplingConfig(**settings)
    check_choice(args.tasks or list(TASKS), args.difficulty, args.problems, args.seed, args.batch_size)
    check_transfer(args.pass_at, args.pictures, args.temperature)
    pipe = load_policy(args.checkpoint, views, base=args.base)
    if isinstance(pipe, ViewsPipeline) and args.pictures != "own":
        raise ConfigError(f"pictures must be own for checkpoints of public families, got {args.pictures!r}")
    tasks = tasks_of(pipe.vocabulary, args.tasks)
    config = pipe.sampling_config(**settings)
    line = ProgressLine("problem", sys.stderr)

    def keep(traces: Sequence[Trace]) -> None:
        origin = origin_of(args.checkpoint, pipe)
        named = [replace(trace, settings={**trace.settings, **origin}) for trace in traces]
        write_json(args.out, as_two(named, pipe))

    result = evaluate(
        pipe,
        tasks,
        args.difficulty,
        args.problems,
        args.seed,
        config,
        args.batch_size,
        on_progress=lambda done, total: line.show(done, total, {}),
        pass_at=args.pass_at,
        pictures=args.pictures,
        on_traces=keep if args.out is not None else None,
    )
    line.close(f"{result['problems']} problems done")
    return result | ({} if args.out is None else {"out": args.out})


def readable(result: dict[str, Any]) -> str:
    """A small table by task, then totals."""
    lines = [f"{'task':<12}{'success':>9}{'answer':>8}{'text':>8}{'image':>8}{'problems':>10}"]
    for task, row in result["by_task"].items():
        image = "–" if row["image_reward"] is None else f"{row['image_reward']:.3f}"
        lines.append(
            f"{task:<12}{row['success']:>9.3f}{row['answer_accuracy']:>8.3f}{row['text_reward']:>8.3f}"
            f"{image:>8}{row['problems']:>10}"
        )
    image = "–" if result["image_reward"] is None else f"{result['image_reward']:.3f}"
    low, high = result["ci95"]
    lines.append(
        f"{'mean':<12}{result['success']['mean']:>9.3f}{result['answer_accuracy']['mean']:>8.3f}"
        f"{result['text_reward']:>8.3f}{image:>8}{result['problems']:>10}"
    )
    lines.append(f"95 % interval of the mean success: {low:.3f} to {high:.3f}; {result['seconds']:.1f} s")
    lines.append(f"pictures {result['pictures']}: the answer's words are right {_estimate(result['says_answer'])}")
    for k, found in result.get("pass_at", {}).items():
        both = [
            f"{name} {one['mean']:.3f} ({one['ci95'][0]:.3f} to {one['ci95'][1]:.3f})" for name, one in found.items()
        ]
        lines.append(f"pass@{k}: {', '.join(both)}")
    if result["distinct_problems"] < result["problems"]:
        lines.append(f"{result['distinct_problems']} of the problems are distinct, the others were drawn again")
    if len(result["by_difficulty"]) > 1:
        rates = ", ".join(f"{d} {row['success']['mean']:.3f}" for d, row in result["by_difficulty"].items())
        lines.append(f"by difficulty: {rates}")
    if "out" in result:
        lines.append(f"rollouts: {result['out']}")
    ends = ", ".join(f"{count} × {reason}" for reason, count in list(result["end_reasons"].items())[:4])
    return "\n".join([*lines, f"ended: {ends}"])


def _estimate(found: dict[str, Any]) -> str:
    low, high = found["ci95"]
    return f"{found['mean']:.3f} ({low:.3f} to {high:.3f})"
