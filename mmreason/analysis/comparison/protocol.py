"""What the comparison of joint and factorized rewards holds fixed, and which runs it consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mmreason.records import DIFFICULTIES
from mmreason.rewards.assignment import SWAPPED, AssignmentConfig
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.training.rl.config import GRPOConfig

ARMS = ("joint", "factorized")
DOUBLE = "joint_double"  # joint with twice the rollouts
CONTROLS = (SWAPPED, DOUBLE)
GRANULARITIES = ("trace", "turn")


@dataclass(frozen=True, slots=True)
class Protocol:
    """Settings that all arms share.  ``points`` are the steps at which held-out problems are solved."""

    checkpoint: str = "checkpoints/base"
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
    every_text: bool = False  # by turn, compare texts where nothing right can be said, too
    due_answer: bool = False  # a member more in each group that answers when an answer is due; no longer there
    beta: float = 0.0
    bf16: bool = True  # bfloat16 autocast of the held-out tests; trainings always have it
    problems_at_points: int = 200  # a task
    problems_at_end: int = 1000  # a task
    problems_apart: int = 100  # a task and difficulty that no run trains on
    test_seed: int = 90210  # of the problems, the same for every arm and seed
    split: str = "test"
    first_seed: int = 30  # no two comparisons share seeds, nor does the map

    @property
    def max_steps(self) -> int:
        return self.points[-1]

    @property
    def closed(self) -> bool:
        """Is its way of training gone, so that only its finished runs are left?"""
        return self.due_answer

    @property
    def tested(self) -> dict[str, Any]:
        """What the outcomes of a policy depend on beside its weights."""
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
        assignment = "joint" if run.arm == DOUBLE else run.arm
        weights = {"text": self.reward_weights[0], "image": self.reward_weights[1]}
        config = GRPOConfig(
            max_steps=self.max_steps,
            seed=run.seed,
            num_problems=self.num_problems * (2 if run.arm == DOUBLE else 1),
            num_generations=self.num_generations,
            learning_rate=self.learning_rate,
            lr_scheduler_type=self.lr_scheduler_type,
            bf16=True,
            save_steps=10,
            eval_steps=10**6,
            eval_problems=len(self.tasks) * len(self.difficulties),
            tasks=dict.fromkeys(self.tasks, 1.0),
            difficulties=self.difficulties,
            sampling=sampling,
            assignment=AssignmentConfig(
                assignment, run.granularity, reward_weights=weights, every_text=self.every_text
            ),
        )
        return replace(config, loss=replace(config.loss, beta=self.beta))


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
# One run of each arm lost its sudokus: the answer that is due did not help, texts that are left out may.
THIRD = replace(HEADLINE, num_seeds=5, first_seed=20, every_text=True, due_answer=True)
# One of its factorized runs lost its sudokus, so it was stopped.
SECOND = replace(THIRD, points=(50, 100), first_seed=10, due_answer=False)
# Its five seeds led to longer runs.  Their rollouts, too, were in float32: bf16 did not hold for these then.
FIRST = replace(SECOND, points=(30, 60), first_seed=0, bf16=False)
EARLIER = {"first": FIRST, "second": SECOND, "third": THIRD}
QUICK = replace(
    HEADLINE,
    num_seeds=1,
    other_seeds=0,
    points=(10, 20),
    problems_at_points=20,
    problems_at_end=60,
    problems_apart=10,
)

_CENTRE = replace(
    FIRST,
    num_seeds=1,
    other_seeds=0,
    first_seed=1000,
    split="validation",
    points=(30,),
    problems_at_points=20,
    problems_at_end=100,
    problems_apart=20,
)
MAP: dict[str, Protocol] = {  # the centre, and one thing changed at a time
    "centre": _CENTRE,
    "half the learning rate": replace(_CENTRE, learning_rate=_CENTRE.learning_rate / 2),
    "twice the learning rate": replace(_CENTRE, learning_rate=_CENTRE.learning_rate * 2),
    "only stated regions redrawn": replace(_CENTRE, region="stated"),
    "by trace": replace(_CENTRE, granularity="trace"),
    "half the problems": replace(_CENTRE, num_problems=_CENTRE.num_problems // 2),
    "groups of 8": replace(_CENTRE, num_problems=_CENTRE.num_problems // 2, num_generations=8),
    "rollouts at 1.25": replace(_CENTRE, temperature=1.25),
    "medium, all tasks": replace(
        _CENTRE, tasks=("maze", "jigsaw", "sudoku", "transform"), difficulties={"medium": 1.0}
    ),
    "KL 0.04": replace(_CENTRE, beta=0.04),
    "text 4 : image 1": replace(_CENTRE, reward_weights=(4.0, 1.0)),
    "text 1 : image 4": replace(_CENTRE, reward_weights=(1.0, 4.0)),
}
