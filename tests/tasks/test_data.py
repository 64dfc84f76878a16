"""A dataset as a task: what a folder's rows become, how they are judged, and what is refused in a sentence."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mmreason.__main__ import main
from mmreason.errors import ConfigError, TaskError
from mmreason.kept import Kept
from mmreason.records import DIFFICULTIES, SPLITS, Box, Cost, Frame, Segment, Trace
from mmreason.rewards.pixels import at_drawing_size
from mmreason.rewards.verify import Verifier
from mmreason.sampling.views.canvas import puzzle_at, start_canvas
from mmreason.sampling.views.rollout import asked
from mmreason.tasks import TASKS, make_problem, problem_from_json
from mmreason.tasks.atlas import split_cells
from mmreason.tasks.dataset import rows as rows_module
from mmreason.tasks.dataset.rows import FITS, REWARDS, Dataset, number_of, words_of
from mmreason.tasks.dataset.task import DataTask, judge_answer
from mmreason.tasks.laws import kept_laws
from mmreason.tasks.own import fault, known
from mmreason.training.supervised.config import CorpusConfig
from mmreason.training.supervised.corpus import COUNTED, needed_slots
from mmreason.training.supervised.lessons import check_said, lessons_of
from mmreason.training.validation import held_out
from tests.helpers import public
from tests.helpers.shapes import write_shapes


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "Shapes 1")


def test_a_folder_is_a_task_named_after_it_that_keeps_the_laws(shapes, own_tasks_forgotten):
    name = known(f"data:{shapes}")
    assert name == "shapes_1"
    assert {law: said for law, said in kept_laws(TASKS[name], 4).items() if said is not True} == {}
    assert main(["check-task", f"data:{shapes}", "--problems", "2"]) == 0


def test_parquet_with_pictures_in_it_gives_the_same_rows(shapes, tmp_path):
    one, other = DataTask(shapes), DataTask(write_shapes(tmp_path / "shapes_1", parquet=True))
    assert one.words == other.words and list(one.rows.rows) == list(other.rows.rows)
    spec = one.example
    assert (
        np.array_equal(one.goal(spec), other.goal(spec))
        and one.demonstrate(spec).answer == other.demonstrate(spec).answer
    )


def test_a_field_that_is_null_is_as_if_it_were_not_there_in_json_lines_and_in_parquet(tmp_path):
    optional = ("question", "target", "region", "reward", "choices", "tolerance")
    rows: list[dict[str, Any]] = [
        {"prompt": "What is it?", "answer": "grey"},
        {"prompt": None, "question": "How many?", "answer": "3", "reward": "number", "tolerance": 0.5},
        {"prompt": "Which one?", "answer": "b", "choices": ["a", "b"]},
    ]
    whole = [{"image": "a.png"} | dict.fromkeys(optional) | row for row in rows]
    lines, table = folder_of(tmp_path / "lines", whole), folder_of(tmp_path / "table", [])
    (table / "data.jsonl").unlink()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(whole), table / "data.parquet")
    some = folder_of(tmp_path / "some", [{k: v for k, v in row.items() if v is not None} for row in whole])
    of_lines, of_table, of_some = (
        [replace(row, place="") for row in Dataset(folder).rows.values()] for folder in (lines, table, some)
    )
    assert of_lines == of_table == of_some and len(of_lines) == 3


def test_every_row_occurs_once_before_any_occurs_again_and_in_one_split_only(shapes, own_tasks_forgotten):
    task = TASKS[known(f"data:{shapes}")]
    seen: dict[str, set[str]] = {}
    for split in SPLITS:
        count = len(task._by_split[split])
        rows = [make_problem(task.name, "easy", 5, split, index).spec["row"] for index in range(2 * count)]
        assert set(rows[:count]) == set(rows[count:]) and len(set(rows)) == count
        assert rows[:count] != rows[count:] or count == 1
        seen[split] = set(rows)
    assert sum(map(len, seen.values())) == 60 == len(set.union(*seen.values()))
    grown = DataTask(write_shapes(shapes.parent / "grown" / shapes.name, 80))
    assert all(grown.own_split({"row": key}) == split for split, keys in seen.items() for key in keys)


def test_the_prompt_is_told_to_the_policy_and_the_question_to_people(shapes, own_tasks_forgotten):
    problem = make_problem(known(f"data:{shapes}"), "medium", 0, "train", 0)
    assert problem.question.startswith("Which colour is square ") and problem.question.endswith("?")
    assert problem.prompt == problem.question.lower().strip("?")
    assert problem.image.shape == (128, 128, 3) and problem.turns == 1


def test_a_thought_names_the_region_and_an_edit_draws_the_target_there_alone(shapes):
    task = DataTask(shapes)
    spec, canvas = task.example, task.canvas(task.example)
    (box,), (step,) = task.boxes(spec), task.demonstrate(spec).steps
    assert step.thought == f"look <edit> {box.words}" and box.bottom - box.top == box.right - box.left == 1
    assert task.check_thought(spec, canvas, ["look"], [box], 1).right
    elsewhere = Box(1, 1, 2, 2) if box.top > 3 or box.left > 3 else Box(7, 7, 8, 8)
    assert "overlaps the right one by 0 %" in task.check_thought(spec, canvas, ["look"], [elsewhere], 1).reason
    assert not task.check_thought(spec, canvas, ["see"], [box], 1).components["well_formed"]
    assert "it is drawn already" in task.check_thought(spec, step.canvas, ["look"], [box], 2).reason
    (goal,) = task.accepted_edits(spec, canvas, task.region(box.mask()), 1)
    assert (
        np.array_equal(goal, task.goal(spec))
        and task.accepted_edits(spec, canvas, task.region(elsewhere.mask()), 1) == []
    )
    spoiled = goal.copy()
    spoiled[task.region(elsewhere.mask())] = 0
    assert task.is_solved(spec, goal) and not task.is_solved(spec, spoiled) and task.differs(spoiled, goal).sum() == 4


def test_a_thought_that_is_right_names_a_region_in_which_the_edit_can_be_right(shapes):
    task = DataTask(shapes)
    some = {False: 0, True: 0}
    for key in list(task.rows.rows)[:6]:
        spec = {"task": task.name, "row": key}
        canvas, (true,) = task.canvas(spec), task.boxes(spec)
        for top, left, bottom, right in itertools.product((-1, 0, 1), repeat=4):
            box = Box(true.top + top, true.left + left, true.bottom + bottom, true.right + right)
            if not (1 <= box.top <= box.bottom <= 8 and 1 <= box.left <= box.right <= 8):
                continue
            found = task.check_thought(spec, canvas, ["look"], [box], 1)
            possible = bool(task.accepted_edits(spec, canvas, task.region(box.mask()), 1))
            assert possible or not found.right
            some[found.right] += 1
    assert all(some.values())
    half = Box(true.top, true.left, true.top, true.right)
    assert "2 cells that are to be drawn lie outside" in task.check_thought(spec, canvas, ["look"], [half], 1).reason


def test_noise_of_a_codec_is_no_difference_and_another_colour_is(shapes):
    task = DataTask(shapes)
    goal = task.goal(task.example).astype(int)
    noisy = np.clip(goal + np.random.default_rng(0).integers(-30, 31, goal.shape), 0, 255).astype(np.uint8)
    assert task.is_solved(task.example, noisy)
    assert not task.is_solved(task.example, np.ascontiguousarray(task.goal(task.example)[..., ::-1] // 2))


@pytest.mark.parametrize(
    ("more", "said", "right"),
    [
        ({"answer": "Dark red."}, "dark red", True),
        ({"answer": "dark red"}, "red", False),
        ({"answer": "red", "reward": "contains"}, "it is red", True),
        ({"answer": "red", "reward": "contains"}, "it is redder", False),
        ({"answer": 3}, "3", True),
        ({"answer": "3.0"}, "3", True),
        ({"answer": 3}, "4", False),
        ({"answer": 3, "tolerance": 1}, "4", True),
        ({"answer": ".5"}, "0.5", True),
        ({"answer": ".5"}, "5", False),
        ({"answer": "-.5"}, "-0.50", True),
        ({"answer": ["grey", "Light gray"]}, "grey", True),
        ({"answer": ["grey", "Light gray"]}, "light gray", True),
        ({"answer": ["grey", "Light gray"]}, "light grey", False),
        ({"answer": ["red", "blue"], "reward": "contains"}, "it is blue", True),
        ({"answer": ["a", "b"], "choices": ["a", "b", "d"]}, "b", True),
        ({"answer": ["a", "b"], "choices": ["a", "b", "d"]}, "d", False),
        ({"answer": [3, 5.5], "tolerance": 0.5}, "6", True),
        ({"answer": [3, 5.5], "tolerance": 0.5}, "4", False),
        ({"answer": 1.0, "tolerance": 0.1}, "1.1", True),
        ({"answer": 1.0, "tolerance": 0.1}, "0.9", True),
        ({"answer": 1.0, "tolerance": 0.1}, "1.10000000000000001", False),
        ({"answer": "0.3", "tolerance": 1e-5}, "0.30001", True),
        ({"answer": 3}, "three", False),
        ({"answer": "b", "choices": ["a", "b"]}, "b", True),
        ({"answer": "b", "choices": ["a", "b"]}, "a", False),
        ({"answer": "b", "choices": ["a", "b"]}, "c", False),
    ],
)
def test_answers_are_judged_by_the_reward_of_their_row(more, said, right, tmp_path):
    task = DataTask(folder_of(tmp_path, [{"image": "a.png", "prompt": "Which?"} | more]))
    (row,) = task.rows.rows.values()
    verdict = judge_answer(row, tuple(said.split()))
    assert verdict.right == right
    assert verdict.components["well_formed"] == (said not in ("three", "c"))


@pytest.mark.parametrize("number", [1234567, 999_999_999_999, 1234567.0, 0.12345678, 0.1 + 0.2, 2**53 + 1, -1e-7, 3.0])
def test_a_number_is_written_exactly(number, tmp_path):
    row = {"image": "a.png", "prompt": number, "answer": number}
    (found,) = DataTask(folder_of(tmp_path, [row])).rows.rows.values()
    (prompt,), (answer,) = found.prompt, found.answer
    assert type(number)(answer) == type(number)(prompt) == number
    assert found.reward == ("number" if 1e-6 < number < 1e12 else "exact")


def test_words_that_differ_in_less_and_greater_signs_stay_different_and_none_is_lost():
    """A pair of signs around a word alone is a mark, as brackets are."""
    written = ["".join(letters) for n in range(1, 5) for letters in itertools.product("<>x5", repeat=n)]
    without = {text: text[1:-1] if re.fullmatch("<[x5]+>", text) else text for text in written}
    found = {text: words_of(text) for text in written}
    assert all(len(words) == 1 and not {"<", ">"} & set(words[0]) for words in found.values())
    assert len(set(found.values())) == len(set(without.values()))
    assert all(found[text] == found[plain] for text, plain in without.items())
    assert words_of(" ".join(written)) == tuple(word for words in found.values() for word in words)
    assert words_of("(<Image>), what: 'a'?") == ("image", "what", "a")


def test_answers_that_differ_in_a_sign_are_different_answers_however_they_are_said(tmp_path):
    said = ("<18", "18", ">18")
    rows = [{"image": "a.png", "prompt": f"Age {i}?", "answer": each, "choices": said} for i, each in enumerate(said)]
    rows += [row | {"prompt": prompt} for row, prompt in zip(rows, ("Is x<5?", "Is x<9?", "Is x>9?"), strict=True)]
    task = DataTask(folder_of(tmp_path / "ages", rows))
    for spec, right in zip((task._spec(key) for key in task.rows.rows), said * 2, strict=True):
        for each in said:
            assert task.check_answer(spec, task.canvas(spec), [each]).right == (each == right)
            assert task.check_answer(spec, task.canvas(spec), words_of(each)).right == (each == right)
    assert fault(task) == ""


SAID = ("Blue.", "A", "(c)", "42.", ".5", "-.25", "1,5", "It is the 'Red' one!", "x<5", "<b>", "3")


@pytest.mark.parametrize(
    ("answer", "reward"),
    [(a, r) for a in SAID for r in REWARDS if r != "number" or number_of(words_of(a)) is not None],
)
def test_what_a_row_says_is_right_is_right_as_it_stands_there(answer, reward, tmp_path):
    """A public checkpoint writes capitals and full stops, as people do."""
    more = {"choices": [answer, "something else"]} if reward == "choice" else {}
    row = {"image": "a.png", "prompt": "Which?", "answer": answer, "reward": reward} | more
    task = DataTask(folder_of(tmp_path, [row]))
    for said in (answer, answer.upper(), " ".join(words_of(answer))):
        assert task.check_answer(task.example, task.canvas(task.example), said.split()).right, said
    assert not task.check_answer(task.example, task.canvas(task.example), ["another"]).right


def test_words_are_the_same_when_they_are_read_again():
    written = ["".join(letters) for n in range(1, 6) for letters in itertools.product("<>.-5a(", repeat=n)]
    for text in written:
        assert words_of(" ".join(words_of(text))) == words_of(text), text
    found = {
        text: words_of(text)
        for text in (".5", "-.5", "(.5)", ".5.", "+.25,", "...5", "a.5", "5.", "<.5>", ".5%", ".a")
    }
    assert [" ".join(words) for words in found.values()] == [
        *("0.5", "-0.5", "0.5", "0.5", "+0.25", "5", "a.5", "5", "0.5", "5%", "a")
    ]


def test_a_row_is_solved_when_its_target_is_drawn_and_not_by_its_answer_alone(tmp_path, own_tasks_forgotten):
    task = TASKS[known(f"data:{folder_of(tmp_path / 'rows', [EDITED])}")]
    problem = problem_from_json(task.example)
    cells = at_drawing_size(problem.image), at_drawing_size(task.goal(task.example))
    sheet = np.concatenate([split_cells(each).reshape(64, 16, 16, 3) for each in cells])
    thought, answer = (
        Segment(kind, 1, (0,), (Frame(1, (0,), (0,), (0.0,)),), text=text)
        for kind, text in (("thought", "Look <edit> r1c1 r4c2"), ("answer", "<answer> Grey."))
    )
    region = tuple(8 * row + column for row in range(4) for column in range(2))
    drawn = tuple(64 + cell for cell in region)
    edit = Segment(
        "edit", 1, drawn, (Frame(1, drawn, tuple(range(8)), (0.0,) * 8),), boxes=(Box(1, 1, 4, 2),), cells=region
    )
    for segments, solved in (((thought, edit, answer), True), ((answer,), False)):
        trace = Trace(problem, tuple(range(64)), segments, "answered", False, Cost(0, 0, 0.0, 0.0), {})
        scored = Verifier((), sheet).score(trace)
        assert all(segment.reward == 1 for segment in scored.segments), "each segment is right"
        assert scored.success is solved


def test_where_nothing_is_to_be_drawn_no_picture_is_judged(tmp_path, own_tasks_forgotten):
    """An image tokenizer may draw the start otherwise than the file has it."""
    problem = problem_from_json(TASKS[known(f"data:{folder_of(tmp_path / 'rows', [GOOD])}")].example)
    seen = np.zeros((64, 16, 16, 3), np.uint8)
    answer = Segment("answer", 1, (0,), (Frame(1, (0,), (0,), (0.0,)),), text="<answer> grey")
    trace = Trace(problem, tuple(range(64)), (answer,), "answered", False, Cost(0, 0, 0.0, 0.0), {})
    assert Verifier((), seen).score(trace).success


def test_difficulties_of_a_dataset_are_of_different_rows(shapes, own_tasks_forgotten):
    """All rows are of every difficulty, and count once in an evaluation of several."""
    name = known(f"data:{shapes}")
    rows = len(TASKS[name]._by_split["train"])
    found = held_out([name], DIFFICULTIES, rows, 0, "train")
    assert len({problem.spec["row"] for problem in found}) == len(found) == rows
    assert {problem.difficulty for problem in found} == set(DIFFICULTIES)
    both = held_out([name, "maze"], ["easy", "hard"], 8, 0, "train")
    assert [problem.index for problem in both] == [0, 1, 0, 1, 2, 3, 0, 1]


def test_a_target_that_changes_more_outside_its_region_is_told_and_taken(tmp_path, own_tasks_forgotten, capsys):
    rows = [EDITED | {"prompt": f"row {i}", "region": [[0, 0, 40, 20 - 15 * (i % 2)]]} for i in range(40)]
    folder = folder_of(tmp_path / "rows", rows)
    assert DataTask(folder).notes == (
        "20 rows have targets that differ from the image in more cells outside the region than inside it (data.jsonl "
        "line 2 for one): what lies outside is to stay as it is",
    )
    assert main(["check-task", f"data:{folder}"]) == 0
    assert "note: 20 rows have targets" in capsys.readouterr().out
    assert DataTask(folder_of(tmp_path / "one", rows[:1])).notes == ()


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Fine detail on large shapes."""
    rng = np.random.default_rng(seed)
    large = Image.fromarray(rng.integers(40, 216, (6, 6, 3), dtype=np.uint8)).resize((width, height))
    noise = rng.integers(-40, 41, (height, width, 3))
    return Image.fromarray((np.asarray(large) + noise).clip(0, 255).astype(np.uint8))


