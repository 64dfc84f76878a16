"""``pretrain``: train the image tokenizer on drawings, then the policy on demonstrations.

Of a public checkpoint adapters are trained on the demonstrations: the cold start that ``train`` needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.checkpoint import add_base, is_public
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.run import add_run, check_alone, stopped
from mmreason.commands._options.settings import add_settings, given_beside, values_of
from mmreason.commands._options.tasks import named
from mmreason.commands._options.threads import add_threads, use_threads
from mmreason.errors import ConfigError
from mmreason.training.supervised.config import ColdStartConfig, PretrainConfig

if TYPE_CHECKING:
    from diffusers import VQModel

    from mmreason.training.run.progress import ProgressLine
    from mmreason.training.run.rundir import RunDirectory

HELP = "supervised stage: image tokenizer, then policy; or adapters of a public checkpoint"
LESS_MEMORY = "a lower --tokens_per_part, --rows_per_part or --lora_rank, or --gradient_checkpointing where it is off"
OF_OURS = {  # flags beside the settings that only a policy of ours knows, and what they are where they are left out
    "image_tokenizer": None,
    limits.WIDTH.name: None,
    limits.HEADS.name: None,
    limits.LAYERS.name: None,
    "vq_steps": 1000,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``pretrain``."""
    add_run(parser)
    parser.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="start from this checkpoint's tokenizers and policy; of a public family: its adapters",
    )
    add_base(parser)
    parser.add_argument("--image_tokenizer", metavar="DIR", help="take this checkpoint's image tokenizer only")
    add_settings(parser, PretrainConfig, adapters=ColdStartConfig)
    add_number(parser, limits.WIDTH)
    add_number(parser, limits.HEADS, says="heads of a new policy; default: its width by 64")
    add_number(parser, limits.LAYERS)
    add_number(
        parser,
        limits.STEPS,
        OF_OURS["vq_steps"],
        "--vq_steps",
        says="steps of a new image tokenizer before its codes; its decoder takes 300 more",
    )
    add_threads(parser, default=2)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train; returns the last metrics.

    ``stopped`` is there where it was asked to end; raises Stopped if a signal did.
    """
    from mmreason.training.hardware import keep_freed_memory
    from mmreason.training.run.rundir import RunDirectory

    args.tasks = named(args.tasks)
    public = args.checkpoint is not None and is_public(args.checkpoint)
    if args.base is not None and not public:
        raise ConfigError("--base is for adapters, and --checkpoint names none")
    _check_kind(args, public)
    keep_freed_memory()
    use_threads(args.threads)
    directory = RunDirectory(args.output)
    with directory.held():
        directory.check(args.resume, args.overwrite, goes_on_from=("state", "vqvae"))
        if public:
            return _cold_start(args, directory)
        return _pretrain(args, directory)


def _check_kind(args: argparse.Namespace, public: bool) -> None:
    """Refuse what only the other kind of checkpoint knows, before anything is read; raises ConfigError."""
    from mmreason.settings import build

    check_alone("pretrain")
    config, other = (ColdStartConfig, PretrainConfig) if public else (PretrainConfig, ColdStartConfig)
    flag = given_beside(args, config, other)
    new = next((f"--{name}" for name, left in OF_OURS.items() if getattr(args, name) != left), None)
    if public:
        flag = flag or new
    if flag is not None:
        whose = f"a policy of ours; of {args.checkpoint!r}" if public else "checkpoints of public families, of which"
        raise ConfigError(f"{flag} is for {whose} adapters are trained")
    if args.checkpoint is not None and new is not None:
        raise ConfigError(f"{new} is for a new policy, got --checkpoint {args.checkpoint!r} too, which has its own")
    if args.image_tokenizer is not None and args.vq_steps != OF_OURS["vq_steps"]:
        raise ConfigError("--vq_steps is for a new image tokenizer, got --image_tokenizer as well")
    if sizes := _sizes(args):
        from mmreason.models.configuration import InterleavedDiffusionConfig

        InterleavedDiffusionConfig(**sizes).check_sizes()
    made = build(config, values_of(args, config))
    if not args.resume:  # runs of earlier versions may have such a weight
        (made.lessons if public else made.corpus).check_levels()


def _sizes(args: argparse.Namespace) -> dict[str, Any]:
    """Those of a new policy that were asked for; none where it is to be as ours are."""
    if not (args.hidden_size or args.num_hidden_layers or args.num_attention_heads):
        return {}
    width = args.hidden_size or 192
    heads = args.num_attention_heads or max(1, width // 64)
    sizes = {"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": heads}
    layers = args.num_hidden_layers
    return sizes | ({"num_hidden_layers": layers, "hint_layer": max(1, layers - 2)} if layers else {})


def _cold_start(args: argparse.Namespace, directory: RunDirectory) -> dict[str, Any]:
    """Train adapters of a public checkpoint."""
    from mmreason.commands._options.checkpoint import load_policy
    from mmreason.sampling.views.config import ViewsConfig
    from mmreason.sampling.views.pipeline import ViewsPipeline
    from mmreason.settings import build, given
    from mmreason.training.supervised.cold_start import cold_start

    values = values_of(args, ColdStartConfig)
    pipe = load_policy(args.checkpoint, given(ViewsConfig, values), base=args.base)
    assert isinstance(pipe, ViewsPipeline)
    config: ColdStartConfig = build(ColdStartConfig, values, views=pipe.views)
    line, show = _shown("adapters", config.steps)
    return _ended(directory, config.steps, line, lambda: cold_start(directory, config, pipe, args.resume, show))


def _ended(
    directory: RunDirectory, steps: int, line: ProgressLine, train: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """What ``train`` gives; raises Stopped."""
    from mmreason.training.run.signals import interrupts

    with interrupts() as signals:
        metrics = train()
    line.close("")
    step = metrics.get("step", steps)
    asked = step < steps and (signals or directory.stop_requested)  # or its seconds are over
    return stopped(metrics, step, steps, signals) if asked else metrics


def _shown(name: str, steps: int) -> tuple[ProgressLine, Callable[[dict[str, Any]], None]]:
    """The line that shows a run's progress, and what is told of each row of its metrics."""
    from mmreason.training.run.progress import ProgressLine

    line = ProgressLine(name, sys.stderr)

    def show(row: dict[str, Any]) -> None:
        line.show(row["step"], steps, {k: row[k] for k in ("loss/text", "loss/image", "problems_per_second")})
        if "success" in row:
            line.close(f"step {row['step']}: validation success {row['success']}")

    return line, show


