"""The tab Cost: what it says of any results file, its formula, and the page in a real browser."""

import csv
import json
import os
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from playwright.sync_api import expect

from mmreason import places
from mmreason.analysis.cost.compute import four_arms
from mmreason.analysis.cost.race import joint_sheet, run_race
from mmreason.analysis.cost.race_gif import clock_times, scene_at
from mmreason.analysis.cost.results import FILE, Results, Row, read_results
from mmreason.analysis.cost.scaling import break_even_share
from mmreason.analysis.cost.workload import ARMS, Workload, rollout_flops
from mmreason.analysis.results_file import results_path
from mmreason.errors import ConfigError, MMReasonError
from mmreason.tasks import make_problem
from mmreason.ui.cost import events, formula, measuring, racing
from mmreason.ui.cost.frontier import frontier_chart
from mmreason.ui.cost.words import arm_bars, arm_words, cheapest, frontier_table, headline
from mmreason.ui.host import checkpoints
from mmreason.wording import flops, seconds
from tests.helpers import policies
from tests.helpers.browser import HOSTILE, LOAD_PIPELINE, launched, type_number

FLOPS = {"ar_full": 3.0e9, "ar_local": 0.9e9, "diffusion_full": 6.0e9, "diffusion_local": 1.5e9}


def results(**changes):
    """A results file's content, made up."""
    arms = {
        name: {
            "flops": value,
            "forward_passes": 300.0 if name == "ar_full" else 15.0,
            "tokens_forwarded": value / 1e7,
            "seconds": value / 1e11,
            "seconds_single": value / 1e10,
            "success": 0.8,
            "ci95": [0.7, 0.9],
        }
        for name, value in FLOPS.items()
    }
    frontier = [
        {"arm": arm, "num_steps": steps, "threshold": tau, "success": 0.5, "ci95": [0.4, 0.6]}
        | {"flops": 1e9 * (1 + i), "forward_passes": 9.0}
        for arm in ("diffusion_full", "diffusion_local")
        for i, (steps, tau) in enumerate([(1, None), (4, None), (None, 0.9)])
    ]
    made = {"arms": arms, "flops_reduction": 0.5, "time_ratio": 2.5, "time_ratio_single": 6.0}
    made |= {
        "num_generations": 2,
        "success_difference": 0.012,
        "frontier": frontier,
        "workload": {"region": 8, "canvas": 64, "turns": 4, "image_steps": 1.25},
    }
    made |= {"notes": {"ar_local": "It was trained on full redraws only."}, "machine": {"device": "cpu", "threads": 1}}
    return made | {"command": "python -m mmreason compute --problems 64"} | changes


def checked(**changes):
    return Results.model_validate(results(**changes))


@pytest.fixture
def assets(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ASSETS", tmp_path)
    (tmp_path / "results").mkdir()
    return tmp_path


def test_the_headline_says_the_saving_the_papers_and_the_command():
    lines = headline(checked())
    assert "50.0 % fewer FLOPs" in lines[0][1] and "26.9 % fewer" in lines[0][1]
    assert "1.50 billion against 3.00 billion" in lines[0][1]
    assert "6.0 times as fast for a single visitor" in lines[1][1] and "1.2 more puzzles in 100" in lines[1][1]
    assert "saves an autoregressive policy 70.0 % of its FLOPs and diffusion 75.0 %" in lines[2][1]
    assert "spends 60.0 % of diffusion's FLOPs" in lines[2][1]
    assert "local edits save 87.5 % of the steps here, where an edit draws 8 of 64 cells" in lines[3][1]
    assert ["code", "python -m mmreason compute --problems 64"] in lines
    assert not [line for line in lines if line[0] == "note"]  # the arm's bar shows it
    assert ["note", "other: A sentence."] in headline(checked(notes={"other": "A sentence."}))
    assert not [line for line in lines if line[0] == "against"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"flops_reduction": -0.1}, "costs more FLOPs"),
        ({"flops_reduction": 0.2}, "smaller than the paper's"),
        ({"time_ratio_single": 0.5}, "slower for a single visitor"),
        ({"time_ratio": 0.5}, "slower in a batch of 64"),
        ({"success_difference": -0.05}, "not a saving at equal success"),
    ],
)
def test_what_goes_against_us_is_said(change, said):
    (against,) = [text for kind, text in headline(checked(**change)) if kind == "against"]
    assert said in against


