"""``pretrain``: train the image tokenizer on drawings, then the policy on demonstrations."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mmreason.commands._threads import add_threads, use_threads

HELP = "supervised stage: image tokenizer, then policy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``pretrain``."""
    parser.add_argument("--output", required=True, help="run directory; DIR/checkpoint is the trained checkpoint")
    parser.add_argument("--checkpoint", help="start from this checkpoint's tokenizers and policy")
    parser.add_argument("--image_tokenizer", metavar="DIR", help="take this checkpoint's image tokenizer only")
    parser.add_argument("--resume", action="store_true", help="go on from the run directory's last saved step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000, help="optimizer steps of the policy")
    parser.add_argument("--problems_per_batch", type=int, default=96)
    parser.add_argument("--num_copies", type=int, default=2, help="noisy copies of each segment")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="TASK[=WEIGHT]", help="default: all, weight 1")
    parser.add_argument(
        "--difficulty",
        nargs="+",
        default=["easy=1", "medium=2"],
        metavar="[TASK/]NAME[=WEIGHT]",
        help="weights, of all tasks or of one: easy=1 medium=2 jigsaw/hard=0.1 (default: easy=1 medium=2)",
    )
    parser.add_argument("--full_region_share", type=float, default=0.0, help="share of whole-canvas demonstrations")
    parser.add_argument("--late_start_share", type=float, default=0.0, help="share numbered from a later turn")
    parser.add_argument("--causal", action="store_true", help="an autoregressive policy: next token, causal mask")
    parser.add_argument("--learning_rate", type=float, default=2e-3, help="peak rate of AdamW")
    parser.add_argument("--muon_learning_rate", type=float, default=0.02, help="peak rate of Muon")
    parser.add_argument("--decay_share", type=float, default=0.25, help="last part of the run with falling rates")
    parser.add_argument(
        "--own_share",
        type=float,
        default=0.0,
        help="last part of the run, learning to do in one step what takes four",
    )
    parser.add_argument("--max_seconds", type=float, help="end the run by then, the rates fallen")
    parser.add_argument("--keep_steps", type=int, metavar="N", help="keep DIR/checkpoint-N of every N steps")
    parser.add_argument("--save_steps", type=int, default=200)
    parser.add_argument("--logging_steps", type=int, default=20)
    parser.add_argument("--eval_steps", type=int, default=500)
    parser.add_argument("--eval_problems", type=int, default=80, help="validation problems a difficulty")
    parser.add_argument("--hidden_size", type=int, help="width of a new policy")
    parser.add_argument("--num_attention_heads", type=int, help="heads of a new policy (default: its width by 64)")
    parser.add_argument("--num_hidden_layers", type=int, help="layers of a new policy")
    parser.add_argument("--vq_steps", type=int, default=1000, help="steps of a new image tokenizer before its codes")
    parser.add_argument("--workers", type=int, default=1, help="processes that make demonstrations")
    parser.add_argument("--rows_per_part", type=int, default=24, help="rows forwarded at once, and")
    parser.add_argument("--tokens_per_part", type=int, default=8192, help="of their tokens; more suit a GPU")
    parser.add_argument("--compile", action="store_true", help="torch.compile the training step")
    parser.add_argument("--no_bf16", action="store_true", help="train in 32 bits")
    add_threads(parser, default=2)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train; returns the last metrics."""
    from diffusers import VQModel

    from mmreason.commands._checkpoint import load_pipeline
    from mmreason.commands._weights import weights
    from mmreason.sampling.pipeline import fastest_device
    from mmreason.tasks import TASKS
    from mmreason.training.corpus import CorpusConfig
    from mmreason.training.memory import keep_freed_memory
    from mmreason.training.pretrain import PretrainConfig, build_policy, pretrain
    from mmreason.training.progress import ProgressLine
    from mmreason.training.rundir import RunDirectory
    from mmreason.training.vqvae import VQTrainConfig, evaluate_vqvae, train_vqvae

    keep_freed_memory()
    use_threads(args.threads)
    config = PretrainConfig(
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
        bf16=not args.no_bf16,
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
    directory = RunDirectory(args.output)
    device = fastest_device()
    policy = None
    if args.checkpoint:
        pipe = load_pipeline(args.checkpoint)
        vqvae, policy = pipe.vqvae, pipe.transformer
    elif directory.has("vqvae"):
        vqvae = VQModel.from_pretrained(directory.path / "vqvae")
    elif args.image_tokenizer:
        vqvae = load_pipeline(args.image_tokenizer).vqvae
        directory.write_folder("vqvae", lambda folder: vqvae.save_pretrained(folder))
    else:
        line = ProgressLine("tokenizer", sys.stderr)
        vqvae = train_vqvae(
            VQTrainConfig(seed=args.seed, autoencode_steps=args.vq_steps),
            lambda step, total, loss: line.show(step, total, {"loss": loss}),
        )
        report = evaluate_vqvae(vqvae)
        line.close(f"held-out cells recognised {report.recognised:.4f}, PSNR {report.psnr:.1f} dB")
        directory.write_folder("vqvae", lambda folder: vqvae.save_pretrained(folder))
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
        policy = build_policy(vocabulary, args.seed, **sizes).to(device)  # pyright: ignore[reportArgumentType]
    line = ProgressLine("policy", sys.stderr)

    def show(row: dict[str, Any]) -> None:
        line.show(row["step"], config.steps, {k: row[k] for k in ("loss/text", "loss/image", "problems_per_second")})
        if "success" in row:
            line.close(f"step {row['step']}: validation success {row['success']}")

    vqvae.to(device)  # pyright: ignore[reportArgumentType]
    metrics = pretrain(directory, config, vqvae, policy, args.resume, show)
    line.close("")
    return metrics
