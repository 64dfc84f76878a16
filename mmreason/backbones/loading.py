"""Loading of published shards under the references' own names into transformers' Llama: safetensors, strictly.

Names and modules: LLaDA's ``LLaDALlamaBlock`` (ff_proj is the gate, up_proj what it gates).  Nothing of a
checkpoint is ever executed.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from mmreason.backbones.backbone import Attention
from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.shape import Shape
from mmreason.disk import one_line
from mmreason.errors import CheckpointError

OF_A_BLOCK = {
    "attn_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_norm": "post_attention_layernorm",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}
OF_THE_REST = {"wte": "model.embed_tokens", "ln_f": "model.norm", "ff_out": "lm_head"}
PREFIX = "model.transformer."
BLOCK = re.compile(r"model\.transformer\.blocks\.(\d{1,9})\.(\w+)\.weight")
EMBEDDING = f"{PREFIX}wte.weight"
FLOATING = ("F64", "F32", "F16", "BF16")
INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"


def native_name(name: str) -> str | None:
    """Name in ``LlamaForCausalLM`` of the reference's tensor ``name``; None for one that is not of these networks."""
    rest = re.fullmatch(r"model\.transformer\.(\w+)\.weight", name)
    if rest and rest[1] in OF_THE_REST:
        return f"{OF_THE_REST[rest[1]]}.weight"
    block = BLOCK.fullmatch(name)
    if block and block[2] in OF_A_BLOCK:
        return f"model.layers.{int(block[1])}.{OF_A_BLOCK[block[2]]}.weight"
    return None


def reference_name(name: str) -> str:
    """The reference's name of the tensor that ``LlamaForCausalLM`` calls ``name``."""
    module = name.removesuffix(".weight")
    for reference, native in OF_THE_REST.items():
        if module == native:
            return f"{PREFIX}{reference}.weight"
    number, _, inside = module.removeprefix("model.layers.").partition(".")
    (reference,) = (ours for ours, native in OF_A_BLOCK.items() if native == inside)
    return f"{PREFIX}blocks.{number}.{reference}.weight"


