"""The tour: it goes on by itself, by keys and by clicks, and is left at any time."""

from playwright.sync_api import expect

from tests.helpers.browser import settle


def test_the_tour_is_stepped_by_keys_and_left_at_any_time(scripted, visit):
    page = visit(scripted.address, reduced_motion="reduce")
    settle(page)
    page.get_by_role("tab", name="Cost", exact=True).click()
    page.get_by_role("button", name="Tour (20 s)").focus()
    page.keyboard.press("Enter")
    card, where = page.get_by_role("dialog", name="Tour"), page.locator(".mm-tour-where")
    expect(where).to_have_text("1 of 5")
    assert page.get_by_role("tab", name="Watch", exact=True).get_attribute("aria-selected") == "true"
    for number in range(2, 6):
        page.keyboard.press("ArrowRight")
        expect(where).to_have_text(f"{number} of 5")
        box, window = card.bounding_box(), page.viewport_size
        assert box["x"] >= 0 and box["x"] + box["width"] <= window["width"]
        assert box["y"] >= 0 and box["y"] + box["height"] <= window["height"]
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    expect(page.get_by_role("button", name="Tour (20 s)")).to_be_focused()


def test_the_tour_goes_on_by_itself_to_its_end(scripted, visit):
    def prepare(page):
        page.clock.install()

    page = visit(scripted.address, prepare=prepare)
    settle(page)
    page.get_by_role("button", name="Tour (20 s)").click()
    page.mouse.move(2, 2)
    card, where = page.get_by_role("dialog", name="Tour"), page.locator(".mm-tour-where")
    expect(where).to_have_text("1 of 5")
    page.clock.run_for(4300)
    expect(where).to_have_text("2 of 5")
    page.clock.run_for(30_000)
    expect(where).to_have_text("5 of 5")  # the last stays until it is closed
    card.get_by_role("button", name="Done").click()
    expect(card).to_have_count(0)


def test_the_ring_stays_within_what_scrolls(scripted, visit):
    page = visit(scripted.address, width=1440)
    settle(page)
    page.get_by_role("button", name="Tour (20 s)").click()
    for step in range(5):
        expect(page.locator(".mm-tour-where")).to_have_text(f"{step + 1} of 5")
        if step == 2:
            page.evaluate("document.querySelector('.mm-player .cards').scrollTop = 1e6")
            page.evaluate("dispatchEvent(new Event('resize'))")
            page.wait_for_function("""() => {
              const box = (name) => document.querySelector(name).getBoundingClientRect();
              return box('.mm-tour-ring').height > 40 && box('.mm-tour-ring').top > box('[role=tablist]').bottom - 8;
            }""")
        page.get_by_role("button", name="Next" if step < 4 else "Done", exact=True).click()


def test_who_wants_little_motion_is_not_hurried(scripted, visit):
    page = visit(scripted.address, reduced_motion="reduce", prepare=lambda page: page.clock.install())
    settle(page)
    page.get_by_role("button", name="Tour (20 s)").click()
    page.clock.run_for(30_000)
    expect(page.locator(".mm-tour-where")).to_have_text("1 of 5")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_role("dialog", name="Tour")).to_have_count(0)
