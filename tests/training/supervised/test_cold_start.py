"""The cold start of a public checkpoint: adapters learn demonstrations, resumably, and every command opens them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmreason.__main__ import main
from mmreason.errors import ConfigError
from mmreason.layouts.layout import State
from mmreason.layouts.view import View
from mmreason.records import Problem, Trace
from mmreason.sampling.views.config import ViewsConfig
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.sampling.views.rollout import asked
from mmreason.tasks import TASKS, make_problem
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised.cold_start import ColdStart, cold_start
from mmreason.training.supervised.config import ColdStartConfig, LessonsConfig
from mmreason.training.supervised.lessons import Lesson, lesson_batch, lessons_of, noisy_copies
from mmreason.training.supervised.loop import success_by_difficulty, validation_problems
from mmreason.training.validation import solve_problems
from tests.helpers import public

LESSONS = LessonsConfig(problems_per_batch=1, tasks={"maze": 1.0}, difficulties={"easy": 1.0}, num_copies=1)
CONFIG = ColdStartConfig(
    steps=3, learning_rate=5e-3, warmup_steps=0, save_steps=1, eval_problems=1, lora_rank=4, lessons=LESSONS
)
TEXT = {"text_length": 40, "text_steps": 2}
PROBLEM = make_problem("maze", "easy", 3)


def pipeline(family: str = "dimoo", **changes: Any) -> ViewsPipeline:
    return public.pipeline(family, **TEXT | changes)


@pytest.mark.parametrize("family", ["dimoo", "parallel"])
@pytest.mark.parametrize("pixels", [128, 256])
def test_a_demonstration_is_shown_as_a_rollout_sees_it_and_ends_as_its_task_draws_it(family, pixels) -> None:
    pipe = pipeline(family, pixels=pixels, turn="interleaved")
    layout, demonstration = pipe.model.layout, TASKS["maze"].demonstrate(PROBLEM.spec)
    lessons = list(lessons_of(PROBLEM, pipe))
    assert [lesson.unit for lesson in lessons] == [*["text", "image"] * len(demonstration.steps), "text"]
    said = [layout.read(lesson.target_K.tolist()) for lesson in lessons[::2]]
    assert said == [*(step.thought for step in demonstration.steps), demonstration.answer]
    codes = pipe.model.codec.encode(PROBLEM.image.repeat(pixels // 128, 0).repeat(pixels // 128, 1))
    for n, lesson in enumerate(lessons):
        kind = "thought" if lesson.unit == "text" else "edit"
        cells = None
        if kind == "edit":
            places = lesson.view.slots
            assert (lesson.target_K >= layout.first_code).all() and 0 < len(places) < codes.size
            cells = np.array([i for i in range(codes.size) if _masked(layout, lesson, i)])
        view = layout.view(State(asked(PROBLEM), codes, tuple(said[: (n + 1) // 2])), kind, cells)
        assert view.ids.tolist() == lesson.view.ids.tolist()
        if cells is not None:
            codes = codes.copy()
            codes.ravel()[cells] = lesson.target_K - layout.first_code


def _masked(layout: Any, lesson: Any, code: int) -> bool:
    """Is flat ``code`` of the last picture in the view masked?"""
    ids = lesson.view.ids.tolist()
    start = len(ids) - 1 - ids[::-1].index(126_349) + 1  # after the mark of the last picture
    side = round(sum(1 for id in ids[start:] if id == 126_084))
    row, column = divmod(code, side)
    return ids[start + row * (side + 1) + column] == layout.mask


def test_validation_counts_each_difficulty_that_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, asked_of = pipeline(), list[list[tuple[str, str | None, str | None]]]()

    def solve(pipe: ViewsPipeline, problems: list[Problem], *more: Any) -> list[Trace]:
        asked_of.append([(problem.task, problem.difficulty, problem.split) for problem in problems])
        return solve_problems(pipe, problems, *more)

    monkeypatch.setattr("mmreason.training.supervised.loop.solve_problems", solve)
    sampling = pipe.sampling_config(num_steps=1, max_turns=1)
    learnt = replace(LESSONS, difficulties={"medium": 1.0, "easy": 1.0, "sudoku/hard": 1.0})
    found = success_by_difficulty(pipe, validation_problems(["maze"], learnt, 1), sampling, learnt.seed)
    assert found == {"easy": {"maze": 0.0, "mean": 0.0}, "medium": {"maze": 0.0, "mean": 0.0}}
    assert asked_of == [[("maze", level, "validation")] for level in ("easy", "medium")]


def test_mmada_is_shown_its_prompts_and_its_texts_end_as_it_ends_them() -> None:
    pipe = pipeline("mmada")
    layout, demonstration = pipe.model.layout, TASKS["maze"].demonstrate(PROBLEM.spec)
    lessons = list(lessons_of(PROBLEM, pipe))
    said = [layout.read(lesson.target_K.tolist()) for lesson in lessons if lesson.unit == "text"]
    assert said == [*(step.thought for step in demonstration.steps), demonstration.answer]
    assert all(126_348 in lesson.target_K for lesson in lessons if lesson.unit == "text")
    for lesson in lessons:
        allowed = layout.allowed(lesson.unit)
        assert allowed[torch.from_numpy(lesson.target_K)].all()
        assert np.flatnonzero(lesson.view.ids == pipe.mask).tolist() == lesson.view.slots.tolist()


def test_a_joint_turn_is_shown_whole_and_the_answers_picture_is_the_canvas_as_it_is() -> None:
    pipe = pipeline("parallel")
    demonstration, layout = TASKS["maze"].demonstrate(PROBLEM.spec), pipe.model.layout
    *turns, answer = lessons_of(PROBLEM, pipe)
    said = [*(step.thought for step in demonstration.steps), demonstration.answer]
    for lesson, text in zip((*turns, answer), said, strict=True):
        assert lesson.unit == "turn" and lesson.view.words == 40 and len(lesson.target_K) == 64 + 40
        assert layout.read(lesson.target_K[64:].tolist()) == text
    assert answer.target_K[:64].tolist() == turns[-1].target_K[:64].tolist() != turns[0].target_K[:64].tolist()
    for copy in noisy_copies(answer, pipe.mask, 8, np.random.default_rng(0)):
        assert (copy.places < 64).any() and (copy.places >= 64).any() and (copy.tokens[copy.places] == pipe.mask).all()
    first, *_, last = (row["loss/text"] + row["loss/image"] for row in ColdStart(pipe, CONFIG).steps())
    assert last < first


def test_an_edit_may_redraw_the_whole_canvas() -> None:
    lessons = list(lessons_of(PROBLEM, pipeline(), full_region=True))
    assert all(len(lesson.target_K) == 64 for lesson in lessons if lesson.unit == "image")


def test_the_first_copy_hides_all_and_the_others_some_and_what_is_asked_is_hidden() -> None:
    text, image = list(lessons_of(PROBLEM, pipeline()))[:2]
    for lesson, block in ((text, None), (image, 8), (text, 8)):
        rng = np.random.default_rng(0)
        first, *rest = noisy_copies(lesson, 126_336, 6, rng, block)
        for copy in (first, *rest):
            assert copy.view is lesson.view and len(copy.places) > 0
            assert (copy.tokens[copy.places] == 126_336).all()
            assert copy.targets.tolist() == lesson.target_K[copy.places].tolist()
            shown = copy.tokens != 126_336
            assert (copy.tokens[shown] == lesson.target_K[shown]).all()
            if lesson is text and block:  # one block is asked for; the earlier ones are there, the later ones masked
                number = set((copy.places // 8).tolist())
                assert len(number) == 1
                at = 8 * number.pop()
                assert shown[:at].all() and not shown[at + 8 :].any()
        start = first.places[0] if lesson is text and block else 0
        assert (first.tokens[start:] == 126_336).all()
        assert any((copy.tokens != 126_336).any() for copy in rest)


def test_of_two_slots_one_is_hidden_at_least_and_not_always_both() -> None:
    lesson = Lesson("image", View.of([5, 126_336, 126_336, 9], 126_336), np.array([7, 8]))
    hidden = [len(copy.places) for copy in noisy_copies(lesson, 126_336, 50, np.random.default_rng(0))]
    assert hidden[0] == 2 and set(hidden) == {1, 2}


def test_a_batch_is_a_function_of_its_number_and_the_seed() -> None:
    pipe, lessons = pipeline(), replace(LESSONS, problems_per_batch=2, full_region_share=0.5)

    def ids(config: LessonsConfig, index: int) -> list[list[int]]:
        return [copy.tokens.tolist() for copies in lesson_batch(config, pipe, index).values() for copy in copies]

    assert ids(lessons, 1) == ids(lessons, 1)
    assert ids(lessons, 1) != ids(lessons, 2) and ids(lessons, 1) != ids(replace(lessons, seed=1), 1)


@pytest.mark.parametrize("attention", ["full", "prefix"])
def test_the_loss_falls_the_base_stays_and_parts_add_up(attention: str) -> None:
    pipe = pipeline(attention=attention)
    config = replace(CONFIG, steps=4, learning_rate=3e-2)
    state = ColdStart(pipe, config)
    bits = {n: p.clone() for n, p in state.adapter.peft.named_parameters() if "lora_" not in n}
    losses = [row["loss/text"] + row["loss/image"] for row in state.steps()]
    assert losses[-1] < losses[0] - 1
    assert all(torch.equal(p, bits[n]) for n, p in state.adapter.peft.named_parameters() if "lora_" not in n)
    batch = lesson_batch(config.lessons, pipe, 0)
    gradients = []
    for tokens in (100, 100_000):
        state.config = replace(config, lessons=replace(LESSONS, tokens_per_part=tokens))
        state._gradients(batch)
        gradients.append(torch.cat([p.grad.ravel() for p in state.adapter.parameters if p.grad is not None]))
        state.optimizer.zero_grad()
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def not_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the rollouts of validation, of ten turns each."""
    monkeypatch.setattr("mmreason.training.supervised.cold_start.success_by_difficulty", lambda *_: {"easy": {}})


