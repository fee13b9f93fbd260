"""2.5-D U-Net from a slice and its neighbours to the nested tumour regions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import ModelError
from brain_tumor.labels import Region

DEFAULT_CHANNELS = (16, 32, 64, 128, 192)
NEIGHBOURS = 3
INPUTS = (NEIGHBOURS + 1) * len(Sequence)
REGIONS = (Region.WT, Region.TC, Region.ET)


class SliceUNet(nn.Module):
    """U-Net over axial slices; from (N, 16, I, J) to logits (N, 3, I, J) of WT, TC and ET.

    Args:
        channels: Features per level; each level halves the slice.

    References:
        Ronneberger et al. 2015, arXiv:1505.04597; Isensee et al. 2021,
        doi:10.1038/s41592-020-01008-z (leaky ReLU, deep supervision).
    """

    def __init__(self, channels: tuple[int, ...] = DEFAULT_CHANNELS) -> None:
        super().__init__()
        before = (INPUTS, *channels[:-1])
        self.encoder = nn.ModuleList(_double(a, b) for a, b in zip(before, channels, strict=True))
        self.decoder = nn.ModuleList(
            _double(here + below, here) for here, below in pairwise(channels)
        )
        self.head = nn.Conv2d(channels[0], len(REGIONS), 1)
        self.coarse_head = nn.Conv2d(channels[1], len(REGIONS), 1)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Logits at full resolution."""
        return self.both_scales(slices)[0]

    def both_scales(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits at full and at half resolution; the latter supervise the training."""
        features = []
        x = slices
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            features.append(x)
        coarse = x
        for level in range(len(self.decoder) - 1, -1, -1):
            larger = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = self.decoder[level](torch.cat([larger, features[level]], dim=1))
            if level == 1:
                coarse = x
        return self.head(x), self.coarse_head(coarse)


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for count in (inputs, outputs):
        layers += [
            nn.Conv2d(count, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)


def network_from_metadata(
    metadata: Mapping[str, Any], weights: Mapping[str, torch.Tensor]
) -> SliceUNet:
    """Network of a bundle with its weights, in evaluation mode.

    Raises:
        ModelError: If the metadata or the weights do not fit this network.
    """
    try:
        network = SliceUNet(tuple(int(n) for n in metadata["network"]["channels"]))
        network.load_state_dict(dict(weights))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"the whole-head bundle does not fit its network: {error}") from error
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