def photographs(folder: Path) -> Path:
    """One row: a photograph of 640 × 427 pixels, whose middle is to be another, of another size."""
    folder.mkdir()
    photograph(640, 427).save(folder / "photo.jpg", quality=95)
    photograph(512, 512, 1).save(folder / "target.png")
    row = {"image": "photo.jpg", "target": "target.png", "region": [[160, 107, 480, 320]]}
    (folder / "data.jsonl").write_text(json.dumps(row | {"prompt": "What is it?", "answer": "a bird"}))
    return folder


def test_a_public_checkpoint_is_shown_a_photograph_at_the_size_of_its_codec(tmp_path, own_tasks_forgotten):
    folder = photographs(tmp_path / "photos")
    problem = problem_from_json(TASKS[known(f"data:{folder}")].example)
    found = start_canvas(problem, public.pipeline().model.codec, 512).pixels
    blocks = found.reshape(128, 4, 128, 4, 3)
    assert found.shape == (512, 512, 3) and (np.ptp(blocks, axis=(1, 3)) > 0).mean() > 0.9
    wanted = Image.open(folder / "photo.jpg").resize((512, 512), Image.Resampling.LANCZOS)
    assert np.array_equal(found, np.asarray(wanted))


def test_a_small_policy_is_shown_it_at_128_pixels_as_before(tmp_path):
    folder = photographs(tmp_path / "photos")
    task = DataTask(folder)
    small = np.asarray(Image.open(folder / "photo.jpg").resize((128, 128), Image.Resampling.BOX))
    assert np.array_equal(task.canvas(task.example), small)
    for pixels in (task.canvas(task.example), task.goal(task.example)):
        assert np.array_equal(task.drawn_of(task.example, pixels, 16), pixels)
        assert np.array_equal(task.image(pixels), pixels)


