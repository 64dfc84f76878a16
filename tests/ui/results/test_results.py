"""The tab Results: what it says of any comparison, and the page in a real browser."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from playwright.sync_api import expect

from mmreason import places as mmreason_places
from mmreason.analysis.comparison.headline import compare
from mmreason.analysis.comparison.protocol import ARMS, CONTROLS, DOUBLE
from mmreason.analysis.comparison.results import Comparison, Map, read_comparison, read_map
from mmreason.analysis.comparison.setups import SHIPPED
from mmreason.analysis.results_file import results_path
from mmreason.ui.cost.words import against_us
from mmreason.ui.results.figure import MARKS, comparison_chart, forest, gains_chart, map_chart, relation_chart
from mmreason.ui.results.words import (
    cost_claim,
    protocol_words,
    reward_claim,
    reward_setbacks,
    reward_title,
    setup_claim,
    task_table,
)
from mmreason.wording import change, points
from tests.helpers.browser import HOSTILE, ROOT, launched
from tests.helpers.comparison import BASE, PROTOCOL, RUNS, made_run


def written(rates=(0.5, 0.6), controls=False) -> dict:
    """What the command writes of made-up runs."""
    runs = [made_run(arm, seed, rate) for seed in range(3) for arm, rate in zip(ARMS, rates, strict=True)]
    runs += [made_run(arm, 0, 0.3) for arm in CONTROLS] if controls else []
    return json.loads(json.dumps(compare(BASE, runs, PROTOCOL) | {"missing": [], "command": "the command"}))


@pytest.fixture
def assets(tmp_path, monkeypatch):
    monkeypatch.setattr(mmreason_places, "ASSETS", tmp_path)
    (tmp_path / "results").mkdir()
    return tmp_path


def test_the_claim_says_our_figures_and_the_papers():
    found = Comparison.model_validate(written())
    text = " ".join(line for _, line in reward_claim(found, ""))
    assert f"{100 * found.factorized.mean:.1f} %" in text and "+11.2 %" in text and "+38.0 %" in text
    assert "3 seeds an arm, 4 steps" in text and "the command" in text


@pytest.mark.parametrize(
    ("rates", "said"),
    [((0.4, 0.7), "Factorized is"), ((0.7, 0.4), "Joint is"), ((0.5, 0.5), "No clear difference")],
)
def test_the_claim_begins_with_who_is_ahead(rates, said):
    kind, lead = reward_claim(Comparison.model_validate(written(rates)), "")[0]
    assert kind == "lead" and lead.startswith(said)


@pytest.mark.parametrize(
    ("rates", "said"),
    [((0.7, 0.4), "joint is ahead"), ((0.5, 0.5), "no clear difference"), ((0.5, 0.52), "smaller than the paper's")],
)
def test_what_goes_against_us_is_said(rates, said):
    found = Comparison.model_validate(written(rates))
    assert said in "; ".join(reward_setbacks(found))
    assert any(kind == "against" for kind, _ in reward_claim(found, ""))


def test_of_two_seeds_none_is_said_to_be_ahead():
    runs = [run for run in RUNS if run["seed"] < 2]
    found = Comparison.model_validate(json.loads(json.dumps(compare(BASE, runs, PROTOCOL) | {"missing": []})))
    assert reward_claim(found, "")[0][1].startswith("Too few seeds to tell")
    assert "2 seeds cannot show how much seeds vary" in reward_setbacks(found)


def test_one_thing_against_us_is_a_sentence_and_several_are_a_list():
    assert against_us([]) == []
    assert against_us(["it rains"]) == [["against", "Caveats: it rains."]]
    assert against_us(["it rains", "it pours"]) == [["against", "Caveats:\nit rains\nit pours"]]


def test_seeds_that_were_added_go_against_us():
    content = written() | {"first_look": {"mean": 0.015, "ci95": [-0.002, 0.03], "seeds": [0.03, 0.0]}}
    said = "the first 2 seeds were inconclusive (−0.2 to +3.0 points), so more were added"
    for added, more in (
        ([-0.01, 0.02], ", which are inconclusive on their own as well (−1.0 to +2.0 points)"),
        ([0.01, 0.02], ""),
    ):
        found = Comparison.model_validate(content | {"added": {"mean": 0.01, "ci95": added, "seeds": [0.01]}})
        assert said + more in reward_setbacks(found)
        assert reward_claim(found, "")[0][1].startswith("Factorized is ahead at the second look")


def test_what_greedy_does_not_show_goes_against_us():
    content = written()
    said = []
    for low in (-0.01, 0.01):
        content["greedy"]["difference"]["ci95"] = [low, 0.02]
        said.append(reward_setbacks(Comparison.model_validate(content)))
    assert "with greedy sampling the difference is not clear (−1.0 to +2.0 points)" in said[0]
    assert not any("greedy" in line for line in said[1])


def test_the_looks_taken_before_go_against_us():
    content, said = written(), "3 earlier comparisons on the same problems showed no clear difference"
    content["protocol"]["looks_before"] = 3
    assert said in reward_setbacks(Comparison.model_validate(content))
    for before in ({"looks_before": 0}, {}):
        content["protocol"].pop("looks_before", None)
        found = Comparison.model_validate(content | {"protocol": content["protocol"] | before})
        assert not [words for words in reward_setbacks(found) if "earlier" in words]


def test_how_likely_chance_is_stands_with_how_it_was_tested():
    content = written()
    assert "sign-flip" not in protocol_words(Comparison.model_validate(content))
    content["difference"]["sign_flip_p"] = 0.035
    assert "sign-flip test over seeds: p = 0.035, not corrected" in protocol_words(Comparison.model_validate(content))


@pytest.mark.parametrize(
    ("gain", "difference", "says"),
    [
        ([0.01, 0.05], [0.001, 0.02], "the paper’s +11.2 % is not reproduced here"),
        ([-0.05, 0.15], [-0.01, 0.02], "no clear difference here"),
        ([0.02, 0.15], [0.01, 0.04], "trains better"),
    ],
)
def test_the_heading_says_no_more_than_the_interval(gain, difference, says):
    content = written()
    content["gain_over_joint"]["ci95"], content["difference"]["ci95"] = gain, difference
    assert reward_title(Comparison.model_validate(content)).endswith(says)


def test_doubled_rollouts_that_bring_more_go_against_us():
    content = written(controls=True)
    content["difference"]["seeds"] = [0.07, 0.5, 0.5]  # the control is of the first seed
    said = []
    for brought in (0.1, 0.05):
        content["controls"][DOUBLE]["difference"]["mean"] = brought
        said.append(reward_setbacks(Comparison.model_validate(content)))
    assert (
        "joint with twice the problems a step gains more than factorizing does (+10.0 points against +7.0, on 1 seed)"
        in said[0]
    )
    assert not any("twice the problems" in line for line in said[1])


def test_a_task_that_factorized_lost_goes_against_us():
    content = written() | {"by_task": {"maze": {"base": 0.4, "joint": [0.5], "factorized": [0.1]}}}
    assert "factorized unlearnt maze in 1 of 1 seeds" in reward_setbacks(Comparison.model_validate(content))


def test_what_judging_each_turn_brings_is_said_where_it_was_measured():
    runs = [*RUNS, *(made_run(arm, 0, 0.8, "turn") for arm in ARMS)]
    found = Comparison.model_validate(json.loads(json.dumps(compare(BASE, runs, PROTOCOL) | {"missing": []})))
    text = " ".join(line for _, line in reward_claim(found, ""))
    for arm in ARMS:
        assert f"{arm} {change(found.own_turn[f'{arm}_turn']['gain_over_joint_trace']['mean'])}" in text
    assert "on 1 seed" in text
    assert not any(
        "each turn on its own" in line for _, line in reward_claim(Comparison.model_validate(written()), "")
    )


def test_missing_runs_are_said():
    found = Comparison.model_validate(written() | {"missing": ["joint-trace-4"]})
    assert "1 of the planned runs are still missing" in reward_setbacks(found)


def test_the_authors_own_setting_is_said_as_registered_and_not_summarised_before_it_is_complete():
    row = {"runs": {"finished": 3, "registered": 50}, "pilots": {"0.0001": 0.5}, "pilots_registered": 3}
    row |= {"learning_rate": None, "registered": "c" * 40, "gain_separate_over_unified": None}
    row |= {"joint_pooled_trace": None}
    content = written() | {"setups": {"P": row}, "registered": "c" * 40}
    text = " ".join(line for _, line in setup_claim(Comparison.model_validate(content)))
    assert "1 of 3 pilots done" in text and "3 of 50 runs done" in text and "cccccccccccc" in text
    row["gain_separate_over_unified"] = {"mean": 0.05, "ci95": [0.01, 0.09], "seeds": []}
    row["gain_assignment"] = {"mean": 0.02, "ci95": [-0.01, 0.05], "seeds": []}
    text = setup_claim(Comparison.model_validate(content))[0][1]
    assert "+5.0 % (+1.0 % to +9.0 %)" in text and "the assignment alone +2.0 % (−1.0 % to +5.0 %)" in text
    assert not any("set-up P" in said for said in reward_setbacks(Comparison.model_validate(content)))
    row["gain_factorized_trace_over_joint_trace"] = {"mean": -0.006, "ci95": [-0.011, -0.001], "seeds": []}
    (said,) = (said for said in reward_setbacks(Comparison.model_validate(content)) if "set-up P" in said)
    assert said.startswith("in set-up P, factorized over joint") and said.endswith("−0.6 % (−1.1 % to −0.1 %)")
    assert setup_claim(Comparison.model_validate(written())) == []
    other = {"registered": "d" * 40, "gain_factorized_turn_over_joint_trace": {"mean": 0.1, "ci95": None}}
    lines = setup_claim(Comparison.model_validate(content | {"setups": {"P": row, "A": other, "B": {}}}))
    (_, said), (_, command) = lines[-2:]
    assert said.startswith("Set-up A (hard puzzles") and "fixed at commit dddddddddddd before its first test" in said
    assert said.endswith(":\nfactorized by turn over joint by trace +10.0 %") and command.endswith(" --setup A")


def test_what_the_shipped_checkpoints_gained_is_said_with_joint_beside_it():
    means = {"base": 0.5, "joint_turn": 0.6, "factorized_turn": 0.7}
    row = {key: {"mean": mean} for key, mean in means.items()}
    assert setup_claim(Comparison.model_validate(written() | {"setups": {SHIPPED: row}})) == []
    row["gain_factorized_over_base"] = {"mean": 0.4, "ci95": [0.3, 0.5], "seeds": []}
    row |= {"registered": "e" * 40}
    (kind, said), *_ = setup_claim(Comparison.model_validate(written() | {"setups": {SHIPPED: row}}))
    assert kind == "lead" and "+40.0 % (+30.0 % to +50.0 %)" in said and "Joint rewards bring +20.0 %" in said


@pytest.mark.parametrize(("swapped", "says"), [(0.68, "90.0 %"), (0.55, "")])
def test_a_leak_that_trains_is_said_to_be_credit(swapped, says):
    arms = {key: {"mean": mean} for key, mean in (("base", 0.5), ("joint_turn", 0.7), ("swapped_turn", swapped))}
    row = arms | {"by_task": {"maze": arms | {"swapped_turn": {"mean": 0.6}}, "sudoku": {}}}
    found = Comparison.model_validate(written() | {"setups": {"C": row}})
    said = [said for said in reward_setbacks(found) if "set-up C" in said]
    assert all("by turn (maze 50.0 %): what leaks there may in part be credit" in each for each in said)
    assert [f"the other modality's reward alone brings {says} of what joint gains" in each for each in said] == (
        [True] if says else []
    )


def test_every_seed_is_a_thin_line_and_each_mean_a_thick_one():
    found = Comparison.model_validate(written())
    for metric in ("success", "text_reward"):
        lines = comparison_chart(found, metric, "flops")["lines"]
        assert [line["weight"] for line in lines] == [1, 1, 1, 3] * 2
        assert len({(line["dash"], line["colour"]) for line in lines}) == 2
        assert all(low <= high for line in lines if line["weight"] == 3 for _, _, low, high, _ in line["points"])
    one, other = (comparison_chart(found, task=task)["lines"][3]["points"] for task in PROTOCOL.tasks)
    assert one != other
    assert comparison_chart(None) is None


def test_the_forest_has_the_papers_gains_in_our_unit():
    found = Comparison.model_validate(written())
    chart = forest(found)
    at = {line["name"]: line["points"][0][0] for line in chart["lines"]}
    assert at["joint"] == pytest.approx(100 * found.joint.mean)
    assert at["the paper’s gain over joint"] == pytest.approx(100 * found.joint.mean * 1.112)
    assert all(chart["x"]["low"] < value < chart["x"]["high"] for value in at.values())
    assert all(low < high for line in chart["lines"][:3] for _, _, low, high, _ in line["points"])
    assert forest(None) is None


def test_the_map_has_a_dot_and_an_interval_for_each_setting(assets):
    assert map_chart(read_map()) is None
    places = [{"place": name, "difference": 0.02, "ci95": [-0.01, 0.05], "seeds": 1} for name in ("one", "two")]
    chart = map_chart(Map.model_validate({"places": places}))
    assert [text for _, text in chart["y"]["ticks"]] == ["two: +2.0", "one: +2.0"]
    assert [point[:4] for point in chart["lines"][0]["points"]] == [[2, 1, -1, 5], [2, 2, -1, 5]]


def test_every_reading_of_every_comparison_is_a_row_beside_the_papers_gain():
    known = {"mean": 0.02, "ci95": [-0.01, 0.05], "seeds": [0.02] * 3}
    by_trace, by_turn = (f"gain_factorized_{each}_over_joint_{each}" for each in ("trace", "turn"))
    setups = {
        "P": {"gain_separate_over_unified": known, by_trace: None, "joint_pooled_trace": known},
        "A": {by_trace: known | {"ci95": None}, by_turn: known | {"mean": 0.03}},
        "B": {},
    }
    found = Comparison.model_validate(written() | {"setups": setups})
    chart = gains_chart(found)
    first = f"before the set-ups, by {found.granularity}: {points(found.gain_over_joint.mean)}"
    rows = [text for _, text in chart["y"]["ticks"]]
    named = ["set-up P, both as theirs: +2.0", "set-up A, by turn: +3.0"]  # two seeds have no interval
    assert rows[::-1] == [first, *named]
    assert [point[:4] for point in chart["lines"][0]["points"][:2]] == [[3, 1, -1, 5], [2, 2, -1, 5]]
    assert [rule["at"] for rule in chart["rules"]] == [0, pytest.approx(11.2)]
    assert chart["x"]["low"] < -1 and chart["x"]["high"] > 11.2
    assert "P: the authors' setting, as near as we come" in chart["says"] and "B: " not in chart["says"]
    assert gains_chart(None) is None
    two = written() | {"paired_seeds": [0, 1]}
    assert gains_chart(Comparison.model_validate(two)) is None  # too few for an interval, and nothing else is known
    assert reward_title(Comparison.model_validate(two)).endswith("too few seeds to tell")
    assert not [said for said in reward_setbacks(Comparison.model_validate(two)) if "its interval excludes" in said]


def test_interference_and_gain_has_a_dot_for_each_task_whose_gain_has_an_interval():
    known = {"mean": 0.02, "ci95": [-0.01, 0.05], "seeds": [0.02] * 3}
    tasks = {"maze": known, "jigsaw": known | {"ci95": None}, "sudoku": None, "transform": known}
    dots = [
        {"comparison": f"set-up A, by {granularity}", "task": task, "leak_to_signal": 0.5, "gain": gain}
        for granularity in ("trace", "turn")
        for task, gain in tasks.items()
    ]
    leak = {"spearman": 0.5, "points": 5}
    content = {"points": dots, "correlations": {"leak_to_signal": leak, "sign_conflict": None}}
    chart = relation_chart(Comparison.model_validate(written() | {"relation": content}))
    assert [line["name"] for line in chart["lines"]] == ["set-up A, by trace", "set-up A, by turn"]
    assert len({(line["mark"], line["colour"]) for line in chart["lines"]}) == 2
    assert [point[:4] for line in chart["lines"] for point in line["points"]] == [[0.5, 2, -1, 5]] * 4
    assert [line["tags"] for line in chart["lines"]] == [["maze", "transform"]] * 2
    assert "leak to signal +0.50." in chart["says"] and "sign conflict" not in chart["says"]
    same = {"spread": {"sd": 0.006, "standard_error": 0.008}}
    chart = relation_chart(Comparison.model_validate(written() | {"relation": content | same}))
    assert "nothing to predict yet" in chart["says"]
    more = {
        "spread": {"sd": 0.01, "standard_error": 0.005},
        "correlations": {"leak_to_signal": leak | {"within": -0.2}},
    }
    chart = relation_chart(Comparison.model_validate(written() | {"relation": content | more}))
    within = "leak to signal +0.50 (−0.20 within comparisons); 25.0 % of the gains’ variance is their own error."
    assert within in chart["says"]
    none = {"points": [point | {"gain": None} for point in dots], "correlations": {}}
    assert relation_chart(Comparison.model_validate(written() | {"relation": none})) is None
    assert relation_chart(Comparison.model_validate(written())) is None is relation_chart(None)


@pytest.mark.parametrize("count", [16, 48])
def test_no_two_comparisons_look_alike_and_sixteen_differ_by_their_marks_alone(count):
    gain = {"mean": 0.02, "ci95": [-0.01, 0.05], "seeds": [0.02] * 3}
    dots = [
        {"comparison": f"number {i}", "task": "maze", "leak_to_signal": i / 10, "gain": gain} for i in range(count)
    ]
    content = {"relation": {"points": dots, "correlations": {}}}
    lines = relation_chart(Comparison.model_validate(written() | content))["lines"]
    assert len({(line["mark"], line["colour"]) for line in lines}) == len(lines) == count
    assert len({line["mark"] for line in lines[:16]}) == 16


def test_every_mark_but_the_circle_has_its_own_shape():
    script = (ROOT / "mmreason" / "ui" / "components" / "shared" / "chart.js").read_text()
    assert all(re.search(rf"'{mark}'|\b{mark}: \[", script) for mark in MARKS if mark != "circle")


def test_the_table_holds_every_seed_and_the_controls():
    table = task_table(Comparison.model_validate(written(controls=True)))
    assert [row[0] for row in table["rows"]] == [
        *PROTOCOL.tasks,
        "all, greedy",
        "easy, not trained on",
        "factorized, the two rewards swapped (1 seed)",
        "joint, twice the problems a step (1 seed)",
    ]
    assert all(len(row[2].split()) == 3 for row in table["rows"][:2])


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"places": []}', "[" * 100_000])
def test_without_a_usable_file_the_sentence_names_the_command(assets, content):
    if content is not None:
        results_path("reproduce.json").write_text(content)
    found, why = read_comparison()
    assert found is None and "python -m mmreason reproduce" in why
    assert cost_claim(None, "Nothing yet.") == [["plain", "Nothing yet."]]


@pytest.fixture(scope="module")
def results_page(tmp_path_factory):
    """The page with made-up results, hostile strings among them."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    folder = tmp_path_factory.mktemp("assets")
    (folder / "results").mkdir()
    content = written((0.7, 0.4)) | {"command": HOSTILE[0]}
    content["by_task"][HOSTILE[1]] = content["by_task"].pop(PROTOCOL.tasks[0])
    (folder / "results" / "reproduce.json").write_text(json.dumps(content))
    patch = pytest.MonkeyPatch()
    patch.setattr(mmreason_places, "ASSETS", folder)
    with launched() as address:
        yield SimpleNamespace(address=address)
    patch.undo()


