"""``train``: reinforcement learning with verifiable rewards, joint or factorized."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.run import add_run
from mmreason.commands._options.threads import add_threads, use_threads

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mmreason.records import Trace
    from mmreason.training.run.rundir import RunDirectory

HELP = "GRPO from a checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR", help="where to start")
    add_run(parser)
    parser.add_argument("--assignment", choices=("joint", "factorized"), default="factorized")
    parser.add_argument("--granularity", choices=("trace", "turn"), default="trace")
    parser.add_argument("--scale_rewards", choices=("group", "batch", "none"), default="group")
    add_number(parser, limits.REWARD_WEIGHT, [1.0, 1.0], metavar=("TEXT", "IMAGE"), nargs=2)
    parser.add_argument("--reward", action="append", default=[], metavar="MODULE:FUNCTION", help="add your own reward")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="TASK[=WEIGHT]", help="default: all that it knows")
    parser.add_argument("--difficulty", nargs="+", default=["medium"], metavar="NAME[=WEIGHT]")
    add_number(parser, limits.STEPS, 60, metavar="N")
    add_number(parser, limits.SEED, 0)
    add_number(parser, limits.NUM_PROBLEMS, 16)
    add_number(parser, limits.NUM_GENERATIONS, 8)
    add_number(parser, limits.NUM_ITERATIONS, 1)
    add_number(parser, limits.LEARNING_RATE, 1e-4)
    add_number(parser, limits.WARMUP_STEPS, 5)
    parser.add_argument(
        "--lr_scheduler_type",
        choices=("constant", "linear"),
        default="constant",
        help="linear: to zero at the last step",
    )
    add_number(parser, limits.MAX_GRAD_NORM, 1.0)
    add_number(parser, limits.EPSILON, 0.2)
    add_number(parser, limits.EPSILON_HIGH)
    add_number(parser, limits.BETA, 0.0)
    parser.add_argument("--loss_type", choices=("dapo", "grpo", "dr_grpo"), default="dapo")
    parser.add_argument("--likelihood", choices=("trajectory", "one_step", "random_mask"), default="trajectory")
    add_number(parser, limits.TRAIN_TEMPERATURE, 1.0, "--temperature")
    add_number(parser, limits.NUM_STEPS, says="denoising steps a segment; default: the checkpoint's")
    add_number(
        parser,
        limits.THRESHOLD,
        says="commit at once whatever is surer; 0 is off; default: the checkpoint's",
    )
    parser.add_argument("--region", choices=("stated", "full", "confidence"), default="stated")
    add_number(parser, limits.MAX_TOKENS, says="positions in one backward pass; default: by device")
    add_number(parser, limits.LORA_RANK, 0)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--gradient_checkpointing", action="store_true")
    add_number(parser, limits.SAVE_STEPS, 20, metavar="N")
    add_number(parser, limits.SLICE_SECONDS, 0.0, says="save and end within S seconds, to be resumed", metavar="S")
    add_number(parser, limits.LOGGING_STEPS, 1)
    add_number(parser, limits.EVAL_STEPS, 20)
    add_number(parser, limits.EVAL_PROBLEMS, 80)
    add_number(parser, limits.LEAK_STEPS, 0, metavar="N")
    add_number(parser, limits.HELD_OUT_TRACES, 3, metavar="N")
    add_threads(parser)


def run(args: argparse.Namespace) -> dict[str, Any] | None:
    """Train; returns the last metrics, ``resumed_from`` and ``output``, and only in the main process."""
    from contextlib import nullcontext

    from mmreason.training.hardware import keep_freed_memory
    from mmreason.training.rl.trainer import processes
    from mmreason.training.run.rundir import RunDirectory

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
    from mmreason.commands._options.checkpoint import given, load_pipeline
    from mmreason.commands._options.weights import weights
    from mmreason.disk import write_json
    from mmreason.errors import ConfigError
    from mmreason.rewards.assignment import AssignmentConfig
    from mmreason.rewards.custom import load_reward
    from mmreason.tasks import TASKS
    from mmreason.traces.file import save, to_json
    from mmreason.traces.sheet import sheet_value
    from mmreason.training.rl.config import GRPOConfig, LossConfig
    from mmreason.training.rl.grpo import Rollouts
    from mmreason.training.rl.presets import LEAK_GROUPS
    from mmreason.training.rl.trainer import Trainer
    from mmreason.training.run.progress import ProgressLine, step_values
    from mmreason.training.run.slice import Slice

    known = directory.read_metrics() if args.resume and args.slice_seconds else ()
    pause = Slice(args.slice_seconds, known).is_over if args.slice_seconds else None
    functions = [load_reward(path) for path in args.reward]
    pipe = load_pipeline(args.checkpoint)
    tasks, difficulties = weights(args.tasks or pipe.vocabulary.known(TASKS)), weights(args.difficulty)
    sampling = given(args, "temperature", "num_steps", "threshold", "region")
    config = GRPOConfig(
        max_steps=args.steps,
        tasks=tasks,
        difficulties=difficulties,
        sampling=pipe.scheduler.sampling_config(**sampling),
        assignment=AssignmentConfig(
            assignment=args.assignment,
            granularity=args.granularity,
            scale_rewards=args.scale_rewards,
            reward_weights=dict(zip(("text", "image"), args.reward_weights, strict=True)),
        ),
        loss=LossConfig(**given(args, "epsilon", "epsilon_high", "beta", "loss_type")),
        **given(
            args,
            *("seed", "num_problems", "num_generations", "num_iterations", "learning_rate", "warmup_steps"),
            *("lr_scheduler_type", "max_grad_norm", "max_tokens", "likelihood", "bf16"),
            *("gradient_checkpointing", "lora_rank"),
            *("save_steps", "logging_steps", "eval_steps", "eval_problems"),
        ),
    )
    if args.leak_steps and args.lora_rank:
        raise ConfigError("leak_steps must be 0 with lora_rank: the leak is measured on all weights")
    trainer = Trainer(pipe, config, directory, accelerator, functions)
    if args.leak_steps and trainer.accelerator.num_processes > 1:
        raise ConfigError("leak_steps must be 0 with several processes")
    line = ProgressLine("step", sys.stderr)

    def show(row: dict[str, Any]) -> None:
        line.show(row["step"], config.max_steps, step_values(row))
        if "success" in row:
            line.close(f"step {row['step']}: held-out success {row['success']['mean']:.3f}")

    def keep(rollouts: Rollouts, step: int) -> None:
        folder = directory.path / "samples"
        for g, trace in enumerate(rollouts.groups[0]):
            save(folder / f"step{step:05d}-{g:02d}.json", to_json(trace, pipe.words, pipe.sheet))

    def keep_held_out(traces: Sequence[Trace], step: int) -> None:
        chosen = sorted({i * len(traces) // args.held_out_traces for i in range(args.held_out_traces)})
        files = [to_json(traces[i], pipe.words, pipe.sheet) for i in chosen]
        content = {"step": step, "sheet": sheet_value(pipe.sheet), "traces": files}
        write_json(directory.path / "held_out" / f"step{step:05d}.json", content)

    measuring = MeasureConfig(
        assignment=replace(config.assignment, assignment="joint"), loss_type=config.loss.loss_type
    )

    def leak(rollouts: Rollouts, step: int) -> dict[str, Any]:
        if not args.leak_steps or (step != 1 and step % args.leak_steps):
            return {}
        measured = measure(pipe, rollouts.groups[:LEAK_GROUPS], measuring, args.temperature)
        return {name: measured[name] for name in ("leak_to_signal", "cosine")}

    return trainer.train(
        args.resume,
        on_row=show,
        on_samples=keep,
        on_held_out=keep_held_out if args.held_out_traces else None,
        measure=leak,
        pause=pause,
    )