def test_success_within_a_point_is_no_setback():
    assert not [line for line in headline(checked(success_difference=-0.009)) if line[0] == "against"]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"arms": NaN}', "[" * 100_000])
def test_without_a_usable_file_the_sentence_names_the_command(assets, content):
    if content is not None:
        results_path(FILE).write_text(content)
    found, why = read_results()
    assert found is None
    assert "python -m mmreason compute" in why


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r["arms"].pop("ar_full"),
        lambda r: r["arms"]["ar_full"].update(flops=0),
        lambda r: r["arms"]["ar_full"].update(success=float("nan")),
        lambda r: r["arms"]["ar_full"].update(ci95=[0.1]),
        lambda r: r["frontier"][0].update(num_steps=None, threshold=None),
        lambda r: r.update(time_ratio=float("inf")),
    ],
)
def test_a_broken_figure_is_refused_in_one_sentence(assets, spoil):
    content = results()
    spoil(content)
    results_path(FILE).write_text(json.dumps(content))
    found, why = read_results()
    assert found is None and "cannot be used" in why and "\n" not in why


def test_bars_share_one_scale_and_the_measured_ones_join_it():
    here = {name: Row.model_validate(row | {"flops": 2 * row["flops"]}) for name, row in results()["arms"].items()}
    value = arm_bars(checked(), here)
    shares = {arm["name"]: [line["share"]["flops"] for line in arm["lines"]] for arm in value["arms"]}
    top = 2 * max(FLOPS.values())
    assert shares == {name: pytest.approx([FLOPS[name] / top, 2 * FLOPS[name] / top]) for name in ARMS}
    notes = {arm["name"]: arm["note"] for arm in value["arms"]}
    assert notes.pop("ar_local") == "It was trained on full redraws only."
    assert not any(notes.values())
    assert [line["who"] for line in value["arms"][0]["lines"]] == ["shipped", "this machine"]
    assert value["arms"][0]["lines"][0]["says"] == "solves 80 % (70 to 90)"


@pytest.mark.parametrize(
    ("value", "said"),
    [(4.2e6, "4.20 million"), (3.14e9, "3.14 billion"), (2e13, "20.0 trillion"), (5e16, "50.0 quadrillion")],
)
def test_flops_are_said_in_words(value, said):
    assert flops(value) == said


def test_times_are_said_in_their_unit():
    assert (seconds(0.0042), seconds(0.25), seconds(3)) == ("4.20 ms", "250 ms", "3.00 s")


def test_the_frontier_has_a_row_and_a_point_for_each_setting():
    found = checked()
    table, figure = frontier_table(found.frontier, found), frontier_chart(found)
    assert len(table["rows"]) == 8
    assert {row[1] for row in table["rows"]} == {"1 step", "4 steps", "threshold 0.9", "–"}
    assert figure is not None
    assert sum(len(curve["points"]) for curve in figure["lines"]) == 8
    assert figure["x"]["log"] and figure["y"]["low"] <= 40  # the lowest interval is inside
    assert frontier_chart(checked(frontier=[])) is None


def test_the_title_says_which_arm_is_cheapest_in_what():
    content = results()
    content["arms"]["diffusion_local"] |= {"forward_passes": 9.0, "seconds_single": 0.01}
    ((_, title),) = cheapest(Results.model_validate(content))
    assert title == (
        "Autoregressive, local edits: fewest FLOPs. Diffusion, local edits: fewest forward passes and seconds."
    )


# The formula


def starts(**changes):
    described = formula.sliders({})
    return tuple(changes.get(slider.name.replace(" ", "_"), slider.start) for slider in described)


def test_the_sliders_give_what_the_formula_gives():
    chart, words = formula.recompute(starts(turns=3, canvas_side=16), "1 billion", {})
    typical = Workload()
    load = Workload(256, 3, 64, typical.thought, typical.text_slots, 1.5, 1.2, 8)
    config = formula.model_config("1 billion")
    lines = {each["name"]: dict(each["points"]) for each in chart["lines"]}
    spent = {arm: rollout_flops(config, arm, load) for arm in ARMS}
    assert {arm: lines[arm_words(arm)][25] for arm in ARMS} == pytest.approx(spent)
    saving = 1 - spent["diffusion_local"] / spent["ar_full"]
    assert f"At 25 % of the canvas local diffusion spends {100 * saving:.1f} % fewer" in chart["drag"]["says"][24]
    share = break_even_share(config, load)
    assert share is not None
    assert f"once an edit redraws {100 * share:.1f} % of the canvas" in words[0][1]
    assert lines["crossing"] == {100 * share: spent["ar_full"]}
    assert chart["rules"][0]["at"] == 100 * share