@pytest.mark.usefixtures("not_validated")
def test_a_killed_and_resumed_run_ends_bit_for_bit_where_an_uninterrupted_one_ends(tmp_path: Path) -> None:
    def kill(row: dict[str, Any]) -> None:
        if row["step"] == 2:
            raise Killed

    cold_start(RunDirectory(tmp_path / "whole"), CONFIG, pipeline())
    with pytest.raises(Killed):
        cold_start(RunDirectory(tmp_path / "cut"), CONFIG, pipeline(), on_step=kill)
    assert cold_start(RunDirectory(tmp_path / "cut"), CONFIG, pipeline(), resume=True)["resumed_from"] == 2
    whole, cut = (tmp_path / name / "checkpoint" / "adapter_model.safetensors" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()
    rows = [RunDirectory(tmp_path / name).read_metrics() for name in ("whole", "cut")]
    clock = ("tokens_per_second", "problems_per_second")
    told = [[{k: v for k, v in row.items() if k not in clock} for row in each] for each in rows]
    assert told[0] == told[1] and [row["step"] for row in told[0]] == [1, 2, 3]
    with pytest.raises(ConfigError, match=r"lessons.num_copies \(there 1, now 2\)"):
        cold_start(
            RunDirectory(tmp_path / "cut"), replace(CONFIG, lessons=replace(LESSONS, num_copies=2)), pipeline(), True
        )


def test_where_another_trains_nothing_is_removed(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with RunDirectory(tmp_path).held(), pytest.raises(ConfigError, match="is in use"):
        cold_start(RunDirectory(tmp_path), CONFIG, pipeline())
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'


@pytest.mark.usefixtures("not_validated")
def test_every_command_opens_what_the_cold_start_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start, run = tmp_path / "start", tmp_path / "run"
    small = ["--tasks", "maze", "--difficulty", "easy", "--max_turns", "1", "--num_steps", "1", "--text_steps", "1"]
    asked_for = ["--checkpoint", str(public.folder()), "--lora_rank", "2", "--steps", "1", "--output", str(start)]
    views = ["--text_length", "40", "--pixels", "128", "--attention", "prefix", "--text_steps", "1"]
    lessons = ["--tasks", "maze", "--difficulty", "easy", "--problems_per_batch", "1", "--num_copies", "1"]
    assert main(["pretrain", *asked_for, *views, *lessons, "--eval_problems", "1", "--json", "--threads", "1"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["step"] == 1 and said["resumed_from"] is None and said["loss/text"] > 0 and "success" in said
    checkpoint = str(start / "checkpoint")
    again = ViewsPipeline.from_pretrained(checkpoint)
    assert again.views == ViewsConfig(attention="prefix", text_length=40, pixels=128, text_steps=1)
    out = ["--out", str(tmp_path / "t.json"), "--json"]
    solved = ["--task", "maze", *small[2:], *out]
    assert main(["solve", "--checkpoint", checkpoint, *solved]) == 0
    assert json.loads(capsys.readouterr().out)["attention"] == "prefix"
    assert main(["evaluate", "--checkpoint", checkpoint, *small, "--problems", "1", "--json"]) == 0
    capsys.readouterr()
    train = ["--num_problems", "1", "--num_generations", "2", "--steps", "1", "--eval_problems", "1"]
    assert main(["train", "--checkpoint", checkpoint, *small, *train, "--output", str(run), "--json"]) == 0
    assert ViewsPipeline.from_pretrained(str(run / "checkpoint")).model.adapter is not None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "lora_rank must be at least 1"),
        (["--lora_rank", "65"], "lora_rank must be from 1 to 64, got 65"),
        (["--lora_rank", "2", "--hint_weight", "1"], "--hint_weight is for a policy of ours"),
        (["--lora_rank", "2", "--hidden_size", "64"], "--hidden_size is for a policy of ours"),
        (["--lora_rank", "2", "--vq_steps", "10"], "--vq_steps is for a policy of ours"),
        (["--lora_rank", "2", "--difficulty", "easy", "sudoku/hard"], "which are maze, got 'sudoku/hard'"),
        (["--lora_rank", "2", "--causal"], "--causal is for a policy of ours"),
        (["--lora_rank", "2", "--attention", "blocks"], "attention must be one of full, prefix, got 'blocks'"),
        (["--lora_rank", "2", "--text_length", "8"], "a text must have at most 7 tokens"),
        (["--lora_rank", "2", "--pixels", "96"], "pixels must be a multiple of 128"),
        (["--lora_rank", "2", "--text_length", "10", "--block_length", "4"], "block_length must divide text_length"),
        (
            ["--checkpoint", "checkpoints/base", "--lora_rank", "2"],
            "--lora_rank is for checkpoints of public families",
        ),
        (["--checkpoint", "checkpoints/base", "--pixels", "256"], "--pixels is for checkpoints of public families"),
        (["--checkpoint", "checkpoints/base", "--attention", "prefix"], "attention must be one of blocks, full"),
        (["--checkpoint", "checkpoints/base", "--hidden_size", "512"], "--hidden_size is for a new policy"),
        (["--checkpoint", "checkpoints/base", "--vq_steps", "9"], "--vq_steps is for a new policy"),
    ],
)
def test_what_cannot_be_is_one_sentence(words: list[str], says: str, tmp_path: Path, capsys) -> None:
    output = ["--output", str(tmp_path / "run"), "--tasks", "maze", "--threads", "1"]
    assert main(["pretrain", "--checkpoint", str(public.folder()), *output, *words]) == 2
    assert says in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "run" / "checkpoint").exists()


