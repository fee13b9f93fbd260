"""A scalar volume with its place in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brain_tumor.errors import GeometryError, VolumeError

Affine = npt.NDArray[np.float64]
ScalarArray = npt.NDArray[np.float32]

MIN_VOXELS_PER_AXIS = 1
MIN_SPACING_MM = 1e-3
MAX_SPACING_MM = 100.0


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels on a regular grid.

    Attributes:
        array: Intensities, shape (I, J, K), float32, finite.
        affine: 4x4 matrix from voxel centres (i, j, k) to RAS+ mm, as in nibabel.

    Raises:
        VolumeError: If the array is not 3-D, is empty or holds NaN or infinity.
        GeometryError: If the affine is not a finite, invertible 4x4 matrix.
    """

    array: ScalarArray
    affine: Affine

    def __post_init__(self) -> None:
        array = np.asarray(self.array, dtype=np.float32)
        affine = np.asarray(self.affine, dtype=np.float64)
        if array.ndim != 3:
            raise VolumeError(
                f"volume has {array.ndim} dimensions {array.shape}; expected 3",
                remedy="Export one 3-D volume per sequence.",
            )
        if array.size == 0:
            raise VolumeError(f"volume of shape {array.shape} has no voxels")
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        if bad:
            raise VolumeError(f"volume holds {bad} voxels that are NaN or infinite; expected none")
        check_affine(affine)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "affine", affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along I, J, K."""
        i, j, k = self.array.shape
        return i, j, k

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along I, J, K in mm."""
        return spacing_from_affine(self.affine)


def spacing_from_affine(affine: Affine) -> tuple[float, float, float]:
    """Voxel size in mm: the length of each column of the affine."""
    x, y, z = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)
    return float(x), float(y), float(z)


def check_affine(affine: Affine) -> None:
    """Refuse an affine that no scanner makes.

    Raises:
        GeometryError: If it is not 4x4, not finite, singular, or a voxel size is outside
            0.001-100 mm.
    """
    if affine.shape != (4, 4):
        raise GeometryError(f"affine has shape {affine.shape}; expected (4, 4)")
    if not np.isfinite(affine).all():
        raise GeometryError("affine holds NaN or infinity; expected finite numbers")
    spacing = np.array(spacing_from_affine(affine))
    if (spacing < MIN_SPACING_MM).any() or (spacing > MAX_SPACING_MM).any():
        raise GeometryError(
            f"voxel size is {np.round(spacing, 4).tolist()} mm; "
            f"expected {MIN_SPACING_MM}-{MAX_SPACING_MM} mm on every axis"
        )
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        raise GeometryError("axes of the affine are not independent; the volume has no extent")