def open_results(visit, address, **options):
    page = visit(address, **options)
    page.get_by_role("tab", name="Results", exact=True).click()
    page.locator("#results-curves svg .point").first.wait_for()
    return page


def test_the_tab_shows_claims_and_curves_and_hostile_strings_stay_text(results_page, visit):
    page = open_results(visit, results_page.address)
    expect(page.locator("#results-how")).to_contain_text(HOSTILE[0], use_inner_text=True)
    expect(page.locator("#results-rewards")).to_contain_text("of held-out puzzles, joint rewards", use_inner_text=True)
    expect(page.locator("#results-rewards .lead")).to_have_text(re.compile("^Joint is ahead"), use_inner_text=True)
    against = page.locator("#results-rewards .against").first
    assert against.locator("li").all_inner_texts()[0].startswith("joint is ahead, the paired difference is")
    expect(against).to_have_text(re.compile("^Caveats:"), use_inner_text=True)
    page.locator("#results-tasks summary").click()
    expect(page.locator("#results-tasks tbody")).to_contain_text(HOSTILE[1], use_inner_text=True)
    expect(page.locator("#results-cost")).to_contain_text(
        "compute", use_inner_text=True
    )  # nothing measured there: the command is named
    title = page.locator("#results-curves .ytitle")
    assert title.text_content() == "solved"
    page.get_by_role("radio", name="text reward").click()
    page.wait_for_function("document.querySelector('#results-curves .ytitle').textContent === 'text reward'")
    paths = "[...document.querySelectorAll('#results-curves path')].map(path => path.getAttribute('d')).join()"
    drawn = page.evaluate(paths)
    page.locator("#results-task").get_by_label(PROTOCOL.tasks[1]).click()
    page.wait_for_function(f"before => {paths} !== before", arg=drawn)
    page.get_by_role("radio", name="FLOPs", exact=True).locator("visible=true").click()
    page.wait_for_function("document.querySelector('#results-curves .xtitle').textContent.startsWith('FLOPs')")


