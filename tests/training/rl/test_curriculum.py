"""Difficulties drawn by what is neither always nor never solved, and groups without spread drawn again."""

from __future__ import annotations

import pytest

from mmreason.errors import ConfigError
from mmreason.settings import settings_of
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.curriculum import LEAST, Curriculum
from mmreason.training.rl.grpo import step_problems
from mmreason.training.rl.trainer import Trainer
from mmreason.training.run.rundir import RunDirectory
from tests.helpers.learning import assert_same_run, config, even_tokens, fresh_pipe, rows_in

LEVELS = {"easy": 1.0, "medium": 1.0, "hard": 1.0}


def learned(easy: float, medium: float, hard: float) -> Curriculum:
    """After many steps in which these shares were solved."""
    curriculum = Curriculum()
    for _ in range(50):
        curriculum.update(
            ("maze", name, round(100 * share), 100) for name, share in zip(LEVELS, (easy, medium, hard), strict=True)
        )
    return curriculum


def test_what_is_solved_half_the_time_is_drawn_most_and_nothing_is_left_out():
    weights = learned(1.0, 0.5, 0.0).weights("maze", LEVELS)
    assert weights["medium"] == pytest.approx(1.0)
    assert weights["easy"] == weights["hard"] == LEAST
    assert set(Curriculum().weights("maze", LEVELS).values()) == {1.0}  # nothing is known yet
    assert learned(1.0, 0.5, 0.0).weights("maze", LEVELS | {"medium": 0.5})["medium"] == pytest.approx(0.5)


def test_older_steps_count_less_and_tasks_apart():
    curriculum = learned(0.0, 0.0, 0.0)
    for _ in range(10):
        curriculum.update([("maze", "hard", 100, 100)])
    assert curriculum.share("maze", "hard") > 0.6 > 0.01 > curriculum.share("maze", "easy")
    assert curriculum.share("sudoku", "hard") == 0.5


def test_problems_follow_the_curriculum_and_are_a_function_of_it():
    settings = config(num_problems=64, difficulties=LEVELS, tasks={"maze": 1.0}, curriculum=True)
    curriculum = learned(1.0, 0.5, 0.0)
    drawn = [problem.difficulty for problem, _ in step_problems(settings, 3, curriculum)]
    assert 44 <= drawn.count("medium") < 64
    assert drawn == [problem.difficulty for problem, _ in step_problems(settings, 3, learned(1.0, 0.5, 0.0))]
    plain = [problem.difficulty for problem, _ in step_problems(settings, 3)]
    assert max(plain.count(name) for name in LEVELS) < 35


def test_the_page_says_when_two_arms_have_prompts_of_their_own():
    settings = config(num_problems=64, difficulties=LEVELS, curriculum=True)
    solved = Curriculum(), learned(1.0, 0.5, 0.0), learned(0.5, 0.2, 0.0)
    drawn = [[problem.difficulty for problem, _ in step_problems(settings, 3, arm)] for arm in solved]
    assert len({tuple(each) for each in drawn}) == 3
    control = settings_of(GRPOConfig)["assignment"].page
    assert control is not None and "unless Curriculum or Resample draws by each arm's own rollouts" in control.info


def test_problems_that_are_drawn_again_are_others():
    settings = config(num_problems=4)
    boards = {p.canvas.tobytes() for again in (0, 1, 2) for p, _ in step_problems(settings, 3, None, again)}
    seeds = {seed for again in (0, 1, 2) for _, seed in step_problems(settings, 3, None, again)}
    assert len(boards) == len(seeds) == 12


def test_a_curriculum_of_one_difficulty_is_refused():
    with pytest.raises(ConfigError, match="curriculum needs several difficulties, got medium"):
        GRPOConfig(curriculum=True)


def trainer(folder, rewards=(even_tokens,), **changes) -> Trainer:
    return Trainer(fresh_pipe(), config(**changes), RunDirectory(folder), reward_functions=rewards)


def test_groups_without_spread_are_drawn_again_counted_and_no_oftener_than_asked(tmp_path):
    trainer(tmp_path / "flat", (), max_steps=1, resample=2).train()  # a random policy is never right
    flat = rows_in(tmp_path / "flat")[-1]
    trainer(tmp_path / "off", (), max_steps=1).train()
    off = rows_in(tmp_path / "off")[-1]
    count = config().num_problems
    assert 0 < flat["resampled"] <= 2 * count and "resampled" not in off
    assert flat["rollout_flops"] > off["rollout_flops"]
    trainer(tmp_path / "spread", max_steps=1, resample=2).train()
    spread = rows_in(tmp_path / "spread")[-1]
    assert spread["resampled"] < 2 * count and spread["frac_reward_zero_std"] < flat["frac_reward_zero_std"]


@pytest.mark.slow
def test_a_curriculum_resumes_bit_for_bit_and_its_history_is_in_the_metrics(tmp_path):
    changes = {"difficulties": LEVELS, "curriculum": True, "resample": 1, "max_steps": 4, "save_steps": 1}
    trainer(tmp_path / "whole", **changes).train()
    left = iter([False, False, True])
    trainer(tmp_path / "parts", **changes).train(pause=lambda: next(left))
    trainer(tmp_path / "parts", **changes).train(resume=True)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    rows = [row for row in rows_in(tmp_path / "whole") if row["step"]]
    task = next(iter(config().tasks))
    assert all(0 < row[f"curriculum/{task}/hard/solved"] < 1 for row in rows)
    assert sum(rows[-1][f"curriculum/{task}/{name}/drawn"] for name in LEVELS) == pytest.approx(1)
