"""The visitor's own puzzle: clicked, typed or pasted; checked at once; hostile text stays text."""

import json
import re
import threading

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from mmreason.tasks import TASKS
from mmreason.ui.solve.request import SolveRequest, link_query
from mmreason.ui.watch import own
from tests.helpers.browser import HOSTILE, part, settle, share, solve, to_the_end
from tests.helpers.scripted import ScriptedPipe

ASKED = re.compile("run/predict|queue/join")  # what an event of the page asks the server
# Gradio warns that such a tag does not run, which is what is tested.
AS_TEXT = pytest.mark.filterwarnings("ignore:A `<script>` tag was found:UserWarning")


def _open(page):
    page.get_by_role("button", name="Your own puzzle").click()
    page.locator(".mm-board").wait_for()


def _cell(page, name):
    return page.locator(f".mm-board .cell[aria-label^='{name},']")


def test_a_maze_set_up_by_clicks_is_solved(scripted, visit):
    page = visit(scripted.address)
    _open(page)
    page.get_by_text("This maze can be solved, in").wait_for()
    _cell(page, "r8c2").click()
    page.get_by_role("radio", name="goal").click()
    _cell(page, "r1c5").click()
    page.get_by_text("This maze can be solved, in 4 turns").wait_for()
    solve(page)
    page.locator(".puzzle-name").get_by_text("Own maze").wait_for()
    to_the_end(page)
    expect(part(page, "result-line")).to_contain_text("Solved in 4 turns", use_inner_text=True)
    share(page, "copy-link")
    link = part(page, "link").input_value()
    again = visit(link)
    again.locator(".puzzle-name").get_by_text("Own maze").wait_for()
    to_the_end(again)
    expect(part(again, "result-line")).to_contain_text("Solved in 4 turns", use_inner_text=True)
    expect(again.locator("#expect .notice")).to_have_text(own.UNDRAWN, use_inner_text=True)  # nobody measured such


def test_on_a_phone_the_board_comes_before_what_is_said_of_it_and_close(scripted, visit):
    page = visit(scripted.address, width=390, height=844)
    _open(page)
    page.get_by_text("This maze can be solved, in").wait_for()
    tops = [page.locator(name).bounding_box()["y"] for name in ("#own-kind", "#board", "#own-says", "#own-close")]
    assert tops == sorted(tops)


def test_row_and_odds_follow_the_own_puzzle_and_a_tile_leads_back(scripted, visit):
    """A link to a jigsaw of one's own lights its task, has no odds of another, and Solve solves it again."""
    puzzle = json.dumps(dict(TASKS["jigsaw"].example))
    page = visit(scripted.address + link_query(SolveRequest(task="jigsaw", own=puzzle), ScriptedPipe.fingerprint))
    to_the_end(page)
    tiles = page.locator("#task [aria-checked=true], #controls > .tile.chosen")
    expect(tiles).to_have_text(["jigsaw", "Your own puzzle"], use_inner_text=True)
    expect(page.locator("#expect .notice")).to_have_text(own.UNDRAWN, use_inner_text=True)
    solve(page)
    to_the_end(page)
    expect(part(page, "puzzle-name")).to_have_text("Own jigsaw", use_inner_text=True)
    page.get_by_role("radio", name="jigsaw").click()
    page.locator(".puzzle-name").get_by_text("Jigsaw, medium, seed").wait_for()
    page.locator("#expect .notice:not([hidden])").get_by_text("jigsaws").wait_for()
    expect(tiles).to_have_text(["jigsaw"], use_inner_text=True)


def test_what_is_wrong_is_told_in_one_place_for_boards_and_text_and_marks_the_text():
    _, says = own.check(own.JSON, None, "{")
    assert own.told("maze", says) == {"says": says, "wrong": True} and "not JSON" in says
    assert own.told(own.JSON, says) == {"says": says, "wrong": True, "at": "own-text", "here": True}
    problem, says = own.check(own.JSON, None, own.as_text("maze"))
    assert problem is not None and own.told(own.JSON, says) == says


def test_the_board_stands_back_while_the_text_cannot_be_read(scripted, visit):
    page = visit(scripted.address)
    _open(page)
    page.locator("#own-kind").get_by_text("JSON").click()
    text, says = page.locator("#own-text textarea"), page.locator("#own-says .notice")
    good = text.input_value()
    for value, is_good in (("{", False), (good, True)):
        text.fill(value)
        expect(says).to_contain_text("can be solved" if is_good else "cannot be solved")
        expect(text).to_have_attribute("aria-invalid", str(not is_good).lower())
        assert ("wrong" in (says.get_attribute("class") or "").split()) is not is_good
        assert part(page, "picture").evaluate("(e) => getComputedStyle(e).opacity") == ("1" if is_good else "0.35")
        assert page.locator(".field-says").count() == 0


