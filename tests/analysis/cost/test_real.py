"""The cost of a real shape: laws that any accounting of it must obey."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from mmreason.__main__ import main
from mmreason.analysis.cost.real import real_cost
from mmreason.backbones.shape import DIMOO
from mmreason.commands import compute
from mmreason.ui.cost.real import real_table, real_words


@pytest.fixture(scope="module")
def found() -> dict:
    return real_cost("dimoo")


@pytest.mark.parametrize("pixels", ["256", "512"])
def test_arms_forward_what_they_must(found: dict, pixels: str) -> None:
    arms = found["pixels"][pixels]["arms"]
    tokens = {name: arm["tokens_forwarded"] for name, arm in arms.items()}
    assert tokens["ar_full"] > tokens["ar_local"] and tokens["diffusion_full"] > tokens["diffusion_local"]
    assert arms["ar_full"]["forward_passes"] > 5 * arms["diffusion_full"]["forward_passes"]
    for arm in arms.values():  # at least the body once a token, whatever the attention
        assert arm["flops"] > 2 * 0.99 * (DIMOO.body_parameters) * arm["tokens_forwarded"]
        assert arm["seconds_single"] >= arm["seconds"] > 0
    for edit in ("full", "local"):
        assert arms[f"diffusion_{edit}_prefix"]["flops"] < arms[f"diffusion_{edit}"]["flops"]


def test_tokens_are_those_of_the_study(found: dict) -> None:
    """178 k tokens a rollout of local edits and 251 k of full redraws, at 512 pixels in full attention."""
    arms = found["pixels"]["512"]["arms"]
    assert arms["diffusion_local"]["tokens_forwarded"] == 5 * 16 * 1304 + 4 * 8 * 2298
    assert arms["diffusion_full"]["tokens_forwarded"] == 5 * 16 * 1304 + 4 * 16 * 2298


def test_the_command_writes_what_the_page_shows(tmp_path: Path, capsys) -> None:
    out = tmp_path / "cost.json"
    assert main(["compute", "--shape", "dimoo", "--output", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())
    shipped = Path("assets/results/compute_dimoo.json")
    assert json.loads(shipped.read_text()) == json.loads(out.read_text())
    said = " ".join(text for _, text in real_words())
    assert "nothing in this table is measured" in said and "Measured on" in said
    arms = [arm for arm, *_ in real_table()["rows"]]
    assert "Diffusion, local edits in prefix, 512 px" in arms and not any("_" in arm for arm in arms)


def options() -> list[argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    compute.add_arguments(parser)
    return parser._actions


@pytest.mark.parametrize("option", options(), ids=lambda option: option.dest)
def test_beside_a_shape_every_option_is_read_or_refused(option: argparse.Action, tmp_path: Path, capsys) -> None:
    asked = ["compute", "--shape", "dimoo", "--output", str(tmp_path / "cost.json")]
    name, value = option.option_strings[0], "1" if option.dest == "threshold" else "2"
    words = [name] if option.nargs == 0 else [name, value]
    if name in asked:
        assert main(asked) == 0
        return
    assert main([*asked, *words]) == 2
    assert f"{' '.join(words)} must be left out beside --shape" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["--ar", "nowhere"], ["--no_memory"], ["--no_frontier"], ["--no_scaling"]])
def test_beside_full_attention_what_is_of_the_four_arms_is_refused(words: list[str], capsys) -> None:
    assert main(["compute", "--bidirectional", "nowhere", *words]) == 2
    assert f"{' '.join(words)} must be left out beside --bidirectional" in capsys.readouterr().err
