"""The numbers that page, API, command line and training share: how low, how high, and what they are.

Whoever takes such a number checks it here; help texts and README's table (``python -m mmreason limits``) are made
from the same rows.  A number of one setting alone stands at its field (``mmreason.settings``).  What a host grants
its visitors is a setting of the page, and less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmreason.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Number:
    """A number and what it may be; ``off`` says what 0 means if it is accepted although it lies outside the range."""

    name: str
    low: float
    high: float
    says: str
    off: str = ""

    kind = "number"
    stored_as = (int, float)

    @property
    def words(self) -> str:
        """What would be right."""
        given = f"a {self.kind} from {self.low:.16g} to {self.high:.16g}"
        return f"0 ({self.off}) or {given}" if self.off else given

    def check(self, value: Any, name: str = "") -> float:
        """``value``, which may be text, as a number within the limits; raises ConfigError that calls it ``name``."""
        found = _read(value)
        if not (self.low <= found <= self.high or (self.off and found == 0)):
            raise self._wrong(value, name)
        return found

    def check_stored(self, value: Any, name: str = "") -> float:
        """The same of a value in a JSON file, where text is no number and 8.0 is not whole; raises ConfigError."""
        if not isinstance(value, self.stored_as):
            raise self._wrong(value, name)
        return self.check(value, name)

    def step(self, start: Any) -> float:
        """What an arrow key adds in a field that begins at ``start``: a tenth of its power of ten, or of the range."""
        scale = start if isinstance(start, int | float) and start > 0 else self.high / 10
        return float(f"1e{math.floor(math.log10(scale)) - 1}")

    def _wrong(self, value: Any, name: str) -> ConfigError:
        got = "nothing" if value is None or value == "" else repr(str(value)[:40])
        return ConfigError(f"{name or self.name} must be {self.words}, got {got}")


@dataclass(frozen=True, slots=True)
class Whole(Number):
    """A whole number."""

    kind = "whole number"
    stored_as = (int,)

    def check(self, value: Any, name: str = "") -> int:
        """``value`` as a whole number within the limits; raises ConfigError."""
        found = Number.check(self, value, name)
        if found != int(found):
            raise self._wrong(value, name)
        return int(found)

    def step(self, start: Any) -> float:
        """One."""
        return 1


def _read(value: Any) -> float:
    """NaN for what is no number; True and False are none."""
    if type(value).__name__ in ("bool", "bool_"):  # numpy's, too
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def exactly(number: float) -> str:
    """``number`` in as few digits as read back to the same one."""
    return f"{number:.0f}" if number == int(number) else repr(float(number))


SEED = Whole("seed", 0, 2**53 - 1, "the same seed gives the same problems, rollouts or weights")  # exact in JavaScript
SAMPLING_SEED = replace(SEED, name="sampling_seed", says="the same seed gives the same solution of a problem")

TEMPERATURE = Number("temperature", 0.01, 2, "randomness of sampling: logits are divided by it", "greedy")
TRAIN_TEMPERATURE = replace(
    TEMPERATURE, name="temperature in training", says="of rollouts; greedy ones have no likelihood", off=""
)
NUM_STEPS = Whole("num_steps", 1, 64, "forward passes for one thought or one edit")
THRESHOLD = Number("threshold", 0, 1, "commit every token more certain than this at once; 0 is off")
MAX_TURNS = Whole("max_turns", 1, 16, "turns of thought and edit before a rollout ends")

PROBLEMS = Whole("problems", 1, 1_000_000, "problems to solve in total")
BATCH_SIZE = Whole("batch_size", 1, 4096, "rollouts at once")
NUM_PROBLEMS = Whole("num_problems", 1, 1024, "problems a step, a group of rollouts each")
NUM_GENERATIONS = Whole("num_generations", 2, 256, "rollouts of a problem, compared with one another")
ROLLOUTS = Whole("rollouts", 1, 4096, "rollouts of a problem, not compared")
PASS_AT = Whole("pass_at", 1, 1024, "rollouts of a problem of which one is to be right")
GROUP = Whole("group size on the page", 1, 16, "rollouts of a problem that a visitor may ask for in Inspect")
REWARD_WEIGHT = Number("reward_weights", 0, 100, "weight of the text or image rewards")
WEIGHT = Number("weight", 0, 100, "share of a task or difficulty among the problems drawn; 0 leaves it out")

STEPS = Whole("steps", 1, 100_000, "updates of the weights")
LEARNING_RATE = Number("learning_rate", 1e-8, 0.1, "step size of the optimizer")
WARMUP_STEPS = Whole("warmup_steps", 0, 100_000, "steps over which the learning rate rises")
MAX_GRAD_NORM = Number("max_grad_norm", 1e-6, 1_000_000, "gradient norm above which gradients are scaled down")
MAX_TOKENS = Whole("max_tokens", 1, 2**24, "positions in one backward pass (less memory, less padding)")
SAVE_STEPS = Whole("save_steps", 1, 100_000, "steps between checkpoints")
KEEP_STEPS = Whole("keep_steps", 1, 100_000, "keep DIR/checkpoint-N of every N steps")
LOGGING_STEPS = Whole("logging_steps", 1, 100_000, "steps between lines of metrics")
EVAL_STEPS = Whole("eval_steps", 0, 100_000, "steps between evaluations; 0 is off")
EVAL_PROBLEMS = Whole("eval_problems", 1, 1000, "held-out problems per evaluation")
LEAK_STEPS = Whole("leak_steps", 0, 100_000, "steps between measurements of leak against signal; 0 is off")
HELD_OUT_TRACES = Whole("held_out_traces", 0, 1000, "traces kept per evaluation")
SLICE_SECONDS = Number("slice_seconds", 0, 86_400, "seconds after which to save and end; 0 is off")
LAYERS = Whole("num_hidden_layers", 1, 256, "layers of a new policy")
WIDTH = Whole("hidden_size", 8, 8192, "width of a new policy")
HEADS = Whole("num_attention_heads", 1, 128, "attention heads of a new policy")
LORA_RANK = Whole("lora_rank", 0, 4096, "rank of low-rank adapters; 0 trains all weights")
LORA_ALPHA = Number("lora_alpha", 0.001, 65_536, "what low-rank adapters add is scaled by this over their rank")
SHARE = Number("share", 0, 1, "a share of the whole")
THREADS = Whole("threads", 0, 1024, "CPU threads; 0 leaves the choice to torch")

LIMITS = tuple(found for found in list(globals().values()) if isinstance(found, Number))


def table(rows: Sequence[Number]) -> str:
    """``rows`` as the table in ``mmreason/tasks/README.md``."""
    head = ["| Number | May be | Meaning |", "|---|---|---|"]
    return "\n".join(head + [f"| `{row.name}` | {row.words} | {row.says} |" for row in rows])
