"""The loss of the supervised stage, and what the policy itself decodes as a target.

Loss: mean cross-entropy over the text positions to predict, plus that over the image positions,
plus ``hint_weight`` times that of the auxiliary labels on the start canvas.

A policy that learns what it decodes in several steps does as well in one (as in self-distillation through time,
Deschenaux and Gulcehre 2024, arXiv 2410.21035).

Axes: B rows, L sequence positions, V vocabulary, D width; N places of them, or segments of W positions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from mmreason.layouts.packing import PADDING, Packed
from mmreason.layouts.vocabulary import Vocabulary
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import BlockMask
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.scheduler import positions_to_commit
from mmreason.sampling.unmask import log_distribution
from mmreason.tasks.task import NO_HINT
from mmreason.training.supervised.corpus import NO_TARGET, Batch

TAUGHT = SamplingConfig(num_steps=4, threshold=0.95)  # how the policy decodes what it then learns to do in one step


class SupervisedLoss:
    """Loss and segment accuracy of a batch; holds the id ranges and nothing that learns."""

    def __init__(self, vocabulary: Vocabulary, hint_weight: float) -> None:
        self.vocabulary, self.hint_weight = vocabulary, hint_weight

    def counts(self, parts: list[Batch]) -> dict[str, int]:
        """Denominators over all parts of a batch."""
        image = sum(int((part.target_BL >= self.vocabulary.num_text).sum()) for part in parts)
        asked = sum(int((part.target_BL != NO_TARGET).sum()) for part in parts)
        hints = sum(int((part.hint_BL != NO_HINT).sum()) for part in parts)
        return {"text": max(1, asked - image), "image": max(1, image), "hint": max(1, hints)}

    def __call__(
        self,
        model: InterleavedDiffusionModel,
        forward: Callable[..., Any],
        part: Batch,
        counts: dict[str, int],
        teacher: InterleavedDiffusionModel | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """This part's share of the loss, and the sums behind the metrics.

        With a ``teacher`` the targets of fully masked copies are what it decodes.
        """
        device, first_code = model.device, self.vocabulary.num_text
        packed = part.packed.to(device)
        mask = packed.causal_mask() if model.config.causal else packed.mask_of(model.config.attention)
        output = forward(packed.ids_BL, packed.positions_BLP, mask)
        target_BL, hint_BL = part.target_BL.to(device), part.hint_BL.to(device)
        if teacher is not None and isinstance(mask, BlockMask):
            target_BL = own_decoding(teacher, packed, mask, target_BL, self.vocabulary)
        image_BL = part.target_BL >= first_code
        losses, metrics = [], {}
        for name, chosen_BL in (("text", (part.target_BL != NO_TARGET) & ~image_BL), ("image", image_BL)):
            chosen_N = _places(chosen_BL).to(device)
            logits_NV = model.logits(output.hidden_BLD.flatten(0, 1).index_select(0, chosen_N))
            low, high = (0, first_code) if name == "text" else (first_code, self.vocabulary.size)
            logits_NV = logits_NV[:, low:high].float()
            target_N = target_BL.flatten()[chosen_N] - low
            losses.append(F.cross_entropy(logits_NV, target_N, reduction="sum") / counts[name])
            metrics[f"loss/{name}"] = losses[-1].detach()
            metrics[f"accuracy/{name}"] = (logits_NV.detach().argmax(-1) == target_N).sum() / counts[name]
        hinted_N = _places(part.hint_BL != NO_HINT).to(device)
        hint_logits = model.hint_logits(output.hint_states_BLD.flatten(0, 1).index_select(0, hinted_N)).float()
        hint_N = hint_BL.flatten()[hinted_N]
        hint_loss = F.cross_entropy(hint_logits, hint_N, reduction="sum") / counts["hint"]
        metrics["loss/hint"] = hint_loss.detach()
        metrics["accuracy/hint"] = (hint_logits.detach().argmax(-1) == hint_N).sum() / counts["hint"]
        return sum(losses) + self.hint_weight * hint_loss, metrics


def _places(chosen_BL: torch.Tensor) -> torch.Tensor:
    """Flat indices of the chosen positions, found on the CPU, where nothing has to wait for a GPU."""
    return chosen_BL.flatten().nonzero()[:, 0]


@torch.no_grad()
def own_decoding(
    model: InterleavedDiffusionModel,
    packed: Packed,
    mask: BlockMask,
    target_BL: torch.Tensor,
    vocabulary: Vocabulary,
    sampling: SamplingConfig = TAUGHT,
) -> torch.Tensor:
    """``target_BL`` with the fully masked copies' tokens replaced by those that ``model`` decodes there, greedily.

    All copies are denoised at once, each as the sampler would denoise it after the same clean segments.
    """
    ids_BL = packed.ids_BL.clone()
    blocks, start = [], packed.clean_length
    for modality, (count, width) in zip(("text", "image"), packed.runs, strict=False):
        run = slice(start, start + count * width)
        real_NW = (packed.segment_BL[:, run] != PADDING).reshape(-1, width)
        masked_NW = (ids_BL[:, run] == vocabulary.mask).reshape(-1, width)
        whole_N = (masked_NW == real_NW).all(dim=-1) & real_NW.any(dim=-1)
        blocks.append((run, width, vocabulary.allowed(modality).to(ids_BL.device), whole_N, masked_NW[whole_N]))
        start += count * width
    taught = [masked.clone() for *_, masked in blocks]
    for step in itertools.count():
        if not any(bool(masked_NW.any()) for *_, masked_NW in blocks):
            break
        hidden_BLD = model(ids_BL, packed.positions_BLP, mask).hidden_BLD
        for run, width, allowed_V, whole_N, masked_NW in blocks:
            here_NW = ids_BL[:, run].clone().view(-1, width)
            hidden_NWD = hidden_BLD[:, run].reshape(-1, width, hidden_BLD.shape[-1])[whole_N]
            logp_NWV = log_distribution(model.logits(hidden_NWD), allowed_V, 0.0)
            chosen_NW = positions_to_commit(logp_NWV, step, masked_NW, sampling)
            here_NW[whole_N] = torch.where(chosen_NW, logp_NWV.argmax(dim=-1), here_NW[whole_N])
            masked_NW &= ~chosen_NW
            ids_BL[:, run] = here_NW.view(len(ids_BL), -1)
    target_BL = target_BL.clone()
    for (run, width, _, whole_N, _), taught_NW in zip(blocks, taught, strict=True):
        own_NW, here_NW = ids_BL[:, run].reshape(-1, width), target_BL[:, run].clone().view(-1, width)
        here_NW[whole_N] = torch.where(taught_NW, own_NW[whole_N], here_NW[whole_N])
        target_BL[:, run] = here_NW.view(len(target_BL), -1)
    return target_BL
