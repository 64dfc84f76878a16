"""What the page without a server answers about a visitor's file is what the live page answers about it."""

from __future__ import annotations

import copy
import json
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmreason.__main__ import main
from mmreason.analysis.rollouts.push import correlation
from mmreason.errors import TraceError
from mmreason.records import MODALITIES
from mmreason.rewards.assignment import (
    ASSIGNMENTS,
    GRANULARITIES,
    SCALES,
    AssignmentConfig,
    Judged,
    assign_judged,
    interference,
)
from mmreason.traces.file import to_json
from mmreason.traces.group import save_group
from mmreason.traces.opening import open_rollouts
from mmreason.traces.rollouts import Part
from mmreason.traces.versions.ours import two_of
from mmreason.ui.group.detail import segment_detail
from mmreason.ui.group.gather import group_of
from mmreason.ui.group.held import Group
from mmreason.ui.group.look import look_value
from mmreason.ui.group.view import found_in, group_view, prompt_name
from mmreason.ui.group.whatif import push_value, what_if_of
from mmreason.ui.inspect.bundled import bundled, open_bundled

DRIVER = Path(__file__).with_name("answering.mjs")
LEFT_OUT = ("source", "notes", "native", "link", "follows", "drawings")  # of a view: what is said of a browser's file

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")

