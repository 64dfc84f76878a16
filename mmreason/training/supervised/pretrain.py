"""The supervised stage: masked-token prediction on demonstrations, or next-token for an autoregressive policy.

Hidden matrices are trained by Muon, everything else by AdamW; the exported weights are an exponential moving average.
In the last ``own_share`` of a run the fully masked copies learn what the average decodes from them.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from diffusers import VQModel
from torch.utils.data import DataLoader, Dataset, Subset
from transformers import PreTrainedTokenizerFast

from mmreason.codecs.cells import encode_cells
from mmreason.errors import ConfigError, MMReasonError
from mmreason.layouts.vocabulary import Vocabulary, build_text_tokenizer, check_short
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import CELL_PX
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline, fingerprint_of
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.tasks import TASKS, atlas, demonstrated, make_problem, num_hints
from mmreason.tasks.own import fingerprints
from mmreason.training.hardware import half_precision
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised.config import PretrainConfig
from mmreason.training.supervised.corpus import (
    AS_LONG_AS_IT_IS,
    FEW_SHAPES,
    Batch,
    DemonstrationBatches,
    Encoder,
    needed_slots,
)
from mmreason.training.supervised.loop import (
    OnStep,
    check_demonstrated,
    run_supervised,
    success_by_difficulty,
    validation_problems,
)
from mmreason.training.supervised.loss import SupervisedLoss

# How fast and how much at once, not what is learnt; the loss does not depend on how a batch is cut into parts.
RESUME_WITH_OTHER = ("compile", "workers", "corpus.rows_per_part", "corpus.tokens_per_part")


class PretrainState:
    """Model, optimizers, moving average and step: what a resumed run needs."""

    def __init__(self, model: InterleavedDiffusionModel, config: PretrainConfig) -> None:
        self.model, self.config, self.step, self.seconds = model, config, 0, 0.0
        hidden = [p for p in model.blocks.parameters() if p.ndim == 2]
        chosen = {id(p) for p in hidden}
        rest = [p for p in model.parameters() if id(p) not in chosen]
        self.optimizers = (
            torch.optim.Muon(hidden, lr=config.muon_learning_rate, weight_decay=config.weight_decay),
            torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self.peaks = (config.muon_learning_rate, config.learning_rate)
        self.average = copy.deepcopy(model).requires_grad_(False).eval()

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return self.config.progress(self.step, self.seconds)

    def update(self) -> None:
        """Step the optimizers at this step's rate and move the average."""
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * self.config.rate(self.step, self.seconds)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        weight = 1 - min(self.config.ema_decay, self.step / (self.step + 10))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), weight)

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state.get("seconds", 0.0)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def pretrain_steps(state: PretrainState, encoder: Encoder) -> Iterator[dict[str, float]]:
    """Train from ``state.step`` to the end; yields the metrics of each step."""
    config, model = state.config, state.model
    if state.progress >= 1:  # of a run that goes on, by its seconds
        return
    loss_of = SupervisedLoss(encoder.layout.vocabulary, config.hint_weight)
    forward = model
    if config.compile:
        torch._dynamo.config.recompile_limit = 64  # one graph for each shape of a part
        forward = torch.compile(model, dynamic=False)
    multiples = FEW_SHAPES if config.compile or model.device.type != "cpu" else AS_LONG_AS_IT_IS
    batches = DemonstrationBatches(config.corpus, encoder, config.steps, multiples=multiples)
    loader = DataLoader(
        Subset(_Told(batches), range(state.step, config.steps)),
        batch_size=None,
        num_workers=config.workers,
        prefetch_factor=max(2, 4 // config.workers),  # each tensor of a waiting batch takes an open file
        worker_init_fn=_outlive_signals,
    )
    model.train()
    began = started = time.perf_counter()
    seconds_before = state.seconds
    for parts in loader:
        if isinstance(parts, MMReasonError):
            raise parts
        teacher = state.average if config.own_share and state.progress >= 1 - config.own_share else None
        counts = loss_of.counts(parts)
        sums: dict[str, torch.Tensor] = {}
        for part in parts:
            with half_precision(model.device, config.bf16):
                loss, own_sums = loss_of(model, forward, part, counts, teacher)
            loss.backward()
            for name, value in own_sums.items():
                sums[name] = sums[name] + value if name in sums else value
        sums["grad_norm"] = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        values = torch.stack([value.float() for value in sums.values()]).tolist()  # the one wait for a GPU
        metrics = dict(zip(sums, values, strict=True))
        if math.isfinite(metrics["grad_norm"]):
            state.update()
        else:  # skip a broken step, and count it
            for optimizer in state.optimizers:
                optimizer.zero_grad(set_to_none=True)
            state.step += 1
            metrics["skipped"] = 1.0
        now = time.perf_counter()
        seconds, started = now - started, now
        state.seconds = seconds_before + now - began
        tokens = sum(int((part.packed.segment_BL >= 0).sum()) for part in parts)
        yield metrics | {
            "step": state.step,
            "tokens_per_second": tokens / seconds,
            "problems_per_second": sum(part.num_problems for part in parts) / seconds,
        }
        if state.progress >= 1:
            return


class _Told(Dataset[Any]):
    """Batches, or what one is refused with: raised in a worker it would come with the worker's traceback."""

    def __init__(self, batches: DemonstrationBatches) -> None:
        self.batches = batches

    def __getitem__(self, index: int) -> list[Batch] | MMReasonError:
        try:
            return self.batches[index]
        except MMReasonError as error:
            return error


def _outlive_signals(_: int) -> None:
    """Leave the group of processes that a terminal or a scheduler signals: the step that is asked for still comes."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()


def build_policy(vocabulary: Vocabulary, seed: int, **sizes: Any) -> InterleavedDiffusionModel:
    """An untrained policy for ``vocabulary``; ``sizes`` override those of the configuration."""
    torch.manual_seed(seed)  # modules draw their first weights from torch's global generator
    config = InterleavedDiffusionConfig(
        vocab_size=vocabulary.size,
        first_cell=vocabulary.first_cell,
        num_hints=max(1, num_hints(vocabulary.tasks)),
        **sizes,
    )
    return InterleavedDiffusionModel(config)


def check_lessons(config: PretrainConfig, vocabulary: Vocabulary | None = None, causal: bool | None = None) -> None:
    """Refuse what cannot be learnt, or not by a policy of ``vocabulary`` that is ``causal`` or not, where it is given.

    Raises ConfigError, TaskError.
    """
    corpus = config.corpus
    check_demonstrated(corpus)
    for task in corpus.tasks:
        check_short(task)
    if vocabulary is not None:
        for task in corpus.tasks:
            vocabulary.task_token(task)
    if causal is not None and causal != corpus.causal:
        raise ConfigError(f"causal must be {causal}, as in the checkpoint, got {corpus.causal}")
    validation_problems(list(corpus.tasks), corpus, min(config.eval_problems, len(corpus.tasks)))  # one a task tells
    for task in corpus.tasks:
        for difficulty in corpus.difficulties_of(task):
            demonstrated(task, make_problem(task, difficulty, corpus.seed, "train").spec)


def pretrain(
    run: RunDirectory,
    config: PretrainConfig,
    vqvae: VQModel,
    policy: InterleavedDiffusionModel | None = None,
    resume: bool = False,
    on_step: OnStep | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
    scheduler: MaskedDiffusionScheduler | None = None,
    sizes: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train a policy (a new one unless given, with its ``tokenizer`` and ``scheduler``) and write ``checkpoint/``.

    ``sizes`` are those of a new policy that differ from the configuration's; ``more`` are settings beside ``config``
    that a resumed run must have in common with it.

    A policy of another attention, or of other turns, than ``config`` states goes on with those of ``config``.  The
    checkpoint is of the moving average.  With ``resume`` it goes on from what was saved there, if anything was and
    the settings are the same.  Returns the last metrics, ``resumed_from`` among them; raises ConfigError and
    CheckpointError.
    """
    corpus = config.corpus
    of_checkpoint = tokenizer is not None
    tokenizer = tokenizer or build_text_tokenizer(corpus.tasks)
    vocabulary = Vocabulary.of(tokenizer, vqvae.config["num_vq_embeddings"])
    policy = policy or build_policy(
        vocabulary, corpus.seed, grid_size=vocabulary.grid, causal=corpus.causal, **(sizes or {})
    )
    made = policy.config
    check_lessons(config, vocabulary, made.causal)
    started_from = {
        "checkpoint": fingerprint_of(policy, vqvae) if of_checkpoint else None,
        "image_tokenizer": fingerprint_of(vqvae),
        "task_fingerprints": fingerprints(corpus.tasks),
    }
    made.attention, made.turn = corpus.attention, corpus.turn
    if corpus.turn == "joint":
        made.text_slots = None  # such a turn has room for the longest text
    elif corpus.text_slots == "needed":
        made.text_slots = (made.text_slots or {}) | needed_slots(corpus)
    policy.to(vqvae.device)  # pyright: ignore[reportArgumentType]
    state = PretrainState(policy, config)
    scheduler = scheduler or MaskedDiffusionScheduler()
    pipe = InterleavedReasoningPipeline(state.average, vqvae, tokenizer, scheduler)
    codec = pipe.codec.apart()
    of_cell = encode_cells(vqvae, atlas().pixels) if codec.pixels_per_code == CELL_PX else np.zeros(0, np.int64)
    encoder = Encoder(pipe.layout, of_cell, codec)
    shape = {name: getattr(policy.config, name) for name in ("hidden_size", "num_hidden_layers")}
    problems = validation_problems(pipe.vocabulary.known(TASKS), corpus, config.eval_problems)
    return run_supervised(
        run,
        config,
        shape | started_from | dict(more or {}),
        state,
        steps=lambda: pretrain_steps(state, encoder),
        export=pipe.save_pretrained,
        validate=lambda: success_by_difficulty(pipe, problems, SamplingConfig(), corpus.seed),
        may_differ=RESUME_WITH_OTHER,
        resume=resume,
        on_step=on_step,
    )
