"""Published shards load under the reference's names, strictly, and give the reference's logits."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mmreason.__main__ import main
from mmreason.backbones import loading
from mmreason.backbones.family import base_of
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
        {"d_model": 4 * 10**18},
        {"d_model": 64.5},
        {"n_heads": True},
        {"n_layers": 100_000},
        {"n_layers": 1000},
        {"mlp_hidden_size": "abc"},
        {"mlp_hidden_size": math.inf},
        {"mlp_hidden_size": [1]},
        {"mlp_hidden_size": -5},
        {"mlp_hidden_size": 10**30},
        {"mlp_ratio": "x", "mlp_hidden_size": 0},
        {"rope_theta": "abc"},
        {"rope_theta": None},
        {"rope_theta": math.nan},
        {"rms_norm_eps": [1]},
        {"alibi": True},
        {"rope_full_precision": False},
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        {"clip_qkv": 8.0},
        {"quantization_config": {"quant_method": "bitsandbytes"}},
    ],
)
def test_a_configuration_of_another_network_is_refused_by_name(change: dict, tmp_path: Path) -> None:
    folder = golden.write_reference(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match=f"^config.json: {next(iter(change))} must be "):
        load_llama(folder)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.json", "[" * 200_000, "config.json' cannot be read: it is nested too deeply"),
        ("model.safetensors.index.json", json.dumps({"weight_map": {"a": "x" * 300}}), "lacks xxx"),
        ("model.safetensors.index.json", '{"weight_map": {"a": "\\u0000"}}', "lacks ?"),
    ],
)
def test_files_that_no_network_can_have_are_refused(file: str, content: str, says: str, tmp_path: Path) -> None:
    folder = golden.write_reference(tmp_path)
    (folder / file).write_text(content)
    with pytest.raises(CheckpointError) as caught:
        load_llama(folder)
    assert says in str(caught.value) and len(str(caught.value)) < 300


def test_an_embedding_that_is_no_matrix_is_refused(tmp_path: Path) -> None:
    weights = {**golden.reference_weights(), "model.transformer.wte.weight": np.zeros((), np.float32)}
    with pytest.raises(CheckpointError, match="must be a matrix"):
        load_llama(golden.write_reference(tmp_path, weights=weights))


def test_more_blocks_than_are_stored_are_refused_before_any_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = golden.write_reference(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_layers": 1000}))
    monkeypatch.setattr(loading, "empty_llama", lambda _: pytest.fail("it is built"))
    with pytest.raises(CheckpointError, match=r"got 1000: checkpoint lacks the tensor .*blocks\.3\."):
        load_llama(folder)


def test_a_base_that_no_folder_can_be_called_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "x" * 5000}))
    with pytest.raises(CheckpointError, match=r"base_model_name_or_path of adapter .* must be a folder or owner/name"):
        base_of(tmp_path)


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


def test_tensors_of_several_types_are_run_in_that_of_the_embedding(tmp_path: Path) -> None:
    whole = golden.reference_weights()
    mixed = {name: value.astype(np.float16) if value.ndim == 2 else value for name, value in whole.items()}
    backbone = load_llama(golden.write_reference(tmp_path, weights=mixed))
    assert {each.dtype for each in backbone.model.parameters()} == {torch.float16}
    assert np.isfinite(all_logits(backbone, golden.numbers("backbone")["input_ids"][0])).all()


@pytest.mark.parametrize("holds", ["model_index.json", "adapter_config.json"])
@pytest.mark.parametrize("command", ["check", "evaluate --checkpoint", "compute --checkpoint", "train --checkpoint"])
def test_a_run_directory_in_place_of_its_checkpoint_is_named_with_it(holds, command, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    (run / "checkpoint").mkdir(parents=True)
    for name in ("config.json", f"checkpoint/{holds}"):
        (run / name).write_text("{}")
    more = ["--output", str(tmp_path / "other")] if command.startswith("train") else []
    assert main([*command.split(), str(run), *more]) == 2
    assert f"{str(run)!r} is a run directory; its checkpoint is {str(run / 'checkpoint')!r}" in capsys.readouterr().err
