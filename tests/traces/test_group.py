"""What holds of group files: their members come back as trace files, and nothing broken comes in."""

from __future__ import annotations

import base64
import copy
import importlib.util
import io
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmreason.analysis.review import review, summary
from mmreason.errors import TraceError
from mmreason.records import Trace
from mmreason.rewards.assignment import AssignmentConfig, assign, interference
from mmreason.rewards.verify import Verifier
from mmreason.tasks import FIRST_TASKS, make_problem
from mmreason.traces.convert import ForeignTurn, foreign_trace
from mmreason.traces.file import export_schema, load, png_url, save, to_json
from mmreason.traces.group import load_group, members_of, parse_group, save_group
from mmreason.traces.plain import rounded
from mmreason.traces.rebuild import rebuild_group, with_recorded
from mmreason.traces.schema import TraceFile, decode_png
from mmreason.traces.sheet import sheet_pixels, sheet_value
from mmreason.traces.versions.two import check_two
from mmreason.training.run.traces import sampled_group
from mmreason.ui.group.opened import open_files
from tests.helpers.standin import SHEET, WORDS, partial, stand_in_trace

ROOT = Path(__file__).parents[2]
VERIFIER = Verifier(WORDS, SHEET)


def traces_of(task: str = "maze") -> list[Trace]:
    """A success, a wrong answer, and one that is not finished."""
    problem = make_problem(task, "easy", 7)
    whole = stand_in_trace(problem)
    return [VERIFIER.score(t) for t in (whole, stand_in_trace(problem, "<answer> 63 moves", 1), partial(whole))]


@pytest.fixture(scope="module")
def group() -> dict[str, Any]:
    return version_one(traces_of())


def version_one(traces: list[Trace]) -> dict[str, Any]:
    """A group as it was written once: what its members share is said once, pictures are drawn from the sheet."""
    whole = [to_json(trace, WORDS, SHEET) for trace in traces]
    members = []
    for data in whole:
        segments = [{k: v for k, v in s.items() if k not in ("before", "after")} for s in data["segments"]]
        members.append({k: v for k, v in data.items() if k not in ("version", "problem")} | {"segments": segments})
    group = {"version": 1, "problem": whole[0]["problem"], "sheet": sheet_value(SHEET), "traces": members}
    return json.loads(json.dumps(rounded(group, 6), allow_nan=False))


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_a_saved_group_loads_as_the_trace_files_of_its_members(task: str, tmp_path: Path) -> None:
    traces = traces_of(task)
    save_group(tmp_path / "group.json", traces, WORDS, SHEET)
    written = json.loads((tmp_path / "group.json").read_text())
    check_two(written)
    assert written["version"] == 2 and len(written["prompts"]) == 1
    members = load_group(tmp_path / "group.json")
    assert members_of(version_one(traces)) == rounded(members, 6), "version 1 opens for ever"
    wanted = [to_json(trace, WORDS, SHEET) for trace in traces]
    for member, data in zip(members, wanted, strict=True):
        assert [s["before"] for s in member["segments"]] == [s["before"] for s in data["segments"]]
        assert [s["after"] for s in member["segments"]] == [s["after"] for s in data["segments"]]
        assert member["problem"] == data["problem"]
        assert [s["reward"] for s in member["segments"]] == [s["reward"] for s in data["segments"]]


def exact(trace: Trace) -> Trace:
    """``trace`` with numbers of many digits."""
    segments = [
        replace(
            segment,
            reward=segment.reward and segment.reward / 3,
            frames=tuple(
                replace(frame, logprobs=tuple(-math.pi / (i + 1) for i in range(len(frame.committed))))
                for frame in segment.frames
            ),
        )
        for segment in trace.segments
    ]
    spec = {**trace.problem.spec, "angle": 0.123456789, "count": 1_234_567.5, "steps": [math.pi]}
    settings = {**trace.settings, "temperature": 0.76543219}
    cost = replace(trace.cost, flops=812_999_040.0, seconds=1.23456789)
    problem = replace(trace.problem, spec=spec)
    return replace(trace, segments=tuple(segments), problem=problem, settings=settings, cost=cost)


def without_probabilities(member: dict[str, Any]) -> tuple[dict[str, Any], list[float]]:
    """``member`` without them, and they."""
    bare = copy.deepcopy(member)
    found = [segment.pop("logprob") for segment in bare["segments"]]
    for segment in bare["segments"]:
        found += [value for frame in segment["frames"] for value in frame.pop("probability")]
    return bare, found


