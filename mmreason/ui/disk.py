"""What a visitor is told when this server cannot write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmreason.errors import CheckpointError, ConfigError, TraceError


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Raises ConfigError, in one sentence, if ``what`` cannot be written."""
    try:
        yield
    except CheckpointError:  # of a checkpoint, though it is an OSError too
        raise
    except (OSError, TraceError) as error:  # TraceError: from ``write_whole``
        reason = getattr(error, "strerror", None) or str(error).rpartition(": ")[2]
        raise ConfigError(f"this server cannot write {what} ({reason}): try again later") from None
