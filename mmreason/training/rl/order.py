"""How often the order of commitment that was sampled is no longer the policy's own.

The likelihood of a trace holds its committed sets fixed: exact for the policy that sampled, a surrogate once the
weights have moved.

Axes: T traces, B rows of a batch, K noisy copies, W positions of a copy, V vocabulary.
"""

from __future__ import annotations

import torch

from mmreason.layouts.cells import CellsLayout
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.regions import allowed_slots
from mmreason.sampling.scheduler import positions_to_commit
from mmreason.sampling.unmask import log_distribution
from mmreason.training.rl.likelihood import Copy, ScoredTokens


@torch.no_grad()
def changed_orders(
    model: InterleavedDiffusionModel, scored: ScoredTokens, layout: CellsLayout, config: SamplingConfig
) -> tuple[int, int, float]:
    """(denoising steps that would now commit other positions, denoising steps in all, FLOPs of finding out).

    ``scored`` must be packed with the likelihood ``trajectory``, whose copies are what the sampler saw.
    """
    device = model.device
    packed = scored.packed.to(device)
    mask = packed.mask_of(layout.attention)
    hidden_BLD = model(packed.ids_BL, packed.positions_BLP, mask, tokens_T=packed.tokens_T).hidden_BLD
    traces = int(scored.trace_N.max()) + 1
    committed_TBL = torch.zeros(traces, *packed.ids_BL.shape, dtype=torch.bool, device=device)
    committed_TBL[scored.trace_N.to(device), scored.row_N.to(device), scored.column_N.to(device)] = True
    groups: dict[tuple[int, int], list[Copy]] = {}
    for each in scored.copies:
        groups.setdefault((each.words, each.step), []).append(each)
    allowed = {modality: layout.allowed(modality).to(device) for modality in ("text", "image")}
    changed, steps, scored_positions = 0, 0, 0
    for (words, step), copies in groups.items():
        width = max(each.length for each in copies)
        traces_K1, rows_K1, starts_K1, lengths_K1 = (
            torch.tensor([getattr(each, name) for each in copies], device=device)[:, None]
            for name in ("trace", "row", "column", "length")
        )
        within_W = torch.arange(width, device=device)
        real_KW = within_W < lengths_K1
        columns_KW = starts_K1 + within_W.minimum(lengths_K1 - 1)
        logits_KWV = model.logits(hidden_BLD[rows_K1, columns_KW])
        logp_KWV = log_distribution(logits_KWV, allowed_slots(allowed, words, width), config.temperature)
        masked_KW = (packed.ids_BL[rows_K1, columns_KW] == layout.mask) & real_KW
        now_KW = positions_to_commit(logp_KWV, step, masked_KW, config, words)
        was_KW = committed_TBL[traces_K1, rows_K1, columns_KW] & real_KW
        seen_KW = torch.zeros_like(was_KW)  # of a joint turn only what is scored tells what was committed
        for kind_W in (within_W < words, within_W >= words):
            seen_KW |= kind_W & (was_KW & kind_W).any(dim=-1, keepdim=True)
        changed += int(((now_KW != was_KW) & seen_KW).any(dim=-1).sum())
        steps += len(copies)
        scored_positions += now_KW.numel()
    return changed, steps, scored.flops_of_all_states(model.config, scored_positions)
