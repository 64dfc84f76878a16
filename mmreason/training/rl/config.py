"""The settings of a fine-tune; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.limits import Number, Whole
from mmreason.records import DIFFICULTIES
from mmreason.rewards.assignment import AssignmentConfig
from mmreason.sampling.config import WATCHED_ORDER, SamplingConfig
from mmreason.sampling.views.config import ViewsConfig
from mmreason.settings import Control, check, choice, number, switch, there, weighted
from mmreason.tasks import FIRST_TASKS, TASKS

LOSS_TYPES = ("dapo", "grpo", "dr_grpo")
LIKELIHOODS = ("trajectory", "one_step", "random_mask")
LOSS_DENOMINATORS = ("modality", "pooled")
SCHEDULES = ("constant", "linear")


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Names as in TRL's ``GRPOConfig``."""

    epsilon: float = number(
        0.2,
        Number("epsilon", 0.001, 1, "the probability ratio is clipped to 1 ± this"),
        page=Control("Epsilon", "The probability ratio is clipped to 1 ± this."),
    )
    epsilon_high: float | None = number(
        None, Number("epsilon_high", 0.001, 10, "upper clip of the ratio, if not epsilon"), left="epsilon"
    )
    beta: float = number(
        0.0,
        Number("beta", 0, 10, "KL penalty towards the starting policy; 0 turns it off"),
        page=Control("Beta", "KL penalty towards the starting policy; 0 turns it off."),
    )
    loss_type: str = choice("dapo", LOSS_TYPES, "how the tokens' losses are averaged, as in TRL")
    loss_denominator: str = choice(
        "modality",
        LOSS_DENOMINATORS,
        "modality: text and image tokens are averaged apart and the two means added; pooled: one mean over all tokens",
        page=Control(
            "Averaged over",
            "Modality averages the tokens of words and of pictures apart and adds the two means; pooled takes one "
            "mean over all tokens, in which the many tokens of pictures outweigh the few of words.",
        ),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.epsilon_high is not None and self.epsilon_high < self.epsilon:
            raise ConfigError(f"epsilon_high must be at least epsilon ({self.epsilon}), got {self.epsilon_high}")


@dataclass(frozen=True, slots=True)
class GRPOConfig:
    """Settings of the fine-tune; names as in TRL's ``GRPOConfig`` where it has them.

    A field here is all that a new setting takes: see ``mmreason.settings``.
    """

    max_steps: int = number(
        60, limits.STEPS, name="steps", metavar="N", page=Control("Steps", "Number of weight updates.", place="first")
    )
    num_problems: int = number(
        16,
        limits.NUM_PROBLEMS,
        page=Control("Problems a step", "New puzzles for each update.", place="first"),
    )
    num_generations: int = number(
        8,
        limits.NUM_GENERATIONS,
        page=Control("Group size", "Rollouts of each puzzle, compared with one another.", place="first"),
    )
    learning_rate: float = number(
        1e-4,
        limits.LEARNING_RATE,
        page=Control("Learning rate", "If it is too high, both rewards fall.", place="first"),
    )
    seed: int = number(0, limits.SEED, page=Control("Seed", "The same seed gives the same prompts.", place="first"))
    tasks: Mapping[str, float] = weighted(
        dict.fromkeys(FIRST_TASKS, 1.0),
        "tasks it learns on (built-in, FILE.py:CLASS or data:FOLDER), and their shares "
        "(default: all that the checkpoint knows, in equal shares)",
        left="all that the checkpoint knows",
        metavar="TASK[=WEIGHT]",
        page=Control("Tasks", "Puzzles to train on, in equal shares.", place="own"),
    )
    difficulties: Mapping[str, float] = weighted(
        {"medium": 1.0},
        "difficulties of the problems, and their shares (default: medium)",
        name="difficulties",
        flag="difficulty",
        metavar="NAME[=WEIGHT]",
        page=Control(
            "Difficulty mix", "Problems are drawn in proportion to these weights; 0 leaves a level out.", place="own"
        ),
    )
    curriculum: bool = switch(
        False,
        "draw those of the difficulties more often that are neither always nor never solved",
        page=Control("Curriculum", "Draws those difficulties more often that are neither always nor never solved."),
    )
    resample: int = number(
        0,
        Whole("resample", 0, 8, "how often a group whose rewards are all the same is drawn again; 0 is off"),
        page=Control("Resample", "How often a group whose rewards are all the same is drawn again (as in DAPO)."),
    )
    assignment: AssignmentConfig = field(default_factory=AssignmentConfig)
    sampling: SamplingConfig = field(
        default_factory=SamplingConfig,
        metadata=there(
            temperature={
                "limit": limits.TRAIN_TEMPERATURE,
                "page": Control("Temperature", "How random the rollouts are, and the held-out tests."),
            }
        ),
    )
    views: ViewsConfig = field(default_factory=ViewsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    num_iterations: int = number(
        1,
        Whole("num_iterations", 1, 16, "updates per batch of rollouts"),
        page=Control("Updates a batch", "With more than 1, clipping matters."),
    )
    eval_problems: int = number(
        80, limits.EVAL_PROBLEMS, page=Control("Held-out problems", "Held-out problems per evaluation.")
    )
    eval_steps: int = number(20, limits.EVAL_STEPS, page=Control("Evaluate every", "Steps between evaluations."))
    save_steps: int = number(
        20, limits.SAVE_STEPS, metavar="N", page=Control("Save every", "Steps between checkpoints.")
    )
    keep_steps: int | None = number(None, limits.KEEP_STEPS, metavar="N", left="none but the last is kept")
    logging_steps: int = number(1, limits.LOGGING_STEPS)
    warmup_steps: int = number(5, limits.WARMUP_STEPS)
    lr_scheduler_type: str = choice(
        "constant", SCHEDULES, "the learning rate after the warmup; linear falls to zero after the last step"
    )
    max_grad_norm: float = number(1.0, limits.MAX_GRAD_NORM)
    likelihood: str = choice("trajectory", LIKELIHOODS, "how the log-probability of a rollout is computed")
    mask_share: float | None = number(
        None,
        Number("mask_share", 0.01, 1, "share of a rollout's tokens that random_mask hides"),
        left="drawn anew for each segment",
    )
    max_tokens: int | None = number(
        None, limits.MAX_TOKENS, "positions in one backward pass", left="as many as suit the device"
    )
    score_steps: float = number(
        1.0,
        Number(
            "score_steps", 0.01, 1, "share of a segment's denoising steps that stands for all, of public checkpoints"
        ),
        page=Control("Share of steps scored", "Less is quicker; the gradient is the same on average.", place="public"),
    )
    lora_rank: int = number(
        0,
        limits.LORA_RANK,
        page=Control("LoRA rank", "Adapters of this rank are trained; the weights stay as they are.", place="public"),
    )
    lora_alpha: float | None = number(None, limits.LORA_ALPHA, left="twice the rank")
    bf16: bool = switch(
        False,
        "bfloat16 autocast of rollouts and updates; the weights stay as they are",
        page=Control(
            "bf16", "Half precision: faster on processors with native bfloat16, and for larger policies on a GPU."
        ),
    )
    gradient_checkpointing: bool | None = switch(
        None, "compute activations again in the backward pass, to save memory", left="for public checkpoints on a GPU"
    )

    def __post_init__(self) -> None:
        check(self)
        if self.sampling.order == WATCHED_ORDER:
            raise ConfigError(
                f"order must be confidence or entropy in training, got {WATCHED_ORDER}, which hangs on what was drawn "
                "and has no exact likelihood: it is for watching only"
            )
        if self.mask_share is not None and self.likelihood != "random_mask":
            raise ConfigError(f"mask_share is of the likelihood random_mask, got likelihood {self.likelihood}")
        if not any(self.assignment.reward_weights.values()):
            raise ConfigError("reward_weights must be above 0 for text or image, got 0 for both: nothing is learnt")
        for name in ("tasks", "difficulties"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must name at least one, got none")
        for name in self.tasks:
            if name not in TASKS:
                raise ConfigError(f"tasks must be of {', '.join(TASKS)}, got {name!r}")
        if self.curriculum and len(self.difficulties) < 2:
            raise ConfigError(f"curriculum needs several difficulties, got {', '.join(self.difficulties)}")
        for name in self.difficulties:
            if name not in DIFFICULTIES:
                raise ConfigError(f"difficulty must be one of {', '.join(DIFFICULTIES)}, got {name!r}")

    def rate(self, step: int) -> float:
        """The learning rate of ``step`` (from 0)."""
        left = 1 - step / self.max_steps if self.lr_scheduler_type == "linear" else 1.0
        return self.learning_rate * min(left, (step + 1) / max(1, self.warmup_steps))
