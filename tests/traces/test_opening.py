"""Hostile rollouts, version 2 and every import format: refused in one sentence, with nothing opened outside."""

from __future__ import annotations

import base64
import copy
import io
import json
import math
import os
import random
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mmreason.analysis.rollouts.first_look import first_look
from mmreason.analysis.rollouts.push import pushes
from mmreason.analysis.rollouts.reading import broken, damaged, reading
from mmreason.errors import MMReasonError, TraceError
from mmreason.parquet import Limits
from mmreason.traces.file import export_schema
from mmreason.traces.opening import open_content, open_contents, open_rollouts
from mmreason.traces.picture import BrokenPicture
from mmreason.traces.rollouts import Rollouts
from mmreason.traces.versions.two import RolloutsFile
from tests.helpers.zips import zipped
from tests.traces.test_hostile import assert_one_sentence, deep, forged_png

ROOT = Path(__file__).parent.parent.parent
SAMPLES = Path(__file__).parent / "samples"


def picture(size: tuple[int, int] = (6, 5), kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, "red").save(data, kind)
    return data.getvalue()


def url(size: tuple[int, int] = (6, 5), kind: str = "PNG", said: str = "png") -> str:
    return f"data:image/{said};base64," + base64.b64encode(picture(size, kind)).decode()


START = url()
VALID: dict[str, Any] = {
    "version": 2,
    "prompts": [{"id": "p", "parts": [{"type": "text", "text": "Draw."}, {"type": "image", "image": START}]}],
    "rollouts": [
        {
            "id": "r",
            "prompt": "p",
            "parts": [
                {"type": "text", "text": "I see.", "reward": 1.0, "tokens": ["I", " see."], "logprobs": [-0.1, -0.2]},
                {
                    "type": "image",
                    "image": START,
                    "region": {"unit": "pixels", "boxes": [[1, 1, 2, 2]]},
                    "rewards": {"clean": 0.5, "path": None},
                    "grid": [2, 2],
                    "steps": [{"step": 1, "tokens": [3, None], "committed": [0], "probability": [0.5]}],
                },
                {"type": "text", "kind": "answer", "text": "Done.", "mine": {"a": [1]}},
            ],
            "rewards": {"all": 1.5},
            "settings": {"temperature": 1.0},
        }
    ],
}


def changed(path: str, value: Any, valid: Any = VALID) -> Any:
    data = copy.deepcopy(valid)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    target = data
    for key in parents:
        target = target[key]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return data


def opened(data: Any, tmp_path: Path):
    """What is read of ``data``; a picture that is marked as one that cannot be shown counts as refused."""
    path = tmp_path / "rollouts.jsonl"
    path.write_text(json.dumps(data))
    found = open_rollouts(path).rollouts
    for sentence in damaged(found):
        raise BrokenPicture(sentence)
    return found


def test_version_two_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    found = opened(VALID, tmp_path)
    text, image, answer = found.rollouts[0].parts
    assert (found.format, text.tokens, text.logprobs) == ("trace version 2", ("I", " see."), (-0.1, -0.2))
    assert image.region is not None and image.region.boxes == ((1, 1, 2, 2),) and image.grid == (2, 2)
    assert (image.reward, image.rewards, answer.turn, answer.kind) == (0.5, {"clean": 0.5}, 2, "answer")
    assert answer.more == {"mine": {"a": [1]}} and image.steps[0]["committed"] == [0]
    assert image.picture is not None and image.picture.pixels().shape == (5, 6, 3)


def test_version_two_in_lines_and_with_pictures_beside_reads_the_same(tmp_path: Path) -> None:
    whole = opened(VALID, tmp_path)
    (tmp_path / "images").mkdir()
    for kind in ("PNG", "JPEG", "WEBP"):
        (tmp_path / "images" / f"start.{kind.lower()}").write_bytes(picture(kind=kind))
        beside = changed("rollouts.0.parts.1.image", f"images/start.{kind.lower()}")
        lines = [{"version": 2, "prompts": beside["prompts"]}, {"version": 2, "rollouts": beside["rollouts"]}]
        (tmp_path / "rollouts.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
        found = open_rollouts(tmp_path / "rollouts.jsonl").rollouts
        assert reading(found) == reading(whole)
        shown = found.rollouts[0].parts[1].picture
        assert shown is not None and shown.format == kind and shown.url().startswith(f"data:image/{kind.lower()};")


def test_the_shipped_schema_of_version_two_is_up_to_date(tmp_path: Path) -> None:
    export_schema(tmp_path / "schema.json", RolloutsFile)
    shipped = ROOT / "assets" / "trace-2.schema.json"
    assert shipped.read_text() == (tmp_path / "schema.json").read_text(), "run `inspect --schema_two` again"


def test_a_region_that_reaches_beyond_its_picture_is_named(tmp_path: Path) -> None:
    for boxes, wrong in (([[1, 1, 5, 6]], []), ([[1, 1, 6, 6]], [[1, 1, 6, 6]]), ([[1, 1, 1, 7]], [[1, 1, 1, 7]])):
        found = opened(changed("rollouts.0.parts.1.region.boxes", boxes), tmp_path)
        said = "field 'region' must be [top, left, bottom, right] inside the picture, up to [1, 1, 5, 6], got {}"
        assert found.notes == tuple(said.format(box) for box in wrong)


def test_a_region_beyond_its_cells_and_cells_of_no_grid_are_named(tmp_path: Path) -> None:
    for grid, right, notes in (
        ([4, 5], 5, ()),
        ([4, 5], 6, ("field 'region' must be [top, left, bottom, right] inside the picture, up to [1, 1, 4, 5], got "
                     "[1, 1, 4, 6]",)),
        (None, 5, ("a region in cells is not outlined where its part says no 'grid', [rows, columns]",)),
    ):  # fmt: skip
        region = {"unit": "cells", "boxes": [[1, 1, 4, right]]}
        data = changed("rollouts.0.parts.1.region", region)
        data = changed("rollouts.0.parts.1.grid", grid, data)
        assert opened(data, tmp_path).notes == notes


def test_a_chats_columns_of_numbers_are_components_where_it_has_no_rewards(tmp_path: Path) -> None:
    row = {"prompt": "q", "completion": "a", "accuracy": 0.5, "format": True, "step": 3, "level": "hard"}
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps(row))
    found = open_rollouts(path, {"text": ("accuracy",)}).rollouts
    (rollout,) = found.rollouts
    assert rollout.rewards == {"accuracy": 0.5, "format": 1.0} and found.reward_of(rollout, "text") == 0.5
    assert rollout.more == {"level": "hard", "step": 3}
    path.write_text(json.dumps(row | {"rewards": {"right": 1}}))
    (rollout,) = open_rollouts(path).rollouts.rollouts
    assert rollout.rewards == {"right": 1.0} and rollout.more["accuracy"] == 0.5


