"""Low-rank adapters on a frozen backbone (LoRA, arXiv 2106.09685): the base in its own type, adapters in 32 bits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import empty_llama, read_json
from mmreason.backbones.shape import Shape
from mmreason.disk import one_line
from mmreason.errors import CheckpointError, ConfigError

ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PREFIX = "base_model.model."  # of peft's names
OTHER_KINDS = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern")  # of adapters, which scale otherwise
CHANGE_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")  # how init_lora_weights begins where peft would


def stored_adapter(folder: Path, shape: Shape) -> tuple[int, float]:
    """Rank and alpha of the adapter in ``folder``, held against a network of ``shape``; heads of files are read only.

    Raises CheckpointError where it is of another network, or of a kind that would be scaled otherwise than here.
    """
    config = read_json(folder / ADAPTER)
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or not 1 <= rank <= shape.width:
        raise CheckpointError(f"adapter {str(folder)!r} must name its rank, a number up to the width, got {rank!r}")
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < math.inf:
        raise CheckpointError(f"adapter {str(folder)!r} must name its lora_alpha, a number above 0, got {alpha!r}")
    for name in OTHER_KINDS:
        if config.get(name):
            raise CheckpointError(f"adapter {str(folder)!r} must be plain LoRA, got {name} {config[name]!r}")
    start = config.get("init_lora_weights")
    if str(start).lower().startswith(CHANGE_THE_BASE):
        raise CheckpointError(
            f"adapter {str(folder)!r} must leave its base as it is, and init_lora_weights {start!r:.60} changes it"
        )
    wanted: dict[str, list[int]] = {}
    for name, weight in empty_llama(shape).named_parameters():
        module = name.removesuffix(".weight")
        if module.rpartition(".")[2] in TARGETS:
            rows, columns = weight.shape
            wanted |= {
                f"{PREFIX}{module}.lora_A.weight": [rank, columns],
                f"{PREFIX}{module}.lora_B.weight": [rows, rank],
            }
    try:
        with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as opened:
            found = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"adapter {str(folder)!r} cannot be loaded: {one_line(str(error), 200)}") from None
    odd = next((name for name in (*found, *wanted) if found.get(name) != wanted.get(name)), None)
    if odd is not None:
        got = f"of size {found[odd]}" if odd in found else "missing"
        raise CheckpointError(f"adapter {str(folder)!r} is of another network: {one_line(odd, 100)} is {got}")
    return rank, alpha


def stored_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of the adapter in ``folder``.  Raises CheckpointError where one is not finite."""
    from peft.utils import load_peft_weights

    weights = load_peft_weights(str(folder), device="cpu")
    damaged = next((name for name, weight in weights.items() if not bool(weight.isfinite().all())), None)
    if damaged is not None:
        raise CheckpointError(f"adapter {str(folder)!r} is damaged: {damaged} must hold finite numbers")
    return weights


class Adapter:
    """The adapters of a backbone; without one of them the backbone is the reference policy."""

    def __init__(
        self, backbone: LlamaBackbone, rank: int, seed: int = 0, base: str = "", alpha: float | None = None
    ) -> None:
        """Add adapters of ``rank`` to every matrix of every block, in place.  ``base`` names the checkpoint.

        What they add is scaled by ``alpha`` / ``rank``, which is 2 where nothing is said.
        """
        from peft import LoraConfig, get_peft_model

        if not 1 <= rank <= backbone.shape.width:
            raise ConfigError(f"lora_rank must be from 1 to {backbone.shape.width}, got {rank}")
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha or 2 * rank,  # pyright: ignore[reportArgumentType]  # it may be a fraction
            target_modules=list(TARGETS),
            base_model_name_or_path=base or None,
        )
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what peft asks of transformers
            torch.manual_seed(seed)  # peft draws the first weights from torch's global generator
            backbone.model.name_or_path = base  # else peft renames the base to what transformers knows: nothing
            self.peft = get_peft_model(backbone.model, config)
        self.base, self.rank, self.alpha = base, rank, config.lora_alpha

    @classmethod
    def stored(cls, backbone: LlamaBackbone, folder: Path, base: str = "") -> Adapter:
        """The saved adapter in ``folder``, on ``backbone``.  Raises CheckpointError for one damaged or of another."""
        from peft.utils import set_peft_model_state_dict

        rank, alpha = stored_adapter(folder, backbone.shape)
        adapter = cls(backbone, rank, base=base, alpha=alpha)
        set_peft_model_state_dict(adapter.peft, stored_weights(folder))
        return adapter

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is trained, in 32 bits."""
        return [each for each in self.peft.parameters() if each.requires_grad]

    def weights(self) -> dict[str, torch.Tensor]:
        """What has to be kept to go on."""
        return {str(i): each.detach().cpu() for i, each in enumerate(self.parameters)}

    def set_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Go on from kept ``weights``."""
        with torch.no_grad():
            for i, each in enumerate(self.parameters):
                each.copy_(weights[str(i)])

    @contextmanager
    def off(self) -> Iterator[None]:
        """The reference policy: the base without adapters."""
        with self.peft.disable_adapter():
            yield

    def save(self, folder: str | Path) -> None:
        """Write the adapters alone, with the name of their base."""
        if not self.base:
            raise ConfigError("an adapter is saved with the name of its base: base is empty")
        self.peft.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
