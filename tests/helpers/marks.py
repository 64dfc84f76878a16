"""Hooks of pytest: which tests are marked ``browser``, that none of them may be skipped where all is tested, and that
one which failed is tried again, and named: a browser, a server and another test share two processors."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from tests.helpers.order import longest_first

# Fixtures that open a browser or start a server; a test asks for them itself or through another fixture.
SERVED = {
    "browser",
    "app",
    "scripted_server",
    "serve",
    "train_page",
    "results_page",
    "cost_page",
    "tools",
    "public_page",
}

TRIED_AGAIN = 2


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that opens a browser or starts a server; files that take long come first."""
    for item in items:
        if SERVED & set(getattr(item, "fixturenames", ())):
            item.add_marker("browser")
            item.add_marker(pytest.mark.flaky(reruns=TRIED_AGAIN))
    longest_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where ``CI`` is set, a skipped browser test has failed: a missing browser must not look like a pass."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and os.environ.get("CI") and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = f"a browser test may not be skipped under CI: {report.longrepr}"
    return report
