"""Which tests are marked, what a skipped one counts, and which files come first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.marks import SERVED, TRIED_AGAIN

pytest_plugins = ["pytester"]
HERE = Path(__file__).parent
HOOKS = "from tests.helpers.marks import pytest_collection_modifyitems, pytest_runtest_makereport"
TESTS = """
import pytest

@pytest.fixture
def browser():
    pytest.skip("no browser")

@pytest.fixture
def visit(browser):
    return browser

def test_of_a_page(visit):
    pass

def test_of_a_number():
    pytest.skip("no number")
"""


@pytest.mark.parametrize(("ci", "failed", "skipped"), [("true", 1, 1), ("", 0, 2)])
def test_a_skipped_browser_test_fails_only_under_ci(pytester, monkeypatch, ci, failed, skipped):
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(HOOKS)
    pytester.makepyfile(TESTS)
    pytester.runpytest_inprocess("-p", "no:xdist").assert_outcomes(errors=failed, skipped=skipped)


def test_a_test_that_asks_for_a_page_is_marked_through_other_fixtures(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    pytester.makeconftest(HOOKS)
    pytester.makepyfile(TESTS)
    pytester.runpytest_inprocess("-p", "no:xdist", "-m", "not browser").assert_outcomes(skipped=1, deselected=1)


def test_only_a_browser_test_is_tried_again_and_one_that_keeps_failing_fails(pytester):
    pytester.makeconftest(HOOKS)
    pytester.makepyfile("""
        import pytest

        tried = []

        @pytest.fixture
        def browser():
            tried.append(1)

        def test_that_was_unlucky_once(browser):
            assert len(tried) > 1

        def test_that_fails(browser):
            assert False

        def test_of_a_number():
            assert False
    """)
    found = pytester.runpytest_inprocess("-p", "no:xdist", "-r", "R")
    assert found.parseoutcomes() == {"passed": 1, "failed": 2, "rerun": 1 + TRIED_AGAIN}
    found.stdout.fnmatch_lines(["RERUN *test_that_was_unlucky_once", "RERUN *test_that_fails"])


def test_every_fixture_that_serves_the_page_is_known():
    served = set()
    for file in HERE.rglob("*.py"):
        for fixture in re.split(r"^@pytest\.fixture", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name, body = re.findall(r"def (\w+)\(.*?:\n(.*?)(?=^\S|\Z)", fixture, re.DOTALL | re.MULTILINE)[0]
            if re.search(r"\bserved\(\[|\blaunched\(\)|chromium\.launch|\"app\.py\"", body):
                served.add(name)
    assert served - {"served"} == SERVED  # `served` of test_secrets asks for scripted_server


def test_the_file_that_takes_longest_comes_first_and_xdist_leaves_it_there(pytester, pytestconfig):
    pytester.makeconftest(HOOKS)
    pytester.makeini("[pytest]\nmarkers =\n  slow: x\n  browser: x")
    quick = "".join(f"def test_{number}(): pass\n" for number in range(9))
    pytester.makepyfile(test_quick=quick, test_slow="import pytest\n@pytest.mark.slow\ndef test_one(): pass\n")
    ran = re.findall(r"test_\w+\.py::test_\w+", pytester.runpytest_inprocess("-v", "-p", "no:xdist").stdout.str())
    assert ran == ["test_slow.py::test_one", *(f"test_quick.py::test_{number}" for number in range(9))]
    assert pytestconfig.option.loadscopereorder is False  # which it is where xdist shares files out
