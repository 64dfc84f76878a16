"""What a visitor finds: the real app with its bundled example and its checkpoint."""

import json
import re

import pytest
from playwright.sync_api import expect

from mmreason.tasks import FIRST_TASKS
from mmreason.traces.file import check
from mmreason.traces.sheet import load_with_sheet
from mmreason.traces.versions.ours import ones_of
from mmreason.ui.solve.request import SolveRequest, link_query
from tests.helpers.browser import ROOT, part, set_sampling_seed, settle, share, solve, take, to_the_end


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_a_bundled_example_is_a_valid_solved_trace_of_three_turns_or_more(task):
    data = load_with_sheet(ROOT / "assets" / "examples" / f"{task}.json")
    assert data.pop("sheet")["image"].startswith("data:image/png;base64,")
    assert data["success"]
    assert sum(segment["kind"] == "edit" for segment in data["segments"]) >= 3


def test_an_example_plays_without_a_click_and_ends_solved(app, visit):
    page = visit(app)
    expect(part(page, "puzzle-name")).to_have_text(re.compile("^Example"), use_inner_text=True)
    part(page, "card").nth(1).wait_for()
    part(page, "speed").click()
    part(page, "speed").click()
    part(page, "result").wait_for(timeout=20_000)
    expect(part(page, "result-line")).to_contain_text("Solved in", use_inner_text=True)
    assert part(page, "card").count() >= 4


def test_a_page_that_is_left_alone_comes_to_rest(app, visit):
    count = "{ const ask = requestAnimationFrame.bind(window); window.asked = 0;"
    count += " window.requestAnimationFrame = (act) => { window.asked += 1; return ask(act); } }"
    page = visit(app, prepare=lambda page: page.add_init_script(count), reduced_motion="reduce")
    settle(page)
    second = "async () => { const n = asked; await new Promise((done) => setTimeout(done, 1000)); return asked - n; }"
    assert any(page.evaluate(second) == 0 for _ in range(40)), "something asks for frames for ever"


def test_the_page_names_just_those_files_of_gradios_that_a_browser_finds_without_being_told(app, visit):
    named, asked = set[str](), set[str]()

    def untold(route):
        text = route.fetch().text()
        named.update(re.findall(r'<link rel="(?:modulepreload|preload)"[^>]* href="\./assets/([\w.-]+)">', text))
        route.fulfill(body=re.sub(r'<link rel="(?:modulepreload|preload)"[^>]*>', "", text), content_type="text/html")

    def prepare(page):
        page.route(f"{app}/", untold)
        page.on("request", lambda request: asked.update(re.findall(r"/assets/([\w.-]+\.(?:js|css))$", request.url)))

    settle(visit(f"{app}/", prepare=prepare))
    assert len(named) > 50
    assert named == asked


def test_a_short_window_shows_canvas_and_player_without_scrolling(app, visit):
    page = visit(app, width=1366, height=768)
    part(page, "card").first.wait_for()
    settle(page)
    canvas, deck = (part(page, name).bounding_box() for name in ("canvas", "deck"))
    assert canvas["y"] + canvas["height"] <= deck["y"] + 8  # fonts differ by a few pixels
    assert deck["y"] + deck["height"] <= 768


def test_nothing_plays_by_itself_for_who_prefers_reduced_motion(app, visit):
    page = visit(app, reduced_motion="reduce")
    part(page, "result").wait_for()
    assert part(page, "play").get_attribute("aria-label") == "Play"


def test_the_checkpoint_solves_a_puzzle_and_its_trace_and_replay_can_be_taken_away(app, visit, tmp_path):
    page = visit(app)
    solve(page)
    page.locator(".puzzle-name").get_by_text("Maze, medium, seed 0").wait_for()
    to_the_end(page)
    expect(part(page, "cost")).to_contain_text("tokens forwarded", use_inner_text=True)
    data = _trace(page, tmp_path / "trace.json")
    check(data)
    assert data["settings"]["checkpoint"] == "base"
    assert take(page, "gif", tmp_path / "replay.gif").startswith(b"GIF8")


@pytest.mark.slow
def test_a_link_fills_the_controls_and_solves_again_token_for_token(app, visit, tmp_path):
    page = visit(app)
    settle(page)
    page.get_by_role("radio", name="transform").click()
    page.get_by_label("Seed", exact=True).fill("3")
    set_sampling_seed(page, 11)
    solve(page)
    page.locator(".puzzle-name").get_by_text("Transform, medium, seed 3").wait_for()
    to_the_end(page)
    share(page, "copy-link")
    link = part(page, "link").input_value()
    first = _trace(page, tmp_path / "first.json")

    again = visit(link)
    again.locator(".puzzle-name").get_by_text("Transform, medium, seed 3").wait_for()
    to_the_end(again)
    assert again.get_by_role("radio", name="transform").get_attribute("aria-checked") == "true"
    expect(again.get_by_label("Seed", exact=True)).to_have_value("3")
    second = _trace(again, tmp_path / "second.json")
    assert [s["frames"] for s in second["segments"]] == [s["frames"] for s in first["segments"]]
    assert second["settings"] == first["settings"]


def test_a_link_whose_checkpoint_is_gone_says_so_and_fills_the_controls(app, visit):
    page = visit(f"{app}/?task=sudoku&difficulty=easy&seed=5&checkpoint=old&hash=000000000000")
    page.get_by_text("which is no longer here").wait_for()
    assert page.get_by_role("radio", name="sudoku").get_attribute("aria-checked") == "true"
    expect(page.get_by_label("Seed", exact=True)).to_have_value("5")
    page.locator(".puzzle-name").get_by_text("Sudoku, easy, seed 5").wait_for()


def test_a_link_to_an_own_puzzle_whose_checkpoint_is_gone_sets_it_up(app, visit):
    puzzle = json.dumps({"task": "maze", "rows": ["SG......", *["........"] * 7]})
    wish = SolveRequest(task="maze", own=puzzle, checkpoint="old", checkpoint_hash="000000000000")
    page = visit(app + "/" + link_query(wish, "000000000000"))
    page.get_by_text("“Solve” uses base as it is now").wait_for()
    page.locator(".puzzle-name").get_by_text("Own maze").wait_for()
    page.get_by_text("This maze can be solved, in 1 turn.").wait_for()
    solve(page)
    page.locator(".mm-player[data-state=finished]").wait_for()
    expect(part(page, "puzzle-name")).to_have_text("Own maze", use_inner_text=True)


def _trace(page, path):
    written = json.loads(take(page, "trace", path))
    assert written["version"] == 2
    (data,) = ones_of(written)
    return data


def test_what_cannot_be_copied_is_shown_with_its_lines_and_its_name_until_something_else_is_done(app, visit):
    page = visit(app)
    page.evaluate("""() => {
      Object.defineProperty(navigator, 'clipboard', { value: undefined });
      document.execCommand = () => false;
    }""")
    field = part(page, "link")
    for action, name, begins in (
        ("Copy Python (API)", "Python that solves this again", "from gradio_client import Client\n\nclient = "),
        ("Share as text", "Text to share", "mmreason thinks in words"),
    ):
        part(page, "share-head").click()
        page.get_by_role("button", name=action).click()
        expect(page.get_by_label(name)).to_be_visible()
        assert field.input_value().startswith(begins) and "\n" in field.input_value()
        assert not field.is_editable()
    part(page, "share-head").click()
    with page.expect_download():
        page.get_by_role("button", name="Picture (PNG)").click()
    expect(field).to_be_hidden()