Node = Callable[[dict[str, Any]], Any]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    def told(asked: dict[str, Any]) -> Any:
        path = tmp_path / "asked.json"
        path.write_text(json.dumps(asked))
        done = subprocess.run(["node", str(DRIVER), str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return told


WAYS: list[dict[str, str]] = [
    *({"granularity": granularity, "scale": scale} for granularity in GRANULARITIES for scale in SCALES),
    {"granularity": "turn", "text": "0.5", "image": "2", "size": "5", "discount": "0.7"},
    {"granularity": "trace", "text": "0", "size": "1"},
]


def questions_of(group: Group) -> list[tuple[str, dict[str, Any]]]:
    """Whatever the inspector can ask of a file, with several choices; segments of every second rollout."""
    asked: list[tuple[str, dict[str, Any]]] = [("look", {})]
    for prompt, rollouts in enumerate(group.groups):
        asked.append(("group", {"prompt": prompt}))
        asked += [("push", {"prompt": prompt, **way}) for way in WAYS]
        asked += [("find", {"prompt": prompt, "words": words}) for words in ("e", "RIGHT", "no such words")]
        for g, rollout in list(enumerate(rollouts))[::2]:
            for s in range(len(rollout.parts)):
                way = WAYS[(g + s) % len(WAYS)]
                asked.append(("segment", {"prompt": prompt, "g": g, "s": s, **way}))
    return asked


def answer_of(group: Group, what: str, said: dict[str, Any]) -> Any:
    chosen = what_if_of({name: value for name, value in said.items() if isinstance(value, str)})
    if what == "group":
        return group_view(group, said["prompt"])
    if what == "push":
        return push_value(group, said["prompt"], chosen)
    if what == "look":
        return look_value(group, chosen)
    if what == "find":
        return found_in(group, said["prompt"], said["words"])
    found = segment_detail(group, said["prompt"], said["g"], said["s"], chosen)
    if found["pictures"] is not None:
        found["pictures"] |= {"expected": None, "wrong": []}  # which take a verifier
    return found | {"mind": None}


def assert_same(told: Any, wanted: Any, place: str) -> None:
    """Equal JSON, numbers to 1e-9."""
    if isinstance(wanted, dict):
        assert isinstance(told, dict) and set(told) == set(wanted), place
        for name, value in wanted.items():
            assert_same(told[name], value, f"{place}.{name}")
    elif isinstance(wanted, list | tuple):
        assert isinstance(told, list) and len(told) == len(wanted), place
        for i, value in enumerate(wanted):
            assert_same(told[i], value, f"{place}[{i}]")
    elif isinstance(wanted, float) and not isinstance(told, bool) and told is not None:
        near = 1.01e-4 if place.endswith("].probability") else 1e-9  # of four digits, read through a logarithm
        assert math.isclose(told, wanted, rel_tol=1e-9, abs_tol=near), f"{place}: {told} is not {wanted}"
    elif isinstance(wanted, str) and place.endswith(".more") and wanted and "…" not in wanted:
        assert isinstance(told, str) and json.loads(told) == json.loads(wanted), place
    else:
        assert told == wanted and type(told) is type(wanted), f"{place}: {told!r} is not {wanted!r}"


def assert_answers(node: Node, path: Path, group: Group, questions: list[tuple[str, dict[str, Any]]]) -> None:
    told = node({"do": "answers", "path": str(path), "name": path.name, "questions": questions})
    for (what, said), is_said in zip(questions, told, strict=True):
        wanted = json.loads(json.dumps(answer_of(group, what, said)))
        if what == "group":
            is_said, wanted = ({k: v for k, v in one.items() if k not in LEFT_OUT} for one in (is_said, wanted))
        if isinstance(wanted, list) and not wanted:
            assert is_said == []
        else:
            assert_same(is_said, wanted, f"{what} {said}")


@pytest.mark.parametrize("token", ["jigsaw-hard-2", "maze-hard-2", "sudoku-hard-2"])
def test_a_file_of_ours_is_answered_as_the_live_page_answers(node, tmp_path, token):
    """A shipped group as it is written today: grid, pushes under every choice, every segment, every search."""
    native = open_bundled(token).native(0)
    assert native is not None
    path = tmp_path / "group.json"
    save_group(path, native.traces, native.words, native.sheet)
    group = group_of(open_rollouts(path), "")
    assert_answers(node, path, group, questions_of(group))


@pytest.mark.parametrize("token", ["jigsaw-hard-2", "maze-hard-2", "sudoku-hard-2"])
def test_an_older_file_of_ours_is_answered_from_its_codes(node, token):
    """Version 1 with a sheet, as it is shipped; by turn, today's verifier adds marks that such a file lacks."""
    group = open_bundled(token)
    whole = [one for one in questions_of(group) if one[1].get("granularity") != "turn" and one[0] != "segment"]
    assert_answers(node, bundled()[token].path, group, whole)


def test_groups_of_one_puzzle_that_have_names_are_kept_apart_alike(node, tmp_path):
    """As a run's zip holds them; those without a name stay one group, and no two are called the same."""
    native = open_bundled("sudoku-hard-2").native(0)
    assert native is not None
    two = two_of([to_json(trace, native.words, native.sheet) for trace in native.traces[:4]])
    path, lines = tmp_path / "rollouts.jsonl", []
    for name in ("joint, step 8", "prompt 4", "factorized, step 8", "", "joint, step 8", ""):
        lines.append(json.dumps(two | {"prompts": [two["prompts"][0] | ({"group": name} if name else {})]}))
    path.write_text("\n".join(lines))
    group = group_of(open_rollouts(path), "")
    named = [(prompt.id, len(rollouts)) for prompt, rollouts in zip(group.rollouts.prompts, group.groups, strict=True)]
    assert named == [("joint, step 8", 8), ("prompt 4", 4), ("factorized, step 8", 4), ("prompt 4′", 8)]
    assert sorted(group.natives) == [0, 1, 2, 3]
    questions = [each for each in questions_of(group) if each[0] in ("look", "group")]
    assert_answers(node, path, group, questions)
    for wrong in (7, [], {"a": 1}, "x" * 201):
        path.write_text(json.dumps(two | {"prompts": [two["prompts"][0] | {"group": wrong}]}))
        with pytest.raises(TraceError, match=r"'prompts.group': must be text of at most 200 characters"):
            open_rollouts(path)


def test_puzzles_of_one_group_are_called_alike_however_many(node, tmp_path):
    native = open_bundled("sudoku-hard-2").native(0)
    assert native is not None
    two = two_of([to_json(native.traces[0], native.words, native.sheet)])
    path, lines = tmp_path / "rollouts.jsonl", []
    for i, name in enumerate(["step 8′3", *["step 8"] * 6]):
        prompt = two["prompts"][0]
        lines.append(prompt | {"group": name, "problem": prompt["problem"] | {"task": f"task {i}"}})
    path.write_text("\n".join(json.dumps(two | {"prompts": [prompt]}) for prompt in lines))
    told = node({"do": "ids", "path": str(path), "name": path.name})
    assert told == [prompt.id for prompt in open_rollouts(path).rollouts.prompts]
    assert told == ["step 8′3", "step 8", "step 8′", "step 8′2", "step 8′4", "step 8′5", "step 8′6"]


def test_rollouts_of_a_recorder_are_answered_as_the_live_page_answers(node, tmp_path):
    """Two prompts in JSON lines, regions in pixels, rewards by component, judges that the file names."""
    path = tmp_path / "rollouts.jsonl"
    assert main(["make", "rollouts", "--output", str(path), "--turns", "3", "--side", "64", "--rollouts", "9"]) == 0
    group = group_of(open_rollouts(path), "")
    judged = {"prompt": 1, "judge_text": "drawing", "judge_image": "answer\nformat"}
    ours = [("look", judged), *(("push", judged | way) for way in WAYS)]
    assert_answers(node, path, group, [*questions_of(group), *ours])


def test_rollouts_of_a_training_are_grouped_by_step_alike(node, tmp_path):
    """Steps that come back, one prompt without a step, and prompts of which there is no rollout."""
    path = tmp_path / "rollouts.jsonl"
    lines: list[Any] = [{"version": 2, "prompts": [{"id": name, "parts": []} for name in "abc"]}]
    for i, (name, step) in enumerate([("b", 1), ("a", 1), ("b", 2), ("a", None), ("b", 1), ("a", 2), ("b", 2)]):
        parts = [{"type": "text", "text": f"{i}", "reward": float(i)}]
        rollout = {"prompt": name, "parts": parts} | ({} if step is None else {"step": step})
        lines.append({"version": 2, "rollouts": [rollout]})
    path.write_text("\n".join(json.dumps(line) for line in lines))
    group = group_of(open_rollouts(path), "")
    named = [(prompt.id, len(rollouts)) for prompt, rollouts in zip(group.rollouts.prompts, group.groups, strict=True)]
    first = [("a at step 1", 1), ("b at step 1", 2), ("c", 0)]
    assert named == [*first, ("b at step 2", 2), ("a", 1), ("a at step 2", 1)]
    assert node({"do": "ids", "path": str(path), "name": path.name}) == [name for name, _ in named]
    assert prompt_name(group, 3).endswith(" · step 2") and "step" not in prompt_name(group, 4)
    assert_answers(node, path, group, questions_of(group))


def test_another_systems_rollouts_as_version_two_are_answered_alike(node, tmp_path):
    """Photographs as JPEG in the file, components of every segment, no judge of the whole."""
    found = open_bundled("photographs").rollouts
    prompts = [{"id": prompt.id, "parts": [_entry(part) for part in prompt.parts]} for prompt in found.prompts]
    rollouts = [
        {
            **{"id": one.id, "prompt": one.prompt, "rewards": one.rewards, "answer": one.answer},
            "parts": [_entry(part) | {"turn": part.turn, "rewards": part.rewards, "seen": True} for part in one.parts],
        }
        for one in found.rollouts
    ]
    path = tmp_path / "photographs.json"
    path.write_text(json.dumps({"version": 2, "prompts": prompts, "rollouts": rollouts}))
    group = group_of(open_rollouts(path), "")
    assert_answers(node, path, group, questions_of(group))


def _entry(part: Part) -> dict[str, Any]:
    if part.picture is not None:
        return {"type": "image", "image": part.picture.url()}
    return {"type": "text", "text": part.text} | ({"kind": part.kind} if part.kind != "given" else {})


def random_group(rng: np.random.Generator) -> list[Judged]:
    """Rollouts with rewards that are often equal, or there for some, or a hair apart."""
    levels = rng.choice([2, 3, 5, 1000])
    places = ["trace"] if rng.random() < 0.4 else list(range(1, int(rng.integers(2, 6))))
    group = []
    for _ in range(int(rng.choice([1, 2, 3, 8, 17, 140]))):
        rewards: dict[Any, dict[str, float]] = {}
        for place in places:
            there = [name for name in MODALITIES if rng.random() < 0.85]
            if there:
                rewards[place] = {name: int(rng.integers(levels)) / (levels - 1) for name in there}
        parts = [(place, name) for place in places for name in MODALITIES]
        group.append(Judged([place for place, _ in parts], [name for _, name in parts], rewards))
    return group


def test_advantages_are_those_of_training_for_any_rewards(node):
    """Bit for bit, but for the last digit: both assignments, every scale, weights, missing rewards, no spread."""
    rng = np.random.default_rng(11)
    groups = [random_group(rng) for _ in range(120)]
    weights = [{"text": float(rng.choice([0, 0.5, 1])), "image": float(rng.choice([1, 2]))} for _ in groups]
    cases = [
        {
            "group": [
                {"places": one.places, "modalities": one.modalities, "rewards": list(one.rewards.items())}
                for one in group
            ],
            "scale": scale,
            "weights": weight,
        }
        for group, weight in zip(groups, weights, strict=True)
        for scale in SCALES
    ]
    told = node({"do": "advantages", "cases": cases})
    expected = [
        (group, assign_judged([group], AssignmentConfig("joint", "trace", scale, weight))[0])
        for group, weight in zip(groups, weights, strict=True)
        for scale in SCALES
    ]
    reversed_ones = 0
    for is_told, (group, wanted) in zip(told, expected, strict=True):
        assert (is_told["slots"], is_told["flat"]) == (wanted.slots, wanted.slots_without_spread)
        for told_row, row in zip(is_told["segments"], wanted.segments, strict=True):
            for told_one, one in zip(told_row, row, strict=True):
                for name in ("own", *ASSIGNMENTS):
                    assert math.isclose(told_one[name], getattr(one, name), rel_tol=1e-12, abs_tol=1e-12)
                    assert np.sign(told_one[name]) == np.sign(getattr(one, name))
                reversed_ones += one.own * one.joint < 0
        for name, value in interference([wanted]).items():
            assert math.isclose(is_told[name], value, rel_tol=1e-9)
        known = correlation([group])
        assert is_told["correlation"] == (None if known is None else pytest.approx(known, abs=1e-9))
    assert reversed_ones > 100


def test_numbers_are_written_as_python_writes_them(node):
    """What lies in the middle between two numbers becomes even, as after rewards in eighths and sixteenths."""
    rng = np.random.default_rng(2)
    numbers = [k / 2**n for n in range(1, 12) for k in (1, 3, 5, 7, 101, 12345, -3)]
    numbers += [0.0, 1.0, -1.0, 1e-4, 123456.5, 99999.5, 999999.5, 1e6, *rng.normal(size=300).tolist()]
    numbers += (rng.normal(size=100) * 10.0 ** rng.integers(-7, 6, size=100)).tolist()
    told = node({"do": "numbers", "numbers": numbers})
    wanted = [[f"{x:.2f}", f"{x:.3f}", f"{x:.4g}", f"{x:g}", float(f"{x:.5g}")] for x in numbers]
    assert told == wanted


def test_a_file_that_is_none_of_ours_is_refused_in_a_sentence(node, tmp_path):
    """Each damage by itself: the sentence names the field and what would be right, and nothing else is thrown."""
    path = tmp_path / "rollouts.jsonl"
    assert main(["make", "rollouts", "--output", str(path), "--prompts", "1", "--rollouts", "2", "--side", "32"]) == 0
    good = json.loads(path.read_text().splitlines()[0])
    damages: dict[str, tuple[tuple[Any, ...], Any]] = {
        "version 2": (("version",), 3),
        "prompts must be a list": (("prompts",), 7),
        "prompts[0].id": (("prompts", 0, "id"), 5),
        "prompts[0].parts[0].text": (("prompts", 0, "parts", 0, "text"), None),
        "holds no rollouts": (("rollouts",), []),
        "rollouts[0] must be an object": (("rollouts", 0), "x"),
        "rollouts[0].prompt": (("rollouts", 0, "prompt"), "another"),
        "rollouts[0].parts must be a list": (("rollouts", 0, "parts"), {}),
        "rollouts[0].parts[0].type": (("rollouts", 0, "parts", 0, "type"), "video"),
        "rollouts[0].parts[0].turn": (("rollouts", 0, "parts", 0, "turn"), 1e300),
        "rollouts[0].parts[0].kind": (("rollouts", 0, "parts", 0, "kind"), "edit"),
        "rollouts[0].parts[0].reward ": (("rollouts", 0, "parts", 0, "reward"), "<img src=x onerror=alert(1)>"),
        "rollouts[0].parts[0].rewards": (("rollouts", 0, "parts", 0, "rewards"), [1]),
        "rollouts[0].parts[0].tokens": (("rollouts", 0, "parts", 0, "tokens"), [{}]),
        "rollouts[0].parts[0].steps[0].step": (("rollouts", 0, "parts", 0, "steps"), [{}]),
        "data:image/png;base64": (("rollouts", 0, "parts", 1, "image"), "data:text/html,<script>"),
        "'boxes' or 'mask'": (("rollouts", 0, "parts", 1, "region"), {"unit": "pixels"}),
        "[top, left, bottom, right]": (("rollouts", 0, "parts", 1, "region", "boxes"), [[9, 1, 2, 3]]),
        "rollouts[0].success": (("rollouts", 0, "success"), "yes"),
        "judges.text": (("judges", "text"), [1]),
        "nested deeper": (("note",), json.loads("[" * 40 + "]" * 40)),
    }
    contents = [good, [], None, "text", {"messages": []}]
    for keys, value in damages.values():
        damaged = copy.deepcopy(good)
        inner: Any = damaged
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        contents.append(damaged)
    broken = copy.deepcopy(good)
    broken["rollouts"][0]["parts"][1]["image"] = "https://example.com/x.png"  # is shown without this picture
    told = node({"do": "refusals", "contents": [*contents, broken]})
    assert told[0] == told[-1] == ""
    assert all(said.startswith("Error: mine.json holds no rollouts of ours") for said in told[1:5])
    for wanted, said in zip(damages, told[5:-1], strict=True):
        assert said.startswith("Error: ") and said.endswith(".") and wanted in said, (wanted, said)
