"""axe-core on every tab, light and dark, wide and on a phone: no serious violation in our own markup.

Gradio 6.31 breaks none either; the keyboard reaches all, reduced motion is respected.
"""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
import pytest

from tests.helpers.browser import part, settle, solve, to_the_end

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations.flatMap((violation) => violation.nodes.map((node) => {
    const element = document.querySelector(node.target[0]);
    const ours = !!element && !!element.closest('[class^="mm-"], [class*=" mm-"]');
    const because = node.any.concat(node.all, node.none).map((check) => check.message).join(' ');
    return { rule: violation.id, impact: violation.impact, ours, html: node.html.slice(0, 120), because };
  }));
}"""
TABS = ["Watch", "Inspect", "Train", "Cost", "Results"]
# Done when nothing of the page has changed for a while: the tab has been filled, its charts are drawn.
STILL = """() => new Promise((done) => {
  const later = () => setTimeout(() => { watcher.disconnect(); done(); }, 400);
  const watcher = new MutationObserver(() => { clearTimeout(timer); timer = later(); });
  let timer = later();
  watcher.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
})"""

MARK = """() => {
  const choice = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
  const shown = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0;
  const panel = [...document.querySelectorAll('[role=tabpanel]')].find((e) => e.checkVisibility());
  return [...panel.querySelectorAll(choice)].filter(shown).map((e, i) => {
    e.dataset.reach = e.type === 'radio' ? `radio ${e.name}` : `${i} ${e.outerHTML.slice(0, 90)}`;
    return e.dataset.reach;
  });
}"""
NOTE = """() => {
  window.reached = [document.activeElement.dataset.reach];
  document.addEventListener('focusin', (event) => window.reached.push(event.target.dataset.reach));
}"""
MOVING = """() => [...document.querySelectorAll('[class^="mm-"] *, [class*=" mm-"] *')].filter((e) => {
  const style = getComputedStyle(e);
  return style.animationName !== 'none' || style.transitionDuration.split(',').some((d) => parseFloat(d) > 0);
}).map((e) => e.className)"""


def open_tab(page, tab: str) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()
    page.evaluate(STILL)


@pytest.fixture(scope="module")
def violations(scripted_server, browser):
    """All serious and critical ones, each with where it was found."""
    found = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(scripted_server.address)
        settle(page)
        solve(page)
        to_the_end(page)
        page.add_script_tag(path=str(AXE))
        for tab in TABS:
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 900})
                open_tab(page, tab)
                here = {"tab": tab, "scheme": scheme, "width": width}
                found += [here | each for each in page.evaluate(RUN) if each["impact"] in ("serious", "critical")]
        context.close()
    return found


@pytest.mark.slow
def test_our_own_markup_has_no_serious_violation(violations):
    assert [found for found in violations if found["ours"]] == []


def test_gradio_6_31_breaks_no_serious_rule_either(violations):
    assert [found for found in violations if not found["ours"]] == []


def test_axe_finds_what_is_planted(scripted, visit):
    page = visit(scripted.address)
    page.add_script_tag(path=str(AXE))
    page.evaluate("document.querySelector('.mm-player').insertAdjacentHTML('beforeend', '<button></button>')")
    assert any(found["rule"] == "button-name" and found["ours"] for found in page.evaluate(RUN))


@pytest.mark.slow
def test_the_keyboard_reaches_all_controls_of_every_tab(scripted, visit):
    page = visit(scripted.address, reduced_motion="reduce")  # the example stands at its end and need not be waited for
    settle(page)
    for tab in TABS:
        open_tab(page, tab)
        controls = page.evaluate(MARK)
        assert controls or tab == "Results"  # which has none before anything was measured
        page.get_by_role("tab", name=tab, exact=True).focus()
        page.evaluate(NOTE)
        for number in range(len(controls) + 40):
            page.keyboard.press("Tab")
            if number % 20 == 19 and set(controls) <= set(page.evaluate("window.reached")):
                break
        assert set(controls) - set(page.evaluate("window.reached")) == set(), tab


@pytest.mark.slow
def test_what_moves_stands_still_for_who_wants_less_motion(scripted, visit):
    lively, calm = visit(scripted.address), visit(scripted.address, reduced_motion="reduce")
    for page in (lively, calm):
        settle(page)
    assert lively.evaluate(MOVING)
    scrub = part(calm, "scrub")
    assert scrub.input_value() == scrub.get_attribute("max")  # the example stands at its end, and does not play
    for tab in TABS:
        open_tab(calm, tab)
        assert calm.evaluate(MOVING) == [], tab
