"""Maps of a layer's grid brought to the pixels of the network's input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from brain_tumor.errors import InputError


def upsample(maps: torch.Tensor, pixels: Sequence[int]) -> torch.Tensor:
    """Maps on the pixels of the input, linear between cell centres.

    Cells tile the input: with s pixels a cell, cell n is centred at (n + 1/2) s - 1/2. The padding
    of stride-2 convolutions puts the middle of a receptive field up to half a cell elsewhere, but
    networks that pool their features under a mask learn to put them where the mask's tiles are.
    Beyond the outermost cell centres the edge value holds.

    Args:
        maps: Shape (N, *cells), 2-D or 3-D.
        pixels: Size of the input.

    Returns:
        Shape (N, *pixels), float32. No value is above the largest of the map.

    Raises:
        InputError: If map and size have different dimensions.

    Example:
        >>> upsample(torch.tensor([[0.0, 4.0]]), (4,))
        tensor([[0., 1., 3., 4.]])
    """
    cells = tuple(maps.shape[1:])
    if len(cells) != len(pixels):
        raise InputError(f"map has {len(cells)} dimensions; the input has {len(pixels)}")
    result = maps.float()
    with torch.autocast("cpu", enabled=False):
        for axis, (count, size) in enumerate(zip(cells, pixels, strict=True), start=1):
            result = (result.movedim(axis, -1) @ _weights(count, size).T).movedim(-1, axis)
    return result.contiguous()


def _weights(cells: int, pixels: int) -> torch.Tensor:
    """Linear interpolation along one axis as a matrix of shape (pixels, cells)."""
    rows = np.arange(pixels)
    position = np.clip((rows + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    lower = np.minimum(position.astype(int), max(cells - 2, 0))
    share = position - lower
    weights = np.zeros((pixels, cells), dtype=np.float32)
    weights[rows, lower] = 1 - share
    if cells > 1:
        weights[rows, lower + 1] = share
    return torch.from_numpy(weights)
