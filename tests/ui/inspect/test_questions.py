"""What the page's scripts ask of open rollouts: numbers as in training, nothing for whoever lacks the token."""

from __future__ import annotations

import base64
import io
import json
import re
import tracemalloc
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import numpy as np
import pytest
from gradio.context import LocalContext
from PIL import Image

from mmreason.errors import ConfigError
from mmreason.rewards.assignment import ASSIGNMENTS, GRANULARITIES, AssignmentConfig, assign
from mmreason.traces.file import load
from mmreason.traces.recorder import Recorder
from mmreason.ui.group import held, look
from mmreason.ui.group.held import SHELF, Group, Shelf
from mmreason.ui.group.outline import outline_of
from mmreason.ui.host.settings import name_of
from mmreason.ui.inspect import questions, sources
from mmreason.ui.inspect.bundled import bundled, first_group, open_bundled
from mmreason.ui.inspect.questions import answer
from tests.helpers.browser import ROOT

SAMPLES = ROOT / "tests" / "traces" / "samples"
FIRST = next(iter(bundled()))


def asked(token: str, what: str, status: int = 200, **said: Any) -> Any:
    found, kind, body = answer(f"{token}/{what}", urlencode(said).encode())
    assert found == status, body[:300]
    return json.loads(body) if kind == "application/json" else body


def recorded(path: Path, rewards: list[list[tuple[float, float]]]) -> Path:
    """A file of rollouts, each some turns of words and a picture that earned so much."""
    with Recorder(path) as record:
        for i, turns in enumerate(rewards):
            rollout = record.rollout("Draw.", id=f"r{i}")
            for text, image in turns:
                rollout.text(f"words {i}", reward=text).image(Image.new("RGB", (32, 24), (i, 9, 9)), reward=image)
    return path


def test_the_outline_of_a_mask_is_traced_once_however_often_it_is_looked_at(tmp_path, monkeypatch):
    white = np.zeros((24, 32), dtype=bool)
    white[4:12, 6:20] = True
    with Recorder(tmp_path / "masked.jsonl") as record:
        record.rollout("Draw.").image(Image.new("RGB", (32, 24)), region=white, reward=1.0)
    group = sources.open_upload([str(tmp_path / "masked.jsonl")])
    traced = []
    monkeypatch.setattr(questions, "outline_of", lambda mask: traced.append(mask) or outline_of(mask))
    number = len(group.pictures) - 1
    said = [asked(group.token, f"outline/{number}") for _ in range(3)]
    assert said == [outline_of(group.pictures[number])] * 3 and said[0]["path"] == "M6 4H20V12H6Z"
    assert len(traced) == 1


def test_a_first_look_is_worked_out_once_for_what_is_chosen_and_anew_when_the_file_has_grown(tmp_path, monkeypatch):
    group = SHELF.put(sources.open_upload([str(recorded(tmp_path / "r.jsonl", [[(1, 0), (0, 1)], [(0, 1), (1, 0)]]))]))
    looked = []
    monkeypatch.setattr(questions, "look_value", lambda *chosen: looked.append(chosen) or look.look_value(*chosen))
    first = asked(group.token, "look")
    assert [asked(group.token, "look", prompt=0, q=i) for i in range(3)] == [first] * 3 and len(looked) == 1
    asked(group.token, "look", judge_text="text")
    assert len(looked) == 2
    SHELF.put(replace(group, token=group.token))
    assert asked(group.token, "look") == first and len(looked) == 3


# Whose they are


def test_the_first_sample_has_solved_and_unsolved_rollouts_and_a_reversal_and_one_is_of_another_system():
    group = first_group()
    assert group is not None and group.token == FIRST
    assert {rollout.success for rollout in group.rollouts.rollouts} == {True, False}
    points = [asked(token, "push")["point"] for token in bundled()]
    assert points[0]["joint"] * points[0]["factorized"] < 0
    assert max(min(abs(point["joint"]), abs(point["factorized"])) for point in points) > 0.5
    foreign = [one for one in map(open_bundled, bundled()) if not one.natives]
    assert foreign and all("another system" in group.source for group in foreign)
    assert all(open_bundled(token).link == token for token in bundled())


