"""The page in Firefox, as in Chromium, where it is installed: it plays, solves, goes through its tabs, and fits."""

from __future__ import annotations

import pytest

from tests.helpers.firefox import ESCAPE, RIGHT, Firefox, firefox, opened

pytestmark = [pytest.mark.browser, pytest.mark.skipif(firefox() is None, reason="no Firefox is installed")]
LOOKS = {
    "light": ({"ui.systemUsesDarkTheme": 0}, 1440),
    "dark and calm": ({"ui.systemUsesDarkTheme": 1, "ui.prefersReducedMotion": 1}, 390),
    "forced": ({"browser.display.document_color_use": 2}, 1024),
}
TABS = ("Inspect", "Train", "Cost", "Results")
SHOWN = {
    "Inspect": ".mm-group .cell",
    "Train": "#train-figures .mm-chart .point",
    "Cost": ".race canvas",
    "Results": "#results-curves .plot",
}
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.mark.parametrize("look", ["light", *(pytest.param(look, marks=pytest.mark.slow) for look in list(LOOKS)[1:])])
def test_the_page_plays_solves_and_goes_through_its_tabs(scripted, tmp_path, look):
    preferences, width = LOOKS[look]
    with opened(tmp_path / "profile", preferences) as page:
        page.goto(scripted.address, width, 844)
        page.wait("document.querySelectorAll('.mm-player .card').length > 1")
        _is_in_its_look(page, look)
        page.click("#solve")
        page.wait("document.querySelector('.mm-player').dataset.state === 'finished'")
        page.click(".mm-player .live")
        assert "Solved" in page.wait("document.querySelector('.mm-player .result-line')?.textContent")
        page.ask("document.querySelector('[role=tab][aria-selected=true]').focus()")
        for tab in TABS:
            page.press(RIGHT)
            page.wait(f"document.querySelector('[role=tab][aria-selected=true]').textContent.trim() === '{tab}'")
            page.wait(f"[...document.querySelectorAll('{SHOWN[tab]}')].some((e) => e.checkVisibility())")
            assert page.ask(FITS), tab
        page.click(".open-tour")
        page.wait("document.querySelector('.mm-tour') !== null")
        page.press(ESCAPE)
        assert page.ask("document.querySelector('.mm-tour') === null")
        assert page.ask("document.activeElement.className") == "open-tour"
        assert page.errors == []


def _is_in_its_look(page: Firefox, look: str) -> None:
    queries = {
        "dark": "(prefers-color-scheme: dark)",
        "calm": "(prefers-reduced-motion: reduce)",
        "forced": "(forced-colors: active)",
    }
    for name, query in queries.items():
        assert page.ask(f"matchMedia('{query}').matches") == (name in look), query
    if "calm" in look:  # the example stands at its end, and does not play
        assert page.ask("document.querySelector('.mm-player .scrub').value === document.querySelector('.scrub').max")
