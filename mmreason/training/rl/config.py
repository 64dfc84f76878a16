"""The settings of a fine-tune; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.records import DIFFICULTIES
from mmreason.rewards.assignment import AssignmentConfig
from mmreason.sampling.config import SamplingConfig
from mmreason.tasks import TASKS

LOSS_TYPES = ("dapo", "grpo", "dr_grpo")
LIKELIHOODS = ("trajectory", "one_step", "random_mask")
SCHEDULES = ("constant", "linear")


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Names as in TRL's ``GRPOConfig``."""

    epsilon: float = 0.2
    epsilon_high: float | None = None  # None: same as epsilon
    beta: float = 0.0
    loss_type: str = "dapo"

    def __post_init__(self) -> None:
        if self.loss_type not in LOSS_TYPES:
            raise ConfigError(f"loss_type must be one of {', '.join(LOSS_TYPES)}, got {self.loss_type!r}")
        limits.EPSILON.check(self.epsilon)
        limits.BETA.check(self.beta)
        if self.epsilon_high is not None and limits.EPSILON_HIGH.check(self.epsilon_high) < self.epsilon:
            raise ConfigError(f"epsilon_high must be at least epsilon ({self.epsilon}), got {self.epsilon_high}")


NUMBERS = (
    *(limits.SEED, limits.NUM_PROBLEMS, limits.NUM_GENERATIONS, limits.NUM_ITERATIONS, limits.LEARNING_RATE),
    *(limits.WARMUP_STEPS, limits.MAX_GRAD_NORM, limits.LORA_RANK, limits.SAVE_STEPS, limits.LOGGING_STEPS),
    *(limits.EVAL_STEPS, limits.EVAL_PROBLEMS),
)


@dataclass(frozen=True, slots=True)
class GRPOConfig:
    """Settings of the fine-tune; names as in TRL's ``GRPOConfig`` where it has them."""

    max_steps: int = 60
    seed: int = 0
    num_problems: int = 16  # problems a step, over all processes
    num_generations: int = 8
    num_iterations: int = 1
    learning_rate: float = 1e-4
    warmup_steps: int = 5
    lr_scheduler_type: str = "constant"  # or "linear": to zero at max_steps; both after the warmup
    max_grad_norm: float = 1.0
    max_tokens: int | None = None  # positions in one backward pass; None: as many as suit the device
    likelihood: str = "trajectory"
    bf16: bool = False  # bfloat16 autocast of rollouts and updates; the weights stay as they are
    gradient_checkpointing: bool = False
    lora_rank: int = 0  # 0: all weights
    save_steps: int = 20
    logging_steps: int = 1
    eval_steps: int = 20
    eval_problems: int = 80
    tasks: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(TASKS, 1.0))
    difficulties: Mapping[str, float] = field(default_factory=lambda: {"medium": 1.0})
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    assignment: AssignmentConfig = field(default_factory=AssignmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        limits.STEPS.check(self.max_steps, "max_steps")
        for limit in NUMBERS:
            limit.check(getattr(self, limit.name))
        if self.max_tokens is not None:
            limits.MAX_TOKENS.check(self.max_tokens)
        if self.lr_scheduler_type not in SCHEDULES:
            raise ConfigError(
                f"lr_scheduler_type must be one of {', '.join(SCHEDULES)}, got {self.lr_scheduler_type!r}"
            )
        if self.likelihood not in LIKELIHOODS:
            raise ConfigError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {self.likelihood!r}")
        limits.TRAIN_TEMPERATURE.check(self.sampling.temperature)
        for name in ("tasks", "difficulties"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must name at least one, got none")
        for name in self.tasks:
            if name not in TASKS:
                raise ConfigError(f"tasks must be of {', '.join(TASKS)}, got {name!r}")
        for name in self.difficulties:
            if name not in DIFFICULTIES:
                raise ConfigError(f"difficulty must be one of {', '.join(DIFFICULTIES)}, got {name!r}")

    def rate(self, step: int) -> float:
        """The learning rate of ``step`` (from 0)."""
        left = 1 - step / self.max_steps if self.lr_scheduler_type == "linear" else 1.0
        return self.learning_rate * min(left, (step + 1) / max(1, self.warmup_steps))
