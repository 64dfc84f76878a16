"""What a browser solves with is what Python solves with: the same scores, the same tokens, the same verdict.

The modules run in node.  ``MMREASON_BROWSER_PUZZLES=42`` compares as many puzzles of each task, all that are shipped,
and says how they end and what they take.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmreason.errors import ConfigError
from mmreason.layouts.cells import Piece
from mmreason.layouts.packing import pack
from mmreason.records import ANSWER, DIFFICULTIES, EDIT, GRID, NUM_CELLS, Trace, cell_word, parse_boxes
from mmreason.rewards.verify import Verifier
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.tasks import FIRST_TASKS, split_of_problem, task_named
from mmreason.traces.sheet import sheet_value
from mmreason.ui.browser.files import solver_files, stored_puzzles
from mmreason.ui.browser.problems import ALONE, Puzzle, cell_tables, counted_cells, puzzles, stand_ins, walk_cells
from mmreason.ui.browser.weights import sampling_settings, stored_model
from mmreason.ui.solve.playback import Playback

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("driver.mjs")
PUZZLES = int(os.environ.get("MMREASON_BROWSER_PUZZLES", "1"))
LARGEST_DIFFERENCE = 1e-4  # of logits and log-probabilities

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")


class Node:
    """Has the driver do something, and gives what it tells; ``seconds`` of one core is what that took."""

    def __init__(self, folder: Path) -> None:
        self.path, self.seconds = folder / "asked.json", 0.0

    def __call__(self, asked: dict[str, Any]) -> Any:
        self.path.write_text(json.dumps(asked))
        done = subprocess.run(["node", str(DRIVER), str(self.path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        self.seconds = said["seconds"]
        return said["told"]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture(scope="module")
def plain() -> InterleavedReasoningPipeline:
    return InterleavedReasoningPipeline.from_pretrained(ROOT / "checkpoints" / "base")


@pytest.fixture(scope="module")
def rounded(plain: InterleavedReasoningPipeline) -> InterleavedReasoningPipeline:
    return as_in_a_browser(plain)


def as_in_a_browser(pipe: InterleavedReasoningPipeline) -> InterleavedReasoningPipeline:
    """The same checkpoint with weights of 16 bits."""
    parts = {name: part for name, part in pipe.components.items() if name != "transformer"}
    transformer = copy.deepcopy(pipe.transformer)
    for weight in transformer.parameters():
        weight.data = weight.data.half().float()
    return InterleavedReasoningPipeline(transformer=transformer, **parts)


@pytest.fixture(scope="module")
def found(rounded: InterleavedReasoningPipeline) -> list[Puzzle]:
    return puzzles(rounded, each=-(-max(PUZZLES, 3) // len(DIFFICULTIES)))


def job_of(puzzle: Puzzle, pipe: InterleavedReasoningPipeline, sampling: dict[str, Any]) -> dict[str, Any]:
    codes = pipe.encode_image(puzzle.problem.image) - pipe.first_code
    return {"prompt": puzzle.stored["prompt"], "canvas": codes.tolist(), "sampling": sampling}


def of_python(trace: Trace) -> list[list[Any]]:
    """Every step of a trace: where it was, what stood there, and what was committed."""
    return [
        [segment.kind, segment.turn, list(segment.cells), list(frame.tokens), list(frame.committed)]
        for segment in trace.segments
        for frame in segment.frames
    ]


def of_browser(steps: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """The same of a browser's rollout; what kind of text it is shows when it is done."""
    kinds: dict[tuple[int, bool], str] = {(s["turn"], s["cells"] is None): s["kind"] for s in steps}
    return [
        [kinds[s["turn"], s["cells"] is None], s["turn"], s["cells"] or [], s["tokens"], s["committed"]] for s in steps
    ]


def assert_same(trace: Trace, told: dict[str, Any]) -> None:
    assert of_browser(told["steps"]) == of_python(trace)
    assert told["ended"] == trace.end_reason
    assert (told["passes"], told["tokens"]) == (trace.cost.forward_passes, trace.cost.tokens_forwarded)
    sure = [one for segment in trace.segments for frame in segment.frames for one in frame.logprobs]
    np.testing.assert_allclose([one for s in told["steps"] for one in s["logprobs"]], sure, atol=LARGEST_DIFFERENCE)


def test_a_number_of_16_bits_is_read_as_numpy_reads_it(node):
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
    told = np.array([float(text.replace("Infinity", "inf")) for text in node({"do": "halves"})])
    np.testing.assert_array_equal(told, halves)