@pytest.mark.parametrize("more", [{}, {"advantage": 0.1}])
def test_a_column_that_judges_and_holds_numbers_as_text_is_refused(more: dict[str, float], tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text(json.dumps({"prompt": "q", "completion": "a", "accuracy": "0.5", "format": 1} | more))
    with pytest.raises(TraceError, match=r"field 'accuracy' must be a number from -1e6 to 1e6 or null, got '0\.5'"):
        open_rollouts(path, {"text": ("accuracy",)})


# Version 2, field by field

PICTURES: list[Any] = [
    *("", "http://example.org/x.png", "https://example.org/x.png", "file:///etc/passwd", "/etc/passwd", "../x.png"),
    *("images/../../x.png", "..", ".", "a\0b", "none.png", "c:/x.png", "a\\b", "x" * 5000, "images//x.png"),
    *("data:image/png;base64,", START[:-30], "data:image/png;base64,!!!!", "data:image/svg+xml;base64,PHN2Zz4="),
    *("data:text/html;base64,PHN2Zz4=", forged_png(60_000, 60_000), forged_png(20_000, 4096), forged_png(0, 128)),
    *(url(kind="GIF"), url(kind="BMP"), url(kind="TIFF"), 7, True, [], {}),
]
HOSTILE: dict[str, Any] = {
    "version": [0, 3, "2", True, 2.5, None, [2]],
    "prompts": [None, {}, "p", [None], [[]], VALID["prompts"] + changed("0.parts", [], VALID["prompts"]), ...],
    "prompts.0.id": ["", 7, None, ..., "x" * 501, "other"],
    "prompts.0.parts": [None, {}, [None], [{"type": "video"}], [{}], [VALID["prompts"][0]["parts"][0]] * 1025],
    "prompts.0.parts.0.text": [None, 7, ..., "x" * 1_000_001, "\ud800"],
    "prompts.0.parts.1.image": [*PICTURES, None, ...],
    "rollouts": [None, {}, [None], [[]], [], ...],
    "rollouts.0.prompt": ["", "other", None, 7, ...],
    "rollouts.0.parts": [None, {}, [None], [[]], [VALID["rollouts"][0]["parts"][0]] * 1025],
    "rollouts.0.parts.0.type": ["image", "video", None, 7, ...],
    "rollouts.0.parts.0.kind": ["edit", None, 7],
    "rollouts.0.parts.0.turn": [0, -1, 1.5, "1", True, 10**9],
    "rollouts.0.parts.0.text": [None, 7, [], "x" * 1_000_001],
    "rollouts.0.parts.0.reward": ["1", True, 1e300],
    "rollouts.0.parts.0.logprobs": [[], [0.5, 0.5], ["x", "y"], [-0.1]],
    "rollouts.0.parts.0.tokens": [[1.5, 2.5], "I see", [[1]], [True]],
    "rollouts.0.parts.1.image": [*PICTURES, ...],
    "rollouts.0.parts.1.region": [
        *([], {}, {"unit": "inches", "boxes": [[1, 1, 2, 2]]}, {"boxes": []}, {"boxes": [[1, 1, 2]]}),
        *({"boxes": [[3, 1, 2, 2]]}, {"boxes": [[0, 1, 2, 2]]}, {"boxes": [[1, 1, 2, 10**9]]}, {"mask": "../x"}),
        *({"mask": forged_png(60_000, 60_000)}, {"mask": START, "boxes": [[1, 1, 2, 2]]}),
    ],
    "rollouts.0.parts.1.rewards": [[], 1.0, {"a": "1"}, {"": 1.0}, {"x" * 201: 1.0}, {"a": True}],
    "rollouts.0.parts.1.grid": [[1], [0, 2], [1, 2, 3], 7, [1.5, 2]],
    "rollouts.0.parts.1.steps": [{}, [[]], [{"step": -1}], [{"step": 1, "probability": [2.0]}], [{}]],
    "rollouts.0.parts.2.mine": [deep(100), deep(900), "\udfff"],
    "rollouts.0.rewards": [[], "1", {"a": []}, {"a": 1e300}],
    "rollouts.0.success": [1, "true"],
    "rollouts.0.settings": [[], 7],
    "rollouts.0.id": [7, "", "x" * 501],
}


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_field_of_version_two_is_refused_in_one_sentence(path: str, tmp_path: Path) -> None:
    for value in HOSTILE[path]:
        with pytest.raises(TraceError) as error:
            opened(changed(path, value), tmp_path)
            pytest.fail(f"taken: {repr(value)[:100]}")
        assert_one_sentence(error)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("parts.0.reward", "high", "should be a valid number, got 'high'"),
        ("parts.0.kind", "edit", "should be 'thought' or 'answer', got 'edit'"),
        ("parts.0.turn", 0, "should be greater than or equal to 1, got 0"),
        (
            "parts.1.region",
            [[1, 1, 2, 2]],
            """must be {"boxes": [[top, left, bottom, right]], "unit": "pixels"}, got [[1, 1, 2, 2]]""",
        ),
    ],
)
def test_what_is_wrong_in_version_two_is_said_with_its_value(path: str, value: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError) as error:
        opened(changed(f"rollouts.0.{path}", value), tmp_path)
    assert str(error.value).endswith(says)


