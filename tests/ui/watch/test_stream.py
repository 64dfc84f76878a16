"""The stream and the player, on a pipeline that takes a step when it is let."""

import base64
import io
import re
import threading
import time

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from mmreason.tasks import make_problem
from mmreason.ui.solve import solving
from mmreason.ui.solve.worker import WORKER
from tests.helpers.browser import live, part, set_sampling_seed, settle, solve, to_the_end
from tests.helpers.scripted import FAILS

PAPER, STRIPE = (223, 225, 230), (141, 147, 163)  # of what is still masked
OUTLINE, LABEL = (180, 83, 9), (146, 64, 14)  # of the region


def canvas_pixels(page) -> np.ndarray:
    """(1024, 1024, 3) pixels of the player's canvas; a canvas cell is 128 wide."""
    url = page.evaluate("document.querySelector('.mm-player .canvas').toDataURL()")
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return np.array(picture.convert("RGB"))


def share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    """The share of ``pixels`` that are ``colour``."""
    return float((pixels == colour).all(-1).mean())


# A second player beside the first, as gradio mounts one, with a value of its own and a codebook that is all red.
TWO_PLAYERS = """async () => {
  const spot = (root) => [...root.querySelector('canvas.canvas').getContext('2d').getImageData(512, 512, 1, 1).data];
  const at = (root) => root.querySelector('.scrub').value;
  const first = document.querySelector('#player');
  const made = window.gradio_config.components.find(({ props }) => props.elem_id === 'player').props;
  const red = document.createElement('canvas');
  red.width = red.height = 256;
  const pen = red.getContext('2d');
  pen.fillStyle = '#ff0000';
  pen.fillRect(0, 0, 256, 256);
  const value = {
    run: 1, state: 'ready', problem: { task: 'maze', difficulty: 'easy', seed: 1, question: '', turns: 1 },
    settings: {}, sheet: { image: red.toDataURL('image/png'), columns: 16 }, canvas_codes: Array(64).fill(0),
    segments: [], cost: null, expected: null, advice: null, link: null, success: false, end_reason: '',
  };
  const before = { first_before: spot(first), first_at_before: at(first) };
  const second = document.createElement('div');
  second.innerHTML = made.html_template;
  document.body.append(second);
  Function('element', 'trigger', 'props', 'watch', made.js_on_load)(second, () => {}, { value }, () => {});
  await new Promise((done) => setTimeout(done, 500));
  return { ...before, first: spot(first), second: spot(second), first_at: at(first), second_at: at(second) };
}"""


def test_the_first_frame_is_seen_before_the_second_exists(scripted, visit):
    page = visit(scripted.address)
    scripted.pipe.hold()
    solve(page)
    scripted.pipe.let(1)
    live(page, "Turn 1 · thought · step 1")
    assert scripted.pipe.steps_taken == 1
    words = part(page, "now-body")
    assert words.locator(".word").count() >= 1
    assert words.locator(".masked").count() >= 1
    scripted.pipe.let_go()
    to_the_end(page)
    expect(part(page, "result-line")).to_contain_text("Solved in", use_inner_text=True)


def test_masked_cells_are_visible_and_the_region_is_named_while_an_edit_is_drawn(scripted, visit):
    page = visit(scripted.address)
    scripted.pipe.hold()
    solve(page)
    scripted.pipe.let(4)
    live(page, "Turn 1 · edit · step 1 · 4 cells")
    assert part(page, "canvas").get_attribute("data-masked") == "2"
    assert part(page, "canvas").get_attribute("aria-label") == "Canvas, redrawing r4c2 to r4c5"
    pixels = canvas_pixels(page)
    row = pixels[384:512]
    for column in (4, 5):
        inside = row[16:-16, 128 * column - 112 : 128 * column - 16]
        assert share(inside, PAPER) > 0.2
        assert share(inside, STRIPE) > 0.1
    assert share(row[16:-16, 128 + 16 : 256 - 16], PAPER) == 0  # committed: drawn
    assert share(row[:, 128:640], OUTLINE) > 0.02
    assert share(row[:, 680:], OUTLINE) == 0
    assert share(pixels[320:384, 128:512], LABEL) > 0.2


# Does it lie on top in its middle, or at the foot of the window where it goes on below that?
ON_TOP = """(box) => {
  const { left, right, top, bottom } = box.getBoundingClientRect();
  const y = Math.min((top + bottom) / 2, innerHeight - 4);
  return box.contains(document.elementFromPoint((left + right) / 2, y));
}"""


