"""Networks for sub-region segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.networks.nets import UNet  # type: ignore[attr-defined]
from torch import nn

from brain_tumor.errors import ModelError
from brain_tumor.segmentation.foreign.adapter import ADAPTED, adapted_network

DEFAULT_CHANNELS = (24, 48, 96, 192, 256)


def build_unet(channels: Sequence[int] = DEFAULT_CHANNELS) -> nn.Module:
    """Residual 3-D U-Net from four sequences to four classes.

    Args:
        channels: Features per level; each level halves the grid.

    Returns:
        Module from (N, 4, I, J, K) normalised intensities to (N, 4, I, J, K) logits in the order
        of `Label`; I, J and K are multiples of 2 ** (levels - 1).

    References:
        Kerfoot et al. 2019, doi:10.1007/978-3-030-12029-0_40 (residual units);
        Cicek et al. 2016, arXiv:1606.06650 (3-D U-Net).
    """
    return UNet(
        spatial_dims=3,
        in_channels=4,
        out_channels=4,
        channels=tuple(channels),
        strides=(2,) * (len(channels) - 1),
        num_res_units=2,
        norm="instance",
    )


def network_from_metadata(metadata: Mapping[str, Any], state: dict[str, torch.Tensor]) -> nn.Module:
    """Build the network that a bundle's metadata describes and load its weights.

    Raises:
        ModelError: If metadata and weights do not fit together.
    """
    entry = metadata.get("network")
    if isinstance(entry, Mapping) and entry.get("name") == ADAPTED:
        return adapted_network(entry, state)
    try:
        network = build_unet(metadata["network"]["channels"])
        network.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        name = metadata.get("name")
        raise ModelError(f"weights of {name} do not fit their metadata: {error}") from error
    return network.eval()
