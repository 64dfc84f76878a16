"""The tokenizer and the codec that the golden layouts were made with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

SPECIAL = {
    "<system>": 901,
    "</system>": 902,
    "<user>": 903,
    "</user>": 904,
    "<|startoftext|>": 126_080,
    "<|endoftext|>": 126_081,
    "<|start_header_id|>": 126_346,
    "<|end_header_id|>": 126_347,
    "<|eot_id|>": 126_348,
    "<uncondition>": 126_351,
    "<answer>": 126_354,
    "</answer>": 126_355,
}


class StubTokenizer:
    """One id a character, ``1000 + ord``; special strings are one id."""

    def __init__(self, length: int = 126_349, special: dict[str, int] = SPECIAL) -> None:
        self.length, self.special = length, special
        self.pattern = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) + "|.", re.DOTALL)

    def __len__(self) -> int:
        return self.length

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return [self.special.get(piece, 1000 + ord(piece[0])) for piece in self.pattern.findall(text)]

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        names = {id: mark for mark, id in self.special.items()}
        return "".join(names.get(int(id)) or chr(int(id) - 1000) for id in ids)

    def get_added_vocab(self) -> dict[str, int]:
        return dict(self.special)


def picture(rows: int, columns: int, number: int = 0) -> np.ndarray:
    """The codes of the k-th picture that the stub codec encodes."""
    return ((7 * np.arange(rows * columns) + 13 * number) % 8192).reshape(rows, columns)
