"""Where the cells of a layer lie in the network's input, and maps brought to the input's pixels.

A layer with stride s has cells s pixels apart. Where a cell's centre lies depends on the padding
of the convolutions before it. The usual assumption is that cells tile the input, so cell 0 is
centred at (s - 1) / 2; stride-2 convolutions with symmetric padding put it at 0 instead, with
TensorFlow's padding at s - 1: half a cell away, which is 5 mm at stride 8 and 1.5 mm pixels.
`receptive_alignment` measures it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from brain_tumor.errors import InputError, ModelError
from brain_tumor.explanation.cam_capture import gradients_of_cells

logger = logging.getLogger(__name__)

PROBED_CELLS = 3
"""Cells per axis, around the middle, whose receptive centre is measured."""


@dataclass(frozen=True)
class Alignment:
    """Place of a layer's cells in pixels of the input, per axis.

    Cell n of an axis is centred at `offset + n * stride` (0 is the centre of the first pixel).

    Attributes:
        stride: Pixels between cells.
        offset: Pixel of the centre of cell 0.
    """

    stride: tuple[float, ...]
    offset: tuple[float, ...]

    @classmethod
    def tiling(cls, cells: Sequence[int], pixels: Sequence[int]) -> Alignment:
        """Cells that tile the input.

        Example:
            >>> Alignment.tiling((5, 5), (160, 80))
            Alignment(stride=(32.0, 16.0), offset=(15.5, 7.5))
        """
        stride = tuple(p / c for p, c in zip(pixels, cells, strict=True))
        return cls(stride, tuple((s - 1) / 2 for s in stride))


def upsample(
    maps: torch.Tensor, pixels: Sequence[int], alignment: Alignment | None = None
) -> torch.Tensor:
    """Maps of a layer's grid on the pixels of the input, linear between cell centres.

    Beyond the outermost cell centres the edge value holds.

    Args:
        maps: Shape (N, *cells), 2-D or 3-D.
        pixels: Size of the input.
        alignment: Where the cells lie; by default they tile the input.

    Returns:
        Shape (N, *pixels), float32. No value is above the largest of the map.

    Raises:
        InputError: If map, size and alignment have different dimensions.
    """
    cells = tuple(maps.shape[1:])
    placed = alignment
    if len(cells) == len(pixels) and placed is None:
        placed = Alignment.tiling(cells, pixels)
    if placed is None or not len(cells) == len(pixels) == len(placed.stride):
        raise InputError(
            f"map has {len(cells)} dimensions; the input has {len(pixels)}, the alignment "
            f"{len(placed.stride) if placed else 'none'}"
        )
    result = maps.float()
    for axis, (count, size) in enumerate(zip(cells, pixels, strict=True)):
        weights = _weights(count, size, placed.stride[axis], placed.offset[axis])
        result = (result.movedim(1 + axis, -1) @ weights.T).movedim(-1, 1 + axis)
    return result.contiguous()


def receptive_alignment(
    network: nn.Module, layer: nn.Module, inputs: Sequence[torch.Tensor]
) -> Alignment:
    """Measure where the cells of a layer look, by the gradient of the layer by the input.

    The centre of a cell is the centroid of |d sum_c A_c / d input|, over cells around the middle
    of the grid, where receptive fields are not cut off by the border; the stride is known from the
    sizes. The first tensor of the inputs is the picture.

    Args:
        network: In evaluation mode.
        layer: As for `layer_gradients`.
        inputs: A typical sample, batch size 1.

    Raises:
        ModelError: If the layer does not depend on the picture.
    """
    pixels = tuple(inputs[0].shape[2:])
    cells, seen = gradients_of_cells(network, layer, inputs, _probes)
    tiling = Alignment.tiling(cells, pixels)
    middle = _middle(cells)
    offsets = []
    for axis, stride in enumerate(tiling.stride):
        line = [cell for cell in seen if _without(cell, axis) == _without(middle, axis)]
        shifts = [_centroid(seen[cell])[axis] - cell[axis] * stride for cell in line]
        offsets.append(float(np.mean(shifts)))
    found = Alignment(tiling.stride, tuple(offsets))
    logger.debug("cells of %s: %s (tiling would be %s)", type(layer).__name__, found, tiling)
    return found


def _middle(cells: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(count // 2 for count in cells)


def _without(cell: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return cell[:axis] + cell[axis + 1 :]


def _probes(cells: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A short line of cells along each axis through the middle of the grid."""
    middle = _middle(cells)
    places = {middle}
    for axis, count in enumerate(cells):
        first = max(0, middle[axis] - PROBED_CELLS // 2)
        for index in range(first, min(count, first + PROBED_CELLS)):
            places.add((*middle[:axis], index, *middle[axis + 1 :]))
    return sorted(places)


def _centroid(gradient: torch.Tensor) -> npt.NDArray[np.float64]:
    weight = gradient[0].abs().sum(dim=0).double().numpy()
    if not weight.any():
        raise ModelError("the layer does not depend on the picture; it cannot be aligned")
    places = np.indices(weight.shape).reshape(weight.ndim, -1)
    centroid: npt.NDArray[np.float64] = places @ weight.ravel() / weight.sum()
    return centroid


def _weights(cells: int, pixels: int, stride: float, offset: float) -> torch.Tensor:
    """Linear interpolation along one axis as a matrix of shape (pixels, cells)."""
    position = np.clip((np.arange(pixels) - offset) / stride, 0, cells - 1)
    lower = np.minimum(position.astype(int), max(cells - 2, 0))
    share = position - lower
    weights = np.zeros((pixels, cells), dtype=np.float32)
    rows = np.arange(pixels)
    weights[rows, lower] = 1 - share
    if cells > 1:
        weights[rows, lower + 1] = share
    return torch.from_numpy(weights)
