"""``make figures``: every table and model card from the files in assets/results, and what of these is stale.

With ``--measure`` what is stale is measured again first, by its own command, and the pictures are taken after.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

HELP = "every table and card from the results files; says which figures are stale"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``make figures``."""
    parser.add_argument(
        "--measure", action="store_true", help="measure what is stale again (hours), then take pictures"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write what differs; returns ``written``, the paths, and ``stale``, what is to be measured again and how."""
    from mmreason import places
    from mmreason.analysis.figures import figures, pages
    from mmreason.disk import write_whole
    from mmreason.errors import ConfigError

    if args.measure:
        commands = list(dict.fromkeys(figure.command for figure in figures() if figure.stale(_fingerprint)))
        for command in [*commands, "python -m mmreason make screenshots"]:
            print(command, file=sys.stderr, flush=True)
            words = [sys.executable, *shlex.split(command)[1:]]
            if subprocess.run(words, cwd=places.ROOT, stdout=sys.stderr).returncode:
                raise ConfigError(f"figures need {command!r}, which failed; the same command goes on from there")
        _loaded.cache_clear()
    written = []
    for path, text in [*((places.ROOT / page, text) for page, text in pages().items()), *_cards()]:
        write_whole(path, text.encode())
        written.append(str(path))
    stale = [
        {"figure": figure.name, "because": why, "command": figure.command}
        for figure in figures()
        if (why := figure.stale(_fingerprint))
    ]
    return {"written": written, "stale": stale}


@cache
def _loaded(folder: str) -> tuple[str, int, Any] | None:
    """Fingerprint, number of parameters and the policy's config, of the checkpoint in ``folder``."""
    from mmreason import places
    from mmreason.commands._options.checkpoint import load_pipeline

    if not (places.ROOT / folder / "model_index.json").is_file():
        return None
    pipe = load_pipeline(str(places.ROOT / folder))
    count = sum(parameter.numel() for parameter in pipe.transformer.parameters())
    return pipe.fingerprint, count, pipe.transformer.config


def _fingerprint(folder: str) -> str | None:
    found = _loaded(folder)
    return found[0] if found is not None else None


def _cards() -> list[tuple[Path, str]]:
    """The model cards that are not those of their figures, as they should read."""
    from mmreason import places
    from mmreason.analysis.card import model_card
    from mmreason.analysis.results_file import stored

    found = []
    for name, row in stored("evaluate").items():
        folder, loaded = places.ROOT / "checkpoints" / name, _loaded(f"checkpoints/{name}")
        if loaded is None or loaded[0] != row["fingerprint"]:
            continue  # its figures are of other weights
        _, parameters, config = loaded
        history, path = places.ROOT / row.get("history", folder / "TRAINING.md"), folder / "README.md"
        if not history.is_file():
            continue  # it was made elsewhere
        card = model_card(name, row, parameters, history.read_text(encoding="utf-8"), config)
        if not path.is_file() or path.read_text(encoding="utf-8") != card:
            found.append((path, card))
    return found
