"""Averaged weights, which are what a training ships."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

QUICK_START = 10
NetworkT = TypeVar("NetworkT", bound=nn.Module)


class AveragedWeights(Generic[NetworkT]):
    """Exponential moving average of a network's weights and buffers, with a quick start.

    Args:
        network: Network whose weights are followed.
        decay: Per-step decay once the average has warmed up.

    Attributes:
        network: Copy of the network with the averaged weights, in evaluation mode.

    References:
        Polyak and Juditsky 1992, doi:10.1137/0330046.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._decay = decay
        self._updates = 0

    @property
    def state(self) -> dict[str, torch.Tensor]:
        """The averaged weights; they change with every update."""
        return self.network.state_dict()

    def update(self, network: nn.Module) -> None:
        """Move the average towards the present weights."""
        self._updates += 1
        move_average(self.state, network, self._decay, self._updates)

    def restore(self, state: dict[str, torch.Tensor], updates: int) -> None:
        """Go on with the average of a run that was cut.

        Args:
            state: Its averaged weights.
            updates: How many updates they had.
        """
        self.network.load_state_dict(state)
        self._updates = updates


@torch.no_grad()
def move_average(
    average: dict[str, torch.Tensor], network: nn.Module, decay: float, updates: int
) -> None:
    """Move averaged weights towards the present ones, in place; counters are copied.

    Args:
        average: By the names of the network's state.
        network: As trained.
        decay: Share of the average that stays once it has warmed up.
        updates: How many there are with this one; few keep less of the average.
    """
    kept = min(decay, updates / (updates + QUICK_START))
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - kept)
        else:
            average[name].copy_(value)
