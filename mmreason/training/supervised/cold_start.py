"""The supervised stage of a public checkpoint: low-rank adapters learn from demonstrations.

Loss: mean cross-entropy over the text slots to fill, plus that over the image slots, each over the ids that the
sampler may draw there.  The base stays as it is, bit for bit.

Axes: N asked slots.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from mmreason.backbones.backbone import Snapshot
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.sampling.views.rollout import Unit, words_in
from mmreason.sampling.views.sampler import alphabets
from mmreason.sampling.views.scoring import log_likelihood
from mmreason.tasks.own import fingerprints
from mmreason.training.hardware import recomputes, tokens_at_once
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised.config import ColdStartConfig
from mmreason.training.supervised.lessons import check_said, lesson_batch
from mmreason.training.supervised.loop import (
    OnStep,
    check_demonstrated,
    run_supervised,
    success_by_difficulty,
    validation_problems,
)

RESUME_WITH_OTHER = ("gradient_checkpointing", "lessons.tokens_per_part")

MOST_TOKENS = 8_192  # at once where nothing else is said: nearly all slots are asked, and each has its logits


class ColdStart:
    """Adapters, optimizer and step: what a resumed run needs."""

    def __init__(self, pipe: ViewsPipeline, config: ColdStartConfig) -> None:
        """Adds adapters, or goes on with those that the checkpoint has; raises ConfigError."""
        check_demonstrated(config.lessons)
        pipe.check_tasks(config.lessons.tasks)
        check_said(config.lessons.tasks, pipe)
        self.pipe, self.config, self.step, self.seconds = pipe, config, 0, 0.0
        again = recomputes(config.gradient_checkpointing, pipe.device)
        self.adapter = pipe.model.to_train(config.lora_rank, config.lessons.seed, again, config.lora_alpha)
        self.backbone, self.alphabets = pipe.model.backbone, alphabets(pipe.model)
        self.optimizer = torch.optim.AdamW(self.adapter.parameters, betas=(0.9, 0.98), weight_decay=0.0)

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return self.config.progress(self.step, self.seconds)

    @property
    def tokens_per_part(self) -> int:
        """Tokens forwarded at once."""
        suits = tokens_at_once(self.backbone.shape, self.pipe.device, self.backbone.checkpointing)
        return self.config.lessons.tokens_per_part or min(MOST_TOKENS, suits)

    def steps(self) -> Iterator[dict[str, float]]:
        """Train from ``step`` to the end; yields the metrics of each step."""
        began = started = time.perf_counter()
        before, config = self.seconds, self.config
        self.adapter.peft.train()
        while self.progress < 1:
            batch = lesson_batch(config.lessons, self.pipe, self.step)
            self.backbone.take_cost()
            metrics = self._gradients(batch)
            norm = torch.nn.utils.clip_grad_norm_(self.adapter.parameters, config.max_grad_norm)
            metrics["grad_norm"] = float(norm)
            if math.isfinite(metrics["grad_norm"]):
                for group in self.optimizer.param_groups:
                    group["lr"] = config.learning_rate * config.rate(self.step, self.seconds)
                self.optimizer.step()
            else:  # skip a broken step, and count it
                metrics["skipped"] = 1.0
            self.optimizer.zero_grad(set_to_none=True)
            self.step += 1
            now = time.perf_counter()
            seconds, started = now - started, now
            self.seconds = before + now - began
            tokens = self.backbone.take_cost().tokens_forwarded
            yield metrics | {
                "step": self.step,
                "tokens_per_second": tokens / seconds,
                "problems_per_second": config.lessons.problems_per_batch / seconds,
            }

    def _gradients(self, batch: Mapping[Unit, list[Snapshot]]) -> dict[str, float]:
        """Add the gradient of the loss, part by part; returns loss and mean probability by modality."""
        words = {unit: [words_in(each, unit) for each in copies] for unit, copies in batch.items()}
        everything = np.concatenate([is_text for each in words.values() for is_text in each])
        asked = {"text": max(1, int(everything.sum())), "image": max(1, int((~everything).sum()))}
        metrics = {f"{name}/{modality}": 0.0 for name in ("loss", "probability") for modality in asked}
        for unit, copies in batch.items():
            alphabet = self.alphabets[unit].to(self.backbone.device)
            for part in self.backbone.micro_batches(copies, self.tokens_per_part):
                logp_N = log_likelihood(self.backbone, [copies[i] for i in part], alphabet, 1.0)
                text_N = torch.from_numpy(np.concatenate([words[unit][i] for i in part])).to(logp_N.device)
                loss = torch.zeros((), device=logp_N.device)
                for modality, chosen_N in (("text", text_N), ("image", ~text_N)):
                    of_kind = -logp_N[chosen_N].sum() / asked[modality]
                    loss = loss + of_kind
                    metrics[f"loss/{modality}"] += float(of_kind.detach())
                    sure = logp_N.detach()[chosen_N].exp().sum() / asked[modality]
                    metrics[f"probability/{modality}"] += float(sure)
                loss.backward()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "adapter": self.adapter.weights(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.adapter.set_weights(state["adapter"])
        self.optimizer.load_state_dict(state["optimizer"])


def cold_start(
    run: RunDirectory,
    config: ColdStartConfig,
    pipe: ViewsPipeline,
    resume: bool = False,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Train adapters on the demonstrations of puzzles; ``checkpoint/`` is the adapter alone, which names its base.

    What an earlier run left there is removed; with ``resume`` it goes on from what was saved there, if anything was
    and the settings are the same.  Returns the last metrics, ``resumed_from`` among them; raises ConfigError and
    CheckpointError.
    """
    fingerprint = pipe.fingerprint
    state = ColdStart(pipe, config)
    seed, sampling = config.lessons.seed, pipe.sampling_config()
    problems = validation_problems(list(config.lessons.tasks), config.lessons, config.eval_problems)
    with run.held():
        if not resume:
            lesson_batch(config.lessons, pipe, 0)  # a text or a picture that does not fit is refused before this
            with run.writing():
                run.clear()
        return run_supervised(
            run,
            config,
            {"checkpoint": fingerprint, "task_fingerprints": fingerprints(config.lessons.tasks)},
            state,
            steps=state.steps,
            export=pipe.save_pretrained,
            validate=lambda: success_by_difficulty(pipe, problems, sampling, seed),
            may_differ=RESUME_WITH_OTHER,
            resume=resume,
            on_step=on_step,
        )
