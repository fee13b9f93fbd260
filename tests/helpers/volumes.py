"""Volumes with values that can be worked out by hand, and files that hold them."""

from __future__ import annotations

from collections.abc import Sequence as Items
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from brain_tumor.cases.volume import Affine, Volume
from scipy.spatial.transform import Rotation

SHAPE = (9, 11, 7)
RAMP_MM = np.array([2.0, -3.0, 5.0])
RAMP_OFFSET = 100.0


def grid(
    spacing_mm: Items[float] = (1.0, 1.0, 1.0),
    origin_mm: Items[float] = (0.0, 0.0, 0.0),
    *,
    flips: Items[int] = (1, 1, 1),
    axes: Items[int] = (0, 1, 2),
    euler_degrees: Items[float] = (0.0, 0.0, 0.0),
) -> Affine:
    """Affine whose voxel axis n runs along flips[n] * world axis axes[n], then rotated."""
    directions = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(zip(axes, flips, strict=True)):
        directions[axis, column] = sign
    rotation = Rotation.from_euler("xyz", euler_degrees, degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation @ directions @ np.diag(spacing_mm)
    affine[:3, 3] = origin_mm
    return affine


GRIDS = {
    "identity": grid(),
    "shifted": grid(origin_mm=(-90.0, 12.5, 33.0)),
    "flipped": grid(flips=(-1, -1, 1), origin_mm=(0.0, 239.0, 0.0)),
    "anisotropic": grid((0.5, 0.75, 6.0), (-10.0, 20.0, -30.0)),
    "sagittal": grid((1.0, 0.9, 0.9), (5.0, 6.0, 7.0), axes=(1, 2, 0), flips=(-1, -1, 1)),
    "oblique": grid((0.9, 1.1, 3.0), (-90.0, 12.5, 33.0), euler_degrees=(10.0, 20.0, 30.0)),
    "oblique_left_handed": grid(
        (0.9, 1.1, 3.0), (4.0, -5.0, 6.0), flips=(-1, 1, 1), euler_degrees=(-15.0, 5.0, 40.0)
    ),
}
"""Affines of every kind that scanners and tools write."""


def ramp_values(shape: tuple[int, int, int], affine: Affine) -> npt.NDArray[np.float64]:
    """2 x - 3 y + 5 z + 100 at every voxel centre, x y z in RAS+ mm."""
    i, j, k = np.indices(shape)
    points = np.stack([i, j, k, np.ones(shape)], axis=-1) @ affine.T
    values: npt.NDArray[np.float64] = points[..., :3] @ RAMP_MM + RAMP_OFFSET
    return values


def a_ramp(shape: tuple[int, int, int] = SHAPE, affine: Affine | None = None) -> Volume:
    """Volume that is linear in world mm."""
    matrix = np.eye(4) if affine is None else affine
    return Volume(ramp_values(shape, matrix).astype(np.float32), matrix)


def a_counted_volume(shape: tuple[int, int, int] = SHAPE, affine: Affine | None = None) -> Volume:
    """Volume whose voxels are all different: 0, 1, 2, ... in C order."""
    matrix = np.eye(4) if affine is None else affine
    return Volume(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), matrix)


def write_nifti(path: Path, array: npt.NDArray[Any], affine: Affine | None = None) -> Path:
    """Array as a NIfTI file; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path
