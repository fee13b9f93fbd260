"""A heatmap on the case's reference grid: where it is, and how much of it lies in the tumour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.files.writers import SCALAR_MAP_STEPS
from brain_tumor.cases.grid.grids import apply_affine
from brain_tumor.cases.volume import Affine, ScalarArray, check_affine, spacing_from_affine
from brain_tumor.errors import GeometryError, InputError, VolumeError

BoolArray = npt.NDArray[np.bool_]
PointRas = tuple[float, float, float]

DILATION_MM = 5.0
"""Heat this close to the outline counts as inside: about one cell of the layer it comes from."""
HOTTEST_SHARE = 1e-3
"""The peak is the centre of the hottest voxels: this share of all, at least one."""
NOISE_SHARE = 0.05
"""Heat under this share of the hottest voxel is none: noise at the rim of an enlarged layer.

No reader sees it, and the tests of faithfulness order heat in steps of this size; but it is spread
over the whole head, so that it would count as much heat far from the tumour.
"""
NEAR_MM = 6.0
_CANDIDATE_LEVELS = (0.8, 0.4, 0.0)
SCALE = 1.0 / SCALAR_MAP_STEPS


@dataclass(frozen=True, eq=False)
class HeatVolume:
    """Heat on the reference grid, 0 to 1 over the case, 1 = important.

    Attributes:
        values: Shape (I, J, K), float32, 0-1. The hottest voxel of the case is 1, noise is 0 (see
            `NOISE_SHARE`); a case without any heat is 0 everywhere.
        affine: Voxel centres to RAS+ mm.
        method: How the heat was made, such as "gradcam++".
        target: What it explains, such as "glioma".
        raw_maximum: Heat of the hottest voxel before scaling, in units of the score; 0 if there is
            none.
    """

    values: ScalarArray
    affine: Affine
    method: str
    target: str
    raw_maximum: float

    @property
    def is_empty(self) -> bool:
        """True when nothing in the picture speaks for the target."""
        return self.raw_maximum <= 0

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size in mm."""
        return spacing_from_affine(self.affine)

    def to_uint8(self) -> npt.NDArray[np.uint8]:
        """Heat as stored in files: 255 is 1; the error of rounding is at most 1/510."""
        steps = self.values * np.float32(SCALAR_MAP_STEPS)
        steps += np.float32(0.5)
        return steps.astype(np.uint8)


def heat_volume(
    raw: npt.NDArray[np.floating[Any]], affine: Affine, method: str, target: str
) -> HeatVolume:
    """Heat volume of a raw map, scaled by its maximum, without what is under `NOISE_SHARE` of it.

    An empty map stays empty.

    Args:
        raw: Heat on the reference grid, shape (I, J, K), at least 0.
        affine: Voxel centres to RAS+ mm.
        method: See `HeatVolume`.
        target: See `HeatVolume`.

    Raises:
        VolumeError: If the map is not 3-D, or a value is negative, NaN or infinite.
        GeometryError: If the affine is unusable.
    """
    values = np.asarray(raw, dtype=np.float32)
    if values.ndim != 3 or values.size == 0:
        raise VolumeError(f"heat has the shape {values.shape}; expected a 3-D volume")
    check_affine(np.asarray(affine, dtype=np.float64))
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and np.isfinite(high)):
        raise VolumeError(f"heat ranges from {low:g} to {high:g}; expected finite values from 0 up")
    scaled = values / np.float32(high) if high > 0 else np.zeros_like(values)
    scaled[scaled < NOISE_SHARE] = 0.0
    return HeatVolume(scaled, np.asarray(affine, dtype=np.float64), method, target, high)


def dilate_mm(
    mask: BoolArray, spacing_mm: tuple[float, float, float], reach_mm: float
) -> BoolArray:
    """Mask with every voxel whose centre is within reach of one of its voxel centres.

    Args:
        mask: Shape (I, J, K).
        spacing_mm: Voxel size.
        reach_mm: Distance, at least 0.
    """
    grown = np.zeros_like(mask, dtype=bool)
    if mask.any():
        part, inside = _grown(mask, spacing_mm, reach_mm)
        grown[part] = inside
    return grown


def _grown(
    mask: BoolArray, spacing_mm: tuple[float, float, float], reach_mm: float
) -> tuple[tuple[slice, ...], BoolArray]:
    """Box around a dilated mask that is not empty, and the dilated mask in the box."""
    flat = mask.any(axis=2)
    profiles = (flat.any(axis=1), flat.any(axis=0), mask[flat].any(axis=0))
    box = []
    for profile, mm in zip(profiles, spacing_mm, strict=True):
        used = np.flatnonzero(profile)
        margin = int(reach_mm / mm) + 1
        box.append(slice(max(0, int(used[0]) - margin), int(used[-1]) + 1 + margin))
    part = tuple(box)
    distance = ndimage.distance_transform_edt(~mask[part], sampling=spacing_mm)
    return part, np.asarray(distance <= reach_mm + 1e-6)


