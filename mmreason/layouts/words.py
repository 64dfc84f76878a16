"""A checkpoint's own tokenizer, as layouts use it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from mmreason.disk import one_line
from mmreason.errors import CheckpointError, ConfigError
from mmreason.handed import is_unicode

MASK_MARK = "<|mdm_mask|>"  # of all families


class Tokenizer(Protocol):
    """What is needed of a tokenizer of transformers."""

    def __len__(self) -> int: ...

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> list[int]: ...

    def decode(self, ids: Sequence[int], **kwargs: Any) -> str: ...

    def get_added_vocab(self) -> dict[str, int]: ...


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The fast tokenizer in a checkpoint folder; its configuration is never executed.  Raises CheckpointError."""
    from transformers import PreTrainedTokenizerFast

    file = Path(folder) / "tokenizer.json"
    if not file.is_file():
        raise CheckpointError(f"checkpoint {str(folder)!r} lacks tokenizer.json")
    try:
        return PreTrainedTokenizerFast.from_pretrained(str(folder))
    except Exception as error:  # the libraries below raise a dozen kinds for a broken file
        raise CheckpointError(f"tokenizer in {str(folder)!r} cannot be loaded: {one_line(str(error), 200)}") from error


class Words:
    """Text to ids and back, with the marks that a family's prompts are made of."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.tokenizer)

    def ids(self, text: str) -> list[int]:
        """The ids of ``text``; marks in it become their one id, nothing is added."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def text(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, byte for byte."""
        return self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def check(self, marks: dict[str, int]) -> None:
        """Refuse a tokenizer in which a mark is not the id that the weights were trained with."""
        for mark, right in marks.items():
            found = self.ids(mark)
            if found != [right]:
                raise CheckpointError(f"the tokenizer must give {mark} the id {right}, got {found}")

    @property
    def marks(self) -> tuple[str, ...]:
        """What becomes one id of ``special`` wherever a text holds it."""
        return tuple(self.tokenizer.get_added_vocab())

    @property
    def special(self) -> set[int]:
        """Ids that were added to the vocabulary: marks, not words."""
        return set(self.tokenizer.get_added_vocab().values())


def plain(text: str, marks: Iterable[str]) -> str:
    """``text``, if it is Unicode and holds none of a prompt's ``marks``.  Raises ConfigError."""
    if not is_unicode(text):
        raise ConfigError(f"a text must be valid Unicode, got {text[:60]!r}")
    for mark in marks:
        if mark in text:
            raise ConfigError(f"a text must not hold {mark!r}, which marks a part of the prompt; got {text[:60]!r}")
    return text


def filled(ids: list[int], end: int, fill: int, length: int) -> list[int]:
    """``ids``, their ``end``, and what fills a segment up to its ``length``.  Raises ConfigError."""
    if len(ids) >= length:
        raise ConfigError(f"a text must have at most {length - 1} tokens (text_length less one), got {len(ids)}")
    return [*ids, end, *[fill] * (length - len(ids) - 1)]
