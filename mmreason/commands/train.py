"""``train``: reinforcement learning with verifiable rewards, joint or factorized."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmreason.commands._threads import add_threads, use_threads

if TYPE_CHECKING:
    from mmreason.records import Trace

HELP = "GRPO from a checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR", help="where to start")
    parser.add_argument("--output", required=True, metavar="DIR", help="run directory; DIR/checkpoint is the result")
    parser.add_argument("--resume", action="store_true", help="go on from the last saved step in --output")
    parser.add_argument("--assignment", choices=("joint", "factorized"), default="factorized")
    parser.add_argument("--granularity", choices=("trace", "turn"), default="trace")
    parser.add_argument("--scale_rewards", choices=("group", "batch", "none"), default="group")
    parser.add_argument("--reward_weights", type=float, nargs=2, default=[1.0, 1.0], metavar=("TEXT", "IMAGE"))
    parser.add_argument("--reward", action="append", default=[], metavar="MODULE:FUNCTION", help="add your own reward")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="TASK[=WEIGHT]", help="default: all four")
    parser.add_argument("--difficulty", nargs="+", default=["medium"], metavar="NAME[=WEIGHT]")
    parser.add_argument("--steps", type=int, default=60, metavar="N", help="updates (default: 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_problems", type=int, default=16, help="problems a step (default: 16)")
    parser.add_argument("--num_generations", type=int, default=8, help="rollouts a problem (default: 8)")
    parser.add_argument("--num_iterations", type=int, default=1, help="updates a batch of rollouts (default: 1)")
    parser.add_argument("--learning_rate", type=float, default=1e-4)
    parser.add_argument("--warmup_steps", type=int, default=5)
    parser.add_argument(
        "--lr_scheduler_type",
        choices=("constant", "linear"),
        default="constant",
        help="linear: to zero at the last step",
    )
    parser.add_argument("--max_grad_norm", type=float, default=1.0)
    parser.add_argument("--epsilon", type=float, default=0.2)
    parser.add_argument("--epsilon_high", type=float)
    parser.add_argument("--beta", type=float, default=0.0, help="weight of the KL to the start (default: 0)")
    parser.add_argument("--loss_type", choices=("dapo", "grpo", "dr_grpo"), default="dapo")
    parser.add_argument("--likelihood", choices=("trajectory", "one_step", "random_mask"), default="trajectory")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--num_steps", type=int, help="denoising steps a segment (default: the checkpoint's)")
    parser.add_argument("--threshold", type=float, help="commit at once whatever is surer than this")
    parser.add_argument("--region", choices=("stated", "full", "confidence"), default="stated")
    parser.add_argument("--max_tokens", type=int, help="positions in one backward pass (default: by device)")
    parser.add_argument("--lora_rank", type=int, default=0, help="train low-rank adapters only (default: 0, all)")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--gradient_checkpointing", action="store_true")
    parser.add_argument("--save_steps", type=int, default=20, metavar="N")
    parser.add_argument(
        "--slice_seconds",
        type=float,
        default=0.0,
        metavar="S",
        help="save and end within about S seconds, for --resume to go on from (default: 0, off)",
    )
    parser.add_argument("--logging_steps", type=int, default=1)
    parser.add_argument("--eval_steps", type=int, default=20)
    parser.add_argument("--eval_problems", type=int, default=80, help="held-out problems an evaluation")
    parser.add_argument(
        "--leak_steps",
        type=int,
        default=0,
        metavar="N",
        help="measure leak against signal every N steps (default: 0, off)",
    )
    parser.add_argument(
        "--held_out_traces", type=int, default=3, metavar="N", help="traces an evaluation keeps (default: 3)"
    )
    add_threads(parser)


def run(args: argparse.Namespace) -> dict[str, Any] | None:
    """Train; returns the last metrics, ``resumed_from`` and ``output``, and only in the main process."""
    from dataclasses import replace

    from mmreason.analysis.interference import MeasureConfig, measure
    from mmreason.commands._checkpoint import given, load_pipeline
    from mmreason.commands._weights import weights
    from mmreason.disk import write_json
    from mmreason.errors import ConfigError
    from mmreason.rewards.assignment import AssignmentConfig
    from mmreason.rewards.custom import load_reward
    from mmreason.tasks import TASKS
    from mmreason.traces.file import save, to_json
    from mmreason.traces.sheet import sheet_value
    from mmreason.training.grpo import GRPOConfig, Rollouts
    from mmreason.training.loss import LossConfig
    from mmreason.training.memory import keep_freed_memory
    from mmreason.training.presets import LEAK_GROUPS
    from mmreason.training.progress import ProgressLine, step_values
    from mmreason.training.rundir import RunDirectory
    from mmreason.training.slice import Slice
    from mmreason.training.trainer import Trainer

    if args.steps < 1:
        raise ConfigError(f"steps must be at least 1, got {args.steps}")
    keep_freed_memory()
    use_threads(args.threads)
    directory = RunDirectory(args.output)
    known = directory.read_metrics() if args.resume and args.slice_seconds else ()
    pause = Slice(args.slice_seconds, known).is_over if args.slice_seconds else None
    functions = [load_reward(path) for path in args.reward]
    pipe = load_pipeline(args.checkpoint)
    sampling = given(args, "temperature", "num_steps", "threshold", "region")
    config = GRPOConfig(
        max_steps=args.steps,
        tasks=weights(args.tasks or list(TASKS)),
        difficulties=weights(args.difficulty),
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
    for name in ("leak_steps", "held_out_traces", "slice_seconds"):
        if getattr(args, name) < 0:
            raise ConfigError(f"{name} must be at least 0, got {getattr(args, name)}")
    if args.leak_steps and args.lora_rank:
        raise ConfigError("leak_steps must be 0 with lora_rank: the leak is measured on all weights")
    trainer = Trainer(pipe, config, directory, reward_functions=functions)
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

    result = trainer.train(
        args.resume,
        on_row=show,
        on_samples=keep,
        on_held_out=keep_held_out if args.held_out_traces else None,
        measure=leak,
        pause=pause,
    )
    return result if trainer.accelerator.is_main_process else None
