"""Set-ups of claim 2 that are fixed before their first test problem is solved: plain data.

A set-up is a protocol, its arms with the number of seeds, which two arms are the primary comparison, and the learning
rates of which its pilots choose one.  Which of them is registered, and at what commit, stands in
``assets/results/setups/registered.json``; a test holds the digest there against what is written here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from mmreason.analysis.comparison.protocol import DOUBLE, Protocol, Run
from mmreason.rewards.assignment import SWAPPED, TO_GO, WHITENED

ALL_TASKS = ("maze", "jigsaw", "sudoku", "transform")


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: its name among ``ARM_SETTINGS``, its granularity, and on how many seeds it is trained."""

    name: str
    granularity: str
    seeds: int

    @property
    def key(self) -> str:
        return f"{self.name}_{self.granularity}"


@dataclass(frozen=True, slots=True)
class Setup:
    """One comparison; the second arm of ``primary`` is set against the first."""

    name: str
    says: str  # what it is, after its name
    protocol: Protocol
    arms: tuple[Arm, ...]
    primary: tuple[str, str]  # keys of two arms
    rates: tuple[float, ...]  # the pilots'; of one alone there is no pilot
    measure: str = "answer_accuracy"  # the primary one; the other is ``success``, of the whole trace
    pilot_seed: int = 900
    pilot_problems: int = 100  # validation problems a task
    first_test_seed: int = 0  # a seed's own test problems are those of this and the seed

    @property
    def primary_arms(self) -> tuple[Arm, Arm]:
        first, second = (next(arm for arm in self.arms if arm.key == key) for key in self.primary)
        return first, second

    @property
    def pairs(self) -> list[tuple[Arm, Arm]]:
        """Arms that differ in the assignment alone: joint, and factorized."""
        by_key = {arm.key: arm for arm in self.arms}
        beside = [(arm, by_key.get(arm.key.replace("joint", "factorized"), arm)) for arm in self.arms]
        return [(joint, factorized) for joint, factorized in beside if joint is not factorized]

    @property
    def runs(self) -> list[Run]:
        """All that are registered: the primary pair seed by seed, then the other arms."""
        first = self.protocol.first_seed
        pair, others = self.primary_arms, [arm for arm in self.arms if arm.key not in self.primary]
        found: list[Run] = []
        for arms in (pair, others):
            for seed in range(first, first + max((arm.seeds for arm in arms), default=0)):
                found += [Run(arm.name, arm.granularity, seed) for arm in arms if seed < first + arm.seeds]
        return found

    def runs_of(self, arm: Arm) -> list[Run]:
        """Those of one arm, seed by seed."""
        return [run for run in self.runs if (run.arm, run.granularity) == (arm.name, arm.granularity)]

    @property
    def seeds(self) -> list[int]:
        return sorted({run.seed for run in self.runs})

    def protocol_of(self, rate: float, seed: int) -> Protocol:
        """The protocol of a run: the chosen rate, and test problems of this seed alone, which its arms share."""
        return replace(self.protocol, learning_rate=rate, test_seed=self.first_test_seed + seed)

    def pilot(self, rate: float) -> tuple[Protocol, Run]:
        """A run of the first primary arm at ``rate`` that is judged on validation problems."""
        arm = self.primary_arms[0]
        protocol = replace(
            self.protocol,
            learning_rate=rate,
            points=(self.protocol.max_steps,),
            split="validation",
            test_seed=self.first_test_seed + self.pilot_seed,
            problems_at_points=1,
            problems_at_end=self.pilot_problems,
            problems_apart=1,
        )
        return protocol, Run(arm.name, arm.granularity, self.pilot_seed)

    @property
    def digest(self) -> str:
        """Of everything that is fixed, not the words for it; a setting that is as it is by default changes nothing."""
        fixed = _said(self) | {"protocol": _said(self.protocol)}
        del fixed["says"]
        return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]


def _said(config: Setup | Protocol) -> dict[str, Any]:
    """The fields of ``config`` that are not as they are by default."""
    default = {
        each.name: each.default_factory() if each.default_factory is not MISSING else each.default
        for each in fields(config)
    }
    return {name: value for name, value in asdict(config).items() if value != default[name]}


THEIRS = Protocol(
    checkpoint="checkpoints/next/small",
    tasks=ALL_TASKS,
    difficulties={"medium": 1.0},
    granularity="trace",
    num_seeds=10,
    first_look=10,
    other_seeds=0,
    points=(30, 60),
    num_problems=8,
    num_generations=8,
    lr_scheduler_type="constant",
    region="full",
    reward_weights=(2.5, 1.0),
    text_score="answer",
    image_score="cells",
    scale_rewards="none",
    loss_type="grpo",
    beta=0.04,
    num_iterations=2,
    likelihood="random_mask",
    mask_share=0.15,
    bf16=False,
    bf16_training=False,
    problems_at_points=50,
    problems_at_end=250,
    problems_apart=25,
    first_seed=100,
    looks_before=0,
)
TWO_BY_TWO = ("joint_pooled", "factorized", "joint", "factorized_pooled")