def read_json(path: Path) -> dict[str, Any]:
    """An object in a file of a checkpoint.  Raises CheckpointError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"checkpoint lacks {path.name}: {str(path)!r} does not exist") from None
    except RecursionError:
        raise CheckpointError(f"{str(path)!r} cannot be read: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{str(path)!r} must hold a JSON object")
    return found


def shards(folder: Path) -> list[Path]:
    """The weight files of a checkpoint, those of its index or the one.  Raises CheckpointError."""
    if (folder / INDEX).is_file():
        names = read_json(folder / INDEX).get("weight_map")
        if not isinstance(names, dict) or not names:
            raise CheckpointError(f"{INDEX} must hold a weight_map from tensors to files")
        files = [folder / name for name in sorted({str(each) for each in names.values()})]
        if any(file.parent != folder for file in files):
            raise CheckpointError(f"{INDEX} must name files of its own folder only")
    else:
        files = [folder / WHOLE]
    absent = [one_line(file.name, 100) for file in files if not os.path.isfile(file)]  # too long a name is no file
    if absent:
        others = sorted(path.name for path in folder.glob("*.bin"))
        hint = f"; {others[0]} is not read, for safety: save it as safetensors" if others else ""
        raise CheckpointError(f"checkpoint {str(folder)!r} lacks {absent[0]}{hint}")
    return files


def tensors(folder: Path, names_only: bool = False) -> Iterator[tuple[str, Any]]:
    """(name, slice to read) of every stored tensor, file by file.  Raises CheckpointError."""
    for file in shards(folder):
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118  # not a dict
                    yield name, opened.get_slice(name) if names_only else opened.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file.name} cannot be read: {error}") from None


def stored_shape(folder: Path, config: dict[str, Any]) -> Shape:
    """The shape of a checkpoint; its vocabulary is the number of rows that the embedding really has.

    Raises CheckpointError, also where it states more blocks than are stored: nothing of that size is made.
    """
    sizes = {name: piece.get_shape() for name, piece in tensors(folder, names_only=True)}
    if EMBEDDING not in sizes:
        raise CheckpointError(f"checkpoint lacks the tensor {EMBEDDING}")
    if len(sizes[EMBEDDING]) != 2:
        raise CheckpointError(f"tensor {EMBEDDING} must be a matrix, got the size {sizes[EMBEDDING]}")
    try:
        shape = Shape.of(config, int(sizes[EMBEDDING][0]))
    except CheckpointError as error:
        raise CheckpointError(f"config.json: {error}") from None
    stored = {int(block[1]) for block in map(BLOCK.fullmatch, sizes) if block}
    absent = next((number for number in range(shape.layers) if number not in stored), None)
    if absent is not None:
        raise CheckpointError(
            f"config.json: n_layers must be the number of stored blocks, got {shape.layers}: checkpoint lacks the "
            f"tensor {PREFIX}blocks.{absent}.q_proj.weight"
        )
    return shape


def check_tensors(folder: Path, shape: Shape) -> None:
    """Hold names, sizes and types of all stored tensors against ``shape``, reading the files' heads only.

    Raises CheckpointError, naming the tensor, where one is missing, not of this network, or of another size.
    """
    wanted = {name: list(each.shape) for name, each in empty_llama(shape).named_parameters()}
    left = dict(wanted)
    for name, piece in tensors(folder, names_only=True):
        native = native_name(name)
        if native is None or native not in wanted:
            raise CheckpointError(
                f"tensor {name} is not of this network ({shape.layers} layers of width {shape.width})"
            )
        if left.pop(native, None) is None:
            raise CheckpointError(f"tensor {name} is stored twice")
        if piece.get_shape() != wanted[native]:
            raise CheckpointError(f"tensor {name} must be of size {wanted[native]}, got {piece.get_shape()}")
        if piece.get_dtype() not in FLOATING:
            raise CheckpointError(f"tensor {name} must hold floating-point numbers, got {piece.get_dtype()}")
    if left:
        first = reference_name(next(iter(left)))
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise CheckpointError(f"checkpoint lacks the tensor {first}{more}")


def empty_llama(shape: Shape) -> LlamaForCausalLM:
    """A network of ``shape`` whose weights are not there yet: its tensors have sizes only."""
    config = LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        rms_norm_eps=shape.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=False,
    )
    config.is_causal = False
    with torch.device("meta"):
        return LlamaForCausalLM(config).eval().requires_grad_(False)


def _put(model: LlamaForCausalLM, name: str, value: torch.Tensor) -> None:
    """Give ``model`` the weight that it calls ``name``."""
    owner, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(owner), leaf, nn.Parameter(value, requires_grad=False))


def _finished(model: LlamaForCausalLM, shape: Shape, attention: Attention) -> LlamaBackbone:
    """The backbone, once every weight is there; rotary angles are computed, not stored."""
    model.model.rotary_emb = LlamaRotaryEmbedding(model.config).to(model.lm_head.weight.device)
    return LlamaBackbone(model.eval(), shape, attention)


def load_llama(
    folder: str | Path,
    attention: Attention = "full",
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> LlamaBackbone:
    """The backbone in a checkpoint folder, in one type: ``dtype``, or that in which its embedding is stored.

    Raises CheckpointError, naming the tensor, where one is missing, not of this network, or of another size.
    """
    folder = Path(folder)
    shape = stored_shape(folder, read_json(folder / "config.json"))
    check_tensors(folder, shape)
    model = empty_llama(shape)
    for name, tensor in tensors(folder):
        _put(model, native_name(name) or "", tensor.to(device=device, dtype=dtype or tensor.dtype))
    cast(torch.nn.Module, model).to(model.model.embed_tokens.weight.dtype)
    return _finished(model, shape, attention)


def random_llama(
    shape: Shape,
    seed: int = 0,
    attention: Attention = "full",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> LlamaBackbone:
    """A backbone of random weights, made on ``device``: a stand-in where only shape and cost count."""
    model = empty_llama(shape)
    generator = torch.Generator(device=device).manual_seed(seed)
    for name, parameter in list(model.named_parameters()):
        value = torch.empty(parameter.shape, dtype=dtype, device=device)
        if parameter.ndim == 1:
            value.fill_(1.0)
        else:
            value.normal_(0.0, 1 / math.sqrt(shape.width), generator=generator)
        _put(model, name, value)
    return _finished(model, shape, attention)