def test_a_target_is_as_fine_and_stays_inside_its_region(tmp_path, own_tasks_forgotten):
    task = TASKS[known(f"data:{photographs(tmp_path / 'photos')}")]
    problem, inside = problem_from_json(task.example), np.s_[128:384, 128:384]
    (step,) = task.demonstrate(task.example).steps
    assert step.thought == "look <edit> r3c3 r6c6"
    start, end = (puzzle_at(problem, each, task.image(each), 512, 16) for each in (problem.canvas, step.canvas))
    wanted = np.asarray(Image.open(tmp_path / "photos" / "target.png"))
    assert np.array_equal(end[inside], wanted[inside])
    end[inside] = start[inside]
    assert np.array_equal(end, start)
    other = np.zeros_like(problem.canvas)
    assert not puzzle_at(problem, other, other, 512, 16).any(), "of what no file holds, its small picture"
    pipe = public.pipeline(pixels=256, text_length=48)
    (lesson,) = [lesson for lesson in lessons_of(problem, pipe) if lesson.unit == "image"]
    fine_HW = pipe.model.codec.encode(puzzle_at(problem, step.canvas, step.canvas, 256, 16))
    assert np.array_equal(lesson.target_K.reshape(8, 8) - pipe.first_code, fine_HW[4:12, 4:12])


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (300, 300), (96, 128)])
def test_a_padded_picture_is_as_if_somebody_had_padded_it(size, tmp_path, own_tasks_forgotten):
    """Its region lies where it lay, and a target of any size takes the picture's place."""
    width, height = size
    left, top = (max(size) - width) // 2, (max(size) - height) // 2
    box = [width // 4, height // 4, width // 2, height // 2]
    moved = [box[0] + left, box[1] + top, box[2] + left, box[3] + top]
    said = {"image": "a.png", "target": "b.png", "prompt": "What is it?", "answer": "a bird"}
    tasks = []
    for name, more in {"ours": {"fit": "pad", "region": [box]}, "by_hand": {"region": [moved]}}.items():
        folder = folder_of(tmp_path / name, [said | more])
        start, target = photograph(*size), photograph(900, 1200, 1)
        if name == "by_hand":
            white = Image.new("RGB", (max(size),) * 2, "white")
            squares = [white.copy(), white.copy()]
            for square, each in zip(squares, (start, target.resize(size, Image.Resampling.BOX)), strict=True):
                square.paste(each, (left, top))
            start, target = squares
        start.save(folder / "a.png")
        target.save(folder / "b.png")
        tasks.append(DataTask(folder))
    assert tasks[0].boxes(tasks[0].example) == tasks[1].boxes(tasks[1].example)
    for pixels in (DataTask.canvas, DataTask.goal):
        ours, by_hand = (pixels(task, task.example) for task in tasks)
        assert tasks[0].unlike(ours, by_hand).max() < 4, "but for how its edge is resampled"
    assert fault(tasks[0]) == ""


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("size", [(8, 8), (40, 20), (128, 128), (130, 200), (256, 300), (300, 9), (640, 427)])
def test_a_picture_is_judged_alike_at_every_size(size, side, fit, tmp_path):
    rng = np.random.default_rng(0)
    kinds = {
        "photo": np.asarray(photograph(*size)),
        "stripes": np.indices(size[::-1]).sum(axis=0)[..., None].repeat(3, axis=-1) % 2 * 255,
        "noise": rng.integers(0, 256, (*size[::-1], 3)),
    }
    folder = folder_of(
        tmp_path, [{"image": f"{kind}.png", "prompt": "?a", "answer": "b", "fit": fit} for kind in kinds]
    )
    for kind, pixels in kinds.items():
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{kind}.png")
    task = DataTask(folder)
    for key in task.rows.rows:
        spec = task._spec(key)
        shown = task.drawn_of(spec, task.canvas(spec), side // 8)
        assert shown is not None and shown.shape == (side, side, 3)
        assert task.is_solved(spec, at_drawing_size(shown)), task.row(spec).image


def test_the_pictures_that_are_kept_take_no_more_memory_than_is_said_whatever_their_size(tmp_path):
    made: list[tuple[Any, int]] = []

    def decoded(picture: Any, side: int) -> np.ndarray:
        made.append((picture, side))
        return np.zeros((side, side, 3), np.uint8)

    kept: Kept[np.ndarray] = Kept(3 * 64 * 64 * 4, lambda pixels: pixels.nbytes)
    for picture, side in [("a", 64), ("b", 64), ("a", 64), ("c", 64), ("a", 128), ("a", 64), ("a", 256), ("a", 64)]:
        assert kept.made(partial(decoded, picture, side), picture, side).shape == (side, side, 3)
        assert kept.num_bytes == sum(each.nbytes for each in kept._kept.values()) <= 3 * 64 * 64 * 4
    assert made == [("a", 64), ("b", 64), ("c", 64), ("a", 128), ("a", 64), ("a", 256), ("a", 64)]


def folder_of(folder: Path, rows: list[Any]) -> Path:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (40, 20), "#808080").save(folder / "a.png")
    Image.new("RGB", (40, 20), "#203040").save(folder / "b.jpg")
    Image.new("RGB", (40, 20), "#e0d0c0").save(folder / "d.png")
    Image.new("RGB", (40, 20), "#989898").save(folder / "near.png")  # 24 of 255 lighter than a.png
    (folder / "text.png").write_text("no picture")
    (folder / "half.png").write_bytes((folder / "a.png").read_bytes()[:60])
    Image.new("RGB", (4, 4)).save(folder / "small.png")
    Image.new("RGB", (40, 20)).save(folder / "a.tiff")
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    return folder


GOOD: dict[str, Any] = {"image": "a.png", "prompt": "What is it?", "answer": "grey"}
EDITED = GOOD | {"target": "b.jpg", "region": [[0, 0, 10, 10]]}
CHANGES: tuple[dict[str, Any], ...] = (
    {"image": "d.png"},
    {"prompt": "what is it now?"},
    {"prompt": "What is it"},  # the same words, but not as a public checkpoint reads them
    {"answer": "grey now"},
    {"answer": ["grey", "gray"]},
    {"target": "d.png"},
    {"region": [[0, 0, 10, 11]]},
    {"fit": "pad"},
    {"reward": "contains"},
    {"choices": ["grey", "red"], "reward": "choice"},
    {"answer": "3", "tolerance": 1},
)


def test_a_dataset_is_known_by_all_that_its_rows_say_and_not_by_its_place(tmp_path):
    rows = [EDITED, GOOD | {"prompt": "And this?"}]
    others = [[EDITED | change, rows[1]] for change in CHANGES]
    others += [rows[:1], rows[1:], rows[::-1], [*rows, GOOD | {"prompt": "And that?"}]]
    found = [Dataset(folder_of(tmp_path / str(n), each)).fingerprint for n, each in enumerate([rows, *others])]
    assert len(set(found)) == len(found)
    again = folder_of(tmp_path / "again", rows)
    assert Dataset(again).fingerprint == found[0]
    Image.new("RGB", (40, 20), "#d03040").save(again / "b.jpg")
    assert Dataset(again).fingerprint not in found
    assert (
        Dataset(write_shapes(tmp_path / "lines", 4)).fingerprint
        == Dataset(write_shapes(tmp_path / "parquet", 4, parquet=True)).fingerprint
    )


BROKEN: dict[str, tuple[Any, str]] = {  # the second row of two → what is said
    "no JSON": ("{", "data.jsonl line 2: "),
    "a list": ("[1]", "data.jsonl line 2: must be a JSON object, got list"),
    "a key twice": ('{"image": "a.png", "image": "b.jpg"}', "data.jsonl line 2: "),
    "both names of the question": (GOOD | {"question": "?"}, "line 2: a row has a 'prompt' or a 'question', got both"),
    "an unknown field": (GOOD | {"colour": 1}, "line 2: field 'colour' is unknown"),
    "no image": (
        {"prompt": "a", "answer": "b"},
        "line 2: field 'image' must be the path of a picture in the folder, got nothing",
    ),
    "a number as image": (GOOD | {"image": 3}, "field 'image' must be the path of a picture in the folder, got int"),
    "an image that is not there": (GOOD | {"image": "c.png"}, "line 2: field 'image': picture 'c.png' does not exist"),
    "an image elsewhere": (GOOD | {"image": "../a.png"}, "field 'image': picture '../a.png' must be a path inside"),
    "an absolute path": (
        GOOD | {"image": "/etc/passwd"},
        "field 'image': picture '/etc/passwd' must be a path inside",
    ),
    "an address": (GOOD | {"image": "https://example.org/a.png"}, "must be a path inside the file's folder"),
    "a link": (GOOD | {"image": "link.png"}, "field 'image': picture 'link.png' cannot be read: it is a link"),
    "an image that is none": (
        GOOD | {"image": "text.png"},
        "field 'image': 'text.png' is no picture that can be read",
    ),
    "half an image": (GOOD | {"image": "half.png"}, "field 'image': 'half.png' is "),
    "a tiny image": (GOOD | {"image": "small.png"}, "'small.png' must be 8 to 4096 pixels a side, got 4 × 4"),
    "an image of another kind": (GOOD | {"image": "a.tiff"}, "'a.tiff' must be PNG, JPEG, WebP, GIF or BMP, got TIFF"),
    "no prompt": ({"image": "a.png", "answer": "b"}, "field 'prompt' must be text, got nothing"),
    "an empty prompt": (GOOD | {"prompt": " ?"}, "field 'prompt' must have 1 to 512 words, got 0"),
    "a long prompt": (GOOD | {"prompt": "a " * 513}, "field 'prompt' must have 1 to 512 words, got 513"),
    "a long word": (GOOD | {"prompt": "a" * 41}, "field 'prompt' must have words of at most 40 letters"),
    "no answer": ({"image": "a.png", "prompt": "b"}, "field 'answer' must be text, got nothing"),
    "a list in a list as answer": (GOOD | {"answer": [["a"]]}, "field 'answer' must be text, got list"),
    "no answer in a list": (GOOD | {"answer": []}, "field 'answer' must be a text or a list of 1 to 16, got 0"),
    "17 answers": (
        GOOD | {"answer": [*"abcdefghijklmnopq"]},
        "field 'answer' must be a text or a list of 1 to 16, got 17",
    ),
    "an answer of several that is no choice": (
        GOOD | {"answer": ["grey", "b"], "choices": ["grey", "c"]},
        "field 'answer' must be one of the choices, got 'b'",
    ),
    "an answer of several that is no number": (
        GOOD | {"answer": [3, "b"], "reward": "number"},
        "field 'answer' must be a number for the reward 'number', got 'b'",
    ),
    "a tolerance of words": (
        GOOD | {"tolerance": 0.1},
        "'tolerance' must be 0 or left out for the reward 'exact', got 0.1",
    ),
    "a target that is the image": (
        EDITED | {"target": "a.png"},
        "line 2: field 'target' must differ from 'image' by more than 24 of 255 on average in one of the 8 × 8 cells, "
        "inside the region, got 0.0",
    ),
    "a target that hardly differs": (EDITED | {"target": "near.png"}, "inside the region, got 24.0"),
    "a long answer": (GOOD | {"answer": "a " * 129}, "field 'answer' must have 1 to 128 words, got 129"),
    "a target without a region": (GOOD | {"target": "b.jpg"}, "field 'region' must say where 'target' differs"),
    "a region without a target": (GOOD | {"region": [[0, 0, 1, 1]]}, "field 'target' must be the picture"),
    "another fit": (GOOD | {"fit": "crop"}, "line 2: field 'fit' must be stretch or pad, got 'crop'"),
    "a list as fit": (GOOD | {"fit": ["pad"]}, "line 2: field 'fit' must be stretch or pad, got "),
    "a target that is not there": (EDITED | {"target": "c.png"}, "field 'target': picture 'c.png' does not exist"),
    "a box as region": (EDITED | {"region": [0, 0, 1, 1]}, "field 'region', box 1 must be [left, top, right, bottom]"),
    "no box": (EDITED | {"region": []}, "field 'region' must be a list of 1 to 4 boxes, got 0"),
    "five boxes": (EDITED | {"region": [[0, 0, 1, 1]] * 5}, "field 'region' must be a list of 1 to 4 boxes, got 5"),
    "three corners": (
        EDITED | {"region": [[0, 0, 1]]},
        "box 1 must be [left, top, right, bottom] in pixels, got [0, 0, 1]",
    ),
    "a text as corner": (EDITED | {"region": [[0, 0, 1, "1"]]}, "box 1 must be [left, top, right, bottom] in pixels"),
    "a box that is turned": (
        EDITED | {"region": [[9, 0, 1, 5]]},
        "must lie in the picture of 40 × 20 pixels, got [9, 0, 1, 5]",
    ),
    "a box beyond": (EDITED | {"region": [[0, 0, 41, 20]]}, "must lie in the picture of 40 × 20 pixels"),
    "an unknown reward": (GOOD | {"reward": "judge"}, "field 'reward' must be one of exact, number, contains, choice"),
    "a number that is none": (
        GOOD | {"reward": "number"},
        "field 'answer' must be a number for the reward 'number', got 'grey'",
    ),
    "no choices": (GOOD | {"reward": "choice"}, "field 'choices' must be a list of 2 to 64 texts, got None"),
    "one choice": (GOOD | {"choices": ["grey"]}, "field 'choices' must be a list of 2 to 64 texts"),
    "a choice twice": (GOOD | {"choices": ["grey", "Grey."]}, "field 'choices' must be different texts"),
    "another answer than the choices": (
        GOOD | {"choices": ["a", "b"]},
        "field 'answer' must be one of the choices, got 'grey'",
    ),
    "a negative tolerance": (GOOD | {"tolerance": -1}, "field 'tolerance' must be a number from 0, got '-1'"),
    "a huge prompt": (GOOD | {"prompt": 10**400}, "field 'prompt' must have words of at most 40 letters"),
    "a huge answer": (GOOD | {"answer": 10**400}, "field 'answer' must have words of at most 40 letters"),
    "a huge tolerance": (GOOD | {"tolerance": 10**400}, "field 'tolerance' must be a number from 0, got"),
    "a huge corner": (EDITED | {"region": [[0, 0, 10**400, 1]]}, "field 'region', box 1 must be"),
    "a long row": (f'{{"choices": [{"[]," * 400_000}[]]}}', "line 2: this is larger than 1 MB"),
    "a prompt long for what is no word": (
        GOOD | {"prompt": "a<b " * 2000 + "what"},
        "'prompt' must have at most 8000",
    ),
    "a prompt that cannot be printed": (
        GOOD | {"prompt": "x<\ud800 what"},
        "'prompt' must be text that can be printed",
    ),
    "a choice that cannot be printed": (GOOD | {"choices": ["grey", "\ud800"]}, "'choices' must be text that can be"),
    "a long choice": (GOOD | {"choices": ["grey", "a" * 41]}, "field 'choices' must have words of at most 40 letters"),
    "an empty choice": (GOOD | {"choices": ["grey", "?"]}, "field 'choices' must have 1 to 128 words, got 0"),
    "lines as choices": (GOOD | {"choices": "a\nb"}, "field 'choices' must be a list of 2 to 64 texts, got a b"),
    "lines as a box": (EDITED | {"region": ["a\nb"]}, "box 1 must be [left, top, right, bottom] in pixels, got a b"),
    "a row twice": (GOOD | {"prompt": "What was it first?"}, "image and prompt are those of data.jsonl line 1, twice"),
    "two answers": (
        GOOD | {"prompt": "What was it first?", "answer": "blue"},
        "line 2: image and prompt are those of data.jsonl line 1, with another answer",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_row_is_refused_in_a_sentence_that_names_line_and_field(case, tmp_path):
    row, said = BROKEN[case]
    folder = folder_of(tmp_path / "broken", [GOOD | {"prompt": "What was it first?"}, row])
    (tmp_path / "secret.png").write_bytes((folder / "a.png").read_bytes())
    os.symlink(tmp_path / "secret.png", folder / "link.png")
    with pytest.raises(TaskError) as caught:
        DataTask(folder)
    message = str(caught.value)
    assert said in message and message.startswith("data.jsonl line 2") and "\n" not in message and len(message) < 300


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "must name a folder, which "),
        ({}, "must hold data.jsonl or parquet files, and holds neither"),
        ({"data.jsonl": b"\n"}, "has no rows"),
        ({"data.jsonl": b"\xff\xfe{"}, "data.jsonl line 1: "),
        ({"a.parquet": b"PAR1 no parquet PAR1"}, "a.parquet is not a parquet file that can be read"),
    ],
)
def test_a_folder_without_rows_is_refused_in_a_sentence(content, said, tmp_path):
    folder = tmp_path / "empty"
    if content is not None:
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
    with pytest.raises(TaskError) as caught:
        known(f"data:{folder}")
    assert said in str(caught.value)


