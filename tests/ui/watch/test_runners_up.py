"""What a word or a cell might have been instead: for the mouse, the finger and the arrow keys."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.helpers.browser import part, solve, take, to_the_end


@pytest.fixture
def solved(app, visit):
    """A page on which base has solved a puzzle."""

    def open_page(**options):
        page = visit(app, **options)
        solve(page)
        to_the_end(page)
        return page

    return open_page


def odds(page) -> list[str]:
    """What the bars say, the committed token first."""
    part(page, "odds").wait_for()
    return [row.inner_text().replace("\n", " ") for row in part(page, "odd").all()]


def shares(rows: list[str]) -> list[float]:
    """The numbers of all that are shares of the whole."""
    return [percent(row) for row in rows if row != "no other reached 0.1 %"]


def percent(row: str) -> float:
    return float(row.removesuffix(" %").rpartition(" ")[2])


def pointed_at(page, cell: int) -> tuple[float, float]:
    box = part(page, "frame").bounding_box()
    return box["x"] + box["width"] * (cell % 8 + 0.5) / 8, box["y"] + box["height"] * (cell // 8 + 0.5) / 8


# Counts how often what lies over the board is drawn.
COUNTED = """() => {
  const pen = document.querySelector('.mm-player .lights').getContext('2d');
  const clear = pen.clearRect.bind(pen);
  window.drawn = 0;
  pen.clearRect = (...box) => {
    window.drawn += 1;
    clear(...box);
  };
}"""


def test_words_and_cells_say_their_runners_up_as_the_trace_keeps_them(solved, tmp_path):
    page = solved()
    (rollout,) = json.loads(take(page, "trace", tmp_path / "trace.json"))["rollouts"]
    thought, edit = rollout["parts"][:2]
    page.mouse.move(2, 2)

    part(page, "card-words").first.locator(".word").first.hover()
    step = next(i for i, frame in enumerate(thought["steps"]) if 0 in frame["committed"])
    i = thought["steps"][step]["committed"].index(0)
    expect(part(page, "probe-says")).to_have_text(
        re.compile(re.escape(f"committed at step {step + 1} of {len(thought['steps'])}.") + "$"), use_inner_text=True
    )
    said = odds(page)
    kept = [chance for _, chance in thought["runners_up"][step][i] if chance >= 0.0005]
    assert said[0].startswith(f"{thought['text'].split()[0]} ")
    assert percent(said[0]) == pytest.approx(100 * thought["steps"][step]["probability"][i], abs=0.51)
    assert [percent(row) for row in said[1 : 1 + len(kept)]] == pytest.approx([100 * p for p in kept], abs=0.51)
    assert sum(shares(said)) == pytest.approx(100, abs=2)

    cell = next(cell for cell in edit["cells"] if not any(cell in later["cells"] for later in rollout["parts"][3::2]))
    page.mouse.move(*pointed_at(page, cell))
    expect(part(page, "probe-says")).to_contain_text("turn 1, committed at step", use_inner_text=True)
    assert sum(shares(odds(page))) == pytest.approx(100, abs=2)
    expect(part(page, "odd.chosen canvas")).to_have_count(1)
    page.evaluate(COUNTED)
    x, y = pointed_at(page, cell)
    page.mouse.move(x + 6, y + 6, steps=5)
    assert page.evaluate("drawn") == 0, "the same cell is drawn once"
    page.mouse.move(*pointed_at(page, cell + 1 if cell % 8 < 7 else cell - 1))
    assert page.evaluate("drawn") == 1
    page.mouse.move(2, 2)
    assert part(page, "probe").is_hidden() and part(page, "narration").is_visible()


def test_on_a_phone_nothing_moves_under_a_pointer_that_rests_on_a_word(solved):
    page = solved()
    page.set_viewport_size({"width": 390, "height": 844})
    part(page, "narration").evaluate("(e) => { e.textContent = 'Words of a narration of some length. '.repeat(4); }")
    place = page.locator("#solve").evaluate("(e) => e.getBoundingClientRect().top + scrollY")
    part(page, "now-body .word").last.hover()
    expect(part(page, "probe")).to_be_visible()
    assert page.locator("#solve").evaluate("(e) => e.getBoundingClientRect().top + scrollY") == place


def test_arrow_keys_point_at_cells_and_words_and_say_it_aloud(solved):
    page = solved()
    at = part(page, "scrub").input_value()
    part(page, "frame").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(part(page, "probe-says")).to_have_text(re.compile("^r2c2: "), use_inner_text=True)
    expect(part(page, "said")).to_have_text(re.compile("^r2c2: "), use_inner_text=True)
    part(page, "now-body").focus()
    page.keyboard.press("ArrowRight")
    words = part(page, "now-body .word")
    assert part(page, "probe-says").inner_text().startswith(f"“{words.nth(1).inner_text()}”")
    expect(part(page, "said")).to_contain_text("committed at step", use_inner_text=True)
    expect(part(page, "scrub")).to_have_value(at)  # they do not step through the frames here
    part(page, "play").focus()
    assert part(page, "probe").is_hidden()


def test_a_tap_keeps_what_it_points_at_until_the_next(solved):
    page = solved(width=390, height=844, has_touch=True)
    part(page, "frame").scroll_into_view_if_needed()
    page.touchscreen.tap(*pointed_at(page, 9))
    page.wait_for_timeout(100)
    expect(part(page, "probe-says")).to_have_text(re.compile("^r2c2: "), use_inner_text=True)
    page.touchscreen.tap(5, 5)
    part(page, "probe").wait_for(state="hidden")
