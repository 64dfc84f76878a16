"""The small model's ids: a word-level text tokenizer, readable English, and image codes after its words.

Axes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from mmreason.errors import CheckpointError, ConfigError
from mmreason.records import ANSWER, EDIT, END, GRID, MASK, MAX_GRID, Problem, cell_word, parse_cell
from mmreason.tasks import FIRST_TASKS, TASKS

PAD, UNKNOWN = "<pad>", "<unk>"
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


def check_short(task: str) -> None:
    """Refuse a ``task`` whose texts no small policy can be told; raises ConfigError."""
    if task in TASKS and TASKS[task].too_long:
        raise ConfigError(TASKS[task].too_long)


def is_generated(word: str) -> bool:
    """May a policy say ``word``?  Tasks, padding, the mask and the unknown word are never said."""
    return not (word.startswith("<") and word.endswith(">")) or word in (END, EDIT, ANSWER)


def vocabulary(tasks: Iterable[str] = FIRST_TASKS, grid: int = GRID) -> list[str]:
    """Every word of a checkpoint that learns ``tasks``, in id order.

    Specials, cell words by row and column, numbers, then the words of the tasks; those of the first tasks have their
    tokens before all words, as the shipped checkpoints do.
    """
    tasks = list(dict.fromkeys(tasks))
    cells = [cell_word(row, column) for row in range(1, grid + 1) for column in range(1, grid + 1)]
    words = [PAD, MASK, UNKNOWN, *(task_token(name) for name in FIRST_TASKS if name in tasks), END, EDIT, ANSWER]
    words += [*cells, *map(str, range(MAX_NUMBER + 1))]
    for name in (*(name for name in FIRST_TASKS if name in tasks), *tasks):
        words += [task_token(name), *TASKS[name].words]
    return list(dict.fromkeys(words))  # a word that several say has one id


def build_text_tokenizer(tasks: Iterable[str] = FIRST_TASKS, grid: int = GRID) -> PreTrainedTokenizerFast:
    """The tokenizer of ``vocabulary(tasks, grid)``; round-trips through ``AutoTokenizer``."""
    words = vocabulary(tasks, grid)
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


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The joint id space: text ids first, image codes after them."""

    num_text: int
    num_codes: int
    pad: int
    mask: int
    end: int
    edit: int
    answer: int
    first_cell: int  # id of r1c1; cell words follow by row and column
    grid: int  # rows and columns that cell words name
    generable_text: tuple[int, ...]  # text ids that may be sampled
    tasks: Mapping[str, int] = field(hash=False)  # the token of each task that is known
    words: Mapping[str, int] = field(hash=False, repr=False)  # the id of every word

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast, num_codes: int) -> Vocabulary:
        """Read the id ranges off ``tokenizer`` and a codebook of ``num_codes`` entries."""
        vocab = tokenizer.get_vocab()
        named = [cell for word in vocab if (cell := parse_cell(word, MAX_GRID)) is not None]
        grid = max((max(cell) for cell in named), default=1)
        first_cell = vocab.get(cell_word(1, 1), -1)
        cells = [vocab.get(cell_word(row, column)) for row in range(1, grid + 1) for column in range(1, grid + 1)]
        if cells != list(range(first_cell, first_cell + grid * grid)):
            raise CheckpointError(f"the tokenizer lacks consecutive cell words r1c1 to {cell_word(grid, grid)}")
        return cls(
            num_text=len(vocab),
            num_codes=num_codes,
            pad=vocab[PAD],
            mask=vocab[MASK],
            end=vocab[END],
            edit=vocab[EDIT],
            answer=vocab[ANSWER],
            first_cell=first_cell,
            grid=grid,
            generable_text=tuple(sorted(i for word, i in vocab.items() if is_generated(word))),
            tasks={
                word[1:-1]: i
                for word, i in sorted(vocab.items(), key=lambda item: item[1])
                if not is_generated(word) and word not in (PAD, MASK, UNKNOWN)
            },
            words=vocab,
        )

    @property
    def size(self) -> int:
        return self.num_text + self.num_codes

    def task_token(self, task: str) -> int:
        """The token that begins a problem of ``task``; raises ConfigError where a checkpoint does not know it."""
        check_short(task)
        check_known(task, self.tasks, self.words)
        return self.tasks[task]

    def prompt(self, problem: Problem) -> list[int]:
        """The ids that say what is asked: the task's token, then the words of ``problem.prompt`` if it has some."""
        return self.asked(problem.task, problem.prompt)

    def asked(self, task: str, prompt: str = "") -> list[int]:
        """The same of a task's name and further words."""
        return [self.task_token(task), *(self.words.get(w, self.words[UNKNOWN]) for w in prompt.split())]

    def known(self, tasks: Iterable[str]) -> list[str]:
        """Those of ``tasks`` that are known."""
        return [task for task in tasks if task in self.tasks]

    def allowed(self, modality: str) -> torch.Tensor:
        """Boolean (V,): the ids that a segment of ``modality`` may hold."""
        allowed_V = torch.zeros(self.size, dtype=torch.bool)
        if modality == "text":
            allowed_V[list(self.generable_text)] = True
        else:
            allowed_V[self.num_text :] = True
        return allowed_V
