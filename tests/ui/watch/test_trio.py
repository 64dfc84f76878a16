"""Base, joint and factorized on one puzzle, side by side and in step."""

from playwright.sync_api import expect

from mmreason.ui.watch.trio import proportion
from tests.helpers.browser import settle

STEP = "[...document.querySelectorAll('#trio-duet .side .now')].map((e) => e.textContent)"


def test_three_checkpoints_solve_one_puzzle_in_step(app, visit):
    page = visit(app)
    settle(page)
    page.get_by_role("radio", name="sudoku").click()
    page.locator(".puzzle-name").get_by_text("Sudoku, medium, seed").wait_for()
    page.locator("#trio button").first.click()
    page.get_by_role("button", name="Solve this puzzle with all three").click()
    sides = page.locator("#trio-duet .side")
    sides.nth(2).wait_for(timeout=120_000)
    expect(sides.locator(".name")).to_have_text(["base", "joint", "factorized"], use_inner_text=True)
    assert page.locator("#trio .mm-duet .note").inner_text().startswith("This is one puzzle. Of medium sudokus, base ")
    where, scrub = page.locator("#trio-duet .where"), page.locator("#trio-duet .scrub")
    results = page.locator("#trio-duet .side .result")
    page.locator("#trio-duet .play").click()
    assert [results.nth(i).is_visible() for i in range(3)] == [False] * 3, "how it ends is not told before"
    assert page.locator("#trio-duet tbody tr:visible").count() < 3
    scrub.press("End")  # it plays by itself: Home alone, at the start already, would not pause it
    scrub.press("Home")
    expect(where).to_have_text("start", use_inner_text=True)
    drawn = page.evaluate(
        "[...document.querySelectorAll('#trio-duet .side canvas')].map((canvas) => canvas.toDataURL())"
    )
    assert len(set(drawn)) == 1  # the same puzzle
    page.locator("#trio-duet .forward").click()
    expect(where).to_have_text("segment 1 · step 1", use_inner_text=True)
    assert all(page.evaluate(STEP))
    scrub.press("End")
    ends = page.locator("#trio-duet .side .result, #trio-duet .side .verdict").all_inner_texts()
    assert len(ends) >= 3
    assert [results.nth(i).is_visible() for i in range(3)] == [True] * 3
    page.locator("#trio-duet .play").click()
    page.wait_for_function("() => Number(document.querySelector('#trio-duet .scrub').value) > 1")
    assert page.locator("#trio-says .notice").is_hidden()


def test_one_puzzle_is_put_in_proportion_where_others_were_measured():
    assert proportion("medium", "maze").startswith("This is one puzzle. Of medium mazes, base solves ")
    says = "This is one puzzle: who solves it says little of who solves more."
    assert proportion("medium", "maze", own=True) == proportion("medium", "chart_refocus") == says