@pytest.mark.parametrize("kept_by", ["save_group", "sampled_group"])
def test_a_group_says_probabilities_to_six_digits_and_all_else_as_it_is(kept_by: str, tmp_path: Path) -> None:
    traces = [exact(trace) for trace in traces_of()]
    wanted = [to_json(trace, WORDS, SHEET) for trace in traces]
    if kept_by == "save_group":
        save_group(tmp_path / "group.json", traces, WORDS, SHEET)
        written = json.loads((tmp_path / "group.json").read_text())
    else:
        files = [tmp_path / f"{number}.json" for number in range(len(wanted))]
        for path, data in zip(files, wanted, strict=True):
            save(path, data)
        written = sampled_group(files, "joint, step 8")
    for member, data in zip(members_of(written), wanted, strict=True):
        (bare, found), (whole, exactly) = without_probabilities(member), without_probabilities(data)
        assert bare == whole and found == rounded(exactly, 6) != exactly
    assert len(json.dumps(written)) < 1.01 * len(json.dumps(rounded(written, 6)))


def test_a_trace_file_is_a_group_of_one_and_whole_traces_make_a_group(tmp_path: Path) -> None:
    wholes = [to_json(trace, WORDS, SHEET) for trace in traces_of()]
    save(tmp_path / "one.json", wholes[0])
    assert load_group(tmp_path / "one.json") == [load(tmp_path / "one.json")] == wholes[:1]
    assert members_of({"version": 1, "traces": wholes}) == wholes


def test_a_rebuilt_group_keeps_steps_probabilities_and_recorded_rewards(group: dict[str, Any]) -> None:
    members, traces = members_of(group), traces_of()
    rebuilt = rebuild_group(members, traces[0].problem)
    assert rebuilt.problems_found == []
    for old, bare, data in zip(traces, rebuilt.traces, members, strict=True):
        new = with_recorded(bare, data)
        assert new.success == old.success
        for a, b in zip(old.segments, new.segments, strict=True):
            assert (a.reward, a.verdict, a.text, a.cells) == (b.reward, b.verdict, b.text, b.cells)
            if sum(len(f.committed) for f in a.frames) == len(a.tokens):
                assert [f.committed for f in a.frames] == [f.committed for f in b.frames]
                assert b.logprob == pytest.approx(a.logprob, abs=1e-3)
                if a.kind == "edit":
                    named = [rebuilt.codes[t - len(rebuilt.words)] for t in b.tokens]
                    assert named == [t - len(WORDS) for t in a.tokens]


def test_the_sheet_goes_into_a_picture_and_back() -> None:
    assert np.array_equal(sheet_pixels(sheet_value(SHEET))[: len(SHEET)], SHEET)


def png(width: int, height: int) -> str:
    data = io.BytesIO()
    Image.new("RGB", (width, height)).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def other_problem(group: dict[str, Any]) -> Any:
    odd = to_json(VERIFIER.score(stand_in_trace(make_problem("maze", "easy", 8))), WORDS, SHEET)
    return [*group["traces"], odd]


HOSTILE: dict[str, Any] = {
    "version": [0, 2, "1", True, None],
    "traces": [None, {}, [], [None], ["x"], [[]], [{}] * 65, [{"segments": 7}], [{"segments": [None]}]],
    "sheet": [
        *([], 7, {"image": "x", "columns": 16}, {"image": png(256, 256)}, {"image": png(256, 256), "columns": True}),
        *({"image": png(250, 256), "columns": 16}, {"image": png(16, 16), "columns": 1}),
        *({"image": "data:image/png;base64,!!!!", "columns": 16}, {"image": png(256, 80_000), "columns": 16}),
    ],
    "problem": [None, [], {"task": "maze"}],
    "more": [1],
}


@pytest.mark.parametrize("field", HOSTILE)
def test_a_hostile_group_is_refused_in_one_sentence(field: str, group: dict[str, Any]) -> None:
    for value in HOSTILE[field]:
        with pytest.raises(TraceError) as error:
            members_of({**copy.deepcopy(group), field: value})
        assert str(error.value).isprintable() and 10 < len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("canvas_codes",), [10**6] * 64),
        (("canvas_codes",), "0" * 64),
        (("segments", 1, "cells"), [64]),
        (("segments", 1, "cells"), None),
        (("segments", 1, "frames"), 7),
        (("segments", 1, "frames", -1, "tokens"), [10**6]),
        (("segments", 0, "text"), 7),
    ],
)
def test_a_member_that_cannot_be_drawn_is_named(path: tuple, value: Any, group: dict[str, Any]) -> None:
    broken = copy.deepcopy(group)
    target = broken["traces"][1]
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(TraceError, match=r"traces\[1\]"):
        members_of(broken)


def test_traces_of_different_problems_are_no_group(group: dict[str, Any]) -> None:
    with pytest.raises(TraceError, match=r"of one problem; traces\[3\] is of another"):
        members_of({**copy.deepcopy(group), "traces": other_problem(group)})


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b'{"version": NaN}', b"[" * 100_000, b"\xff\xfe"])
def test_content_that_is_no_trace_is_refused(content: bytes) -> None:
    with pytest.raises(TraceError) as error:
        parse_group(content, "a\nfile.json")
    assert str(error.value).isprintable()