# Every import format

FORMATS: dict[str, list[Any]] = {
    name: [json.loads(line) for line in (SAMPLES / path).read_text().splitlines()]
    for name, path in (
        ("chat", "chat-messages.jsonl"),
        ("files", "image-files/rollouts.jsonl"),
        ("zebra", "zebra/zebra.jsonl"),
        ("verl", "verl/12.jsonl"),
    )
}
PICTURE_OF = {
    "chat": "messages.1.content.1.image_url.url",
    "files": "prompt.0.content.0.image",
    "zebra": "problem_image_1",
    "verl": "images.0",
}
WRONG: dict[str, dict[str, list[Any]]] = {
    "chat": {
        "messages": [[None], [7], [{"role": 7}], [{"role": "user", "content": 7}], []],
        "messages.2.content": [
            7,
            {},
            [None],
            [7],
            [{"type": "video"}],
            [{"type": "text"}],
            [{"type": "text", "text": 7}],
        ],
        "messages.2.content.1.image_url": [7, {}, [], {"url": 7}, {"url": "http://example.org/x"}],
        "segment_rewards": [7, {}, [1.0], ["a"] * 5, [{"a": "b"}] * 5, [1e300] * 5],
        "rewards": ["a", [1], {"a": "b"}, {"a": [1]}],
    },
    "files": {
        "prompt": [7, {}, [7], [{"role": "user", "content": [{"type": "image"}]}]],
        "completion": [7, {}, [[]]],
        "completion.0.content.0.reward": ["1", [1], {"a": {}}],
    },
    "zebra": {
        "Question": [7, None, [], "<image_start>[problem_image_9]<image_end>", "x" * 1_000_001],
        "Text Reasoning Trace": [
            7,
            None,
            {},
            "<image_start>[../../etc/passwd]<image_end>",
            "<image_start>[id]<image_end>",
        ],
        "Final Answer": [7, [], {}],
        "reward_text": ["a", [], 1e300],
    },
    "verl": {
        "input": ["x" * 1_000_001],
        "output": [7, None, []],
        "images": [7, [None, None], [7, 7], ["http://a/b", "c"]],
    },
}