def _config(args: argparse.Namespace, directory: RunDirectory) -> PretrainConfig:
    from dataclasses import replace

    from mmreason.sampling.pipeline import fastest_device
    from mmreason.settings import build
    from mmreason.training.hardware import half_pays

    config: PretrainConfig = build(PretrainConfig, values_of(args, PretrainConfig))
    before = directory.read_config().get("bf16") if args.resume else None  # a run stays what it was
    bf16 = config.bf16 and (half_pays(fastest_device()) if before is None else bool(before))
    print(f"trains in {'bfloat16' if bf16 else '32 bits'}", file=sys.stderr)
    return replace(config, bf16=bf16)


def _pretrain(args: argparse.Namespace, directory: RunDirectory) -> dict[str, Any]:
    """The same, in a directory that is this run's: first the image tokenizer, then the policy."""
    from diffusers import VQModel

    from mmreason.commands._options.checkpoint import load_pipeline
    from mmreason.records import DIFFICULTIES
    from mmreason.sampling.pipeline import fastest_device
    from mmreason.training.run.progress import ProgressLine
    from mmreason.training.supervised.pretrain import check_lessons, pretrain
    from mmreason.training.supervised.vqvae import VQTrainConfig, codes_needed, evaluate_vqvae, train_vqvae
    from mmreason.training.validation import held_out

    device = fastest_device()
    policy = tokenizer = scheduler = None
    start = args.image_tokenizer if args.checkpoint is None else args.checkpoint
    given = "--image_tokenizer" if args.checkpoint is None else "--checkpoint"
    more = {"image_tokenizer_from": f"--vq_steps {args.vq_steps}" if start is None else given}
    pipe = None if start is None else load_pipeline(start)
    if pipe is not None and args.checkpoint:
        args.attention = args.attention or pipe.transformer.config.attention
        args.turn = args.turn or pipe.transformer.config.turn
    config = _config(args, directory)
    if pipe is not None and args.checkpoint:
        check_lessons(config, pipe.vocabulary, pipe.transformer.config.causal)
    else:
        check_lessons(config)
    if start is None:  # the image tokenizer is measured on others of the split: one of each kind tells of all
        tasks = list(config.corpus.tasks)
        held_out(tasks, DIFFICULTIES, len(tasks) * len(DIFFICULTIES), args.seed, "test")
    if not args.resume:
        with directory.writing():
            directory.clear()
    elif pipe is None and directory.has("state") and not directory.has("vqvae"):
        raise ConfigError(
            f"the run in {args.output!r} began from a checkpoint: --resume goes on with --checkpoint, and all else, "
            "as at its start"
        )
    if pipe is not None and args.checkpoint:
        vqvae, policy, tokenizer, scheduler = pipe.vqvae, pipe.transformer, pipe.tokenizer, pipe.scheduler
    elif pipe is not None:
        vqvae = pipe.vqvae
        if not (directory.has_begun and directory.has("vqvae")):  # or it is compared with what began there
            _note(directory, config, more)
            _keep(directory, vqvae, config, more)
    elif directory.has("vqvae"):
        vqvae = VQModel.from_pretrained(directory.path / "vqvae")
    else:
        _note(directory, config, more)
        line, tasks = ProgressLine("tokenizer", sys.stderr), tuple(config.corpus.tasks)
        vqvae = train_vqvae(
            VQTrainConfig(codes_needed(tasks), args.vq_steps, seed=args.seed, tasks=tasks),
            lambda step, total, loss: line.show(step, total, {"loss": loss}),
        )
        _keep(directory, vqvae, config, more)
        report = evaluate_vqvae(vqvae, tasks=tasks)
        line.close(f"held-out cells recognised {report.recognised:.4f}, PSNR {report.psnr:.1f} dB")
    line, show = _shown("policy", config.steps)
    vqvae.to(device)  # pyright: ignore[reportArgumentType]
    parts = tokenizer, scheduler, _sizes(args), more
    return _ended(
        directory, config.steps, line, lambda: pretrain(directory, config, vqvae, policy, args.resume, show, *parts)
    )


def _note(directory: RunDirectory, config: PretrainConfig, more: Mapping[str, Any]) -> None:
    """Note the settings of a run without an image tokenizer yet, which can then begin anew; raises ConfigError."""
    from mmreason.training.run.resume import MAY_DIFFER, check_resumable, write_settings
    from mmreason.training.supervised.pretrain import RESUME_WITH_OTHER

    if directory.has_begun:
        check_resumable(directory, config, more, 0, (*MAY_DIFFER, *RESUME_WITH_OTHER))
    with directory.writing():
        write_settings(directory, config, more, directory.has_begun)


def _keep(directory: RunDirectory, vqvae: VQModel, config: PretrainConfig, more: Mapping[str, Any]) -> None:
    """Save the image tokenizer for a resumed run, and the settings that it must have in common with this one."""
    from mmreason.sampling.pipeline import fingerprint_of
    from mmreason.training.run.resume import write_settings

    with directory.writing():
        directory.write_folder("vqvae", lambda folder: vqvae.save_pretrained(folder))
        settings = {**more, "image_tokenizer": fingerprint_of(vqvae)}
        write_settings(directory, config, settings, directory.has_begun)
