"""Three planes through the tumour, as a radiologist looks at them.

Pictures follow the voxel grid of the case, turned by swaps and flips alone, so that no voxel is
interpolated. Arrays are brought to the axes L, P, I: columns then run to the patient's left (or
to the back), rows to the back (or to the feet).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.grids import AxisMap, apply_affine, axis_map
from brain_tumor.cases.volume import Affine, ScalarArray, spacing_from_affine
from brain_tumor.explanation.heat.volume import HeatVolume, peak_voxel
from brain_tumor.labels import LabelArray, Region, region_mask

DISPLAY_CODES = "LPI"
SLICES_PER_PLANE = 13
MARGIN_MM = 8.0
"""Tissue shown around the head, and slices shown beyond the tumour."""
OBLIQUE_DEG = 2.0
"""From this tilt on the page says that its planes follow the scan."""
_TISSUE_LEVEL = 0.12
_LEAST_TISSUE_SHARE = 0.01

Box = tuple[slice, slice, slice]
Voxel = tuple[int, int, int]
ScalarT = TypeVar("ScalarT", bound=np.generic)


class Plane(StrEnum):
    """Planes of the head."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def normal(self) -> int:
        """Display axis (L, P or I) across the plane; the two others are columns and rows."""
        return {"axial": 2, "coronal": 1, "sagittal": 0}[self.value]

    @property
    def marks(self) -> tuple[str, str, str, str]:
        """Side of the patient at the left, right, top and bottom of the picture."""
        return {
            "axial": ("R", "L", "A", "P"),
            "coronal": ("R", "L", "S", "I"),
            "sagittal": ("A", "P", "S", "I"),
        }[self.value]  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class DisplayGrid:
    """Grid of a case in the axes L, P, I, cut to the head.

    Attributes:
        mapping: From the grid of the case to the axes L, P, I, not yet cut.
        box: Part that is shown.
        affine: Voxel centres of the part to RAS+ mm.
        tilt_deg: Largest angle between an axis of the grid and an axis of the body.
    """

    mapping: AxisMap
    box: Box
    affine: Affine
    tilt_deg: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels shown along L, P, I."""
        i, j, k = (part.stop - part.start for part in self.box)
        return i, j, k

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along L, P, I."""
        return spacing_from_affine(self.affine)

    def cut(self, array: npt.NDArray[ScalarT]) -> npt.NDArray[ScalarT]:
        """View of an array on the grid of the case."""
        return self.mapping.apply(array)[self.box]

    def position_mm(self, plane: Plane, index: int, centre: Voxel) -> float:
        """Coordinate across a plane (R, A or S positive) where the slice meets the centre."""
        voxel = np.array([centre], dtype=np.float64)
        voxel[0, plane.normal] = index
        return float(apply_affine(self.affine, voxel)[0, plane.normal])

    def size_mm(self, plane: Plane) -> tuple[float, float]:
        """Width and height of the pictures of a plane."""
        columns, rows = in_plane_axes(plane)
        return (
            self.shape[columns] * self.spacing_mm[columns],
            self.shape[rows] * self.spacing_mm[rows],
        )


def in_plane_axes(plane: Plane) -> tuple[int, int]:
    """Display axes of the columns and of the rows."""
    columns, rows = (axis for axis in range(3) if axis != plane.normal)
    return columns, rows


def picture(array: npt.NDArray[ScalarT], plane: Plane, index: int) -> npt.NDArray[ScalarT]:
    """Slice of an array in display axes, as rows and columns of a picture.

    Args:
        array: Shape (L, P, I).
        plane: Which plane.
        index: Along the normal of the plane.
    """
    part: npt.NDArray[ScalarT] = np.moveaxis(array, plane.normal, 0)[index].T
    return part


