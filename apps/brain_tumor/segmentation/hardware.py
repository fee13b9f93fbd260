"""What the CPU is good at."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from brain_tumor.devices import autocast, compute_device

FEW_SLICES = 2

Network = TypeVar("Network", bound=nn.Module)


def cpu_has_bf16() -> bool:
    """Whether convolutions run in bfloat16 where the networks are; see `ComputeDevice`."""
    return compute_device().bf16


def bf16_autocast() -> torch.autocast:
    """The autocast of the device of this process, as trainings call it."""
    return autocast()


@contextmanager
def threads_for_slices(count: int) -> Iterator[None]:
    """One thread for one or two slices, all of them for more.

    The layers of one slice are so small that waking a second, passively waiting thread for each
    takes longer than it saves: 33 ms instead of 18 for the classifier on two cores.

    Args:
        count: Slices that are read at once.
    """
    before = torch.get_num_threads()
    if count > FEW_SLICES or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bfloat16_copy(network: Network) -> Network:
    """A copy to be run under autocast, with the same answers to the last bit, sooner.

    Convolutions and linear layers hold the weights that autocast would else convert at every call.

    Args:
        network: In evaluation mode; not changed.
    """
    quick = copy.deepcopy(network)
    for module in quick.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(torch.bfloat16)
    return quick