def test_every_figure_can_be_saved_and_its_csv_holds_what_is_drawn(results_page, visit):
    page = open_results(visit, results_page.address)
    figure = page.locator("#results-curves")
    content = {}
    for kind in ("CSV", "SVG", "PNG"):
        figure.locator(".mm-save summary").click()
        with page.expect_download() as download:
            figure.get_by_role("button", name=kind).click()
        assert download.value.suggested_filename == f"held-out-success.{kind.lower()}"
        content[kind] = Path(str(download.value.path())).read_bytes()
    head, *rows = csv.reader(io.StringIO(content["CSV"].decode()))
    assert head == ["line", "step", "solved", "low", "high"]
    chart = comparison_chart(Comparison.model_validate(written((0.7, 0.4))))
    drawn = [(line["name"], *point[:2]) for line in chart["lines"] for point in line["points"]]
    assert [(name, float(x), float(y)) for name, x, y, *_ in rows] == [(n, x, pytest.approx(y)) for n, x, y in drawn]
    assert b"var(" not in content["SVG"] and b"Held-out success while training" in content["SVG"]
    picture = Image.open(io.BytesIO(content["PNG"])).convert("RGB")
    assert picture.width > 1200 and len(picture.getcolors(1 << 24)) > 20


def test_the_tab_fits_a_phone(results_page, visit):
    page = open_results(visit, results_page.address, width=390, height=844)
    for table in page.locator("#results summary").all():
        table.click()
    page.locator("#results-tasks tbody").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