@pytest.fixture()
def beside(tmp_path: Path) -> Path:
    for folder in ("image-files", "zebra", "verl"):
        (tmp_path / "images").mkdir(exist_ok=True)
        for path in (SAMPLES / folder / "images").iterdir():
            (tmp_path / "images" / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", FORMATS)
def test_a_hostile_field_of_another_system_is_refused_in_one_sentence(name: str, beside: Path) -> None:
    opened(FORMATS[name][0], beside)
    some = [value for value in PICTURES if value not in ("", {}, [], None)]
    cases = {**WRONG[name], PICTURE_OF[name]: some}
    for path, values in cases.items():
        for value in values:
            if name == "chat" and path == "messages" and value == []:
                assert opened(changed(path, value, {"messages": []}), beside).rollouts[0].parts == ()
                continue
            with pytest.raises(TraceError) as error:
                opened(changed(path, value, FORMATS[name][0]), beside)
                pytest.fail(f"taken: {path} {repr(value)[:100]}")
            assert_one_sentence(error)


@pytest.mark.parametrize("name", ["reward", "rewards"])
def test_a_reward_that_is_no_number_is_said_as_it_stands(name: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError) as error:
        opened({"prompt": "q", "completion": "a", name: "0.5"}, tmp_path)
    assert str(error.value).endswith(f"field '{name}' must be a number from -1e6 to 1e6 or null, got '0.5'")


ROWS_WITH_PICTURES: dict[str, dict[str, Any]] = {
    "words": {"prompt": "Draw. <image>", "completion": "I see <image> so: {}", "images": [START, START]},
    "no picture": {"prompt": "Draw.", "completion": "{}", "rewards": {"ok": 1.0}},
    "messages": {"messages": [{"role": "assistant", "content": "<image> {}"}], "images": [START]},
    "messages, no picture": {"messages": [{"role": "assistant", "content": "{}"}]},
    "trl": {"prompt": "<image>", "completion": "{}", "advantage": 0.0, "images": [START]},
    "verl": {"input": "user\n<image>\nassistant\n", "output": "{}", "score": 1.0, "images": [START]},
}


@pytest.mark.parametrize("name", ROWS_WITH_PICTURES)
@pytest.mark.parametrize("said", ["<image>", "an <image> tag", "<image><image> and <image>", "<image>\n" * 2000])
def test_a_placeholder_that_a_model_says_is_read_as_any_word(name: str, said: str, tmp_path: Path) -> None:
    written = json.dumps(ROWS_WITH_PICTURES[name])
    tagged, plain = (
        opened(json.loads(written.replace("{}", json.dumps(words)[1:-1])), tmp_path)
        for words in (said, said.replace("<image>", "[image]"))
    )
    assert reading(tagged) == reading(plain) and plain.notes == ()
    texts, wanted = ([part.text for part in found.rollouts[0].parts] for found in (tagged, plain))
    assert texts == [text and text.replace("[image]", "<image>") for text in wanted]
    assert tagged.notes == ("a text says <image> where no picture is left for it; it is kept as words",)


JUDGED_ROWS: dict[str, dict[str, Any]] = {
    "chat": {"prompt": "q", "completion": "a", "rewards": {"ok": ...}},
    "chat, by part": {"prompt": "q", "completion": "a", "segment_rewards": [{"ok": ...}]},
    "zebra": {"Question": "q", "Text Reasoning Trace": "t", "reward_text": ...},
    "verl": {"input": "q", "output": "a", "score": 0.5, "acc": ...},
    "verl, score alone": {"input": "q", "output": "a", "score": ...},
    "trl": {"prompt": "q", "completion": "a", "advantage": 0.0, "ok": ...},
}


@pytest.mark.parametrize("name", JUDGED_ROWS)
@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_true_and_false_are_rewards_of_one_and_zero(name: str, kind: str, tmp_path: Path) -> None:
    def read(values: list[Any]) -> Rollouts:
        rows = [filled(JUDGED_ROWS[name], value) for value in values]
        (tmp_path / "r.json").write_text(json.dumps(rows))
        return open_rollouts(table(rows, tmp_path) if kind == "parquet" else tmp_path / "r.json").rollouts

    flags, numbers = read([True, False, True]), read([1.0, 0.0, 1.0])
    assert [(r.rewards, [p.rewards for p in r.parts]) for r in flags.rollouts] == [
        (r.rewards, [p.rewards for p in r.parts]) for r in numbers.rollouts
    ]
    assert any(rollout.rewards or rollout.parts[0].rewards for rollout in flags.rollouts)
    assert pushes(flags) == pushes(numbers) and first_look(flags) == first_look(numbers)


def filled(row: Any, value: Any) -> Any:
    """``row`` with ``value`` where it has an ellipsis."""
    if isinstance(row, dict):
        return {key: filled(item, value) for key, item in row.items()}
    return [filled(item, value) for item in row] if isinstance(row, list) else value if row is ... else row


def test_nothing_outside_the_folder_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, secret = tmp_path / "inner", tmp_path / "secret.png"
    (inner / "images").mkdir(parents=True)
    secret.write_bytes(picture())
    (inner / "link.png").symlink_to(secret)
    (inner / "out").symlink_to(tmp_path)
    (inner / "linked.jsonl").symlink_to(tmp_path / "other.jsonl")
    (tmp_path / "other.jsonl").write_text(json.dumps(VALID))
    os.mkfifo(inner / "pipe.png")
    seen: list[Any] = []
    kept = os.open
    monkeypatch.setattr(os, "open", lambda *args, **named: (seen.append(args[0]), kept(*args, **named))[1])
    outside = (
        "../secret.png",
        str(secret),
        "link.png",
        "out/secret.png",
        "images/../../secret.png",
        "pipe.png",
        "images",
    )
    for name in outside:
        with pytest.raises(TraceError) as error:
            opened(changed("rollouts.0.parts.1.image", name), inner)
        assert_one_sentence(error)
    assert not any(str(path) == str(secret) or ".." in str(path) for path in seen)
    (inner / "rollouts.jsonl").unlink()
    with pytest.raises(TraceError, match="is a link"):
        open_rollouts(inner)


# Whole files


def test_hostile_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    files: dict[str, tuple[bytes, str]] = {
        "a.jsonl": (b"", "is not JSON: it is empty"),
        "b.jsonl": (b"{", "is not JSON"),
        "b.csv": (
            b"prompt,completion,reward\nq,a,1\n",
            "b.csv' is not JSON: it begins with neither { nor \\[; give a file of JSON, JSON lines or parquet, "
            "or a zip of such",
        ),
        "c.csv": (b"1,2\n", "is not JSON: it begins with neither { nor \\["),
        "c.jsonl": (b"\xff\xfe\x00\x01", "UTF-16"),
        "d.jsonl": (b'{"version": 2}\n{"version": 2\n{"version": 2}', "line 2 of"),
        "e.jsonl": (b'{"version": 2}\n[1]\n', "line 2 must be a JSON object, got list"),
        "f.jsonl": (b"[" * 100_000, "nested deeper"),
        "g.jsonl": (b'{"messages": []}\n{"other": 1}\n', "line 2 of .*: it is not of the kind of the first row"),
        "h.jsonl": (b'{"messages": [], "messages": []}', "appears twice"),
        "i.json": (b"[]", "holds no rollouts"),
        "j.json": (b"[1]", "entry 1 must be a JSON object"),
        "k.parquet": (b"PAR1" + b"\0" * 100, "is not a parquet file"),
        "l.zip": (b"PK\x03\x04" + b"\0" * 100, "must be a zip that can be read"),
        "m.jsonl": (b'{"version": 2}', "holds no rollouts"),
        "n.jsonl": (b"null", "must be a JSON object"),
    }
    for name, (content, says) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TraceError, match=says) as error:
            open_rollouts(tmp_path / name)
        assert_one_sentence(error)
    with pytest.raises(TraceError, match="holds no rollouts"):
        open_rollouts(tmp_path / "empty")


