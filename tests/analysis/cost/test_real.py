"""The cost of a real shape: laws that any accounting of it must obey."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmreason.__main__ import main
from mmreason.analysis.cost.real import real_cost
from mmreason.backbones.shape import DIMOO
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
