"""The laws of the Llama backbone: cached is uncached, packed is separate, sampled is scored.

Sizes: 3 layers of width 64; a view of 30 to 40 tokens with slots amid and at its end.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from mmreason.backbones.backbone import Snapshot, guided
from mmreason.backbones.keys import ContextKeys
from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import load_llama, random_llama
from mmreason.backbones.shape import Shape
from mmreason.errors import ConfigError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.records import Frame
from mmreason.sampling.views import denoise as loop
from mmreason.sampling.views.denoise import DenoiseConfig, denoise
from mmreason.sampling.views.scoring import log_likelihood, share_of_steps, snapshots
from tests.helpers import golden

MASK = golden.MASK
WORDS = Alphabet.of(torch.tensor([20 <= i < 120 and i != 50 for i in range(golden.VOCAB)]))
CODES = Alphabet(128, torch.ones(64, dtype=torch.bool))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return golden.write_reference(tmp_path_factory.mktemp("reference"))


@pytest.fixture(params=["full", "prefix"])
def backbone(request: pytest.FixtureRequest, folder: Path) -> LlamaBackbone:
    return load_llama(folder, request.param)


def text_view(seed: int = 0) -> View:
    """A prompt, then words to fill; its twin has another prompt."""
    rng = np.random.default_rng(seed)
    slots = [MASK] * 6
    twin = View.of([*rng.integers(0, 120, 9), *slots, 194], MASK)
    return View.of([*rng.integers(0, 120, 25), *slots, 194], MASK, (twin,))


def edit_view(seed: int = 0) -> View:
    """A picture of which some codes are to be filled; twins without the prompt and without the picture."""
    rng = np.random.default_rng(seed)
    canvas = rng.integers(128, 192, 16)
    canvas[[1, 2, 5, 6]] = MASK
    prompt = rng.integers(0, 120, 20)
    twins = (View.of([3, *canvas, 7], MASK), View.of([*prompt[:11], *canvas, 8], MASK))
    return View.of([*prompt, *canvas, 9], MASK, twins)


def sample(
    backbone: LlamaBackbone, view: View, alphabet: Alphabet, guidance: tuple[float, ...] = (), steps: int = 3
) -> list[Frame]:
    generator = torch.Generator().manual_seed(3)
    config = DenoiseConfig(steps, temperature=0.8)
    session = backbone.open([view], alphabet, guidance)

    def uniform(_: int, width: int) -> torch.Tensor:
        return torch.rand(1, width, generator=generator)

    return [step[0] for step in denoise(session, [view], alphabet, MASK, config, uniform)]


@pytest.mark.parametrize(
    ("view", "alphabet", "guidance"),
    [
        (text_view(), WORDS, ()),
        (text_view(), WORDS, (1.5,)),
        (edit_view(), CODES, ()),
        (edit_view(), CODES, (2.5, 4.0)),
        (edit_view(), CODES, (0.0, 4.0)),
    ],
    ids=["text", "text guided", "edit", "edit guided", "edit guided by one"],
)
def test_what_sampling_records_is_what_scoring_finds(
    backbone: LlamaBackbone, view: View, alphabet: Alphabet, guidance: tuple[float, ...]
) -> None:
    frames = sample(backbone, view, alphabet, guidance)
    recorded = [x for frame in frames for x in frame.logprobs]
    found = log_likelihood(backbone, snapshots(view, MASK, frames), alphabet, 0.8, guidance)
    np.testing.assert_allclose(found.detach().numpy(), recorded, atol=1e-4)
    assert all(20 <= t < 120 and t != 50 for t in frames[-1].tokens) or alphabet is CODES


def test_cached_is_uncached_and_packed_is_separate_in_prefix(folder: Path) -> None:
    backbone = load_llama(folder, "prefix")
    for view, alphabet in ((text_view(), WORDS), (edit_view(), CODES)):
        found = snapshots(view, MASK, sample(backbone, view, alphabet))
        packed = backbone.scored(found, alphabet)
        alone = torch.cat([backbone.scored([each], alphabet) for each in found])
        session = backbone.open([view], alphabet)
        cached = torch.cat([session.logits(torch.from_numpy(each.tokens[None]))[0, each.places] for each in found])
        scale = packed.abs().max()
        assert (packed - alone).abs().max() / scale <= 1e-6
        assert (packed - cached).abs().max() / scale <= 1e-6


def test_prefix_is_another_distribution_than_full_and_says_so(folder: Path) -> None:
    full, prefix = load_llama(folder, "full"), load_llama(folder, "prefix")
    assert (full.native, prefix.native) == (True, False)
    for view, alphabet in ((text_view(), WORDS), (edit_view(), CODES)):
        tokens = torch.from_numpy(view.ids[view.slots][None])
        a, b = (each.open([view], alphabet).logits(tokens) for each in (full, prefix))
        assert (a - b).abs().max() > 1e-2
    with pytest.raises(ConfigError, match="full or prefix"):
        load_llama(folder, "stale")  # type: ignore[arg-type]


def test_in_prefix_the_context_does_not_see_the_slots_but_slots_see_each_other(folder: Path) -> None:
    view = edit_view()
    tokens = view.ids[view.slots].copy()
    changed = tokens.copy()
    changed[0] = 131
    contexts = []
    for mode in ("full", "prefix"):
        backbone = load_llama(folder, mode)  # type: ignore[arg-type]
        session = backbone.open([view], CODES)
        one, two = (session.logits(torch.from_numpy(each[None]))[0] for each in (tokens, changed))
        assert (one[1:] - two[1:]).abs().max() > 1e-3
        contexts.append(backbone.open([replace(view, twins=())], CODES).cost.tokens_forwarded)
    assert contexts == [0, len(view.context)]


def test_views_side_by_side_are_as_alone(backbone: LlamaBackbone) -> None:
    views = [edit_view(0), edit_view(1), replace(edit_view(2), ids=edit_view(2).ids[1:], slots=edit_view(2).slots - 1)]
    tokens = torch.from_numpy(np.stack([view.ids[view.slots] for view in views]))
    session = backbone.open(views, CODES, (2.5, 4.0))
    together, some = session.logits(tokens), session.logits(tokens[[2, 0]], [2, 0])
    for b, view in enumerate(views):
        alone = backbone.open([view], CODES, (2.5, 4.0)).logits(tokens[b : b + 1])[0]
        torch.testing.assert_close(together[b], alone, atol=2e-4, rtol=1e-5)
    torch.testing.assert_close(some, together[[2, 0]], atol=2e-4, rtol=1e-5)


def test_a_session_knows_what_it_cost(folder: Path) -> None:
    view = replace(edit_view(), twins=())
    tokens = torch.from_numpy(view.ids[view.slots][None])
    full = load_llama(folder).open([view], CODES)
    full.logits(tokens)
    assert (full.cost.forward_passes, full.cost.tokens_forwarded) == (1, len(view.ids))
    assert full.cost.flops == Shape(64, 3, 4, 96, 200).flops(len(view.ids), len(view.ids), len(view.slots), 64)
    prefix = load_llama(folder, "prefix").open([view], CODES)
    prefix.logits(tokens)
    prefix.logits(tokens)
    assert (prefix.cost.forward_passes, prefix.cost.tokens_forwarded) == (3, len(view.context) + 2 * len(view.slots))


def test_guided_logits_are_those_of_every_reference() -> None:
    given = {name: torch.from_numpy(value) for name, value in golden.numbers("guidance").items()}
    names = [name for name in given if "_" in name and not name.startswith(("cond", "uncond"))]
    assert len(names) == 10
    for name in names:
        scales = [float(part) for part in name.split("_") if part[0].isdigit()]
        twins = [given["unconditional"], given["unconditional_image"]][: len(scales)]
        torch.testing.assert_close(guided(given["conditional"], twins, scales), given[name], atol=2e-5, rtol=0)


def test_a_scale_without_a_twin_is_refused(backbone: LlamaBackbone) -> None:
    with pytest.raises(ConfigError, match="guidance"):
        backbone.open([text_view()], WORDS, (1.5, 4.0))


def test_all_outcomes_of_a_tiny_segment_have_probability_one(
    backbone: LlamaBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five codes at three slots, each of the 125 outcomes drawn once by the real loop, guided, at a temperature."""
    five = Alphabet(128, torch.ones(5, dtype=torch.bool))
    twin = View.of([9, MASK, 11, MASK, MASK, 3], MASK)
    views = [View.of([7, 9, MASK, 11, MASK, MASK, 3], MASK, (twin,))] * 125
    outcomes = torch.tensor(list(itertools.product(range(5), repeat=3)))
    monkeypatch.setattr(loop, "sample_tokens", lambda *_: outcomes)
    for steps, guidance in ((3, ()), (2, (1.5,))):
        total = np.zeros(125)
        session = backbone.open(views, five, guidance)
        for frames in denoise(session, views, five, MASK, DenoiseConfig(steps, temperature=0.7)):
            total += [sum(frames[b].logprobs) for b in range(125)]
        assert len({round(each, 4) for each in total}) > 100
        assert np.exp(total).sum() == pytest.approx(1, abs=1e-5)


