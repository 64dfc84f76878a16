"""The word-level text tokenizer: one token a word, readable English."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from mmreason.errors import ConfigError
from mmreason.records import ANSWER, EDIT, END, GRID, cell_word
from mmreason.tasks import TASKS

PAD, MASK, UNKNOWN = "<pad>", "<mask>", "<unk>"
MAX_NUMBER = 64

# Checkpoints were trained with the tokens of these before all words, so that later tasks come after them.
FIRST_TASKS = ("maze", "jigsaw", "sudoku", "transform")


def task_token(task: str) -> str:
    """The token that begins a problem of ``task``."""
    return f"<{task}>"


def check_known(task: str, known: Iterable[str]) -> None:
    """Refuse a ``task`` that a checkpoint, which knows others, was never trained on; raises ConfigError."""
    if task not in known:
        raise ConfigError(f"the checkpoint does not know the task {task}; it knows {', '.join(known)}")


def is_generated(word: str) -> bool:
    """May a policy say ``word``?  Tasks, padding, the mask and the unknown word are never said."""
    return not (word.startswith("<") and word.endswith(">")) or word in (END, EDIT, ANSWER)


def vocabulary() -> list[str]:
    """Every word in id order: specials, cell words by row and column, numbers, then the words of the tasks."""
    cells = [cell_word(row, column) for row in range(1, GRID + 1) for column in range(1, GRID + 1)]
    words = [PAD, MASK, UNKNOWN, *map(task_token, FIRST_TASKS), END, EDIT, ANSWER]
    words += [*cells, *map(str, range(MAX_NUMBER + 1))]
    for name, task in TASKS.items():
        words += [task_token(name), *task.words]
    return list(dict.fromkeys(words))  # a word that several say has one id


def build_text_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of ``vocabulary()``; round-trips through ``AutoTokenizer``."""
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(vocabulary())}, unk_token=UNKNOWN))
    core.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        mask_token=MASK,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=[EDIT, ANSWER, *map(task_token, TASKS)],
        clean_up_tokenization_spaces=False,
    )
