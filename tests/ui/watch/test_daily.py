"""The daily puzzle: the same for everyone, another every day, and a row of its result to copy."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import gradio as gr
import pytest

from mmreason.errors import ConfigError
from mmreason.tasks import FIRST_TASKS, TASKS
from mmreason.ui.solve.request import SolveRequest, checked, link_query
from mmreason.ui.solve.solving import Finished
from mmreason.ui.watch import daily, handlers
from mmreason.ui.watch import events as watch_events
from tests.helpers.browser import ROOT, part, settle, solve, to_the_end
from tests.helpers.standin import SHEET

DAY = date(2026, 11, 24)


def test_a_day_has_one_puzzle_and_neighbouring_days_have_others():
    week = [daily.daily_puzzle(DAY + timedelta(days=i)) for i in range(8)]
    assert week == [daily.daily_puzzle(DAY + timedelta(days=i)) for i in range(8)]
    assert len({(puzzle.task, puzzle.seed) for puzzle in week}) == 8
    assert {puzzle.task for puzzle in week} == set(FIRST_TASKS)
    for puzzle in week:
        assert puzzle.request.problem().difficulty == "medium"
        assert checked(task=puzzle.task, difficulty="medium", seed=puzzle.seed, checkpoint="base") == puzzle.request


def test_the_puzzle_of_a_day_is_for_ever():
    puzzle = daily.daily_puzzle(DAY)
    assert (puzzle.task, puzzle.seed) == ("maze", 993896)


def test_the_day_is_that_of_utc_wherever_the_machine_stands(monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            there = datetime(2026, 11, 25, 6, 0, tzinfo=timezone(timedelta(hours=14)))
            return there.astimezone(tz) if tz else there.replace(tzinfo=None)

    monkeypatch.setattr(daily, "datetime", Clock)
    assert daily.today() == DAY
    assert daily.UTC is UTC


@pytest.mark.parametrize("day", [date(1970, 1, 1), date(2125, 6, 1)])
def test_a_clock_that_is_far_off_is_said_and_breaks_no_run(monkeypatch, day):
    monkeypatch.setattr(daily, "today", lambda: day)
    asked = SimpleNamespace(session_hash="me")
    assert watch_events.on_today() == (gr.skip(),) * 4
    says, question = watch_events.on_today_shown(asked)
    assert question is None
    assert says.startswith("There is no puzzle today, because this server's clock is wrong: date must be from 2026")
    assert handlers.daily_result(Finished(trace([True], True), SHEET, SolveRequest())) is None


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "locale"), [("Pacific/Kiritimati", "C"), ("nowhere/at all", "POSIX")])
def test_zone_and_locale_of_the_machine_change_neither_day_nor_output(zone, locale):
    script = (
        "import datetime, locale; locale.setlocale(locale.LC_ALL, '');"
        "from mmreason.ui.watch.daily import daily_puzzle, today;"
        "print(today(), daily_puzzle(datetime.date(2026, 11, 24)).seed); print('✓')"
    )
    environment, before = os.environ | {"TZ": zone, "LC_ALL": locale}, daily.today()
    printed = subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, env=environment)
    first, sign = printed.decode("utf-8").splitlines()
    assert first in {f"{day} 993896" for day in (before, daily.today())}
    assert sign == "✓"


@pytest.mark.parametrize("text", ["2025-12-31", "2100-01-01", "tomorrow", "2026-13-01", "2026-11-24T00:00", "9" * 99])
def test_what_is_no_day_of_ours_is_refused(text):
    with pytest.raises(ConfigError, match="date must be"):
        daily.daily_puzzle(daily.parse_day(text))


def trace(rights, success):
    segments = [
        {"kind": "thought", "turn": 1 + i // 2, "verdict": None if right is None else {"right": right}}
        for i, right in enumerate(rights)
    ]
    problem = {"task": "maze"}
    return {"problem": problem, "segments": segments, "success": success, "end_reason": "answered", "settings": {}}


@pytest.mark.parametrize(
    ("rights", "marks"),
    [
        ([True, True, True, False, True], "✓✗✓"),
        ([False], "✗"),
        ([True, None, None], "✓–"),
        ([], ""),
    ],
)
def test_a_turn_is_right_if_all_that_is_judged_of_it_is(rights, marks):
    assert daily.marks(trace(rights, False)) == marks
    assert daily.result_row(trace(rights, False), DAY) == f"mmreason 2026-11-24: maze, not solved\n{marks}"


def test_only_a_run_of_todays_puzzle_has_a_row(monkeypatch):
    monkeypatch.setattr(daily, "today", lambda: DAY)
    puzzle = daily.daily_puzzle(DAY).request
    done = trace([True, True], True)
    found = handlers.daily_result(Finished(done, SHEET, puzzle))
    assert found["row"] == "mmreason 2026-11-24: maze, solved\n✓"
    assert found["link"] == link_query(puzzle, "")
    for other in (SolveRequest(), SolveRequest(own="{}"), None):
        assert handlers.daily_result(Finished(done, SHEET, other)) is None
    assert handlers.daily_result(Finished(done | {"end_reason": ""}, SHEET, puzzle)) is None
    assert handlers.daily_result(None) is None


@pytest.mark.parametrize("days", range(4))
def test_the_visitor_is_asked_first_where_the_answer_is_a_number(days):
    puzzle = daily.daily_puzzle(DAY + timedelta(days=days))
    right = TASKS[puzzle.task].demonstrate(puzzle.request.problem().spec).answer
    asks = daily.question(puzzle)
    assert (asks is not None) == any(word.isdigit() for word in right.split())
    said = {"segments": [{"kind": "answer", "text": "<answer> 3 swaps"}]}
    told = daily.answers(said, puzzle.request)
    assert told == {"answer": "3 swaps", "right": right.removeprefix("<answer> ")}


def test_todays_puzzle_is_set_up_solved_and_its_result_shown(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    page.get_by_role("button", name="Today’s puzzle").click()
    page.get_by_text("Press Solve, or think first").wait_for()
    puzzle = daily.daily_puzzle(daily.today())
    assert page.get_by_label("Seed", exact=True).input_value() == str(puzzle.seed)
    assert page.locator("#daily .row").is_hidden()
    asks = daily.question(puzzle)
    if asks:
        page.locator("#daily .answer").fill("99")
        page.get_by_role("button", name="That is my answer").click()
        page.get_by_text("You say 99.").wait_for()
    solve(page)
    to_the_end(page)
    row = page.locator("#daily .row")
    row.wait_for()
    turns = puzzle.request.problem().turns
    assert row.inner_text() == f"mmreason {puzzle.day}: {puzzle.task}, solved\n{'✓' * (turns + 1)}"
    if asks:
        assert page.locator("#daily .kept").inner_text().endswith("✓, you: 99 ✗.")
    page.get_by_role("button", name="Copy result").click()
    page.get_by_text("Copied.").or_(page.get_by_text("Press Ctrl+C")).wait_for()
    assert part(page, "puzzle-name").inner_text().startswith(puzzle.task.title())
