"""The pipeline that solves puzzles: thoughts in words, localized edits, an answer.

Axes: C codes, H W canvas.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, VQModel
from diffusers.configuration_utils import FrozenDict
from diffusers.utils import BaseOutput
from transformers import PreTrainedTokenizerFast

from mmreason.backbones.cells import CellBackbone, checked_attention
from mmreason.codecs.cells import CellCodec
from mmreason.disk import one_line
from mmreason.errors import CheckpointError, ConfigError, MMReasonError
from mmreason.layouts.cells import CellsLayout
from mmreason.layouts.vocabulary import Vocabulary
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import CELL_PX, GRID, Problem, Segment, Trace
from mmreason.sampling.autoregressive import AutoregressiveSampler
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import seeds_of, torch_generator
from mmreason.sampling.given import check_given
from mmreason.sampling.running import RunningBatch, StreamBatch
from mmreason.sampling.sampler import OnEdits, Sampler
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.tasks.picture import resized


def fastest_device() -> torch.device:
    """This process's GPU (``LOCAL_RANK``) if there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def fingerprint_of(*modules: torch.nn.Module) -> str:
    """Twelve hex digits of the weights of ``modules``."""
    digest = hashlib.blake2b(digest_size=6)
    for module in modules:
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


@dataclass
class InterleavedReasoningOutput(BaseOutput):
    """``traces``: one finished trace a problem, in order."""

    traces: list[Trace]


