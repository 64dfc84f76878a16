"""Lumina-DiMOO: pictures as rows of codes with row ends, text as masks between ``<answer>`` and ``</answer>``.

Prompts are those of its scripts and of the path that its evaluation takes (once a row end after each row); held
against them by ``tests/layouts/test_dimoo.py``.  Source: Alpha-VLLM/Lumina-DiMOO (arXiv 2510.06308).

Axes: H W rows and columns of codes, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from mmreason.errors import CheckpointError
from mmreason.layouts.layout import State, check_ids, region_of_cells
from mmreason.layouts.llada import MASK, LladaLayout
from mmreason.layouts.view import View
from mmreason.layouts.words import MASK_MARK, Tokenizer, filled, plain
from mmreason.records import Modality, SegmentKind

ROW_END, FILL = 126_084, 126_339
PICTURE, PICTURE_END = 126_349, 126_350
UNCONDITION, ANSWER, ANSWER_END = 126_351, 126_354, 126_355
FIRST_CODE = 126_356
MARKS = {"<uncondition>": UNCONDITION, "<answer>": ANSWER, "</answer>": ANSWER_END}
PARTS = ("<system>", "</system>", "<user>", "</user>", "<uncondition>", "</answer>")

Purpose = Literal["generate", "edit", "understand"]
SYSTEM: dict[str, str] = {
    "generate": "Generate an image according to the text prompt.",
    "edit": "Generate an image applying the following editing instruction based on the original image.",
    "understand": "You are a multimodal model that can process both text and images. Answer the following question "
    "based on the provided images. Analyze each image and combine relevant details to answer.",
}


class DimooLayout(LladaLayout):
    """Views of Lumina-DiMOO; codes and pictures of any size."""

    family = "dimoo"
    edit_twins = 2  # without the text, without the picture
    first_code = FIRST_CODE
    ends = (ANSWER_END, FILL)
    prompt_marks: tuple[str, ...] = (*PARTS, "<answer>", MASK_MARK)

    def __init__(
        self, tokenizer: Tokenizer, vocab: int, num_codes: int = 8192, mask: int = MASK, text_length: int = 128
    ) -> None:
        """``vocab`` counts the rows of the embedding, ``mask`` is what the configuration says.

        Raises CheckpointError where an id or offset is not what the published weights were trained with.
        """
        super().__init__(tokenizer, vocab, num_codes, text_length, MARKS)
        if len(self.words) > FIRST_CODE:
            raise CheckpointError(f"the tokenizer must have at most {FIRST_CODE} ids, got {len(self.words)}")
        check_ids(mask, MASK, FIRST_CODE, num_codes, vocab)

    def allowed(self, modality: Modality) -> torch.Tensor:
        """Boolean (V,): words, an answer's two marks and its filling; or codes."""
        allowed_V = torch.zeros(self.vocab, dtype=torch.bool)
        if modality == "image":
            allowed_V[FIRST_CODE : FIRST_CODE + self.num_codes] = True
            return allowed_V
        allowed_V[: len(self.words)] = True
        marks = self.words.special | {MASK, ROW_END, PICTURE, PICTURE_END, UNCONDITION}
        allowed_V[[id for id in marks if id < self.vocab]] = False
        allowed_V[[ANSWER, ANSWER_END, FILL]] = True
        return allowed_V

    def view(self, state: State, kind: SegmentKind, cells: np.ndarray | None = None) -> View:
        """A text is an answer about the picture, an edit is the picture redrawn where ``cells`` lie."""
        if kind == "edit":
            said = "\n".join([state.instruction, *state.thoughts[-1:]])
            return self.edit(said, [state.codes_HW], state.codes_HW, region_of_cells(cells, state.codes_HW.shape))
        return self.understand("\n".join([state.instruction, *state.thoughts]), [state.codes_HW])

    def generate(self, text: str, codes_HW: np.ndarray, region_HW: np.ndarray) -> View:
        """Text to picture; where only a part of the picture is masked, in-painting."""
        return self._picture_view("generate", text, [], codes_HW, region_HW)

    def edit(self, text: str, before: Sequence[np.ndarray], codes_HW: np.ndarray, region_HW: np.ndarray) -> View:
        """Pictures ``before`` and a text to a picture; ``codes_HW`` stay outside the region.

        Guided away from twins without the text and without the pictures, in this order.
        """
        return self._picture_view("edit", text, before, codes_HW, region_HW)

    def understand(
        self, text: str, pictures: Sequence[np.ndarray], slots: int | None = None, length: int | None = None
    ) -> View:
        """A text about pictures: ``slots`` masks, filled up to ``length``; the twin has every given token masked."""
        slots = self.text_length if slots is None else slots
        filling = [FILL] * ((slots if length is None else length) - slots)
        head = self._head("understand", text, pictures)
        return self._text_view([*head, ANSWER], slots, [ANSWER_END, *filling])

    def write(self, text: str) -> list[int]:
        """The ids of a text segment; an answer may begin with its mark.  Raises ConfigError for other marks."""
        return self.words.ids(plain(text, (mark for mark in self.prompt_marks if mark != "<answer>")))

    def segment(self, text: str) -> list[int]:
        """``write``, ended and filled up to the length of a segment.  Raises ConfigError where it is too long."""
        return filled(self.write(text), ANSWER_END, FILL, self.text_length)

    def picture(self, codes_HW: np.ndarray, region_HW: np.ndarray | None = None) -> list[int]:
        """The ids of a picture: rows of codes, or of masks inside the region, each with its end."""
        ids_HW = np.asarray(codes_HW, dtype=np.int64) + FIRST_CODE
        if region_HW is not None:
            ids_HW = np.where(region_HW, MASK, ids_HW)
        rows = np.concatenate([ids_HW, np.full((len(ids_HW), 1), ROW_END)], axis=1)
        return [PICTURE, *rows.ravel().tolist(), PICTURE_END]

    def _prompt(self, purpose: Purpose, user: str) -> list[int]:
        return self.words.ids(f"<system>{SYSTEM[purpose]}</system><user>{user}</user>")

    def _head(self, purpose: Purpose, text: str | None, pictures: Sequence[np.ndarray]) -> list[int]:
        """The prompt, pictures before its last id; without a text it says so."""
        prompt = self._prompt(purpose, "<uncondition>" if text is None else plain(text, self.prompt_marks))
        return [*prompt[:-1], *(id for codes_HW in pictures for id in self.picture(codes_HW)), *prompt[-1:]]

    def _picture_view(
        self, purpose: Purpose, text: str, before: Sequence[np.ndarray], codes_HW: np.ndarray, region_HW: np.ndarray
    ) -> View:
        tail = [ANSWER, *self.picture(codes_HW, region_HW), ANSWER_END]
        twins = [self._head(purpose, None, before)]
        if before:
            twins.append(self._head(purpose, text, []))
        return View.of(
            [*self._head(purpose, text, before), *tail], MASK, tuple(View.of([*twin, *tail], MASK) for twin in twins)
        )