def test_too_many_different_words_are_refused_at_the_row_that_brings_them(tmp_path, monkeypatch):
    def row(i: int) -> dict[str, Any]:
        others = [" ".join(f"r{i}w{j}x{k}" for k in range(10)) for j in range(63)]
        return GOOD | {"prompt": f"row {i}", "choices": ["grey", *others]}

    rows = [row(i) for i in range(9)]
    said = "data.jsonl line 7: a dataset for a small policy may have at most 4096 different words"
    assert DataTask(folder_of(tmp_path, rows)).too_long == said
    monkeypatch.setattr(rows_module, "MAX_WORDS", 4096)
    with pytest.raises(TaskError, match=r"^data\.jsonl line 7: a dataset may have at most 4096 different words$"):
        DataTask(folder_of(tmp_path, rows))
    task = DataTask(folder_of(tmp_path, rows[:6]))
    assert not task.too_long
    assert len(set(task.rows.words)) == len(task.rows.words) and {"row", "5", "grey", "r0w0x0"} <= set(task.words)


PROSE = "Look at the bird in the middle of this photograph, and say which of its feathers are darkest and why, then "
TOLD = PROSE + "name all colours of its wings."


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"prompt": TOLD}, "field 'prompt' must have 1 to 12 words for a small policy, got 27"),
        ({"answer": "very " * 11}, "field 'answer' must have 1 to 10 words for a small policy, got 11"),
        (
            {"choices": ["grey", "light " * 11]},
            "field 'choices' must have 1 to 10 words for a small policy, got 11",
        ),
        ({"prompt": "what " * 512, "answer": "grey " * 128}, "must have 1 to 12 words for a small policy, got 512"),
    ],
)
def test_prose_is_a_task_and_what_a_small_policy_cannot_be_told_is_said_of_its_first_row(more, said, tmp_path):
    short = DataTask(folder_of(tmp_path / "short", [GOOD | {"prompt": "what " * 12, "answer": "grey " * 10}]))
    long = DataTask(folder_of(tmp_path / "long", [GOOD | {"prompt": "Why?"}, GOOD | more, GOOD | {"prompt": PROSE}]))
    assert short.too_long == "" and long.too_long.startswith("data.jsonl line 2: ") and long.too_long.endswith(said)