def test_a_thought_names_the_cells_that_python_reads(node, tiny_pipe):
    """Or is refused in the same words: without <edit>, with half a box, with what is no cell of the canvas."""
    rng = np.random.default_rng(1)
    cells = [cell_word(int(row), int(column)) for row, column in rng.integers(1, 9, (60, 2))]
    others = ["r9c1", "r1c9", "r0c1", "r12c3", "right", "3", EDIT, "r1c1c1"]
    texts = [[], [EDIT], ["right", "3"], ["right", EDIT, "r1c1", "r8c8"]]
    for _ in range(300):
        words = rng.choice(cells, size=int(rng.integers(1, 6))).tolist()
        if rng.random() < 0.3:
            words[int(rng.integers(len(words)))] = str(rng.choice(others))
        texts.append(["total", EDIT, *words])
    wanted = [parse_boxes(words) for words in texts]
    told = node({"do": "regions", "texts": texts, "grid": GRID})
    assert told == [each if isinstance(each, str) else tiny_pipe.layout.tokens_in(each).tolist() for each in wanted]
    assert len({each for each in wanted if isinstance(each, str)}) > 8


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_step_commits_what_the_scheduler_commits(node, temperature):
    """For every order, schedule, number of steps and threshold, near-equal scores included."""
    rng = np.random.default_rng(5)
    cases, wanted = [], []
    scheduler = MaskedDiffusionScheduler()
    for order in ("confidence", "entropy"):
        for schedule in ("equal", "cosine"):
            for num_steps, threshold in ((4, None), (1, None), (6, 0.6), (None, 0.4)):
                for step in range(4):
                    logits = (rng.normal(size=(9, 7)) * rng.choice([0.5, 3, 12])).astype(np.float32)
                    logits[5] = logits[2]  # as sure as each other
                    masked = rng.random(9) < 0.7
                    masked[3] = True
                    uniform = rng.random(9)
                    settings: dict[str, Any] = {"num_steps": num_steps, "threshold": threshold, "order": order}
                    settings |= {"schedule": schedule, "temperature": temperature}
                    output = scheduler.step(
                        torch.tensor(logits)[None],
                        step,
                        torch.full((1, 9), -1),
                        torch.tensor(masked)[None],
                        torch.ones(7, dtype=torch.bool),
                        torch.tensor(uniform)[None],
                        SamplingConfig(**settings),
                    )
                    (places,) = np.nonzero(output.committed_BL[0].numpy())
                    tokens, sure = output.tokens_BL[0].tolist(), output.logprob_BL[0].tolist()
                    wanted.append([(place, tokens[place], pytest.approx(sure[place], abs=1e-5)) for place in places])
                    case = {"logits": logits.ravel().tolist(), "masked": masked.tolist(), "step": step}
                    cases.append(case | {"sampling": settings, "uniform": uniform.tolist()})
    told = node({"do": "commits", "cases": cases})
    assert [[(one["position"], one["one"], one["logprob"]) for one in each] for each in told] == wanted
    assert len({len(each) for each in wanted}) > 3


def test_scores_on_the_cache_are_those_of_python_without_one(node, rounded, found):
    """All that comes before in one forward, under the attention rule, against a cache that grew piece by piece."""
    puzzle = found[0]
    (trace,) = rounded([puzzle.problem], SamplingConfig(**sampling_settings())).traces
    layout, codes = rounded.layout, rounded.encode_image(puzzle.problem.image)
    kept = [layout.problem_piece(puzzle.stored["prompt"], codes), *layout.clean_pieces(trace.segments[:3])]
    noisy = layout.edit_piece(np.full(NUM_CELLS, layout.mask), np.arange(NUM_CELLS), 2, copy=1)
    packed = pack([[*kept, noisy]], layout.pad)
    with torch.no_grad():
        mask = packed.attention_mask()
        hidden = rounded.transformer(packed.ids_BL, packed.positions_BLP, mask).hidden_BLD[0, -NUM_CELLS:]
        wanted = rounded.transformer.logits(hidden).numpy()

    def written(piece: Piece) -> dict[str, Any]:
        return {"ids": piece.ids.tolist(), "positions": piece.positions.ravel().tolist()}

    model = stored_model(rounded)
    told = node({"do": "scores", "model": model, "kept": [written(p) for p in kept], "piece": written(noisy)})
    difference = np.abs(np.array(told).reshape(wanted.shape) - wanted).max()
    assert difference < LARGEST_DIFFERENCE, difference


