"""The files from which a page without a server solves in the browser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mmreason.errors import ConfigError
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.traces.sheet import sheet_value
from mmreason.ui.browser.problems import ALONE, Puzzle, cell_tables, counted_cells, puzzles, stand_ins, walk_cells
from mmreason.ui.browser.weights import sampling_settings, stored_model
from mmreason.ui.shell.component import script, shared_script

# Modules, each after those that it imports: of the page, and of the worker.
PAGE = ("browser/verdict", "browser/playback")
WORKER = tuple(f"browser/{name}" for name in ("product", "weights", "network", "unmask", "layout", "rollout", "step"))
MAX_BYTES = 12_000_000


def worker_script() -> str:
    """The worker that solves, as one script."""
    return shared_script(WORKER) + script("browser/solver")


def stored_puzzles(pipe: InterleavedReasoningPipeline, found: Sequence[Puzzle]) -> dict[str, Any]:
    """The puzzles, with what all of them are drawn, solved and checked by."""
    return {
        "sheet": sheet_value(pipe.sheet),
        "sampling": sampling_settings(),
        "cells": cell_tables(pipe),
        "standIns": stand_ins(puzzle.problem for puzzle in found),
        "walks": walk_cells(),
        "counts": counted_cells(),
        "alone": list(ALONE),
        "puzzles": [puzzle.stored for puzzle in found],
    }


def solver_files(pipe: InterleavedReasoningPipeline, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What the page says of the solver before it is loaded, and the contents of its files by name.

    ``name`` is the checkpoint's.  Raises ConfigError where they are more than MAX_BYTES.
    """
    model, found = stored_model(pipe), puzzles(pipe)
    contents = {"weights": model, "puzzles": stored_puzzles(pipe, found)}
    files = {
        f"solver/{key}.js": f"twin.solver.{key} = {json.dumps(value, separators=(',', ':'))};\n"
        for key, value in contents.items()
    }
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        raise ConfigError(f"what a browser loads to solve must have at most {MAX_BYTES:,} bytes, got {size:,}")
    names = [[p.task, p.difficulty, p.seed] for p in (puzzle.problem for puzzle in found)]
    numbers = sum(size for _, size in model["arrays"])
    return {"checkpoint": name, "parameters": numbers, "bytes": size, "names": names}, files