def prose(folder: Path, count: int = 60) -> Path:
    return folder_of(folder, [GOOD | {"prompt": f"{TOLD} This is number {i}."} for i in range(count)])


def test_prose_is_refused_where_a_small_policy_would_read_it(tmp_path, tiny_checkpoint, own_tasks_forgotten, capsys):
    source, said = f"data:{prose(tmp_path / 'prose')}", "data.jsonl line 1: field 'prompt' must have 1 to 12 words"
    small, output = ["--checkpoint", str(tiny_checkpoint)], ["--output", str(tmp_path / "run")]
    easy = ["--difficulty", "easy"]
    for words in (
        ["pretrain", "--tasks", source, *easy, *output, "--steps", "1", "--vq_steps", "1", "--threads", "1"],
        ["train", "--tasks", source, *easy, *output, *small, "--steps", "1", "--eval_problems", "1"],
        ["evaluate", "--tasks", source, *easy, *small, "--problems", "1"],
        ["solve", "--task", source, *easy, *small, "--out", str(tmp_path / "trace.json")],
    ):
        assert main(words) == 2, words
        assert said in (told := capsys.readouterr().err) and "for a small policy, got 31" in told, words
    assert not (tmp_path / "trace.json").exists()
    assert main(["check-task", source, "--problems", "1"]) == 0
    assert f"for checkpoints of public families only: {said}" in capsys.readouterr().out


