"""axe-core on the page, light and dark: no serious violation in our own markup; those of the framework are known."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
import pytest

from tests.ui.conftest import part, settle, solve, to_the_end

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
OF_GRADIO_6_31 = {  # rules that gradio's own markup breaks
    "aria-allowed-attr",
    "aria-input-field-name",
    "aria-required-children",
    "aria-required-parent",
    "button-name",
    "color-contrast",
    "label",
    "label-title-only",
    "nested-interactive",
    "scrollable-region-focusable",
    "select-name",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", ["Watch", "Inspect", "Cost"])
def test_our_own_markup_has_no_serious_violation(scripted, visit, scheme, tab):
    page = visit(scripted.address, color_scheme=scheme, reduced_motion="reduce")
    settle(page)
    if tab == "Watch":
        solve(page)
        to_the_end(page)
        assert part(page, "result").is_visible()
    else:
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_timeout(800)
    page.add_script_tag(path=str(AXE))
    serious = [found for found in page.evaluate(RUN) if found["impact"] in ("serious", "critical")]
    assert [found for found in serious if found["ours"]] == []
    assert {found["rule"] for found in serious} <= OF_GRADIO_6_31