class InterleavedReasoningPipeline(DiffusionPipeline):
    """A masked diffusion policy with its image tokenizer, text tokenizer and scheduler."""

    model_cpu_offload_seq = "transformer->vqvae"

    transformer: InterleavedDiffusionModel
    scheduler: MaskedDiffusionScheduler

    def __init__(
        self,
        transformer: InterleavedDiffusionModel,
        vqvae: VQModel,
        tokenizer: PreTrainedTokenizerFast,
        scheduler: MaskedDiffusionScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(transformer=transformer, vqvae=vqvae, tokenizer=tokenizer, scheduler=scheduler)
        sizes = transformer.config
        self.layout = CellsLayout(
            tokenizer,
            vqvae.config["num_vq_embeddings"],
            sizes.max_text_tokens,
            checked_attention(sizes),
            sizes.turn,
            sizes.cell_tokens,
            sizes.text_slots,
        )
        self.codec = CellCodec(vqvae, self.layout.grid)
        if sizes.first_cell != self.vocabulary.first_cell:
            raise CheckpointError(
                f"first_cell of the transformer must be {self.vocabulary.first_cell}, the id that the tokenizer has "
                f"for the first cell, got {sizes.first_cell}"
            )
        if sizes.grid_size != self.layout.grid[0]:
            raise CheckpointError(
                f"grid_size of the transformer must be {self.layout.grid[0]} ({sizes.cell_tokens} for each of the "
                f"{self.vocabulary.grid} cells that the tokenizer names along a side), got {sizes.grid_size}"
            )
        if self.vocabulary.size != transformer.config.vocab_size:
            raise CheckpointError(
                f"vocab_size of the transformer must be {self.vocabulary.size} (text ids and codes), "
                f"got {transformer.config.vocab_size}"
            )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs
    ) -> InterleavedReasoningPipeline:
        """Load a checkpoint folder or Hub id; safetensors only.  Raises CheckpointError."""
        kwargs.setdefault("use_safetensors", True)
        path = str(pretrained_model_name_or_path)
        try:
            pipe = super().from_pretrained(path, **kwargs)
        except Exception as error:  # the libraries below raise a dozen kinds for a broken folder
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise CheckpointError(f"checkpoint {path!r} cannot be loaded: {reason}") from error
        pipe.transformer.eval()
        pipe.vqvae.eval()
        reason = pipe.damage()
        if reason:
            raise CheckpointError(f"checkpoint {path!r} is damaged: {reason}")
        return pipe

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Write a checkpoint folder, of files that fit a repository, which does not name where its parts came from."""
        for part in (self, self.vqvae):
            part._internal_dict = FrozenDict({key: part.config[key] for key in part.config if key != "_name_or_path"})
        super().save_pretrained(save_directory, *args, **{"max_shard_size": "9MB"} | kwargs)

    def damage(self) -> str:
        """Why it cannot be used: a weight that is not finite, defaults that do not hold, a first step that fails; ""
        if it can.
        """
        for part in ("transformer", "vqvae"):
            for name, weight in getattr(self, part).state_dict().items():
                if not bool(weight.isfinite().all()):
                    return f"{part}'s {name} holds a number that is not finite"
        if not self.vocabulary.tasks:
            return "its tokenizer knows no task"
        try:
            self.scheduler.check()
        except ConfigError as error:
            return f"scheduler/scheduler_config.json: {error}"
        height, width = self.layout.grid
        picture = np.zeros((height * self.codec.pixels_per_code, width * self.codec.pixels_per_code, 3), np.uint8)
        blank = Problem(next(iter(self.vocabulary.tasks)), {}, np.zeros((height, width), int), picture, "", 1)
        try:  # a first look at what the policy says, one step of one thought
            next(self.stream([blank], SamplingConfig(num_steps=1, temperature=0)))
        except MMReasonError as error:
            return str(error)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # parts whose sizes do not go together fail in any way
            return f"its first step fails with {type(error).__name__}: {one_line(str(error), 160)}"
        return ""

    @property
    def backbone(self) -> CellBackbone:
        """The transformer as it is now, by the protocol of all backbones."""
        return CellBackbone(self.transformer, self.layout)

    @property
    def vocabulary(self) -> Vocabulary:
        """Ids of words and codes."""
        return self.layout.vocabulary

    @property
    def words(self) -> list[str]:
        """Text id → word; a joint id from ``len(words)`` on is an image code."""
        return self.layout.words

    @property
    def one_code_a_cell(self) -> bool:
        """Is every code a whole cell of a puzzle, as tasks draw them?"""
        return self.layout.grid == (GRID, GRID) and self.codec.pixels_per_code == CELL_PX

    @property
    def sheet(self) -> Any:
        """(C, 16, 16, 3) uint8: the decoded codebook; None where a code is no cell, and pictures are judged."""
        return self.codec.sheet() if self.one_code_a_cell else None

    @property
    def draw(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """Makes a picture of (H·W) image tokens; None where the ``sheet`` shows it."""
        if self.one_code_a_cell:
            return None
        first, grid = self.layout.first_code, self.layout.grid
        return lambda tokens: self.codec.decode(np.asarray(tokens).reshape(grid) - first)

    @property
    def mask(self) -> int:
        """The id of what is masked."""
        return self.layout.mask

    @property
    def first_code(self) -> int:
        """The id of the codec's first code."""
        return self.layout.first_code

    def word(self, id: int) -> str:
        """The text of one id."""
        return self.words[id]

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits of the weights of policy and image tokenizer."""
        return self.current_fingerprint()

    def current_fingerprint(self) -> str:
        """The same of the weights as they are now, for those who train them."""
        return fingerprint_of(self.transformer, self.vqvae)

    def sampling_config(self, **changes: Any) -> SamplingConfig:
        """The scheduler's defaults with ``changes``."""
        return self.scheduler.sampling_config(**changes)

    def encode_image(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 → (H·W) image-token ids; a square picture is drawn at the codec's size."""
        side = self.layout.grid[0] * self.codec.pixels_per_code
        return self.codec.encode(resized(image, side)).ravel() + self.layout.first_code

    def __call__(
        self,
        problems: Sequence[Problem],
        config: SamplingConfig | None = None,
        seeds: Sequence[int] | None = None,
        num_generations: int = 1,
        callback_on_step_end: Callable[[list[Trace]], None] | None = None,
        on_edits: OnEdits | None = None,
    ) -> InterleavedReasoningOutput:
        """Solve ``problems``; see ``stream``.  The callback receives the traces after every step.

        ``on_edits`` is given the rollouts after each turn's edits, and may redraw them; diffusion policies only.
        """
        sampler = self._sampler(problems, config, seeds, num_generations)
        if on_edits is not None and (self.transformer.config.causal or self.layout.joint):
            kind = "autoregressive" if self.transformer.config.causal else "text and picture at once"
            raise ConfigError(
                f"pictures must be own for this kind of policy ({kind}), which reads its own as it draws"
            )
        sampler.on_edits = on_edits
        for _ in sampler.run():
            if callback_on_step_end is not None:
                callback_on_step_end(sampler.traces())
        return InterleavedReasoningOutput(traces=sampler.traces())

    def stream(
        self,
        problems: Sequence[Problem],
        config: SamplingConfig | None = None,
        seeds: Sequence[int] | None = None,
        num_generations: int = 1,
    ) -> Iterator[list[Trace]]:
        """Yield the traces after every denoising step, the last time finished.

        ``seeds`` gives each trace its own random stream, so that a trace does not depend on its batch:
        one a problem (generation ``g`` of it derives its own), 0 for all if not given.
        """
        sampler = self._sampler(problems, config, seeds, num_generations)
        for _ in sampler.run():
            yield sampler.traces()

    def resume(
        self,
        problem: Problem,
        segments: Sequence[Segment],
        config: SamplingConfig | None = None,
        seed: int = 0,
        generation: int = 0,
    ) -> Iterator[list[Trace]]:
        """Go on from ``segments`` as ``stream`` does, with one trace.

        They are forwarded once, clean, and the random stream is the rest of that of (``seed``,
        ``generation``): segments that were not changed lead to the trace that they were taken from.
        """
        sampler = self._sampler([problem], config, [seed], 1)
        check_given(segments, sampler.config.max_turns, self.layout, problem.task)
        sampler.begin_with(segments, torch_generator("rollout", seed, generation))
        for _ in sampler.run():
            yield sampler.traces()

    def running_batch(self) -> RunningBatch | StreamBatch:
        """A batch that rollouts join and leave while others go on; each gives what ``stream`` gives."""
        return StreamBatch(self) if self.transformer.config.causal else RunningBatch(self)

    def _sampler(self, problems, config, seeds, num_generations) -> Sampler:
        config = config or self.scheduler.sampling_config()
        seeds = seeds_of(problems, seeds, num_generations)
        kind = AutoregressiveSampler if self.transformer.config.causal else Sampler
        return kind(self, problems, config, seeds, num_generations)