def test_a_walled_in_maze_says_why_and_cannot_be_solved(scripted, visit):
    page = visit(scripted.address)
    _open(page)
    _cell(page, "r1c2").click()
    _cell(page, "r2c1").click()
    page.get_by_text("no free path leads from the start at r1c1 to the goal").wait_for()
    expect(page.get_by_role("button", name="Solve", exact=True)).to_be_disabled()
    page.get_by_text("This is no puzzle yet").wait_for()
    assert not page.get_by_text("to watch").is_visible()
    _cell(page, "r2c1").click()
    page.get_by_text("can be solved").wait_for()
    page.get_by_text("to watch").wait_for()


@pytest.mark.parametrize(
    ("kind", "board"),
    [
        ("jigsaw", {"picture_seed": 7, "swaps": []}),
        ("transform", {"pattern": [[0] * 3] * 3, "operations": []}),
        ("maze", {"rows": ["........"] * 8}),
        ("maze", {"rows": ["S......S", *["########"] * 6, "D......G"]}),
        ("sudoku", {"grid": [[1, 1, 1, 1], *[[0] * 4] * 3]}),
        ("sudoku", {"grid": [[0] * 4] * 4}),
    ],
)
def test_a_board_that_is_no_puzzle_yet_is_shown_as_it_stands(kind, board):
    task, value = TASKS[kind], own.on_board({"task": kind} | board)
    problem = own.as_it_stands(kind, value)
    assert own.check(kind, value, "")[0] is None
    assert problem is not None
    assert problem.turns == 0
    if kind in ("jigsaw", "transform"):
        assert np.array_equal(problem.canvas, task.canvas({"task": kind} | board))
        return
    marks = [str(mark) for line in next(iter(board.values())) for mark in line]
    if kind == "maze":
        shown = [task.cells[cell] for cell in problem.canvas.ravel()]
        names = {".": "floor", "#": "wall", "S": "agent", "G": "goal", "D": "decoy"}
        assert shown == [names[mark] for mark in marks]
    else:
        shown = [task.cells[cell].split("_")[1] for cell in problem.canvas[::2, ::2].ravel()]
        assert shown == ["empty" if mark == "0" else f"given{mark}" for mark in marks]


@pytest.mark.parametrize(
    "board",
    [
        *({"picture_seed": 7, "swaps": swaps} for swaps in (3, [["r1c1"]], [["r1c1", 3]], [["r1c9", "r1c1"]])),
        {"picture_seed": 7, "swaps": [["r1c1", "r1c2"]] * 17},
        *({"pattern": [[0] * 3] * 3, "operations": chosen} for chosen in (None, ["spin"], ["recolour"] * 7)),
    ],
)
def test_swaps_and_operations_that_no_board_holds_are_not_shown(board):
    for kind in ("jigsaw", "transform"):
        assert own.as_it_stands(kind, {"puzzle": {"task": kind} | board}) is None


@pytest.mark.parametrize("board", [None, [], {}, {"rows": 3}, {"rows": ["x" * 8] * 8}, {"grid": [[9] * 4] * 4}])
def test_what_is_no_board_is_not_shown(board):
    for kind in ("maze", "sudoku", "JSON", "chess"):
        assert own.as_it_stands(kind, board) is None
        assert own.as_it_stands(kind, {"puzzle": board}) is None


def test_the_maze_board_is_reached_by_keyboard(scripted, visit):
    page = visit(scripted.address)
    _open(page)
    _cell(page, "r1c1").focus()
    for key in ("ArrowRight", "#", "ArrowLeft", "ArrowDown", "#"):
        page.keyboard.press(key)
    page.get_by_text("no free path").wait_for()
    page.keyboard.press("Delete")
    page.get_by_text("can be solved").wait_for()


