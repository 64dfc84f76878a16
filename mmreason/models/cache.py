"""The exact prefix cache: keys and values of finished segments.

Axes: N layers, B rows, A heads, M cached positions, D head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

GROWTH = 128  # columns by which the buffers grow


class PrefixCache:
    """Preallocated keys and values, each row filled to its own length, without holes.

    A segment is written once, clean, when it is finished; nothing that is cached ever changes.
    """

    def __init__(self, num_layers: int, num_heads: int, head_dim: int) -> None:
        self.shape = (num_layers, num_heads, head_dim)
        self.keys_NBAMD: torch.Tensor | None = None
        self.values_NBAMD: torch.Tensor | None = None
        self.length_B = torch.zeros(0, dtype=torch.long)

    def allocate(self, like: torch.Tensor, num_rows: int) -> None:
        """Make room for ``num_rows`` empty rows with the device and type of ``like``, or under autocast its type."""
        layers, heads, width = self.shape
        size, kind = (layers, num_rows, heads, GROWTH, width), like.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype
        self.keys_NBAMD, self.values_NBAMD = like.new_zeros(size, dtype=dtype), like.new_zeros(size, dtype=dtype)
        self.length_B = torch.zeros(num_rows, dtype=torch.long, device=like.device)

    def reserve(self, num_columns: int) -> None:
        """Make sure that ``num_columns`` fit; the buffers grow in steps, so that this seldom copies."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        missing = num_columns - self.keys_NBAMD.shape[3]
        if missing > 0:
            more = -(-missing // GROWTH) * GROWTH
            self.keys_NBAMD = F.pad(self.keys_NBAMD, (0, 0, 0, more))
            self.values_NBAMD = F.pad(self.values_NBAMD, (0, 0, 0, more))

    @property
    def num_rows(self) -> int:
        return len(self.length_B)

    @property
    def num_columns(self) -> int:
        """Columns that the longest row fills; attention reads these."""
        return int(self.length_B.max()) if len(self.length_B) else 0

    def read(self, layer: int, num_columns: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of ``layer``, (B, A, num_columns, D) each."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        return self.keys_NBAMD[layer, :, :, :num_columns], self.values_NBAMD[layer, :, :, :num_columns]

    def filled(self, num_columns: int) -> torch.Tensor:
        """Boolean (B, num_columns): True where a row holds a token."""
        return torch.arange(num_columns, device=self.length_B.device) < self.length_B[:, None]

    def write(self, layer: int, keys_BALD: torch.Tensor, values_BALD: torch.Tensor, keep_BL: torch.Tensor) -> None:
        """Append the kept positions of a block to each row of ``layer``; call ``advance`` after the last."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        row, source = keep_BL.nonzero(as_tuple=True)
        target = (self.length_B[:, None] + keep_BL.cumsum(1) - 1)[row, source]
        self.keys_NBAMD[layer, row, :, target] = keys_BALD[row, :, source]
        self.values_NBAMD[layer, row, :, target] = values_BALD[row, :, source]

    def advance(self, keep_BL: torch.Tensor) -> None:
        """Count what ``write`` has appended in every layer."""
        self.length_B = self.length_B + keep_BL.sum(1)

    def select(self, rows: torch.Tensor) -> PrefixCache:
        """A cache of the given rows, in that order; a row may be taken more than once."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        chosen = PrefixCache(*self.shape)
        chosen.keys_NBAMD = self.keys_NBAMD[:, rows]
        chosen.values_NBAMD = self.values_NBAMD[:, rows]
        chosen.length_B = self.length_B[rows]
        return chosen

    def append_row(self) -> None:
        """One empty row more, the last."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        self.keys_NBAMD = F.pad(self.keys_NBAMD, (0, 0) * 3 + (0, 1))
        self.values_NBAMD = F.pad(self.values_NBAMD, (0, 0) * 3 + (0, 1))
        self.length_B = F.pad(self.length_B, (0, 1))

    def put(self, rows: torch.Tensor, chosen: PrefixCache) -> None:
        """Take back what ``select`` gave for ``rows`` and has grown since."""
        columns = chosen.num_columns
        self.reserve(columns)
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        keys_NBAMD, values_NBAMD = chosen.keys_NBAMD, chosen.values_NBAMD
        assert keys_NBAMD is not None and values_NBAMD is not None
        self.keys_NBAMD[:, rows, :, :columns] = keys_NBAMD[:, :, :, :columns]
        self.values_NBAMD[:, rows, :, :columns] = values_NBAMD[:, :, :, :columns]
        self.length_B[rows] = chosen.length_B

    def shrink(self) -> None:
        """Give back the columns that no row needs."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        columns = max(1, -(-self.num_columns // GROWTH)) * GROWTH
        if columns < self.keys_NBAMD.shape[3]:
            self.keys_NBAMD = self.keys_NBAMD[:, :, :, :columns].clone()
            self.values_NBAMD = self.values_NBAMD[:, :, :, :columns].clone()