def test_where_autoregression_always_wins_is_said():
    chart, words = formula.recompute(starts(text_steps=12, image_steps=12, canvas_side=4), "this one", {})
    assert "wins on FLOPs however small the edits are" in words[0][1]
    assert "more FLOPs" in chart["drag"]["says"][0] and not chart["rules"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"turns": 2.5}, "turns must be a whole number from 1 to 16, got '2.5'"),
        ({"canvas_side": 1e9}, "canvas side must be a whole number from 4 to 32"),
        ({"text_steps": None}, "text steps must be a number from 1 to 12, got nothing"),
        ({"image_steps": "nan"}, "image steps must be a number"),
    ],
)
def test_a_value_out_of_range_is_refused_in_words(change, said):
    with pytest.raises(ConfigError, match=said):
        formula.recompute(starts(**change), "this one", {})


def test_an_unknown_model_is_refused():
    with pytest.raises(ConfigError, match="model must be one of this one"):
        formula.recompute(starts(), "9 billion", {})


def test_the_sliders_start_inside_their_range_whatever_was_measured():
    for slider in formula.sliders({"region": 900, "canvas": 64, "turns": 40, "text_steps": 0.2}):
        assert slider.low <= slider.start <= slider.high


# Races and measurements, on tiny policies


def tiny_pipes():
    base, ar = (policies.pipeline_of(policies.scripted_policy(causal=causal)) for causal in (False, True))
    for pipe in (base, ar):
        pipe.scheduler.register_to_config(num_steps=2)
    return {"base": base, "ar": ar}


@pytest.fixture(scope="module")
def pipes():
    return tiny_pipes()


@pytest.fixture
def loaded(pipes, monkeypatch):
    monkeypatch.setattr(checkpoints, "load_pipeline", pipes.__getitem__)
    short = pipes["base"].scheduler.sampling_config(max_turns=2)
    monkeypatch.setattr(type(pipes["base"].scheduler), "sampling_config", lambda self, **changes: short)
    return pipes


def test_a_race_holds_every_step_and_ends_at_the_traces_cost(loaded):
    by_name = {arm.name: arm for arm in four_arms(loaded["base"], loaded["ar"])}
    arms = by_name["diffusion_local"], by_name["ar_full"]
    problem, config = make_problem("maze", "easy", 1), loaded["base"].scheduler.sampling_config()
    *_, (_, _, race) = run_race(arms, problem, config, 0)
    for arm, lane in zip(arms, race["lanes"], strict=True):
        trace = arm.pipe([problem], arm.settings(config), [0]).traces[0]
        assert (lane["passes"], lane["tokens"]) == (trace.cost.forward_passes, trace.cost.tokens_forwarded)
        assert len(lane["steps"]) == sum(len(segment.frames) for segment in trace.segments)
        assert lane["steps"] == sorted(lane["steps"], key=lambda step: step[:3])
        end = scene_at(lane, lane["passes"])
        codes = list(trace.canvas_tokens)
        for segment in trace.segments:
            for cell, token in zip(segment.cells, segment.tokens, strict=False):
                codes[cell] = token
        assert end.codes.tolist() == [code - len(arm.pipe.words) for code in codes]
    times = clock_times(race)
    assert times[0] == 0 and times[-1] == race["lanes"][1]["passes"]
    assert joint_sheet(arms).shape == arms[0].pipe.sheet.shape
    assert len(race["lanes"][0]["steps"]) < len(race["lanes"][1]["steps"])


def test_a_race_of_ones_own_has_its_command_as_the_bundled_one_has():
    bundled = racing.bundled_race()
    assert bundled is not None
    told = bundled["problem"]
    problem = make_problem(told["task"], told["difficulty"], told["seed"])
    assert racing.command_line(problem, bundled["lanes"][1]["arm"]) == bundled["command"]


def never():
    return False


def test_measuring_gives_all_arms_and_can_be_stopped(loaded):
    states = list(measuring.measure_here(4, 2, never))
    assert states[-1].rows is not None and list(states[-1].rows) == list(ARMS)
    assert not states[-1].busy
    assert "Problem 4 of 4" in states[-2].notice
    stopped = []
    run = measuring.measure_here(4, 2, lambda: bool(stopped))
    next(run), next(run)
    stopped.append(True)
    (last,) = run
    assert "Stopped at problem 1 of 4" in last.notice and last.rows is None


