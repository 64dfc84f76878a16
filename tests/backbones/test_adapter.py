"""Adapters: only they learn, without them the base is bit for bit the reference, and they are saved alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmreason.backbones.adapter import Adapter, stored_adapter
from mmreason.backbones.backbone import Snapshot
from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import load_llama
from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.sampling.views.denoise import DenoiseConfig, denoise
from mmreason.sampling.views.scoring import log_likelihood, snapshots
from tests.helpers import golden

CODES = Alphabet(128, torch.ones(64, dtype=torch.bool))
VIEW = View.of([5, 6, 7, *[golden.MASK] * 8, 9], golden.MASK)


@pytest.fixture
def backbone(tmp_path: Path) -> LlamaBackbone:
    return load_llama(golden.write_reference(tmp_path / "base"), dtype=torch.bfloat16)


def logits(backbone: LlamaBackbone) -> torch.Tensor:
    tokens = torch.from_numpy(VIEW.ids[VIEW.slots][None])
    return backbone.open([VIEW], CODES).logits(tokens)


def scored(backbone: LlamaBackbone) -> torch.Tensor:
    """Log-probabilities of a fixed trace, with gradients."""
    rng = np.random.default_rng(0)
    filled = rng.integers(128, 192, 8)
    before = np.where(np.arange(8) < 4, filled, golden.MASK)
    both = [
        Snapshot(VIEW, np.full(8, golden.MASK), np.arange(4), filled[:4]),
        Snapshot(VIEW, before, np.arange(4, 8), filled[4:]),
    ]
    return log_likelihood(backbone, both, CODES, 1.0)


def learn(backbone: LlamaBackbone, adapter: Adapter, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW(adapter.parameters, lr=1e-2)
    for _ in range(steps):
        (-scored(backbone).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()


def test_only_adapters_learn_and_without_them_the_base_is_as_before(backbone: LlamaBackbone) -> None:
    before = logits(backbone)
    bits = {name: value.clone() for name, value in backbone.model.named_parameters()}
    adapter = Adapter(backbone, rank=4, seed=1)
    assert all(each.dtype == torch.float32 for each in adapter.parameters)
    assert backbone.model.model.layers[0].self_attn.q_proj.base_layer.weight.dtype == torch.bfloat16
    assert torch.equal(logits(backbone), before)  # a fresh adapter adds nothing
    was = float(scored(backbone).mean().detach())
    learn(backbone, adapter)
    assert float(scored(backbone).mean().detach()) > was
    assert not torch.equal(logits(backbone), before)
    with adapter.off():
        assert torch.equal(logits(backbone), before)
    for name, value in backbone.model.named_parameters():
        if "lora_" not in name:
            assert torch.equal(value, bits[name.replace(".base_layer", "")])


def test_checkpointing_gives_the_same_gradients(tmp_path: Path) -> None:
    backbone = load_llama(golden.write_reference(tmp_path))
    adapter = Adapter(backbone, rank=4)
    for each in adapter.parameters:
        torch.nn.init.normal_(each, generator=torch.Generator().manual_seed(0))
    gradients = []
    for on in (False, True):
        backbone.checkpointing = on
        scored(backbone).sum().backward()
        gradients.append([each.grad.clone() for each in adapter.parameters if each.grad is not None])
        for each in adapter.parameters:
            each.grad = None
    assert len(gradients[0]) == len(adapter.parameters) == 3 * 7 * 2
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)


def test_a_backward_recomputes_with_the_kernel_of_the_forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one keeps other tensors, and torch refuses: seen on a GPU, where the choice is not the default's."""
    backbone = load_llama(golden.write_reference(tmp_path))
    adapter = Adapter(backbone, rank=4)
    entered = []

    @contextmanager
    def choose(_: torch.device) -> Iterator[None]:
        entered.append(1)
        with sdpa_kernel(SDPBackend.MATH):
            yield

    monkeypatch.setattr("mmreason.backbones.llama.quick_attention", choose)
    backbone.checkpointing = True
    logp = scored(backbone).sum()
    forward = len(entered)
    logp.backward()
    assert len(entered) == 2 * forward
    assert all(each.grad is not None for each in adapter.parameters)


def test_a_gradient_is_the_finite_difference(tmp_path: Path) -> None:
    backbone = load_llama(golden.write_reference(tmp_path), dtype=torch.float64)
    adapter = Adapter(backbone, rank=2)
    weight = adapter.parameters[5]
    torch.nn.init.normal_(adapter.parameters[4], generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(1))
    scored(backbone).sum().backward()
    assert weight.grad is not None
    step = 1e-4
    sides = []
    with torch.no_grad():
        for side in (step, -step):
            weight[0, 0] += side
            sides.append(float(scored(backbone).sum()))
            weight[0, 0] -= side
    assert float(weight.grad[0, 0]) == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-2)


