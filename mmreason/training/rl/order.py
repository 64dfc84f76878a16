"""How often the order of commitment that was sampled is no longer the policy's own.

The likelihood of a trace holds its committed sets fixed: exact for the policy that sampled, a surrogate once the
weights have moved.

Axes: B traces in a batch, K noisy copies of a run of blocks, W positions of a block, V vocabulary.
"""

from __future__ import annotations

import torch

from mmreason.layouts.cells import CellsLayout
from mmreason.layouts.packing import PADDING
from mmreason.models.flops import packed_flops
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.scheduler import positions_to_commit
from mmreason.sampling.unmask import log_distribution
from mmreason.training.rl.likelihood import ScoredTokens


@torch.no_grad()
def changed_orders(
    model: InterleavedDiffusionModel, scored: ScoredTokens, layout: CellsLayout, config: SamplingConfig
) -> tuple[int, int, float]:
    """(denoising steps that would now commit other positions, denoising steps in all, FLOPs of finding out).

    ``scored`` must be packed with the likelihood ``trajectory``, whose copies are what the sampler saw.
    """
    packed = scored.packed.to(model.device)
    output = model(packed.ids_BL, packed.positions_BLP, packed.block_mask())
    committed_BL = torch.zeros_like(packed.ids_BL, dtype=torch.bool)
    committed_BL[scored.row_N.to(model.device), scored.column_N.to(model.device)] = True
    changed, steps, scored_positions, start = 0, 0, 0, packed.clean_length
    for count, width in packed.runs:
        here = slice(start, start + count * width)
        start += count * width
        hidden_BKWD, ids_BKW, was_BKW, copy_BKW, segment_BKW = (
            x[:, here].unflatten(1, (count, width))
            for x in (output.hidden_BLD, packed.ids_BL, committed_BL, packed.copy_BL, packed.segment_BL)
        )
        segment_BK, copy_BK = segment_BKW[..., 0], copy_BKW[..., 0]
        for modality, remainder in (("text", 1), ("image", 0)):
            own_BK = (segment_BK != PADDING) & (segment_BK % 2 == remainder)
            for copy in copy_BK[own_BK].unique().tolist():
                chosen_BK = own_BK & (copy_BK == copy)
                logits = model.logits(hidden_BKWD[chosen_BK])
                logp = log_distribution(logits, layout.allowed(modality).to(model.device), config.temperature)
                masked = ids_BKW[chosen_BK] == layout.mask
                now = positions_to_commit(logp, copy - 1, masked, config)
                changed += int((now != was_BKW[chosen_BK]).any(dim=-1).sum())
                steps += len(now)
                scored_positions += now.numel()
    flops = packed_flops(model.config, len(packed.ids_BL), packed.clean_length, packed.runs, scored_positions)
    return changed, steps, flops
