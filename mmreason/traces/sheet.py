"""The decoded codebook as one picture, from which every canvas of a trace can be drawn.

Axes: C codes.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmreason.errors import TraceError
from mmreason.records import CELL_PX
from mmreason.traces.file import HANDED, check, png_url
from mmreason.traces.schema import PNG_PREFIX
from mmreason.traces.versions.ours import ones_of

SHEET_COLUMNS = 16
MAX_SHEET_CHARS = 1_000_000
MAX_SHEET_CODES = 4096


def sheet_value(sheet: np.ndarray) -> dict[str, Any]:
    """The decoded codebook (C, 16, 16, 3) as the one picture from which a reader draws every canvas."""
    return {"image": _sheet_image(sheet.shape, sheet.tobytes()), "columns": SHEET_COLUMNS}


@lru_cache(maxsize=8)
def _sheet_image(shape: tuple[int, ...], pixels: bytes) -> str:
    num_codes, side = shape[:2]
    rows = math.ceil(num_codes / SHEET_COLUMNS)
    cells = np.zeros((rows * SHEET_COLUMNS, side, side, 3), np.uint8)
    cells[:num_codes] = np.frombuffer(pixels, np.uint8).reshape(shape)
    grid = cells.reshape(rows, SHEET_COLUMNS, side, side, 3).swapaxes(1, 2)
    return png_url(grid.reshape(rows * side, SHEET_COLUMNS * side, 3))


def sheet_pixels(value: Any) -> np.ndarray:
    """The codebook back from ``sheet_value``; rows of blank cells may follow the last code.  Raises TraceError."""
    if not isinstance(value, Mapping) or set(value) != {"image", "columns"}:
        raise TraceError("field 'sheet' must hold 'image', a PNG data URL, and 'columns'")
    url, columns = value["image"], value["columns"]
    if not isinstance(columns, int) or isinstance(columns, bool) or not 1 <= columns <= 64:
        raise TraceError("field 'sheet.columns' must be a whole number from 1 to 64")
    if not isinstance(url, str) or not url.startswith(PNG_PREFIX) or len(url) > MAX_SHEET_CHARS:
        raise TraceError(f"field 'sheet.image' must be a PNG data URL of at most {MAX_SHEET_CHARS} characters")
    try:
        content = base64.b64decode(url[len(PNG_PREFIX) :], validate=True)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            width, height = image.size  # from the header: nothing is decoded yet
            fits = width == columns * CELL_PX and height % CELL_PX == 0
            picture = np.asarray(image.convert("RGB")) if fits and _codes(width, height) else None
    except Exception:  # Pillow's readers raise many kinds on forged chunks
        raise TraceError("field 'sheet.image' is not a PNG picture") from None
    if picture is None:
        raise TraceError(
            f"field 'sheet.image' must be {columns} cells of {CELL_PX} pixels wide and hold at most "
            f"{MAX_SHEET_CODES} cells, is {width} × {height} pixels"
        )
    cells = picture.reshape(-1, CELL_PX, columns, CELL_PX, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cells.reshape(-1, CELL_PX, CELL_PX, 3))


def load_with_sheet(path: str | Path) -> dict[str, Any]:
    """A shipped trace with the ``sheet`` that stands beside it in its file; raises TraceError."""
    content = HANDED.load(path)
    sheet = content.get("sheet") if isinstance(content, dict) else None
    (trace,) = ones_of(content)
    check(trace)
    sheet_pixels(sheet)
    return trace | {"sheet": sheet}


def _codes(width: int, height: int) -> bool:
    return 1 <= width * height // CELL_PX**2 <= MAX_SHEET_CODES