def test_a_public_checkpoint_is_asked_prose_once_and_told_which_row_no_prompt_holds(tmp_path, own_tasks_forgotten):
    task = TASKS[known(f"data:{prose(tmp_path / 'prose')}")]
    problem = problem_from_json(task.example)
    assert asked(problem) == f"{TOLD} This is number 0." and problem.prompt
    assert asked(replace(problem, prompt="more")) == f"{problem.question}\nmore"
    assert asked(make_problem("maze", "easy", 0)) == TASKS["maze"].question
    pipe = public.pipeline()
    pipe.check_tasks([task.name])
    (trace,) = pipe([problem], pipe.sampling_config(max_turns=1, num_steps=1, temperature=0)).traces
    assert trace.segments
    rows = [GOOD | {"prompt": f"What is number {i}?"} for i in range(60)] + [GOOD | {"prompt": "please " * 512}]
    name = known(f"data:{folder_of(tmp_path / 'much', rows)}")
    with pytest.raises(ConfigError, match=r"^data\.jsonl line 61: an instruction to mmada must have at most 510"):
        public.pipeline("mmada").check_tasks([name])


def test_what_takes_most_tokens_counts_and_not_what_has_most_letters(tmp_path, own_tasks_forgotten):
    letters = GOOD | {"prompt": "plea " * 90, "answer": "grey " * 10}
    tokens = GOOD | {"prompt": "日日日日 " * 60, "answer": "日日日日日 " * 5}  # three tokens a letter
    rows = [GOOD | {"prompt": f"What is number {i}?"} for i in range(60)]
    name = known(f"data:{folder_of(tmp_path / 'letters', [letters, *rows])}")
    public.pipeline("mmada").check_tasks([name])
    check_said([name], public.pipeline(text_length=64))
    name = known(f"data:{folder_of(tmp_path / 'tokens', [letters, tokens, *rows])}")
    with pytest.raises(ConfigError, match=r"^data\.jsonl line 2: an instruction to mmada must have at most 510"):
        public.pipeline("mmada").check_tasks([name])
    with pytest.raises(ConfigError, match=r"the demonstration '<answer> 日日日日日 .* a text must have at most 63"):
        check_said([name], public.pipeline(text_length=64))


