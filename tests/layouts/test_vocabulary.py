"""What holds of the text tokenizer: every word that a demonstration says is one token of its own."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from mmreason.layouts.vocabulary import PAD, UNKNOWN, is_generated, task_token, vocabulary
from mmreason.places import ROOT
from mmreason.records import ANSWER, DIFFICULTIES, EDIT, END, MASK, MAX_TEXT_TOKENS
from mmreason.tasks import FIRST_TASKS, TASKS, make_problem
from tests.helpers.policies import encoder, text_tokenizer, words


def test_no_word_occurs_twice_and_ids_follow_the_list():
    assert len(set(vocabulary())) == len(vocabulary())
    assert words() == vocabulary()


def test_saved_and_loaded_through_auto_tokenizer_nothing_changes(tmp_path):
    text_tokenizer().save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "right 3 total 7 <edit> r2c2 r2c5 <end>"
    assert loaded.get_vocab() == text_tokenizer().get_vocab()
    assert loaded(text).input_ids == text_tokenizer()(text).input_ids
    assert loaded.decode(loaded(text).input_ids) == text
    special = (loaded.pad_token, loaded.mask_token, loaded.unk_token, loaded.eos_token)
    assert special == (PAD, MASK, UNKNOWN, END)


def test_a_word_outside_the_vocabulary_is_unknown_and_not_split():
    ids = text_tokenizer()("right sideways 3").input_ids
    assert [words()[i] for i in ids] == ["right", UNKNOWN, "3"]


def test_nothing_that_is_never_said_can_be_generated():
    silent = {word for word in vocabulary() if not is_generated(word)}
    assert silent == {PAD, MASK, UNKNOWN, *map(task_token, FIRST_TASKS)}
    assert not {END, EDIT, ANSWER} & silent


@pytest.mark.parametrize("checkpoint", ["base", "ar", "joint", "factorized"])
def test_the_ids_of_the_shipped_checkpoints_are_those_of_the_first_words(checkpoint):
    known = AutoTokenizer.from_pretrained(ROOT / "checkpoints" / checkpoint / "tokenizer").get_vocab()
    assert vocabulary()[: len(known)] == sorted(known, key=lambda word: known[word])


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("task", FIRST_TASKS)
def test_every_demonstrated_text_is_known_words_that_fit_a_segment(task, difficulty):
    for index in range(100):
        demonstration = TASKS[task].demonstrate(make_problem(task, difficulty, 3, "train", index).spec)
        for text in (*(step.thought for step in demonstration.steps), demonstration.answer):
            ids = text_tokenizer()(text).input_ids
            assert text_tokenizer().unk_token_id not in ids, text
            assert text_tokenizer().decode(ids) == text
            assert len(ids) + 1 <= MAX_TEXT_TOKENS, text
            padded = encoder().text_ids(text)
            assert padded.tolist()[: len(ids)] == ids
            assert {words()[i] for i in padded[len(ids) :]} == {END}
            assert len(padded) == MAX_TEXT_TOKENS