def test_only_who_knows_the_token_sees_anything_of_an_upload():
    group = sources.open_upload([str(SAMPLES / "chat-messages.jsonl")])
    assert group.link == "" and len(group.token) >= 24
    assert asked(group.token, "group")["rows"]
    for token in (
        "",
        "x" * 24,
        group.token[:-1],
        group.token.swapcase(),
        "..%2F" + group.token,
        "chat-messages.jsonl",
    ):
        for what in ("group", "picture/0", "push", "segment"):
            assert "not open" in asked(token, what, 404)["error"]
    with pytest.raises(ConfigError, match="not open"):
        SHELF.of(None)


def test_those_that_were_asked_for_longest_ago_go_first():
    rollouts = open_bundled(FIRST).rollouts
    shelf = Shelf()
    first, second = shelf.put(Group(rollouts, "a")), shelf.put(Group(rollouts, "b"))
    shelf.get(first.token)
    for _ in range(255):
        shelf.put(Group(rollouts, "more"))
    assert shelf.get(first.token) is first and shelf.get(second.token) is None


def opened_by(shelf: Shelf, session: str, address: str | None = None) -> Group:
    """A group that the page's visitor of ``session`` has opened, who comes from ``address`` if that is known."""
    client = SimpleNamespace(host=address or "127.0.0.1")
    request = SimpleNamespace(session_hash=session, client=client, headers={})

    def opening() -> Group:
        LocalContext.request.set(cast(Any, request))
        return shelf.put(Group(open_bundled(FIRST).rollouts, session))

    return copy_context().run(opening)


def test_who_opens_many_closes_their_own_and_nobody_elses(monkeypatch):
    monkeypatch.setattr(held, "MAX_GROUPS", 6)
    for address in (None, "8.8.8.8"):
        shelf = Shelf()
        others = [opened_by(shelf, "a"), opened_by(shelf, "b", "9.9.9.9"), opened_by(shelf, "b", "9.9.9.9")]
        many = [opened_by(shelf, "c" if address is None else f"c{i}", address) for i in range(20)]
        assert [group for group in (*others, *many) if shelf.get(group.token)] == [*others, *many[-3:]]


def test_who_holds_the_most_bytes_makes_room_for_whoever_comes(monkeypatch):
    shelf = Shelf()
    small, *large = opened_by(shelf, "a"), opened_by(shelf, "b"), opened_by(shelf, "b")
    monkeypatch.setattr(held, "MAX_BYTES", 3 * small.size)
    new = opened_by(shelf, "c")
    assert [group for group in (small, *large, new) if shelf.get(group.token)] == [small, large[1], new]


def test_what_closed_pages_hold_goes_before_what_anybody_looks_at(monkeypatch):
    monkeypatch.setattr(held, "MAX_GROUPS", 4)
    monkeypatch.setattr(held.PRESENCE, "is_here", lambda session: session in ("here", "too"))
    shelf = Shelf()
    open_ones = [opened_by(shelf, "here"), opened_by(shelf, "here"), opened_by(shelf, "too", "8.8.8.8")]
    closed = [opened_by(shelf, f"{i}", "8.8.8.8" if i % 2 else None) for i in range(10)]
    assert [group for group in (*open_ones, *closed) if shelf.get(group.token)] == [*open_ones, closed[-1]]
    more = opened_by(shelf, "here"), opened_by(shelf, "here")
    assert [group for group in (*open_ones, *more) if shelf.get(group.token)] == [*open_ones[1:], *more]


