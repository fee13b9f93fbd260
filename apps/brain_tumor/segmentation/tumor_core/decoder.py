"""Decoder of outlines on top of the encoder that pictures and types share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.segmentation.tumor_core.encoder import OUTPUT_CHANNELS

DECODER_CHANNELS = (96, 64, 40, 24)
FULL_CHANNELS = 16


class Decoder(nn.Module):
    """U-shaped decoder from the levels of an encoder to maps at full resolution.

    Args:
        maps: How many maps.
        channels: Features at strides 16, 8, 4 and 2.
    """

    def __init__(self, maps: int, channels: Sequence[int] = DECODER_CHANNELS) -> None:
        super().__init__()
        steps, inputs = [], OUTPUT_CHANNELS[-1]
        for skip, outputs in zip(reversed(OUTPUT_CHANNELS[:-1]), channels, strict=True):
            steps.append(_convolve(inputs + skip, outputs))
            inputs = outputs
        self.steps = nn.ModuleList(steps)
        self.full = _convolve(inputs + 1, FULL_CHANNELS)
        self.out = nn.Conv2d(FULL_CHANNELS, maps, 1)

    def forward(self, images: torch.Tensor, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits, (N, maps, H, W).

        Args:
            images: What the encoder saw, (N, 1, H, W).
            levels: What the encoder made of it: features with strides 2 to 32.
        """
        found = levels[-1]
        for step, skip in zip(self.steps, reversed(levels[:-1]), strict=True):
            found = step(torch.cat([_enlarge(found, skip), skip], dim=1))
        found = self.full(torch.cat([_enlarge(found, images), images], dim=1))
        logits: torch.Tensor = self.out(found)
        return logits


def _convolve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU()
    )


def _enlarge(small: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(small, size=like.shape[2:], mode="bilinear", align_corners=False)
