"""How many masks a step commits: as the public samplers count, and always all of them in the end."""

from __future__ import annotations

import numpy as np
import pytest

from mmreason.errors import ConfigError
from mmreason.sampling.views.schedule import (
    SCHEDULES,
    block_shares,
    cosine_left,
    equal_shares,
    joint_image_left,
    joint_image_steps,
    joint_text_shares,
)
from tests.helpers import golden

GIVEN = golden.facts("schedules")
LEFT = GIVEN["masks_left_after_each_step"]


@pytest.mark.parametrize("case", list(LEFT["dimoo"]))
def test_cosine_leaves_what_the_references_leave(case: str) -> None:
    slots, steps = map(int, case.split(","))
    assert cosine_left(slots, steps) == LEFT["dimoo"][case]
    assert golden.mmada_left(slots, steps, slots) == LEFT["mmada"][case]


def test_cosine_is_computed_in_32_bits() -> None:
    assert int(np.floor(1024 * np.cos(np.pi / 2 * 10 / 15))) == 512  # what 64 bits would leave
    assert cosine_left(1024, 15)[9] == 511


@pytest.mark.parametrize("case", list(GIVEN["parallel"]["image"]))
def test_a_picture_beside_its_text_follows_the_reference(case: str) -> None:
    slots, text_steps, image_steps = (int(part.split()[-1]) for part in case.split(","))
    given = GIVEN["parallel"]["image"][case]
    assert joint_image_steps(text_steps, image_steps) == given["image_steps_at"]
    assert joint_image_left(slots, text_steps, image_steps) == given["masks_left_after_each_text_step"]


@pytest.mark.parametrize("case", list(GIVEN["parallel"]["text_quota"]))
def test_a_text_beside_its_picture_follows_the_reference(case: str) -> None:
    slots, steps = (int(part.split()[-1]) for part in case.split(","))
    assert joint_text_shares(slots, steps) == GIVEN["parallel"]["text_quota"][case]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_commits_and_all_slots_are_filled(schedule: str) -> None:
    for slots in (1, 2, 7, 48, 256, 1024):
        for steps in (1, 2, 3, 16, 64):
            shares = [share for _, share in block_shares(slots, steps, schedule)]
            assert sum(shares) == slots and min(shares) >= 1 and len(shares) <= min(steps, slots)


def test_equal_shares_put_the_remainder_first() -> None:
    assert equal_shares(10, 4) == [3, 3, 2, 2]


def test_blocks_are_filled_one_after_the_other() -> None:
    assert block_shares(32, 8, "equal", 16) == [(0, 4)] * 4 + [(1, 4)] * 4
    assert block_shares(0, 8) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((32, 8, "equal", 12), "block_length"), ((32, 3, "equal", 16), "num_steps"), ((8, 2, "sine"), "cosine")],
)
def test_what_does_not_divide_is_refused(arguments: tuple, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        block_shares(*arguments)