def test_no_race_starts_from_a_wrong_seed_and_its_words_go_when_it_is_right():
    visit = SimpleNamespace(session_hash="nobody")
    says, button = events.on_race_typed(-4, visit)
    assert says["at"] == "cost-seed" and not button.interactive
    says, button = events.on_race_typed(4, visit)
    assert says == "" and button.interactive


def test_a_measurement_that_is_being_stopped_says_so(monkeypatch):
    visit, stopped = SimpleNamespace(session_hash="a"), []
    monkeypatch.setattr(events.LINE, "stop", lambda session, kind: stopped.append((session, kind)))
    for busy, says in ((True, "Stopping …"), (False, gr.skip())):
        monkeypatch.setattr(events.LINE, "is_busy", lambda session, kind, busy=busy: busy)
        assert events.on_measure_stop(visit)[0] == says
    assert stopped == [("a", "measure")] * 2


def test_a_count_that_nobody_offers_and_a_missing_policy_are_said_in_words(monkeypatch):
    with pytest.raises(MMReasonError, match="problems must be one of 4, 8, 16"):
        list(measuring.measure_here(10**9, 2, never))
    monkeypatch.setattr(checkpoints, "load_pipeline", LOAD_PIPELINE)
    monkeypatch.setattr(checkpoints, "checkpoint_names", lambda: [])
    with pytest.raises(MMReasonError, match="is not here"):
        list(measuring.measure_here(4, 2, never))
    with pytest.raises(MMReasonError, match="is not here"):
        list(racing.race_live("maze", "easy", 0, "ar_full", never))
    with pytest.raises(MMReasonError, match="against must be one of"):
        list(racing.race_live("maze", "easy", 0, "ar_local", never))


# The page


