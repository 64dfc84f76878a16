"""Parameters and FLOPs by formula: the golden ones of the 8 B shape, and torch's own counter on a tiny one."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmreason.backbones.adapter import Adapter
from mmreason.backbones.loading import empty_llama, random_llama
from mmreason.backbones.shape import DIMOO, MMADA, Shape
from mmreason.layouts.alphabet import Alphabet
from tests.helpers import golden

COST = golden.facts("cost")
TINY = Shape(64, 3, 4, 96, 200)


@pytest.mark.parametrize(("name", "shape"), [("dimoo", DIMOO), ("mmada", MMADA)])
def test_parameters_are_the_references(name: str, shape: Shape) -> None:
    given, sizes = COST["parameters"][name], COST["shape"]
    assert (shape.width, shape.layers) == (sizes["d_model"], sizes["n_layers"])
    assert (shape.heads, shape.inner) == (sizes["n_heads"], sizes["mlp_hidden_size"])
    assert (shape.parameters, shape.body_parameters) == (given["total"], given["body"])
    assert sum(each.numel() for each in empty_llama(shape).parameters()) == given["total"]
    for rank in (16, 64):
        assert shape.adapter_parameters(rank) == COST["parameters"][f"lora_rank_{rank}_all_linears"]


@pytest.mark.parametrize("case", [name for name in COST["flops"] if "row of" in name])
def test_flops_are_those_that_were_counted(case: str) -> None:
    shape, length = (DIMOO if case.startswith("dimoo") else MMADA), int(case.split("row of ")[1].split(",")[0])
    assert shape.flops(length, length, scored=length) == COST["flops"][case]["counted"]


def test_one_token_and_its_keys() -> None:
    assert DIMOO.flops(1, 1304) == COST["flops"]["per token at length 1304, head excluded"]
    assert DIMOO.flops(1, 2298) == COST["flops"]["per token at length 2298, head excluded"]
    assert DIMOO.cached_bytes(1) == COST["kv_bytes_per_token_bf16"]


def test_without_checkpointing_a_backward_keeps_what_all_blocks_compute() -> None:
    kept, again = (DIMOO.activation_bytes(checkpointing) for checkpointing in (False, True))
    assert 110e9 < 16_384 * kept < 160e9 and 16_384 * again < 10e9
    parts = DIMOO.training_bytes(1000, 16, 100, 8192)
    assert parts["checkpoints"] + parts["one_block"] == 1000 * again


def test_the_backbone_counts_what_torch_counts() -> None:
    backbone = random_llama(TINY)
    backbone.model.set_attn_implementation("eager")
    words = Alphabet.of(torch.ones(50, dtype=torch.bool))
    ids = torch.randint(0, 200, (2, 40)).numpy()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hidden = backbone.forward(ids, torch.arange(40).expand(2, 40).numpy())
        backbone.head(hidden[0], words)
    spent = backbone.take_cost()
    assert counter.get_total_flops() == spent.flops
    assert (spent.forward_passes, spent.tokens_forwarded) == (1, 80)
    assert backbone.take_cost().flops == 0


@pytest.mark.parametrize("checkpointing", [True, False])
def test_a_backward_with_adapters_costs_what_the_formula_says(checkpointing: bool) -> None:
    backbone = random_llama(TINY)
    backbone.model.set_attn_implementation("eager")
    adapter = Adapter(backbone, rank=4)
    backbone.checkpointing = checkpointing
    ids = torch.randint(0, 200, (1, 40)).numpy()
    with FlopCounterMode(display=False) as counter:
        backbone.forward(ids, torch.arange(40)[None].numpy()).sum().backward()
    formula = TINY.backward_flops(TINY.flops(40, 40), 4, 40, checkpointing)
    assert 0.85 < counter.get_total_flops() / formula < 1.15
    assert sum(each.numel() for each in adapter.parameters) == TINY.adapter_parameters(4)