OVER_OTHERS = """() => [...document.querySelectorAll('#results .mm-chart')].flatMap((chart) => {
    const texts = [...chart.querySelectorAll('text:not(.tag)')];
    const at = texts.map((text) => text.getBoundingClientRect());
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
    const pairs = texts.flatMap((_, i) => texts.slice(0, i).map((_, j) => [i, j]));
    return pairs.filter(([i, j]) => meet(at[i], at[j])).map((pair) => pair.map((i) => texts[i].textContent));
})"""
STRUCK = """() => [...document.querySelectorAll('#results .mm-chart')].flatMap((chart) => {
    const parts = [...chart.querySelectorAll('text, line')];
    const last = parts.findLastIndex((part) => part.tagName === 'line');
    return parts.slice(0, last).filter((part) => part.classList.contains('over')).map((part) => part.textContent);
})"""


HIT = """() => [...document.querySelectorAll('#results .mm-chart')].flatMap((chart) => {
    const boxes = (names) => [...chart.querySelectorAll(names)].map((part) => [part, part.getBoundingClientRect()]);
    const over = (a, b) => a.left < b.right && b.left < a.right;
    const hits = ([, a], [, b]) => over(a, b) && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
    const [names, tags] = [boxes('.over'), boxes('.tag')];
    const struck = names.filter((name) => boxes('.point line').some((line) => hits(name, line)));
    const met = tags.filter((tag, i) => tags.slice(0, i).some((other) => hits(tag, other)));
    const [flat] = boxes('.rule').filter(([line]) => line.getAttribute('y1') === line.getAttribute('y2'));
    const crossed = tags.filter(([, box]) => flat && box.top + 2 < flat[1].top && flat[1].top < box.bottom - 2);
    return [...struck, ...met, ...crossed].map(([part]) => part.textContent);
})"""


