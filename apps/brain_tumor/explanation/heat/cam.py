"""Class-activation maps in two and three dimensions.

All three methods read one layer: activations A of shape (N, C, *spatial) and the gradient g of a
score with respect to them. Maps are on the layer's grid, 0 or above, 1 = important, and keep their
raw values: the map of a score that nothing supports stays zero instead of being stretched to 1.

For a network that ends in a global average the gradient is the same at every position of a
channel, and Grad-CAM++ is Grad-CAM with other channel weights. Networks that weight positions (by
a mask or a boundary map) give each position its own gradient; Grad-CAM and Grad-CAM++ sum that away
and light up a channel wherever it is active, Layer-CAM keeps it. On such a network compare the
methods by benchmarks/explanation_heat.py before choosing one.

References:
    Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74 (Grad-CAM);
    Chattopadhay et al. 2018, doi:10.1109/WACV.2018.00097 (Grad-CAM++);
    Jiang et al. 2021, doi:10.1109/TIP.2021.3089943 (Layer-CAM).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F

CamRule = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From activations and gradients (N, C, *spatial) to maps (N, *spatial)."""


def grad_cam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """relu(sum_c w_c A_c) with w_c the mean gradient of channel c.

    Args:
        activations: Shape (N, C, *spatial).
        gradients: Same shape.

    Returns:
        Shape (N, *spatial), in units of the score.

    Example:
        >>> a = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])
        >>> g = torch.tensor([[[[2.0, 4.0]], [[-1.0, -1.0]]]])
        >>> grad_cam(a, g)
        tensor([[[3., 0.]]])
    """
    weights = gradients.mean(dim=_spatial(gradients), keepdim=True)
    return F.relu((weights * activations).sum(dim=1))


def grad_cam_plus_plus(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """relu(sum_c w_c A_c) with w_c the alpha-weighted sum of the positive gradients.

    alpha = g^2 / (2 g^2 + g^3 sum(A)) per position, the sum over the channel's positions; 0 where
    g is 0. For g = 0 apart, this is 1 / (2 + g sum(A)), which is how it is computed: no small
    number is added to the divisor, and no power of a small gradient underflows.

    Departures from the paper: gradients are divided by their largest absolute value in the sample,
    so that a temperature on the logits does not change the shape of the map (the scale is put back
    at the end); and sum(A) counts only positive activations, which is the same for the rectified
    layers of the paper and keeps the divisor at 2 or above for others.

    Args:
        activations: Shape (N, C, *spatial).
        gradients: Same shape.

    Returns:
        Shape (N, *spatial), in units of the score.
    """
    spatial = _spatial(gradients)
    largest = gradients.abs().amax(dim=(1, *spatial), keepdim=True)
    scaled = gradients / torch.where(largest > 0, largest, torch.ones_like(largest))
    positive = F.relu(scaled)
    total = F.relu(activations).sum(dim=spatial, keepdim=True)
    # alpha * relu(g): only positive gradients count, so the divisor is at least 2
    weights = (positive / (2 + positive * total)).sum(dim=spatial, keepdim=True)
    raw = F.relu((weights * activations).sum(dim=1))
    return raw * largest.flatten(1).reshape(-1, *(1 for _ in spatial))


def layer_cam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """relu(sum_c relu(g) A): every position by its own gradient.

    Args:
        activations: Shape (N, C, *spatial).
        gradients: Same shape.

    Returns:
        Shape (N, *spatial), in units of the score.

    Example:
        >>> a = torch.tensor([[[[1.0, 3.0]], [[1.0, 2.0]]]])
        >>> g = torch.tensor([[[[2.0, -4.0]], [[0.5, 1.0]]]])
        >>> layer_cam(a, g)
        tensor([[[2.5000, 2.0000]]])
    """
    return F.relu((F.relu(gradients) * activations).sum(dim=1))


CAM_RULES: Mapping[str, CamRule] = MappingProxyType(
    {"gradcam++": grad_cam_plus_plus, "gradcam": grad_cam, "layercam": layer_cam}
)


def _spatial(maps: torch.Tensor) -> tuple[int, ...]:
    return tuple(range(2, maps.ndim))
