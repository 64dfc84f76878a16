"""The pipeline that solves puzzles: thoughts in words, localized edits, an answer.

Axes: B rollouts in a batch, L block positions, M cached positions, P position fields, V vocabulary,
C codes, H W canvas.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline, VQModel
from diffusers.utils import BaseOutput
from transformers import PreTrainedTokenizerFast

from mmreason.errors import CheckpointError, ConfigError
from mmreason.models.cache import PrefixCache
from mmreason.models.flops import forward_flops
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import CELL_PX, GRID, MAX_TEXT_TOKENS, NUM_CELLS, Cost, Problem, Segment, Trace
from mmreason.sampling.given import check_given, clean_piece, skip_draws
from mmreason.sampling.rollout import Rollout
from mmreason.sampling.scheduler import MaskedDiffusionScheduler, SamplingConfig
from mmreason.sampling.unmask import log_distribution
from mmreason.seeds import torch_generator
from mmreason.tokenizers.image import decode_codebook, encode_cells
from mmreason.tokenizers.layout import (
    PADDING,
    Piece,
    Vocabulary,
    attention_rule,
    edit_piece,
    pack,
    problem_piece,
    text_piece,
)


@dataclass
class InterleavedReasoningOutput(BaseOutput):
    """``traces``: one finished trace a problem, in order."""

    traces: list[Trace]


class InterleavedReasoningPipeline(DiffusionPipeline):
    """A masked diffusion policy with its image tokenizer, text tokenizer and scheduler."""

    model_cpu_offload_seq = "transformer->vqvae"

    def __init__(
        self,
        transformer: InterleavedDiffusionModel,
        vqvae: VQModel,
        tokenizer: PreTrainedTokenizerFast,
        scheduler: MaskedDiffusionScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(transformer=transformer, vqvae=vqvae, tokenizer=tokenizer, scheduler=scheduler)
        self.vocabulary = Vocabulary.of(tokenizer, vqvae.config["num_vq_embeddings"])
        if self.vocabulary.size != transformer.config.vocab_size:
            raise CheckpointError(
                f"vocab_size of the transformer must be {self.vocabulary.size} (text ids and codes), "
                f"got {transformer.config.vocab_size}"
            )
        self._code_of_cell: dict[bytes, int] = {}

    @classmethod
    def from_pretrained(cls, path: str | Path, **kwargs) -> InterleavedReasoningPipeline:
        """Load a checkpoint folder or Hub id; safetensors only.  Raises CheckpointError."""
        kwargs.setdefault("use_safetensors", True)
        try:
            pipe = super().from_pretrained(str(path), **kwargs)
        except CheckpointError:
            raise
        except Exception as error:  # the libraries below raise a dozen kinds for a broken folder
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise CheckpointError(f"checkpoint {str(path)!r} cannot be loaded: {reason}") from error
        pipe.transformer.eval()
        pipe.vqvae.eval()
        return pipe

    @cached_property
    def words(self) -> list[str]:
        """Text id → word; a joint id from ``len(words)`` on is an image code."""
        return self.tokenizer.convert_ids_to_tokens(list(range(self.vocabulary.num_text)))

    @cached_property
    def sheet(self) -> np.ndarray:
        """(C, 16, 16, 3) uint8: the decoded codebook."""
        return decode_codebook(self.vqvae)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits of the weights of policy and image tokenizer."""
        digest = hashlib.blake2b(digest_size=6)
        for module in (self.transformer, self.vqvae):
            for name, value in sorted(module.state_dict().items()):
                digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
        return digest.hexdigest()

    def encode_image(self, image: np.ndarray) -> np.ndarray:
        """(128, 128, 3) uint8 → (H·W) image-token ids; equal cells are encoded once and remembered."""
        patches = image.reshape(GRID, CELL_PX, GRID, CELL_PX, 3).swapaxes(1, 2).reshape(NUM_CELLS, CELL_PX, CELL_PX, 3)
        keys = [patch.tobytes() for patch in patches]
        new = {key: patch for key, patch in zip(keys, patches, strict=True) if key not in self._code_of_cell}
        if new:
            codes = encode_cells(self.vqvae, np.stack(list(new.values())))
            self._code_of_cell.update(zip(new, codes.tolist(), strict=True))
        return np.array([self._code_of_cell[key] for key in keys]) + self.vocabulary.num_text

    def __call__(
        self,
        problems: Sequence[Problem],
        config: SamplingConfig | None = None,
        seeds: Sequence[int] | None = None,
        num_generations: int = 1,
        callback_on_step_end: Callable[[list[Trace]], None] | None = None,
    ) -> InterleavedReasoningOutput:
        """Solve ``problems``; see ``stream``.  The callback is told the traces after every step."""
        sampler = self._sampler(problems, config, seeds, num_generations)
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
        check_given(segments, sampler.config.max_turns)
        sampler.begin_with(segments, torch_generator("rollout", seed, generation))
        for _ in sampler.run():
            yield sampler.traces()

    def _sampler(self, problems, config, seeds, num_generations) -> Sampler:
        config = config or self.scheduler.sampling_config()
        seeds = [0] * len(problems) if seeds is None else list(seeds)
        if len(seeds) != len(problems):
            raise ConfigError(f"seeds must hold one number a problem ({len(problems)}), got {len(seeds)}")
        if num_generations < 1:
            raise ConfigError(f"num_generations must be at least 1, got {num_generations}")
        if self.transformer.config.causal:
            from mmreason.sampling.autoregressive import AutoregressiveSampler  # it builds on Sampler below

            return AutoregressiveSampler(self, problems, config, seeds, num_generations)
        return Sampler(self, problems, config, seeds, num_generations)