@pytest.fixture(scope="module")
def cost_page(pipes, tmp_path_factory):
    """The page on tiny policies, with hostile results, no bundled race."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    folder = tmp_path_factory.mktemp("assets")
    (folder / "results").mkdir()
    notes = {"ar_local": HOSTILE[0], HOSTILE[1]: HOSTILE[0]}
    content = results(notes=notes, command=HOSTILE[1], machine={HOSTILE[0]: HOSTILE[1]})
    (folder / "results" / "compute.json").write_text(json.dumps(content))
    patch = pytest.MonkeyPatch()
    patch.setattr(places, "ASSETS", folder)
    patch.setattr(checkpoints, "load_pipeline", pipes.__getitem__)
    patch.setattr(checkpoints, "checkpoint_names", lambda: ["base", "ar"])
    short = pipes["base"].scheduler.sampling_config(max_turns=2)
    patch.setattr(type(pipes["base"].scheduler), "sampling_config", lambda self, **changes: short)
    with launched() as address:
        yield SimpleNamespace(address=address)
    patch.undo()


# After so many frames of the browser, where the race stands.
MOMENT_OF_RACE = """async (frames) => {
  for (let i = 0; i < frames; i += 1) await new Promise(requestAnimationFrame);
  return document.querySelector('#cost-race .scrub').value;
}"""


def open_cost(visit, address, **options):
    page = visit(address, **options)
    page.get_by_role("tab", name="Cost", exact=True).click()
    page.locator("#cost-arms .arm").nth(3).wait_for()
    return page


def test_the_tab_shows_bars_and_words_and_hostile_strings_stay_text(cost_page, visit):
    page = open_cost(visit, cost_page.address)
    expect(page.locator("#cost-head")).to_contain_text("50.0 % fewer FLOPs", use_inner_text=True)
    expect(page.locator("#cost-head code")).to_contain_text(HOSTILE[1], use_inner_text=True)
    bars = page.locator("#cost-arms")
    assert HOSTILE[0] in bars.inner_text()
    bars.get_by_role("radio", name="FLOPs").click()
    assert bars.get_by_text("1.50 billion").count() == 1
    assert bars.get_by_text("solves 80 % (70 to 90)").count() == 4
    bars.get_by_role("radio", name="Forward passes").click()
    assert bars.get_by_text("300 passes").count() == 1
    kept = {}
    for kind in ("CSV", "SVG"):
        bars.locator(".mm-save summary").click()
        with page.expect_download() as download:
            bars.get_by_role("button", name=kind).click()
        assert download.value.suggested_filename == f"arms-forward-passes.{kind.lower()}"
        kept[kind] = Path(str(download.value.path())).read_text()
    head, *rows = csv.reader(kept["CSV"].splitlines())
    flops_at = head.index("FLOPs")
    assert {row[0]: float(row[flops_at]) for row in rows} == {arm_words(arm): FLOPS[arm] for arm in ARMS}
    assert "300 passes" in kept["SVG"]
    page.locator("#cost-frontier svg .point").first.wait_for()
    page.get_by_text("The frontier as a table").click()
    expect(page.locator("#cost-table tbody tr")).to_have_count(8)


def test_a_race_is_run_and_plays_and_the_local_lane_ends_first(cost_page, visit):
    page = open_cost(visit, cost_page.address)
    assert page.locator("#cost-race .race").is_hidden()
    page.get_by_role("button", name="Race", exact=True).click()
    lanes = page.locator("#cost-race .lane")
    page.locator("#cost-race .lane[data-over=true]").first.wait_for(timeout=120_000)
    assert lanes.nth(0).get_attribute("data-over") == "true"
    assert lanes.nth(1).get_attribute("data-over") == "false"
    page.get_by_role("tab", name="Results", exact=True).click()
    moments = [page.evaluate(MOMENT_OF_RACE, frames) for frames in (3, 30)]
    assert moments[0] == moments[1]  # it waits while it is not seen
    page.get_by_role("tab", name="Cost", exact=True).click()
    page.wait_for_function(f"before => ({MOMENT_OF_RACE})(1).then((now) => now !== before)", arg=moments[1])
    page.get_by_role("button", name="Pause", exact=True).click()
    race = page.locator("#cost-race .race")
    race.focus()
    before = int(lanes.nth(1).get_attribute("data-steps"))
    race.press("ArrowRight")
    assert int(lanes.nth(1).get_attribute("data-steps")) == before + 1
    race.press("End")
    assert lanes.nth(1).get_attribute("data-over") == "true"
    expect(page.locator("#cost-race .result")).to_contain_text("local edits are first to finish", use_inner_text=True)
    expect(page.locator("#cost-race .command")).to_contain_text("python -m mmreason race --task maze --difficulty")
    passes = [int(lanes.nth(i).locator(".passes").inner_text()) for i in range(2)]
    assert passes[0] < passes[1]


def test_a_slider_changes_the_figures_and_measuring_here_adds_bars(cost_page, visit):
    page = open_cost(visit, cost_page.address)
    reads, knob = page.locator("#cost-sizes .reads"), page.locator("#cost-sizes [role=slider]")
    before = reads.inner_text()
    knob.press("End")
    assert reads.inner_text().startswith("At 100 % of the canvas") and knob.get_attribute("aria-valuenow") == "100"
    knob.press("ArrowLeft")
    assert reads.inner_text().startswith("At 99 % of the canvas")
    page.locator("#cost-formula button").first.click()
    before = reads.inner_text()
    type_number(page.get_by_label("number input for Turns"), 12)
    changed = "before => document.querySelector('#cost-sizes .reads').innerText !== before"
    page.wait_for_function(changed, arg=before)
    page.get_by_role("button", name="Measure here").click()
    page.get_by_text("Measured here on 4 medium problems").wait_for(timeout=120_000)
    here = page.locator("#cost-arms").get_by_text("this machine", exact=True)
    expect(here).to_have_count(4)
    page.get_by_role("tab", name="Results", exact=True).click()
    page.get_by_role("tab", name="Cost", exact=True).click()
    page.wait_for_timeout(1000)
    expect(here).to_have_count(4)


def test_a_race_that_cannot_be_run_leaves_the_one_that_is_there(app, visit):
    page = open_cost(visit, app)
    race = page.locator("#cost-race .race")
    race.wait_for()
    page.locator("#cost-seed input").fill("-1")
    page.get_by_text("Seed must be a whole number from 0").wait_for()
    expect(page.locator("#cost-seed input")).to_have_attribute("aria-invalid", "true")
    start = page.get_by_role("button", name="Race", exact=True)
    expect(start).to_be_disabled()
    expect(race).to_be_visible()
    page.locator("#cost-seed input").fill("1")
    expect(start).to_be_enabled()
    expect(page.get_by_text("Seed must be a whole number from 0")).to_have_count(0)


def test_the_tab_fits_a_phone(cost_page, visit):
    page = open_cost(visit, cost_page.address, width=390, height=844)
    page.locator("#cost-frontier svg .point").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