def test_stop_ends_the_run_within_a_step(scripted, visit):
    page = visit(scripted.address)
    scripted.pipe.hold()
    solve(page)
    scripted.pipe.let(1)
    live(page, "step 1")
    expect(part(page, "card")).to_have_count(1)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.wait_for_timeout(300)
    scripted.pipe.let(20)
    part(page, "result").wait_for()
    expect(part(page, "result-line")).to_contain_text("Stopped", use_inner_text=True)
    expect(part(page, "status")).to_have_text(re.compile("^Stopped"), use_inner_text=True)
    expect(part(page, "masked")).to_have_count(0)  # what is not whole is not left standing
    whole = "Stopped after" in part(page, "result-line").inner_text()
    expect(part(page, "card")).to_have_count(int(whole))  # nor is its card, which would lead nowhere
    assert scripted.pipe.steps_taken <= 3
    assert scripted.pipe.streams_open == 0
    assert page.get_by_role("button", name="Solve", exact=True).is_enabled()


def test_stop_while_a_run_is_played_shows_whole_words_and_says_so(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    page.locator(".mm-player[data-state=finished]").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    part(page, "narration").get_by_text("Stopped: play goes on from here.").wait_for()
    expect(part(page, "status")).to_have_text(re.compile("^Stopped"), use_inner_text=True)
    expect(part(page, "now").locator(".masked")).to_have_count(0)
    part(page, "play").click()
    assert not part(page, "status").inner_text().startswith("Stopped")


def test_the_number_of_turns_is_told_after_the_end_only(scripted, visit):
    page = visit(scripted.address)
    page.get_by_role("radio", name="jigsaw").click()
    page.locator(".puzzle-name").get_by_text("Jigsaw, medium, seed").wait_for()
    expect(part(page, "status")).to_have_text("The puzzle", use_inner_text=True)  # of a jigsaw it would be the answer
    solve(page)
    to_the_end(page)
    part(page, "scrub").press("Home")
    expect(part(page, "status")).to_have_text(re.compile("turns needed$"), use_inner_text=True)


def test_the_settings_close_by_escape_and_by_a_click_beside_them(scripted, visit):
    page = visit(scripted.address, width=390, height=844)
    settle(page)
    gear = page.get_by_role("button", name="More settings")
    panel = page.locator("#more > button + *")
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.mouse.click(8, 8)):
        gear.click()
        panel.wait_for()
        assert panel.evaluate(ON_TOP), "it lies over the player's bar"
        close()
        panel.wait_for(state="hidden")


def test_a_closed_tab_ends_its_run(scripted, visit):
    page = visit(scripted.address)
    scripted.pipe.hold()
    solve(page)
    scripted.pipe.let(1)
    live(page, "step 1")
    page.context.close()
    deadline = time.monotonic() + 10
    while scripted.pipe.streams_open and time.monotonic() < deadline:
        scripted.pipe.let(1)
        time.sleep(0.3)
    assert scripted.pipe.streams_open == 0


def test_a_second_visitor_waits_in_line_and_is_told(scripted, visit, monkeypatch):
    monkeypatch.setattr(WORKER, "max_batch", 1)
    first, second = visit(scripted.address), visit(scripted.address)
    scripted.pipe.hold()
    solve(first)
    scripted.pipe.let(1)
    live(first, "step 1")
    solve(second)
    second.get_by_text("1 other visitor is ahead").wait_for()
    scripted.pipe.let_go()
    to_the_end(second)
    assert not second.get_by_text("ahead").is_visible()


def test_two_visitors_are_solved_for_at_the_same_time(scripted, visit):
    first, second = visit(scripted.address), visit(scripted.address)
    scripted.pipe.hold()
    for page in (first, second):
        solve(page)
    for _ in range(100):  # both are there before a step is let, or the first takes them all
        if WORKER.counts()["running"] + WORKER.counts()["waiting"] == 2:
            break
        first.wait_for_timeout(100)
    scripted.pipe.let(6)
    for page in (first, second):
        live(page, "Turn 1")  # at whatever step: one may be further before the other is looked at
    scripted.pipe.let_go()
    for page in (first, second):
        to_the_end(page)
        expect(part(page, "result-line")).to_contain_text("Solved in", use_inner_text=True)


def test_playback_lags_behind_at_reading_pace_and_jumps_to_the_live_edge(scripted, visit):
    page = visit(scripted.address)
    scripted.pipe.hold()
    solve(page)
    scripted.pipe.let(12)
    page.locator(".mm-player[data-state=running]").wait_for()
    page.wait_for_function(  # the buffer holds turn 3 when turn 1 is shown: asked at once, as play goes on
        """() => document.querySelectorAll('.mm-player .block').length > 5
        && /Turn 1[^]*solving$/.test(document.querySelector('.mm-player .status').innerText)"""
    )
    part(page, "live").click()
    live(page, "Turn 3 · thought · step 1 · live")


