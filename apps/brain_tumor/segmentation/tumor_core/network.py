"""The tumour-core network and how it was built, as its bundle records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from monai.networks.nets import UNet  # type: ignore[attr-defined]
from torch import nn

from brain_tumor.errors import ModelError

WORKING_PIXEL_MM = 1.25
"""Pixel of every slice that the network sees, in training and in use."""


@dataclass(frozen=True)
class CoreNetworkArguments:
    """Size of the 2-D residual U-Net.

    Attributes:
        channels: Feature channels per level; every level but the last halves the resolution.
        res_units: Residual sub-units per level.
    """

    channels: tuple[int, ...] = (24, 48, 96, 160, 256)
    res_units: int = 2

    @property
    def divisor(self) -> int:
        """Rows and columns of an input must be multiples of this."""
        return int(2 ** (len(self.channels) - 1))

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for `configs/metadata.json`."""
        return asdict(self) | {"channels": list(self.channels)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CoreNetworkArguments:
        """Read what `to_json` wrote.

        Raises:
            ModelError: If an argument is missing or has the wrong type.
        """
        try:
            return cls(tuple(int(c) for c in values["channels"]), int(values["res_units"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"network arguments {dict(values)} are unusable; expected channels and res_units"
            ) from error


def build_core_network(arguments: CoreNetworkArguments) -> nn.Module:
    """Untrained network: (N, 1, H, W) normalised slices to (N, 1, H, W) logits of tumour core.

    A residual U-Net with instance normalisation: its answer for a slice does not depend on the
    other slices of the batch.

    References:
        Kerfoot et al. 2019, doi:10.1007/978-3-030-12029-0_40 (the residual U-Net of MONAI).
    """
    depth = len(arguments.channels)
    return UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=arguments.channels,
        strides=(2,) * (depth - 1),
        num_res_units=arguments.res_units,
        norm=("INSTANCE", {"affine": True}),
    )


def load_core_network(
    arguments: CoreNetworkArguments, weights: Mapping[str, torch.Tensor]
) -> nn.Module:
    """Network with its weights, ready for inference.

    Raises:
        ModelError: If the weights do not belong to this network.
    """
    network = build_core_network(arguments)
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ModelError(f"weights do not fit the tumour-core network: {error}") from error
    return network.eval().requires_grad_(requires_grad=False)
