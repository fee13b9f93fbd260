"""bfloat16 training on CPUs, without its traps.

oneDNN 3.12 (torch 2.14) returns weight gradients of bfloat16 3-D convolutions with many channels
on few voxels that now and then hold uninitialised memory (1e25 and more; measured on AVX512-BF16
with 192 and 256 channels, never with 96). Those layers cost next to nothing, so they train in
float32; everything else keeps bfloat16.

Depthwise 2-D convolutions have no fast bfloat16 gradients there: three to ten times slower than
float32 with channels last (torch 2.14, AVX512-BF16). They train in float32, too, which takes a
quarter off a step of the tumour-core network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from brain_tumor.segmentation.tumor_core.encoder import Convolution

WIDE_CHANNELS = 192


def run_wide_layers_in_float32(network: nn.Module, *, channels: int = WIDE_CHANNELS) -> None:
    """Take the wide convolutions of a network out of autocast.

    Args:
        network: Changed in place; parameters and their names stay as they are.
        channels: Convolutions with at least this many input or output channels are changed.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d) and (
            max(module.in_channels, module.out_channels) >= channels
        ):
            module.forward = _in_float32(module.forward)  # type: ignore[method-assign]


def run_depthwise_layers_in_float32(network: nn.Module) -> None:
    """Take the depthwise convolutions of a network with an `Encoder` out of autocast.

    Args:
        network: Changed in place; parameters and their names stay as they are.
    """
    for module in network.modules():
        if isinstance(module, Convolution) and module.conv.groups > 1:
            module.forward = _in_float32(  # type: ignore[method-assign]
                module.forward, torch.channels_last
            )


def _in_float32(forward: Any, layout: torch.memory_format = torch.preserve_format) -> Any:
    def call(inputs: torch.Tensor, *arguments: Any) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            result: torch.Tensor = forward(
                inputs.to(torch.float32, memory_format=layout), *arguments
            )
        return result

    return call
