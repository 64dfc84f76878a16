"""Figures: tables and cards are those of the files, and what was made from other weights is called stale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mmreason import places
from mmreason.__main__ import build_parser, main
from mmreason.analysis.figures import Figure, figures, pages, tables
from mmreason.commands.make import figures as command
from tests.load import crowd

ROOT = places.ROOT


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """The pages that hold tables, and the base checkpoint, in a folder of their own."""
    for page in {page for page, _ in tables()}:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / page, tmp_path / page)
    base = tmp_path / "checkpoints" / "base"
    base.mkdir()
    for path in (ROOT / "checkpoints" / "base").iterdir():
        (base / path.name).symlink_to(path) if path.is_dir() else shutil.copy(path, base / path.name)
    monkeypatch.setattr(places, "ROOT", tmp_path)
    command._loaded.cache_clear()
    yield tmp_path
    command._loaded.cache_clear()


def test_a_table_that_is_not_that_of_its_file_is_written_again_and_nothing_else(copy):
    page = copy / "mmreason/analysis/README.md"
    right = page.read_text()
    assert pages() == {}
    page.write_text(right.replace("| diffusion_local |", "| diffusion local |"))
    assert pages() == {"mmreason/analysis/README.md": right}


def test_a_figure_is_stale_where_its_weights_are_others_or_its_file_is_missing(tmp_path):
    there = tmp_path / "figure.json"
    there.touch()
    figure = Figure("cost", there, "make it", {"checkpoints/base": "abc", "checkpoints/ar": "def"})
    assert figure.stale({"checkpoints/base": "abc", "checkpoints/ar": "def"}.get) == ""
    assert figure.stale({"checkpoints/base": "abc", "checkpoints/ar": "x"}.get).endswith(
        "other weights of checkpoints/ar"
    )
    there.unlink()
    assert figure.stale(lambda folder: None) == "figure.json is missing"


def test_every_figure_is_made_by_a_command_that_is_there():
    for figure in figures():
        python, option, module, *words = figure.command.split()
        assert (python, option) == ("python", "-m") and figure.made_of
        parser = (
            build_parser(words[:1])[0] if module == "mmreason" else {"tests.load.crowd": crowd.build_parser()}[module]
        )
        assert parser.parse_args(words)


def test_the_command_mends_tables_and_cards_and_says_what_is_stale(copy, capsys):
    card, page = copy / "checkpoints/base/README.md", copy / "checkpoints/README.md"
    right = {path: path.read_text() for path in (card, page)}
    card.write_text("old")
    page.write_text(page.read_text().replace("| easy |", "| simple |"))
    assert main(["make", "figures", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert sorted(said["written"]) == sorted(map(str, right))
    assert {path: path.read_text() for path in right} == right
    stale = {row["figure"]: row for row in said["stale"]}  # the other checkpoints are not there
    assert "success of base" not in stale and "interference" not in stale
    assert stale["joint against factorized"]["because"] == "made from other weights of checkpoints/earlier/base"
    assert stale["what a rollout costs"]["because"] == "made from other weights of checkpoints/ar"
    assert stale["what a rollout costs"]["command"].startswith("python -m mmreason compute")
