"""Stand-ins for published checkpoints: seeded random weights under the references' names, true ids and offsets.

They load, denoise and train as the real ones do, and know nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import nn
from transformers import PreTrainedTokenizerFast

from mmreason.backbones.family import CODEC
from mmreason.backbones.loading import INDEX, empty_llama, reference_name
from mmreason.backbones.shape import DIMOO, MMADA, Shape
from mmreason.codecs import magvit
from mmreason.codecs.magvit_network import Magvit, MagvitShape
from mmreason.codecs.vq import WEIGHTS, build_vq
from mmreason.disk import names_in, write_json, write_whole
from mmreason.errors import ConfigError
from mmreason.layouts import FAMILIES, dimoo, mmada
from mmreason.layouts.words import MASK_MARK

SIZES = {"width": 64, "layers": 2, "heads": 4, "inner": 96}
SHARDS = 2
SMALL_MAGVIT = MagvitShape(32, (1, 1, 1, 1, 1), (1, 1, 1, 1, 1), (1, 1, 1, 1, 1), (1, 1, 1, 1, 1))
NAMED = {family: f"mmreason/tiny-{family}" for family in FAMILIES}
CARD = """---
license: apache-2.0
tags: [stand-in, random-weights]
---

# {name}

A stand-in for a published checkpoint: random weights (seed {seed}) of width {width} under its tensor names, with its
ids and offsets. It loads and runs as the real one does, and what it says and draws means nothing.
"""


def marks_of(family: str) -> tuple[int, dict[str, int]]:
    """Length of a family's tokenizer, and its special strings."""
    if family == "mmada":
        return mmada.TOKENIZER_LENGTH, mmada.MARKS | {MASK_MARK: mmada.MASK}
    parts = [part for part in dimoo.PARTS if part not in dimoo.MARKS]  # whose true ids are the tokenizer's own affair
    own = {part: dimoo.MASK + 4 + i for i, part in enumerate(parts)}
    return dimoo.FIRST_CODE, dimoo.MARKS | own | {MASK_MARK: dimoo.MASK, "<|endoftext|>": mmada.END}


def build_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A tokenizer of bytes with a family's length and special ids; the ids between are never used."""
    length, marks = marks_of(family)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = {id: mark for mark, id in marks.items()}
    vocab = {letter: i for i, letter in enumerate(letters)}
    vocab |= {names.get(i, f"<{i}>"): i for i in range(len(letters), length)}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(sorted(marks, key=marks.__getitem__))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)


def reference_config(family: str, shape: Shape) -> dict[str, Any]:
    """A ``config.json`` as the reference's class writes it, as far as it is read."""
    config: dict[str, Any] = {
        "_name_or_path": NAMED[family],
        "architectures": ["MMadaModelLM" if family == "mmada" else "LLaDAForMultiModalGeneration"],
        "model_type": "mmada" if family == "mmada" else "llada",
        "d_model": shape.width,
        "n_layers": shape.layers,
        "n_heads": shape.heads,
        "n_kv_heads": shape.heads,
        "mlp_hidden_size": shape.inner,
        "vocab_size": shape.vocab,
        "embedding_size": shape.vocab,
        "rope_theta": shape.rope_theta,
        "rms_norm_eps": shape.norm_eps,
        "mask_token_id": dimoo.MASK,
        "block_type": "llama",
        "block_group_size": 1,
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "rope": True,
        "alibi": False,
        "include_bias": False,
        "include_qkv_bias": False,
        "bias_for_layer_norm": False,
        "attention_layer_norm": False,
        "input_emb_norm": False,
        "scale_logits": False,
        "multi_query_attention": None,
        "weight_tying": False,
        "torch_dtype": "bfloat16",
    }
    if family == "mmada":
        config |= {"codebook_size": 8192, "num_vq_tokens": 1024, "llm_vocab_size": mmada.TOKENIZER_LENGTH}
    return config


def random_weights(shape: Shape, seed: int) -> dict[str, torch.Tensor]:
    """bfloat16 tensors under the references' names, a function of ``seed``."""
    generator = np.random.Generator(np.random.Philox(seed))
    sizes = {reference_name(name): each.shape for name, each in empty_llama(shape).named_parameters()}
    weights = {}
    for name in sorted(sizes):
        drawn = generator.standard_normal(sizes[name], dtype=np.float32)
        value = 1 + 0.1 * drawn if drawn.ndim == 1 else 0.15 * drawn
        weights[name] = torch.from_numpy(value).to(torch.bfloat16)
    return weights


def write_standin(family: str, output: str | Path, seed: int = 0) -> list[str]:
    """Write a stand-in of ``family`` into a new or empty folder; returns its files.  Raises ConfigError."""
    folder = Path(output)
    if names_in(folder, "--output"):
        raise ConfigError(f"--output must be a new or an empty folder, got {str(output)!r}")
    vocab = MMADA.vocab if family == "mmada" else DIMOO.vocab
    shape = Shape(**SIZES, vocab=vocab)
    write_json(folder / "config.json", reference_config(family, shape), indent=2)
    card = CARD.format(name=NAMED[family], seed=seed, width=shape.width)
    write_whole(folder / "README.md", card.encode())
    weights = random_weights(shape, seed)
    names, files = sorted(weights), {}
    for part in range(SHARDS):
        file = f"model-{part + 1:05d}-of-{SHARDS:05d}.safetensors"
        chosen = names[part::SHARDS]
        write_whole(folder / file, save({name: weights[name] for name in chosen}, metadata={"format": "pt"}))
        files |= dict.fromkeys(chosen, file)
    write_json(folder / INDEX, {"metadata": {"total_size": 2 * shape.parameters}, "weight_map": files}, indent=2)
    build_tokenizer(family).save_pretrained(str(folder))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if family == "mmada":
            codec: nn.Module = Magvit(SMALL_MAGVIT)
            write_json(folder / CODEC / magvit.CONFIG, codec.config(), indent=2)
            file = magvit.WEIGHTS
        else:
            codec, file = build_vq((8, 8, 8, 16, 32), latent=8, groups=8), WEIGHTS
            codec.save_config(str(folder / CODEC))
    write_whole(folder / CODEC / file, save(codec.state_dict(), metadata={"format": "pt"}))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