def test_gradients_come_from_scored_places_alone(backbone: LlamaBackbone) -> None:
    head = backbone.model.lm_head.weight.requires_grad_()
    view = edit_view()
    snapshot = Snapshot(view, view.ids[view.slots], np.array([2]), np.array([130]))
    log_likelihood(backbone, [snapshot], CODES, 1.0).sum().backward()
    assert head.grad is not None
    touched = head.grad.abs().sum(dim=1) > 0
    assert touched[128:192].all() and not touched[:128].any() and not touched[192:].any()
    head.requires_grad_(False)
    head.grad = None


def test_micro_batches_hold_every_snapshot_once_and_change_no_number(backbone: LlamaBackbone) -> None:
    views = [edit_view(0), edit_view(1)]
    found = [s for view in views for s in snapshots(view, MASK, sample(backbone, view, CODES, steps=4))]
    whole = backbone.scored(found, CODES)
    starts = np.cumsum([0, *(len(each.places) for each in found)])
    for limit in (1, 60, 100, 10_000):
        batches = backbone.micro_batches(found, limit)
        assert sorted(i for batch in batches for i in batch) == list(range(len(found)))
        for batch in batches:
            part = backbone.scored([found[i] for i in batch], CODES)
            mine = torch.cat([whole[starts[i] : starts[i + 1]] for i in batch])
            torch.testing.assert_close(part, mine, atol=2e-5, rtol=1e-5)
    assert len(backbone.micro_batches(found, 1)) == len(found)
    assert len(backbone.micro_batches(found, 10_000)) == 1


