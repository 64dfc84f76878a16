"""The word-level text tokenizer: one token a word, readable English."""

from __future__ import annotations

from collections.abc import Container, Iterable

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from mmreason.errors import ConfigError
from mmreason.records import ANSWER, EDIT, END, GRID, cell_word
from mmreason.tasks import FIRST_TASKS, TASKS

PAD, MASK, UNKNOWN = "<pad>", "<mask>", "<unk>"
MAX_NUMBER = 64


def task_token(task: str) -> str:
    """The token that begins a problem of ``task``."""
    return f"<{task}>"


def check_known(task: str, known: Iterable[str], words: Container[str] | None = None) -> None:
    """Refuse a ``task`` that a checkpoint was never trained on: it knows others, or fewer ``words``.

    Raises ConfigError.
    """
    if task not in known:
        raise ConfigError(f"the checkpoint does not know the task {task}; it knows {', '.join(known)}")
    lacks = [word for word in TASKS[task].words if words is not None and word not in words] if task in TASKS else []
    if lacks:
        raise ConfigError(f"the checkpoint knows another task {task}: it lacks the words {', '.join(lacks[:8])}")


def is_generated(word: str) -> bool:
    """May a policy say ``word``?  Tasks, padding, the mask and the unknown word are never said."""
    return not (word.startswith("<") and word.endswith(">")) or word in (END, EDIT, ANSWER)


def vocabulary(tasks: Iterable[str] = FIRST_TASKS) -> list[str]:
    """Every word of a checkpoint that learns ``tasks``, in id order.

    Specials, cell words by row and column, numbers, then the words of the tasks; those of the first tasks have their
    tokens before all words, as the shipped checkpoints do.
    """
    tasks = list(dict.fromkeys(tasks))
    cells = [cell_word(row, column) for row in range(1, GRID + 1) for column in range(1, GRID + 1)]
    words = [PAD, MASK, UNKNOWN, *(task_token(name) for name in FIRST_TASKS if name in tasks), END, EDIT, ANSWER]
    words += [*cells, *map(str, range(MAX_NUMBER + 1))]
    for name in (*(name for name in FIRST_TASKS if name in tasks), *tasks):
        words += [task_token(name), *TASKS[name].words]
    return list(dict.fromkeys(words))  # a word that several say has one id


def build_text_tokenizer(tasks: Iterable[str] = FIRST_TASKS) -> PreTrainedTokenizerFast:
    """The tokenizer of ``vocabulary(tasks)``; round-trips through ``AutoTokenizer``."""
    words = vocabulary(tasks)
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN))
    core.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        mask_token=MASK,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=[EDIT, ANSWER, *(word for word in words[3:] if not is_generated(word))],
        clean_up_tokenization_spaces=False,
    )
