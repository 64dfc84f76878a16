"""The daily puzzle: the same for everyone, another every day, and a row of its result to copy."""

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import gradio as gr
import pytest
from playwright.sync_api import expect

from mmreason.errors import ConfigError
from mmreason.tasks import FIRST_TASKS, TASKS, make_problem
from mmreason.ui.solve.request import SolveRequest, checked
from mmreason.ui.solve.solving import Finished
from mmreason.ui.watch import daily, handlers
from mmreason.ui.watch import events as watch_events
from tests.helpers.browser import ROOT, part, settle, solve, to_the_end
from tests.helpers.standin import SHEET, stand_in_trace

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
    says, *_, question, _ = watch_events.on_today_shown(handlers.TODAY, asked)
    assert question is None
    assert says.startswith("There is no puzzle today, because this server's clock is wrong: date must be from 2026")
    assert handlers.daily_result(Finished(trace([True], True), SHEET, SolveRequest())) is None


@pytest.mark.slow
def test_zone_and_locale_of_the_machine_change_neither_day_nor_output():
    script = (
        "import datetime, locale, os, time; locale.setlocale(locale.LC_ALL, '')\n"
        "from mmreason.ui.watch.daily import daily_puzzle, today\n"
        "for zone in ('Pacific/Kiritimati', 'nowhere/at all'):\n"
        "    os.environ['TZ'] = zone; time.tzset()\n"
        "    print(today(), daily_puzzle(datetime.date(2026, 11, 24)).seed, '✓')"
    )
    environment, before = os.environ | {"TZ": "Pacific/Kiritimati", "LC_ALL": "POSIX"}, daily.today()
    printed = subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, env=environment)
    here, nowhere = printed.decode("utf-8").splitlines()
    assert {here, nowhere} <= {f"{day} 993896 ✓" for day in (before, daily.today())}


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
    assert found["link"] == "?daily=today"  # it is shown there, and not solved
    for other in (SolveRequest(), SolveRequest(own="{}"), None):
        assert handlers.daily_result(Finished(done, SHEET, other)) is None
    assert handlers.daily_result(Finished(done | {"end_reason": ""}, SHEET, puzzle)) is None
    assert handlers.daily_result(None) is None


def told(puzzle, trace):
    """What the day's component is told of a trace that was not cut off."""
    return daily.answers({"segments": [{"kind": s.kind, "text": s.text} for s in trace.segments]}, puzzle.request)


@pytest.mark.parametrize("days", range(8))
def test_a_day_asks_exactly_what_is_answered(days):
    puzzle = daily.daily_puzzle(DAY + timedelta(days=days))
    problem = puzzle.request.problem()
    asks, right = daily.question(puzzle), TASKS[problem.task].riddle(problem.spec)[1]
    assert asks["words"] == len(right.split()) and asks["numeric"]
    assert all(asks["low"] <= int(word) <= asks["high"] for word in right.split() if word.isdigit())
    assert (asks["low"], asks["high"]) == ((1, 4) if problem.task == "sudoku" else (0, 99))
    assert all(word.isdigit() or word in asks["question"] for word in right.split()), "the unit is in the question"
    assert puzzle.words == asks["says"]
    solved = stand_in_trace(problem)
    assert told(puzzle, solved) == {"answer": right, "right": right}
    assert told(puzzle, stand_in_trace(problem, num_turns=0))["right"] == right
    assert daily.answers({"segments": []}, puzzle.request)["answer"] == ""


@pytest.mark.parametrize("task", [name for name in TASKS if name not in FIRST_TASKS])
def test_tasks_that_no_day_here_has_have_a_riddle_too(task):
    problem = make_problem(task, "easy", 1)
    asks, right = TASKS[task].riddle(problem.spec)
    assert asks.strip() and right == TASKS[task].demonstrate(problem.spec).answer.removeprefix("<answer> ")


def test_of_a_transform_the_colour_that_counts_is_asked_for():
    pattern, operations = [[1, 1, 2], [0, 3, 2], [0, 0, 2]], ["rotate90"]  # one turn: the answer counts blue
    asks, right = TASKS["transform"].riddle({"pattern": pattern, "operations": operations})
    assert (asks, right) == ("After all operations, how many cells of the pattern are blue?", "3 blue")


