"""``compute``: what rollouts cost, four arms side by side."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

from mmreason import limits
from mmreason.commands._options.again import again, changed
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.settings import add_chosen
from mmreason.commands._options.tasks import add_tasks, named, tasks_of
from mmreason.commands._options.threads import add_threads, use_threads
from mmreason.errors import ConfigError
from mmreason.places import ANALYSIS_PAGE
from mmreason.sampling.config import SamplingConfig
from mmreason.wording import change, points

HELP = "cost and success of four arms: autoregressive or diffusion, full or localized redraw"

_BY_FORMULA = ("shape", "output")  # all that --shape reads
_OF_FOUR_ARMS = ("ar", "no_frontier", "no_scaling", "no_memory")  # which --bidirectional does not read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``compute``."""
    parser.add_argument(
        "--shape", choices=["dimoo"], help="instead, the arms at the shape of a real 8 B checkpoint, by formula"
    )
    parser.add_argument(
        "--bidirectional",
        metavar="DIR",
        help="instead of the autoregressive policy, one of full attention: what it costs beside --checkpoint's blocks",
    )
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR", help="the diffusion policy")
    parser.add_argument("--ar", default="checkpoints/ar", metavar="DIR", help="the autoregressive policy")
    add_tasks(parser)
    add_number(parser, limits.PROBLEMS, 64, metavar="N")
    parser.add_argument("--difficulty", nargs="+", default=["medium"], metavar="D", help="easy, medium, hard")
    add_number(parser, limits.SEED, 0, says="any seed gives fresh problems")
    add_number(parser, limits.ROLLOUTS, 8, "--num_generations", says="rollouts of a problem")
    add_number(parser, limits.BATCH_SIZE, 64)
    add_number(parser, limits.PROBLEMS, 8, "--single", says="problems solved one by one", metavar="N")
    add_number(parser, limits.TEMPERATURE, 1.0)
    add_chosen(parser, SamplingConfig, "num_steps", "threshold")
    parser.add_argument("--no_frontier", action="store_true", help="leave out success against FLOPs")
    parser.add_argument("--no_scaling", action="store_true", help="leave out the seconds on larger canvases")
    parser.add_argument("--no_memory", action="store_true", help="leave out peak memory, a process for each arm")
    add_threads(parser)
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="results file (default: assets/results/compute.json; beside it, with --shape compute_dimoo.json and with "
        "--bidirectional compute_bidirectional.json)",
    )
    parser.add_argument(
        "--readme",
        metavar="FILE",
        help=f"page whose table is replaced (default: {ANALYSIS_PAGE}, where the results go to their usual file)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure and write; returns what the results file says."""
    _check_options(args)
    if args.shape is not None:
        return _by_formula(args)
    from mmreason.analysis.blocks import check_readme, update_readme
    from mmreason.analysis.evaluate import check_choice
    from mmreason.analysis.tables import attention_table, cost_table
    from mmreason.commands._options.checkpoint import load_pipeline
    from mmreason.commands._options.files import check_files, page_of
    from mmreason.disk import write_json
    from mmreason.tasks import TASKS

    compared, block, table = _with_ar, "compute", cost_table
    if args.bidirectional is not None:
        compared, block, table = _with_bidirectional, "compute_bidirectional", attention_table
    command = again("compute", add_arguments, args, "problems", "seed", "difficulty")
    usual = f"assets/results/{block}.json"
    args.output = args.output or usual
    args.tasks = named(args.tasks)
    check_choice(args.tasks or list(TASKS), args.difficulty, args.problems, args.seed, args.batch_size)
    check_files({"--output": args.output, "--readme": args.readme or ANALYSIS_PAGE})
    check_readme(args.readme, block)
    use_threads(args.threads)
    result = compared(args, load_pipeline(args.checkpoint)) | {"command": command}
    write_json(args.output, result, indent=1)
    update_readme(page_of(args.readme, ANALYSIS_PAGE, is_usual=args.output == usual), {block: table(result)})
    return result


def _check_options(args: argparse.Namespace) -> None:
    """Refuse what the comparison that is asked for does not read; raises ConfigError."""
    for option, words in changed(add_arguments, args).items():
        if args.shape is not None and option not in _BY_FORMULA:
            raise ConfigError(f"{shlex.join(words)} must be left out beside --shape, which is by formula")
        if args.bidirectional is not None and option in _OF_FOUR_ARMS:
            raise ConfigError(f"{shlex.join(words)} must be left out beside --bidirectional")


def _show(name: str, done: int, total: int) -> None:
    print(f"{name}: {done} of {total} problems", file=sys.stderr, flush=True)


def _with_ar(args: argparse.Namespace, base: Any) -> dict[str, Any]:
    """The four arms, with what only they have: memory, success against cost, and other sizes."""
    from mmreason.analysis.cost.compute import comparison, four_arms, frontier, peak_memory, typical_load
    from mmreason.analysis.cost.scaling import measured_scaling, scaling
    from mmreason.commands._options.checkpoint import load_pipeline

    ar = load_pipeline(args.ar)
    arms = four_arms(base, ar)
    config, problems = _asked(args, base, ar)
    rows, traces, counts = _measured(args, arms, problems, config)
    load = typical_load(traces["diffusion_local"], base, args.num_generations)
    result = comparison(rows, load, base.transformer.config) | counts
    if not args.no_memory:
        batch = problems[: max(1, args.batch_size // args.num_generations)]
        for arm in arms:
            folder = args.ar if arm.name.startswith("ar") else args.checkpoint
            setting = arm.settings(config)
            result["arms"][arm.name]["peak_memory"] = peak_memory(folder, batch, setting, args.num_generations)
    if not args.no_frontier:
        groups = args.num_generations, args.batch_size
        result["frontier"] = frontier(arms, problems, config, args.seed, *groups, on_progress=_show)
    if not args.no_scaling:
        result["scaling_measured"] = measured_scaling(
            base.transformer.config,
            load,
            device=base.device.type,
            on_progress=lambda text: print(text, file=sys.stderr),
        )
    result |= base.layout.recorded | {"scaling": scaling(base.transformer.config, load)}
    return result | _made_by(args, config, {"diffusion": base, "ar": ar})


def _with_bidirectional(args: argparse.Namespace, base: Any) -> dict[str, Any]:
    """Attention in blocks against full attention."""
    from mmreason.analysis.cost.compute import attention_cost, two_attentions
    from mmreason.commands._options.checkpoint import load_pipeline

    full = load_pipeline(args.bidirectional)
    arms = two_attentions(base, full)
    config, problems = _asked(args, base, full)
    rows, _, counts = _measured(args, arms, problems, config)
    return attention_cost(rows) | counts | _made_by(args, config, {"blocks": base, "whole": full})


def _measured(args: argparse.Namespace, arms: Any, problems: list[Any], config: Any) -> tuple[Any, Any, Any]:
    """What every arm costs and solves, its traces, and of how many problems."""
    from mmreason.analysis.cost.compute import side_by_side

    single = min(args.single, len(problems))
    rows, traces = side_by_side(
        arms, problems, config, args.seed, args.num_generations, args.batch_size, single, on_progress=_show
    )
    counts = {"num_generations": args.num_generations, "batch_size": args.batch_size, "single": single}
    return rows, traces, {"problems": len(problems)} | counts


def _asked(args: argparse.Namespace, base: Any, other: Any) -> tuple[Any, list[Any]]:
    """How to sample, and the problems: of tasks that both policies know."""
    from mmreason.commands._options.checkpoint import given
    from mmreason.tasks import TASKS
    from mmreason.training.validation import held_out

    config = base.scheduler.sampling_config(**given(args, "temperature", "num_steps", "threshold"))
    tasks = args.tasks or tasks_of(other.vocabulary, other.vocabulary.known(base.vocabulary.known(TASKS)))
    return config, held_out(tasks, args.difficulty, args.problems, args.seed, "test")


def _made_by(args: argparse.Namespace, config: Any, policies: dict[str, Any]) -> dict[str, Any]:
    """With which weights, sampler and machine a result was measured."""
    import platform

    import torch

    device = next(iter(policies.values())).device.type
    return {
        "difficulty": args.difficulty,
        "seed": args.seed,
        "sampling": {name: getattr(config, name) for name in ("temperature", "num_steps", "threshold")},
        "fingerprints": {name: pipe.fingerprint for name, pipe in policies.items()},
        "machine": {"device": device, "threads": torch.get_num_threads(), "processor": platform.machine()},
    }


def _by_formula(args: argparse.Namespace) -> dict[str, Any]:
    """The arms of a real shape; no network is built."""
    from mmreason.analysis.cost.real import real_cost
    from mmreason.commands._options.files import check_files
    from mmreason.disk import write_json

    output = args.output or f"assets/results/compute_{args.shape}.json"
    check_files({"--output": output})
    result = real_cost(args.shape)
    write_json(output, result, indent=1)
    return result


def readable(result: dict[str, Any]) -> str:
    """The arms as a table, then the ratios."""
    if "shape" in result:
        from mmreason.analysis.cost.real import table

        return table(result)
    lines = [
        f"{'arm':<16}{'MFLOPs':>9}{'passes':>8}{'tokens':>8}{'ms':>8}{'ms alone':>10}{'success':>9}  95 % interval"
    ]
    for name, row in result["arms"].items():
        low, high = row["ci95"]
        lines.append(
            f"{name:<16}{row['flops'] / 1e6:>9.0f}{row['forward_passes']:>8.1f}{row['tokens_forwarded']:>8.1f}"
            f"{row['seconds'] * 1e3:>8.1f}{row['seconds_single'] * 1e3:>10.0f}{row['success']:>9.3f}"
            f"  {low:.3f} to {high:.3f}"
        )
    if "times" in result:
        from mmreason.analysis.tables import times_in_words

        return "\n".join([*lines, *times_in_words(result)])
    lines.append(
        f"diffusion_local against ar_full: FLOPs {change(-result['flops_reduction'])}, "
        f"{result['time_ratio']:.1f} times as fast at batch {result['batch_size']}, "
        f"{result['time_ratio_single']:.1f} times alone, success {points(result['success_difference'])} points"
    )
    return "\n".join(lines)
