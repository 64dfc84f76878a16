"""MMaDA: pictures without row ends, prompts padded at the left, codes from the tokenizer's length on.

Source: Gen-Verse/MMaDA (arXiv 2505.15809).

Axes: H W rows and columns of codes, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import torch

from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts.layout import State, check_ids, region_of_cells
from mmreason.layouts.llada import MASK, LladaLayout
from mmreason.layouts.view import View
from mmreason.layouts.words import MASK_MARK, Tokenizer, filled, plain
from mmreason.records import Modality, SegmentKind

PICTURE, PICTURE_END = 126_084, 126_085
TO_IMAGE, TO_TEXT, PAD = 126_088, 126_089, 126_093
BEGIN, END = 126_080, 126_081
TURN_END = 126_348
MARKS = {
    "<|startoftext|>": BEGIN,
    "<|endoftext|>": END,
    "<|start_header_id|>": 126_346,
    "<|end_header_id|>": 126_347,
    "<|eot_id|>": TURN_END,
}
TOKENIZER_LENGTH = 126_349
PROMPT_LENGTH = 513  # of a prompt for a picture, its mark included
ROOM = PROMPT_LENGTH - 3  # for its text, beside its mark, its begin and its end


class MmadaLayout(LladaLayout):
    """Views of MMaDA-8B; its own codec knows 512 × 512 pixels only."""

    family = "mmada"
    edit_twins = 1  # without the text
    ends = (END, TURN_END)
    prompt_marks: tuple[str, ...] = (*MARKS, MASK_MARK)

    def __init__(
        self, tokenizer: Tokenizer, vocab: int, num_codes: int = 8192, mask: int = MASK, text_length: int = 512
    ) -> None:
        """As ``DimooLayout``; the first code is the tokenizer's length.  Raises CheckpointError."""
        super().__init__(tokenizer, vocab, num_codes, text_length, MARKS)
        self.first_code = len(self.words)
        if self.first_code != TOKENIZER_LENGTH:
            raise CheckpointError(f"the tokenizer must have {TOKENIZER_LENGTH} ids, got {self.first_code}")
        check_ids(mask, MASK, self.first_code, num_codes, vocab)

    def allowed(self, modality: Modality) -> torch.Tensor:
        """Boolean (V,): words and the ends of a text; or codes."""
        allowed_V = torch.zeros(self.vocab, dtype=torch.bool)
        if modality == "image":
            allowed_V[self.first_code : self.first_code + self.num_codes] = True
            return allowed_V
        allowed_V[: self.first_code] = True
        allowed_V[sorted(self.words.special | {MASK, PICTURE, PICTURE_END, TO_IMAGE, TO_TEXT, PAD})] = False
        allowed_V[[END, TURN_END]] = True
        return allowed_V

    def view(self, state: State, kind: SegmentKind, cells: np.ndarray | None = None) -> View:
        """A text is an answer about the picture, an edit is the picture redrawn where ``cells`` lie.

        Raises ConfigError for an instruction that an edit's prompt has no room for.
        """
        if kind == "edit":
            region_HW = region_of_cells(cells, state.codes_HW.shape)
            return self._picture_view(self._said(state), state.codes_HW, region_HW)
        return self.understand("\n".join([state.instruction, *state.thoughts]), state.codes_HW)

    def generate(self, text: str, codes_HW: np.ndarray, region_HW: np.ndarray) -> View:
        """Text to picture, masks inside the region only; the twin has an empty text.  A long text is cut."""
        return self._picture_view(self.write(text), codes_HW, region_HW)

    def understand(self, text: str, codes_HW: np.ndarray, slots: int | None = None) -> View:
        """A text about a picture, as one turn of a chat; the twin has every given token masked."""
        slots = self.text_length if slots is None else slots
        said = plain(text, self.prompt_marks).strip()
        chat = (
            f"<|startoftext|><|start_header_id|>user<|end_header_id|>\n{said}<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n"
        )
        codes = np.asarray(codes_HW, dtype=np.int64).ravel() + self.first_code
        return self._text_view([TO_TEXT, PICTURE, *codes.tolist(), PICTURE_END, *self.words.ids(chat)], slots)

    def write(self, text: str) -> list[int]:
        """The ids of a text segment.  Raises ConfigError for marks of a prompt."""
        return self.words.ids(plain(text, self.prompt_marks))

    def segment(self, text: str) -> list[int]:
        """``write``, ended and filled up to the length of a segment.  Raises ConfigError where it is too long."""
        return filled(self.write(text), TURN_END, END, self.text_length)

    def _said(self, state: State) -> list[int]:
        """The instruction and the last thought; where there is no room for both, the end of the thought."""
        if (count := len(self.write(state.instruction))) > ROOM:
            raise ConfigError(f"an instruction to {self.family} must have at most {ROOM} tokens, got {count}")
        said = self.write("\n".join([state.instruction, *state.thoughts[-1:]]))
        if len(said) <= ROOM:
            return said
        first = self.write(f"{state.instruction}\n")[:ROOM]
        return [*first, *said[len(said) - ROOM + len(first) :]]

    def _picture_view(self, said: list[int], codes_HW: np.ndarray, region_HW: np.ndarray) -> View:
        codes = np.where(region_HW, MASK, np.asarray(codes_HW, dtype=np.int64) + self.first_code)
        return self._padded(said, codes, (self._padded([], codes),))

    def _padded(self, said: list[int], ids_HW: np.ndarray, twins: tuple[View, ...] = ()) -> View:
        """A prompt of a fixed length, padded at the left or cut, then the picture."""
        prompt = [TO_IMAGE, BEGIN, *said, END]
        if len(prompt) > PROMPT_LENGTH:
            prompt = [*prompt[: PROMPT_LENGTH - 1], END]
        pads = PROMPT_LENGTH - len(prompt)
        ids = [*[PAD] * pads, *prompt, PICTURE, *ids_HW.ravel().tolist(), PICTURE_END]
        return View.of(ids, MASK, twins, unseen=pads)