@pytest.mark.parametrize("width", [390, 1440])
def test_names_of_rows_and_dots_are_clear_of_intervals_of_each_other_and_of_the_line(app, visit, width):
    page = open_results(visit, app, width=width, height=900)
    page.locator("#results .mm-chart .tag").first.wait_for(state="attached")
    assert page.evaluate(HIT) == []


@pytest.mark.parametrize("width", [390, 1440])
def test_no_words_of_a_shipped_figure_lie_on_others_and_no_line_on_the_names_of_rows(app, visit, width):
    page = open_results(visit, app, width=width, height=900)
    page.locator("#results .mm-chart .rule").first.wait_for(state="attached")
    assert page.evaluate(OVER_OTHERS) == []
    assert page.evaluate(STRUCK) == []
    assert (page.locator("#results .mm-chart .over").count() > 0) == (width == 390)


def test_records_of_the_protocol_are_plain():
    assert json.loads(json.dumps(asdict(PROTOCOL)))["tasks"] == list(PROTOCOL.tasks)


def test_what_is_shipped_has_no_more_comparisons_than_there_are_marks():
    file = ROOT / "assets" / "results" / "reproduce.json"
    lines = relation_chart(Comparison.model_validate_json(file.read_bytes()))["lines"]
    assert len({line["mark"] for line in lines}) == len(lines)
