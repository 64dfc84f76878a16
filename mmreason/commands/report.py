"""``report``: measure a checkpoint on all difficulties; write its results file and model card."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mmreason import limits
from mmreason.commands._options.again import again
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.tasks import add_tasks, named, tasks_of
from mmreason.places import CHECKPOINTS_PAGE

HELP = "evaluate a checkpoint and write assets/results/evaluate.json and its model card"
RESULTS = "assets/results/evaluate.json"
MAX_BYTES = 8 * 2**20  # of a file that it reads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``report``."""
    parser.add_argument("--checkpoint", default="checkpoints/base", metavar="DIR")
    add_tasks(parser)
    add_number(parser, limits.PROBLEMS, 400, says="a difficulty", metavar="N")
    add_number(parser, limits.SEED, 0)
    add_number(parser, limits.TEMPERATURE, 1.0)
    parser.add_argument("--history", metavar="FILE", help="Markdown for the card's section on training")
    parser.add_argument(
        "--readme",
        metavar="FILE",
        help=f"page whose table is replaced (default: {CHECKPOINTS_PAGE}, where the results go to their usual file)",
    )
    parser.add_argument("--results", default=RESULTS, metavar="FILE")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure and write; returns what the results file says of this checkpoint."""
    import os

    from mmreason.analysis.blocks import check_readme, update_readme
    from mmreason.analysis.card import model_card
    from mmreason.analysis.evaluate import evaluate
    from mmreason.analysis.tables import success_table
    from mmreason.commands._options.checkpoint import checkpoint_name, load_pipeline
    from mmreason.commands._options.files import check_files, page_of
    from mmreason.disk import write_json, write_whole
    from mmreason.errors import ConfigError
    from mmreason.handed import Handed
    from mmreason.records import DIFFICULTIES

    command = again("report", add_arguments, args, "checkpoint", "problems", "seed", "temperature")
    args.tasks = named(args.tasks)
    history_path = Path(args.history) if args.history else Path(args.checkpoint) / "TRAINING.md"
    if not os.path.isfile(history_path):
        raise ConfigError(f"--history must be a Markdown file on the training, got {str(history_path)!r}")
    written = {"--results": args.results, "--readme": args.readme or CHECKPOINTS_PAGE}
    check_files(written, {"--history": str(history_path)})
    kept, words = (Handed(what, MAX_BYTES, ConfigError) for what in ("results file", "history"))
    history = words.text(words.read(history_path), str(history_path))

    def others() -> dict[str, Any]:
        everything = kept.load(args.results) if os.path.isfile(args.results) else {}
        if not isinstance(everything, dict):
            raise ConfigError(f"--results must be a JSON object by checkpoint, got {args.results!r}")
        return everything

    others()  # what is wrong with it is said before anything is solved
    name = checkpoint_name(args.checkpoint)
    check_readme(args.readme, f"success:{name}")
    pipe = load_pipeline(args.checkpoint)
    config = pipe.scheduler.sampling_config(temperature=args.temperature)
    by_difficulty = {}
    tasks = tasks_of(pipe.vocabulary, args.tasks)
    for difficulty in DIFFICULTIES:
        print(f"{difficulty}: {args.problems} problems", file=sys.stderr, flush=True)
        by_difficulty[difficulty] = evaluate(pipe, tasks, [difficulty], args.problems, args.seed, config)
    result = {
        "fingerprint": pipe.fingerprint,
        "command": command,
        "seed": args.seed,
        "temperature": args.temperature,
        "num_steps": config.num_steps,
        "threshold": config.threshold,
        "by_difficulty": by_difficulty,
    }
    if args.history:
        result["history"] = args.history
    write_json(args.results, others() | {name: result}, indent=1)  # as they are by now
    page = page_of(args.readme, CHECKPOINTS_PAGE, is_usual=args.results == RESULTS)
    update_readme(page, {f"success:{name}": success_table(by_difficulty)})
    parameters = sum(p.numel() for p in pipe.transformer.parameters())
    card = model_card(name, result, parameters, history, pipe.transformer.config)
    write_whole(Path(args.checkpoint) / "README.md", card.encode())
    return result
