"""Runs GRPO in a run directory: resumes, evaluates, saves, stops when asked.

A killed run resumes from its last saved step and ends where an uninterrupted one ends: everything random
is a function of (seed, step), so weights, optimizer, step number and what a curriculum and the skipped updates have
counted are the whole state.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from mmreason.disk import finite, write_json
from mmreason.errors import ConfigError, RewardError
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Trace, mean_rewards
from mmreason.rewards.custom import Reward, RewardFunction, as_reward
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.tasks.own import fingerprints
from mmreason.training.hardware import is_shared, processes
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.grpo import GRPO, Rollouts
from mmreason.training.rl.loss import POOLED
from mmreason.training.rl.turns import Turns, in_turn
from mmreason.training.run.remaining import Plan
from mmreason.training.run.resume import MAY_DIFFER, check_resumable, write_settings
from mmreason.training.run.rundir import STATE_FILE, STEP_FILE, RunDirectory, is_kept
from mmreason.training.run.signals import interrupts
from mmreason.training.validation import held_out, solve_problems, success_by_task

LORA_TARGETS = ["qkv", "out", "up", "down"]
RESUME_WITH_OTHER = (*MAY_DIFFER, "max_tokens", "gradient_checkpointing")  # memory: the same update, up to rounding

OnRow = Callable[[dict[str, Any]], None]
OnSamples = Callable[[Rollouts, int], None]
OnHeldOut = Callable[[Sequence[Trace], int], None]
Measure = Callable[[Rollouts, int], dict[str, Any]]


class Trainer:
    """One training run; ``accelerator`` makes it one of several processes."""

    def __init__(
        self,
        pipe: InterleavedReasoningPipeline | ViewsPipeline,
        config: GRPOConfig,
        run: RunDirectory,
        accelerator: Accelerator | None = None,
        reward_functions: Sequence[Reward | RewardFunction] = (),
    ) -> None:
        self.pipe, self.config, self.run = pipe, config, run
        self.accelerator = accelerator or processes()
        if not is_shared(self.accelerator):
            self.pipe.to(self.accelerator.device)
        elif isinstance(pipe, InterleavedReasoningPipeline):
            raise ConfigError("processes must hold the whole model each for checkpoints of our own, got FSDP")
        rewards = [as_reward(each) for each in reward_functions]
        self.origin: dict[str, Any] = {
            "rewards": [reward.source for reward in rewards],
            "reward_fingerprints": {reward.name: reward.fingerprint for reward in rewards},
            "task_fingerprints": fingerprints(config.tasks),
        }
        if self.accelerator.is_main_process:  # who alone reads and writes the settings
            self.origin["checkpoint"] = pipe.current_fingerprint()
        self.adapter = None
        reference = None
        if isinstance(pipe, InterleavedReasoningPipeline):
            base = pipe.transformer
            if config.loss.beta:
                reference = copy.deepcopy(base).requires_grad_(False).eval()
            base.requires_grad_(True)
            base.hints.requires_grad_(False)  # the auxiliary head belongs to the supervised stage
            base.hint_norm.requires_grad_(False)
            if config.lora_rank:
                self.adapter = _with_lora(base, config)
            elif config.lora_alpha is not None:
                raise ConfigError("lora_alpha is for adapters: lora_rank must be at least 1 with it, got 0")
            if config.gradient_checkpointing:
                base.activation_checkpointing_enable()
        self.grpo = GRPO(pipe, config, self.accelerator, reference, reward_functions)
        self.held_out = held_out(
            list(config.tasks), list(config.difficulties), config.eval_problems, config.seed, "validation"
        )
        self.plan = Plan(config.max_steps, config.eval_steps)
        self.step = 0
        self.skipped = 0.0  # updates left out so far, because something was not finite

    def train(
        self,
        resume: bool = False,
        on_row: OnRow | None = None,
        on_samples: OnSamples | None = None,
        on_held_out: OnHeldOut | None = None,
        measure: Measure | None = None,
        pause: Callable[[], bool] | None = None,
    ) -> dict[str, Any]:
        """Train to ``max_steps`` or until asked to stop; returns the last metrics and ``resumed_from``.

        With ``resume`` the run that is in the directory goes on, if its settings are the same, from its last saved
        step or from the start; without, what a run wrote there is removed.  Ctrl-C, SIGTERM and the stop file end it,
        saved, after the step or between two batches of held-out problems.  ``on_held_out`` is given the traces of
        each evaluation.  ``measure`` is given a step's rollouts and its number before the update, and returns more
        metrics of that step.  ``pause`` is asked after each step, and after the evaluation before the first; at a yes
        the run is saved and left as it is, so that with ``resume`` it is the uninterrupted one.

        Raises ConfigError and CheckpointError, also where another process trains or nothing can be written.
        """
        with interrupts() as interrupted:
            turns = self.turns(resume, interrupted, on_row, on_samples, on_held_out, measure)
            (row,) = in_turn([turns], self.config.max_steps, pause)
        return row

    def turns(
        self,
        resume: bool,
        interrupted: Collection[Any],
        on_row: OnRow | None = None,
        on_samples: OnSamples | None = None,
        on_held_out: OnHeldOut | None = None,
        measure: Measure | None = None,
    ) -> Turns:
        """The same in turns, for ``in_turn``; something in ``interrupted`` ends it as the stop file does."""
        config, main = self.config, self.accelerator.is_main_process
        with self.run.held() if main else nullcontext():
            resumed_from = self._begin(resume)
            row: dict[str, Any] = next(reversed(self.run.read_metrics()), {}) if resumed_from is not None else {}
            rollouts, is_saved = None, resumed_from is not None
            kept = f"checkpoint-{resumed_from}"
            if (
                resumed_from
                and is_kept(resumed_from, config.keep_steps)
                and self._agree(main and not self.run.has(kept))
            ):
                self._keep_checkpoint()  # it was killed between its save and this

            def stopped() -> bool:
                return self._agree(self.run.stop_requested or bool(interrupted))

            def keep() -> None:
                if rollouts is not None and on_samples is not None and main:
                    with self.run.writing():
                        on_samples(rollouts, self.step)

            lacks = self._lacks_evaluation(row)  # what is not evaluated is not done
            ends = self._agree((yield self.step - lacks))
            if lacks and not ends:
                evaluated = self._evaluate(on_held_out, stopped)
                if evaluated:
                    self._rewind(self.step - 1)
                    row = self._log(row | {"step": self.step} | evaluated, on_row)
                ends = stopped() or self._agree((yield self.step))
            while self.step < config.max_steps and not ends:
                began = time.perf_counter()
                try:
                    rollouts = self.grpo.rollouts(self.step)
                except RewardError as error:
                    raise self._kept(error, is_saved) from error.__cause__
                metrics = self.grpo.rollout_metrics(rollouts)
                metrics |= self._measured(measure, rollouts)
                metrics |= self.grpo.update(rollouts, self.step)
                self.step += 1
                self.skipped += metrics["skipped"]
                stop = stopped() or self.step == config.max_steps
                metrics |= {
                    "step": self.step,
                    "skipped": self.skipped,
                    "tokens": rollouts.counts[POOLED].tokens,
                    "seconds": time.perf_counter() - began,
                    "rollout_seconds": rollouts.seconds,
                }
                if self._is_due():
                    metrics |= self._evaluate(on_held_out, stopped)
                    stop = stop or stopped()
                if self._is_due() or stop:
                    keep()
                if self.step % config.logging_steps == 0 or "success" in metrics or stop:
                    row = self._log(metrics, on_row)
                is_saved = self.step % config.save_steps == 0 or stop
                if is_saved:
                    self._save()
                if is_kept(self.step, config.keep_steps):
                    self._keep_checkpoint()
                ends = stop or self._agree((yield self.step))
            if not is_saved:  # it was asked to end between two turns
                if stopped():
                    keep()
                self._save()
        return row | {"step": self.step, "resumed_from": resumed_from, "output": str(self.run.path / "checkpoint")}

    def _measured(self, measure: Measure | None, rollouts: Rollouts) -> dict[str, Any]:
        """What ``measure`` says of the step that goes on, and how long it took to."""
        began = time.perf_counter()
        found = {} if measure is None else measure(rollouts, self.step + 1)
        return found | {"measure_seconds": time.perf_counter() - began} if found else {}

    def _begin(self, resume: bool) -> int | None:
        """Load what is resumed or clear the directory, and note the settings; the step that is resumed from."""
        resumed_from = self._resume() if resume else None
        if self.accelerator.is_main_process:
            with self.run.writing():
                self.run.clear_stop()
                if resumed_from is None:
                    self.run.clear()
                write_settings(self.run, self.config, self.origin, resumed_from is not None)
        self.accelerator.wait_for_everyone()
        return resumed_from

    def _agree(self, wish: bool) -> bool:
        """True on all processes if it is on any."""
        self.grpo.learner.meet()
        vote = torch.tensor([float(wish)], device=self.accelerator.device)
        return bool(cast(torch.Tensor, self.accelerator.reduce(vote, "sum")).item())

    def _log(self, row: dict[str, Any], on_row: OnRow | None) -> dict[str, Any]:
        row = finite(row)
        if self.accelerator.is_main_process:
            with self.run.writing():
                self.run.append_metrics(row)
            if on_row is not None:
                on_row(row)
        return row

    def _is_due(self) -> bool:
        """Is there an evaluation after this step?"""
        return self.plan.evaluates(self.step)

    def _lacks_evaluation(self, row: dict[str, Any]) -> bool:
        """Has nothing been evaluated yet, or was the evaluation of the last ``row`` broken off?"""
        if not row:
            return self.step == 0 and self._is_due()
        return row["step"] == self.step and self._is_due() and "success" not in row

    def _rewind(self, step: int) -> None:
        """Drop the rows after ``step``."""
        if self.accelerator.is_main_process:
            with self.run.writing():
                self.run.rewind_metrics(step)

    def _evaluate(self, on_held_out: OnHeldOut | None, is_stopped: Callable[[], bool]) -> dict[str, Any]:
        """Success on the same held-out validation problems each time, sampled as in training.

        Nothing where it was stopped between two batches of problems: a resumed run evaluates that step again.
        """
        began = time.perf_counter()
        traces = self._solve_held_out(is_stopped)
        if len(traces) < len(self.held_out):
            return {}
        text, image = mean_rewards(traces)
        if on_held_out is not None and self.accelerator.is_main_process:
            with self.run.writing():
                on_held_out(traces, self.step)
        return {
            "success": success_by_task(traces),
            "solved": "".join(str(int(trace.success)) for trace in traces),  # of the problems in order, to be paired
            "eval_seconds": time.perf_counter() - began,
            "eval_text_reward": text,
            "eval_image_reward": image,
        }

    def _solve_held_out(self, is_stopped: Callable[[], bool]) -> list[Trace]:
        """Traces of the held-out problems in order, every process solving its share; fewer where it was stopped."""
        config, world, count = self.config, self.accelerator.num_processes, len(self.held_out)
        rounds = -(-count // world)
        even = [self.held_out[i % count] for i in range(rounds * world)]  # shares of one length, to stop at the same
        share = even[self.accelerator.process_index :: world]
        with self.grpo.learner.half():  # as what is sampled to learn from
            solved = solve_problems(self.pipe, share, config.sampling, config.seed, is_stopped=is_stopped)
        self.grpo.learner.meet()
        everyone: list[list[Trace]] = gather_object([solved])
        return [trace for turn in zip(*everyone, strict=True) for trace in turn][:count]

    def _kept(self, error: RewardError, is_saved: bool) -> RewardError:
        """``error``, which all processes have; the first one saves the finished steps, and says so."""
        if not self.accelerator.is_main_process:
            return error
        if not is_saved:
            try:
                self._write()
            except ConfigError as failed:
                return RewardError(f"{error}; the steps since the last save are lost: {failed}")
        return RewardError(f"{error}; {self.step} steps are finished and saved: --resume goes on from there")

    def _save(self) -> None:
        """Write state and checkpoint whole; a full disk leaves the previous ones as they were."""
        self._write()
        self.accelerator.wait_for_everyone()

    def _write(self) -> None:
        """The same, without waiting for the other processes."""
        if self.accelerator.is_main_process:
            state = {
                "step": self.step,
                "skipped": self.skipped,
                "model": self.grpo.learner.state(),
                "optimizer": self.grpo.optimizer.state_dict(),
            }
            if self.grpo.curriculum is not None:
                state["curriculum"] = self.grpo.curriculum.counts
            with self.run.writing():
                self.run.write_folder("checkpoint", self.export)
                self.run.write_folder("state", lambda folder: _write_state(folder, state))

    def _keep_checkpoint(self) -> None:
        """Keep the policy as ``checkpoint-<step>``."""
        if self.accelerator.is_main_process:
            with self.run.writing():
                self.run.write_folder(f"checkpoint-{self.step}", self.export)
        self.accelerator.wait_for_everyone()

    def export(self, folder: Path) -> None:
        """Write the policy as a checkpoint; adapters on one of ours are merged, on a public one they stand alone."""
        pipe = self.pipe
        if self.adapter is None or not isinstance(pipe, InterleavedReasoningPipeline):
            self.grpo.learner.export(folder)
        else:
            merged = cast(InterleavedDiffusionModel, copy.deepcopy(self.adapter).merge_and_unload())
            pipe = InterleavedReasoningPipeline(merged, pipe.vqvae, pipe.tokenizer, pipe.scheduler)
            pipe.save_pretrained(folder)

    def _resume(self) -> int | None:
        if self.accelerator.is_main_process:
            with self.run.writing():
                self.run.recover("state")
                self.run.recover("checkpoint")
        self.accelerator.wait_for_everyone()
        if not self.run.has("state"):
            if self.accelerator.is_main_process and self.run.has_begun:
                check_resumable(self.run, self.config, self.origin, 0, RESUME_WITH_OTHER)
            return None
        with self.run.loading():
            state = torch.load(self.run.path / "state" / STATE_FILE, weights_only=True, map_location="cpu")
            self.step, self.skipped = state["step"], state["skipped"]
        if self.accelerator.is_main_process:
            check_resumable(self.run, self.config, self.origin, self.step, RESUME_WITH_OTHER)
        with self.run.loading():
            self.grpo.learner.load(state["model"])
            self.grpo.optimizer.load_state_dict(state["optimizer"])
            if self.grpo.curriculum is not None:
                self.grpo.curriculum.counts = state.get("curriculum", {})
        self._rewind(self.step)
        return self.step


def _write_state(folder: Path, state: dict[str, Any]) -> None:
    """The state, and its step for those who cannot read the rest."""
    torch.save(state, folder / STATE_FILE)
    write_json(folder / STEP_FILE, {"step": state["step"]})


def _with_lora(model, config: GRPOConfig):
    """Freeze ``model`` and add low-rank adapters to its matrices, in place; returns the peft wrapper."""
    from peft import LoraConfig, get_peft_model

    sides = [min(m.weight.shape) for name, m in model.named_modules() if name.rpartition(".")[2] in LORA_TARGETS]
    if config.lora_rank > min(sides):
        raise ConfigError(
            f"lora_rank must be at most {min(sides)}, the smaller side of the smallest matrix, got {config.lora_rank}"
        )
    torch.manual_seed(config.seed)  # peft draws the adapters' first weights from torch's global generator
    alpha: Any = config.lora_alpha or 2 * config.lora_rank  # it may be a fraction
    lora = LoraConfig(r=config.lora_rank, lora_alpha=alpha, target_modules=LORA_TARGETS)
    return get_peft_model(model, lora)
