"""What we write is version 2: anybody's reader sees it, our replay loses nothing, and older files open for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmreason.errors import TraceError
from mmreason.traces.file import check, export_schema, load, save
from mmreason.traces.group import load_group
from mmreason.traces.opening import open_rollouts
from mmreason.traces.versions.ours import is_ours, ones_of, two_of
from mmreason.traces.versions.two import RolloutsFile, check_two, misspelt

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "assets" / "examples").glob("*.json"))
GROUPS = sorted((ROOT / "assets" / "groups").glob("*.json"))


def example(path: Path = EXAMPLES[0]) -> dict[str, Any]:
    return load(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_trace_comes_back_from_version_2_as_it_was(path: Path, tmp_path: Path) -> None:
    data = example(path)
    save(tmp_path / "trace.json", data)
    written = json.loads((tmp_path / "trace.json").read_text())
    assert written["version"] == 2 and is_ours(written)
    check_two(written)
    assert load(tmp_path / "trace.json") == data
    assert load_group(tmp_path / "trace.json") == [data]


def without_runners_up() -> dict[str, Any]:
    data = example()
    data["segments"] = [{k: v for k, v in segment.items() if k != "runners_up"} for segment in data["segments"]]
    return data


def with_runners_up() -> dict[str, Any]:
    data = example()
    for segment in data["segments"]:
        other = ["left", 0.25] if segment["kind"] != "edit" else [3, 0.25]
        segment["runners_up"] = [[[other] for _ in frame["committed"]] for frame in segment["frames"]]
    return data


def test_runners_up_stand_where_readers_that_do_not_know_them_pass_over_them(tmp_path: Path) -> None:
    data = with_runners_up()
    save(tmp_path / "trace.json", data)
    assert load(tmp_path / "trace.json") == data
    written = json.loads((tmp_path / "trace.json").read_text())
    check_two(written)
    plain = two_of([without_runners_up()])
    for part, known in zip(written["rollouts"][0]["parts"], plain["rollouts"][0]["parts"], strict=True):
        assert part.pop("runners_up")
        assert part == known  # steps, which an earlier version reads strictly, are as they were
    save(tmp_path / "plain.json", without_runners_up())
    assert load(tmp_path / "plain.json") == without_runners_up()


@pytest.mark.parametrize("wrong", [[["left", 0.25, 1]], [["left", 2]], [[0.5, 0.25]], [[3, "left"]], "left", [[]]])
def test_runners_up_that_are_none_are_refused_by_name(wrong: Any) -> None:
    data = with_runners_up()
    data["segments"][0]["runners_up"][0][0] = wrong
    with pytest.raises(TraceError, match="runners_up"):
        check(data)
    del data["segments"][0]["runners_up"][0][0]
    with pytest.raises(TraceError, match="a list for each token"):
        check(data)


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: path.stem)
def test_a_group_comes_back_too_and_its_puzzle_is_said_once(path: Path, tmp_path: Path) -> None:
    members = load_group(path)
    (tmp_path / "group.json").write_text(json.dumps(two_of(members)))
    written = json.loads((tmp_path / "group.json").read_text())
    assert len(written["prompts"]) == 1 and len(written["rollouts"]) == len(members)
    assert load_group(tmp_path / "group.json") == members
    one, two = open_rollouts(path), open_rollouts(tmp_path / "group.json")
    assert two.rollouts.format == "trace version 2" and two.version_one == members
    assert [r.parts for r in two.rollouts.rollouts] == [r.parts for r in one.rollouts.rollouts]


def test_a_file_without_what_replay_needs_is_refused_by_replay_with_a_sentence(tmp_path: Path) -> None:
    whole = two_of([example()])
    del whole["rollouts"][0]["parts"][1]["cells"]
    with pytest.raises(TraceError, match="'cells'"):
        ones_of(whole)
    for changed in ({"prompts": [{"id": "p", "parts": []}]}, {"rollouts": []}, {"prompts": 3}, {"version": True}):
        with pytest.raises(TraceError):
            ones_of({**whole, **changed})
    (tmp_path / "foreign.json").write_text(json.dumps({"version": 2, "prompts": [], "rollouts": []}))
    with pytest.raises(TraceError, match="of another system"):
        load(tmp_path / "foreign.json")


def test_what_a_forged_file_says_is_checked_like_any_trace(tmp_path: Path) -> None:
    whole = two_of([example()])
    whole["rollouts"][0]["parts"][0]["turn"] = "first"
    (tmp_path / "forged.json").write_text(json.dumps(whole))
    for opening in (load, load_group, open_rollouts):
        with pytest.raises(TraceError, match="turn"):
            opening(tmp_path / "forged.json")


def test_unknown_fields_are_kept_and_one_that_is_nearly_known_is_named(tmp_path: Path) -> None:
    part = {"type": "text", "text": "a", "rewrad": 1.0, "tagged": "by hand"}
    rollout = {"prompt": "p", "parts": [part], "learning_step": 3}
    (tmp_path / "r.json").write_text(
        json.dumps({"version": 2, "prompts": [{"id": "p", "parts": []}], "rollouts": [rollout]})
    )
    found = open_rollouts(tmp_path / "r.json").rollouts
    assert found.rollouts[0].parts[0].more == {"rewrad": 1.0, "tagged": "by hand"}
    assert found.rollouts[0].more == {"learning_step": 3}
    assert found.notes == ("field 'rewrad' of a text is not known and does nothing; 'reward' is",)


def test_a_reward_of_null_is_not_judged_whatever_its_components_say(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "a", "reward": None, "rewards": {"form": 1.0}}]
    parts.append({"type": "text", "text": "b", "rewards": {"form": 1.0, "truth": 0.5}})
    rollout = {"prompt": "p", "parts": parts}
    (tmp_path / "r.json").write_text(
        json.dumps({"version": 2, "prompts": [{"id": "p", "parts": []}], "rollouts": [rollout]})
    )
    (found,) = open_rollouts(tmp_path / "r.json").rollouts.rollouts
    assert [part.reward for part in found.parts] == [None, 1.5]


def test_a_file_of_version_1_opens_as_ever() -> None:
    check(example())
    for path in GROUPS:
        assert json.loads(path.read_text())["version"] == 1 and load_group(path)


def test_the_schema_of_version_2_is_current(tmp_path: Path) -> None:
    export_schema(tmp_path / "schema.json", RolloutsFile)
    assert (tmp_path / "schema.json").read_text() == (ROOT / "assets" / "trace-2.schema.json").read_text()


def test_of_many_fields_that_are_nearly_known_some_are_named(tmp_path: Path) -> None:
    lines = []
    for i in range(3):
        fields = {f"reward{chr(1000 + 100 * i + j)}": 0 for j in range(90)}
        lines.append({"version": 2, "prompts": [{"id": f"{i}", "parts": []}]})
        lines[-1]["rollouts"] = [{"prompt": f"{i}", "parts": [], **fields}]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = open_rollouts(tmp_path / "r.jsonl").rollouts
    assert len(found.notes) == 180 and len(found.rollouts[2].more) == 90
    assert len(misspelt({"rollouts": [{f"reward{chr(i)}": 0 for i in range(1000, 2000)}]})) == 100


def test_many_puzzles_of_one_group_are_told_apart_by_short_names(tmp_path: Path) -> None:
    two = two_of([example()])
    lines = []
    for i, group in enumerate(["step 8′3", *["step 8"] * 30]):
        prompt = two["prompts"][0]
        problem = prompt["problem"] | {"task": f"task {i}"}
        lines.append(json.dumps(two | {"prompts": [prompt | {"problem": problem, "group": group}]}))
    (tmp_path / "run.jsonl").write_text("\n".join(lines))
    names = [prompt.id for prompt in open_rollouts(tmp_path / "run.jsonl").rollouts.prompts]
    assert names[:6] == ["step 8′3", "step 8", "step 8′", "step 8′2", "step 8′4", "step 8′5"]
    assert len(set(names)) == 31 and max(map(len, names)) == len("step 8′30")