# three blocks, which the eight steps of a text cannot share
THIRDS = ["--lora_rank", "2", "--text_length", "60", "--block_length", "20"]


@pytest.mark.parametrize("wrong", [["--lora_rank", "65"], ["--lora_rank", "2", "--text_length", "8"], THIRDS])
def test_a_wrong_setting_removes_nothing(wrong: list[str], tmp_path: Path) -> None:
    kept = tmp_path / "run" / "checkpoint" / "views.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    words = ["--output", str(tmp_path / "run"), "--overwrite", "--tasks", "maze", "--threads", "1", *wrong]
    assert main(["pretrain", "--checkpoint", str(public.folder()), *words]) == 2
    assert kept.read_text() == "{}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--checkpoint", "checkpoints/base", "--causal"], "causal must be False, as in the checkpoint, got True"),
        (["--checkpoint", "checkpoints/base", "--tasks", "chart_refocus"], "the checkpoint does not know the task"),
        (["--hidden_size", "200"], "hidden_size of the transformer must be a multiple of twice its 3 attention heads"),
        (["--hidden_size", "150"], "hidden_size of the transformer must be a multiple of twice its 2 attention heads"),
        (["--num_attention_heads", "7"], "must be a multiple of twice its 7 attention heads, got 192"),
        (
            ["--tasks", "jigsaw", "sudoku", "--difficulty", "easy", "jigsaw/hard", "maze/hard"],
            "difficulties must be of tasks that are learnt, which are jigsaw, sudoku, got 'maze/hard'",
        ),
        (["--image_tokenizer", "checkpoints/base", "--vq_steps", "9"], "--vq_steps is for a new image tokenizer"),
    ],
)
def test_of_a_policy_of_ours_too_a_wrong_setting_removes_nothing(words, says, tmp_path, capsys) -> None:
    kept = tmp_path / "run" / "checkpoint" / "kept.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    assert main(["pretrain", "--output", str(tmp_path / "run"), "--overwrite", "--threads", "1", *words]) == 2
    assert says in capsys.readouterr().err.strip().splitlines()[-1]
    assert kept.read_text() == "{}"
