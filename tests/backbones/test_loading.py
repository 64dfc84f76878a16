"""Published shards load under the reference's names, strictly, and give the reference's logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import load_llama, native_name, reference_name
from mmreason.errors import CheckpointError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from tests.helpers import golden

EVERYTHING = Alphabet.of(torch.ones(golden.VOCAB, dtype=torch.bool))


def all_logits(backbone: LlamaBackbone, ids: np.ndarray, unseen: int = 0) -> np.ndarray:
    """(N, V) logits at every place that is seen: all of them are slots."""
    view = View(ids.astype(np.int64), np.arange(unseen, len(ids)), unseen=unseen)
    tokens = torch.from_numpy(view.seen_ids[None])
    return backbone.open([view], EVERYTHING).logits(tokens)[0].numpy()


@pytest.fixture(params=["dimoo", "mmada"])
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_logits_are_the_references(family: str, tmp_path: Path) -> None:
    backbone = load_llama(golden.write_reference(tmp_path, family))
    given = golden.numbers("backbone")
    for ids, right in zip(given["input_ids"], given[f"{family}_logits"], strict=True):
        np.testing.assert_allclose(all_logits(backbone, ids), right, atol=3e-5)


def test_padding_at_the_left_is_cut_and_changes_no_logit(tmp_path: Path) -> None:
    backbone = load_llama(golden.write_reference(tmp_path, "mmada"))
    given = golden.numbers("backbone")
    for ids, seen, right in zip(
        given["input_ids"], given["attention_mask"], given["mmada_padded_logits"], strict=True
    ):
        pads = int((seen == 0).sum())
        assert pads > 0
        np.testing.assert_allclose(all_logits(backbone, ids, pads), right[pads:], atol=5e-5)
        assert np.abs(all_logits(backbone, ids)[pads:] - right[pads:]).max() > 1  # ignored: it would


def test_what_a_wrong_network_would_say_is_far_off(tmp_path: Path) -> None:
    folder = golden.write_reference(tmp_path)
    given = golden.numbers("backbone")
    ids, right = given["input_ids"][0], given["dimoo_logits"][0]

    def off(backbone: LlamaBackbone) -> float:
        return float(np.abs(all_logits(backbone, ids) - right).max())

    causal = load_llama(folder)
    for layer in causal.model.model.layers:
        layer.self_attn.is_causal = True
    swapped = load_llama(folder)
    for layer in swapped.model.model.layers:
        layer.mlp.gate_proj, layer.mlp.up_proj = layer.mlp.up_proj, layer.mlp.gate_proj
    config = json.loads((folder / "config.json").read_text())
    wrong = [off(causal), off(swapped)]
    for change in ({"rope_theta": 1e4}, {"rms_norm_eps": 1e-2}):
        (folder / "config.json").write_text(json.dumps(config | change))
        wrong.append(off(load_llama(folder)))
    assert min(wrong) > 1, wrong


def test_the_renaming_is_one_to_one() -> None:
    natives = [native_name(name) for name in golden.tensor_shapes()]
    assert None not in natives and len(set(natives)) == len(natives) == 30
    for name in golden.tensor_shapes():
        assert reference_name(native_name(name) or "") == name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model.transformer.blocks.1.up_proj.weight": None}, ["lacks", "blocks.1.up_proj"]),
        ({"model.transformer.wte.weight": None}, ["lacks", "wte"]),
        ({"model.transformer.blocks.3.up_proj.weight": (96, 64)}, ["blocks.3.up_proj", "not of this network"]),
        ({"model.transformer.blocks.0.q_proj.bias": (64,)}, ["q_proj.bias", "not of this network"]),
        ({"model.transformer.blocks.0.ff_proj.weight": (64, 96)}, ["ff_proj", "[96, 64]", "[64, 96]"]),
        ({"model.transformer.ff_out.weight": (199, 64)}, ["ff_out", "[200, 64]", "[199, 64]"]),
    ],
)
def test_a_missing_extra_or_resized_tensor_is_named(change: dict, says: list[str], tmp_path: Path) -> None:
    weights = dict(golden.reference_weights())
    for name, shape in change.items():
        weights.pop(name, None)
        if shape is not None:
            weights[name] = np.zeros(shape, np.float32)
    with pytest.raises(CheckpointError) as caught:
        load_llama(golden.write_reference(tmp_path, weights=weights))
    assert all(word in str(caught.value) for word in says), caught.value


def test_numbers_that_are_not_floating_point_are_refused(tmp_path: Path) -> None:
    weights = dict(golden.reference_weights())
    weights["model.transformer.ln_f.weight"] = np.ones(64, np.int32)
    with pytest.raises(CheckpointError, match="floating-point"):
        load_llama(golden.write_reference(tmp_path, weights=weights))


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "llama4"},
        {"block_type": "sequential"},
        {"include_bias": True},
        {"weight_tying": True},
        {"n_kv_heads": 2},
        {"n_layers": "3"},
        {"d_model": 63},
        {"alibi": True},
    ],
)
def test_a_configuration_of_another_network_is_refused_by_name(change: dict, tmp_path: Path) -> None:
    folder = golden.write_reference(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match=next(iter(change))):
        load_llama(folder)


def test_an_unread_file_is_said(tmp_path: Path) -> None:
    folder = golden.write_reference(tmp_path)
    broken = folder / "model-00002-of-00002.safetensors"
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="model-00002"):
        load_llama(folder)
    broken.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match="safetensors"):
        load_llama(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../model.safetensors"}}')
    with pytest.raises(CheckpointError, match="own folder"):
        load_llama(folder)


def test_one_file_without_an_index_is_read_and_kept_in_its_type(tmp_path: Path) -> None:
    folder = golden.write_reference(tmp_path)
    for path in folder.glob("model*"):
        path.unlink()
    half = {name: value.astype(np.float16) for name, value in golden.reference_weights().items()}
    save_file(half, folder / "model.safetensors")
    assert load_llama(folder).model.dtype == torch.float16
    assert load_llama(folder, dtype=torch.float32).model.dtype == torch.float32
