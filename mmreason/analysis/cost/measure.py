"""What a real model's shape costs on this machine, with random weights, next to the formula.

It needs torch, transformers and peft only, so that it runs on a bare GPU machine.  Each part is written as soon as
it is done, the small ones first: something is known even if the time runs out.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from mmreason.analysis.cost.measure_plan import (
    CODES,
    GIB,
    PLANS,
    SHAPES,
    alphabets,
    edit_view,
    machine,
    text_view,
)
from mmreason.backbones.adapter import Adapter
from mmreason.backbones.backbone import Attention, Snapshot
from mmreason.backbones.loading import random_llama
from mmreason.disk import one_line
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.dimoo import FIRST_CODE
from mmreason.layouts.llada import MASK
from mmreason.layouts.view import View
from mmreason.records import Cost, Frame
from mmreason.sampling.views.denoise import DenoiseConfig, denoise
from mmreason.sampling.views.scoring import log_likelihood, share_of_steps, snapshots
from mmreason.training.rl.config import LossConfig
from mmreason.training.rl.loss import token_loss

ASSUMED_SHARE = 0.4  # of the rate of a large product, for the estimate that decides what still fits in the time
Report = Callable[[dict[str, Any]], None]


class Measurement:
    """Random weights of one shape on one device, and what was measured with them so far."""

    def __init__(self, shape: str, device: torch.device, seconds: float, report: Report, seed: int = 0) -> None:
        self.plan, self.shape, self.device, self.report = PLANS[shape], SHAPES[shape], device, report
        self.rng = np.random.default_rng(seed)
        self.began, self.seconds = time.perf_counter(), seconds
        self.rate = 1e12 if device.type == "cpu" else 400e12  # of a large product, until it is measured
        self.expected = ASSUMED_SHARE * self.rate  # of a forward, likewise
        self.words, self.codes = (each.to(device) for each in alphabets(self.shape.vocab))
        self.result: dict[str, Any] = {"shape": shape, "sizes": asdict(self.shape), "plan": asdict(self.plan)}
        self.result |= {"machine": machine(device), "parameters": self.shape.parameters, "parts": {}}

    def run(self) -> dict[str, Any]:
        """Measure all that fits in the time; returns the result, which ``report`` also received part by part."""
        with self._part("weights", 0.0) as part:
            kind = torch.float32 if self.device.type == "cpu" else torch.bfloat16
            self.backbone = random_llama(self.shape, 0, "full", self.device, kind)
            part["bytes"] = sum(each.numel() * each.element_size() for each in self.backbone.model.parameters())
        self._matmul()
        for mode in ("full", "prefix"):
            for size in (0, 1):
                self._steps(size, mode)
        self.adapter = Adapter(self.backbone, self.plan.rank)
        self._backward()
        self._grpo("grpo_256_prefix", 1.0, "prefix")
        self._grpo("grpo_256", 1.0, "full")
        self._grpo("grpo_256_quarter", 0.25, "full")
        self.result["seconds"] = time.perf_counter() - self.began
        self.report(self.result)
        return self.result

    @contextmanager
    def _part(self, name: str, flops: float, memory: dict[str, int] | None = None) -> Iterator[dict[str, Any]]:
        """Time one part, with its peak of memory; what the caller adds to the yielded record is kept as well."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        part: dict[str, Any] = {}
        self._wait()
        began = time.perf_counter()
        try:
            yield part
            self._wait()
            part["seconds"] = part.get("seconds", time.perf_counter() - began)
            done = part.get("flops", flops)
            if done:
                part |= {"flops": done, "tflops": done / part["seconds"] / 1e12}
                part["share_of_matmul"] = done / part["seconds"] / self.rate
        except RuntimeError as error:  # out of memory among them: the other parts are still worth their time
            part["error"] = one_line(str(error), 300)
        if self.device.type == "cuda":
            part["peak_gib"] = torch.cuda.max_memory_allocated(self.device) / GIB
        if memory is not None:
            part["formula_gib"] = {key: value / GIB for key, value in memory.items()}
            part["formula_gib"]["sum"] = sum(memory.values()) / GIB
        self.result["parts"][name] = part
        self.report(self.result)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _fits(self, name: str, flops: float) -> bool:
        """True if a part of ``flops`` is likely to end in time; otherwise that is noted."""
        left = self.seconds - (time.perf_counter() - self.began)
        needed = flops / self.expected
        if needed > left:
            self.result["parts"][name] = {"left_out": f"needs about {needed:.0f} s, {left:.0f} s are left"}
        return needed <= left

    def _matmul(self) -> None:
        """The rate of a large product: what the others are a share of."""
        size = 8192 if self.device.type == "cuda" else 512
        kind = self.backbone.model.dtype
        a, b = (torch.randn(size, size, device=self.device, dtype=kind) for _ in range(2))
        with self._part("matmul", 0.0) as part:
            for repeats in (3, 10):
                self._wait()
                began = time.perf_counter()
                for _ in range(repeats):
                    torch.mm(a, b)
                self._wait()
                part["seconds"] = time.perf_counter() - began
            self.rate = 10 * 2 * size**3 / part["seconds"]
            part["flops"] = 10.0 * 2 * size**3
        self.expected = ASSUMED_SHARE * self.rate

    def _steps(self, size: int, mode: Attention) -> None:
        """A text view and an edit view of ``rows`` rows, a few steps after one that warms up."""
        plan = self.plan
        self.backbone.attention = mode
        for kind, length, slots, alphabet in (
            ("text", plan.text[size], plan.text_slots, self.words),
            ("edit", plan.edit[size], plan.region[size], self.codes),
        ):
            name = f"{kind}_{(256, 512)[size]}" + ("_prefix" if mode == "prefix" else "")
            maker = text_view if kind == "text" else edit_view
            views = [maker(length, slots, self.rng) for _ in range(plan.rows)]
            tokens = torch.full((plan.rows, slots), MASK)
            one = plan.rows * self.shape.flops(length, length, slots, alphabet.width)
            if not self._fits(name, (plan.steps + 1) * one):
                continue
            memory = self.shape.step_bytes(
                plan.rows * length,
                plan.rows * slots,
                alphabet.width,
                plan.rows * (length - slots) if mode == "prefix" else 0,
            )
            with self._part(name, 0.0, memory) as part:
                opened = time.perf_counter()
                session = self.backbone.open(views, alphabet)
                self._wait()
                part["context_seconds"] = time.perf_counter() - opened
                session.logits(tokens)
                before = session.cost
                self._wait()
                began = time.perf_counter()
                for _ in range(plan.steps):
                    session.logits(tokens)
                self._wait()
                part["seconds"] = time.perf_counter() - began
                part["flops"] = session.cost.flops - before.flops
                part |= {"rows": plan.rows, "length": length, "slots": slots, "steps": plan.steps}
                part["seconds_a_step"] = part["seconds"] / plan.steps
            if mode == "full" and "tflops" in part:
                self.expected = part["tflops"] * 1e12

    def _backward(self) -> None:
        """One likelihood with its backward pass, as many edit views as fit in the tokens at once."""
        plan, length, region = self.plan, self.plan.edit[1], self.plan.region[1]
        self.backbone.attention = "full"
        rows = max(1, plan.backward_tokens // length)
        tokens, scored = rows * length, rows * (region // 8 or 1)
        forward = rows * self.shape.flops(length, length, region // 8 or 1, CODES)
        flops = self.shape.backward_flops(forward, plan.rank, tokens)
        if not self._fits("likelihood_backward", flops):
            return
        places = np.arange(region // 8 or 1)
        views = [edit_view(length, region, self.rng) for _ in range(rows)]
        found = [Snapshot(v, v.ids[v.slots], places, FIRST_CODE + places) for v in views]
        memory = self.shape.training_bytes(tokens, plan.rank, scored, CODES)
        self.backbone.checkpointing = True
        with self._part("likelihood_backward", flops, memory) as part:
            part |= {"tokens": tokens, "rows": rows, "length": length, "rank": plan.rank}
            logp = log_likelihood(self.backbone, found, self.codes, 1.0)
            logp.sum().backward()
        self._forget()

    def _forget(self) -> None:
        self.backbone.checkpointing = False
        for each in self.adapter.parameters:
            each.grad = None
        self.backbone.take_cost()

    def _grpo(self, name: str, share: float, mode: Attention) -> None:
        """A whole step at 256 pixels: roll out ``rows`` rollouts of one problem, score them, update the adapters."""
        plan = self.plan
        texts, edits = plan.turns + 1, plan.turns
        self.backbone.attention = mode
        rollout = (
            plan.rows
            * plan.segment_steps
            * (
                texts * self.shape.flops(plan.text[0], plan.text[0])
                + edits * self.shape.flops(plan.edit[0], plan.edit[0])
            )
        )
        if not self._fits(name, rollout * (1 + 3.1 * share) / (1 if mode == "full" else plan.segment_steps)):
            return
        config = DenoiseConfig(plan.segment_steps, temperature=1.0)
        memory = self.shape.training_bytes(plan.backward_tokens, plan.rank, plan.rows * plan.text_slots, MASK)
        with self._part(name, 0.0, memory) as part:
            began = time.perf_counter()
            cost, scored = Cost(), []
            for segment in range(texts + edits):
                is_edit = segment % 2 == 1
                alphabet = self.codes if is_edit else self.words
                views = [
                    edit_view(plan.edit[0], plan.region[0], self.rng)
                    if is_edit
                    else text_view(plan.text[0], plan.text_slots, self.rng)
                    for _ in range(plan.rows)
                ]
                session = self.backbone.open(views, alphabet)
                frames: list[list[Frame]] = [[] for _ in views]
                for step in denoise(session, views, alphabet, MASK, config, self._uniform):
                    for b, frame in step.items():
                        frames[b].append(frame)
                cost = cost + session.cost
                scored.append((alphabet, views, frames))
            self._wait()
            part |= {"rollout_seconds": time.perf_counter() - began, "rollout_flops": cost.flops}
            began = time.perf_counter()
            part |= self._update(scored, share)
            self._wait()
            part["update_seconds"] = time.perf_counter() - began
            part["flops"] = cost.flops + part["update_flops"]
            part |= {"rollouts": plan.rows, "turns": plan.turns, "share_of_steps": share, "rank": plan.rank}
            part["attention"] = self.backbone.attention
            part["tokens_forwarded"] = cost.tokens_forwarded
        self._forget()

    def _update(
        self, scored: Sequence[tuple[Alphabet, list[View], list[list[Frame]]]], share: float
    ) -> dict[str, Any]:
        """One clipped policy-gradient update of the adapters, by micro-batches."""
        optimizer = torch.optim.AdamW(self.adapter.parameters, lr=1e-5)
        advantage = np.linspace(-1, 1, self.plan.rows)
        self.backbone.checkpointing = True
        flops, batches, error = 0.0, 0, 0.0
        for alphabet, views, frames in scored:
            found: list[Snapshot] = []
            weights: list[float] = []
            old: list[tuple[float, ...]] = []
            for b, view in enumerate(views):
                chosen, weight = share_of_steps(len(frames[b]), share, self.rng)
                steps = snapshots(view, MASK, frames[b])
                found += [steps[i] for i in chosen]
                old += [frames[b][i].logprobs for i in chosen]
                weights += [weight * float(advantage[b])] * len(chosen)
            for batch in self.backbone.micro_batches(found, self.plan.backward_tokens):
                logp_N = log_likelihood(self.backbone, [found[i] for i in batch], alphabet, 1.0)
                old_N = torch.tensor([x for i in batch for x in old[i]], device=self.device)
                advantage_N = torch.tensor([weights[i] for i in batch for _ in old[i]], device=self.device)
                token_loss(logp_N, old_N, advantage_N, LossConfig()).loss_N.sum().backward()
                spent = self.backbone.take_cost()
                flops += self.shape.backward_flops(spent.flops, self.plan.rank, spent.tokens_forwarded)
                error = max(error, float((logp_N.detach() - old_N).abs().max()))
                batches += 1
        optimizer.step()
        return {"update_flops": flops, "micro_batches": batches, "largest_logp_difference": error}

    def _uniform(self, _: int, width: int) -> torch.Tensor:
        return torch.from_numpy(self.rng.random((self.plan.rows, width))).float()


def measure(shape: str, device: torch.device, seconds: float, report: Report) -> dict[str, Any]:
    """Measure ``shape`` on ``device`` within ``seconds``; ``report`` receives the result after every part."""
    return Measurement(shape, device, seconds, report).run()
