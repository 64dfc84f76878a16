"""The settings of the supervised stage; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.layouts import TURNS
from mmreason.limits import Number, Whole
from mmreason.records import DIFFICULTIES
from mmreason.sampling.views.config import ViewsConfig
from mmreason.settings import check, choice, number, switch, weighted
from mmreason.tasks import FIRST_TASKS, TASKS

ATTENTIONS = ("blocks", "full")
TEXT_SLOTS = ("kept", "needed")
AS_THERE = "as in the checkpoint; of a new policy {}"


@dataclass(frozen=True, slots=True)
class LessonsConfig:
    """Which demonstrations, and how many noisy copies of each segment."""

    seed: int = number(0, limits.SEED)
    problems_per_batch: int = number(8, limits.NUM_PROBLEMS, "problems of one update")
    num_copies: int = number(  # the first is fully masked, the others by a random ratio
        2, Whole("num_copies", 1, 16, "noisy copies of a segment in pretraining")
    )
    tasks: Mapping[str, float] = weighted(
        dict.fromkeys(FIRST_TASKS, 1.0),
        "tasks it learns on (built-in, FILE.py:CLASS or data:FOLDER), and their shares "
        f"(default: {', '.join(FIRST_TASKS)})",
        metavar="TASK[=WEIGHT]",
    )
    difficulties: Mapping[str, float] = weighted(
        {"easy": 1.0, "medium": 2.0},
        "weights, of all tasks or of one: easy=1 medium=2 jigsaw/hard=0.1 (default: easy=1 medium=2)",
        flag="difficulty",
        metavar="[TASK/]NAME[=WEIGHT]",
    )
    full_region_share: float = number(
        0.0, limits.SHARE, "share of demonstrations whose edits redraw the whole canvas; joint turns always do"
    )
    tokens_per_part: int | None = number(  # the memory that a step needs
        None, limits.MAX_TOKENS, "tokens forwarded at once; raise it on a GPU", left="as many as suit the device"
    )

    def __post_init__(self) -> None:
        check(self)
        for name in self.tasks:
            if name not in TASKS:
                raise ConfigError(f"tasks must be of {', '.join(TASKS)}, got {name!r}")
        for name in self.difficulties:
            task, _, difficulty = name.rpartition("/")
            if difficulty not in DIFFICULTIES or (task and task not in TASKS):
                raise ConfigError(
                    f"difficulties must be of {', '.join(DIFFICULTIES)}, or of one task like jigsaw/hard, got {name!r}"
                )
        for task in self.tasks:
            if not self.difficulties_of(task):
                raise ConfigError(f"difficulties must name one for {task}, too, got {', '.join(self.difficulties)}")

    def check_levels(self) -> None:
        """Refuse the weight of a difficulty of a task that is not learnt; raises ConfigError."""
        for name in self.difficulties:
            task = name.rpartition("/")[0]
            if task and task not in self.tasks:
                raise ConfigError(
                    f"difficulties must be of tasks that are learnt, which are {', '.join(self.tasks)}, got {name!r}"
                )

    @property
    def drawn(self) -> list[str]:
        """The difficulties that occur, the easiest first."""
        return [name for name in DIFFICULTIES if any(name in self.difficulties_of(task) for task in self.tasks)]

    def difficulties_of(self, task: str) -> dict[str, float]:
        """The weight of each difficulty of ``task`` that is drawn."""
        chosen = {name: weight for name, weight in self.difficulties.items() if "/" not in name}
        for name, weight in self.difficulties.items():
            own, _, difficulty = name.rpartition("/")
            if own == task:
                chosen[difficulty] = weight
        return {name: weight for name, weight in chosen.items() if weight > 0}


@dataclass(frozen=True, slots=True)
class CorpusConfig(LessonsConfig):
    """The same for a policy of ours, and how its demonstrations are packed."""

    problems_per_batch: int = number(96, limits.NUM_PROBLEMS, "problems of one update")
    late_start_share: float = number(
        0.0, limits.SHARE, "share of demonstrations whose turns are numbered from a later one"
    )
    tokens_per_part: int = number(8_192, limits.MAX_TOKENS, "tokens forwarded at once; raise it on a GPU")
    attention: str = choice(
        "blocks",
        ATTENTIONS,
        "who sees whom: full is bidirectional, every step a whole forward; prefix is for public checkpoints",
        left=AS_THERE.format("blocks"),
    )
    turn: str = choice(
        "interleaved",
        TURNS,
        "whether a turn's words and picture are denoised together",
        left=AS_THERE.format("interleaved"),
    )
    text_slots: str = choice(
        "kept",
        TEXT_SLOTS,
        "slots of a text: as the policy has them (a new one: all), or of each task what its longest one needs",
    )
    causal: bool = switch(False, "an autoregressive policy: next token, causal mask")
    rows_per_part: int = number(24, limits.BATCH_SIZE, "rows forwarded at once")

    def __post_init__(self) -> None:
        LessonsConfig.__post_init__(self)
        if self.causal and (self.attention != "blocks" or self.turn != "interleaved"):
            raise ConfigError("attention must be blocks and turn interleaved for a causal policy")
        if self.text_slots != "kept" and self.turn == "joint":
            raise ConfigError(f"text_slots must be kept where turns are joint, got {self.text_slots}")

    @property
    def full_share(self) -> float:
        """The share of demonstrations whose edits redraw the whole canvas."""
        return 1.0 if self.turn == "joint" else self.full_region_share


@dataclass(frozen=True, slots=True)
class SupervisedConfig:
    """The pace of a supervised run: learning rates are peaks of warmup, plateau and linear decay."""

    steps: int = number(4000, limits.STEPS)
    learning_rate: float = number(
        2e-3,
        limits.LEARNING_RATE,
        "peak rate of AdamW: embeddings, norms, heads; or adapters",
    )
    warmup_steps: int = number(100, limits.WARMUP_STEPS)
    decay_share: float = number(0.25, limits.SHARE, "last part of the run, over which the rates fall to zero")
    max_grad_norm: float = number(1.0, limits.MAX_GRAD_NORM)
    save_steps: int = number(200, limits.SAVE_STEPS)
    logging_steps: int = number(20, limits.LOGGING_STEPS)
    eval_steps: int = number(500, limits.EVAL_STEPS)
    eval_problems: int = number(80, limits.EVAL_PROBLEMS, "validation problems of each difficulty")
    max_seconds: float | None = number(  # rates and ``own_share`` go by steps or time, by whichever is further on
        None, Number("max_seconds", 1, 10_000_000, "seconds of pretraining at most; the learning rates fall in time")
    )
    keep_steps: int | None = number(None, limits.KEEP_STEPS, metavar="N", left="none but the last is kept")

    def progress(self, step: int, seconds: float = 0.0) -> float:
        """The share of the run that is done after ``step`` steps and ``seconds``, 1 at its end."""
        return max(step / self.steps, seconds / self.max_seconds if self.max_seconds else 0.0)

    def rate(self, step: int, seconds: float = 0.0) -> float:
        """Share of the peak learning rate at ``step`` (from 0)."""
        left = (1 - self.progress(step, seconds)) / self.decay_share if self.decay_share else 1.0
        return max(0.0, min(1.0, (step + 1) / max(1, self.warmup_steps), left))


@dataclass(frozen=True, slots=True)
class PretrainConfig(SupervisedConfig):
    """Settings of the supervised stage of a policy of ours."""

    muon_learning_rate: float = number(0.02, limits.LEARNING_RATE, "peak rate of Muon: hidden matrices")
    weight_decay: float = number(0.02, Number("weight_decay", 0, 1, "weight decay of the hidden matrices"))
    hint_weight: float = number(
        0.5, Number("hint_weight", 0, 100, "weight of the auxiliary labels on the start canvas in the loss")
    )
    ema_decay: float = number(
        0.998, Number("ema_decay", 0, 0.999999, "what the exported average of the weights keeps of itself in a step")
    )
    bf16: bool = switch(True, "train in 32 bits (default: if that is faster)", flag="no_bf16")
    compile: bool = switch(False, "torch.compile the training step")
    own_share: float = number(
        0.0, limits.SHARE, "last part of the run, in which it learns to do in one step what takes four"
    )
    workers: int = number(1, Whole("workers", 1, 256, "processes that make demonstrations"))
    corpus: CorpusConfig = field(default_factory=CorpusConfig)

    def __post_init__(self) -> None:
        check(self)
        if self.own_share and self.corpus.causal:
            raise ConfigError("own_share must be 0 for a causal policy, which is never shown masks")
        if self.own_share and (self.corpus.attention != "blocks" or self.corpus.turn != "interleaved"):
            raise ConfigError("own_share must be 0 but for blocks of interleaved turns")


@dataclass(frozen=True, slots=True)
class ColdStartConfig(SupervisedConfig):
    """Settings of the supervised stage of a public checkpoint: low-rank adapters learn from demonstrations."""

    steps: int = number(300, limits.STEPS)
    learning_rate: float = number(2e-4, limits.LEARNING_RATE)
    warmup_steps: int = number(10, limits.WARMUP_STEPS)
    save_steps: int = number(50, limits.SAVE_STEPS)
    logging_steps: int = number(1, limits.LOGGING_STEPS)
    eval_steps: int = number(100, limits.EVAL_STEPS)
    eval_problems: int = number(8, limits.EVAL_PROBLEMS)
    lora_rank: int = number(0, limits.LORA_RANK, "rank of the adapters that a public checkpoint is given", left="none")
    lora_alpha: float | None = number(None, limits.LORA_ALPHA, left="twice the rank")
    gradient_checkpointing: bool | None = switch(
        None, "compute activations again in the backward pass, to save memory", left="on a GPU"
    )
    lessons: LessonsConfig = field(default_factory=LessonsConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)

    def __post_init__(self) -> None:
        check(self)
