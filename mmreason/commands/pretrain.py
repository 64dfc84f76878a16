"""``pretrain``: train the image tokenizer on drawings, then the policy on demonstrations."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from mmreason import limits
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.run import add_run
from mmreason.commands._options.threads import add_threads, use_threads

if TYPE_CHECKING:
    from diffusers import VQModel

    from mmreason.training.run.rundir import RunDirectory
    from mmreason.training.supervised.pretrain import PretrainConfig

HELP = "supervised stage: image tokenizer, then policy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``pretrain``."""
    add_run(parser)
    parser.add_argument("--checkpoint", help="start from this checkpoint's tokenizers and policy")
    parser.add_argument("--image_tokenizer", metavar="DIR", help="take this checkpoint's image tokenizer only")
    add_number(parser, limits.SEED, 0)
    add_number(parser, limits.STEPS, 4000)
    add_number(parser, limits.NUM_PROBLEMS, 96, "--problems_per_batch", says="problems of one update")
    add_number(parser, limits.NUM_COPIES, 2)
    parser.add_argument("--tasks", nargs="+", default=[], metavar="TASK[=WEIGHT]", help="default: all, weight 1")
    parser.add_argument(
        "--difficulty",
        nargs="+",
        default=["easy=1", "medium=2"],
        metavar="[TASK/]NAME[=WEIGHT]",
        help="weights, of all tasks or of one: easy=1 medium=2 jigsaw/hard=0.1 (default: easy=1 medium=2)",
    )
    add_number(parser, limits.SHARE, 0.0, "--full_region_share", says="share of whole-canvas demonstrations")
    add_number(parser, limits.SHARE, 0.0, "--late_start_share", says="share numbered from a later turn")
    parser.add_argument("--causal", action="store_true", help="an autoregressive policy: next token, causal mask")
    add_number(parser, limits.LEARNING_RATE, 2e-3, says="peak rate of AdamW")
    add_number(parser, limits.LEARNING_RATE, 0.02, "--muon_learning_rate", says="peak rate of Muon")
    add_number(parser, limits.SHARE, 0.25, "--decay_share", says="last part of the run with falling rates")
    says = "last part of the run, learning to do in one step what takes four"
    add_number(parser, limits.SHARE, 0.0, "--own_share", says=says)
    add_number(parser, limits.MAX_SECONDS)
    add_number(parser, limits.STEPS, None, "--keep_steps", says="keep DIR/checkpoint-N of every N steps", metavar="N")
    add_number(parser, limits.SAVE_STEPS, 200)
    add_number(parser, limits.LOGGING_STEPS, 20)
    add_number(parser, limits.EVAL_STEPS, 500)
    add_number(parser, limits.EVAL_PROBLEMS, 80, says="validation problems a difficulty")
    add_number(parser, limits.WIDTH)
    add_number(parser, limits.HEADS, says="heads of a new policy; default: its width by 64")
    add_number(parser, limits.LAYERS)
    add_number(parser, limits.STEPS, 1000, "--vq_steps", says="steps of a new image tokenizer before its codes")
    add_number(parser, limits.WORKERS, 1)
    add_number(parser, limits.BATCH_SIZE, 24, "--rows_per_part", says="rows forwarded at once, and")
    add_number(parser, limits.MAX_TOKENS, 8192, "--tokens_per_part", says="of their tokens; more suit a GPU")
    parser.add_argument("--compile", action="store_true", help="torch.compile the training step")
    parser.add_argument("--no_bf16", action="store_true", help="train in 32 bits (default: where that is faster)")
    add_threads(parser, default=2)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train; returns the last metrics."""
    from mmreason.training.hardware import keep_freed_memory
    from mmreason.training.run.rundir import RunDirectory

    keep_freed_memory()
    use_threads(args.threads)
    directory = RunDirectory(args.output)
    with directory.held():
        directory.check(args.resume, args.overwrite, goes_on_from=("state", "vqvae"))
        return _pretrain(args, _config(args, directory), directory)


def _config(args: argparse.Namespace, directory: RunDirectory) -> PretrainConfig:
    from mmreason.commands._options.weights import weights
    from mmreason.sampling.pipeline import fastest_device
    from mmreason.tasks import TASKS
    from mmreason.training.hardware import half_pays
    from mmreason.training.supervised.corpus import CorpusConfig
    from mmreason.training.supervised.pretrain import PretrainConfig

    before = directory.read_config().get("bf16") if args.resume else None  # a run stays what it was
    bf16 = not args.no_bf16 and (half_pays(fastest_device()) if before is None else bool(before))
    print(f"trains in {'bfloat16' if bf16 else '32 bits'}", file=sys.stderr)
    return PretrainConfig(
        steps=args.steps,
        learning_rate=args.learning_rate,
        muon_learning_rate=args.muon_learning_rate,
        decay_share=args.decay_share,
        save_steps=args.save_steps,
        logging_steps=args.logging_steps,
        eval_steps=args.eval_steps,
        eval_problems=args.eval_problems,
        own_share=args.own_share,
        max_seconds=args.max_seconds,
        keep_steps=args.keep_steps,
        workers=args.workers,
        compile=args.compile,
        bf16=bf16,
        corpus=CorpusConfig(
            seed=args.seed,
            problems_per_batch=args.problems_per_batch,
            num_copies=args.num_copies,
            full_region_share=args.full_region_share,
            late_start_share=args.late_start_share,
            causal=args.causal,
            rows_per_part=args.rows_per_part,
            tokens_per_part=args.tokens_per_part,
            tasks=weights(args.tasks or list(TASKS)),
            difficulties=weights(args.difficulty),
        ),
    )


def _pretrain(args: argparse.Namespace, config: PretrainConfig, directory: RunDirectory) -> dict[str, Any]:
    """The same, in a directory that is this run's: first the image tokenizer, then the policy."""
    from diffusers import VQModel

    from mmreason.commands._options.checkpoint import load_pipeline
    from mmreason.sampling.pipeline import fastest_device
    from mmreason.training.run.progress import ProgressLine
    from mmreason.training.supervised.pretrain import build_policy, pretrain
    from mmreason.training.supervised.vqvae import VQTrainConfig, evaluate_vqvae, train_vqvae

    device = fastest_device()
    policy = tokenizer = None
    start = args.image_tokenizer if args.checkpoint is None else args.checkpoint
    pipe = None if start is None else load_pipeline(start)
    if not args.resume:
        with directory.writing():
            directory.clear()
    if pipe is not None and args.checkpoint:
        vqvae, policy, tokenizer = pipe.vqvae, pipe.transformer, pipe.tokenizer
    elif directory.has("vqvae"):
        vqvae = VQModel.from_pretrained(directory.path / "vqvae")
    elif pipe is not None:
        vqvae = pipe.vqvae
        _keep(directory, vqvae)
    else:
        line = ProgressLine("tokenizer", sys.stderr)
        vqvae = train_vqvae(
            VQTrainConfig(seed=args.seed, autoencode_steps=args.vq_steps),
            lambda step, total, loss: line.show(step, total, {"loss": loss}),
        )
        report = evaluate_vqvae(vqvae)
        line.close(f"held-out cells recognised {report.recognised:.4f}, PSNR {report.psnr:.1f} dB")
        _keep(directory, vqvae)
    if policy is None and (args.hidden_size or args.num_hidden_layers or args.num_attention_heads):
        from mmreason.tokenizers.layout import Vocabulary
        from mmreason.tokenizers.text import build_text_tokenizer

        width = args.hidden_size or 192
        sizes: dict[str, Any] = {
            "causal": args.causal,
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_attention_heads": args.num_attention_heads or max(1, width // 64),
        }
        if args.num_hidden_layers:
            layers = args.num_hidden_layers
            sizes |= {"num_hidden_layers": layers, "hint_layer": max(1, layers - 2)}
        vocabulary = Vocabulary.of(build_text_tokenizer(), vqvae.config["num_vq_embeddings"])
        policy = build_policy(vocabulary, args.seed, **sizes)
    line = ProgressLine("policy", sys.stderr)

    def show(row: dict[str, Any]) -> None:
        line.show(row["step"], config.steps, {k: row[k] for k in ("loss/text", "loss/image", "problems_per_second")})
        if "success" in row:
            line.close(f"step {row['step']}: validation success {row['success']}")

    vqvae.to(device)  # pyright: ignore[reportArgumentType]
    metrics = pretrain(directory, config, vqvae, policy, args.resume, show, tokenizer)
    line.close("")
    return metrics


def _keep(directory: RunDirectory, vqvae: VQModel) -> None:
    """Save the image tokenizer, with which a resumed run goes on."""
    with directory.writing():
        directory.write_folder("vqvae", lambda folder: vqvae.save_pretrained(folder))
