"""``train``: reinforcement learning with verifiable rewards, joint or factorized."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.run import add_run
from mmreason.commands._options.settings import add_settings, values_of
from mmreason.commands._options.tasks import named, tasks_of
from mmreason.commands._options.threads import add_threads, use_threads
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.run.report import TRACKERS

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mmreason.records import Trace
    from mmreason.training.run.rundir import RunDirectory

HELP = "GRPO from a checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR", help="start from this checkpoint")
    add_run(parser)
    add_settings(parser, GRPOConfig)
    parser.add_argument(
        "--reward",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION[=WEIGHT]",
        help="add a reward of your own, or FILE.py:FUNCTION; several may be given",
    )
    add_number(parser, limits.SLICE_SECONDS, 0.0, says="save and end within S seconds, to be resumed", metavar="S")
    add_number(parser, limits.LEAK_STEPS, 0, metavar="N")
    add_number(parser, limits.HELD_OUT_TRACES, 3, metavar="N")
    parser.add_argument(
        "--report_to",
        nargs="+",
        default=[],
        choices=TRACKERS,
        metavar="TRACKER",
        help="also tell metrics and sampled rollouts to trackio or wandb, which must be installed",
    )
    add_threads(parser)


def run(args: argparse.Namespace) -> dict[str, Any] | None:
    """Train; returns the last metrics, ``resumed_from`` and ``output``, and only in the main process."""
    from contextlib import nullcontext

    from mmreason.training.hardware import keep_freed_memory
    from mmreason.training.rl.trainer import processes
    from mmreason.training.run.rundir import RunDirectory

    args.tasks = named(args.tasks)
    keep_freed_memory()
    use_threads(args.threads)
    directory, accelerator = RunDirectory(args.output), processes()
    with directory.held() if accelerator.is_main_process else nullcontext():
        if accelerator.is_main_process:
            directory.check(args.resume, args.overwrite)
        result = _train(args, directory, accelerator)
    return result if accelerator.is_main_process else None


def _train(args: argparse.Namespace, directory: RunDirectory, accelerator: Accelerator) -> dict[str, Any]:
    """The same, in a directory that is this run's."""
    from dataclasses import replace

    from mmreason.analysis.interference import MeasureConfig, measure
    from mmreason.commands._options.checkpoint import load_policy
    from mmreason.errors import ConfigError
    from mmreason.rewards.custom import load_rewards
    from mmreason.sampling.config import SamplingConfig
    from mmreason.sampling.views.config import ViewsConfig
    from mmreason.sampling.views.pipeline import ViewsPipeline
    from mmreason.settings import build, given
    from mmreason.training.hardware import is_shared
    from mmreason.training.rl.grpo import Rollouts
    from mmreason.training.rl.presets import LEAK_GROUPS
    from mmreason.training.rl.trainer import Trainer
    from mmreason.training.run.progress import ProgressLine, step_values
    from mmreason.training.run.report import Report, tracker_of
    from mmreason.training.run.slice import Slice
    from mmreason.training.run.traces import keep_held_out, keep_samples

    known = directory.read_metrics() if args.resume and args.slice_seconds else ()
    pause = Slice(args.slice_seconds, known).is_over if args.slice_seconds else None
    for name in args.report_to:
        tracker_of(name)
    functions = load_rewards(args.reward)
    values = values_of(args, GRPOConfig)
    build(GRPOConfig, values)  # what is wrong is said before weights are read
    device = "cpu" if is_shared(accelerator) else None  # no device holds more of the base than its share
    pipe = load_policy(args.checkpoint, given(ViewsConfig, values), device)
    sampling = pipe.sampling_config(**given(SamplingConfig, values))
    parts = {"sampling": sampling} | ({"views": pipe.views} if isinstance(pipe, ViewsPipeline) else {})
    values["tasks"] = values["tasks"] or tasks_of(pipe.vocabulary, None)
    config: GRPOConfig = build(GRPOConfig, values, **parts)
    if args.leak_steps and (config.lora_rank or isinstance(pipe, ViewsPipeline)):
        raise ConfigError("leak_steps must be 0 with lora_rank: the leak is measured on all weights")
    trainer = Trainer(pipe, config, directory, accelerator, functions)
    if args.leak_steps and trainer.accelerator.num_processes > 1:
        raise ConfigError("leak_steps must be 0 with several processes")
    line = ProgressLine("step", sys.stderr)
    report = Report(args.report_to if accelerator.is_main_process else (), directory.path, values)

    def show(row: dict[str, Any]) -> None:
        report.row(row)
        line.show(row["step"], config.max_steps, step_values(row))
        if "success" in row:
            line.close(f"step {row['step']}: held-out success {row['success']['mean']:.3f}")

    def keep(rollouts: Rollouts, step: int) -> None:
        keep_samples(directory.path, step, rollouts.groups[0], pipe)
        report.rollouts(rollouts.groups[0], step)

    def keep_some(traces: Sequence[Trace], step: int) -> None:
        keep_held_out(directory.path, step, traces, pipe, args.held_out_traces)

    measuring = MeasureConfig(assignment=replace(config.assignment, assignment="joint"), loss=config.loss)

    def leak(rollouts: Rollouts, step: int) -> dict[str, Any]:
        if not args.leak_steps or isinstance(pipe, ViewsPipeline) or (step != 1 and step % args.leak_steps):
            return {}
        measured = measure(pipe, rollouts.groups[:LEAK_GROUPS], measuring, config.sampling.temperature)
        return {name: measured[name] for name in ("leak_to_signal", "cosine")}

    try:
        return trainer.train(
            args.resume,
            on_row=show,
            on_samples=keep,
            on_held_out=keep_some if args.held_out_traces and pipe.sheet is not None else None,
            measure=leak,
            pause=pause,
        )
    finally:
        report.close()
