"""The errors a user can cause; each message names the field, the value and what would be right."""

from __future__ import annotations

from typing import Any


class MMReasonError(Exception):
    """Root of every error that mmreason raises on purpose."""


class ConfigError(MMReasonError, ValueError):
    """A setting lies outside what it may be."""


class RewardError(ConfigError):
    """A user's own reward failed or gave what is no score; its cause, if any, is for the author of the reward."""


class TaskError(ConfigError):
    """A user's own task failed or breaks a law of tasks; its cause, if any, is for the author of the task.

    ``result`` is what a command says of it with ``--json``.
    """

    result: dict[str, Any] | None = None


class ProblemError(MMReasonError, ValueError):
    """A problem is malformed, unsolvable or ambiguous."""


class TraceError(MMReasonError, ValueError):
    """A trace file is not valid."""


class Stopped(MMReasonError):
    """A signal asked a training to end, and it did, saved; ``result`` is what its command says of it."""

    def __init__(self, says: str, result: dict[str, Any], number: int) -> None:
        super().__init__(says)
        self.result, self.exit_code = result, 128 + number  # as a shell has it


class DistributionError(MMReasonError, ArithmeticError):
    """A policy's probabilities are not numbers: its weights are damaged or overflow."""


class WriteError(MMReasonError, OSError):
    """A file cannot be written."""


class CheckpointError(MMReasonError, FileNotFoundError):
    """A checkpoint is missing, truncated or of another version."""