@pytest.mark.parametrize(("temperature", "max_turns"), [(0.0, 16), (0.8, 1)])
def test_a_rollout_is_that_of_python_token_for_token(node, rounded, plain, found, temperature, max_turns):
    """All four tasks: words, pictures, order, why it ended, cost; at a temperature with Python's random numbers."""
    sampling = sampling_settings() | {"temperature": temperature, "max_turns": max_turns}
    config, count = SamplingConfig(**sampling), 1 if temperature else PUZZLES
    chosen = [p for task in FIRST_TASKS for p in [p for p in found if p.problem.task == task][:count]]
    began = time.process_time()
    traces = [rounded([puzzle.problem], config, seeds=[7]).traces[0] for puzzle in chosen]
    seconds = time.process_time() - began
    jobs = [job_of(puzzle, rounded, sampling) for puzzle in chosen]
    for job, trace in zip(jobs, traces, strict=True):
        if temperature:
            generator = torch_generator("rollout", 7, 0)
            frames = [frame for segment in trace.segments for frame in segment.frames]
            job["uniform"] = [x for f in frames for x in torch.rand(len(f.tokens), generator=generator).tolist()]
    told = node({"do": "solves", "model": stored_model(rounded), "jobs": jobs})
    for trace, each in zip(traces, told, strict=True):
        assert_same(trace, each)
    assert {trace.end_reason for trace in traces} >= ({"answered"} if max_turns > 1 else {"out of turns"})
    if PUZZLES > 1 and not temperature:
        verifier = Verifier(rounded.words, rounded.sheet)
        whole = [plain([puzzle.problem], config).traces[0] for puzzle in chosen]
        same = [a.segments[-1].tokens == b.segments[-1].tokens for a, b in zip(traces, whole, strict=True)]
        scored = [verifier.score(trace) for trace in traces]
        ended = [t.segments[-1].kind == "answer" and t.segments[-1].reward == 1 for t in scored]
        print(
            f"{len(chosen)} puzzles the same token for token; {sum(same)} end the same with the weights as they are; "
            f"{sum(ended)} finished with the right answer, {sum(t.success for t in scored)} right all the way; "
            f"{node.seconds / len(chosen):.2f} s each in node, {seconds / len(chosen):.2f} s in Python, on one core"
        )


def test_a_policy_that_cannot_be_followed_ends_there_for_the_same_reason(node, tiny_pipe):
    """An untrained one, with other settings: in the same words, whatever it says."""
    settings: dict[str, Any] = {"num_steps": 3, "order": "entropy", "schedule": "cosine", "threshold": 0.9}
    pipe, sampling = as_in_a_browser(tiny_pipe), sampling_settings() | settings
    found = puzzles(pipe, each=1)
    traces = [pipe([puzzle.problem], SamplingConfig(**sampling)).traces[0] for puzzle in found]
    jobs = [job_of(puzzle, pipe, sampling) for puzzle in found]
    for trace, each in zip(traces, node({"do": "solves", "model": stored_model(pipe), "jobs": jobs}), strict=True):
        assert_same(trace, each)
        assert "the thought" in trace.end_reason


def test_the_verdict_is_that_of_python_on_finished_pictures_and_every_kind_of_wrong_one(node, rounded, found):
    """However a puzzle was solved: by another way than expected, too; with one cell wrong, or another answer.

    Of picture and answer apart, too: an answer may be true of a picture that is not finished.
    """
    rng = np.random.default_rng(3)
    verifier, tables, walks = Verifier(rounded.words, rounded.sheet), cell_tables(rounded), walk_cells()
    others, counts = stand_ins(puzzle.problem for puzzle in found), counted_cells()
    cases, wanted = [], []
    for puzzle in found:
        problem, task = puzzle.problem, task_named(puzzle.problem.task)
        code_of = {drawing: code for code, drawing in reversed(list(enumerate(tables[task.name])))}
        ends = [task.demonstrate(problem.spec).steps[-1].canvas, *(_another_way(task, problem, rng) for _ in range(3))]
        expected = puzzle.stored["answers"][0]
        for end in ends:
            codes = np.vectorize(code_of.__getitem__)(end).ravel()
            tries = [
                (codes, answer) for answer in (*puzzle.stored["answers"], f"{ANSWER} 3 moves", f"{ANSWER} solved", "")
            ]
            for _ in range(12):
                wrong = codes.copy()
                wrong[rng.integers(NUM_CELLS)] = code_of[int(rng.choice(np.unique(np.append(end, problem.canvas))))]
                tries.append((wrong, expected))
                tries.append((wrong, f"{ANSWER} {rng.integers(5)} {rng.choice(task.words)}"))
            placed = np.flatnonzero(end != problem.canvas)
            for cell in rng.permutation(placed)[:4]:  # which may look otherwise and be as good
                for other in others[task.name].get(int(end.flat[cell]), [])[:2]:
                    tries.append((np.where(np.arange(NUM_CELLS) == cell, code_of[other], codes), expected))
            tries.append((np.roll(codes, 1), expected))
            for shown, answer in tries:
                canvas_HW = verifier.shown(task.name, shown + rounded.first_code)
                said = answer.split()
                verdict = task.check_answer(problem.spec, canvas_HW, said[1:])
                true, picture = bool(verdict.components["true"]), task.is_solved(problem.spec, canvas_HW)
                answers = said[:1] == [ANSWER]
                wanted.append({"picture": picture, "answer": answers and true, "right": answers and verdict.right})
                drawings = {
                    "cells": tables[task.name],
                    "standIns": others[task.name],
                    "walk": walks.get(task.name),
                    "count": counts.get(task.name),
                    "alone": task.name in ALONE,
                }
                case = {"ending": puzzle.stored, "drawings": drawings}
                cases.append(case | {"codes": shown.tolist(), "answer": answer})
    told = node({"do": "verdicts", "cases": cases})
    assert told == wanted
    assert 0.1 < np.mean([each["right"] for each in wanted]) < 0.9
    assert {(each["picture"], each["answer"]) for each in wanted} == {(a, b) for a in (0, 1) for b in (0, 1)}


