"""A stand-in of Lumina-DiMOO, written once for all tests, and pipelines on it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from mmreason.backbones.standin import write_standin
from mmreason.sampling.views.pipeline import ViewsPipeline

SHORT = {"text_length": 8, "text_steps": 2, "pixels": 128}  # 128 pixels are 8 × 8 codes, one a cell


@cache
def folder(family: str = "dimoo") -> Path:
    """The checkpoint's folder."""
    root = Path(tempfile.mkdtemp(prefix="standin-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    write_standin(family, root / f"tiny-{family}")
    return root / f"tiny-{family}"


def pipeline(family: str = "dimoo", **changes: Any) -> ViewsPipeline:
    """A fresh policy whose texts are short."""
    return ViewsPipeline.from_pretrained(str(folder(family)), changes=SHORT | changes)
