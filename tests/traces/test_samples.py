"""Rollouts of other systems are read as ``samples/README.md`` says, one sample a format."""

from __future__ import annotations

import base64
import io
import json
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mmreason.__main__ import main
from mmreason.analysis.rollouts.reading import reading
from mmreason.errors import ConfigError, TraceError
from mmreason.traces.opening import open_content, open_rollouts, parse_map
from mmreason.traces.reading.gathered import COLUMNS
from mmreason.traces.recorder import Recorder
from mmreason.ui.group.gather import group_of
from mmreason.ui.group.look import look_value
from mmreason.ui.group.whatif import what_if_of
from tests.test_main import command

SAMPLES = Path(__file__).parent / "samples"
EXPECTED: dict[str, dict[str, Any]] = json.loads((SAMPLES / "expected.json").read_text(encoding="utf-8"))
RENAMED = {"kind": "format"}


def close(found: Any, wanted: Any) -> bool:
    """Equal, numbers to the six digits that are written down."""
    if isinstance(wanted, dict):
        return set(found) == set(wanted) and all(close(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, float) and isinstance(found, float):
        return abs(found - wanted) < 1e-6
    return found == wanted


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_is_read_as_it_is_described(name: str) -> None:
    found, wanted = reading(open_rollouts(SAMPLES / name).rollouts), dict(EXPECTED[name])
    mapped = wanted.pop("mean_reward_if_mapped", None)
    assert wanted.pop("segments") == {"text": found["text_segments"], "image": found["image_segments"]}
    for key, value in wanted.items():
        assert close(found[RENAMED.get(key, key)], value), (key, found[RENAMED.get(key, key)], value)
    if mapped is not None:
        mapping = {modality: tuple(names) for modality, names in mapped["map"].items()}
        rewards = reading(open_rollouts(SAMPLES / name, mapping).rollouts)["mean_reward"]
        assert close(rewards, {"text": mapped["text"], "image": mapped["image"]})


@pytest.mark.parametrize("name", EXPECTED)
def test_the_command_says_the_same_of_a_file_its_folder_and_a_zip(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    inner = (SAMPLES / name).parent
    if inner == SAMPLES:
        folder.mkdir()
        shutil.copy(SAMPLES / name, folder)
    else:
        shutil.copytree(inner, folder)
    archive = tmp_path / "rollouts.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, Path("deep") / path.relative_to(folder))
    told = []
    for path in (SAMPLES / name, folder, archive):
        found = open_rollouts(path).rollouts
        told.append({key: value for key, value in reading(found).items() if key != "format"})
        assert all(part.picture.read() for r in found.rollouts for part in r.parts if part.picture)
    assert told[0] == told[1] == told[2]
    assert open_content(archive.read_bytes(), "upload.zip").rollouts.format == EXPECTED[name]["kind"]


def test_inspect_prints_one_object_with_what_is_asked_of_it() -> None:
    done = command("inspect", SAMPLES / "verl", "--json", "--map", "text=answer,format", "image=drawing")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wanted = {"valid": True, "format": "verl", "prompts": 2, "rollouts": 10, "text_segments": 20, "image_segments": 10}
    assert {key: found[key] for key in wanted} == wanted and found["problems_found"] == []
    assert found["mean_reward"] == {"text": 1.5, "image": pytest.approx(0.72)}
    assert found["interference"]["turn"] is None  # whole rollouts were judged, no turns
    assert 0 < found["interference"]["trace"]["sign_conflict"] < 1
    kinds = {finding["finding"] for finding in found["first_look"]}
    assert {"contradictions", "right_answer_wrong_picture", "wrong_answer_right_picture", "longest"} <= kinds


def test_columns_of_an_unknown_table_are_named_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    picture = "data:image/png;base64," + png()
    rows = [
        {"q": "Where?", "gen": {"out": "There <image> so: 4"}, "pics": [picture], "scores": {"ok": i}, "n": i}
        for i in range(2)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(TraceError, match="no known format has these columns: q, gen, pics, scores, n"):
        open_rollouts(path)
    mapping = parse_map(["prompt=q", "completion=gen.out", "images=pics", "rewards=scores", "text=ok"])
    found = open_rollouts(path, mapping).rollouts
    assert [(p.modality, p.kind, p.turn, p.text) for p in found.rollouts[1].parts] == [
        ("text", "thought", 1, "There"),
        ("image", "edit", 1, None),
        ("text", "answer", 2, "so: 4"),
    ]
    assert reading(found)["mean_reward"] == {"text": 0.5, "image": None}
    assert found.rollouts[1].more["n"] == 1, "unknown columns are kept"
    for wrong, says in ((["text"], "NAME=COLUMN"), (["texts=a"], "one of text"), (["prompt=a,b"], "NAME=COLUMN")):
        with pytest.raises(ConfigError, match=says):
            parse_map(wrong)
    with pytest.raises(ConfigError, match="must name a component of the rewards, one of ok, got 'okay'"):
        open_rollouts(path, {**mapping, "text": ("okay",)})


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("column", ["kolumn", "deep.kolumn"])
def test_a_column_that_no_row_has_is_refused_and_one_that_a_row_has_is_read(
    name: str, column: str, tmp_path: Path
) -> None:
    values = {"messages": [{"role": "user", "content": "q"}], "images": [], "rewards": 1.0, "segment_rewards": [0.5]}
    given = values.get(name, "1")
    plain = {"prompt": "q", "completion": "a"}
    rows = [plain | ({"deep": {"kolumn": given}} if "." in column else {column: given}), plain]
    rows = rows[:1] if name in ("prompt", "completion") else rows
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert len(open_rollouts(path, {name: (column,)}).rollouts.rollouts) == len(rows)
    there = "prompt, completion, " + column.partition(".")[0]
    with pytest.raises(ConfigError) as error:
        open_rollouts(path, {name: (column[:-1],)})
    said = f"--map {name} must name a column of the file, one of {there}, got '{column[:-1]}'"
    assert str(error.value) == said
    assert main(["inspect", str(path), "--map", f"{name}={column[:-1]}"]) == 2


def test_columns_are_no_matter_of_our_own_files(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r.jsonl") as record:
        record.rollout("q", rewards={"ok": 1.0}).text("a")
    with pytest.raises(ConfigError, match="--map prompt must name a column of the file, left out: a trace"):
        open_rollouts(tmp_path / "r.jsonl", parse_map(["prompt=id", "text=ok"]))
    assert open_rollouts(tmp_path / "r.jsonl", parse_map(["text=ok"])).rollouts.judges == {"text": ("ok",)}


def test_pictures_that_no_placeholder_names_were_given_with_the_prompt(tmp_path: Path) -> None:
    picture = "data:image/png;base64," + png()
    row = {"prompt": "What is it?", "completion": "A dot.", "images": [picture], "advantage": 0.0, "right": 1.0}
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    found = open_rollouts(tmp_path / "t.jsonl").rollouts
    assert [part.modality for part in found.prompts[0].parts] == ["image", "text"]
    assert found.format == "trl" and found.rollouts[0].rewards == {"right": 1.0}


def test_a_prompt_that_comes_back_at_another_step_is_another_group(tmp_path: Path) -> None:
    for step in (10, 20):
        rows = [{"prompt": "q", "completion": f"{i}", "advantage": 0.0, "step": step, "ok": i} for i in range(3)]
        (tmp_path / f"completions_{step}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "metrics.jsonl").write_text('{"loss": 1.0}\n')
    found = open_rollouts(tmp_path).rollouts
    assert [len(group) for group in found.groups] == [3, 3]
    assert len({prompt.id for prompt in found.prompts}) == 2
    assert len(found.notes) == 1 and "'metrics.jsonl' is left out" in found.notes[0]


def test_steps_and_prompts_are_told_apart_alike_however_a_table_writes_whole_numbers(tmp_path: Path) -> None:
    told = []
    for number, written in enumerate((int, str, float)):
        rows = [
            {"prompt": "q", "completion": f"{i}", "advantage": 0.0, "step": written(step), "prompt_id": written(p)}
            for step in (1, 2)
            for p in (7, 8)
            for i in range(3)
        ]
        path = tmp_path / f"{number}.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        found = open_rollouts(path).rollouts
        told.append([(prompt.id, len(group)) for prompt, group in zip(found.prompts, found.groups, strict=True)])
        assert found.notes == ()
    assert told == [[(f"{p} at step {step}", 3) for step in (1, 2) for p in (7, 8)]] * 3


def test_no_two_prompts_and_no_two_rollouts_are_called_the_same_whatever_a_table_calls_them(tmp_path: Path) -> None:
    rng = random.Random(3)
    for number in range(60):
        rows = []
        for i in range(12):
            asks = rng.randrange(3)
            row = {"prompt": f"q{asks}", "completion": "a" * (i + 1), "rewards": {"ok": i}}
            named = {"id": rng.choice(["x", "x′", "prompt 1 r1"]), "step": rng.choice([1, 2])}
            named["prompt_id"] = ["prompt 1", "prompt 2", "prompt 1 at step 2"][asks]
            rows.append(row | {name: value for name, value in named.items() if rng.random() < 0.5})
        path = tmp_path / f"{number}.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        found = open_rollouts(path).rollouts
        assert len({rollout.id for rollout in found.rollouts}) == len(rows)
        assert len({prompt.id for prompt in found.prompts}) == len(found.prompts)
        assert sum(map(len, found.groups)) == len(rows)
        asked = {row["completion"]: row["prompt"] for row in rows}
        for prompt, group in zip(found.prompts, found.groups, strict=True):
            assert {asked[rollout.parts[0].text] for rollout in group} == {prompt.parts[0].text}


@pytest.mark.parametrize("rows", [["x"] * 4, ["x", "y", "x", "y"], [None] * 4])
def test_what_is_read_first_is_about_the_right_rollout_whatever_its_id(rows: list[str | None], tmp_path: Path) -> None:
    lines = [
        {"prompt": "q", "completion": text, "rewards": {"ok": 1.0}} | ({"id": called} if called else {})
        for called, text in zip(rows, ("bb", "a", "ccc", "dd"), strict=True)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    group = group_of(open_rollouts(tmp_path / "t.jsonl"), "")
    look = {one["finding"]: one for one in look_value(group, what_if_of({}))}
    assert look["shortest"]["places"] == [(0, 1)] and look["longest"]["places"] == [(0, 2)]
    assert "rollout, number 2, has" in look["shortest"]["sentence"]
    assert look["flat_components"]["places"] == [(0, g) for g in range(4)]


def test_an_uid_of_verl_that_names_the_prompt_alone_names_no_rollout(tmp_path: Path) -> None:
    rows = [{"input": f"q{i // 2}", "output": f"{i}", "score": 1.0, "uid": f"uuid-{i // 2}"} for i in range(4)]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = open_rollouts(tmp_path / "t.jsonl").rollouts
    assert [rollout.id for rollout in found.rollouts] == ["uuid-0 r1", "uuid-0 r2", "uuid-1 r1", "uuid-1 r2"]


@pytest.mark.parametrize(
    "uid",
    [
        *(
            "{p}_{g}_0",
            "0b5c-{p}_{g}_1",
            "gsm8k_{p}",
            "gsm8k_{p}_{g}",
            "gsm8k_{p}_{g}_0",
            "data_{p}_train",
            "_{p}_{g}",
        ),
        *("one", "", "x_1_1"),
    ],
)
def test_a_group_of_verl_has_one_prompt_and_all_its_rollouts_whatever_an_uid_is(uid: str, tmp_path: Path) -> None:
    told = [(p, g) for g in range(4) for p in range(3)]
    rows = [{"input": f"q{p}", "output": f"{p}", "score": 1.0, "uid": uid.format(p=p, g=g)} for p, g in told]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = open_rollouts(tmp_path / "t.jsonl").rollouts
    assert [prompt.parts[0].text for prompt in found.prompts] == ["q0", "q1", "q2"]
    assert [[r.parts[0].text for r in group] for group in found.groups] == [["0"] * 4, ["1"] * 4, ["2"] * 4]


def test_equal_prompts_of_verl_are_told_apart_by_their_uids(tmp_path: Path) -> None:
    rows = [{"input": "q", "output": "a", "score": 1.0, "uid": f"{p}_{g}_0"} for p in ("a", "b_1") for g in range(4)]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = open_rollouts(tmp_path / "t.jsonl").rollouts
    assert [(prompt.id, len(group)) for prompt, group in zip(found.prompts, found.groups, strict=True)] == [
        ("a", 4),
        ("b_1", 4),
    ]


ASKED_IN: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("prompt", {"completion": "a"}),
    "trl": ("prompt", {"completion": "a", "advantage": 0.0}),
    "verl": ("input", {"output": "a", "score": 1.0, "uid": "x_0_0"}),
}


@pytest.mark.parametrize("kind", ASKED_IN)
def test_a_prompt_id_stands_for_one_prompt_whose_picture_may_have_other_names(kind: str, tmp_path: Path) -> None:
    for name, colour in (("one", "red"), ("again", "red"), ("other", "blue")):
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{name}.png")

    def opened(*asked: tuple[str, str]) -> list[int]:
        column, row = ASKED_IN[kind]
        rows = [{column: f"<image> {words}", "images": [f"{picture}.png"]} for words, picture in asked]
        (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"prompt_id": "p", **row, **own}) for own in rows))
        return [len(group) for group in open_rollouts(tmp_path / "t.jsonl").rollouts.groups]

    assert opened(("q", "one"), ("q", "again"), ("q", "missing"), ("q", "one")) == [4]
    for wrong in (("Q", "one"), ("q", "other")):
        with pytest.raises(TraceError, match=r"line 3 of .*: prompt_id 'p' stands for two different prompts"):
            opened(("q", "one"), ("q", "again"), wrong)


@pytest.mark.parametrize("kind", ["verl", "trl"])
@pytest.mark.parametrize("value", [1_717_171_717, -1e6 - 1, 1e300, pytest.param(10**400, id="whole")])
def test_a_number_that_is_too_large_for_a_reward_changes_nothing_but_is_kept_and_named(
    kind: str, value: float, tmp_path: Path
) -> None:
    called = {"verl": ("input", "output", {"score": 2.0}), "trl": ("prompt", "completion", {"advantage": 0.0})}[kind]
    rows = [{called[0]: "q", called[1]: f"{i}", **called[2], "ok": float(i)} for i in range(3)]
    told = []
    for more in ({}, {"timestamp": value}):
        path = tmp_path / "t.jsonl"
        path.write_text("\n".join(json.dumps(row | more) for row in rows))
        told.append(open_rollouts(path).rollouts)
    plain, timed = told
    assert reading(timed) == reading(plain) and [one.rewards for one in timed.rollouts] == [
        {"ok": i} for i in range(3)
    ]
    assert [one.more["timestamp"] for one in timed.rollouts] == [value] * 3 and plain.notes == ()
    assert timed.notes == ("column 'timestamp' is no component of rewards where it lies beyond 1e6; it is kept",)
    with pytest.raises(TraceError, match=r"line 1 of .*: field 'timestamp' must be a number from -1e6 to 1e6 or null"):
        open_rollouts(tmp_path / "t.jsonl", {"text": ("timestamp",)})


def test_a_column_of_numbers_as_text_is_no_reward_and_is_named(tmp_path: Path) -> None:
    row = {"prompt": "q", "completion": "a", "accuracy_reward": "0.5", "name": "seven", "answer": "3"}
    path = tmp_path / "t.jsonl"
    for more in ({"advantage": 0.0}, {}):  # TRL's table, and a chat
        path.write_text("\n".join(json.dumps({**row, "ok": i, **more}) for i in (0, 1)))
        found = open_rollouts(path).rollouts
        assert [one.rewards for one in found.rollouts] == [{"ok": 0.0}, {"ok": 1.0}]
        assert found.notes == (
            "column 'accuracy_reward' holds numbers as text: if it is a reward, write them as numbers",
        )


def test_a_score_of_verl_that_is_too_large_is_named_where_it_is_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"input": "q", "output": "a", "score": 1e9}))
    found = open_rollouts(tmp_path / "t.jsonl").rollouts
    assert found.rollouts[0].rewards == {} and found.rollouts[0].more["score"] == 1e9
    assert len(found.notes) == 1 and found.notes[0].startswith("column 'score' is no component")


@pytest.mark.parametrize("step", ["last", 1.5, True, [1], "1" * 19])
def test_a_step_that_is_no_whole_number_is_named_and_counts_as_none(step: Any, tmp_path: Path) -> None:
    rows = [{"prompt": "q", "completion": "a", "advantage": 0.0, "step": each} for each in (step, step, None)]
    lines = [{"version": 2, "prompts": [{"id": "q", "parts": []}]}]
    lines += [{"version": 2, "rollouts": [{"prompt": "q", "parts": [], "step": step}]}] * 2
    for written in (rows, lines):
        (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in written))
        found = open_rollouts(tmp_path / "t.jsonl").rollouts
        assert len(found.groups) == 1 and len(found.notes) == 1
        assert found.notes[0].startswith("field 'step' must be a whole number")


def png() -> str:
    data = io.BytesIO()
    Image.new("RGB", (5, 4), "red").save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()
