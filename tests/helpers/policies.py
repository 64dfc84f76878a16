"""Small stand-ins that the tests share: tokenizers, policies with random weights, demonstrated traces.

Axes: N drawings, C codes, D width, H W canvas.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from diffusers import VQModel
from transformers import PreTrainedTokenizerFast

from mmreason.codecs.cells import build_vqvae, to_input
from mmreason.layouts.cells import CellsLayout, Piece, clean_length
from mmreason.layouts.packing import Packed
from mmreason.layouts.vocabulary import Vocabulary, build_text_tokenizer
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import ANSWER, EDIT, END, Box, Frame, Problem, Segment, Trace, parse_boxes, region_mask
from mmreason.rewards.verify import Verifier
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.tasks import FIRST_TASKS, TASKS, atlas, atlas_for, num_hints
from mmreason.training.supervised.corpus import Encoder

NUM_CODES = 256


@cache
def text_tokenizer() -> PreTrainedTokenizerFast:
    return build_text_tokenizer()


@cache
def layout() -> CellsLayout:
    return CellsLayout(text_tokenizer(), NUM_CODES)


def vocabulary() -> Vocabulary:
    return layout().vocabulary


def words() -> list[str]:
    return layout().words


@cache
def sheet() -> np.ndarray:
    """(C, 16, 16, 3): what a perfect decoder makes of each code, code ``i`` being drawing ``i``."""
    drawings = atlas_for(FIRST_TASKS[0]).pixels
    return np.concatenate([drawings, np.zeros((NUM_CODES - len(drawings), *drawings.shape[1:]), np.uint8)])


@cache
def encoder() -> Encoder:
    """Code ``i`` is drawing ``i`` of the atlas."""
    return Encoder(layout(), np.arange(len(atlas().pixels)))


def verifier() -> Verifier:
    return Verifier(words(), sheet())


@cache
def vqvae() -> VQModel:
    """Untrained layers, but code ``i`` lies where the encoder puts drawing ``i``: it decodes to noise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_vqvae(NUM_CODES, width=16, code_width=8).eval().requires_grad_(False)
    inputs = to_input(atlas_for(FIRST_TASKS[0]).pixels)
    codes_CD = model.quantize.embedding.weight
    codes_CD.fill_(1e3)
    codes_CD[: len(inputs)] = model.quant_conv(model.encoder(inputs)).flatten(1)
    return model


def random_policy(seed: int = 0, **sizes: int | str) -> InterleavedDiffusionModel:
    """A tiny policy in which every weight matters (a new one starts with blocks that do nothing)."""
    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}
    config = InterleavedDiffusionConfig(
        vocab_size=vocabulary().size,
        first_cell=vocabulary().first_cell,
        num_hints=num_hints(),
        **{**small, "hint_layer": 1, **sizes},
    )
    model = InterleavedDiffusionModel(config).eval()
    generator = torch_generator("random policy", seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim == 1:
                weight.copy_(1 + 0.1 * noise)
            elif name.startswith("blocks"):
                weight.copy_(noise * weight.shape[1] ** -0.5)
            else:
                weight.copy_(0.15 * noise)
    return model


def talking_policy(seed: int = 0, sharpness: float = 2.5, **sizes: int) -> InterleavedDiffusionModel:
    """A random policy whose thoughts mostly parse: ``<edit> r?c? r?c? <end>``, now and then an answer."""
    model = random_policy(seed, **sizes)
    vocab = vocabulary()
    wanted = [[vocab.edit], *[list(range(vocab.first_cell, vocab.first_cell + 64))] * 2, *[[vocab.end]] * 9]
    width = model.config.hidden_size
    axes_DD = torch.linalg.qr(torch.randn(width, width, generator=torch_generator("axes", seed))).Q
    with torch.no_grad():
        for slot, tokens in enumerate(wanted):
            model.slots.weight[slot + 1] = 16 * axes_DD[slot]
            model.output.weight[tokens] += sharpness * axes_DD[slot]
        model.output.weight[vocab.answer] += 0.8 * sharpness * axes_DD[0]
    return model


def scripted_policy(seed: int = 3, causal: bool = False, attention: str = "blocks") -> InterleavedDiffusionModel:
    """A random policy whose thoughts all read ``right total <edit> r2c2 r2c4``: each word is read off its place."""
    model = random_policy(seed, causal=causal, attention=attention).requires_grad_(False)
    vocab = text_tokenizer().get_vocab()
    spoken = ["right", "total", EDIT, "r2c2", "r2c4"] + [END] * 7
    model.output.weight.mul_(2.0)
    slots = model.next_slots if causal else model.slots
    axes_DD = torch.eye(model.config.hidden_size)
    for slot, word in enumerate(spoken):
        axis_D = axes_DD[min(slot, 5)]
        slots.weight[slot + 1] = 40 * axis_D
        model.output.weight[vocab[word]] = 3 * axis_D
    return model


def pipeline_of(model: InterleavedDiffusionModel) -> InterleavedReasoningPipeline:
    return InterleavedReasoningPipeline(model, vqvae(), text_tokenizer(), MaskedDiffusionScheduler())


def text_segment(text: str, turn: int) -> Segment:
    """A text segment committed in one step, probability 1."""
    ids = tuple(encoder().text_ids(text).tolist())
    kind = "answer" if text.startswith(ANSWER) else "thought"
    return Segment(kind, turn, ids, (committed_at_once(ids),), text)


def edit_segment(problem: Problem, canvas_HW: np.ndarray, cells: np.ndarray, boxes: list[Box], turn: int) -> Segment:
    """An edit that draws ``canvas_HW`` (local cell ids) at the flat indices ``cells``, in one step."""
    ids = tuple(encoder().canvas_ids(problem.task, canvas_HW)[cells].tolist())
    return Segment("edit", turn, ids, (committed_at_once(ids),), boxes=tuple(boxes), cells=tuple(cells.tolist()))


def committed_at_once(ids: tuple[int, ...]) -> Frame:
    return Frame(1, ids, tuple(range(len(ids))), (0.0,) * len(ids))


def demonstrated_trace(problem: Problem) -> Trace:
    """The canonical solution as a trace, not scored yet."""
    demonstration = TASKS[problem.task].demonstrate(problem.spec)
    segments = []
    for turn, step in enumerate(demonstration.steps, start=1):
        boxes = parse_boxes(step.thought.split())
        assert not isinstance(boxes, str), boxes
        cells = np.flatnonzero(region_mask(boxes))
        segments.append(text_segment(step.thought, turn))
        segments.append(edit_segment(problem, step.canvas, cells, boxes, turn))
    segments.append(text_segment(demonstration.answer, len(demonstration.steps) + 1))
    canvas = tuple(encoder().canvas_ids(problem.task, problem.canvas).tolist())
    return Trace(problem, canvas, tuple(segments), "answered")


def clean_pieces(problem: Problem) -> list[Piece]:
    """Problem and demonstration as the clean pieces that a sampler would have forwarded."""
    example = encoder().example(problem)
    pieces = [layout().problem_piece(example.prompt, example.canvas)]
    for turn, cells, ids in example.segments:
        if cells is None:
            pieces.append(layout().text_piece(ids[: clean_length(ids.tolist(), vocabulary().end)], turn))
        else:
            pieces.append(layout().edit_piece(ids, cells.tolist(), turn))
    return pieces


def forward(model: InterleavedDiffusionModel, packed: Packed) -> torch.Tensor:
    """(B, L, D) hidden states without a cache."""
    return model(packed.ids_BL, packed.positions_BLP, packed.attention_mask()).hidden_BLD