def display_grid(case: Case, labelmap: LabelArray | None) -> DisplayGrid:
    """Display grid that holds the head and every labelled voxel."""
    mapping = axis_map(case.shape, case.affine, DISPLAY_CODES)
    whole = mapping.map_affine(case.affine)
    spacing = spacing_from_affine(whole)
    shown = _tissue_box(mapping.apply(case.volumes[case.reference].array))
    if labelmap is not None and labelmap.any():
        shown = [_union(a, b) for a, b in zip(shown, _box(mapping.apply(labelmap)), strict=True)]
    size = [case.shape[axis] for axis in mapping.axes]
    i, j, k = (
        slice(max(0, part.start - margin), min(n, part.stop + margin))
        for part, n, margin in zip(
            shown, size, [math.ceil(MARGIN_MM / mm) for mm in spacing], strict=True
        )
    )
    cut = whole.copy()
    cut[:3, 3] = apply_affine(whole, np.array([[i.start, j.start, k.start]], dtype=np.float64))[0]
    directions = np.abs(np.diag(whole[:3, :3]) / np.array(spacing))
    tilt = math.degrees(math.acos(min(1.0, float(directions.min()))))
    return DisplayGrid(mapping, (i, j, k), cut, tilt)


def _tissue_box(array: ScalarArray) -> list[slice]:
    """Part where at least 1 % of a slice is brighter than the air."""
    high = float(np.percentile(array[::2, ::2, ::2], 99.0))
    tissue = array > _TISSUE_LEVEL * high
    parts = []
    for axis, size in enumerate(array.shape):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(tissue.mean(axis=others) >= _LEAST_TISSUE_SHARE)
        parts.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, size))
    return parts


def _box(mask: npt.NDArray[Any]) -> list[slice]:
    """Tightest box around a mask that is not empty."""
    parts = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        parts.append(slice(int(used[0]), int(used[-1]) + 1))
    return parts


def _union(a: slice, b: slice) -> slice:
    return slice(min(a.start, b.start), max(a.stop, b.stop))


def centre_voxel(grid: DisplayGrid, labelmap: LabelArray | None, heat: HeatVolume | None) -> Voxel:
    """Voxel of the display grid that all three planes go through.

    That is the voxel of the largest connected piece of the tumour core (of the whole tumour, where
    there is no core) next to its centre of mass; without a tumour the hottest place, else the
    middle.
    """
    if labelmap is not None and labelmap.any():
        labels = grid.cut(labelmap)
        core = region_mask(labels, Region.TC)
        return _middle_of_largest(core if core.any() else labels > 0)
    peak = peak_voxel(heat) if heat is not None else None
    if heat is not None and peak is not None:
        marker = np.zeros(heat.values.shape, dtype=bool)
        i, j, k = (round(v) for v in peak)
        marker[i, j, k] = True
        shown = grid.cut(marker)
        if shown.any():
            return _middle_of_largest(shown)
    i, j, k = (size // 2 for size in grid.shape)
    return i, j, k


def _middle_of_largest(mask: npt.NDArray[np.bool_]) -> Voxel:
    part = tuple(_box(mask))
    pieces, _ = ndimage.label(mask[part])
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    places = np.argwhere(pieces == sizes.argmax())
    nearest = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    i, j, k = (int(v) + s.start for v, s in zip(nearest, part, strict=True))
    return i, j, k


def slice_indices(
    grid: DisplayGrid,
    plane: Plane,
    centre: Voxel,
    labelmap: LabelArray | None,
    count: int = SLICES_PER_PLANE,
) -> tuple[int, ...]:
    """Slices worth showing, rising: the centre's, and evenly from end to end of the tumour.

    Args:
        grid: Display grid.
        plane: Which plane.
        centre: See `centre_voxel`; its slice is always among them.
        labelmap: On the grid of the case; without a tumour the slices cover the head.
        count: At most so many, odd.
    """
    axis, size = plane.normal, grid.shape[plane.normal]
    low, high = 0, size - 1
    if labelmap is not None and labelmap.any():
        tumour = _box(grid.cut(labelmap))[axis]
        beyond = math.ceil(MARGIN_MM / grid.spacing_mm[axis])
        low, high = max(0, tumour.start - beyond), min(size - 1, tumour.stop - 1 + beyond)
    middle = centre[axis]
    half = count // 2
    below = np.linspace(low, middle, half + 1)
    above = np.linspace(middle, high, half + 1)
    return tuple(sorted({int(v) for v in np.rint([*below, *above])}))
