"""What the layouts of the families that began as LLaDA-8B share: its mask, and how a text is asked for and read.

Source of the ids: ML-GSAI/LLaDA (arXiv 2502.09992).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmreason.errors import ConfigError
from mmreason.layouts.layout import State
from mmreason.layouts.view import View
from mmreason.layouts.words import Tokenizer, Words

MASK = 126_336


class LladaLayout:
    """Words, and texts of turns that are one segment after the other."""

    family: str
    turns: tuple[str, ...] = ("interleaved",)
    mask = MASK
    ends: tuple[int, ...]  # ids that end a text
    prompt_marks: tuple[str, ...]

    def __init__(
        self, tokenizer: Tokenizer, vocab: int, num_codes: int, text_length: int, marks: dict[str, int]
    ) -> None:
        """``vocab`` counts the rows of the embedding; raises CheckpointError where ``marks`` have other ids."""
        self.words, self.vocab, self.num_codes, self.text_length = Words(tokenizer), vocab, num_codes, text_length
        self.words.check(marks)
        self.prompt_marks = tuple(dict.fromkeys(self.prompt_marks + self.words.marks))

    def turn_view(self, state: State, cells: np.ndarray | None = None) -> View:
        """A turn's picture and words in one view; raises ConfigError, as this family knows none."""
        raise ConfigError(f"turn must be {self.turns[0]} for checkpoints of the family {self.family}")

    def read(self, ids: Sequence[int]) -> str:
        """The words before the first end."""
        ends = [i for i, token in enumerate(ids) if token in self.ends]
        return self.words.text(list(ids[: ends[0]] if ends else ids))

    def _text_view(self, head: Sequence[int], slots: int, tail: Sequence[int] = ()) -> View:
        """``slots`` masks between what is given; the twin has every given token masked."""
        ids = np.array([*head, *[MASK] * slots, *tail])
        places = np.arange(len(head), len(head) + slots)
        return View(ids, places, twins=(View(np.full(len(ids), MASK), places),))
