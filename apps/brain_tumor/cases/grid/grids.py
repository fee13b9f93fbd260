"""Voxel grids in space: corners, orientation, what lies inside.

An affine maps voxel centres (i, j, k) to RAS+ mm, as in nibabel. All affine maths is float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from nibabel.orientations import io_orientation

from brain_tumor.cases.volume import Affine
from brain_tumor.errors import GeometryError

Shape = tuple[int, int, int]
ScalarT = TypeVar("ScalarT", bound=np.generic)

_AXIS_CODES = ("RL", "AP", "SI")
_POSITIVE_CODES = "RAS"


def apply_affine(
    affine: npt.NDArray[np.float64], points: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Points (N, 3) through a 4x4 matrix."""
    moved: npt.NDArray[np.float64] = points @ affine[:3, :3].T + affine[:3, 3]
    return moved


def corner_indices(shape: Shape) -> npt.NDArray[np.float64]:
    """Voxel indices of the eight corners of a grid, shape (8, 3)."""
    return np.array(list(product(*((0, n - 1) for n in shape))), dtype=np.float64)


def corners_mm(shape: Shape, affine: Affine) -> npt.NDArray[np.float64]:
    """Centres of the eight corner voxels of a grid.

    Args:
        shape: Voxels along I, J, K.
        affine: Voxel to RAS+ mm.

    Returns:
        RAS+ mm, shape (8, 3).
    """
    return apply_affine(np.asarray(affine, dtype=np.float64), corner_indices(shape))


def inside_grid(
    mapping: npt.NDArray[np.float64], shape: Shape, source_shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Target voxels whose centre lies in the source grid, its voxels' outer halves included."""
    inside = np.ones(shape, dtype=bool)
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for row, size in zip(mapping[:3], source_shape, strict=True):
        index = row[0] * i + row[1] * j + (row[2] * k + row[3])
        inside &= (index >= -0.5) & (index <= size - 0.5)
    return inside


@dataclass(frozen=True)
class AxisMap:
    """Permutation and flips of the voxel axes; moves voxels, never changes a value.

    Attributes:
        axes: For each new axis, the old axis that runs along it.
        flips: For each new axis, True if it runs against the old one.
        shape: Shape of the arrays before the map.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    shape: Shape

    def apply(self, array: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
        """View of an array of the old shape in the new axis order."""
        return array.transpose(self.axes)[self._slices]

    def undo(self, array: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
        """Inverse of `apply`; also a view."""
        return array[self._slices].transpose(np.argsort(self.axes))

    def map_affine(self, affine: Affine) -> Affine:
        """Affine of `apply(array)` for an array with this affine."""
        new_to_old = np.zeros((4, 4))
        new_to_old[3, 3] = 1.0
        for new, (old, flipped) in enumerate(zip(self.axes, self.flips, strict=True)):
            new_to_old[old, new] = -1.0 if flipped else 1.0
            new_to_old[old, 3] = self.shape[old] - 1 if flipped else 0.0
        mapped: Affine = np.asarray(affine, dtype=np.float64) @ new_to_old
        return mapped

    @property
    def _slices(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flips)


def axis_map(shape: Shape, affine: Affine, codes: str = "RAS") -> AxisMap:
    """Axis map that brings a grid as close to the given orientation as flips and swaps can.

    Args:
        shape: Voxels along I, J, K.
        affine: Voxel to RAS+ mm; may be oblique.
        codes: Where the voxel indices grow to, one letter an axis: R or L, A or P, S or I.

    Raises:
        GeometryError: If the codes do not name three different axes.
    """
    worlds = [axis for code in codes for axis, pair in enumerate(_AXIS_CODES) if code in pair]
    if len(codes) != 3 or sorted(worlds) != [0, 1, 2]:
        raise GeometryError(
            f"orientation '{codes}' is unknown; expected three letters such as RAS",
            remedy="Name R or L, A or P, and S or I, each once.",
        )
    here = io_orientation(affine)  # type: ignore[no-untyped-call]
    axes = [int(np.flatnonzero(here[:, 0] == world)[0]) for world in worlds]
    flips = [
        bool((here[axis, 1] > 0) != (code in _POSITIVE_CODES))
        for axis, code in zip(axes, codes, strict=True)
    ]
    return AxisMap((axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]), shape)
