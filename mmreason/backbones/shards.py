"""A frozen base of which each process keeps a share: torch's FSDP2, and an agreement on which layer is gathered when.

To gather a layer takes all processes, but rollouts end at different steps and updates have unlike numbers of parts.
So nobody gathers unasked: whoever needs a layer wishes for it, the highest layer that anyone wishes for is gathered by
all, and this goes on until each has had its own.  Those who have finished ``meet``: they wish for nothing, and help
until nobody wishes for anything.  With the highest first, processes at different layers fall into step: in a forward
pass the one ahead waits at its next pass, in a backward pass it waits for the others where it is.

Source: Zhao et al. 2023 (arXiv 2304.11277), and ZeRO's third stage (arXiv 1910.02054).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard


class Shards:
    """The layers of a network in shares; at most one of them is whole at a time."""

    def __init__(self, layers: Iterable[nn.Module], device: torch.device, patience: timedelta | None = None) -> None:
        """Cut the frozen weights of ``layers`` in place, each share on ``device``; what is trained stays whole.

        To be called by all processes of the default group at once, each of which waits ``patience`` for the others.
        """
        mesh = init_device_mesh(device.type, (dist.get_world_size(),))
        self.voters = dist.new_group(
            backend="gloo", timeout=patience
        )  # wishes are counted on the CPU: no device waits for them
        self.layers: list[FSDPModule] = []
        self.whole: int | None = None  # the layer that is gathered now
        for i, layer in enumerate(layers):
            trained = {each for each in layer.parameters() if each.requires_grad}
            cut = fully_shard(layer, mesh=mesh, reshard_after_forward=False, ignored_params=trained)
            cut.set_reshard_after_backward(False)  # it is closed here, when the next one is gathered
            layer.register_forward_pre_hook(partial(self._gather, i), prepend=True)
            layer.register_forward_hook(partial(self._expect_backward, i), prepend=True)
            self.layers.append(cut)

    def meet(self) -> None:
        """Help the other processes until all of them are here; to be called before anything else that takes all."""
        while self._serve(0):
            pass

    def _gather(self, layer: int, *_: Any) -> None:
        """Make ``layer`` whole, and on the way those that others wish for first."""
        while self.whole != layer:
            self._serve(layer + 1)

    def _expect_backward(self, layer: int, module: nn.Module, args: Any, output: torch.Tensor) -> None:
        """Make ``layer`` whole again when the gradient of its ``output`` comes."""
        if output.requires_grad:
            output.register_hook(partial(self._gather, layer))

    def _serve(self, wish: int) -> int:
        """Gather the highest layer, counted from 1, that anyone wishes for, and return its number; 0 is no wish."""
        if self.whole is not None:
            self.layers[self.whole].reshard()
            self.whole = None
        vote = torch.tensor(wish)
        dist.all_reduce(vote, dist.ReduceOp.MAX, group=self.voters)
        found = int(vote)
        if found:
            self.layers[found - 1].unshard()
            self.whole = found - 1
        return found
