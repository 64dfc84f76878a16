"""``interference``: how much each modality's reward pushes the other's tokens."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mmreason import limits
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.tasks import add_tasks, named, tasks_of
from mmreason.wording import percent

HELP = "leak of each modality's reward into the other's gradient"
HISTORY = ("step", "sign_conflict", "idle_push", "sigma_ratio")  # what --run shows of each step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``interference``."""
    parser.add_argument(
        "--checkpoint",
        nargs="+",
        metavar="DIR",
        help="one or several, measured on the same problems (default: checkpoints/base, or --run's)",
    )
    parser.add_argument("--run", metavar="DIR", help="a run directory: its checkpoint, and its metrics over steps")
    add_tasks(parser)
    parser.add_argument("--difficulty", nargs="+", default=["medium", "hard"], metavar="D", help="easy, medium, hard")
    add_number(parser, limits.NUM_PROBLEMS, 12, "--num_problems", "--problems", says="groups", metavar="N")
    add_number(parser, limits.NUM_GENERATIONS, 8, metavar="G")
    add_number(parser, limits.SEED, 0)
    parser.add_argument("--granularity", default="trace", help="trace or turn (default: trace)")
    parser.add_argument("--scale_rewards", default="group", help="group, batch or none (default: group)")
    add_number(parser, limits.REWARD_WEIGHT, [1.0, 1.0], metavar=("TEXT", "IMAGE"), nargs=2)
    add_number(parser, limits.TRAIN_TEMPERATURE, 1.0, "--temperature")
    parser.add_argument("--out", metavar="FILE", help="also write the figures to FILE; the page shows them")
    parser.add_argument("--write_groups", metavar="DIR", help="write the groups with the most sign conflict there")
    add_number(parser, limits.NUM_PROBLEMS, 3, "--groups", says="how many of them", metavar="N")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; returns the last checkpoint's figures, and those of each under ``checkpoints``."""
    import time
    from dataclasses import replace

    from mmreason.analysis.interference import MeasureConfig, measure, roll_out
    from mmreason.commands._options.checkpoint import load_pipeline
    from mmreason.commands._options.files import check_files
    from mmreason.disk import write_json
    from mmreason.rewards.assignment import AssignmentConfig
    from mmreason.tasks import TASKS
    from mmreason.traces.plain import rounded
    from mmreason.training.hardware import keep_freed_memory
    from mmreason.training.run.progress import ProgressLine

    keep_freed_memory()
    weights = {"text": args.reward_weights[0], "image": args.reward_weights[1]}
    assignment = AssignmentConfig("joint", args.granularity, args.scale_rewards, weights)
    args.tasks = named(args.tasks)
    tasks = args.tasks or list(TASKS)
    config = MeasureConfig(
        tasks,
        args.difficulty,
        args.num_problems,
        args.num_generations,
        args.seed,
        assignment=assignment,
    )
    check_files({"--out": args.out})
    training = _history(args.run)
    paths = args.checkpoint or [f"{args.run}/checkpoint" if args.run else "checkpoints/base"]
    results = []
    for path in paths:
        began = time.perf_counter()
        pipe = load_pipeline(path)
        config = replace(config, tasks=tasks_of(pipe.vocabulary, args.tasks))
        sampling = pipe.scheduler.sampling_config(temperature=args.temperature)
        print(f"{path}: {config.num_problems} × {config.num_generations} rollouts", file=sys.stderr)
        groups, line = roll_out(pipe, config, sampling), ProgressLine("group", sys.stderr)
        result = {"checkpoint": path, "checkpoint_hash": pipe.fingerprint}
        result |= measure(
            pipe, groups, config, args.temperature, lambda done, total, line=line: line.show(done, total, {})
        )
        line.close(f"{len(groups)} groups measured")
        results.append(result | {"seconds": time.perf_counter() - began})
        if args.write_groups is not None:
            results[-1]["written"] = _write_groups(pipe, groups, config, args, path)
    settings = {
        "tasks": list(config.tasks),
        "difficulty": args.difficulty,
        "num_problems": args.num_problems,
        "num_generations": args.num_generations,
        "seed": args.seed,
        "granularity": args.granularity,
        "scale_rewards": args.scale_rewards,
        "reward_weights": weights,
        "temperature": args.temperature,
    }
    whole = results[-1] | {"settings": settings, "checkpoints": results, "training": training}
    if args.out is not None:
        shown = {"settings": settings, "checkpoints": results, "training": training}
        write_json(args.out, rounded(shown, 5), indent=1)
    return whole


def _history(run: str | None) -> list[dict[str, Any]]:
    """Sign conflict and idle push of each step of a training run; raises ConfigError."""
    from mmreason.errors import ConfigError
    from mmreason.training.run.rundir import read_metrics

    if run is None:
        return []
    rows = [row for row in read_metrics(Path(run)) if all(key in row for key in HISTORY)]
    if not rows:
        raise ConfigError(f"--run must be a run directory of `train` that has metrics, got {run!r}")
    return [{key: row[key] for key in HISTORY} for row in rows]


def _write_groups(pipe: Any, groups: Any, config: Any, args: argparse.Namespace, path: str) -> list[str]:
    """Write the most conflicted groups as trace files (version 2)."""
    from dataclasses import replace

    from mmreason.analysis.interference import USE, most_conflicted
    from mmreason.commands._options.checkpoint import origin_of
    from mmreason.sampling.generators import problem_seed
    from mmreason.traces.group import save_group

    origin = origin_of(path, pipe)
    written = []
    for rank, i in enumerate(most_conflicted(groups, config.assignment, args.groups), start=1):
        problem = groups[i][0].problem
        seed = problem_seed(USE, config.seed, problem)
        traces = [
            replace(trace, settings={**trace.settings, **origin, "seed": seed, "generation": g})
            for g, trace in enumerate(groups[i])
        ]
        name = f"{rank}-{problem.task}-{problem.difficulty}-{problem.index}.json"
        save_group(Path(args.write_groups) / name, traces, pipe.words, pipe.sheet)
        written.append(str(Path(args.write_groups) / name))
    return written


def readable(result: dict[str, Any]) -> str:
    """A small table by checkpoint, then by layer."""
    lines = []
    for found in result["checkpoints"]:
        lines += [
            f"{found['checkpoint']}: {found['groups']} groups, {found['groups_with_spread']} with spread, "
            f"{found['seconds']:.0f} s",
            f"  leak / signal {_n(found['leak_to_signal'])}, cosine {_n(found['cosine'])}",
            f"  pushed against their own reward {percent(found['sign_conflict'])} of segments, "
            f"pushed without one {percent(found['idle_push'])}",
            f"  signal-to-noise joint {_n(found['snr_joint'])}, without the leak {_n(found['snr_signal'])}, "
            f"factorized {_n(found['snr_factorized'])} (1 is noise alone)",
            f"  progress of a step joint {_n(found['progress_joint'])}, factorized "
            f"{_n(found['progress_factorized'])} (0 is noise alone)",
            f"  {'leak / signal':<14}{'all':>8}{'words':>8}{'pictures':>10}",
        ]
        for row in found["layers"]:
            numbers = [_n(part["leak_to_signal"]) for part in (row, row["text"], row["image"])]
            lines.append(f"  {row['name']:<14}{numbers[0]:>8}{numbers[1]:>8}{numbers[2]:>10}")
        lines += [f"  written: {path}" for path in found.get("written", [])]
    return "\n".join(lines)


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
