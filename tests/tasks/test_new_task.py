"""What holds when a task is added: nothing stored moves, new checkpoints know it, older ones say they do not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator
from PIL import Image

from mmreason.__main__ import main
from mmreason.codecs.cells import build_vqvae
from mmreason.errors import ConfigError
from mmreason.layouts.vocabulary import Vocabulary, build_text_tokenizer, vocabulary
from mmreason.rewards.verify import Verifier
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.tasks import FIRST_TASKS, TASKS, atlas, atlas_for, hint_labels, make_problem, num_hints
from mmreason.tasks.task import NO_HINT
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.grpo import GRPO
from mmreason.training.rl.presets import TrainSettings
from mmreason.training.supervised.pretrain import build_policy
from mmreason.ui.host import checkpoints
from mmreason.ui.train.form import filled
from mmreason.ui.watch.daily import FIRST_DAY, daily_puzzle
from tests.helpers.stones import Stones
from tests.helpers.training_runs import checked_settings

BEFORE = tuple(TASKS)
ALL = (*FIRST_TASKS, "stones")


@pytest.fixture
def added(monkeypatch) -> Iterator[Stones]:
    """A task that is made known."""
    monkeypatch.setitem(TASKS, "stones", Stones())
    clear()
    yield Stones()
    monkeypatch.undo()
    clear()


def clear() -> None:
    atlas.cache_clear()
    atlas_for.cache_clear()


@pytest.fixture
def new_pipe(added) -> InterleavedReasoningPipeline:
    """An untrained checkpoint made after the task was added."""
    tokenizer, vqvae = build_text_tokenizer(ALL), build_vqvae(num_codes=24, width=16, code_width=4)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    policy = build_policy(Vocabulary.of(tokenizer, 24), 0, **small, hint_layer=1).eval()
    return InterleavedReasoningPipeline(policy, vqvae, tokenizer, MaskedDiffusionScheduler())


def test_ids_and_labels_of_the_others_stay_and_the_new_ones_come_last(monkeypatch):
    words, drawings = vocabulary(), len(atlas().pixels)
    labels, specs = num_hints(), {task: make_problem(task, "easy", 3).spec for task in FIRST_TASKS}
    hints = {task: hint_labels(task, spec) for task, spec in specs.items()}
    monkeypatch.setitem(TASKS, "stones", Stones())
    clear()
    try:
        assert vocabulary() == words and vocabulary(ALL) == [*words, "<stones>", "place", "stones"]
        assert atlas().first["stones"] == drawings
        assert num_hints(ALL) == labels + 2
        for task, spec in specs.items():
            assert np.array_equal(hint_labels(task, spec, ALL), hints[task])
        own = hint_labels("stones", make_problem("stones", "easy", 3).spec, ALL)
        assert set(own[own != NO_HINT].tolist()) == {labels, labels + 1}
        alone = hint_labels("stones", make_problem("stones", "easy", 3).spec, ("stones",))
        assert set(alone[alone != NO_HINT].tolist()) == {0, 1}
    finally:
        clear()


def test_a_new_checkpoint_has_the_words_of_its_own_tasks_alone(added):
    words = vocabulary(["stones"])
    assert words[:6] == ["<pad>", "<mask>", "<unk>", "<end>", "<edit>", "<answer>"]
    assert words[-3:] == ["<stones>", "place", "stones"] and not {"<maze>", "right", "mirror_vertical"} & set(words)
    assert Vocabulary.of(build_text_tokenizer(["stones"]), 24).tasks.keys() == {"stones"}


def test_what_a_decoded_cell_shows_does_not_depend_on_which_tasks_were_added(tiny_pipe, monkeypatch):
    problem = make_problem("maze", "easy", 3)
    tokens = tiny_pipe.encode_image(problem.image)
    before = Verifier(tiny_pipe.words, tiny_pipe.sheet).shown("maze", tokens)
    drawn = Image.fromarray(tiny_pipe.sheet[int(tokens[0]) - len(tiny_pipe.words)])
    monkeypatch.setattr(Stones, "draw_cell", lambda self, name: drawn)
    monkeypatch.setitem(TASKS, "stones", Stones())
    clear()
    try:
        assert np.array_equal(Verifier(tiny_pipe.words, tiny_pipe.sheet).shown("maze", tokens), before)
    finally:
        monkeypatch.undo()
        clear()


def test_a_word_that_several_tasks_say_has_one_id(added, monkeypatch):
    monkeypatch.setattr(Stones, "words", ("place", "total"))
    assert vocabulary(ALL)[-2:] == ["<stones>", "place"]


def test_a_new_checkpoint_solves_it_and_its_verifier_scores_it(new_pipe):
    assert list(new_pipe.vocabulary.tasks) == list(ALL)
    assert not {new_pipe.vocabulary.task_token(task) for task in ALL} & set(new_pipe.vocabulary.generable_text)
    assert new_pipe.transformer.config.num_hints == num_hints(ALL)
    (trace,) = new_pipe([make_problem("stones", "easy", 0)], SamplingConfig(max_turns=2)).traces
    scored = Verifier(new_pipe.words, new_pipe.sheet).score(trace)
    assert scored.end_reason and scored.segments[0].verdict is not None


SAYS = "the checkpoint does not know the task stones; it knows maze, jigsaw, sudoku, transform"


def test_an_older_checkpoint_says_that_it_does_not_know_it(tiny_pipe, added):
    assert tiny_pipe.vocabulary.known(TASKS) == list(FIRST_TASKS)
    problem = make_problem("stones", "easy", 0)
    with pytest.raises(ConfigError, match=SAYS):
        tiny_pipe([problem])
    with pytest.raises(ConfigError, match=SAYS):
        tiny_pipe.running_batch().join(problem, SamplingConfig(), 0)
    with pytest.raises(ConfigError, match=SAYS):
        GRPO(tiny_pipe, GRPOConfig(tasks={"maze": 1.0, "stones": 1.0}), Accelerator(cpu=True))


@pytest.mark.parametrize(
    "line",
    [
        "solve --task stones --checkpoint CHECKPOINT --out OUT/trace.json",
        "evaluate --tasks stones --problems 2 --checkpoint CHECKPOINT",
        "train --tasks stones --steps 1 --checkpoint CHECKPOINT --assignment joint --output OUT/run",
        "pretrain --tasks stones --steps 1 --checkpoint CHECKPOINT --output OUT/run --workers 1",
    ],
)
def test_every_command_says_so_in_one_line(line, tiny_checkpoint: Path, tmp_path, added, capsys):
    arguments = line.replace("CHECKPOINT", str(tiny_checkpoint)).replace("OUT", str(tmp_path)).split()
    assert main(arguments) == 2
    assert SAYS in capsys.readouterr().err.splitlines()[-1]


def test_what_names_no_task_is_of_those_that_the_checkpoint_knows(tiny_checkpoint: Path, added, capsys):
    arguments = f"evaluate --problems 4 --difficulty easy --json --checkpoint {tiny_checkpoint}"
    assert main(arguments.split()) == 0
    said = capsys.readouterr().out
    assert '"transform"' in said and '"stones"' not in said


def test_the_page_tells_from_a_checkpoints_folder_what_it_knows(tiny_checkpoint: Path, tmp_path, added):
    assert checkpoints.known_tasks(tiny_checkpoint) == list(FIRST_TASKS)
    assert checkpoints.known_tasks(tmp_path) == [*BEFORE, "stones"]


def test_the_puzzle_of_the_day_is_one_that_the_first_checkpoint_knows(tiny_checkpoint: Path, added, monkeypatch):
    monkeypatch.setattr(checkpoints, "checkpoints_folder", lambda: tiny_checkpoint.parent)
    monkeypatch.setattr(checkpoints, "checkpoint_names", lambda: [tiny_checkpoint.name])
    days = [daily_puzzle(FIRST_DAY + timedelta(days=n)) for n in range(10)]
    assert {puzzle.task for puzzle in days} == set(FIRST_TASKS)


def test_a_training_asked_for_on_the_page_is_refused_in_the_form(tiny_checkpoint: Path, added, monkeypatch):
    monkeypatch.setattr(checkpoints, "checkpoints_folder", lambda: tiny_checkpoint.parent)
    monkeypatch.setattr(checkpoints, "checkpoint_names", lambda: [tiny_checkpoint.name])
    values = filled(TrainSettings()) | {"checkpoint": "checkpoint", "tasks": ["maze", "stones"]}
    with pytest.raises(ConfigError, match=SAYS):
        checked_settings(values, "a visitor")


def test_a_task_that_was_given_more_words_since_is_refused(new_pipe, monkeypatch):
    monkeypatch.setattr(Stones, "words", ("place", "stones", "pebble"))
    with pytest.raises(ConfigError, match="knows another task stones: it lacks the words pebble"):
        new_pipe([make_problem("stones", "easy", 0)])
