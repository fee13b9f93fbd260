"""Information-weighted boundary normalisation as a differentiable layer.

A learned importance map, tied to the true tumour edge by a term of the loss, amplifies the
features at diagnostically informative edge pixels. The weights have mean 1 in every slice: the
layer moves attention, it does not change the scale of the features.

The hand-made form of the same idea, which weights a contour series, is in `boundary_series`.

References:
    The XMorph preprint, arXiv:2602.21178: w = (0.1 + strength * e) / mean, e in 0 ... 1. There the
    importance is computed, not learned, although the text calls it learned; here it is learned.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

INITIAL_STRENGTH = 1.0
LEAST_IMPORTANCE = 1e-3
EDGE_WIDTH_PIXELS = 3


class BoundaryNormalisation(nn.Module):
    """Weights features by boundary importance."""

    def __init__(self) -> None:
        super().__init__()
        self.raw_strength = nn.Parameter(torch.tensor(math.log(math.expm1(INITIAL_STRENGTH))))

    @property
    def strength(self) -> torch.Tensor:
        """How far the layer amplifies, above 0; 0 would leave the features alone."""
        return F.softplus(self.raw_strength)

    def forward(self, features: torch.Tensor, importance: torch.Tensor) -> torch.Tensor:
        """Amplify features where importance is high.

        Args:
            features: Shape (N, C, h, w).
            importance: 0-1, shape (N, 1, H, W), H >= h.

        Returns:
            Features times weights of mean 1, same shape.
        """
        return features * boundary_weights(importance, self.strength, features.shape[2:])


def boundary_weights(
    importance: torch.Tensor, strength: torch.Tensor, size: torch.Size | tuple[int, int]
) -> torch.Tensor:
    """Weights (1 + strength * e / mean(e)) / (1 + strength) on a coarser grid.

    Args:
        importance: 0-1, shape (N, 1, H, W).
        strength: Above 0.
        size: Rows and columns of the coarser grid.

    Returns:
        Shape (N, 1, rows, columns), mean 1 in every slice. Uniform importance gives 1 everywhere.

    Example:
        >>> e = torch.tensor([[[[0.0, 1.0]]]])
        >>> boundary_weights(e, torch.tensor(1.0), (1, 2)).round(decimals=2)
        tensor([[[[0.5000, 1.5000]]]])
    """
    coarse = F.adaptive_avg_pool2d(importance, (size[0], size[1])) + LEAST_IMPORTANCE
    relative = coarse / coarse.mean(dim=(2, 3), keepdim=True)
    return (1 + strength * relative) / (1 + strength)


def edge_of(mask: torch.Tensor) -> torch.Tensor:
    """Band of three pixels around the edge of a mask: the target of the importance map.

    Args:
        mask: 0 or 1, shape (N, 1, H, W).

    Returns:
        0 or 1, same shape.
    """
    reach = EDGE_WIDTH_PIXELS // 2
    wide = F.max_pool2d(mask, EDGE_WIDTH_PIXELS, stride=1, padding=reach)
    narrow = -F.max_pool2d(-mask, EDGE_WIDTH_PIXELS, stride=1, padding=reach)
    return wide - narrow