def test_what_arrives_meanwhile_does_not_hold_up_what_is_there(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    scripted.pipe.hold()
    solve(page)
    scripted.pipe.let(4)
    live(page, "Turn 1")
    began = time.monotonic()
    while time.monotonic() - began < 3:  # a step more often than a frame stays
        scripted.pipe.let(1)
        page.wait_for_timeout(60)
    assert int(part(page, "scrub").input_value()) >= 6


def test_scrubbing_shows_every_frame_and_dims_what_is_still_to_come(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    to_the_end(page)
    last = int(part(page, "scrub").get_attribute("max"))
    statuses = set()
    for position in range(0, last + 1):
        part(page, "scrub").fill(str(position))
        statuses.add(part(page, "status").inner_text())
    assert len(statuses) == last + 1
    part(page, "scrub").fill("1")
    assert part(page, "card.ahead").count() == part(page, "card").count() - 1
    assert all(card.is_visible() for card in part(page, "card").all())


def test_arrow_keys_and_space_act_only_while_the_player_has_the_focus(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    to_the_end(page)
    end = part(page, "scrub").input_value()
    page.get_by_label("Seed", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    expect(part(page, "scrub")).to_have_value(end)
    page.locator(".mm-player").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert part(page, "scrub").input_value() == str(int(end) - 2)
    page.keyboard.press("Home")
    expect(part(page, "scrub")).to_have_value("0")
    page.keyboard.press(" ")
    assert part(page, "play").get_attribute("aria-label") == "Pause"
    page.keyboard.press(" ")
    assert part(page, "play").get_attribute("aria-label") == "Play"


def test_a_failure_names_the_first_wrong_turn_and_can_be_tried_again(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    set_sampling_seed(page, FAILS)
    solve(page)
    to_the_end(page)
    result = part(page, "result-line").inner_text()  # what the spoiled edit left out, the next one drew
    assert "Picture and answer right, an edit on the way wrong: does not count as solved" in result
    expect(part(page, "advice-why")).to_contain_text("the drawing of turn 1 (1 of 4 cells wrong)", use_inner_text=True)
    assert part(page, "advice-canvas").is_visible()
    part(page, "again").click()
    part(page, "result").wait_for(state="hidden")
    to_the_end(page)
    expect(part(page, "result-line")).to_contain_text("Solved", use_inner_text=True)
    expect(part(page, "cost")).to_contain_text("sampling seed", use_inner_text=True)
    expect(page.get_by_label("Sampling seed")).to_have_value(str(FAILS))  # other puzzles are sampled as before


def test_the_expected_solution_is_shown_on_demand(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    to_the_end(page)
    assert part(page, "expected").is_hidden()
    page.get_by_role("button", name="Expected solution").click()
    assert part(page, "expected li").count() == part(page, "card").count()


def test_every_segment_is_said_in_words_for_screen_readers(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    to_the_end(page)
    assert part(page, "said").text_content() == "Turn 5, answer. answer 10 moves. right."


def test_a_picked_puzzle_is_shown_at_once(scripted, visit):
    page = visit(scripted.address)
    page.get_by_role("radio", name="jigsaw").click()
    page.locator(".puzzle-name").get_by_text("Jigsaw, medium, seed 0").wait_for()
    page.get_by_role("button", name="Surprise me").click()
    page.wait_for_function("!document.querySelector('.puzzle-name').textContent.endsWith('seed 0')")


def test_on_a_phone_the_canvas_comes_into_view_when_a_run_begins(scripted, visit):
    page = visit(scripted.address, width=390, height=700, reduced_motion="reduce")
    settle(page)
    button = page.get_by_role("button", name="Solve", exact=True)
    button.scroll_into_view_if_needed()
    page.evaluate("window.scrollBy(0, 400)")
    assert part(page, "canvas").bounding_box()["y"] < 0
    solve(page)
    page.locator(".mm-player[data-state=running], .mm-player[data-state=finished]").wait_for()
    page.wait_for_function("document.querySelector('.mm-player .canvas').getBoundingClientRect().top >= 0")


def test_a_wrong_setting_is_told_at_its_field_at_once_and_only_while_it_is_wrong(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    wrong = {"seed": ("1.5", "Seed must be a whole"), "sampling-seed": ("-1", "Sampling seed must be a whole")}
    wrong |= {"temperature": ("9", "Temperature must be"), "num-steps": ("0", "Steps per segment must be a whole")}
    for field, (value, said) in wrong.items():
        if field == "sampling-seed":
            set_sampling_seed(page, 0)
        box = page.locator(f"#{field} input[type=number]")
        kept = box.input_value()
        box.fill(value)
        page.locator(f"#{field} .field-says, #controls-say .notice").get_by_text(said, exact=False).wait_for()
        assert page.get_by_text(said, exact=False).count() == 1, "said once"
        assert page.locator(".field-says").count() == (field != "seed"), "at the field, where that is wide enough"
        expect(box).to_have_attribute("aria-invalid", "true")
        described = box.get_attribute("aria-describedby")
        expect(page.locator(f"#{described}")).to_contain_text(said)
        expect(page.locator("#solve")).to_be_disabled()
        box.fill(kept)
        expect(page.locator(".field-says")).to_have_count(0)
        expect(page.locator("#controls-say .notice")).to_be_hidden()
        expect(box).to_have_attribute("aria-invalid", "false")
        expect(page.locator("#solve")).to_be_enabled()
    expect(page.locator(".toast-body")).to_have_count(0)


def test_a_wrong_seed_is_told_below_the_row_and_nothing_moves(scripted, visit):
    page = visit(scripted.address, width=1440)
    settle(page)
    page.locator("#expect .notice:not([hidden])").wait_for()
    parts = ("#task", "#seed", "#solve", ".mm-player .canvas")

    def places() -> list:
        return [page.locator(name).bounding_box() for name in parts]

    before = places()
    page.locator("#seed input").fill("1e30")
    line = page.locator("#controls-say .notice")
    expect(line).to_contain_text("Seed must be a whole number")
    assert places() == before
    box = line.bounding_box()
    assert box and box["height"] < 24


def with_a_wrong_sampling_seed(scripted, visit) -> Page:
    """A page that says so at the field."""
    page = visit(scripted.address)
    settle(page)
    set_sampling_seed(page, 0)
    page.locator("#sampling-seed input").fill("-1")
    page.locator("#sampling-seed .field-says").wait_for()
    return page


def test_what_is_said_at_a_field_moves_below_while_that_is_folded_away(scripted, visit):
    page = with_a_wrong_sampling_seed(scripted, visit)
    expect(page.locator("#controls-say .notice")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#controls-say .notice")).to_contain_text("Sampling seed must be")


def test_of_two_wrong_fields_the_one_that_is_mended_does_not_free_the_button(scripted, visit):
    page = with_a_wrong_sampling_seed(scripted, visit)
    page.locator("#seed input").fill("1.5")
    page.locator("#controls-say .notice").get_by_text("Seed must be").wait_for()
    page.locator("#seed input").fill("3")
    page.locator("#sampling-seed .field-says").wait_for()
    expect(page.locator("#seed input")).to_have_attribute("aria-invalid", "false")
    expect(page.locator("#solve")).to_be_disabled()


def test_a_preview_that_comes_late_does_not_hide_the_run(scripted, visit, monkeypatch):
    page = visit(scripted.address)
    settle(page)
    asked, may_go, preview = threading.Event(), threading.Event(), solving.preview

    def slowly(problem, checkpoint):
        asked.set()
        may_go.wait(20)
        return preview(problem, checkpoint)

    monkeypatch.setattr(solving, "preview", slowly)
    scripted.pipe.hold()
    page.get_by_role("radio", name="jigsaw").click()
    assert asked.wait(20)
    solve(page)
    scripted.pipe.let(1)
    live(page, "Turn 1 · thought · step 1")
    may_go.set()
    page.wait_for_timeout(600)
    live(page, "Turn 1 · thought · step 1")


def test_the_canvas_shows_the_decoded_pixels_scaled_up_without_smoothing(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    page.get_by_role("radio", name="sudoku").click()
    page.get_by_text("Press Solve to watch").wait_for()
    page.wait_for_timeout(200)
    image = make_problem("sudoku", "medium", 0).image
    assert (canvas_pixels(page) == image.repeat(8, axis=0).repeat(8, axis=1)).all()


def test_the_page_fits_a_phone(scripted, visit):
    page = visit(scripted.address, width=390, height=844)
    solve(page)
    to_the_end(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    canvas, controls = part(page, "canvas").bounding_box(), page.locator("#controls").bounding_box()
    assert canvas["y"] < controls["y"]
    page.evaluate("window.scrollTo(0, 0)")
    deck = part(page, "deck").bounding_box()
    assert abs(deck["y"] + deck["height"] - 844) < 2


def test_two_players_on_a_page_share_neither_pictures_nor_positions(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    to_the_end(page)
    found = page.evaluate(TWO_PLAYERS)
    assert found["first"] == found["first_before"]
    assert found["second"] == [255, 0, 0, 255]
    assert (found["first_at"], found["second_at"]) == (found["first_at_before"], "0")
