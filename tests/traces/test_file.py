"""What holds of trace files: they come back as they went, and nothing broken comes in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmreason.errors import TraceError, WriteError
from mmreason.records import NUM_CELLS
from mmreason.rewards.verify import Verifier
from mmreason.tasks import FIRST_TASKS, make_problem
from mmreason.traces.file import check, export_schema, load, png_url, save, to_json
from mmreason.traces.schema import TraceFile, decode_png
from tests.helpers.standin import SHEET, WORDS, partial, stand_in_trace

VERIFIER = Verifier(WORDS, SHEET)


def trace_of(task: str = "maze", difficulty: str = "easy"):
    return VERIFIER.score(stand_in_trace(make_problem(task, difficulty, 7)))


def json_of(task: str = "maze") -> dict[str, Any]:
    return to_json(trace_of(task), WORDS, SHEET)


VALID = json_of()


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_a_saved_trace_loads_as_it_was(task: str, tmp_path: Path) -> None:
    data = json_of(task)
    save(tmp_path / "new" / "trace.json", data)
    assert load(tmp_path / "new" / "trace.json") == data
    assert os.listdir(tmp_path / "new") == ["trace.json"]


def test_pictures_show_the_canvas_before_and_after_each_edit() -> None:
    trace, data = trace_of("sudoku"), json_of("sudoku")
    codes = np.array(data["canvas_codes"])
    for segment, entry in zip(trace.segments, data["segments"], strict=True):
        if segment.kind != "edit":
            continue
        for when in ("before", "after"):
            if when == "after":
                codes[entry["cells"]] = entry["frames"][-1]["tokens"]
            picture = np.asarray(decode_png(entry[when]))
            for cell, code in enumerate(codes.tolist()):
                top, left = cell // 8 * 16, cell % 8 * 16
                assert np.array_equal(picture[top : top + 16, left : left + 16], SHEET[code])


def test_what_is_masked_is_null_and_committed_positions_are_not() -> None:
    for entry in VALID["segments"]:
        seen: set[int] = set()
        for frame in entry["frames"]:
            seen |= set(frame["committed"])
            assert seen == {i for i, token in enumerate(frame["tokens"]) if token is not None}


def test_an_unfinished_trace_is_valid_and_has_no_after_picture(tmp_path: Path) -> None:
    data = to_json(partial(trace_of()), WORDS, SHEET)
    assert data["end_reason"] == "" and data["segments"][-1]["after"] is None
    save(tmp_path / "partial.json", data)
    assert load(tmp_path / "partial.json") == data


def test_every_prefix_of_a_stream_is_valid(tiny_pipe) -> None:
    problems = [make_problem("maze", "easy", 1), make_problem("jigsaw", "easy", 1)]
    verifier = Verifier(tiny_pipe.words, tiny_pipe.sheet)
    for traces in tiny_pipe.stream(problems, seeds=[0, 1]):
        for trace in traces:
            check(to_json(verifier.score(trace), tiny_pipe.words, tiny_pipe.sheet))


def test_a_full_redraw_counts_the_cells_that_each_edit_left_alone() -> None:
    edits = [entry for entry in VALID["segments"] if entry["kind"] == "edit"]
    extra = sum((NUM_CELLS - len(edit["cells"])) * (len(edit["frames"]) + 1) for edit in edits)
    assert VALID["cost"]["full_redraw_tokens"] == VALID["cost"]["tokens_forwarded"] + extra


def test_the_rewards_of_a_demonstration_are_one() -> None:
    assert VALID["success"] is True and VALID["reward"] == {"text": 1.0, "image": 1.0}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "trace.json"
    save(path, VALID)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(WriteError, match="No space left"):
        save(path, {**VALID, "success": False})
    assert load(path) == VALID and os.listdir(tmp_path) == ["trace.json"]


def test_save_refuses_what_load_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(TraceError):
        save(tmp_path / "trace.json", {**VALID, "success": "yes"})
    assert os.listdir(tmp_path) == []


def test_the_exported_schema_names_every_field_of_a_trace_and_refuses_others(tmp_path: Path) -> None:
    export_schema(tmp_path / "schema.json", TraceFile)
    schema = json.loads((tmp_path / "schema.json").read_text())
    assert set(schema["properties"]) == set(VALID) == set(schema["required"])
    assert schema["additionalProperties"] is False
    definitions = schema["$defs"]
    for name, part in (("ProblemEntry", VALID["problem"]), ("EditSegment", VALID["segments"][1])):
        assert set(definitions[name]["properties"]) - {"runners_up"} == set(
            part
        )  # which are kept where they are asked


def test_a_picture_goes_into_a_url_and_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(decode_png(png_url(pixels))), pixels)
