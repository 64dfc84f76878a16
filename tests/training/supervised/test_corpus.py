"""What holds of the training batches: pure functions of config and index, asked only where masked.

Axes: B rows, L sequence positions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmreason.errors import ConfigError, TaskError
from mmreason.layouts.cells import CellsLayout
from mmreason.layouts.packing import PADDING
from mmreason.records import DIFFICULTIES, MAX_TEXT_TOKENS, NUM_CELLS
from mmreason.seeds import numpy_generator
from mmreason.tasks import FIRST_TASKS, TASKS, atlas, make_problem, split_of
from mmreason.tasks.task import NO_HINT
from mmreason.training.supervised import corpus as corpus_module
from mmreason.training.supervised.config import CorpusConfig
from mmreason.training.supervised.corpus import (
    NO_TARGET,
    Batch,
    DemonstrationBatches,
    Encoder,
    collate,
    needed_slots,
    noisy_row,
)
from tests.helpers.policies import NUM_CODES, encoder, layout, text_tokenizer, vocabulary, words

CONFIG = CorpusConfig(seed=3, problems_per_batch=30, num_copies=3)
TEXT = 1  # segment numbers are odd for texts, even and above zero for edits


def batches(config: CorpusConfig = CONFIG, num_batches: int = 10, split: str = "train") -> DemonstrationBatches:
    return DemonstrationBatches(config, encoder(), num_batches, split)


@pytest.fixture(scope="module")
def parts() -> list[Batch]:
    return batches()[4]


def fields(part: Batch) -> tuple[torch.Tensor, ...]:
    p = part.packed
    return p.ids_BL, p.positions_BLP, p.segment_BL, p.copy_BL, part.target_BL, part.hint_BL


def equal(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape and bool((x == y).all())
        for one, other in zip(a, b, strict=True)
        for x, y in zip(fields(one), fields(other), strict=True)
    )


def canvases(part: Batch) -> list[tuple[str, np.ndarray]]:
    """Task and start canvas (local cell ids) of every row, read back from the packed ids."""
    found = []
    for ids in part.packed.ids_BL:
        task = words()[int(ids[0])].strip("<>")
        cells = ids[1 : 1 + NUM_CELLS].numpy() - vocabulary().num_text
        found.append((task, atlas().local_ids(task, cells).reshape(8, 8)))
    return found


# Purity


def test_a_batch_is_a_pure_function_of_config_and_index(parts):
    other = batches(num_batches=99)
    other[0]
    assert equal(other[4], parts)
    assert not equal(other[5], parts)
    assert not equal(batches(CorpusConfig(seed=4, problems_per_batch=30, num_copies=3))[4], parts)


def test_tasks_and_masks_are_drawn_anew_for_every_batch():
    single = CorpusConfig(problems_per_batch=1, num_copies=1)
    drawn = [task for i in range(12) for part in batches(single, 12)[i] for task, _ in canvases(part)]
    assert len(set(drawn)) > 1
    alike = CorpusConfig(problems_per_batch=1, tasks={"transform": 1.0}, difficulties={"easy": 1.0})
    first_thought = [
        (part.target_BL != NO_TARGET)[(part.packed.segment_BL == 1) & (part.packed.copy_BL == 2)].tolist()
        for i in range(4)
        for part in batches(alike)[i]
    ]
    assert len({tuple(asked) for asked in first_thought}) == 4


def test_no_problem_comes_twice_in_neighbouring_batches():
    config = CorpusConfig(problems_per_batch=20, num_copies=1, tasks={"maze": 1.0})
    seen = [canvas.tobytes() for i in range(3) for part in batches(config)[i] for _, canvas in canvases(part)]
    assert len(set(seen)) == len(seen) == 60


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_problem_of_a_batch_belongs_to_the_split_asked_for(split):
    config = CorpusConfig(problems_per_batch=60, num_copies=1, difficulties={"easy": 1.0})
    drawn = [pair for part in batches(config, split=split)[0] for pair in canvases(part)]
    assert len(drawn) == 60
    assert {task for task, _ in drawn} == set(FIRST_TASKS)
    assert {split_of(task, canvas_HW) for task, canvas_HW in drawn} == {split}


def test_a_difficulty_of_one_task_comes_in_that_task_alone_as_often_as_its_weight_says():
    config = CorpusConfig(problems_per_batch=300, num_copies=1, difficulties={"easy": 3.0, "transform/hard": 1.0})
    assert config.drawn == ["easy", "hard"]
    turns = {task: [] for task in FIRST_TASKS}
    for part in batches(config)[0]:
        last = part.packed.segment_BL.amax(dim=1)
        for (task, _), segment in zip(canvases(part), last.tolist(), strict=True):
            turns[task].append((segment + 1) // 2 - 1)
    limits = {task: TASKS[task].turns["easy"][1] for task in FIRST_TASKS}
    for task, found in turns.items():
        beyond = sum(count > limits[task] for count in found) / len(found)
        assert (0.1 < beyond < 0.4) if task == "transform" else beyond == 0, task


# Targets


def test_something_is_asked_exactly_where_a_token_is_masked(parts):
    for part in parts:
        masked = part.packed.ids_BL == vocabulary().mask
        assert torch.equal(part.target_BL != NO_TARGET, masked)
        assert (part.packed.copy_BL[masked] > 0).all()


def test_targets_put_into_the_masks_give_the_demonstration():
    problem = make_problem("jigsaw", "medium", 0, "train")
    example = encoder().example(problem)
    row = noisy_row(example, 3, layout(), numpy_generator("row"))
    assert len(row.noisy) == len(row.targets) == 3 * len(example.segments)
    for i, (piece, target) in enumerate(zip(row.noisy, row.targets, strict=True)):
        _, _, ids = example.segments[i // 3]
        assert np.where(target == NO_TARGET, piece.ids, target).tolist() == list(ids)
        assert piece.copy == i % 3 + 1
        hidden = target != NO_TARGET
        assert hidden.any()
        if piece.copy == 1:  # as the sampler begins
            assert hidden.all()
    assert any((t == NO_TARGET).any() for t in row.targets)


def test_text_asks_for_words_and_edits_ask_for_codes(parts):
    for part in parts:
        asked = part.target_BL != NO_TARGET
        is_text = part.packed.segment_BL % 2 == TEXT
        assert vocabulary().allowed("text")[part.target_BL[asked & is_text]].all()
        assert vocabulary().allowed("image")[part.target_BL[asked & ~is_text]].all()
        assert (asked & is_text).any()
        assert (asked & ~is_text).any()


def test_every_segment_has_its_noisy_copies_and_a_clean_one_unless_it_is_the_answer():
    problem = make_problem("maze", "medium", 1, "train")
    part = collate([noisy_row(encoder().example(problem), 2, layout(), numpy_generator("row"))], layout())
    segment, copy = part.packed.segment_BL[0], part.packed.copy_BL[0]
    answer = 2 * problem.turns + 1
    for number in range(1, answer + 1):
        copies = set(copy[segment == number].tolist())
        assert copies == ({1, 2} if number == answer else {0, 1, 2})
        if number % 2 == TEXT:
            assert ((segment == number) & (copy == 1)).sum() == MAX_TEXT_TOKENS
    assert segment.max() == answer
    assert set(segment.tolist()) == {PADDING, *range(answer + 1)} or PADDING not in segment


RANGES = {"maze": (0, 28), "jigsaw": (28, 16), "sudoku": (44, 4), "transform": (48, 4)}  # as checkpoints have them


def test_the_hints_lie_on_the_start_canvas_in_the_range_of_their_task(parts):
    for part in parts:
        start = slice(1, 1 + NUM_CELLS)
        beside = part.hint_BL.clone()
        beside[:, start] = NO_HINT
        assert (beside == NO_HINT).all()
        for hints, (task, _) in zip(part.hint_BL[:, start], canvases(part), strict=True):
            first, count = RANGES[task]
            given = hints[hints != NO_HINT]
            assert len(given)
            assert given.min() >= first
            assert given.max() < first + count


def test_hints_are_never_an_input(parts):
    ids = torch.cat([part.packed.ids_BL.flatten() for part in parts])
    assert int(ids.max()) < vocabulary().size
    problem = make_problem("sudoku", "easy", 0, "train")
    example = encoder().example(problem)
    blind = type(example)(example.prompt, example.canvas, example.segments, np.full(NUM_CELLS, NO_HINT))
    one, other = (collate([noisy_row(e, 2, layout(), numpy_generator("row"))], layout()) for e in (example, blind))
    assert torch.equal(one.packed.ids_BL, other.packed.ids_BL)


def test_a_batch_comes_in_parts_that_hold_all_its_problems(parts):
    assert sum(part.num_problems for part in parts) == CONFIG.problems_per_batch
    assert all(part.num_problems == len(part.target_BL) <= CONFIG.rows_per_part for part in parts)


def test_with_full_regions_every_edit_redraws_the_whole_canvas():
    config = CorpusConfig(problems_per_batch=4, num_copies=1, full_region_share=1.0)
    for part in batches(config)[0]:
        packed = part.packed
        for segment in range(2, int(packed.segment_BL.max()), 2):
            sizes = ((packed.segment_BL == segment) & (packed.copy_BL == 1)).sum(1)
            assert set(sizes.tolist()) <= {0, NUM_CELLS}


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_a_task_is_given_the_slots_that_its_texts_need_and_no_more(task):
    slots = needed_slots(CorpusConfig(tasks={task: 1.0}))
    problems = [make_problem(task, difficulty, 5, "train", i) for difficulty in DIFFICULTIES for i in range(8)]
    few = Encoder(CellsLayout(text_tokenizer(), NUM_CODES, text_slots=slots), encoder().code_of_cell)
    fewer = Encoder(
        CellsLayout(text_tokenizer(), NUM_CODES, text_slots={task: slots[task] - 1}), encoder().code_of_cell
    )
    texts = [ids for p in problems for _, cells, ids in few.example(p).segments if cells is None]
    end = few.layout.vocabulary.end
    assert {len(ids) for ids in texts} == {slots[task]} and all(ids[-1] == end for ids in texts)
    assert any(end not in ids[:-1] for ids in texts)
    with pytest.raises(TaskError, match=f"is too long: at most {slots[task] - 2} fit"):
        for problem in problems:
            fewer.example(problem)


def test_a_demonstration_of_many_turns_may_begin_late_too(monkeypatch):
    problem = replace(make_problem("maze", "easy", 3), turns=14)
    monkeypatch.setattr(corpus_module, "drawn", lambda *_: [(problem, False)])
    config = CorpusConfig(problems_per_batch=1, num_copies=1, late_start_share=1.0)
    assert sum(part.num_problems for part in batches(config)[0]) == 1


def test_tasks_and_difficulties_come_by_their_weights():
    config = CorpusConfig(problems_per_batch=200, num_copies=1, tasks={"sudoku": 3.0, "jigsaw": 1.0})
    drawn = [task for part in batches(config)[0] for task, _ in canvases(part)]
    assert set(drawn) == {"sudoku", "jigsaw"}
    assert drawn.count("sudoku") / 200 == pytest.approx(0.75, abs=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"problems_per_batch": 0},
        {"num_copies": 0},
        {"rows_per_part": 0},
        {"tokens_per_part": 0},
        {"tasks": {"chess": 1.0}},
        {"difficulties": {"brutal": 1.0}},
        {"difficulties": {"easy": 1.0, "chess/hard": 1.0}},
        {"difficulties": {"jigsaw/hard": 1.0}},  # and none for the other tasks
        {"text_slots": "few"},
        {"text_slots": "needed", "turn": "joint"},
    ],
)
def test_a_wrong_corpus_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CorpusConfig(**wrong)


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_the_weight_of_a_task_that_is_not_learnt_is_refused_where_a_run_starts_though_it_draws_nothing(task):
    learnt = CorpusConfig(tasks=dict.fromkeys(FIRST_TASKS, 1.0), difficulties={"easy": 1.0, f"{task}/hard": 1.0})
    learnt.check_levels()
    others = replace(learnt, tasks={name: 1.0 for name in FIRST_TASKS if name != task})
    assert learnt.drawn == ["easy", "hard"] and others.drawn == ["easy"]
    with pytest.raises(ConfigError, match=f"difficulties must be of tasks that are learnt, .*, got '{task}/hard'"):
        others.check_levels()
