"""What the CPU is good at."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

BF16_FEATURES = ("amx_bf16", "avx512_bf16")
FEW_SLICES = 2

Network = TypeVar("Network", bound=nn.Module)


def cpu_has_bf16() -> bool:
    """Whether bfloat16 convolutions run in hardware here; emulated they are slower."""
    features = torch.cpu.get_capabilities()
    return any(bool(features.get(name)) for name in BF16_FEATURES)


def bf16_autocast() -> torch.autocast:
    """Context in which convolutions run in bfloat16 if the CPU has it, else in float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16())


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
