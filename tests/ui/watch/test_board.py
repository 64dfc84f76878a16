"""The board and what is said beside it: rulers, lit cells, the expected solution as a ghost, the seed."""

import re

from playwright.sync_api import expect

from tests.helpers.browser import part, settle, solve, to_the_end

DRAWN = """() => {
  const lights = document.querySelector('.mm-player .lights');
  const { data } = lights.getContext('2d').getImageData(0, 0, 512, 512);
  return [...Array(64).keys()].filter((cell) => {
    const [x, y] = [64 * (cell % 8) + 32, 64 * Math.floor(cell / 8) + 32];
    return data[4 * (512 * y + x) + 3] > 0;
  });
}"""


def test_a_coordinate_lights_its_cells_and_a_cell_its_coordinates(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    to_the_end(page)
    part(page, "across i").nth(2).hover()
    assert page.evaluate(DRAWN) == [2 + 8 * row for row in range(8)]
    box = part(page, "frame").bounding_box()
    part(page, "frame").hover(position={"x": box["width"] * 2.5 / 8, "y": box["height"] * 1.5 / 8})
    assert page.evaluate(DRAWN) == [10]
    lit = [mark.inner_text() for mark in part(page, "down i.lit, .mm-player .across i.lit").all()]
    assert sorted(lit) == ["c3", "r2"]
    expect(part(page, "probe")).to_have_text(re.compile("^r2c3: "), use_inner_text=True)
    part(page, "card-words .word[data-box]").first.hover()
    assert len(page.evaluate(DRAWN)) > 1
    page.mouse.move(2, 2)
    assert page.evaluate(DRAWN) == []


def test_the_expected_solution_lies_over_the_board_as_a_ghost(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    to_the_end(page)
    page.mouse.move(2, 2)
    page.get_by_role("button", name="Expected solution").click()
    assert page.evaluate(DRAWN)
    page.get_by_role("button", name="Hide expected").click()
    assert page.evaluate(DRAWN) == []


def test_the_seed_box_says_which_puzzle_is_shown_on_arrival(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    seed = page.get_by_label("Seed", exact=True).input_value()
    expect(part(page, "puzzle-name")).to_have_text(re.compile(re.escape(f", seed {seed}") + "$"), use_inner_text=True)


def test_board_and_player_fit_in_a_window_of_900_px(scripted, visit):
    page = visit(scripted.address, width=1440, height=900)
    settle(page)
    status = part(page, "status").bounding_box()
    assert status["y"] + status["height"] <= 900


def test_stop_stops_what_moves_after_the_run_has_ended(scripted, visit):
    page = visit(scripted.address)
    solve(page)
    page.locator(".mm-player[data-state=finished]").wait_for()
    if part(page, "play").get_attribute("aria-label") == "Play":  # a slow run has been played by its end
        part(page, "play").click()
    page.locator(".mm-player.playing").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    at = part(page, "scrub").input_value()
    page.wait_for_timeout(700)
    expect(part(page, "scrub")).to_have_value(at)
    assert int(at) < int(part(page, "scrub").get_attribute("max"))


def test_solve_is_on_the_first_screen_of_a_phone(scripted, visit):
    page = visit(scripted.address, width=390, height=844)
    settle(page)
    button, deck = page.locator("#solve").bounding_box(), part(page, "deck").bounding_box()
    assert button["y"] + button["height"] <= deck["y"] + 2


def test_on_a_phone_the_deck_stays_above_what_stands_below_the_player(scripted, visit):
    page = visit(scripted.address, width=390, height=844)
    deck = part(page, "deck")
    box = deck.bounding_box()
    assert box and round(box["y"] + box["height"]) == 844  # at the foot as long as the player is looked at
    mind = page.locator("#mind")
    mind.evaluate("each => each.scrollIntoView({ block: 'end' })")
    boxes = deck.bounding_box(), mind.bounding_box()
    assert boxes[0] and boxes[1] and boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]


def test_the_whole_name_of_a_trained_checkpoint_is_its_title(scripted, visit):
    page = visit(scripted.address)
    box, name = page.locator("#checkpoint input"), "yours: factorized, step 4 (b399)"
    box.evaluate("(box, name) => { box.value = name; }", name)
    page.locator("#checkpoint").hover()
    expect(box).to_have_attribute("title", name)
