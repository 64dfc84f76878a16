"""What full attention costs, as the tab Cost says it: of the results file, or how to make one."""

from __future__ import annotations

import json

import pytest

from mmreason import places
from mmreason.analysis.cost.compute import COMPARED
from mmreason.ui.cost.attention import COMMAND, FILE, attention_words


@pytest.fixture
def results(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "ASSETS", tmp_path)
    (tmp_path / "results").mkdir()
    return tmp_path / "results" / FILE


def test_it_says_how_many_times_what_local_edits_cost_in_blocks(results):
    times = {cost: 1.5 + i for i, cost in enumerate(COMPARED)}
    content = {
        "arms": {"blocks_local": {"success": 0.875}, "whole_local": {"success": 0.75}},
        "times": {"local": times, "full": dict.fromkeys(COMPARED, 99.0)},
        "batch_size": 16,
        "command": "the command",
    }
    results.write_text(json.dumps(content), encoding="utf-8")
    (_, said), code = attention_words()
    assert code == ["code", "the command"] and "99" not in said
    for cost in ("flops", "seconds", "seconds_single", "update_flops"):
        assert f"{times[cost]:.1f} times" in said
    assert "a batch of 16" in said and "solves 75.0 % of medium puzzles, base 87.5 %" in said


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_without_a_file_it_says_which_command_makes_one(results, content):
    if content is not None:
        results.write_text(content, encoding="utf-8")
    ((kind, said),) = attention_words()
    assert kind == "plain" and said.endswith(COMMAND)