def test_an_answer_too_long_for_a_text_is_refused_before_a_public_checkpoint_learns_it(tmp_path, own_tasks_forgotten):
    rows = [GOOD | {"prompt": f"What is number {i}?"} for i in range(60)]
    name = known(f"data:{folder_of(tmp_path / 'some', [*rows[1:], rows[0] | {'answer': 'grey ' * 128}])}")
    with pytest.raises(ConfigError, match=r"the demonstration '<answer> grey .* of some: a text must have at most 63"):
        check_said([name], public.pipeline(text_length=64))
    check_said([name, "maze"], public.pipeline(text_length=1024))


def test_the_texts_of_a_dataset_are_bounded_where_that_is_asked_for(tmp_path):
    folder = folder_of(tmp_path, [{"image": "a.png", "prompt": f"abc{i}", "answer": "grey"} for i in range(3)])
    assert len(Dataset(folder, max_letters=24).rows) == 3
    with pytest.raises(TaskError, match=r"line 3: the texts may have at most 2\.3e-05 million letters in all"):
        Dataset(folder, max_letters=23)


def test_parquet_of_large_cells_or_many_values_is_refused_by_its_file(tmp_path):
    large = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 32), pyarrow.array(["x" * 65 * 2**20]))
    many = pyarrow.ListArray.from_arrays(pyarrow.array([0, 2_000_000], pyarrow.int32()), pyarrow.nulls(2_000_000))
    for table, said in (
        ({"prompt": large}, "a.parquet row 1 must take at most 64 MB in memory, field 'prompt' takes more"),
        ({"choices": many}, "a.parquet row 1 must take at most 64 MB in memory, field 'choices' takes more"),
        ({"prompt": range(20_001)}, "a.parquet must hold at most 20000 rows"),
    ):
        pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
        with pytest.raises(TaskError) as refused:
            DataTask(tmp_path)
        assert str(refused.value).startswith(said)