@pytest.mark.parametrize("field", ["steps", "tokens", "x"])
def test_a_groups_size_is_of_all_that_it_holds(tmp_path, field):
    value = [{"step": 1, "tokens": ["a"] * 20_000}] if field == "steps" else ["a"] * 20_000
    part = {"type": "text", "text": "a", field: value}
    file = {"version": 2, "prompts": [{"id": "p", "parts": []}], "rollouts": [{"prompt": "p", "parts": [part]}]}
    (tmp_path / "r.json").write_text(json.dumps(file))
    assert 2**23 > sources.open_upload([str(tmp_path / "r.json")]).size > 20_000 * 8


def test_a_group_that_has_grown_stays_whose_it_was(monkeypatch):
    shelf = Shelf()
    first, second = opened_by(shelf, "a"), opened_by(shelf, "a")
    monkeypatch.setattr(held, "MAX_GROUPS", 3)
    shelf.put(replace(first, token=first.token))
    other, new = opened_by(shelf, "b"), opened_by(shelf, "b")
    assert [token for token in (first.token, second.token) if shelf.get(token)] == [first.token]
    assert shelf.get(other.token) and shelf.get(new.token)


def test_a_question_out_of_range_gets_a_sentence():
    for what, said in (
        ("group", {"prompt": 1}),
        ("group", {"prompt": "x"}),
        ("segment", {"g": 99, "s": 0}),
        ("segment", {"g": -1, "s": 0}),
        ("segment", {"s": 0}),
        ("picture/100000", {}),
        ("picture/..", {}),
        ("picture/0", {"side": 10**6}),
        ("push", {"granularity": "word"}),
        ("push", {"text": "nan"}),
        ("push", {"size": 0}),
        ("push", {"discount": 2}),
    ):
        said = asked(FIRST, what, 422, **said)
        assert said["error"].endswith(".") and "\n" not in said["error"]
    assert asked(FIRST, "nothing", 404)["error"]


# Advantages


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_every_number_is_that_of_training_and_every_line_of_arithmetic_adds_up(granularity, scale):
    group = open_bundled(FIRST)
    said = {"granularity": granularity, "scale": scale, "text": 2, "image": 0.5, "size": 5}
    value = asked(FIRST, "push", **said)
    traces = group.natives[0].traces[:5]
    config = AssignmentConfig("joint", granularity, scale, {"text": 2.0, "image": 0.5})
    found = assign([traces], config)[0]
    assert len(value["rows"]) == 5
    for row, numbers in zip(value["rows"], found.segments, strict=True):
        for name in ("joint", "factorized", "own"):
            assert row[name] == pytest.approx([getattr(one, name) for one in numbers], abs=1e-3)
    for s in range(3):
        detail = asked(FIRST, "segment", g=1, s=s, **said)
        assert len(detail["four"]) == len(ASSIGNMENTS) * len(GRANULARITIES)
        for four in detail["four"]:
            if four["line"].startswith("no spread"):
                assert four["value"] == 0.0
                continue
            sums, _, end = four["line"].rpartition(" = ")
            sums = re.sub(r"words|picture|\(no reward\)", "", sums).replace("−", "-").replace("×", "*")
            assert eval(sums) == pytest.approx(four["value"], abs=0.03)
            assert float(end.replace("−", "-")) == pytest.approx(four["value"], abs=0.006)


def test_a_return_counts_later_turns_by_powers_of_the_discount(tmp_path):
    group = sources.open_upload([str(recorded(tmp_path / "r.jsonl", [[(1, 0), (0, 1)], [(0, 1), (1, 0)], [(0, 0)]]))])
    alone = asked(group.token, "push", granularity="turn", scale="none")
    assert alone["rows"][0]["own"] == pytest.approx([2 / 3, -1 / 3, -0.5, 0.5], abs=1e-4)
    half = asked(group.token, "push", granularity="turn", scale="none", discount=0.5)
    # returns of words: 1 + 0.5 × 0, 0 + 0.5 × 1, 0 in turn 1; as alone in the last one
    assert [row["own"][0] for row in half["rows"]] == pytest.approx([0.5, 0.0, -0.5], abs=1e-4)
    assert half["rows"][0]["own"][2:] == alone["rows"][0]["own"][2:]
    assert any("0.5 to the n" in line for line in half["formula"])


