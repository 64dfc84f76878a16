"""``train``: reinforcement learning with verifiable rewards, joint or factorized."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.checkpoint import add_base
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.run import add_run, stopped
from mmreason.commands._options.settings import add_settings, values_of
from mmreason.commands._options.tasks import named, tasks_of
from mmreason.commands._options.threads import add_threads, use_threads
from mmreason.errors import ConfigError
from mmreason.rewards.assignment import ASSIGNMENTS
from mmreason.settings import build, given, settings_of
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.run.report import TRACKERS

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mmreason.records import Trace
    from mmreason.rewards.custom import Reward
    from mmreason.sampling.pipeline import InterleavedReasoningPipeline
    from mmreason.sampling.views.pipeline import ViewsPipeline
    from mmreason.training.rl.grpo import Rollouts
    from mmreason.training.rl.turns import Turns
    from mmreason.training.run.remaining import Countdown
    from mmreason.training.run.rundir import RunDirectory

HELP = "GRPO from a checkpoint"
LESS_MEMORY = (
    "a lower --max_tokens, --num_generations or --lora_rank, --bf16, or --gradient_checkpointing where it is off"
)
KEPT = 9  # traces of an evaluation, where nothing else is said


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR", help="start from this checkpoint")
    add_base(parser)
    add_run(parser)
    add_settings(parser, GRPOConfig)
    parser.add_argument(
        "--arms",
        nargs="+",
        default=[],
        choices=ASSIGNMENTS,
        metavar="ASSIGNMENT",
        help="train these assignments side by side, a step of each in turn, each in its own folder of --output",
    )
    parser.add_argument(
        "--reward",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION[=WEIGHT]",
        help="add a reward of your own, or FILE.py:FUNCTION; several may be given",
    )
    add_number(parser, limits.SLICE_SECONDS, 0.0, says="save and end within S seconds, to be resumed", metavar="S")
    add_number(parser, limits.LEAK_STEPS, 0, metavar="N")
    add_number(parser, limits.HELD_OUT_TRACES, shown=KEPT, metavar="N")
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
    """Train; returns the last metrics, ``resumed_from`` and ``output``, and only in the main process.

    Of several arms, these by arm.  ``stopped`` is there where it was asked to end; raises Stopped if a signal did.
    """
    from mmreason.training.hardware import keep_freed_memory, processes
    from mmreason.training.run.rundir import RunDirectory

    args.tasks = named(args.tasks)
    _check_arms(args)
    keep_freed_memory()
    use_threads(args.threads)
    folders = {arm: Path(args.output) / arm for arm in args.arms} or {args.assignment: Path(args.output)}
    directories, accelerator = {arm: RunDirectory(folder) for arm, folder in folders.items()}, processes()
    if args.arms and accelerator.num_processes > 1:
        raise ConfigError("--arms are for one process: of several, train one arm after the other")
    with ExitStack() as held:
        if accelerator.is_main_process:
            for directory in directories.values():
                held.enter_context(directory.held())
            begun = [each for each in directories.values() if each.has_begun] if args.resume and args.arms else []
            for directory in directories.values():  # of arms that are resumed one may not have begun
                directory.check(args.resume and (not begun or directory in begun), args.overwrite)
        results, signals = _train(args, directories, accelerator)
    if not accelerator.is_main_process:
        return None
    result = {"arms": results} if args.arms else results[args.assignment]
    step = min(row["step"] for row in results.values())
    return stopped(result, step, args.steps, signals) if step < args.steps else result


def _check_arms(args: argparse.Namespace) -> None:
    """Refuse with ``--arms`` what is of one arm; raises ConfigError."""
    if not args.arms:
        return
    if len(set(args.arms)) < max(2, len(args.arms)):
        raise ConfigError(f"--arms must name two assignments or more, each once, got {' '.join(args.arms)}")
    if args.assignment != settings_of(GRPOConfig)["assignment"].start:
        raise ConfigError("--arms name the assignments: leave --assignment out")
    if args.report_to:
        raise ConfigError("--report_to tells of one training: leave it out with --arms")


def _train(
    args: argparse.Namespace, directories: Mapping[str, RunDirectory], accelerator: Accelerator
) -> tuple[dict[str, dict[str, Any]], list[int]]:
    """The same, in directories that are this run's; by arm, and the signals that came meanwhile."""
    from mmreason.commands._options.checkpoint import load_policy
    from mmreason.rewards.custom import load_rewards
    from mmreason.sampling.views.config import ViewsConfig
    from mmreason.sampling.views.pipeline import ViewsPipeline
    from mmreason.training.hardware import is_shared
    from mmreason.training.rl.turns import in_turn
    from mmreason.training.run.remaining import Countdown, Plan
    from mmreason.training.run.report import tracker_of
    from mmreason.training.run.signals import interrupts
    from mmreason.training.run.slice import Slice

    told = {arm: each.read_metrics() if args.resume else [] for arm, each in directories.items()}
    rows = [row for each in told.values() for row in each]
    pause = Slice(args.slice_seconds, rows).is_over if args.slice_seconds else None
    for name in args.report_to:
        tracker_of(name)
    functions = load_rewards(args.reward)
    values = values_of(args, GRPOConfig)
    config: GRPOConfig = build(GRPOConfig, values)  # what is wrong is said before weights are read
    countdown = Countdown(Plan(config.max_steps, config.eval_steps, args.leak_steps), told)
    device = "cpu" if is_shared(accelerator) else None  # no device holds more of the base than its share
    views, pipes = given(ViewsConfig, values), {}
    for arm in directories:
        first = next(iter(pipes.values()), None)
        if isinstance(first, ViewsPipeline):
            pipes[arm] = first.beside()
        else:
            pipes[arm] = load_policy(args.checkpoint, views, device, args.base)
    with ExitStack() as opened:
        interrupted = opened.enter_context(interrupts())
        arms = {
            arm: _turns(
                *(args, values | {"assignment": arm}, pipes[arm], directory, accelerator, functions),
                *(countdown, opened),
            )
            for arm, directory in directories.items()
        }
        ended = in_turn([turns(interrupted) for turns in arms.values()], args.steps, pause)
    return dict(zip(directories, ended, strict=True)), interrupted