def test_a_last_line_that_is_being_written_is_left_out_and_noted(tmp_path: Path) -> None:
    line = json.dumps(VALID)
    (tmp_path / "r.jsonl").write_text(f"{line}\n{line[:200]}")
    found = open_rollouts(tmp_path / "r.jsonl").rollouts
    assert len(found.rollouts) == 1 and "line 2 of" in found.notes[0] and "not finished" in found.notes[0]


def in_folder_and_zip(files: dict[str, Any], tmp_path: Path) -> list[Rollouts]:
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    contents = {name: (data if isinstance(data, str) else json.dumps(data)).encode() for name, data in files.items()}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [open_rollouts(folder).rollouts, open_content(zipped(contents), "upload.zip").rollouts]


CHATS = [{"prompt": "q", "completion": f"{i}", "rewards": {"ok": float(i)}} for i in range(3)]


def test_every_file_of_a_folder_that_holds_rollouts_is_read_whatever_its_ending(tmp_path: Path) -> None:
    other = [{"prompt": "another", "completion": f"{i}"} for i in range(2)]
    files = {
        "a.jsonl": "\n".join(map(json.dumps, CHATS)),
        "b.json": VALID,
        "c.json": other,
        "config.json": {"lr": 1.0},
    }
    for found in in_folder_and_zip(files, tmp_path):
        assert [len(group) for group in found.groups] == [3, 1, 2] and found.notes == ()
        assert found.format == "chat and trace version 2"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ({"version": "1.0"}, "'version' must be 1 or 2"),
        ([*CHATS, {"prompt": "late", "completion": 7}], "entry 4 of .*'completion' must be text"),
        (changed("rollouts", [*VALID["rollouts"], {"prompt": "nobody", "parts": []}]), "got 'nobody'"),
    ],
)
def test_a_json_beside_tables_that_cannot_be_read_is_named_and_nothing_of_it_taken(
    content: Any, says: str, tmp_path: Path
) -> None:
    table = {"a.jsonl": "\n".join(map(json.dumps, CHATS))}
    alone = in_folder_and_zip(table, tmp_path)
    for found, wanted in zip(in_folder_and_zip(table | {"b.json": content}, tmp_path), alone, strict=True):
        assert (found.prompts, found.rollouts, found.judges) == (wanted.prompts, wanted.rollouts, wanted.judges)
        assert len(found.notes) == 1 and re.search(f"'b.json' is left out: .*{says}", found.notes[0])


def test_of_very_many_files_of_json_beside_a_table_some_are_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("mmreason.traces.opening._MAX_FILES", 3)
    files: dict[str, Any] = {f"{i}.json": CHATS for i in range(4)}
    for found in in_folder_and_zip(files | {"a.jsonl": json.dumps(CHATS[0])}, tmp_path):
        assert len(found.rollouts) == 1 + 2 * 3
        assert found.notes == ("'2.json' and what follows is left out: 3 files are read at most",)


def test_a_last_line_counts_as_unfinished_wherever_it_breaks_off_and_nowhere_else(tmp_path: Path) -> None:
    values = [1.5e-7, -12, True, False, None, math.nan, -math.inf, 'q\\"\n \u00e4 \U0001f600', {"é": [[], {}]}]
    row = {"prompt": "q", "completion": "a", "more": values}
    for line in (json.dumps(row).encode(), json.dumps(row, ensure_ascii=False).encode()):
        for end in range(1, len(line)):
            found = open_content(line + b"\n" + line[:end], "r.jsonl").rollouts
            assert len(found.rollouts) == 1 and "line 2 of 'r.jsonl' is not finished" in found.notes[-1], line[:end]
        assert len(open_content(line + b"\n" + line, "r.jsonl").rollouts.rollouts) == 2
        wrong = (line + b"}", line[:-1] + b",}", line.replace(b": ", b" ", 1), line[:-1] + b', "prompt": ""}')
        for last in (*wrong, line.replace(b"q", b"\xff"), b"[" * 100_000):
            with pytest.raises(TraceError, match="line 2 of") as error:
                open_content(line + b"\n" + last, "r.jsonl")
            assert_one_sentence(error)