class Sampler:
    """Runs rollouts in lockstep: all thoughts of a turn, then all its edits.

    Each problem is encoded once and shared by its generations.  A finished segment is forwarded once,
    clean, together with the first step of the segment after it; its keys and values stay in the cache.
    """

    def __init__(
        self,
        pipe: InterleavedReasoningPipeline,
        problems: Sequence[Problem],
        config: SamplingConfig,
        seeds: Sequence[int],
        num_generations: int,
    ) -> None:
        self.pipe, self.config, self.vocabulary = pipe, config, pipe.vocabulary
        self.model, self.device = pipe.transformer, pipe.transformer.device
        self.allowed = {m: self.vocabulary.allowed(m).to(self.device) for m in ("text", "image")}
        self.num_generations = num_generations
        self.rollouts = [
            Rollout(problem, pipe.encode_image(problem.image), torch_generator("rollout", seed, g), pipe.words)
            for problem, seed in zip(problems, seeds, strict=True)
            for g in range(num_generations)
        ]
        self.given: Sequence[Segment] = ()
        self.turn_limit = config.max_turns
        sizes = self.model.config
        heads = sizes.num_attention_heads
        self.cache = PrefixCache(sizes.num_hidden_layers, heads, sizes.hidden_size // heads)

    def begin_with(self, segments: Sequence[Segment], generator: torch.Generator) -> None:
        """Let the one rollout start from ``segments``, made with ``generator`` or in place of what was."""
        self.given = segments
        if self.config.temperature:
            skip_draws(generator, segments)
        self.rollouts[0].generator = generator

    def traces(self) -> list[Trace]:
        """What the rollouts hold now."""
        settings = {
            name: getattr(self.config, name)
            for name in ("temperature", "num_steps", "threshold", "order", "region", "max_turns")
        }
        return [rollout.trace(settings) for rollout in self.rollouts]

    @torch.no_grad()
    def run(self) -> Iterator[None]:
        """Generate until every rollout has ended; yields after every denoising step."""
        if not self.rollouts:
            return
        active = self.rollouts
        self._encode_problems()
        pending: list[Piece | None] = [None] * len(active)
        first, thought_given = 1, False
        if self.given:
            pending, first, thought_given = self._encode_given()
        for turn in range(first, self.turn_limit + 2):
            if not thought_given:
                yield from self._denoise_texts(active, pending, turn)
            thought_given = False
            for rollout in active:
                rollout.follow(turn, self.turn_limit)
            going = [i for i, rollout in enumerate(active) if not rollout.end_reason]
            active = [active[i] for i in going]
            if not active:
                break
            self.cache = self.cache.select(torch.tensor(going, device=self.device))
            pending = [rollout.clean_thought(self.vocabulary.end) for rollout in active]
            regions = [rollout.stated_cells() for rollout in active]
            if self.config.region == "full":
                regions = [np.arange(NUM_CELLS)] * len(active)
            if self.config.region == "confidence":
                regions = self._least_likely(active, pending, turn, regions)
                pending = [None] * len(active)
            yield from self._denoise_edits(active, pending, turn, regions)
            pending = [edit_piece(r.segments[-1].tokens, r.segments[-1].cells, turn) for r in active]
        yield None  # the last yield shows every rollout ended

    def _encode_problems(self) -> None:
        first = self.rollouts[:: self.num_generations]
        words = {word: i for i, word in enumerate(self.pipe.words)}
        pieces = [problem_piece(words[f"<{r.problem.task}>"], r.canvas_tokens) for r in first]
        self.cache.allocate(self.model.norm.weight, len(first))
        self._forward([[piece] for piece in pieces], first, scored=0)
        self._share_problems()

    def _share_problems(self) -> None:
        """One row of the cache for each generation of a problem."""
        if self.num_generations > 1:
            rows = torch.arange(self.cache.num_rows, device=self.device).repeat_interleave(self.num_generations)
            self.cache = self.cache.select(rows)

    def _encode_given(self) -> tuple[list[Piece | None], int, bool]:
        """Cache all given segments but the last, which stays pending.

        Also returns the turn to go on with, and whether its thought is given.
        """
        *before, last = self.given
        self.rollouts[0].take(self.given)  # not before the problem, with its own canvas, is encoded
        pieces = [clean_piece(segment, self.vocabulary.end) for segment in before]
        if pieces:
            self._forward([pieces], self.rollouts, scored=0)
        pending: list[Piece | None] = [clean_piece(last, self.vocabulary.end)]
        return (pending, last.turn + 1, False) if last.kind == "edit" else (pending, last.turn, True)

    def _denoise_texts(self, active: list[Rollout], pending: list[Piece | None], turn: int) -> Iterator[None]:
        kinds = [(None, MAX_TEXT_TOKENS)] * len(active)
        for rollout in active:
            rollout.begin_text(turn, MAX_TEXT_TOKENS)
        yield from self._denoise("text", active, pending, turn, kinds)

    def _denoise_edits(
        self, active: list[Rollout], pending: list[Piece | None], turn: int, regions: list[np.ndarray]
    ) -> Iterator[None]:
        for rollout, cells in zip(active, regions, strict=True):
            rollout.begin_edit(turn, cells, stated=self.config.region == "stated")
        yield from self._denoise("image", active, pending, turn, [(cells, len(cells)) for cells in regions])

    def _denoise(self, modality, active, pending, turn, kinds) -> Iterator[None]:
        """Denoise one segment a row; the first forward also commits the pending clean pieces.

        Later forwards leave out the rows that are done, and commit nothing.
        """
        width = max(length for _, length in kinds)
        lengths = torch.tensor([length for _, length in kinds], device=self.device)
        masked_BL = torch.arange(width, device=self.device) < lengths[:, None]
        tokens_BL = torch.full(masked_BL.shape, self.vocabulary.mask, device=self.device)
        step, going_B = 0, torch.arange(len(active), device=self.device)
        while len(going_B):
            rows: list[list[Piece]] = []
            ids_host, going = tokens_BL.cpu().numpy(), going_B.tolist()
            for b in going:
                cells, length = kinds[b]
                ids = ids_host[b, :length]
                noisy = text_piece(ids, turn, copy=1) if cells is None else edit_piece(ids, cells, turn, copy=1)
                clean = pending[b]
                rows.append([noisy] if clean is None or step else [noisy, clean])
            cache = self.cache if len(going) == len(active) else self.cache.select(going_B)
            rollouts, width = [active[b] for b in going], max(kinds[b][1] for b in going)
            hidden_BLD = self._forward(rows, rollouts, width, cache)
            output = self.pipe.scheduler.step(
                self.model.logits(hidden_BLD[:, :width]),
                step,
                tokens_BL[going_B, :width],
                masked_BL[going_B, :width],
                self.allowed[modality],
                self._uniform(rollouts, width, [kinds[b] for b in going]),
                self.config,
            )
            tokens_BL[going_B, :width] = output.tokens_BL
            masked_BL[going_B, :width] &= ~output.committed_BL
            step += 1
            tokens, committed, logprobs = (
                t.tolist() for t in (output.tokens_BL.cpu(), output.committed_BL.cpu(), output.logprob_BL.cpu())
            )
            for row, rollout in enumerate(rollouts):
                rollout.add_frame(step, tokens[row], committed[row], logprobs[row])
            going_B = masked_BL.any(dim=1).nonzero()[:, 0]
            yield None

    def _uniform(self, active: list[Rollout], width: int, kinds) -> torch.Tensor:
        """(B, width) numbers in [0, 1), each row from its own generator; none of a row that is done."""
        uniform_BL = torch.zeros(len(active), width)
        if self.config.temperature:
            for b, rollout in enumerate(active):
                length = kinds[b][1]
                if rollout.draft is not None:
                    uniform_BL[b, :length] = torch.rand(length, generator=rollout.generator)
        return uniform_BL.to(self.device)

    def _forward(
        self, rows: list[list[Piece]], active: list[Rollout], scored: int, cache: PrefixCache | None = None
    ) -> torch.Tensor:
        """Forward a block on the cache; its clean positions are committed to it."""
        packed = pack(rows, self.vocabulary.pad)
        segment_BL, copy_BL = packed.segment_BL.to(self.device), packed.copy_BL.to(self.device)
        cache, width = cache or self.cache, packed.ids_BL.shape[1]
        cache.reserve(cache.num_columns + width)
        columns = cache.num_columns
        inside = attention_rule(segment_BL, copy_BL, segment_BL, copy_BL)
        cached = cache.filled(columns)[:, None].expand(-1, inside.shape[1], -1)
        keep_BL = (segment_BL != PADDING) & (copy_BL == 0)
        began = time.perf_counter()
        output = self.model(
            packed.ids_BL.to(self.device),
            packed.positions_BLP.to(self.device),
            torch.cat((cached, inside), dim=-1)[:, None],
            cache=cache,
            keep_BL=keep_BL if bool(keep_BL.any()) else None,
        )
        self._count(active, width, columns, scored, time.perf_counter() - began)
        return output.hidden_BLD

    def _count(self, active: list[Rollout], width: int, columns: int, scored: int, seconds: float) -> None:
        """Add one forward of ``width`` tokens a row on ``columns`` cached ones to what the rollouts cost."""
        flops = forward_flops(self.model.config, 1, width, columns, scored)
        spent = Cost(1, width, flops, seconds / len(active))
        for rollout in active:
            rollout.cost = rollout.cost + spent

    def _least_likely(self, active, pending, turn, regions) -> list[np.ndarray]:
        """As many cells as each stated region has, where the model finds the canvas least likely."""
        everywhere = np.arange(NUM_CELLS)
        masks = np.full(NUM_CELLS, self.vocabulary.mask)
        rows = [[edit_piece(masks, everywhere, turn, copy=1), piece] for piece in pending]
        hidden_BLD = self._forward(rows, active, scored=NUM_CELLS)
        logp_BLV = log_distribution(
            self.model.logits(hidden_BLD[:, :NUM_CELLS]), self.allowed["image"], self.config.temperature
        )
        shown_BL = torch.tensor(np.stack([r.canvas_tokens for r in active]), device=self.device)
        likely_BL = logp_BLV.gather(-1, shown_BL[..., None]).squeeze(-1)
        order = likely_BL.argsort(dim=-1, stable=True).cpu().numpy()
        return [np.sort(order[b, : len(cells)]) for b, cells in enumerate(regions)]
