"""MMaDA-Parallel-A: Lumina-DiMOO's ids, and one view in which a picture and its text are denoised together.

Source: tyfeld/MMaDA-Parallel, folder MMaDA-Parallel-A (arXiv 2511.09611).

Axes: H W rows and columns of codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmreason.layouts.dimoo import ANSWER, ANSWER_END, DimooLayout
from mmreason.layouts.layout import State, region_of_cells
from mmreason.layouts.llada import MASK
from mmreason.layouts.view import View


class ParallelLayout(DimooLayout):
    """Views of MMaDA-Parallel-A; text alone and picture alone are laid out as Lumina-DiMOO's."""

    family = "parallel"
    turns = ("joint", "interleaved")

    def turn_view(self, state: State, cells: np.ndarray | None = None) -> View:
        """A turn's picture, redrawn where ``cells`` lie, and its words, denoised together."""
        said = "\n".join([state.instruction, *state.thoughts])
        region_HW = region_of_cells(cells, state.codes_HW.shape)
        return self.together(said, [state.codes_HW], state.codes_HW, region_HW)

    def together(
        self,
        text: str,
        before: Sequence[np.ndarray],
        codes_HW: np.ndarray,
        region_HW: np.ndarray,
        text_length: int | None = None,
        as_run: bool = False,
    ) -> View:
        """The picture's slots first, then ``text_length`` ones of text.

        Twins are those of an edit.  ``as_run`` gives those of the published script, which writes a twin's prompt
        over the first ids of the view: its twin without pictures keeps nearly all of them, and its twin without
        text repeats the end of the prompt.
        """
        length = self.text_length if text_length is None else text_length
        tail = [ANSWER, *self.picture(codes_HW, region_HW), *[MASK] * length, ANSWER_END]
        head = self._head("edit", text, before)
        heads = [self._head("edit", None, before), self._head("edit", text, [])]
        ids = [*head, *tail]
        twins = [[*twin, *ids[len(twin) :]] if as_run else [*twin, *tail] for twin in heads]
        return View.of(ids, MASK, tuple(View.of(twin, MASK) for twin in twins), words=length)
