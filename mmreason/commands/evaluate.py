"""``evaluate``: held-out evaluation of a checkpoint."""

from __future__ import annotations

import argparse
import sys
from typing import Any

HELP = "success and rewards on fresh test problems"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``evaluate``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="default: all four")
    parser.add_argument("--problems", type=int, default=200, metavar="N", help="in all (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="any seed gives fresh problems (default: 0)")
    parser.add_argument("--difficulty", nargs="+", default=["medium"], metavar="D", help="easy, medium, hard")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 is greedy (default: 1)")
    parser.add_argument("--num_steps", type=int, help="denoising steps a segment (default: the checkpoint's)")
    parser.add_argument("--threshold", type=float, help="commit at once whatever is surer than this")
    parser.add_argument("--region", default="stated", help="stated, full or confidence (default: stated)")
    parser.add_argument("--order", help="confidence or entropy (default: the checkpoint's)")
    parser.add_argument("--batch_size", type=int, default=64, help="problems solved at once (default: 64)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate; returns what ``mmreason.analysis.evaluate`` says."""
    from mmreason.analysis.evaluate import check_choice, evaluate
    from mmreason.commands._checkpoint import given, load_pipeline
    from mmreason.sampling.scheduler import SamplingConfig
    from mmreason.tasks import TASKS

    tasks = args.tasks or list(TASKS)
    settings = given(args, "temperature", "num_steps", "threshold", "region", "order")
    SamplingConfig(**settings)
    check_choice(tasks, args.difficulty, args.problems, args.seed, args.batch_size)
    pipe = load_pipeline(args.checkpoint)
    config = pipe.scheduler.sampling_config(**settings)

    def show(done: int, total: int) -> None:
        print(f"\r{done} of {total} problems", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return evaluate(pipe, tasks, args.difficulty, args.problems, args.seed, config, args.batch_size, on_progress=show)


def readable(result: dict[str, Any]) -> str:
    """A small table by task, then totals."""
    lines = [f"{'task':<12}{'success':>9}{'text':>8}{'image':>8}{'problems':>10}"]
    for task, row in result["by_task"].items():
        image = "–" if row["image_reward"] is None else f"{row['image_reward']:.3f}"
        lines.append(f"{task:<12}{row['success']:>9.3f}{row['text_reward']:>8.3f}{image:>8}{row['problems']:>10}")
    image = "–" if result["image_reward"] is None else f"{result['image_reward']:.3f}"
    low, high = result["ci95"]
    lines.append(
        f"{'mean':<12}{result['success']['mean']:>9.3f}{result['text_reward']:>8.3f}{image:>8}{result['problems']:>10}"
    )
    lines.append(f"95 % interval of the mean success: {low:.3f} to {high:.3f}; {result['seconds']:.1f} s")
    if len(result["by_difficulty"]) > 1:
        rates = ", ".join(f"{d} {row['success']['mean']:.3f}" for d, row in result["by_difficulty"].items())
        lines.append(f"by difficulty: {rates}")
    ends = ", ".join(f"{count} × {reason}" for reason, count in list(result["end_reasons"].items())[:4])
    return "\n".join([*lines, f"ended: {ends}"])