def test_adapters_are_saved_alone_name_their_base_and_come_back(backbone: LlamaBackbone, tmp_path: Path) -> None:
    adapter = Adapter(backbone, rank=4, base="base")
    learn(backbone, adapter)
    after = logits(backbone)
    adapter.save(tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"
    size = (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size
    assert size < 4 * sum(each.numel() for each in adapter.parameters) + 20_000
    again = load_llama(tmp_path / "base", dtype=torch.bfloat16)
    assert Adapter.stored(again, tmp_path / "adapter", "base").rank == 4
    assert torch.equal(logits(again), after)
    with pytest.raises(ConfigError, match="base"):
        Adapter(load_llama(tmp_path / "base"), rank=2).save(tmp_path / "nameless")


def test_an_adapter_of_another_alpha_adds_what_it_added_where_it_was_trained(
    backbone: LlamaBackbone, tmp_path: Path
) -> None:
    adapter = Adapter(backbone, rank=4, base="base", alpha=3)
    learn(backbone, adapter)
    adapter.save(tmp_path / "adapter")
    again = load_llama(tmp_path / "base", dtype=torch.bfloat16)
    Adapter.stored(again, tmp_path / "adapter", "base").save(tmp_path / "again")
    assert torch.equal(logits(again), logits(backbone))
    kept = [json.loads((tmp_path / name / "adapter_config.json").read_text()) for name in ("adapter", "again")]
    assert [each["lora_alpha"] for each in kept] == [3, 3]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"r": 2}, "is of another network: .*lora_A.weight is of size"),
        ({"r": 0}, "must name its rank, a number up to the width, got 0"),
        ({"lora_alpha": None}, "must name its lora_alpha, a number above 0, got None"),
        ({"use_rslora": True}, "must be plain LoRA, got use_rslora True"),
        ({"alpha_pattern": {"q_proj": 9}}, "must be plain LoRA, got alpha_pattern"),
        ({"init_lora_weights": "pissa_niter_16"}, "and init_lora_weights 'pissa_niter_16' changes it"),
        ({"init_lora_weights": "OLoRA"}, "must leave its base as it is"),
    ],
)
def test_an_adapter_that_would_add_something_else_is_refused(
    changes: dict[str, Any], says: str, backbone: LlamaBackbone, tmp_path: Path
) -> None:
    Adapter(backbone, rank=4, base="base").save(tmp_path)
    settings = tmp_path / "adapter_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | changes))
    with pytest.raises(CheckpointError, match=says):
        stored_adapter(tmp_path, backbone.shape)


def test_an_adapter_without_some_of_its_weights_is_refused(backbone: LlamaBackbone, tmp_path: Path) -> None:
    Adapter(backbone, rank=4, base="base").save(tmp_path)
    kept = load_file(tmp_path / "adapter_model.safetensors")
    lost = next(iter(kept))
    save_file({name: each for name, each in kept.items() if name != lost}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match=f"{lost} is missing"):
        stored_adapter(tmp_path, backbone.shape)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        stored_adapter(tmp_path, backbone.shape)


@pytest.mark.parametrize("rank", [0, -1, 65, 100_000])
def test_a_rank_that_the_matrices_do_not_have_is_refused(rank: int, backbone: LlamaBackbone) -> None:
    with pytest.raises(ConfigError, match="lora_rank must be from 1 to 64"):
        Adapter(backbone, rank)


def test_first_weights_are_a_function_of_the_seed_and_leave_the_global_generator_alone(tmp_path: Path) -> None:
    folder = golden.write_reference(tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = Adapter(load_llama(folder), 4, seed=1).parameters[0]
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one, Adapter(load_llama(folder), 4, seed=1).parameters[0])
    assert not torch.equal(one, Adapter(load_llama(folder), 4, seed=2).parameters[0])


def test_the_share_of_one_code_rises_when_it_is_rewarded(tmp_path: Path) -> None:
    """The toy of policy gradients: reward is the share of the first eight codes among those drawn."""
    backbone = load_llama(golden.write_reference(tmp_path))
    adapter = Adapter(backbone, rank=4)
    optimizer = torch.optim.AdamW(adapter.parameters, lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    views = [VIEW] * 8
    rewards = []
    for _ in range(30):
        session = backbone.open(views, CODES)

        def uniform(_: int, width: int) -> torch.Tensor:
            return torch.rand(8, width, generator=generator)

        steps = list(denoise(session, views, CODES, golden.MASK, DenoiseConfig(2, temperature=1.5), uniform))
        frames = [[step[b] for step in steps] for b in range(8)]
        reward = torch.tensor([np.mean([t < 136 for t in f[-1].tokens]) for f in frames], dtype=torch.float32)
        rewards.append(float(reward.mean()))
        advantage = (reward - reward.mean()) / (reward.std() + 1e-4)
        found = [snapshots(VIEW, golden.MASK, each) for each in frames]
        logp = log_likelihood(backbone, [s for each in found for s in each], CODES, 1.5)
        weight = torch.cat([advantage[b].expand(sum(len(s.places) for s in each)) for b, each in enumerate(found)])
        (-(weight * logp).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert np.mean(rewards[-5:]) > np.mean(rewards[:5]) + 0.2, rewards