def test_the_point_is_a_right_segment_that_joint_makes_less_likely_and_both_counts_are_said():
    value = asked("jigsaw-hard-2", "push")
    point = value["point"]
    row = value["rows"][point["g"]]
    assert row["right"][point["s"]] is True
    assert row["joint"][point["s"]] < 0 < row["factorized"][point["s"]]
    assert value["sentence"].startswith(f"Rollout {point['g'] + 1} ") and "correctly" in value["sentence"]
    reversed_pairs = {
        (g, s % 2)
        for g, row in enumerate(value["rows"])
        for s, own in enumerate(row["own"])
        if own * row["joint"][s] < 0
    }
    down = sum(
        row["right"][s] is True and own > 0 > row["joint"][s]
        for row in value["rows"]
        for s, own in enumerate(row["own"])
    )
    assert f"In {len(reversed_pairs)} of 16 rollout-modality pairs" in value["counts"]
    assert f"{down} right segments are made less likely" in value["counts"]


@pytest.mark.parametrize("token", list(bundled()))
def test_the_point_is_the_strongest_reversal_of_its_kind(token):
    value = asked(token, "push")
    point, rows = value["point"], value["rows"]

    def kind(g: int, s: int) -> int:
        right, joint = rows[g]["right"][s], rows[g]["joint"][s]
        return 2 if right and joint < 0 else 1 if right is False and joint > 0 else 0

    def strength(g: int, s: int) -> float:
        return min(abs(rows[g]["joint"][s]), abs(rows[g]["factorized"][s]))

    places = [(g, s) for g, row in enumerate(rows) for s, own in enumerate(row["own"]) if own * row["joint"][s] < 0]
    best = max((kind(*place), strength(*place)) for place in places)
    assert (kind(point["g"], point["s"]), strength(point["g"], point["s"])) == best


def test_a_reward_that_nobody_calls_right_is_high_or_low_and_no_more():
    value = asked("photographs", "push")
    assert value["assumed"] and "was rewarded above the middle" in value["sentence"]
    assert "correct" not in value["sentence"] and "well rewarded" in value["counts"] and "right" not in value["counts"]


def test_a_finding_about_turns_names_them(tmp_path):
    turns = [[(1, 1), (1, 0)], [(0, 0), (0, 1)], [(1, 1), (1, 1)]]
    group = sources.open_upload([str(recorded(tmp_path / "r.jsonl", turns))])
    (found,) = [one for one in asked(group.token, "look") if one["finding"] == "contradictions"]
    assert found["places"] == [[0, 0], [0, 1]] and found["turns"] == [[0, 0, 2], [0, 1, 2]]


def test_rewards_that_never_vary_are_called_as_the_page_calls_them():
    found = {"finding": "flat_components", "sentence": "Components that never vary: format, image.", "rollouts": []}
    assert look._said(found, {}, 1) == "Components that never vary: format, pictures."


def test_outside_its_region_the_first_edit_changes_no_pixel_either():
    for token in ("jigsaw-hard-2", "maze-hard-2", "sudoku-hard-2"):
        pictures = asked(token, "segment", g=0, s=1)["pictures"]
        before, after = (
            np.asarray(Image.open(io.BytesIO(asked(token, f"picture/{pictures[name]}", side=1024))).convert("RGB"))
            for name in ("before", "after")
        )
        outside = np.ones(after.shape[:2], bool)
        for left, top, right, bottom in pictures["boxes"]:
            rows, columns = (slice(round(a * 128), round(b * 128)) for a, b in ((top, bottom), (left, right)))
            outside[rows, columns] = False
        assert before.shape == after.shape == (128, 128, 3) and outside.any()
        assert (before[outside] == after[outside]).all() and (before != after).any()