@pytest.mark.parametrize("constant", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["rewards.ok", "segment_rewards.0", "more", "answer"])
def test_nan_and_infinity_in_json_are_read_as_null_wherever_they_stand(constant: float, place: str) -> None:
    row = {"prompt": "q", "completion": "a", "rewards": {"ok": 1.0}, "segment_rewards": [0.5], "more": 1, "answer": 1}
    other, null = changed(place, constant, row), changed(place, None, row)

    def read(rows: list[Any], end: str) -> Rollouts:
        return open_content(("\n".join(json.dumps(one) for one in rows) + end).encode(), "r.jsonl").rollouts

    for end in ("", "\n"):
        for rows, same in (([other, row], [null, row]), ([row, other], [row, null]), ([other] * 2, [null] * 2)):
            found, wanted = read(rows, end), read(same, end)
            assert (found.prompts, found.rollouts, wanted.notes) == (wanted.prompts, wanted.rollouts, ())
            assert found.notes == ("NaN or Infinity in 'r.jsonl' is read as null",)
    assert open_content(json.dumps([other, row], indent=1).encode(), "r.json").rollouts.notes


def test_hostile_zips_are_refused() -> None:
    line = json.dumps(changed("rollouts.0.parts.1.image", "x.png")).encode()
    cases = {
        "is larger than": {"r.jsonl": line, "x.png": b"\0" * (33 * 2**20)},
        "holds no rollouts": {"x.png": picture()},
        "inside the zip": {"r.jsonl": line.replace(b"x.png", b"../x.png"), "../x.png": picture()},
    }
    for says, members in cases.items():
        with pytest.raises(TraceError, match=says) as error:
            open_content(zipped(members), "upload.zip")
        assert_one_sentence(error)
    assert open_content(zipped({"r.jsonl": line, "x.png": picture()}), "good.zip").rollouts.rollouts
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(TraceError, match=r"'r\.jsonl' must be stored or deflated in the zip file"):
            open_content(zipped({"r.jsonl": bytes(2**24)}, method, says=100), "upload.zip")


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("x.png", "does not exist"),
        ("http://127.0.0.1:1/x.png", "nothing is fetched"),
        ("data:image/png;base64,!!!!", "is not base64"),
        ("data:image/png;base64,R0lGODlh", "is not a PNG, JPEG or WebP"),
        ("cut.png", "cannot be decoded"),
    ],
)
def test_a_picture_that_is_missing_damaged_or_elsewhere_is_marked_and_the_rest_is_opened(
    image: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "cut.png").write_bytes(picture()[:-30])
    (tmp_path / "r.json").write_text(json.dumps(changed("rollouts.0.parts.1.image", image)))
    found = open_rollouts(tmp_path / "r.json").rollouts
    assert len(found.rollouts) == len(VALID["rollouts"])
    (told,) = damaged(found)
    assert says in told and "\n" not in told
    assert image == "cut.png" or broken(found) == [told]
    assert reading(found)["image_segments"] == reading(rollouts_of(VALID, tmp_path))["image_segments"]


BARE = {"messages": [{"role": "assistant", "content": [{"type": "image"}, {"type": "image"}]}]}
ZEBRA = {"Question": "q", "Text Reasoning Trace": "<image_start>[reasoning_image_1]<image_end>"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**BARE, "images": [START, None]}, "field 'images' holds null where a picture must stand"),
        ({**BARE, "images": [START]}, "field 'images' holds 1 pictures, fewer than the row names"),
        ({**BARE, "images": [START, {"bytes": None, "path": None}]}, "got an object without any"),
        ({"prompt": "q", "completion": "<image>", "images": [None]}, "holds null"),
        ({"prompt": "q", "completion": "a", "images": [None]}, "holds null"),
        ({"prompt": "q", "completion": [{"content": [{"type": "image_url"}]}]}, "holds 0 pictures, fewer than"),
        ({"input": "<image>", "output": "a", "images": [None]}, "holds null"),
        ({**ZEBRA, "reasoning_image_1": None}, "field 'reasoning_image_1' is missing"),
        (ZEBRA, "field 'reasoning_image_1' is missing"),
    ],
)
def test_a_null_or_missing_picture_of_another_system_is_marked_and_the_rest_is_opened(
    row: dict[str, Any], says: str, tmp_path: Path
) -> None:
    found = rollouts_of([row], tmp_path)
    (told,) = broken(found)
    assert says in told and damaged(found) == [told] and len(found.rollouts) == 1


@pytest.mark.parametrize("name", ["words", "verl"])
def test_pictures_that_a_row_does_not_name_are_left_out_and_noted(name: str, tmp_path: Path) -> None:
    row = ROWS_WITH_PICTURES[name]
    more = {**row, "images": [*row["images"], START, START]}
    plain, found = (rollouts_of(shown, tmp_path) for shown in (row, more))
    held, named = len(more["images"]), len(row["images"])
    assert found.notes == (f"field 'images' holds {held} pictures, the row names {named}; the others are left out",)
    assert reading(found) == reading(plain)


def test_a_picture_of_zebra_cot_that_no_text_marks_is_named(tmp_path: Path) -> None:
    row = {**ZEBRA, "Final Answer": "a", "reasoning_image_1": START, "problem_image_2": None}
    assert rollouts_of([row], tmp_path).notes == ()
    found = rollouts_of([{**row, "reasoning_image_2": START}], tmp_path)
    assert found.notes == ("picture 'reasoning_image_2' is left out where no text marks its place",)


def rollouts_of(data: Any, folder: Path) -> Rollouts:
    (folder / "valid.json").write_text(json.dumps(data))
    return open_rollouts(folder / "valid.json").rollouts