def test_a_sudoku_is_typed_and_a_contradiction_is_named(scripted, visit):
    page = visit(scripted.address)
    _open(page)
    page.locator("#own-kind").get_by_label("sudoku").click()
    page.get_by_text("This sudoku can be solved, in 4 turns").wait_for()
    _cell(page, "r2c4").focus()
    page.keyboard.press("3")
    page.get_by_text("row 2 holds 3 more than once").wait_for()
    page.keyboard.press("2")
    page.get_by_text("This sudoku can be solved, in 3 turns").wait_for()
    solve(page)
    page.locator(".puzzle-name").get_by_text("Own sudoku").wait_for()
    to_the_end(page)
    expect(part(page, "result-line")).to_contain_text("Solved in 3 turns", use_inner_text=True)


def test_a_jigsaw_is_shown_and_pasted_as_json(scripted, visit):
    page = visit(scripted.address)
    page.get_by_role("radio", name="jigsaw").click()
    _open(page)
    page.get_by_text("This jigsaw can be solved, in 2 turns").wait_for()
    page.locator("#own-kind").get_by_label("JSON").click()
    box = page.locator("#own-text textarea")
    box.fill('{"task": "jigsaw", "picture_seed": 7, "swaps": []}')
    page.get_by_text("swaps must be a list of 1 to 16 pairs").wait_for()