def share_inside(heat: HeatVolume, mask: BoolArray, *, reach_mm: float = 0.0) -> float:
    """Share of all heat that lies in a mask.

    Args:
        heat: Heat of the case.
        mask: Tumour on the same grid.
        reach_mm: How far outside the mask still counts.

    Returns:
        0 to 1; 0 if there is no heat.

    Raises:
        GeometryError: If heat and mask have different shapes.
    """
    _check_same_grid(heat, mask)
    total = float(heat.values.sum(dtype=np.float64))
    if total <= 0 or not mask.any():
        return 0.0
    part, inside = _grown(mask, heat.spacing_mm, reach_mm)
    return float(heat.values[part][inside].sum(dtype=np.float64)) / total


def peak_ras(heat: HeatVolume) -> PointRas | None:
    """Centre of the hottest place in RAS+ mm, or None if there is no heat.

    The hottest 0.1 % of all voxels (at least one, none without heat) are grouped; the group that
    holds the hottest voxel counts, so that two hot places do not give a peak between them. The
    peak is its centre of mass, weighted by heat; a group that does not hold its own centre (a ring)
    has its hottest voxel as peak.
    """
    voxel = peak_voxel(heat)
    if voxel is None:
        return None
    x, y, z = apply_affine(heat.affine, np.array([voxel]))[0]
    return float(x), float(y), float(z)


def peak_voxel(heat: HeatVolume) -> PointRas | None:
    """As `peak_ras`, in voxels."""
    if heat.is_empty:
        return None
    hottest = heat.values >= _hottest_threshold(heat.values)
    places = np.unravel_index(np.flatnonzero(hottest), hottest.shape)
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in places)
    part = heat.values[box]
    groups, _ = ndimage.label(hottest[box], structure=np.ones((3, 3, 3)))
    hottest_place = np.unravel_index(int(part.argmax()), part.shape)
    own = groups == groups[hottest_place]
    weights = part[own].astype(np.float64)
    centre = weights @ np.argwhere(own) / weights.sum()
    if not own[tuple(np.rint(centre).astype(int))]:
        centre = np.array(hottest_place, dtype=np.float64)
    i, j, k = centre + [s.start for s in box]
    return float(i), float(j), float(k)


def _hottest_threshold(values: ScalarArray) -> float:
    """Heat above 0 that the hottest 0.1 % of all voxels reach; fewer where fewer are warm."""
    count = max(1, int(values.size * HOTTEST_SHARE))
    for level in _CANDIDATE_LEVELS:
        candidates = values[values > level]
        if candidates.size >= count:
            return float(np.partition(candidates, candidates.size - count)[-count])
    return float(candidates.min())


def peak_inside(heat: HeatVolume, mask: BoolArray, *, reach_mm: float = DILATION_MM) -> bool:
    """Pointing game: whether the peak is within reach of the tumour.

    Args:
        heat: Heat of the case.
        mask: Tumour on the same grid.
        reach_mm: Distance from the peak to the nearest voxel centre of the tumour that still is a
            hit; the rounding of the peak to a voxel is part of it.

    References:
        Zhang et al. 2018, doi:10.1007/s11263-017-1059-x (the pointing game).
    """
    _check_same_grid(heat, mask)
    voxel = peak_voxel(heat)
    if voxel is None or not mask.any():
        return False
    i, j, k = (round(v) for v in voxel)
    return bool(dilate_mm(mask, heat.spacing_mm, reach_mm)[i, j, k])


def heat_near(heat: HeatVolume, ras: PointRas, *, reach_mm: float = NEAR_MM) -> float | None:
    """Mean heat around a point, or None if the point is not on the grid.

    Args:
        heat: Heat of the case.
        ras: Point in RAS+ mm.
        reach_mm: Radius of the ball that is averaged; where no voxel centre lies in it, the
            nearest voxel counts.

    Raises:
        InputError: If the point is not finite.
    """
    if not np.isfinite(ras).all():
        raise InputError(f"point is {ras}; expected three finite coordinates in mm")
    voxel = apply_affine(np.linalg.inv(heat.affine), np.array([ras], dtype=np.float64))[0]
    shape = np.array(heat.values.shape)
    if (voxel < -0.5).any() or (voxel > shape - 0.5).any():
        return None
    margin = reach_mm / np.array(heat.spacing_mm) + 1
    low = np.maximum(np.floor(voxel - margin), 0).astype(int)
    high = np.minimum(np.ceil(voxel + margin) + 1, shape).astype(int)
    part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    offsets = np.indices(tuple(high - low)).reshape(3, -1).T + low - voxel
    distance = np.linalg.norm(offsets @ heat.affine[:3, :3].T, axis=1)
    values = heat.values[part].ravel()
    near = distance <= reach_mm
    return float(values[near].mean()) if near.any() else float(values[distance.argmin()])


def _check_same_grid(heat: HeatVolume, mask: BoolArray) -> None:
    if mask.shape != heat.values.shape:
        raise GeometryError(f"mask has shape {mask.shape}; the heatmap has {heat.values.shape}")
