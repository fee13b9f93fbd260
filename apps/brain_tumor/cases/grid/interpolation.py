"""Trilinear values of maps on another grid.

Grids whose axes run along each other, flipped or permuted or not, need three small matrix
products; any other grid goes through `grid_sample`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from brain_tumor.cases.volume import Affine

AXIS_TOLERANCE_VOXELS = 1e-3


def interpolate(
    maps: torch.Tensor, source: Affine, target: Affine, shape: tuple[int, int, int]
) -> torch.Tensor:
    """Trilinear values at the voxel centres of another grid; 0 is assumed outside.

    Args:
        maps: Shape (C, I, J, K), float32.
        source: Voxel centres of the maps to mm.
        target: Voxel centres of the result to mm.
        shape: Shape of the result.

    Returns:
        Shape (C, *shape), float32.
    """
    voxel = np.linalg.inv(source) @ target
    size = tuple(maps.shape[1:])
    axes = _aligned_axes(voxel, shape)
    if axes is None:
        grid = F.affine_grid(_theta(voxel, size, shape), [1, 1, *shape], align_corners=True)
        return F.grid_sample(maps[None], grid, mode="bilinear", align_corners=True)[0]
    result = maps.permute(0, *(1 + axis for axis in axes))
    for k, axis in enumerate(axes):
        weights = _weights(voxel[axis, k], voxel[axis, 3], size[axis], shape[k])
        result = (result.movedim(1 + k, -1) @ weights.T).movedim(-1, 1 + k)
    return result.contiguous()


def _aligned_axes(voxel: Affine, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Source axis of every target axis, or None if the grids are oblique to each other."""
    linear = voxel[:3, :3]
    axes = np.abs(linear).argmax(axis=0)
    if len(set(axes.tolist())) < 3:
        return None
    stray = np.abs(linear)
    stray[axes, range(3)] = 0
    if (stray * (np.array(shape) - 1)).sum(axis=1).max() > AXIS_TOLERANCE_VOXELS:
        return None
    x, y, z = axes.tolist()
    return x, y, z


def _weights(step: float, start: float, size: int, count: int) -> torch.Tensor:
    """Linear interpolation along one axis as a matrix of shape (count, size)."""
    position = start + step * np.arange(count)
    position = np.where(np.abs(position - np.round(position)) < 1e-6, np.round(position), position)
    lower = np.floor(position).astype(int)
    upper_share = position - lower
    weights = np.zeros((count, size), dtype=np.float32)
    for index, share in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        inside = (index >= 0) & (index < size)
        weights[np.flatnonzero(inside), index[inside]] += share[inside].astype(np.float32)
    return torch.from_numpy(weights)


def _theta(
    voxel: npt.NDArray[np.float64], size: tuple[int, ...], shape: tuple[int, ...]
) -> torch.Tensor:
    """Matrix for `affine_grid` (x is the last axis, -1..1 between corner voxel centres)."""
    full = np.linalg.inv(_unit_to_voxel(size)) @ voxel @ _unit_to_voxel(shape)
    swap = np.eye(4)[[2, 1, 0, 3]]
    return torch.from_numpy((swap @ full @ swap)[None, :3].astype(np.float32))


def _unit_to_voxel(shape: tuple[int, ...]) -> Affine:
    half = np.array([max(n - 1, 1) / 2 for n in shape], dtype=np.float64)
    matrix = np.diag([*half, 1.0])
    matrix[:3, 3] = [(n - 1) / 2 for n in shape]
    return np.asarray(matrix)
