"""What processes that train together expect of one another."""

from __future__ import annotations

from datetime import timedelta

from mmreason.training.hardware import processes


def test_processes_wait_hours_for_one_whose_step_takes_longer() -> None:
    handler = processes().init_handler
    assert handler is not None and handler.timeout is not None and handler.timeout >= timedelta(hours=2)