def test_no_code_name_of_a_drawing_or_a_reward_is_read():
    for token in ("jigsaw-hard-2", "sudoku-hard-2"):
        drawings = asked(token, "group")["drawings"]
        assert len(set(drawings)) == len(drawings) > 8
        assert not any(re.search(r"_|\b[tb][lr]\b|[a-z]\d", name) for name in drawings)
        rewards = dict(asked(token, "segment", g=0, s=1)["rewards"])
        assert "cells" not in rewards and "share of its cells drawn right" in rewards


def test_what_judges_words_and_pictures_is_assigned_by_the_visitor():
    group = sources.open_upload([str(SAMPLES / "trl" / "completions_00040.parquet")])
    assert asked(group.token, "group")["components"] == ["answer", "drawing", "format"]
    before = asked(group.token, "push")
    assert "No reward judges words and pictures" in before["sentence"] and before["rows"][0]["text"] is None
    assert before["counts"] == "Say under “What if” which of answer, drawing, format does."
    judges = {"judge_text": "answer\nformat", "judge_image": "drawing"}
    after = asked(group.token, "push", **judges)
    assert any(any(row["joint"]) for row in after["rows"]) and after["rows"][0]["text"] is not None
    assert asked(group.token, "push")["rows"][0]["text"] is None  # nothing was changed for others
    look = [one["finding"] for one in asked(group.token, "look", **judges)]
    assert "not_judged" not in look and "not_judged" in [one["finding"] for one in asked(group.token, "look")]


@pytest.mark.parametrize("size", [1, 2])
def test_a_single_rollout_has_nothing_to_be_compared_with(size):
    said = asked(FIRST, "push", size=size)
    assert ("A single rollout" in said["sentence"]) == (size == 1)


# What is shown


@pytest.mark.parametrize("name", ["chat-messages.jsonl", "hf-dataset.parquet", "verl", "trl", "zebra", "image-files"])
def test_all_samples_are_shown_in_whole(name, monkeypatch):
    monkeypatch.setenv(name_of("rollouts"), str(SAMPLES))
    group = sources.open_path(name)
    for prompt in range(len(group.groups)):
        view = asked(group.token, "group", prompt=prompt)
        for g, row in enumerate(view["rows"]):
            for s, card in enumerate(row["segments"]):
                detail = asked(group.token, "segment", prompt=prompt, g=g, s=s)
                if card["modality"] == "text":
                    assert " ".join(detail["text"].split()).startswith(card["text"][:40])
                else:
                    assert detail["pictures"]["before"] is not None
                    assert (detail["pictures"]["width"], detail["pictures"]["height"]) == (
                        card["width"],
                        card["height"],
                    )
        assert asked(group.token, "look")


def test_a_picture_is_sent_no_larger_than_the_screen_needs_and_nothing_but_its_pixels():
    group = open_bundled("photographs")
    for side in (160, 320, 1024):
        content = asked(group.token, "picture/0", side=side)
        with Image.open(io.BytesIO(content)) as image:
            assert max(image.size) <= side and image.format == "JPEG"
    assert len(asked(group.token, "picture/0", side=160)) < len(asked(group.token, "picture/0", side=1024))


def test_words_are_found_in_whole_texts_and_whatever_the_case(tmp_path):
    with Recorder(tmp_path / "r.jsonl") as record:
        for i in range(3):
            record.rollout("Draw.").text("A long road. " * 90 + ("The RED sign." if i == 1 else ""), reward=i)
    group = sources.open_upload([str(tmp_path / "r.jsonl")])
    assert asked(group.token, "find", words="red sign") == [[1, 0]]
    assert asked(group.token, "find", words="blue") == []
    assert len(asked(group.token, "group")["rows"][1]["segments"][0]["text"]) <= 140


