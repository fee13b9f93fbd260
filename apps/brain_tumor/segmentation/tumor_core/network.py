"""The tumour-core network and how it was built, as its bundle records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import nn

from brain_tumor.errors import ModelError
from brain_tumor.segmentation.tumor_core.decoder import DECODER_CHANNELS, Decoder
from brain_tumor.segmentation.tumor_core.encoder import Encoder

PIXEL_MM = 1.0
"""Pixel of every slice that a new network sees, in training and in use."""
UNRECORDED_PIXEL_MM = 1.25
"""Pixel of networks whose metadata names none: all before version 0.4.0."""
NAME = "EfficientNet-Lite0 U-Net"


@dataclass(frozen=True)
class CoreNetworkArguments:
    """Size of the network; its encoder is always EfficientNet-Lite0.

    Attributes:
        decoder_channels: Features of the decoder at strides 16, 8, 4 and 2; multiples of 8.
        pixel_mm: Pixel of every slice that the network sees, in training and in use.
    """

    decoder_channels: tuple[int, ...] = DECODER_CHANNELS
    pixel_mm: float = PIXEL_MM

    @property
    def divisor(self) -> int:
        """Rows and columns of an input must be multiples of this."""
        return 32

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for `configs/metadata.json`."""
        return {"name": NAME, **asdict(self), "decoder_channels": list(self.decoder_channels)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CoreNetworkArguments:
        """Read what `to_json` wrote.

        Raises:
            ModelError: If it is another network, or an argument is missing or of the wrong type.
        """
        try:
            channels = tuple(int(c) for c in values["decoder_channels"])
            pixel_mm = float(values.get("pixel_mm", UNRECORDED_PIXEL_MM))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"network arguments {dict(values)} are unusable; expected decoder_channels"
            ) from error
        if values.get("name") != NAME:
            raise ModelError(f"the network is {values.get('name')!r}; expected {NAME!r}")
        if not 0.2 <= pixel_mm <= 5:
            raise ModelError(f"the network's pixel is {pixel_mm:g} mm; expected 0.2 to 5")
        return cls(channels, pixel_mm)


class CoreNetwork(nn.Module):
    """Pretrained encoder and light decoder: (N, 1, H, W) slices to (N, 1, H, W) logits.

    In evaluation the answer for a slice does not depend on the other slices of the batch.

    Args:
        arguments: Size of the decoder.
        keep_statistics: In training, too, batch normalisation uses and keeps its running
            statistics: those of a few corrected cases would be noise.

    References:
        Ronneberger et al. 2015, arXiv:1505.04597 (U-Net); Iglovikov and Shvets 2018,
        arXiv:1801.05746 (with an encoder pretrained on ImageNet).
    """

    def __init__(self, arguments: CoreNetworkArguments, *, keep_statistics: bool = False) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder(1, arguments.decoder_channels)
        self._keep_statistics = keep_statistics

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except for batch normalisation that keeps its statistics."""
        super().train(mode)
        if self._keep_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of tumour core.

        Args:
            images: Normalised slices, (N, 1, H, W).
        """
        logits: torch.Tensor = self.decoder(images, self.encoder(images))
        return logits


def load_core_network(
    arguments: CoreNetworkArguments, weights: Mapping[str, torch.Tensor]
) -> CoreNetwork:
    """Network with its weights, in evaluation mode, to be prepared for inference or fine-tuned.

    Raises:
        ModelError: If the weights do not belong to this network.
    """
    network = CoreNetwork(arguments, keep_statistics=True)
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ModelError(f"weights do not fit the tumour-core network: {error}") from error
    return network.eval().requires_grad_(requires_grad=False)
