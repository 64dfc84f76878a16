"""What the comparison of joint and factorized rewards holds fixed, and which runs it consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mmreason.records import DIFFICULTIES, MODALITIES
from mmreason.rewards.assignment import GRANULARITIES, SWAPPED, TO_GO, WHITENED
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.settings import build, settings_of
from mmreason.training.rl.config import GRPOConfig

ARMS = ("joint", "factorized")
DOUBLE = "joint_double"  # joint with twice the rollouts
CONTROLS = (SWAPPED, DOUBLE)
ARM_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "joint": {"assignment": "joint"},
    "factorized": {"assignment": "factorized"},
    "joint_pooled": {"assignment": "joint", "loss_denominator": "pooled"},
    "factorized_pooled": {"assignment": "factorized", "loss_denominator": "pooled"},
    "text_only": {"assignment": "factorized", "silent": "image"},
    "image_only": {"assignment": "factorized", "silent": "text"},
    SWAPPED: {"assignment": SWAPPED},
    DOUBLE: {"assignment": "joint"},
    WHITENED: {"assignment": WHITENED},
    TO_GO: {"assignment": TO_GO},
}
"""What an arm has of its own; ``silent`` is a modality whose reward counts nothing."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Settings that all arms share.  ``points`` are the steps at which held-out problems are solved."""

    checkpoint: str = "checkpoints/earlier/base"
    tasks: tuple[str, ...] = ("maze", "sudoku")
    difficulties: Mapping[str, float] = field(default_factory=lambda: {"hard": 1.0})
    granularity: str = "turn"
    num_seeds: int = 10
    first_look: int = 5  # seeds planned first; the rest followed because the interval of these touched zero
    other_seeds: int = 2  # at the other granularity, and of each control
    points: tuple[int, ...] = (40, 80)  # the last one ends the run
    num_problems: int = 8
    num_generations: int = 4
    learning_rate: float = 2e-4
    lr_scheduler_type: str = "linear"
    temperature: float = 1.0  # of the rollouts that are learnt from; tests are at 1 and greedy
    num_steps: int = 1  # denoising steps of a segment, in training and tests
    region: str = "full"  # every edit redraws the whole canvas, so that drawing is unsure, too
    reward_weights: tuple[float, float] = (1.0, 1.0)  # text, image
    text_score: str = "segments"
    image_score: str = "exact"
    scale_rewards: str = "group"
    loss_type: str = "dapo"
    loss_denominator: str = "modality"  # of arms that have none of their own
    beta: float = 0.0
    num_iterations: int = 1
    likelihood: str = "trajectory"
    mask_share: float | None = None
    bf16: bool = True  # bfloat16 autocast of the held-out tests
    bf16_training: bool = True  # of the trainings
    problems_at_points: int = 200  # a task
    problems_at_end: int = 1000  # a task
    problems_apart: int = 100  # a task and difficulty that no run trains on
    test_seed: int = 90210  # of the problems, the same for every arm and seed
    split: str = "test"
    first_seed: int = 30  # earlier comparisons had seeds of their own
    looks_before: int = 3  # comparisons before, on the same held-out problems: assets/results/earlier

    @property
    def max_steps(self) -> int:
        return self.points[-1]

    @property
    def tested(self) -> dict[str, Any]:
        """What the outcomes of a policy depend on besides its weights."""
        names = ("tasks", "difficulties", "num_steps", "region", "bf16", "test_seed", "split")
        counts = ("problems_at_points", "problems_at_end", "problems_apart")
        return {name: value for name, value in asdict(self).items() if name in names + counts}

    @property
    def difficulties_apart(self) -> list[str]:
        """Those that no run trains on."""
        return [name for name in DIFFICULTIES if name not in self.difficulties]

    def sampling(self, scheduler: MaskedDiffusionScheduler, temperature: float) -> SamplingConfig:
        """How segments are denoised, in training and tests alike but for the temperature."""
        return scheduler.sampling_config(region=self.region, num_steps=self.num_steps, temperature=temperature)

    def training(self, run: Run, sampling: SamplingConfig) -> GRPOConfig:
        """The settings of ``run``."""
        shared = {name: getattr(self, name) for name in settings_of(GRPOConfig) if hasattr(self, name)}
        arm = dict(ARM_SETTINGS[run.arm])
        silent, weights = arm.pop("silent", None), dict(zip(MODALITIES, self.reward_weights, strict=True))
        own = arm | {
            "reward_weights": {name: 0.0 if name == silent else weight for name, weight in weights.items()},
            "granularity": run.granularity,
            "steps": self.max_steps,
            "seed": run.seed,
            "num_problems": self.num_problems * (2 if run.arm == DOUBLE else 1),
            "bf16": self.bf16_training,
            "save_steps": 10,
            "eval_steps": 10**5,  # beyond the last step: held-out problems are solved by the comparison itself
            "eval_problems": len(self.tasks) * len(self.difficulties),
        }
        return build(GRPOConfig, shared | own, sampling=sampling)


@dataclass(frozen=True, slots=True)
class Run:
    """One training of the comparison."""

    arm: str
    granularity: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.granularity}-{self.seed}"


def planned_runs(protocol: Protocol) -> list[Run]:
    """All runs, pairs of one seed together, the headline's first."""
    (other,) = (g for g in GRANULARITIES if g != protocol.granularity)
    seeds = range(protocol.first_seed, protocol.first_seed + protocol.num_seeds)
    few = range(protocol.first_seed, protocol.first_seed + protocol.other_seeds)
    runs = [Run(arm, protocol.granularity, seed) for seed in seeds for arm in ARMS]
    runs += [Run(arm, other, seed) for seed in few for arm in ARMS]
    return runs + [Run(arm, protocol.granularity, seed) for seed in few for arm in CONTROLS]


HEADLINE = Protocol()
HEADLINE_NAME = "before the set-ups"  # among them
QUICK = replace(
    HEADLINE,
    num_seeds=1,
    other_seeds=0,
    looks_before=0,
    points=(10, 20),
    problems_at_points=20,
    problems_at_end=60,
    problems_apart=10,
)
