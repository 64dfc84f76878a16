"""The word-level text tokenizer: one token a word, readable English."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from mmreason.records import ANSWER, EDIT, END, GRID, cell_word

PAD, MASK, UNKNOWN = "<pad>", "<mask>", "<unk>"
TASK_TOKENS = ("<maze>", "<jigsaw>", "<sudoku>", "<transform>")
SILENT = (PAD, MASK, UNKNOWN, *TASK_TOKENS)  # never generated

MAX_NUMBER = 64
WORDS = (
    *("up", "down", "left", "right", "total", "moves"),
    *("swap", "swaps"),
    *("is", "row", "column", "box", "lacks", "only", "fits", "solved"),
    *("step", "rotate90", "rotate180", "rotate270", "mirror_horizontal", "mirror_vertical", "recolour"),
    *("red", "blue", "yellow"),
)


def vocabulary() -> list[str]:
    """Every word in id order: specials, then cell words by row and column, numbers, English words."""
    cells = [cell_word(row, column) for row in range(1, GRID + 1) for column in range(1, GRID + 1)]
    return [*SILENT, END, EDIT, ANSWER, *cells, *map(str, range(MAX_NUMBER + 1)), *WORDS]


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
        additional_special_tokens=[EDIT, ANSWER, *TASK_TOKENS],
        clean_up_tokenization_spaces=False,
    )