def table(rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_hostile_parquet_is_refused(tmp_path: Path) -> None:
    row = {"prompt": "<image> q", "completion": "a", "advantage": 0.0, "images": [{"bytes": picture(), "path": "x"}]}
    assert open_rollouts(table([row], tmp_path)).rollouts.prompts[0].parts[0].picture
    for value, says in (
        ([{"bytes": None, "path": "/etc/passwd"}], "inside the file's folder"),
        ([{"bytes": None, "path": "../x.png"}], "inside the file's folder"),
        ([{"bytes": base64.b64decode(forged_png(60_000, 60_000)[22:]), "path": "x"}], "million pixels"),
    ):
        with pytest.raises(TraceError, match=says) as error:
            open_rollouts(table([{**row, "images": value}], tmp_path))
        assert_one_sentence(error)
    with pytest.raises(TraceError, match="must hold at most 20000 rows"):
        open_rollouts(table([{"prompt": "q", "completion": "a"}] * 20_001, tmp_path))


def test_lists_and_objects_are_counted_before_they_are_made(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("mmreason.traces.formats.table.MAX_VALUES", 200)
    many, few = ({**VALID, "x": value} for value in ([[]] * 201, ["[{"] * 50))
    for content in (json.dumps(many), json.dumps(many, indent=1), f"{json.dumps(few)}\n{json.dumps(many)}\n"):
        (tmp_path / "r.jsonl").write_text(content)
        with pytest.raises(TraceError, match=r"must hold at most 200 lists and objects, holds about 2\d\d$") as error:
            open_rollouts(tmp_path / "r.jsonl")
        assert_one_sentence(error)
    (tmp_path / "r.jsonl").write_text(json.dumps(few))
    assert open_rollouts(tmp_path / "r.jsonl").rollouts.rollouts


ONE_TEXT = pyarrow.DictionaryArray.from_arrays(
    pyarrow.array([0] * 100, pyarrow.int32()), pyarrow.array(["x" * 50_000])
)
ROWS: dict[str, Any] = {
    "words": pyarrow.array(["x" * 5_000_000]),
    "equal words": pyarrow.ListArray.from_arrays(pyarrow.array([0, 100], pyarrow.int32()), ONE_TEXT),
    "nothing": pyarrow.array([[[]] * 80_000]),
    "objects": pyarrow.array([[{"a": 1}] * 40_000]),
    "a map": pyarrow.array([[("a", 1)] * 40_000], pyarrow.map_(pyarrow.string(), pyarrow.int8())),
}


@pytest.mark.parametrize("name", list(ROWS))
def test_a_row_that_takes_too_much_memory_is_refused_before_it_does(name: str, tmp_path: Path, monkeypatch) -> None:
    """The file itself is small: what is equal stands in it once."""
    monkeypatch.setattr("mmreason.traces.formats.table._LIMITS", Limits(100, 4 * 2**20))
    columns = {"prompt": ["q"], "completion": ["a"], "more": ROWS[name]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 2**20
    monkeypatch.setattr("mmreason.traces.formats.table._cell", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(TraceError, match=r"row 1 must take at most 4 MB in memory, field 'more' takes more$") as error:
        open_rollouts(tmp_path / "t.parquet")
    assert_one_sentence(error)


def test_categories_maps_and_lists_of_a_table_are_read(tmp_path: Path) -> None:
    columns = {
        "prompt": pyarrow.array(["q", "q"]).dictionary_encode(),
        "completion": ["a", "b"],
        "map": pyarrow.array([[("a", 1)], []], pyarrow.map_(pyarrow.string(), pyarrow.int8())),
        "words": [[["x"], []], None],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    rollouts = open_rollouts(tmp_path / "t.parquet").rollouts.rollouts
    assert [one.parts[0].text for one in rollouts] == ["a", "b"]
    assert [dict(one.more) for one in rollouts] == [
        {"map": [["a", 1]], "words": [["x"], []]},
        {"map": [], "words": None},
    ]


# What is held


def held_by(rows: list[Any], name: str = "r.jsonl") -> int:
    """The least number of bytes, to a kilobyte, in which ``rows`` may be held."""
    content = "\n".join(json.dumps(row) for row in rows).encode()
    low, high = 0, 2**28
    while high - low > 1000:
        middle = (low + high) // 2
        try:
            open_contents([(name, content)], middle)
            high = middle
        except TraceError as error:
            assert re.fullmatch(r"(.* of .*: )?it unpacks to more than \d+ MB", str(error))
            low = middle
    return high


MANY: list[Any] = [[] for _ in range(5000)]
STEPS = [{"step": i, "tokens": ["x"] * 10, "committed": list(range(10))} for i in range(500)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("prompts.0.x", MANY),
        ("prompts.0.parts.0.x", MANY),
        ("prompts.0.parts.0.text", "x" * 100_000),
        ("rollouts.0.x", {str(i): {} for i in range(2000)}),
        ("rollouts.0.answer", MANY),
        ("rollouts.0.settings", {"x": MANY}),
        ("rollouts.0.cost", {"x": MANY}),
        ("rollouts.0.parts.0.x", MANY),
        ("rollouts.0.parts.0.tokens", ["ab"] * 5000),
        ("rollouts.0.parts.0.logprobs", [-0.5] * 5000),
        ("rollouts.0.parts.0.steps", STEPS),
    ],
)
def test_whatever_is_held_of_a_file_counts(path: str, value: Any) -> None:
    """At least 80 kB more each, whether anybody knows the field or not."""
    part = {"type": "text", "text": "a"}
    row = {
        "version": 2,
        "prompts": [{"id": "p", "parts": [dict(part)]}],
        "rollouts": [{"prompt": "p", "parts": [dict(part)]}],
    }
    plain = held_by([row])
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    target: Any = row
    for key in parents:
        target = target[key]
    target[last] = value
    assert plain < 20_000 and held_by([row]) > 80_000


@pytest.mark.parametrize("field", ["image", "mask"])
def test_pictures_and_masks_count_by_their_bytes(field: str) -> None:
    buffer = io.BytesIO()
    Image.frombytes("L", (300, 300), random.Random(0).randbytes(90_000)).save(buffer, "PNG")
    told = {"image": START, "mask": START} | {
        field: f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    }
    part = {"type": "image", "image": told["image"], "region": {"mask": told["mask"]}}
    row = {"version": 2, "prompts": [{"id": "p", "parts": []}], "rollouts": [{"prompt": "p", "parts": [part]}]}
    assert 110_000 > held_by([row]) > 90_000


@pytest.mark.parametrize("megabytes", [2, 8])
def test_pictures_of_one_row_are_not_read_beyond_the_bound(megabytes: int) -> None:
    pictures = {f"{i}.png": picture() + bytes([i]) + bytes(2**20) for i in range(32)}
    parts = [{"type": "image", "image": name} for name in pictures]
    row = {"prompt": "q", "completion": [{"role": "assistant", "content": parts}]}
    content = zipped({"r.jsonl": json.dumps(row).encode(), **pictures}, zipfile.ZIP_DEFLATED)
    del pictures
    tracemalloc.start()
    try:
        with pytest.raises(TraceError, match=f"it unpacks to more than {megabytes} MB"):
            open_contents([("a.zip", content)], megabytes * 2**20)
        assert tracemalloc.get_traced_memory()[1] < (megabytes + 4) * 2**20
    finally:
        tracemalloc.stop()


def test_unknown_columns_of_another_system_count() -> None:
    row = {"prompt": "q", "completion": "a"}
    assert held_by([row | {"x": MANY}] * 3) > 3 * 80_000 > 3 * held_by([row])


# Fuzz

SEEDS: list[bytes] = [
    json.dumps(VALID).encode(),
    *(re.sub(r"images/[\w.-]+", START, json.dumps(FORMATS[name][0])).encode() for name in ("files", "zebra", "verl")),
    json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}).encode(),
    zipped({"r.jsonl": json.dumps(VALID).encode(), "x.png": picture()}),
]
TOKENS = [
    b"null",
    b"-1",
    b"1e999",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b'"\\ud800"',
    b"2",
    b"NaN",
    b"[[",
    b'"<image>"',
    b"\n",
]


ANYTHING: list[Any] = [
    *(None, True, 7, -1.5, "", "x", "<image>", "../x.png", START, 1e300, ...),
    *([], {}, [None], [[]], {"a": None}, ["x"]),
]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A field of its JSON that is something else, or one to three bytes or stretches changed."""
    if content.startswith(b"{") and rng.random() < 0.5:
        data = json.loads(content)
        return json.dumps(changed(rng.choice(places(data)), rng.choice(ANYTHING), data)).encode()
    return garbled(content, rng)


def garbled(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((1, 1, 4, 20)))
        kind = rng.randrange(5)
        if kind == 0 and start < len(data):
            data[start] = rng.randrange(256)
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end]
        elif kind == 3:
            data[start:end] = rng.choice(TOKENS)
        elif len(data) > 4:
            struct.pack_into("<I", data, rng.randrange(len(data) - 4), rng.choice((0, 1, 2**31 - 1, 2**32 - 1)))
    return bytes(data)


def small_parquet() -> bytes:
    rows = [
        {"prompt": "<image> q", "completion": "a", "advantage": 0.5, "images": [{"bytes": picture(), "path": "x"}]}
    ]
    data = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), data)
    return data.getvalue()


def outcome(content: bytes) -> str:
    """``read`` or ``refused``, and anything else is raised."""
    try:
        found = open_content(content, "fuzz").rollouts
        damaged(found)
        json.dumps([reading(found), pushes(found), first_look(found)], allow_nan=False)
    except MMReasonError as error:
        message = str(error)
        assert message.isprintable() and 10 < len(message) < 700, message
        return "refused"
    return "read"


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_read_or_refused_without_a_traceback() -> None:
    seeds = [*SEEDS, small_parquet()]
    assert {outcome(seed) for seed in seeds} == {"read"}
    rng = random.Random(7)
    count = {"read": 0, "refused": 0}
    for number in range(10_000):
        count[outcome(mutated(seeds[number % len(seeds)], rng))] += 1
    assert count["read"] > 1000 and count["refused"] > 3000, count


@pytest.mark.parametrize("name", FORMATS)
def test_every_field_of_every_format_may_be_anything(name: str, beside: Path) -> None:
    row = FORMATS[name][0]
    for path in places(row):
        for value in ANYTHING:
            try:
                found = opened(changed(path, value, row), beside)
                json.dumps([reading(found), pushes(found), first_look(found)], allow_nan=False)
            except TraceError as error:
                assert str(error).isprintable() and len(str(error)) < 700


def places(value: Any, path: str = "") -> list[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, item in items for p in (f"{path}{key}", *places(item, f"{path}{key}."))]