def _turns(
    args: argparse.Namespace,
    values: dict[str, Any],
    pipe: InterleavedReasoningPipeline | ViewsPipeline,
    directory: RunDirectory,
    accelerator: Accelerator,
    functions: Sequence[Reward],
    countdown: Countdown,
    opened: ExitStack,
) -> Callable[[Collection[Any]], Turns]:
    """The training of ``values``, to be begun; raises ConfigError."""
    from mmreason.analysis.interference import MeasureConfig, measure
    from mmreason.sampling.config import SamplingConfig
    from mmreason.sampling.views.pipeline import ViewsPipeline
    from mmreason.training.rl.presets import LEAK_GROUPS
    from mmreason.training.rl.trainer import Trainer
    from mmreason.training.run.progress import ProgressLine, left_words, step_values
    from mmreason.training.run.report import Report
    from mmreason.training.run.traces import keep_held_out, keep_samples

    sampling = pipe.sampling_config(**given(SamplingConfig, values))
    parts = {"sampling": sampling} | ({"views": pipe.views} if isinstance(pipe, ViewsPipeline) else {})
    values["tasks"] = values["tasks"] or tasks_of(pipe.vocabulary, None)
    config: GRPOConfig = build(GRPOConfig, values, **parts)
    if args.leak_steps and (config.lora_rank or isinstance(pipe, ViewsPipeline)):
        raise ConfigError("leak_steps must be 0 with lora_rank: the leak is measured on all weights")
    kept = KEPT if args.held_out_traces is None else args.held_out_traces
    trainer = Trainer(pipe, config, directory, accelerator, functions)
    if args.leak_steps and trainer.accelerator.num_processes > 1:
        raise ConfigError("leak_steps must be 0 with several processes")
    arm = f"{config.assignment.assignment} " if args.arms else ""
    line = ProgressLine(f"{arm}step", sys.stderr)
    report = Report(args.report_to if accelerator.is_main_process else (), directory.path, values)
    opened.callback(report.close)

    def show(row: dict[str, Any]) -> None:
        report.row(row)
        left = countdown.add(config.assignment.assignment, row)
        line.show(row["step"], config.max_steps, step_values(row), left_words(left))
        if "success" in row:
            line.close(f"{arm}step {row['step']}: held-out success {row['success']['mean']:.3f}")

    def keep(rollouts: Rollouts, step: int) -> None:
        keep_samples(directory.path, step, rollouts.groups[0], pipe)
        report.rollouts(rollouts.groups[0], step)

    def keep_some(traces: Sequence[Trace], step: int) -> None:
        keep_held_out(directory.path, step, traces, pipe, kept)

    measuring = MeasureConfig(assignment=replace(config.assignment, assignment="joint"), loss=config.loss)

    def leak(rollouts: Rollouts, step: int) -> dict[str, Any]:
        if isinstance(pipe, ViewsPipeline) or not countdown.plan.measures(step):
            return {}
        measured = measure(pipe, rollouts.groups[:LEAK_GROUPS], measuring, config.sampling.temperature)
        return {name: measured[name] for name in ("leak_to_signal", "cosine")}

    return partial(
        trainer.turns,
        args.resume,
        on_row=show,
        on_samples=keep,
        on_held_out=keep_some if kept else None,
        measure=leak,
    )
