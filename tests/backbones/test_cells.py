"""What holds of the small model behind the protocol: its samplers and single views say the same, in both modes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from mmreason.backbones.cells import CellBackbone
from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.layout import State
from mmreason.layouts.view import View
from mmreason.records import Trace
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.views.denoise import DenoiseConfig, denoise
from mmreason.sampling.views.scoring import log_likelihood, snapshots
from mmreason.tasks import make_problem
from tests.helpers.policies import pipeline_of, random_policy, talking_policy

MODES = ("blocks", "full")
SAMPLED = SamplingConfig(num_steps=3, temperature=0.8, max_turns=2)


@cache
def pipe(attention: str) -> InterleavedReasoningPipeline:
    return pipeline_of(talking_policy(1, attention=attention))


@cache
def trace(attention: str) -> Trace:
    traces = pipe(attention)([make_problem("maze", "easy", 3)], SAMPLED, [5], 4).traces
    return max(traces, key=lambda each: len(each.segments))


def views(attention: str) -> list[View]:
    layout, whole = pipe(attention).layout, trace(attention)
    codes = np.array(whole.canvas_tokens).reshape(layout.grid) - layout.first_code
    return [
        layout.view(
            State(whole.problem.task, codes, segments=whole.segments[:s]), segment.kind, np.array(segment.cells)
        )
        for s, segment in enumerate(whole.segments)
    ]


def alphabet(attention: str, modality) -> Alphabet:
    return Alphabet.of(pipe(attention).layout.allowed(modality))


@pytest.mark.parametrize("attention", MODES)
def test_the_sampler_s_log_probabilities_are_those_of_the_views(attention):
    backbone, whole = pipe(attention).backbone, trace(attention)
    assert {segment.kind for segment in whole.segments} >= {"thought", "edit"}
    for view, segment in zip(views(attention), whole.segments, strict=True):
        shots = snapshots(view, backbone.layout.mask, segment.frames)
        logp_N = log_likelihood(backbone, shots, alphabet(attention, segment.modality), 0.8)
        noted = [logprob for frame in segment.frames for logprob in frame.logprobs]
        assert logp_N.tolist() == pytest.approx(noted, abs=1e-4)


@pytest.mark.parametrize("attention", MODES)
def test_a_session_gives_the_logits_that_are_scored(attention):
    backbone, whole = pipe(attention).backbone, trace(attention)
    chosen = [(v, s) for v, s in zip(views(attention), whole.segments, strict=True) if s.modality == "text"]
    words = alphabet(attention, "text")
    session = backbone.open([view for view, _ in chosen], words)
    width = max(len(view.slots) for view, _ in chosen)
    tokens_BK = torch.full((len(chosen), width), backbone.layout.mask)
    logits_BKW = session.logits(tokens_BK)
    shots = [snapshots(view, backbone.layout.mask, segment.frames)[0] for view, segment in chosen]
    scored = backbone.scored(shots, words)
    at = torch.cat([logits_BKW[b, shot.places] for b, shot in enumerate(shots)])
    assert torch.allclose(at, scored, atol=1e-4)
    only = session.logits(tokens_BK[1:], rows=list(range(1, len(chosen))))
    assert torch.allclose(only, logits_BKW[1:], atol=1e-4)
    assert session.cost.forward_passes > 0 and session.cost.flops > 0


@pytest.mark.parametrize("attention", MODES)
def test_rows_in_another_order_keep_their_own_contexts(attention):
    backbone, words = pipe(attention).backbone, alphabet(attention, "text")
    chosen = [v for v, s in zip(views(attention), trace(attention).segments, strict=True) if s.modality == "text"][:2]
    session = backbone.open(chosen, words)
    tokens_BK = torch.full((2, max(len(view.slots) for view in chosen)), backbone.layout.mask)
    logits_BKW = session.logits(tokens_BK)
    assert not torch.allclose(logits_BKW[0], logits_BKW[1], atol=1e-2)
    assert torch.allclose(session.logits(tokens_BK, rows=[1, 0]).flip(0), logits_BKW, atol=1e-4)


@pytest.mark.parametrize("attention", MODES)
def test_the_loop_of_the_public_families_denoises_the_small_model_s_views_greedily_as_its_own_sampler_does(attention):
    one = pipe(attention)
    (greedy,) = one([make_problem("maze", "easy", 3)], SamplingConfig(num_steps=3, temperature=0), [0]).traces
    thought = greedy.segments[0]
    view = one.layout.view(
        State("maze", np.array(greedy.canvas_tokens).reshape(8, 8) - one.layout.first_code), "thought"
    )
    words = alphabet(attention, "text")
    session = one.backbone.open([view], words)
    frames = [f[0] for f in denoise(session, [view], words, one.layout.mask, DenoiseConfig(num_steps=3))]
    assert [f.tokens for f in frames] == [f.tokens for f in thought.frames]
    assert [f.committed for f in frames] == [f.committed for f in thought.frames]


def test_full_attention_is_another_distribution_than_blocks():
    states = random_policy(1).state_dict()
    logits = []
    for attention in MODES:
        model = random_policy(1, attention=attention)
        assert all(torch.equal(states[name], weight) for name, weight in model.state_dict().items())
        backbone = CellBackbone(model, pipeline_of(model).layout)
        view = views("blocks")[1]
        codes = alphabet("blocks", "image")
        tokens = torch.full((1, len(view.slots)), backbone.layout.mask)
        logits.append(backbone.open([view], codes).logits(tokens))
    assert float((logits[0] - logits[1]).abs().max()) > 1e-2


@pytest.mark.parametrize("attention", MODES)
def test_micro_batches_hold_every_snapshot_once_and_no_more_than_fits(attention):
    backbone, whole = pipe(attention).backbone, trace(attention)
    shots = [
        shot
        for view, segment in zip(views(attention), whole.segments, strict=True)
        for shot in snapshots(view, backbone.layout.mask, segment.frames)
    ]
    batches = backbone.micro_batches(shots, 200)
    assert sorted(i for batch in batches for i in batch) == list(range(len(shots)))
    for batch in batches:
        shown = [shots[i].view for i in batch]
        contexts = shown if attention == "full" else list({id(view): view for view in shown}.values())
        context = sum(len(view.context) for view in contexts)
        assert len(batch) == 1 or context + sum(len(shots[i].view.slots) for i in batch) <= 200


def test_what_the_small_model_cannot_do_is_refused_with_a_sentence():
    model = random_policy(1, attention="prefix")
    with pytest.raises(CheckpointError, match="its blocks are that mode, and native"):
        pipeline_of(model)
    with pytest.raises(CheckpointError, match="one of blocks, full, got 'window'"):
        pipeline_of(random_policy(1, attention="window"))
    with pytest.raises(CheckpointError, match="causal model, got full"):
        pipeline_of(random_policy(1, attention="full", causal=True))
    with pytest.raises(CheckpointError, match="turn must be one of interleaved, joint, got 'both'"):
        pipeline_of(random_policy(1, turn="both"))
    with pytest.raises(ConfigError, match="which knows none"):
        pipe("blocks").backbone.open(views("blocks")[:1], alphabet("blocks", "text"), guidance=(2.0,))
