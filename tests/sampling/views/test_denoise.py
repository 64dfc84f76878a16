"""The engine's own loop over a backbone gives the traces of the references' samplers, token for token."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import load_llama
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.records import Frame
from mmreason.sampling.unmask import choose_positions, log_distribution
from mmreason.sampling.views.denoise import DenoiseConfig, denoise
from mmreason.sampling.views.maskgit import drawn_certainty
from tests.helpers import golden

WORDS = Alphabet.of(torch.ones(golden.VOCAB, dtype=torch.bool))


REFERENCE_TIE = 1e-5  # the references sort, so that only rounding errors are ties


def codes_of(facts: dict) -> Alphabet:
    """The alphabet of image codes in a golden file."""
    return Alphabet(facts["first_code"], torch.ones(facts["codes"], dtype=torch.bool))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> LlamaBackbone:
    return load_llama(golden.write_reference(tmp_path_factory.mktemp("reference")))


def commits(view: View, frames: list[Frame]) -> list[dict[str, list[int]]]:
    """What each step committed, by place in the view."""
    return [
        {
            "places": [int(view.slots[i]) for i in frame.committed],
            "ids": [frame.tokens[i] for i in frame.committed],
        }
        for frame in frames
    ]


@pytest.mark.parametrize("family", ["dimoo", "mmada"])
def test_greedy_text_is_the_references_on_all_runs(family: str, backbone: LlamaBackbone) -> None:
    facts = golden.facts(f"sampler_text_{family}")
    wrong = []
    settings = {(r["steps"], r["block_length"], r["guidance"]) for r in facts["runs"]}
    assert len(facts["runs"]) == 100 and len(settings) == 5
    for steps, block, guidance in sorted(settings):
        runs = [r for r in facts["runs"] if (r["steps"], r["block_length"], r["guidance"]) == (steps, block, guidance)]
        views = []
        for run in runs:
            prompt = facts["prompts"][run["prompt"]]
            around = ([193], [194]) if family == "dimoo" else ([], [])
            masks = [golden.MASK] * facts["slots"]
            ids = [*prompt, *around[0], *masks, *around[1]]
            slots = np.arange(run["first_slot"], run["first_slot"] + facts["slots"])
            hidden = np.full(len(ids), golden.MASK)  # the twin of a text: every given token is masked
            views.append(View(np.array(ids), slots, twins=(View(hidden, slots),)))
        scales = (guidance,) if guidance else ()
        config = DenoiseConfig(steps, block_length=block if block < facts["slots"] else None, tie=REFERENCE_TIE)
        frames: list[list[Frame]] = [[] for _ in views]
        for step in denoise(backbone.open(views, WORDS, scales), views, WORDS, golden.MASK, config):
            for b, frame in step.items():
                frames[b].append(frame)
        for run, view, own in zip(runs, views, frames, strict=True):
            if commits(view, own) != run["commits"]:
                wrong.append((run["prompt"], steps, block, guidance))
    assert not wrong


def twins_of(trace: dict) -> tuple[View, ...]:
    """The views to guide away from: other prefixes, the same picture to fill."""
    rest = trace["view"][trace["code_start"] - 2 :]
    return tuple(View.of(prefix + rest, golden.MASK) for prefix in trace["unconditional_prefixes"])


@pytest.mark.parametrize("number", range(10))
def test_greedy_pictures_are_dimoos(number: int, backbone: LlamaBackbone) -> None:
    facts = golden.facts("sampler_image_dimoo")
    trace, codes = facts["traces"][number], codes_of(facts)
    view = View.of(trace["view"], golden.MASK, twins_of(trace))
    config = DenoiseConfig(trace["steps"], schedule="cosine", tie=REFERENCE_TIE)
    session = backbone.open([view], codes, trace["scales"])
    frames = [step[0] for step in denoise(session, [view], codes, golden.MASK, config)]
    assert commits(view, frames) == trace["commits"]
    filled = np.array(trace["view"])
    filled[view.slots] = frames[-1].tokens
    rows, columns = trace["grid"]
    picture = filled[trace["code_start"] :][: rows * (columns + 1)].reshape(rows, columns + 1)
    assert (picture[:, :-1] - codes.first).ravel().tolist() == trace["codes"]


@pytest.mark.parametrize("number", range(4))
def test_mmadas_pictures_come_from_its_own_draws_in_its_own_order(number: int, backbone: LlamaBackbone) -> None:
    facts = golden.facts("sampler_image_mmada")
    trace, codes = facts["traces"][number], codes_of(facts)
    unseen, twin_unseen = (
        int((np.array(trace[name]) == 0).sum()) for name in ("attention_mask", "unconditional_attention_mask")
    )
    twin = View.of(trace["unconditional"], golden.MASK, unseen=twin_unseen)
    view = View.of(trace["view"], golden.MASK, (twin,), unseen)
    session = backbone.open([view], codes, (trace["guidance"],))
    first = len(trace["view"]) - 1 - trace["codes_in_canvas"]
    tokens = torch.full((1, len(view.slots)), golden.MASK)
    lefts = golden.mmada_left(len(view.slots), trace["steps"], trace["codes_in_canvas"])
    assert lefts == trace["masks_left"]
    for step, left in enumerate(lefts):
        logp = log_distribution(session.logits(tokens), codes.allowed_W, 1.0)
        drawn = torch.tensor([trace["draws"][step]])[:, view.slots - first]
        masked = tokens == golden.MASK
        quota = masked.sum(dim=-1) - left
        chosen = choose_positions(drawn_certainty(logp, drawn), masked, quota, tie=REFERENCE_TIE)
        assert [int(view.slots[i]) for i in chosen[0].nonzero()[:, 0]] == trace["commits"][step]["places"]
        tokens = torch.where(chosen, drawn + codes.first, tokens)
    final = torch.where(tokens == golden.MASK, drawn + codes.first, tokens)[0].numpy()
    filled = np.array(trace["view"])
    filled[view.slots] = final
    assert (filled[first:-1] - codes.first).tolist() == trace["codes"]


def test_maskgit_orders_by_the_draw_and_is_not_exact(backbone: LlamaBackbone) -> None:
    logp = torch.log_softmax(torch.tensor([[[3.0, 0.0], [1.0, 0.0]]]), dim=-1)
    drawn = torch.tensor([[1, 0]])
    assert drawn_certainty(logp, drawn)[0].argmax() == 1  # the top probability would take the other
    assert DenoiseConfig(order="maskgit").exact is False and DenoiseConfig().exact is True
    view = View.of([5, golden.MASK, golden.MASK, 6], golden.MASK)
    config = DenoiseConfig(2, order="maskgit")
    frames = [step[0] for step in denoise(backbone.open([view], WORDS), [view], WORDS, golden.MASK, config)]
    assert sorted(frames[0].committed + frames[1].committed) == [0, 1]


def test_views_of_unlike_size_are_denoised_side_by_side_as_alone(backbone: LlamaBackbone) -> None:
    views = [View.of([3, *[golden.MASK] * k, 7], golden.MASK) for k in (2, 5, 9)]
    config = DenoiseConfig(4)

    def run(chosen: list[View]) -> list[dict[int, Frame]]:
        return list(denoise(backbone.open(chosen, WORDS), chosen, WORDS, golden.MASK, config))

    together = run(views)
    for b, view in enumerate(views):
        alone = [step[0] for step in run([view])]
        mine = [step[b] for step in together if b in step]
        assert [f.tokens for f in mine] == [f.tokens for f in alone]
        assert len(alone) == min(4, len(view.slots))