def test_a_share_of_the_steps_has_the_whole_as_its_mean() -> None:
    rng = np.random.default_rng(0)
    gradient_of_step = rng.normal(size=(8, 5))
    for share in (0.25, 0.5, 1.0):
        draws = []
        for _ in range(200):
            chosen, weight = share_of_steps(8, share, rng)
            assert len(chosen) == 8 * share
            draws.append(weight * gradient_of_step[chosen].sum(axis=0))
        error = np.std(draws, axis=0) / np.sqrt(200)
        assert (np.abs(np.mean(draws, axis=0) - gradient_of_step.sum(axis=0)) <= 3.5 * error + 1e-9).all()
    assert share_of_steps(3, 0.01, rng)[0] and share_of_steps(0, 0.5, rng) == ([], 1.0)
    with pytest.raises(ConfigError, match="score_steps"):
        share_of_steps(8, 0, rng)


def test_half_precision_agrees_to_two_digits(folder: Path) -> None:
    wide, half = load_llama(folder, "full"), load_llama(folder, "full", dtype=torch.bfloat16)
    view = text_view()
    frames = sample(half, view, WORDS)
    recorded = [x for frame in frames for x in frame.logprobs]
    found = log_likelihood(half, snapshots(view, MASK, frames), WORDS, 0.8)
    np.testing.assert_allclose(found.detach().float().numpy(), recorded, atol=2e-2)
    assert wide.model.dtype == torch.float32 and half.model.dtype == torch.bfloat16


def test_half_precision_rotates_queries_and_keys_in_32_bits_and_keeps_them_in_16(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, seen, attend = load_llama(folder, "full", dtype=torch.bfloat16), [], F.scaled_dot_product_attention
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda q, k, v, **more: seen.append((q, k)) or attend(q, k, v, **more)
    )
    ids, positions = np.arange(40)[None] % 100, np.arange(60, 100)[None]
    keys = ContextKeys()
    half.forward(ids, positions, keys=keys)
    network = half.model.model
    layer = network.layers[0]
    normed_BLD = layer.input_layernorm(network.embed_tokens(torch.from_numpy(ids)))
    angles = network.rotary_emb(normed_BLD.float(), torch.from_numpy(positions))
    projected = [
        each(normed_BLD).view(1, 40, 4, 16).transpose(1, 2).float()
        for each in (layer.self_attn.q_proj, layer.self_attn.k_proj)
    ]
    for found, right in zip(seen[0], apply_rotary_pos_emb(*projected, *angles), strict=True):
        assert torch.equal(found, right.to(torch.bfloat16))
    assert keys.layers[0][0].dtype == torch.bfloat16 and torch.equal(keys.layers[0][0], seen[0][1])


def test_random_weights_are_a_function_of_their_seed() -> None:
    one, two, other = (random_llama(Shape(64, 2, 4, 96, 200), seed) for seed in (1, 1, 2))
    name = "model.layers.1.mlp.up_proj.weight"
    assert torch.equal(one.model.get_parameter(name), two.model.get_parameter(name))
    assert not torch.equal(one.model.get_parameter(name), other.model.get_parameter(name))
