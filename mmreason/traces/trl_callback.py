"""TRL's ``GRPOTrainer`` records: ``trainer.add_callback(rollout_callback(trainer, "run/rollouts.jsonl"))``.

The trainer keeps what it last generated for its table of completions, in training and in evaluations alike.  That is
looked at after every backward pass, since a step may generate several times, and after an evaluation, whose rollouts
are passed over: every batch of the training is appended once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmreason.traces.recorder import Recorder


def rollout_callback(trainer: Any, path: str | Path, judges: Mapping[str, Sequence[str]] | None = None) -> Any:
    """A ``TrainerCallback`` that appends the rollouts of ``trainer`` to ``path``, on the main process only.

    ``judges`` says which reward functions judge words and pictures: ``{"text": ["answer"], "image": ["drawing"]}``.
    """
    from transformers import TrainerCallback

    class RolloutCallback(TrainerCallback):
        def __init__(self) -> None:
            self.recorder = Recorder(path, judges)
            self.seen: Any = None

        def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.look(state, state.global_step + 1)  # counted when the step ends

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.look(state, state.global_step)

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.seen = _batch(trainer)

        def look(self, state: Any, step: int) -> None:
            if state.is_world_process_zero:
                batch = _batch(trainer)
                if batch and batch != self.seen:
                    _record(self.recorder, batch, _images(trainer), step)
                    self.seen = batch

    return RolloutCallback()


def _batch(trainer: Any) -> list[tuple[str, str, dict[str, float]]]:
    """Prompt, completion and rewards of what was generated last."""
    logs = trainer._logs
    rewards = logs["rewards"]
    return [
        (prompt, completion, {name: scores[i] for name, scores in rewards.items()})
        for i, (prompt, completion) in enumerate(zip(logs["prompt"], logs["completion"], strict=True))
    ]


def _images(trainer: Any) -> list[Any]:
    """The pictures of each prompt; the key has had two names."""
    return list(trainer._logs.get("images") or trainer._logs.get("image") or ())


def _record(
    recorder: Recorder, batch: Sequence[tuple[str, str, Mapping[str, float]]], images: Sequence[Any], step: int
) -> None:
    for i, (prompt, completion, rewards) in enumerate(batch):
        shown = images[i] if i < len(images) and images[i] is not None else []
        shown = list(shown) if isinstance(shown, list | tuple) else [shown]
        recorder.rollout([*shown, prompt], rewards=rewards, step=step).answer(completion)
    recorder.flush()
