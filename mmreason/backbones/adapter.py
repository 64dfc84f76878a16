"""Low-rank adapters on a frozen backbone (LoRA, arXiv 2106.09685): the base in its own type, adapters in 32 bits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from mmreason.backbones.llama import LlamaBackbone
from mmreason.disk import one_line
from mmreason.errors import CheckpointError, ConfigError

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Adapter:
    """The adapters of a backbone; without one of them the backbone is the reference policy."""

    def __init__(self, backbone: LlamaBackbone, rank: int, seed: int = 0, base: str = "") -> None:
        """Add adapters of ``rank`` to every matrix of every block, in place.  ``base`` names the checkpoint."""
        from peft import LoraConfig, get_peft_model

        if not 1 <= rank <= backbone.shape.width:
            raise ConfigError(f"lora_rank must be from 1 to {backbone.shape.width}, got {rank}")
        config = LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules=list(TARGETS), base_model_name_or_path=base or None
        )
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what peft asks of transformers
            torch.manual_seed(seed)  # peft draws the first weights from torch's global generator
            backbone.model.name_or_path = base  # else peft renames the base to what transformers knows: nothing
            self.peft = get_peft_model(backbone.model, config)
        self.base, self.rank = base, rank

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

    def load(self, folder: str | Path) -> None:
        """Take the weights of saved adapters.  Raises CheckpointError where they are of another shape."""
        from peft.utils import load_peft_weights, set_peft_model_state_dict

        try:
            stored = load_peft_weights(str(folder), device="cpu")
            result = set_peft_model_state_dict(self.peft, stored)
        except (OSError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"adapter {str(folder)!r} cannot be loaded: {one_line(str(error), 200)}") from error
        missing = [key for key in result.missing_keys if "lora_" in key]
        if missing or result.unexpected_keys:
            odd = (missing or result.unexpected_keys)[0]
            raise CheckpointError(f"adapter {str(folder)!r} is of another network: {odd} does not fit")
