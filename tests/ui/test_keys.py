"""The page by keys alone and in the visitor's own colours: nothing is lost, nothing is hidden, one stop a choice."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from mmreason.ui.shell.component import read, script
from tests.helpers.browser import part, settle

OUTLINE = "(e) => { const s = getComputedStyle(e); return [s.outlineStyle, parseFloat(s.outlineWidth)]; }"


def pixels(place: Locator) -> np.ndarray:
    """What is seen of ``place`` and 8 px around it."""
    box = place.bounding_box()
    assert box is not None
    clip = {"x": box["x"] - 8, "y": box["y"] - 8, "width": box["width"] + 16, "height": box["height"] + 16}
    return np.asarray(Image.open(io.BytesIO(place.page.screenshot(clip=clip))).convert("RGB")).astype(int)


def changed(before: np.ndarray, after: np.ndarray) -> int:
    """How many pixels differ clearly."""
    return int((np.abs(before - after).max(axis=2) > 60).sum())


# The tiles of tasks with another value, as gradio draws them; which the Tab key finds, and what is chosen then.
TILES = """([template, script, value, key]) => {
  const element = document.createElement('div');
  element.innerHTML = template;
  const props = { value, pictures: ['maze', 'sudoku', 'jigsaw'].map((name) => [name, 'data:,', name]) };
  new Function('element', 'props', 'trigger', 'watch', script)(element, props, () => {}, () => {});
  const found = [...element.querySelectorAll('button')].map((tile) => tile.tabIndex);
  if (key) element.querySelector('button').dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  return [found, props.value];
}"""


def test_where_no_tile_is_chosen_the_first_is_found_by_the_tab_key(scripted, visit):
    page, files = visit(scripted.address), [read("picker/picker.html"), script("picker/picker")]
    assert page.evaluate(TILES, [*files, "sudoku", None]) == [[-1, 0, -1], "sudoku"]
    for value in (None, "visual_search"):
        for key, then in ((None, value), ("ArrowRight", "sudoku"), ("ArrowLeft", "jigsaw")):
            assert page.evaluate(TILES, [*files, value, key]) == [[0, -1, -1], then]


def test_a_choice_is_one_stop_and_arrows_choose(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    easy, medium = (page.locator("#difficulty").get_by_role("radio", name=name) for name in ("easy", "medium"))
    easy.check(force=True)
    easy.focus()
    page.keyboard.press("ArrowRight")
    expect(medium).to_be_focused()
    expect(medium).to_be_checked()
    expect(part(page, "puzzle-name")).to_contain_text("medium")
    page.wait_for_timeout(200)
    page.keyboard.press("ArrowLeft")  # gradio has named them apart again meanwhile
    expect(easy).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.locator("#seed input")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(easy).to_be_focused()


@pytest.mark.parametrize(("width", "height", "bar"), [(390, 844, "sticky"), (720, 450, "static")])
def test_what_the_tab_key_reaches_is_not_under_the_players_bar(app, visit, width, height, bar):
    page = visit(app, width=width, height=height, reduced_motion="reduce")
    assert part(page, "deck").evaluate("(e) => getComputedStyle(e).position") == bar
    for _ in range(45):
        page.keyboard.press("Tab")
        page.wait_for_timeout(50)
        hidden = page.evaluate("""() => {
          const bar = document.querySelector('.mm-player .deck');
          const [it, over] = [document.activeElement, bar].map((each) => each.getBoundingClientRect());
          const within = document.activeElement.contains(bar) || bar.contains(document.activeElement);
          return !within && Math.min(it.bottom, over.bottom) - Math.max(it.top, over.top) > 0 && it.top > over.top;
        }""")
        assert bar == "static" or not hidden, page.evaluate("document.activeElement.outerHTML").splitlines()[0][:200]


def test_a_list_closes_when_tab_leaves_it(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    box = page.get_by_role("combobox", name="Checkpoint")
    box.focus()
    expect(page.locator(".options")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(box).to_have_attribute("aria-expanded", "false")
    page.wait_for_timeout(400)  # gradio would open it again
    expect(page.locator(".options")).to_have_count(0)


def test_the_focus_is_not_lost_with_a_control_that_goes(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    part(page, "forward").focus()
    page.keyboard.press("End")
    part(page, "back").focus()
    page.keyboard.press("Home")
    expect(part(page, "back")).to_be_disabled()
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    expect(part(page, "back")).to_be_focused()
    scripted.pipe.hold()  # Stop is there for as long as the run is
    page.locator("#solve").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#stop")).to_be_focused()
    scripted.pipe.let_go()
    page.locator(".mm-player[data-state=finished]").wait_for()
    expect(page.locator("#solve")).to_be_enabled()
    page.locator("#own-open").press("Enter")
    page.locator("#own-close").press("Enter")
    expect(page.locator("#own-open")).to_be_focused()


def test_what_is_done_is_told(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    said = part(page, "said")
    page.locator("#surprise").click()
    expect(said).to_contain_text("New puzzle: ")
    part(page, "speed").click()
    expect(said).to_have_text("Speed 2×")
    expect(page.get_by_role("button", name="Speed 2×")).to_be_visible()


def test_the_header_can_be_skipped(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    skip = page.get_by_role("button", name="Skip to the controls")
    expect(skip).to_be_focused()
    assert skip.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('#task') !== null")


def stand_still(page: Page, place: Locator) -> None:
    """Wait until ``place`` is where it was half a second ago."""
    before = None
    while (now := place.bounding_box()) is None or now != before:
        before = now
        page.wait_for_timeout(500)


def test_escape_closes_the_topmost_and_tab_stays_in_it(scripted, visit):
    page = visit(scripted.address, reduced_motion="reduce")
    settle(page)
    more = page.get_by_role("button", name="More settings").first
    expect(more).to_have_attribute("aria-expanded", "false")
    more.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")
    more.press("Enter")
    page.get_by_role("tab", name="Inspect", exact=True).click()
    cell = page.locator("#inspect .mm-group .cell[tabindex='0']").first
    stand_still(page, cell)  # what arrives late above it moves it down
    cell.focus()
    for key in ("ArrowDown", "ArrowDown", "End", "Home", "ArrowDown"):
        page.keyboard.press(key)
        box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
        assert page.evaluate("document.activeElement.className").startswith("cell"), key
        assert box["top"] >= 0 and box["bottom"] <= 900, (key, box)
    page.keyboard.press("Enter")
    drawer = page.locator("#inspect .segment")
    expect(drawer).to_be_visible()
    menu = drawer.locator(".mm-save:visible").first
    menu.locator("summary").press("Enter")
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Escape")  # the menu keeps it, while it is open
    expect(menu).not_to_have_attribute("open", "")
    expect(drawer).to_be_visible()
    expect(menu.locator("summary")).to_be_focused()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    page.keyboard.press("Enter")
    expect(drawer).to_be_visible()
    stops = drawer.locator("button:visible, a[href]:visible, input:visible, select:visible, summary:visible").count()
    for _ in range(stops + 8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.segment') !== null")
    page.get_by_role("button", name="Tour (20 s)").press("Enter")
    tour = page.get_by_role("dialog", name="Tour")
    expect(tour).to_be_visible()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.mm-tour') !== null")
    page.locator("#seed input").focus()
    page.keyboard.press("Escape")
    expect(tour).to_have_count(0)
    page.get_by_role("tab", name="Inspect", exact=True).click()
    page.get_by_role("tab", name="Inspect", exact=True).press("Escape")  # from wherever
    expect(drawer).to_be_hidden()


@pytest.fixture
def forced(scripted, visit) -> Page:
    page = visit(scripted.address, height=1400, forced_colors="active", reduced_motion="reduce")
    settle(page)
    return page


def test_with_the_visitors_own_colours_focus_and_choice_are_seen(forced):
    page = forced
    page.keyboard.press("Tab")  # from now on the focus is a keyboard's
    page.get_by_role("button", name="More settings").first.press("Enter")
    places = {
        "player": (page.locator(".mm-player"), page.locator(".mm-player")),
        "seed": (page.locator("#seed input"), page.locator("#seed input")),
        "solve": (page.locator("#solve"), page.locator("#solve")),
        "list": (page.get_by_role("combobox", name="Checkpoint"), page.get_by_role("combobox", name="Checkpoint")),
        "slider": (page.locator("#more input[type=range]").first, page.locator("#more input[type=range]").first),
        "scrub": (part(page, "scrub"), part(page, "scrub")),
        "choice": (page.locator("#difficulty input:checked"), page.locator("#difficulty label:has(input:checked)")),
    }
    for name, (control, framed) in places.items():
        page.evaluate("document.activeElement.blur()")
        before = pixels(framed)
        control.focus()
        assert framed.evaluate(OUTLINE) == ["solid", 3], name
        if name != "list":  # which opens over what is beside it
            box = framed.bounding_box()
            assert changed(before, pixels(framed)) > 2 * (box["width"] + box["height"]), name
    page.get_by_role("combobox", name="Checkpoint").focus()
    page.keyboard.press("ArrowDown")
    option = page.locator(".options .item.active")
    assert option.evaluate("(e) => getComputedStyle(e).backgroundColor") != page.locator("body").evaluate(
        "(e) => getComputedStyle(e).backgroundColor"
    )
    page.keyboard.press("Tab")
    # A tab that has the focus does not look like the one that is chosen.
    chosen = page.get_by_role("tab", name="Watch", exact=True)
    other = page.get_by_role("tab", name="Inspect", exact=True)
    other.focus()
    fills = [tab.evaluate("(e) => getComputedStyle(e).backgroundColor") for tab in (chosen, other)]
    assert fills[0] != fills[1]
    inks = [tab.evaluate("(e) => getComputedStyle(e).color") for tab in (chosen, other)]
    assert inks[0] != inks[1]
    # The thumb of a slider at its middle stands out from its track, and the track from the page.
    expect(page.locator(".options")).to_have_count(0)
    slider = page.locator("#more input[type=range]").first
    page.evaluate("document.activeElement.blur()")
    seen = pixels(slider)
    assert (np.abs(seen - seen[0, 0]).max(axis=2) > 60).mean() > 0.1
    # The ring of the tour hides nothing.
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Tour (20 s)").press("Enter")
    ring = page.locator(".mm-tour-ring")
    ring.wait_for()
    with_ring = pixels(ring)
    ring.evaluate("(e) => { e.style.visibility = 'hidden'; }")
    inside = slice(16, -16)
    assert changed(with_ring[inside, inside], pixels(ring)[inside, inside]) == 0
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Train", exact=True).click()
    tick = page.locator("#train-tasks input[type=checkbox]").first
    tick.wait_for()
    ticked = pixels(tick)
    tick.press("Space")
    page.evaluate("document.activeElement.blur()")
    assert changed(ticked, pixels(tick)) > 20  # besides its frame


def test_an_arrow_key_does_not_ruin_a_rate(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    page.get_by_role("tab", name="Train", exact=True).click()
    page.locator("#train-more button").first.click()
    field = page.locator("#train-learning_rate input")
    value = float(field.input_value())
    field.press("ArrowUp")
    assert value < float(field.input_value()) <= 1.2 * value