def test_what_is_typed_last_is_judged_last_however_late_what_stood_before_is_answered(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    _open(page)
    page.get_by_text("This maze can be solved, in").wait_for()
    events = page.request.get(f"{scripted.address}config").json()["dependencies"]
    looked, late = [event["id"] for event in events if event["api_name"].startswith("on_own")], []

    def hold(route):
        if not late and json.loads(route.request.post_data or "{}").get("fn_index") in looked:
            late.append(route)
        else:
            route.continue_()

    page.route(ASKED, hold)
    page.locator("#own-kind").get_by_label("JSON").click()
    box = page.locator("#own-text textarea")
    box.fill('{"task": "jigsaw", "picture_seed": 7, "swaps": []}')
    page.wait_for_timeout(1000)
    late[0].continue_()
    page.get_by_text("swaps must be a list of 1 to 16 pairs").wait_for()
    page.wait_for_timeout(1000)
    assert page.get_by_text("swaps must be a list of 1 to 16 pairs").is_visible()


def test_of_two_quick_choices_the_last_counts_however_late_the_first_is_answered(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    late = []
    page.route(ASKED, lambda route: route.continue_() if late else late.append(route))
    page.get_by_role("radio", name="jigsaw").click()
    page.get_by_role("button", name="Your own puzzle").click()
    page.get_by_text("This jigsaw can be solved, in 2 turns").wait_for()
    with page.expect_response(lambda answer: answer.request == late[0].request):
        late[0].continue_()
    solve(page)
    page.locator(".puzzle-name").get_by_text("Own jigsaw").wait_for()
    expect(page.locator("#controls > .tile.chosen")).to_have_text("Your own puzzle", use_inner_text=True)


def test_a_choice_in_the_panel_stays_however_late_its_opening_is_answered(scripted, visit, monkeypatch):
    kind_for, asked, answered = own.kind_for, threading.Event(), threading.Event()
    monkeypatch.setattr(own, "kind_for", lambda task: (asked.set(), answered.wait(20), kind_for(task))[2])
    page = visit(scripted.address)
    settle(page)
    page.get_by_role("radio", name="jigsaw").click()
    _open(page)
    assert asked.wait(20)
    page.locator("#own-kind").get_by_label("JSON").click()
    page.wait_for_timeout(1000)
    answered.set()
    page.wait_for_timeout(1000)
    expect(page.locator("#own-kind").get_by_label("JSON")).to_be_checked()
    expect(page.locator("#own-text textarea")).to_be_visible()


def test_the_panel_opens_in_the_chosen_task_and_keeps_what_was_set_up(scripted, visit):
    page = visit(scripted.address)
    page.get_by_role("radio", name="transform").click()
    _open(page)
    page.get_by_text("This transform can be solved, in 2 turns").wait_for()
    page.get_by_role("button", name="Add recolour").click()
    page.get_by_text("This transform can be solved, in 3 turns").wait_for()
    page.locator("#own-kind").get_by_label("sudoku").click()
    page.get_by_text("This sudoku can be solved").wait_for()
    page.locator("#own-kind").get_by_label("transform").click()
    page.get_by_text("This transform can be solved, in 3 turns").wait_for()
    for _ in range(3):
        page.get_by_role("button", name="Remove 1,").click()
    page.get_by_text("no operation is chosen yet").wait_for()
    expect(page.get_by_role("button", name="Solve", exact=True)).to_be_disabled()


def test_solve_is_on_where_what_is_set_up_can_be_solved_and_only_there(scripted, visit):
    page = visit(scripted.address)
    button = page.get_by_role("button", name="Solve", exact=True)
    _open(page)
    page.get_by_text("This maze can be solved, in").wait_for()
    scripted.pipe.hold()
    solve(page)
    page.locator("#own-kind").get_by_label("JSON").click()
    page.locator("#own-text textarea").fill("{")
    page.get_by_text("This cannot be solved").wait_for()
    scripted.pipe.let_go()
    page.locator(".mm-player[data-state=finished]").wait_for()
    expect(button).to_be_disabled()
    page.locator("#more > button").click()
    page.locator("#temperature input").first.fill("0.5")
    page.wait_for_timeout(1000)
    expect(button).to_be_disabled()
    page.get_by_role("radio", name="jigsaw").click()
    expect(button).to_be_enabled()


PIXEL = """(name) => {
  const canvas = document.querySelector(`.mm-player .canvas`);
  return [...canvas.getContext('2d').getImageData(canvas.width / 16, canvas.width / 16, 1, 1).data].slice(0, 3);
}"""


def test_a_jigsaw_of_ones_own_photo_is_set_up_by_clicks_and_the_photo_stays_in_the_browser(app, visit, tmp_path):
    quarters = np.zeros((80, 120, 3), np.uint8)
    quarters[:40, :60], quarters[:40, 60:], quarters[40:, :60] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(quarters).save(tmp_path / "photo.png")
    (tmp_path / "no.svg").write_text("<svg onload='window.PWNED=1'/>")
    page = visit(app)
    sent = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    page.get_by_role("radio", name="jigsaw").click()
    _open(page)
    page.get_by_text("This jigsaw can be solved, in 2 turns").wait_for()
    page.get_by_role("button", name="Start over").click()
    page.get_by_text("no two tiles are swapped yet").wait_for()
    page.locator(".photo input").set_input_files(tmp_path / "no.svg")
    page.get_by_text("Choose a JPEG, PNG or WebP picture.").wait_for()
    page.locator(".photo input").set_input_files(tmp_path / "photo.png")
    page.get_by_text("It stays in this browser").wait_for()
    assert page.evaluate(PIXEL) == [255, 0, 0]  # the photo's first corner in its place
    page.locator(".tiles .tile[aria-label^='r1c1,']").click()
    page.locator(".tiles .tile[aria-label^='r4c1,']").click()
    page.get_by_text("This jigsaw can be solved, in 1 turn").wait_for()
    page.wait_for_function(f"() => String(({PIXEL})()) === '0,0,255'")
    solve(page)
    page.locator(".puzzle-name").get_by_text("Own jigsaw").wait_for()
    to_the_end(page)
    if "Solved in 1 turn" in part(page, "result-line").inner_text():
        assert page.evaluate(PIXEL) == [255, 0, 0]
    share(page, "copy-link")
    part(page, "shared").get_by_text("Your photo is not in it").wait_for()
    assert page.evaluate("window.PWNED") is None
    assert not any("data:image" in text or "PNG" in text for text in sent)


@AS_TEXT
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(scripted, visit, text):
    page = visit(scripted.address)
    _open(page)
    _cell(page, "r1c2").click()
    page.locator("#own-kind").get_by_label("JSON").click()
    box = page.locator("#own-text textarea")
    expect(box).not_to_have_value(own.as_text(own.KINDS[0]))  # what stood on the board comes first
    box.fill(text)
    page.get_by_text("this is not JSON").wait_for()
    for puzzle in (
        {"task": text},
        {"task": "maze", "rows": [text] * 8},
        {"task": "maze", text: 1},
        {"task": "sudoku", "grid": [[text] * 4] * 4},
    ):
        box.fill(json.dumps(puzzle))
        page.wait_for_timeout(250)
    page.get_by_text("grid: ").or_(page.get_by_text("must be an integer")).first.wait_for()
    assert page.evaluate("window.PWNED") is None


@AS_TEXT
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["task", "difficulty", "seed", "region", "checkpoint", "hash", "puzzle"])
def test_a_hostile_link_is_refused_in_words(scripted, visit, text, field):
    from urllib.parse import urlencode

    page = visit(f"{scripted.address}?{urlencode({'task': 'maze'} | {field: text})}")
    page.locator("#notice .notice:not([hidden])").wait_for()
    expect(page.locator("#notice .notice")).to_contain_text("link", use_inner_text=True)
    assert page.evaluate("window.PWNED") is None