def test_of_a_sudoku_one_digit_is_asked_for_and_the_models_is_what_it_thought():
    spec = TASKS["sudoku"].example
    asks, right = TASKS["sudoku"].riddle(spec)
    *_, last = TASKS["sudoku"].demonstrate(spec).steps
    name, _, digit = last.thought.split()[:3]
    assert asks == f"Which digit belongs in row {name[1]}, column {name[3]} of the 4 × 4 squares?"
    assert right == digit
    assert TASKS["sudoku"].replied(spec, [f"{name} is 9", last.thought, "<answer> solved"]) == digit
    assert TASKS["sudoku"].replied(spec, ["<answer> solved"]) == ""


# Picture, question and answer are in the window at once, above the player's bar.
TOGETHER = """() => {
  const edge = (name, side) => document.querySelector(name).getBoundingClientRect()[side];
  return edge('.mm-player .canvas', 'top') >= 0 && edge('#daily .lock', 'bottom') < edge('.mm-player .deck', 'top');
}"""


def test_todays_puzzle_is_set_up_solved_and_its_result_shown(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    page.get_by_role("button", name="Today’s puzzle").click()
    puzzle = daily.daily_puzzle(daily.today())
    page.get_by_text(puzzle.words).wait_for()
    assert page.locator("#today").get_attribute("class").split().count("chosen") == 1
    expect(page.get_by_label("Seed", exact=True)).to_have_value(str(puzzle.seed))
    assert page.locator("#daily .row").is_hidden()
    assert page.locator("#daily .asks").inner_text() == daily.question(puzzle)["question"]
    box, lock = page.locator("#daily .answer"), page.get_by_role("button", name="That is my answer")
    assert box.bounding_box()["y"] + 40 < 900, "above the fold"
    asks, problem = daily.question(puzzle), puzzle.request.problem()
    low, high = asks["low"], asks["high"]
    right = TASKS[problem.task].riddle(problem.spec)[1].split()
    wrong = str(high if str(high) not in right else low)
    for typed, trouble in (("", "The field is empty"), ("blue", "“blue” is none"), ("100", "“100” is none")):
        box.fill(typed)
        lock.click()
        page.locator("#daily .trouble").get_by_text(f"{trouble}: type a whole number from {low} to {high}.").wait_for()
        assert box.get_attribute("aria-invalid") == "true"
    box.fill(wrong)
    lock.click()
    page.get_by_text(f"You say {wrong}.").wait_for()
    solve(page)
    to_the_end(page)
    row = page.locator("#daily .row")
    row.wait_for()
    turns = puzzle.request.problem().turns
    assert row.inner_text() == f"mmreason {puzzle.day}: {puzzle.task}, solved\n{'✓' * (turns + 1)}"
    expect(page.locator("#daily .kept")).to_have_text(
        re.compile(re.escape(f"✓, you: {wrong} ✗.") + "$"), use_inner_text=True
    )
    page.evaluate("navigator.clipboard.writeText = (text) => { window.written = text; return Promise.resolve(); }")
    page.get_by_role("button", name="Copy result").click()
    page.get_by_text("Copied.").wait_for()
    head, signs, link = page.evaluate("window.written").split("\n")
    assert head == f"mmreason {puzzle.day}: {puzzle.task}, solved"
    assert signs == "Model ✓, me ✗"  # and no answer, nor one mark a turn
    assert part(page, "puzzle-name").inner_text().startswith(puzzle.task.title())
    page.get_by_role("button", name="Your own puzzle").click()
    page.locator("#own-board").wait_for()
    assert page.locator("#daily .mm-daily").is_hidden()  # it was of another puzzle

    friend = visit(link, width=390, height=844, reduced_motion="reduce")
    friend.locator("#daily .asks").get_by_text(daily.question(puzzle)["question"]).wait_for()
    assert friend.locator(".mm-player").get_attribute("data-state") == "ready"  # nothing is given away
    expect(friend.get_by_label("Seed", exact=True)).to_have_value(str(puzzle.seed))
    friend.wait_for_function(TOGETHER)