P = Setup(
    name="P",
    says="the authors' setting, as near as we come",
    protocol=THEIRS,
    arms=(
        *(Arm(name, "trace", 10) for name in TWO_BY_TWO),
        Arm("text_only", "trace", 5),
        Arm("image_only", "trace", 5),
    ),
    primary=("joint_pooled_trace", "factorized_trace"),
    rates=(1e-5, 3e-5, 1e-4, 3e-4, 1e-3),
    first_test_seed=726_000,
)
P_TRAJECTORY = Setup(
    name="P-trajectory",
    says="set-up P with the exact likelihood",
    protocol=replace(THEIRS, likelihood="trajectory", mask_share=None, first_seed=400),
    arms=tuple(Arm(name, "trace", 5) for name in TWO_BY_TWO),
    primary=P.primary,
    rates=(3e-5, 1e-4, 3e-4),
    first_test_seed=729_000,
)
A = Setup(
    name="A",
    says="hard puzzles of all four tasks, with the sampler that visitors use",
    protocol=replace(
        THEIRS,
        checkpoint="checkpoints/next/base",
        difficulties={"hard": 1.0},
        points=(40, 80),
        region="stated",
        num_steps=4,
        reward_weights=(1.0, 1.0),
        text_score="segments",
        image_score="exact",
        scale_rewards="group",
        loss_type="dapo",
        beta=0.0,
        num_iterations=1,
        likelihood="trajectory",
        mask_share=None,
        first_seed=200,
    ),
    arms=tuple(Arm(name, granularity, 10) for granularity in ("trace", "turn") for name in ("joint", "factorized")),
    primary=("joint_trace", "factorized_trace"),
    rates=(5e-5, 1e-4, 2e-4),
    measure="success",
    first_test_seed=727_000,
)
B = Setup(
    name="B",
    says="a bidirectional policy that denoises the words and picture of a turn together",
    protocol=replace(
        A.protocol,
        checkpoint="checkpoints/next/small-full",
        difficulties={"medium": 1.0},
        points=(30, 60),
        lr_scheduler_type="linear",
        region="full",
        num_steps=2,  # words and picture of a turn see each other in the second
        problems_at_points=25,
        problems_at_end=200,
        first_seed=300,
    ),
    arms=tuple(Arm(name, "turn", 5) for name in ("joint", "factorized", "joint_pooled", "factorized_pooled")),
    primary=("joint_turn", "factorized_turn"),
    rates=(1e-4, 2e-4, 4e-4),
    measure="success",
    first_test_seed=733_000,
)
B_MASKS = Setup(
    name="B-masks",
    says="set-up B with a likelihood by random masks",
    protocol=replace(B.protocol, likelihood="random_mask", mask_share=0.15, num_iterations=2, first_seed=350),
    arms=B.arms,
    primary=B.primary,
    rates=B.rates,
    measure=B.measure,
    first_test_seed=734_000,
)
C = Setup(
    name="C",
    says="the same puzzles from the base that is shipped, with a rate that falls to zero",
    protocol=replace(
        A.protocol,
        checkpoint="checkpoints/base",
        points=(20, 60),
        lr_scheduler_type="linear",
        first_seed=500,
    ),
    arms=tuple(Arm(name, granularity, 6) for granularity in ("trace", "turn") for name in ("joint", "factorized")),
    primary=A.primary,
    rates=(1e-4, 2e-4, 4e-4),
    measure="success",
    first_test_seed=730_000,
)
C_CONTROLS = Setup(
    name="C-controls",
    says="controls of set-up C, by turn",
    protocol=replace(C.protocol, first_seed=600),
    arms=tuple(Arm(name, "turn", 3) for name in ("joint", "factorized", SWAPPED, DOUBLE, WHITENED, TO_GO)),
    primary=("joint_turn", "factorized_turn"),
    rates=(1e-4,),  # what C's pilots chose
    measure=C.measure,
    first_test_seed=731_000,
)
C_LONG = Setup(
    name="C-long",
    says="set-up C by turn, with four times the steps and twice the rate",
    protocol=replace(C.protocol, points=(120, 240), first_seed=700),
    arms=tuple(Arm(name, "turn", 5) for name in ("joint", "factorized")),
    primary=C_CONTROLS.primary,
    rates=(2e-4,),  # C's pilots found it as good as the half, and joint by turn still rose after 120 steps of it
    measure=C.measure,
    first_test_seed=732_000,
)
SETUPS = {setup.name: setup for setup in (P, P_TRAJECTORY, A, B, B_MASKS, C, C_CONTROLS, C_LONG)}
SHIPPED = C_LONG.name  # its median runs are ``checkpoints/joint`` and ``checkpoints/factorized``