def _another_way(task: Any, problem: Any, rng: np.random.Generator) -> np.ndarray:
    """A finished picture, by right edits in an order of their own."""
    canvas_HW, everywhere = problem.canvas, np.ones_like(problem.canvas, bool)
    for turn in range(1, 17):
        if task.is_solved(problem.spec, canvas_HW):
            return canvas_HW
        accepted = task.accepted_edits(problem.spec, canvas_HW, everywhere, turn)
        canvas_HW = accepted[int(rng.integers(len(accepted)))]
    raise AssertionError(f"{problem.task} {problem.seed} is not solved by right edits")


def test_the_player_shows_what_the_live_page_would_show(node, rounded, found):
    """But for verdicts on the way, which a browser does not give: of the answer it gives that of the live page."""
    sampling = sampling_settings()
    chosen = [next(p for p in found if p.problem.task == task) for task in ("jigsaw", "sudoku", "transform")]
    told = node(
        {
            "do": "plays",
            "model": stored_model(rounded),
            "jobs": [job_of(puzzle, rounded, sampling) for puzzle in chosen],
            "puzzles": stored_puzzles(rounded, chosen),
        }
    )
    for puzzle, value in zip(chosen, told, strict=True):
        (trace,) = rounded([puzzle.problem], SamplingConfig(**sampling)).traces
        _, wanted = Playback(rounded.words, rounded.sheet).update(trace, "finished")
        for name in ("state", "problem", "canvas_codes", "end_reason", "right", "expected", "advice", "link"):
            assert value[name] == (wanted[name] if name != "advice" else None), name
        assert value["sheet"] == sheet_value(rounded.sheet)
        assert value["cost"] == wanted["cost"] | {"seconds": 1}
        assert value["settings"].items() <= wanted["settings"].items()
        *before, answer = value["segments"]
        assert all(segment["verdict"] is segment["reward"] is None for segment in before)
        last = wanted["segments"][-1]
        assert (answer["reward"], answer["verdict"]["right"]) == (last["reward"], last["verdict"]["right"])
        assert value["success"] == last["verdict"]["right"]
        for is_one, should in zip(value["segments"], wanted["segments"], strict=True):
            for name in ("kind", "turn", "done", "region", "cells"):
                assert is_one[name] == should[name], name
            for shown, frame in zip(is_one["frames"], should["frames"], strict=True):
                assert shown | {"probability": 0} == frame | {"probability": 0}
                np.testing.assert_allclose(shown["probability"], frame["probability"], atol=2e-4)


def test_puzzles_are_distinct_and_none_is_of_the_training_split(found):
    assert {split_of_problem(puzzle.problem) for puzzle in found} == {"test"}
    assert len({(p.problem.task, p.problem.canvas.tobytes()) for p in found}) == len(found)
    per = {(task, difficulty) for task in FIRST_TASKS for difficulty in DIFFICULTIES}
    assert {(p.problem.task, p.problem.difficulty) for p in found} == per


def test_other_checkpoints_are_refused_in_a_sentence(tiny_pipe, monkeypatch):
    monkeypatch.setattr(tiny_pipe.transformer.config, "attention", "full")
    with pytest.raises(ConfigError, match="must have attention blocks"):
        solver_files(tiny_pipe, "tiny")
