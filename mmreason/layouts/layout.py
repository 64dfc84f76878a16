"""What every layout can do: say what a model is shown for one segment, and turn words into ids and back.

Axes: H W rows and columns of codes, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from mmreason.errors import CheckpointError
from mmreason.layouts.view import View
from mmreason.records import Modality, Segment, SegmentKind


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What a segment may look at: the task in words, a picture, and what was thought before.

    The picture is the one as it is now; for a layout that shows ``segments`` as they came, the one at the start.
    """

    instruction: str
    codes_HW: np.ndarray
    thoughts: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()


class Layout(Protocol):
    """Ids and prompts of a checkpoint family."""

    family: str
    mask: int
    text_length: int  # slots of a text segment
    first_code: int
    num_codes: int

    @property
    def prompt_marks(self) -> tuple[str, ...]:
        """What no text within a prompt may hold."""
        ...

    def allowed(self, modality: Modality) -> torch.Tensor:
        """Boolean (V,): the ids that a segment of ``modality`` may hold."""
        ...

    def view(self, state: State, kind: SegmentKind, cells: np.ndarray | None = None) -> View:
        """What the model is shown for the next segment; an edit fills the flat ``cells`` (default: all)."""
        ...

    def read(self, ids: list[int]) -> str:
        """The words of a text segment, up to its end."""
        ...

    def write(self, text: str) -> list[int]:
        """The ids of a text segment, without what fills it up; ``read`` gives the text back."""
        ...


def check_ids(mask: int, right_mask: int, first_code: int, num_codes: int, vocab: int) -> None:
    """Refuse a checkpoint whose mask is another one, or whose embedding lacks rows for its codes."""
    if mask != right_mask:
        raise CheckpointError(f"mask_token_id must be {right_mask}, got {mask}")
    if first_code + num_codes > vocab:
        needed = f"{first_code + num_codes} rows ({first_code} ids, {num_codes} codes)"
        raise CheckpointError(f"the embedding must have at least {needed}, got {vocab}")


def region_of_cells(cells: np.ndarray | None, grid: tuple[int, int]) -> np.ndarray:
    """Boolean (H, W) of flat ``cells``; everything without any."""
    if cells is None:
        return np.ones(grid, dtype=bool)
    region = np.zeros(grid[0] * grid[1], dtype=bool)
    region[np.asarray(cells)] = True
    return region.reshape(grid)
