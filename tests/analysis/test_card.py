"""Tables for people: every figure of the results is there, and a README changes only between its marks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmreason.__main__ import main
from mmreason.analysis.blocks import replace_block, update_readme
from mmreason.analysis.card import kind
from mmreason.analysis.comparison.headline import compare
from mmreason.analysis.comparison.protocol import ARMS, CONTROLS
from mmreason.analysis.comparison.tables import comparison_table
from mmreason.analysis.cost.compute import COMPARED
from mmreason.analysis.tables import attention_table, cost_table
from mmreason.errors import ConfigError
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.wording import change
from tests.helpers.comparison import BASE, PROTOCOL, RUNS, made_run
from tests.ui.cost.test_cost import results


def test_the_cost_table_has_a_row_an_arm_and_the_ratios():
    row = {"canvas": 256, "region_share": 0.1, "time_ratio": 41.2}
    sizes = [{"region_share": share, "reduction": gain} for share, gain in ((0.1, 0.4), (0.5, -0.1), (1.0, -0.6))]
    text = cost_table(
        results(batch_size=64, scaling_measured=[row, row | {"region_share": 0.5, "time_ratio": 9.0}], scaling=sizes)
    )
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:6]] == list(results()["arms"])
    assert "All sizes have 1.2 denoising steps an edit" in text
    assert "−50.0 % FLOPs" in text and "6.0 times alone" in text
    assert "wins on FLOPs at 2 of 3 sizes" in text and "at least 50 % of the canvas" in text
    assert "On 16×16 cells with 10 % redrawn (untrained weights): 41 times" in text and "9 times" not in text


def test_a_card_says_what_kind_of_policy_it_is():
    kinds = {"blocks": "A masked discrete", "full": "A bidirectional masked discrete"}
    for attention, says in kinds.items():
        assert kind(InterleavedDiffusionConfig(attention=attention)) == f"{says} diffusion policy"
    assert kind(InterleavedDiffusionConfig(causal=True)) == "An autoregressive policy"


def test_the_attention_table_has_a_row_an_arm_and_says_how_many_times_each_edit_costs():
    times = {cost: 2.5 for cost in COMPARED}
    rows = dict(zip(("blocks_local", "whole_local"), results()["arms"].values(), strict=False))
    text = attention_table({"arms": rows, "batch_size": 16, "times": {"local": times}})
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:4]] == list(rows)
    assert "With local edits full attention takes 2.5 times the FLOPs" in text and "at batch 16" in text


def test_the_comparison_table_has_every_seed_and_what_is_missing():
    found = compare(BASE, RUNS, PROTOCOL)
    text = comparison_table(found | {"missing": ["joint-trace-4"]})
    for arm in ("joint", "factorized"):
        assert ", ".join(f"{value:.3f}" for value in found[arm]["seeds"]) in text
    assert "still missing: joint-trace-4" in text
    assert "still missing" not in comparison_table(found | {"missing": []})
    protocol = found["protocol"] | {"looks_before": 2}
    assert "none with a clear difference: 2." in comparison_table(found | {"missing": [], "protocol": protocol})


@pytest.mark.parametrize(
    ("ci95", "num_seeds", "verdict"),
    [
        ((0.01, 0.03), 3, "factorized is ahead"),
        ((-0.03, -0.01), 3, "joint is ahead"),
        ((-0.01, 0.03), 3, "no clear difference"),
        ((0.01, 0.03), 2, "too few seeds to tell"),
    ],
)
def test_the_comparison_table_says_who_is_ahead(ci95, num_seeds, verdict):
    difference = {"mean": 0.0, "ci95": ci95, "seeds": [0.0] * num_seeds}
    found = compare(BASE, RUNS, PROTOCOL) | {"difference": difference, "missing": []}
    assert f"), {verdict}." in comparison_table(found)


def test_the_comparison_table_says_that_seeds_were_added_and_what_there_was_before():
    found = compare(BASE, RUNS, replace(PROTOCOL, first_look=2)) | {"missing": []}
    text = comparison_table(found)
    assert f"The first 2 seeds: {found['first_look']['mean']:+.4f} (" in text
    assert f"the 1 added: {found['added']['mean']:+.4f} (" in text
    assert "factorized is ahead at the second look" in text
    assert found["added"]["seeds"] == found["difference"]["seeds"][2:]


def test_the_comparison_table_says_how_likely_chance_is():
    runs = [made_run(arm, seed, rate) for seed in range(6) for arm, rate in zip(ARMS, (0.3, 0.7), strict=True)]
    text = comparison_table(compare(BASE, runs, PROTOCOL) | {"missing": []})
    assert text.count("p = 0.031).") == 2  # at temperature 1 and greedy


def test_the_comparison_table_tells_controls_and_the_other_granularity_apart():
    runs = [*RUNS, *(made_run(arm, 0, 0.3) for arm in CONTROLS), *(made_run(arm, 0, 0.5, "turn") for arm in ARMS)]
    found = compare(BASE, runs, PROTOCOL) | {"missing": []}
    text = comparison_table(found)
    for arm in CONTROLS:
        assert f"- {arm}: {found['controls'][arm][arm]['mean']:.3f} against joint's" in text
    assert f"- by turn, factorized: {found['other_granularity']['factorized']['mean']:.3f}" in text
    for arm in ARMS:
        row = found["own_turn"][f"{arm}_turn"]
        assert f"- {arm} by turn against joint by trace" in text
        assert f"{change(row['gain_over_joint_trace']['mean'])}" in text


def test_a_readme_changes_only_between_its_marks(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before <!-- a --> old <!-- /a --> after <!-- b -->kept<!-- /b -->")
    update_readme(readme, {"a": "new"})
    text = readme.read_text()
    assert text == "before <!-- a -->\nnew\n<!-- /a --> after <!-- b -->kept<!-- /b -->"
    update_readme(readme, {"a": "new"})
    assert readme.read_text() == text
    assert replace_block(text, "c", "new") == text
    update_readme(tmp_path / "none.md", {"a": "new"})
    readme.write_bytes("<!-- a -->old<!-- /a -->".encode("utf-16"))
    with pytest.raises(ConfigError, match="is UTF-16 text; save it as UTF-8"):
        update_readme(readme, {"a": "new"})


@pytest.mark.parametrize(
    ("words", "block"),
    [
        (["limits", "--readme"], "limits"),
        (["make", "overview", "--output"], "overview"),
        (["report", "--checkpoint", "checkpoints/base", "--results", "none.json", "--readme"], "success:base"),
        (["compute", "--output", "none.json", "--readme"], "compute"),
        (["reproduce", "--plan", "--readme"], "reproduce"),
        (["reproduce", "--setup", "P", "--plan", "--readme"], "setup:P"),
    ],
)
def test_a_page_without_the_block_is_refused_before_anything_is_measured(words, block, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"<!-- /{block} --> before <!-- {block} -->")
    for path, says in (
        (page, f"must have the block <!-- {block} --> … <!-- /{block} -->"),
        (tmp_path / "none.md", "does not exist; give the path of a Markdown file"),
        (tmp_path, "directory"),
    ):
        assert main([*words, str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line and str(path) in line
    assert main([*words, ""]) == 2


def test_results_that_cannot_be_read_are_refused_before_anything_is_measured(tmp_path, capsys):
    history, results = tmp_path / "TRAINING.md", tmp_path / "results.json"
    history.write_text("trained")
    base = Path(__file__).parents[2] / "checkpoints" / "base"
    words = ["report", "--checkpoint", str(base), "--history", str(history)]
    for content, says in (("{", "is not JSON"), ("[]", "must be a JSON object by checkpoint")):
        results.write_text(content)
        assert main([*words, "--results", str(results), "--readme", str(tmp_path / "none.md")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line
        assert results.read_text() == content
    assert not (tmp_path / "none.md").exists()
