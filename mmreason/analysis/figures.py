"""Every figure that is shipped: its file, the weights it was made from, the command that makes it, and its tables.

A figure is stale where its file is missing or was made from other weights than the checkpoint now has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmreason import places
from mmreason.analysis.blocks import replace_block
from mmreason.analysis.comparison.protocol import HEADLINE
from mmreason.analysis.comparison.tables import comparison_tables
from mmreason.analysis.overview import overview_table
from mmreason.analysis.results_file import results_path, stored
from mmreason.analysis.tables import attention_table, cost_table, speed_table, success_table
from mmreason.traces.sheet import load_with_sheet

Fingerprint = Callable[[str], str | None]  # of the checkpoint in a folder; None where there is none


@dataclass(frozen=True, slots=True)
class Figure:
    """What is in a file: ``made_of`` are checkpoint folders with the fingerprints that they had."""

    name: str
    file: Path
    command: str
    made_of: Mapping[str, str]

    def stale(self, fingerprint: Fingerprint) -> str:
        """Why it is to be made again; nothing where it is not."""
        if not self.file.is_file():
            return f"{self.file.name} is missing"
        now = {folder: fingerprint(folder) for folder in self.made_of}
        other = [folder for folder, before in self.made_of.items() if now[folder] != before]
        return f"made from other weights of {', '.join(other)}" if other else ""


def figures() -> Iterator[Figure]:
    """All of which it is known what they were made from."""
    for name, row in stored("evaluate").items():
        made_of = {f"checkpoints/{name}": row["fingerprint"]}
        yield Figure(f"success of {name}", results_path("evaluate.json"), row["command"], made_of)
    cost = stored("compute")
    folders = {"diffusion": "checkpoints/base", "ar": "checkpoints/ar"}
    made_of = {folders[arm]: hashed for arm, hashed in cost.get("fingerprints", {}).items()}
    yield Figure("what a rollout costs", results_path("compute.json"), cost["command"], made_of)
    seen = stored("compute_bidirectional")
    folders = {"blocks": "checkpoints/base", "whole": "checkpoints/base-full"}
    made_of = {folders[policy]: hashed for policy, hashed in seen.get("fingerprints", {}).items()}
    yield Figure("what full attention costs", results_path("compute_bidirectional.json"), seen["command"], made_of)
    arms = stored("reproduce")
    made_of = {HEADLINE.checkpoint: stored(f"reproduce/{arms['finished'][0]}")["base_fingerprint"]}
    yield Figure("joint against factorized", results_path("reproduce.json"), arms["command"], made_of)
    gain = stored("preset_gain")
    made_of = {f"checkpoints/{gain['checkpoint']}": gain["fingerprint"]}
    yield Figure("what the short preset gains", results_path("preset_gain.json"), gain["command"], made_of)
    rate = stored("train_rate")
    made_of = {f"checkpoints/{rate['checkpoint']}": rate["fingerprint"]}
    yield Figure("what a training takes", results_path("train_rate.json"), rate["command"], made_of)
    speed = stored("benchmark")
    made_of = {speed["checkpoint"]: speed["fingerprint"]}
    yield Figure("how fast the engine is", results_path("benchmark.json"), speed["command"], made_of)
    load = stored("load")
    made_of = {"checkpoints/base": load["fingerprint"]}
    yield Figure("what a crowd waits for", results_path("load.json"), load["command"], made_of)
    leak = stored("interference")
    made_of = {row["checkpoint"]: row["checkpoint_hash"] for row in leak["checkpoints"]}
    yield Figure("interference", results_path("interference.json"), _interference(leak["settings"], made_of), made_of)
    for path in sorted((places.ASSETS / "examples").glob("*.json")):
        settings = load_with_sheet(path)["settings"]
        made_of = {f"checkpoints/{settings['checkpoint']}": settings["checkpoint_hash"]}
        command = f"python -m mmreason make examples --checkpoint {settings['checkpoint']}"
        yield Figure(f"example {path.stem}", path, command, made_of)


def _interference(settings: Mapping[str, Any], folders: Mapping[str, str]) -> str:
    """The command that measured it."""
    words = ["python -m mmreason interference --checkpoint", *folders]
    for name, value in settings.items():
        several = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
        words += [f"--{name}", *map(str, several)]
    return " ".join([*words, "--out assets/results/interference.json"])


def tables() -> dict[tuple[str, str], str]:
    """(page, name of the block) → the table that its file gives."""
    cards = stored("evaluate")
    found = {
        ("README.md", "overview"): overview_table(),
        (places.TRAINING_PAGE, "benchmark"): speed_table(stored("benchmark")),
        (places.ANALYSIS_PAGE, "compute"): cost_table(stored("compute")),
        (places.ANALYSIS_PAGE, "compute_bidirectional"): attention_table(stored("compute_bidirectional")),
    }
    found |= {(places.ANALYSIS_PAGE, name): table for name, table in comparison_tables(stored("reproduce")).items()}
    return found | {
        (places.CHECKPOINTS_PAGE, f"success:{name}"): success_table(row["by_difficulty"])
        for name, row in cards.items()
    }


def pages() -> dict[str, str]:
    """The pages whose tables are not those of the files, as they should read."""
    wanted: dict[str, str] = {}
    for (page, name), content in tables().items():
        text = wanted.get(page) or (places.ROOT / page).read_text(encoding="utf-8")
        wanted[page] = replace_block(text, name, content)
    return {page: text for page, text in wanted.items() if (places.ROOT / page).read_text(encoding="utf-8") != text}