def test_a_picture_is_decoded_and_kept_once_however_many_rows_show_it(tmp_path, monkeypatch):
    opened: list[Any] = []
    monkeypatch.setattr(Image, "open", lambda file, open=Image.open: opened.append(file) or open(file))
    rows = [GOOD | {"prompt": f"row {i}", "target": "b.jpg", "region": [[0, 0, 9, 9]]} for i in range(30)]
    told = Dataset(folder_of(tmp_path / "lines", rows))
    content = (tmp_path / "lines" / "a.png").read_bytes()
    for row in told.rows.values():
        assert row.key == hashlib.blake2b(content + "\x1f".join(row.prompt).encode(), digest_size=6).hexdigest()
    assert len(told.rows) == 30 and len(opened) == 2
    (tmp_path / "table").mkdir()
    table = pyarrow.Table.from_pylist([GOOD | {"prompt": f"row {i}", "image": {"bytes": content}} for i in range(30)])
    pyarrow.parquet.write_table(table, tmp_path / "table" / "a.parquet")
    held = Dataset(tmp_path / "table")
    assert list(held.rows) == list(told.rows) and len({id(row.image) for row in held.rows.values()}) == 1
    assert len(opened) == 3


def test_the_pictures_of_a_dataset_are_bounded_in_pixels_and_in_bytes_where_that_is_asked_for(tmp_path):
    rows = [GOOD, GOOD | {"image": "./a.png", "prompt": "again"}, GOOD | {"prompt": "and again"}]
    folder = folder_of(tmp_path / "lines", rows)
    assert len(Dataset(folder, max_pixels=1600, max_bytes=0).rows) == 3, "of 40 by 20 pixels, under two names"
    with pytest.raises(
        TaskError, match=r"line 2: field 'image': the pictures may have at most 0\.0015 million pixels"
    ):
        Dataset(folder, max_pixels=1500)
    content = (folder / "a.png").read_bytes()
    (tmp_path / "table").mkdir()
    table = pyarrow.Table.from_pylist([row | {"image": {"bytes": content}} for row in rows])
    pyarrow.parquet.write_table(table, tmp_path / "table" / "a.parquet")
    assert len(Dataset(tmp_path / "table", max_bytes=3 * len(content)).rows) == 3
    with pytest.raises(TaskError, match="row 3: field 'image': the pictures may take at most 0 MB in all"):
        Dataset(tmp_path / "table", max_bytes=3 * len(content) - 1)


def test_a_policy_has_the_slots_of_the_longest_text_wherever_its_row_stands(tmp_path, own_tasks_forgotten):
    rows = [GOOD | {"prompt": f"What is number {i}?"} for i in range(COUNTED + 20)]
    for place in (0, len(rows) - 1):
        told = [row | ({"answer": "a very light grey"} if i == place else {}) for i, row in enumerate(rows)]
        task = known(f"data:{folder_of(tmp_path / f'texts_{place}', told)}")
        assert needed_slots(CorpusConfig(tasks={task: 1.0})) == {task: 6}  # the mark, four words and the end


def test_a_dataset_without_rows_of_a_split_says_so(tmp_path, own_tasks_forgotten, capsys):
    folder = folder_of(tmp_path / "few", [GOOD])
    missing = next(split for split in SPLITS if split != DataTask(folder).own_split(DataTask(folder).example))
    with pytest.raises(TaskError, match=f"the dataset few has no rows of the {missing} split"):
        make_problem(known(f"data:{folder}"), DIFFICULTIES[0], 0, missing, 0)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_without_rows_of_a_split_nothing_is_trained_and_nothing_removed(split, tmp_path, own_tasks_forgotten, capsys):
    rows = [GOOD | {"prompt": f"What is number {i}?"} for i in range(60)]
    every = DataTask(folder_of(tmp_path / "every", rows))
    kept = [row for row, key in zip(rows, every.rows.rows, strict=True) if every.own_split({"row": key}) != split]
    folder, run = folder_of(tmp_path / "fewer", kept), tmp_path / "run" / "metrics.jsonl"
    run.parent.mkdir()
    run.write_text("{}")
    words = ["pretrain", "--tasks", f"data:{folder}", "--output", str(run.parent), "--overwrite", "--threads", "1"]
    assert main([*words, "--steps", "1", "--vq_steps", "1"]) == 2
    assert f"the dataset fewer has no rows of the {split} split" in capsys.readouterr().err
    assert run.read_text() == "{}"
