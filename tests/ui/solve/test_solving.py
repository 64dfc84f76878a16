"""A run as the page shows it, without a page: lists only grow, verdicts come, advice is right."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from mmreason import places
from mmreason.rewards.advice import expected_solution, first_wrong, parts_right
from mmreason.rewards.verify import Verifier
from mmreason.tasks import FIRST_TASKS
from mmreason.traces.file import check, draw_codes
from mmreason.traces.sheet import sheet_pixels, sheet_value
from mmreason.ui.host import checkpoints
from mmreason.ui.shell.words import OUR_FAULT, place_in_line
from mmreason.ui.solve import solving
from mmreason.ui.solve.playback import Playback
from mmreason.ui.solve.request import SolveRequest
from mmreason.ui.solve.worker import Worker
from mmreason.ui.watch import events as watch_events
from mmreason.ui.watch import handlers, own
from mmreason.ui.watch.handlers import expected_success
from tests.helpers.apart import run_apart
from tests.helpers.browser import LOAD_PIPELINE
from tests.helpers.scripted import FAILS, ScriptedPipe
from tests.helpers.standin import SHEET, WORDS, stand_in_trace


@pytest.fixture
def pipe(monkeypatch):
    pipe = ScriptedPipe()
    monkeypatch.setattr(checkpoints, "load_pipeline", lambda name: pipe)
    monkeypatch.setattr(solving, "period", lambda streams: 0)
    return pipe


def grows(old, new):
    """Did ``new`` come from ``old`` by additions, None → value and unfinished → finished alone?"""
    if isinstance(old, dict):
        return all(key in new and grows(value, new[key]) for key, value in old.items() if key not in MAY_CHANGE)
    if isinstance(old, list):
        return len(new) >= len(old) and all(grows(a, b) for a, b in zip(old, new, strict=False))
    return old is None or old == new


MAY_CHANGE = ("state", "success", "cost", "done", "end_reason", "kind", "link")


def solved(request, worker=None, session="me", at_each=lambda state: None):
    """All that a solve shows; ``at_each`` is called with every part as it comes."""

    async def watch():
        states = []
        async for state in solving.solve(request, session, worker or Worker()):
            states.append(state)
            at_each(state)
        return states

    return run_apart(watch())


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_every_step_is_shown_and_a_stream_only_grows(pipe, task):
    pipe.hold()
    pipe.let(1)
    shown = [state for state in solved(SolveRequest(task=task), at_each=lambda state: pipe.let(1)) if state.value]
    frames = [sum(len(s["frames"]) for s in state.value["segments"]) for state in shown]
    assert frames[: pipe.steps_taken] == list(range(1, pipe.steps_taken + 1))
    assert frames[-1] == pipe.steps_taken  # the last step may be shown with the end, which follows at once
    assert all(grows(a.value, b.value) for a, b in pairwise(shown))
    last = shown[-1]
    assert last.value["success"]
    assert all(segment["verdict"]["right"] for segment in last.value["segments"])
    assert last.value["expected"]["steps"][-1]["codes"] == final_codes(last.value)
    assert last.value["cost"].items() <= last.finished.data["cost"].items()
    check(last.finished.data)


def final_codes(value):
    codes = list(value["canvas_codes"])
    for segment in value["segments"]:
        for cell, code in zip(segment["cells"] or [], segment["frames"][-1]["tokens"], strict=False):
            codes[cell] = code
    return codes


def test_many_streams_are_sent_more_rarely_and_one_alone_as_often_as_before():
    assert solving.period(1) == solving.period(4) == solving.PERIOD
    assert 30 / solving.period(30) == pytest.approx(60)  # sendings a second, of all


def test_a_user_error_becomes_a_sentence(monkeypatch):
    monkeypatch.setattr(checkpoints, "load_pipeline", LOAD_PIPELINE)
    monkeypatch.setattr(checkpoints, "checkpoint_names", lambda: [])
    (shown,) = solved(SolveRequest(checkpoint="gone"))
    assert shown.notice == "Checkpoint 'gone' is not here; there is: none."
    assert not shown.busy


def test_a_stopped_run_keeps_what_it_has(pipe):
    worker = Worker()
    pipe.hold()
    pipe.let(1)

    def stop(state):
        worker.stop("me")
        pipe.let(20)

    *_, last = solved(SolveRequest(), worker, at_each=stop)
    assert last.value["state"] == "stopped"
    assert last.value["segments"]
    assert pipe.steps_taken <= 2
    assert not worker.is_busy("me")
    assert pipe.streams_open == 0


def test_a_run_that_is_closed_frees_its_row_within_a_step(pipe):
    worker = Worker()
    pipe.hold()
    pipe.let(1)

    async def leave():
        states = solving.solve(SolveRequest(), "me", worker)
        await anext(states)
        assert worker.is_busy("me")
        await states.aclose()

    run_apart(leave())
    pipe.let(20)
    until(lambda: not worker.is_busy("me"))
    assert pipe.steps_taken <= 2
    assert pipe.streams_open == 0


def until(holds, seconds=10):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_comes_to_a_full_batch_knows_how_many_are_ahead_and_moves_up(pipe):
    worker = Worker(max_batch=1, max_waiting=2)
    pipe.hold()
    notices = {}

    async def visit(name, after):
        await asyncio.sleep(after)
        said = notices.setdefault(name, [])
        async for state in solving.solve(SolveRequest(), name, worker):
            if state.notice:
                said.append(state.notice)

    async def all_of_them():
        visits = asyncio.gather(*(visit(name, 0.2 * i) for i, name in enumerate("abcd")))
        await asyncio.sleep(1.2)
        counts = worker.counts()
        assert (counts["running"], counts["waiting"]) == (1, 2)
        async with asyncio.timeout(30):
            while worker.counts()["waiting"] == 2:  # until the first is done
                pipe.let(1)
                await asyncio.sleep(0.02)
            while len(notices["c"]) < 2:
                await asyncio.sleep(0.02)
        pipe.let_go()
        await visits

    run_apart(all_of_them())
    assert notices["a"] == []
    assert notices["b"] == [place_in_line(1)]
    assert notices["c"] == [place_in_line(2), place_in_line(1)]
    assert "Too many visitors are waiting" in notices["d"][0]


def test_a_visitor_who_leaves_the_line_is_not_waited_for(pipe):
    worker = Worker(max_batch=1)
    pipe.hold()
    tickets = [solving._prepare(SolveRequest(), name)[0] for name in "ab"]
    worker.submit(tickets[0], lambda: None)
    until(lambda: worker.counts()["running"] == 1)  # and is held in its first step
    worker.submit(tickets[1], lambda: None)
    worker.leave("b")
    assert worker.announce("c") == 2
    pipe.let_go()
    until(lambda: all(ticket.is_over for ticket in tickets))
    assert [ticket.state for ticket in tickets] == ["finished", "stopped"]
    assert tickets[1].trace is None


def test_an_error_of_ours_ends_one_solve_and_is_told_without_details(pipe, caplog):
    stream = pipe.stream

    def fails(problems, config, seeds):
        yield from list(stream(problems, config, seeds))[:2]
        if seeds == [1]:
            raise RuntimeError("secret of the machine")
        yield from list(stream(problems, config, seeds))[2:]

    pipe.stream = fails
    worker, ends = Worker(), {}

    def visit(seed):
        ends[seed] = solved(SolveRequest(sampling_seed=seed), worker, str(seed))[-1]

    visitors = [threading.Thread(target=visit, args=(seed,)) for seed in (0, 1, 2)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert ends[1].notice == OUR_FAULT
    assert ends[1].value["state"] == "stopped"
    assert len(ends[1].finished.data["segments"]) == 1
    assert "secret of the machine" in caplog.text
    assert ends[0].value["success"]
    assert ends[2].value["success"]


def test_a_solve_that_was_stopped_before_it_began_does_not_begin(pipe):
    worker = Worker()
    worker.announce("me")
    assert worker.is_busy("me")
    worker.stop("me")
    *_, last = solved(SolveRequest(), worker)
    assert last.notice == "Stopped before the first step."
    assert pipe.steps_taken == 0
    assert not worker.is_busy("me")


def test_after_a_wrong_drawing_the_drawing_that_the_thought_meant_is_shown(pipe):
    *_, last = solved(SolveRequest(seed=7, sampling_seed=FAILS))
    advice = last.value["advice"]
    assert (advice["turn"], advice["kind"], advice["why"]) == (1, "edit", "1 of 3 cells wrong")
    assert advice["codes"] == last.value["expected"]["steps"][0]["codes"]


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_after_a_drawing_in_a_useless_place_the_drawing_that_the_thought_meant_is_shown(task):
    problem = next(problems(task))
    thought, edit, *_ = stand_in_trace(problem).segments
    elsewhere = tuple(cell for cell in range(64) if cell not in edit.cells)[: len(edit.cells)]
    tokens = tuple(stand_in_trace(problem).canvas_tokens[cell] for cell in elsewhere)
    edit = replace(edit, cells=elsewhere, tokens=tokens)
    verifier = Verifier(WORDS, SHEET)
    trace = replace(stand_in_trace(problem), segments=(thought, edit), end_reason="out of turns")
    advice = first_wrong(verifier.score(trace), verifier, runtime_codes())
    assert (advice["kind"], advice["why"]) == ("edit", "nothing useful can be drawn there")
    assert advice["codes"] == expected_solution(problem, runtime_codes())["steps"][0]["codes"]


@pytest.mark.parametrize("task", FIRST_TASKS)
@pytest.mark.parametrize("turn", [1, 2])
def test_the_thought_given_as_right_is_right_on_the_canvas_shown(task, turn):
    problem = next(p for p in (problems(task)) if p.turns >= turn)
    trace = stand_in_trace(problem)
    index = 2 * (turn - 1)
    segments = list(trace.segments[: index + 1])
    segments[index] = replace(segments[index], text="nonsense <edit> r1c1 r1c1")
    verifier = Verifier(WORDS, SHEET)
    scored = verifier.score(replace(trace, segments=tuple(segments), end_reason="out of turns"))
    advice = first_wrong(scored, verifier, runtime_codes())
    assert advice["turn"] == turn
    assert not advice["from_start"]
    assert advice["right"] == trace.segments[index].text
    done = replace(trace, segments=trace.segments[: index + 2])
    assert advice["codes"] == final_codes(Playback(WORDS, SHEET).update(done, "stopped")[1])


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_picture_and_answer_may_be_right_in_a_run_that_is_no_success(task):
    verifier, trace = Verifier(WORDS, SHEET), stand_in_trace(next(problems(task)))
    first, *rest = trace.segments

    def right(*segments):
        scored = verifier.score(replace(trace, segments=segments))
        return tuple(parts_right(scored, verifier).values()), scored.success

    assert right(first, *rest) == ((True, True), True)
    assert right(replace(first, text="nonsense <edit> r1c1 r1c1"), *rest) == ((True, True), False)
    assert right(first, *rest[:-1]) == ((True, False), False)
    assert right(first)[0][0] is False


def test_a_difficulty_is_kept_where_most_is_solved_and_else_the_hardest_such_is_chosen(monkeypatch):
    shares = {"easy": 0.9, "medium": 0.5, "hard": 0.49}
    monkeypatch.setattr(handlers, "solved_share", lambda checkpoint, difficulty, task: shares[difficulty])
    kept = {name: handlers.fitting_difficulty("base", name, "maze") for name in shares}
    assert kept == {"easy": "easy", "medium": "medium", "hard": "medium"}
    shares["medium"] = 0.02
    assert handlers.fitting_difficulty("base", "medium", "maze") == "easy"
    shares |= dict.fromkeys(shares, 0.0)
    assert handlers.fitting_difficulty("base", "hard", "maze") == "hard"  # none fits
    shares |= dict.fromkeys(shares, None)
    assert handlers.fitting_difficulty("base", "medium", "maze") == "medium"  # nobody has measured


@pytest.mark.parametrize(
    ("rate", "share"),
    [
        (0.0, "hardly any"),
        (0.04, "hardly any"),
        (0.05, "hardly any"),
        (0.06, "about 1 in 10"),
        (0.6, "about 6 in 10"),
        (0.99, "nearly all"),
    ],
)
def test_what_to_expect_is_said_in_words(rate, share, tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    results = {"base": {"by_difficulty": {"hard": {"success": {"maze": rate}}}}}
    (tmp_path / "results" / "evaluate.json").write_text(json.dumps(results))
    monkeypatch.setattr(places, "ASSETS", tmp_path)
    assert expected_success("base", "hard", "maze") == f"base solves {share} hard mazes"
    assert expected_success("base", "easy", "maze") == ""


def problems(task):
    from mmreason.tasks import make_problem

    return (make_problem(task, "medium", seed) for seed in range(20))


def runtime_codes():
    from mmreason.rewards.advice import Codes

    return Codes(SHEET)


def test_the_codebook_survives_its_picture():
    value = sheet_value(SHEET)
    pixels = sheet_pixels(value)
    assert (pixels[: len(SHEET)] == SHEET).all()
    assert draw_codes(pixels, list(range(64))).shape == (128, 128, 3)


@pytest.mark.parametrize("shows", ["on_preview", "on_own"])
def test_a_slow_preview_does_not_hide_the_run_that_began_meanwhile(pipe, monkeypatch, shows):
    runs = []

    def slowly(problem, checkpoint):
        runs.extend(state.value["run"] for state in solved(SolveRequest()) if state.value)
        return preview(problem, checkpoint)

    preview = solving.preview
    monkeypatch.setattr(solving, "preview", slowly)
    own_maze = (handlers.OWN, "maze", own.first_board("maze"), "", "base")
    values = {"on_preview": (handlers.SEEDED, "maze", "easy", 3, "base"), "on_own": own_maze}
    value, *_ = getattr(watch_events, shows)(SimpleNamespace(session_hash="me"), *values[shows])
    assert value["state"] == "ready"
    assert runs
    assert value["run"] < min(runs)


def test_templates_hold_no_data():
    from mmreason.ui.shell.component import component, read, shared_script

    for name in ("player", "board", "picker", "notice", "header", "daily", "footer"):
        made = component(name, value="${1}{{2}}")
        assert made.html_template == read(f"{name}/{name}.html")
        assert "innerHTML" not in read(f"{name}/{name}.js")
    assert "innerHTML" not in shared_script()


def test_solves_whose_checkpoint_is_still_loading_hold_up_nobody_else(pipe):
    go, begun = threading.Event(), []

    def loading(request, session, address):
        begun.append(session)
        go.wait(30)
        return solving._prepare(request, session, address)

    async def watch():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))  # as many as a small machine has
        worker = Worker()
        worker.of_a_visitor = 8
        slow = [
            asyncio.create_task(
                solving.last_shown(solving.solve(SolveRequest(seed=i), "impatient", worker, prepare=loading))
            )
            for i in range(10)
        ]
        await asyncio.sleep(0.1)
        shown = await asyncio.wait_for(solving.last_shown(solving.solve(SolveRequest(), "me", worker)), 10)
        refused = [task.result().notice for task in slow if task.done()]
        go.set()
        ended = [task.result() for task in slow if await asyncio.wait([task])]
        return shown, refused, ended

    try:
        shown, refused, ended = run_apart(watch())
    finally:
        go.set()
    assert shown.finished is not None
    assert len(refused) == 2 and all(says.startswith("At most 8 solves of one visitor") for says in refused)
    assert begun == ["impatient"] * 8 and sum(state.finished is not None for state in ended) == 8
    assert "impatient" not in solving._preparing
