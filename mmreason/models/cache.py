"""The exact prefix cache: keys and values of finished segments.

Axes: N layers, B rows, A heads, M cached positions, D head width.
"""

from __future__ import annotations

import copy

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
        self.lengths = torch.zeros(0, dtype=torch.long)  # of all rows
        self.rows: torch.Tensor | None = None  # those that this is about; None: all

    def allocate(self, like: torch.Tensor, num_rows: int) -> None:
        """Make room for ``num_rows`` empty rows with the device and type of ``like``, or under autocast its type."""
        layers, heads, width = self.shape
        size, kind = (layers, num_rows, heads, GROWTH, width), like.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype
        self.keys_NBAMD, self.values_NBAMD = like.new_zeros(size, dtype=dtype), like.new_zeros(size, dtype=dtype)
        self.lengths = torch.zeros(num_rows, dtype=torch.long, device=like.device)

    def reserve(self, num_columns: int) -> None:
        """Make sure that ``num_columns`` fit; the buffers grow in steps, so that this seldom copies."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        missing = num_columns - self.keys_NBAMD.shape[3]
        if missing > 0:
            more = -(-missing // GROWTH) * GROWTH
            self.keys_NBAMD = F.pad(self.keys_NBAMD, (0, 0, 0, more))
            self.values_NBAMD = F.pad(self.values_NBAMD, (0, 0, 0, more))

    @property
    def length_B(self) -> torch.Tensor:
        """(B,) tokens that each row holds."""
        return self.lengths if self.rows is None else self.lengths[self.rows]

    @property
    def num_columns(self) -> int:
        """Columns that the longest row fills; attention reads these."""
        return int(self.length_B.max()) if len(self.length_B) else 0

    def only(self, rows: torch.Tensor) -> PrefixCache:
        """Some rows of this cache, each once, in that order: what is written there is written here.

        Make room before; it must not grow while the rows are in use.
        """
        chosen = copy.copy(self)
        chosen.rows = rows
        return chosen

    def read_with(
        self, layer: int, keys_BALD: torch.Tensor, values_BALD: torch.Tensor, num_columns: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``num_columns`` cached keys and values of ``layer`` and those of a block behind them, which is not kept.

        The block stands where nothing is cached yet, so that what is cached need not be copied: read them before the
        next ``write``.
        """
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        length = num_columns + keys_BALD.shape[2]
        keys, values = self.keys_NBAMD[layer, :, :, :length], self.values_NBAMD[layer, :, :, :length]
        rows = slice(None) if self.rows is None else self.rows
        keys[:, :, num_columns:][rows] = keys_BALD
        values[:, :, num_columns:][rows] = values_BALD
        return (keys, values) if self.rows is None else (keys[rows], values[rows])

    def filled(self, num_columns: int) -> torch.Tensor:
        """Boolean (B, num_columns): True where a row holds a token."""
        return torch.arange(num_columns, device=self.length_B.device) < self.length_B[:, None]

    def write(self, layer: int, keys_BALD: torch.Tensor, values_BALD: torch.Tensor, keep_BL: torch.Tensor) -> None:
        """Append the kept positions of a block to each row of ``layer``; call ``advance`` after the last."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        row, source = keep_BL.nonzero(as_tuple=True)
        target = (self.length_B[:, None] + keep_BL.cumsum(1) - 1)[row, source]
        here = row if self.rows is None else self.rows[row]
        self.keys_NBAMD[layer, here, :, target] = keys_BALD[row, :, source]
        self.values_NBAMD[layer, here, :, target] = values_BALD[row, :, source]

    def advance(self, keep_BL: torch.Tensor) -> None:
        """Count what ``write`` has appended in every layer."""
        self.lengths[slice(None) if self.rows is None else self.rows] += keep_BL.sum(1)

    def select(self, rows: torch.Tensor) -> PrefixCache:
        """A cache of the given rows, in that order; a row may be taken more than once."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        chosen = PrefixCache(*self.shape)
        chosen.keys_NBAMD = self.keys_NBAMD[:, rows]
        chosen.values_NBAMD = self.values_NBAMD[:, rows]
        chosen.lengths = self.lengths[rows]
        return chosen

    def append_row(self) -> None:
        """One empty row more, the last."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        self.keys_NBAMD = F.pad(self.keys_NBAMD, (0, 0) * 3 + (0, 1))
        self.values_NBAMD = F.pad(self.values_NBAMD, (0, 0) * 3 + (0, 1))
        self.lengths = F.pad(self.lengths, (0, 1))

    def put(self, rows: torch.Tensor, chosen: PrefixCache) -> None:
        """Take back what ``select`` gave for ``rows`` and has grown since."""
        columns = chosen.num_columns
        self.reserve(columns)
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        keys_NBAMD, values_NBAMD = chosen.keys_NBAMD, chosen.values_NBAMD
        assert keys_NBAMD is not None and values_NBAMD is not None
        self.keys_NBAMD[:, rows, :, :columns] = keys_NBAMD[:, :, :, :columns]
        self.values_NBAMD[:, rows, :, :columns] = values_NBAMD[:, :, :, :columns]
        self.lengths[rows] = chosen.lengths

    def shrink(self) -> None:
        """Give back the columns that no row needs."""
        assert self.keys_NBAMD is not None and self.values_NBAMD is not None
        columns = max(1, -(-self.num_columns // GROWTH)) * GROWTH
        if columns < self.keys_NBAMD.shape[3]:
            self.keys_NBAMD = self.keys_NBAMD[:, :, :, :columns].clone()
            self.values_NBAMD = self.values_NBAMD[:, :, :, :columns].clone()
