"""A GPU that is lent for a call, as on ZeroGPU Spaces; elsewhere nothing changes.

This module must be imported before torch (the package ``spaces`` asks for it), so it imports neither torch nor
anything that does.  On ZeroGPU solves stay on the CPU, in the worker's batch: the policy is small, and a batch
that visitors join cannot live in the process that a lent GPU starts for one call.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

try:
    import spaces  # pyright: ignore[reportMissingImports]
except ImportError:
    spaces = None

Work = TypeVar("Work", bound=Callable[..., Any])

START_SECONDS = 10  # for the process, and to move the weights
MAX_SECONDS = 120  # more is not asked for: a visitor's share of a day is a few minutes


def is_lent() -> bool:
    """Is the GPU there only inside of calls?"""
    return spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")


def announce() -> None:
    """Log what kind of machine this is."""
    logging.getLogger(__name__).info("started", extra={"zero_gpu": is_lent()})


def on_gpu(seconds: Callable[..., float]) -> Callable[[Work], Work]:
    """Run the function with a GPU where one is lent, for as long as ``seconds`` says of its arguments."""

    def decorate(work: Work) -> Work:
        if spaces is None:
            return work
        return spaces.GPU(duration=lambda *args, **kwargs: duration(seconds(*args, **kwargs)))(work)

    return decorate


def duration(seconds: float) -> int:
    """Whole seconds to ask for, the start included."""
    return min(MAX_SECONDS, START_SECONDS + max(1, math.ceil(seconds)))


def lent(pipe: Any) -> Any:
    """``pipe`` on the GPU, inside a call for which one was lent; elsewhere as it is."""
    return pipe.to("cuda") if is_lent() else pipe