def test_a_trace_whose_unfinished_segment_is_not_its_last_opens_and_the_review_says_which_it_is() -> None:
    whole = stand_in_trace(make_problem("maze", "easy", 7))
    half = replace(whole.segments[0], frames=whole.segments[0].frames[:1], tokens=whole.segments[0].frames[0].tokens)
    data = to_json(VERIFIER.score(replace(whole, segments=(half, *whole.segments[1:]))), WORDS, SHEET)
    (opened,) = open_files([data], "a file").traces
    assert [segment.kind for segment in opened.segments] == [segment.kind for segment in whole.segments]
    assert not any(segment.verdict for segment in opened.segments) and not opened.success
    assert review(data)["problems_found"] == ["segments[0]: is unfinished, but others follow"]


@pytest.mark.parametrize(("turn", "says"), [("joint", []), ("interleaved", ["segments[0]: is unfinished"])])
def test_of_a_joint_turn_both_segments_may_be_unfinished(turn: str, says: list[str]) -> None:
    whole = stand_in_trace(make_problem("maze", "easy", 7))
    both = [replace(s, frames=s.frames[:1], tokens=s.frames[0].tokens) for s in whole.segments[:2]]
    settings = {**whole.settings, "turn": turn}
    stopped = replace(whole, segments=tuple(both), end_reason="stopped", settings=settings)
    data = to_json(VERIFIER.score(stopped), WORDS, SHEET)
    assert [found.partition(",")[0] for found in review(data)["problems_found"]] == says


# What is shipped


def test_the_shipped_schema_is_up_to_date(tmp_path: Path) -> None:
    export_schema(tmp_path / "schema.json", TraceFile)
    shipped = ROOT / "assets" / "trace.schema.json"
    assert shipped.read_text() == (tmp_path / "schema.json").read_text(), "run `inspect --schema` again"


BUNDLED = sorted((ROOT / "assets" / "groups").glob("*.json"))


def test_two_to_four_groups_are_bundled_and_small() -> None:
    assert 2 <= len(BUNDLED) <= 4
    assert all(path.stat().st_size < 400_000 for path in BUNDLED)


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_a_bundled_group_scores_as_recorded_and_shows_interference(path: Path) -> None:
    members = load_group(path)
    reviews = [review(data) for data in members]
    assert summary(reviews)["problems_found"] == []
    rebuilt = rebuild_group(members, replace(make_problem("maze", "easy", 0), turns=members[0]["problem"]["turns"]))
    traces = [with_recorded(trace, data) for trace, data in zip(rebuilt.traces, members, strict=True)]
    assert interference(assign([traces], AssignmentConfig("joint")))["sign_conflict"] > 0.1


# Another system's rollouts


def test_a_foreign_rollout_becomes_a_trace_that_scores_without_complaint() -> None:
    problem = make_problem("sudoku", "easy", 7)
    drawn = to_json(VERIFIER.score(stand_in_trace(problem)), WORDS, SHEET)
    turns = []
    for thought, edit in zip(drawn["segments"][::2], drawn["segments"][1::2], strict=False):
        words = thought["text"].partition(" <edit>")[0]
        turns.append(ForeignTurn(words, edit["region"], np.asarray(decode_png(edit["after"])), 1.0, 1.0))
    answer = drawn["segments"][-1]["text"].partition(" ")[2]
    found = review(foreign_trace(problem, turns, answer, 1.0, success=True))
    assert found["problems_found"] == [] and found["success"]


def test_foreign_pictures_and_regions_of_the_wrong_shape_are_named() -> None:
    problem = make_problem("maze", "easy", 7)
    with pytest.raises(TraceError, match=r"turns\[0\].picture must be"):
        foreign_trace(problem, [ForeignTurn("x", ["r1c1 r1c2"], np.zeros((64, 64, 3), np.uint8))])
    with pytest.raises(TraceError, match=r"turns\[0\].region must name two cells"):
        foreign_trace(problem, [ForeignTurn("x", ["r9c1"], problem.image)])


def test_the_converter_example_makes_a_group_that_is_valid(tmp_path: Path) -> None:
    path = ROOT / "assets" / "converter" / "rollouts.py"
    assert len([line for line in path.read_text().splitlines() if line.strip()]) < 40
    spec = importlib.util.spec_from_file_location("rollouts_converter", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    problem = make_problem("maze", "easy", 7)
    picture = png_url(problem.image).partition(",")[2]
    turn = {"words": "right 1 total 1", "box": "r1c1 r1c2", "picture": picture}
    turn |= {"words_reward": 0.0, "picture_reward": None}
    rollout = {"problem": {**problem.spec, "task": "maze"}, "turns": [turn], "answer": "7 moves"}
    rollout |= {"answer_reward": 0.0, "solved": False}
    group = {"version": 1, "traces": [module.convert(rollout), module.convert({**rollout, "answer": "8 moves"})]}
    assert [member["segments"][-1]["text"] for member in members_of(group)] == ["<answer> 7 moves", "<answer> 8 moves"]