def test_per_token_probabilities_are_those_of_the_file(tmp_path):
    part = {"type": "text", "text": "a b", "tokens": ["a", "b", "c"], "logprobs": [0.0, -0.6931472, None]}
    file = {"version": 2, "prompts": [{"id": "p", "parts": []}], "rollouts": [{"prompt": "p", "parts": [part]}]}
    (tmp_path / "r.json").write_text(json.dumps(file))
    group = sources.open_upload([str(tmp_path / "r.json")])
    tokens = asked(group.token, "segment", g=0, s=0)["tokens"]
    assert [one["probability"] for one in tokens] == [1.0, pytest.approx(0.5), None]


def drawn_by_cells(path: Path, side: int, boxes: list[list[int]]) -> Group:
    """A file of one edit of ``boxes`` on a grid of ``side`` × ``side`` cells, the first of them committed."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "PNG")
    part = {
        **{"type": "image", "image": f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"},
        **{"grid": [side, side], "region": {"unit": "cells", "boxes": boxes}},
        "steps": [{"step": 1, "committed": [0], "probability": [0.5]}],
    }
    file = {"version": 2, "prompts": [{"id": "p", "parts": []}], "rollouts": [{"prompt": "p", "parts": [part]}]}
    path.write_text(json.dumps(file))
    return sources.open_upload([str(path)])


def test_how_sure_an_edit_was_is_said_by_cell_where_they_can_be_shown(tmp_path):
    for side, boxes, first in (
        (8, [[3, 2, 4, 5], [2, 7, 99, 99], [3, 2, 3, 3]], [2, 7, 0.5]),
        (100_000, [[7, 7, 7, 9]] * 1024, [7, 7, 0.5]),
        (64, [[1, 1, 50, 64], [9, 1, 62, 64]], [1, 1, 0.5]),
        (64, [[1, 1, 63, 64]], None),
        (64, [[1, 1, 32, 64], [33, 1, 64, 64]], None),
    ):
        group = drawn_by_cells(tmp_path / "r.json", side, boxes)
        sure = asked(group.token, "segment", g=0, s=0)["pictures"]["sure"]
        assert sure == (first and {"grid": [side, side], "cells": [first]})


def test_a_region_of_any_size_takes_no_memory_of_its_size(tmp_path):
    group = drawn_by_cells(tmp_path / "r.json", 100_000, [[1, 1, 400, 400], [1, 1, 100_000, 2]])
    tracemalloc.start()
    assert asked(group.token, "segment", g=0, s=0)["pictures"]["sure"] is None
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


# Files of the host


def test_only_files_inside_the_hosts_folder_are_opened(tmp_path, monkeypatch):
    inside, outside = tmp_path / "in", tmp_path / "out"
    recorded(inside / "run" / "r.jsonl", [[(1, 0)], [(0, 1)]])
    recorded(outside / "secret.jsonl", [[(1, 0)]])
    (inside / "link.jsonl").symlink_to(outside / "secret.jsonl")
    (inside / "folder").symlink_to(outside)
    with pytest.raises(ConfigError, match="opens no files"):
        sources.open_path("run/r.jsonl")
    assert sources.files_of_host() == []
    monkeypatch.setenv(name_of("rollouts"), str(inside))
    assert sources.files_of_host() == ["run/r.jsonl"]
    group = sources.open_path("run/r.jsonl")
    assert group.link == "file:run/r.jsonl" and sources.open_link(group.link).groups
    wrong = ("../out/secret.jsonl", "link.jsonl", "folder/secret.jsonl", str(outside / "secret.jsonl"), "", None, "x")
    for name in (*wrong, "run\\r.jsonl", "run/../../out/secret.jsonl", "http://127.0.0.1/x.jsonl"):
        with pytest.raises(ConfigError, match="inside the host's folder"):
            sources.open_path(name)


def test_a_file_that_is_followed_is_read_again_when_it_has_grown(tmp_path, monkeypatch):
    monkeypatch.setenv(name_of("rollouts"), str(tmp_path))
    recorded(tmp_path / "r.jsonl", [[(1, 0)], [(0, 1)]])
    group = sources.open_path("r.jsonl")
    assert asked(group.token, "group")["follows"] and asked(group.token, "grown") is None
    recorded(tmp_path / "r.jsonl", [[(1, 1)]])  # a recorder goes on where one was
    assert asked(group.token, "grown") == {"says": "", "prompts": 1, "rollouts": 3}
    assert asked(group.token, "grown") is None and len(asked(group.token, "group")["rows"]) == 3
    first, _, _ = (tmp_path / "r.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "r.jsonl").write_text(first)
    cut = asked(group.token, "grown")
    assert cut["rollouts"] == 1 and "was cut or written anew: it held 3 rollouts and holds 1" in cut["says"]
    assert asked(FIRST, "grown") is None, "a shipped group does not grow"


def test_a_mask_is_outlined_and_not_the_box_around_it(tmp_path):
    ring = np.zeros((24, 32), bool)
    ring[4:20, 4:28] = True
    ring[8:16, 8:24] = False
    with Recorder(tmp_path / "r.jsonl") as record:
        record.rollout("Draw.").image(Image.new("RGB", (32, 24)), region=ring, reward=1.0)
        record.rollout("Draw.").image(Image.new("RGB", (32, 24)), region=(1, 1, 4, 4), reward=0.0)
    group = sources.open_upload([str(tmp_path / "r.jsonl")])
    masked, boxed = (row["segments"][0] for row in asked(group.token, "group")["rows"])
    assert masked["boxes"] == [] and boxed["mask"] is None and len(boxed["boxes"]) == 1
    detail = asked(group.token, "segment", g=0, s=0)["pictures"]
    assert detail["mask"] == masked["mask"] and detail["boxes"] == [] and not detail["whole"]
    outline = asked(group.token, f"outline/{masked['mask']}")
    assert outline["path"].count("M") == 2 and (outline["width"], outline["height"]) == (32, 24)
    assert outline["share"] == pytest.approx(ring.mean(), abs=1e-3)
    asked(group.token, "outline/99", 422)


def test_a_trace_of_a_task_that_nobody_here_knows_is_shown_and_not_scored_again(tmp_path):
    data = load(ROOT / "assets" / "examples" / "maze.json")
    data["problem"]["task"] = "chess"
    (tmp_path / "chess.json").write_text(json.dumps(data))
    group = sources.open_upload([str(tmp_path / "chess.json")])
    view = asked(group.token, "group")
    assert not view["native"] and view["rows"] and "not scored again" in view["notes"][0]


def test_a_file_with_pictures_that_cannot_be_shown_is_opened_with_them_marked():
    group = sources.open_upload([str(SAMPLES / "image-files" / "rollouts.jsonl")])  # alone, its pictures left behind
    assert any("choose it together with the file, or put both into one zip" in note for note in group.notes)
    view = asked(group.token, "group")
    cards = [card for row in view["rows"] for card in row["segments"] if card["modality"] == "image"]
    assert cards and all(card["picture"] is None and "photo-21" in card["broken"] for card in cards)
    detail = asked(group.token, "segment", g=0, s=1)
    assert detail["pictures"]["after"] is None and "photo-21" in detail["pictures"]["broken"]
    assert any(any(row["joint"]) for row in asked(group.token, "push")["rows"])


def test_an_upload_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    recorded(tmp_path / "r.jsonl", [[(1, 0)] * 20])
    monkeypatch.setattr(sources, "MAX_UNPACKED", (tmp_path / "r.jsonl").stat().st_size)
    with pytest.raises(Exception, match="unpacks to more than"):
        sources.open_upload([str(tmp_path / "r.jsonl")])
