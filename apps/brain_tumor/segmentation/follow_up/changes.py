"""What grew, what is new and what is gone between two dates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.grid.grids import apply_affine
from brain_tumor.cases.volume import Affine
from brain_tumor.labels import LabelArray, Region, region_mask

BoolArray = npt.NDArray[np.bool_]

MARGIN_MM = 2.0
"""A border that moved less than this did not move: neither registration nor outline is finer."""
_ROUNDING_MM = 1e-3  # of a voxel size in a file's header
MIN_PART_ML = 0.1
"""Smaller parts are not told one by one."""


class Change(IntEnum):
    """Value of a voxel in the map of changes."""

    GROWN = 1  # beyond what was there before, and connected with it
    NEW = 2  # a piece that touches nothing of what was there before
    GONE = 3  # was there before, and is nowhere near now


@dataclass(frozen=True)
class Part:
    """A connected part that changed.

    Attributes:
        change: What happened to it.
        volume_ml: Its volume.
        ras: A voxel of it near its middle, RAS+ mm.
    """

    change: Change
    volume_ml: float
    ras: tuple[float, float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return {
            "change": self.change.name.lower(),
            "volume_ml": self.volume_ml,
            "ras": list(self.ras),
        }


@dataclass(frozen=True, eq=False)
class RegionChange:
    """How one region changed.

    Attributes:
        region: The region.
        labels: Values of `Change`, on the grid of the two labelmaps.
        volumes_ml: By change.
        parts: Connected parts of at least 0.1 mL, the largest first.
    """

    region: Region
    labels: npt.NDArray[np.uint8]
    volumes_ml: dict[Change, float]
    parts: tuple[Part, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary without the voxels."""
        return {
            "region": self.region.value,
            "volumes_ml": {c.name.lower(): ml for c, ml in self.volumes_ml.items()},
            "parts": [part.to_json() for part in self.parts],
        }


def region_change(
    earlier: LabelArray, later: LabelArray, affine: Affine, region: Region
) -> RegionChange:
    """Compare a region on two dates.

    Args:
        earlier: Labelmap of the earlier date, brought to the grid of the later one.
        later: Labelmap of the later date.
        affine: Voxel to RAS+ mm of both.
        region: What is compared.

    Returns:
        Grown, new and gone parts; what lies within 2 mm of the other date's outline did not change.
    """
    before, now = region_mask(earlier, region), region_mask(later, region)
    labels = np.zeros(now.shape, dtype=np.uint8)
    box = _box_of(before | now)
    if box is not None:
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        inside = _compared(before[box], now[box], spacing)
        labels[box] = inside
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    volumes = {change: float((labels == change).sum()) * voxel_ml for change in Change}
    parts = [part for change in Change for part in _parts(labels, change, affine, voxel_ml)]
    parts.sort(key=lambda part: -part.volume_ml)
    return RegionChange(region, labels, volumes, tuple(parts))


def _compared(
    before: BoolArray, now: BoolArray, spacing: npt.NDArray[np.float64]
) -> npt.NDArray[np.uint8]:
    near_before, near_now = _within_margin(before, spacing), _within_margin(now, spacing)
    changed = np.zeros(now.shape, dtype=np.uint8)
    changed[before & ~near_now] = Change.GONE
    changed[now & ~near_before] = Change.GROWN
    pieces, count = ndimage.label(now, np.ones((3, 3, 3)))
    touched = set(np.unique(pieces[near_before & now]))
    fresh = [piece for piece in range(1, count + 1) if piece not in touched]
    changed[np.isin(pieces, fresh)] = Change.NEW
    return changed


def _within_margin(mask: BoolArray, spacing: npt.NDArray[np.float64]) -> BoolArray:
    if not mask.any():
        return np.zeros_like(mask)
    distance_mm = ndimage.distance_transform_edt(~mask, sampling=spacing)
    near: BoolArray = distance_mm <= MARGIN_MM + _ROUNDING_MM
    return near


def _parts(
    labels: npt.NDArray[np.uint8], change: Change, affine: Affine, voxel_ml: float
) -> list[Part]:
    pieces, count = ndimage.label(labels == change, np.ones((3, 3, 3)))
    found = []
    for index, box in enumerate(ndimage.find_objects(pieces, count), 1):
        voxels = np.argwhere(pieces[box] == index) + [s.start for s in box]
        volume_ml = len(voxels) * voxel_ml
        if volume_ml < MIN_PART_ML:
            continue
        middle = voxels[np.argmin(np.linalg.norm(voxels - voxels.mean(axis=0), axis=1))]
        x, y, z = apply_affine(np.asarray(affine), middle[None].astype(np.float64))[0]
        found.append(Part(change, volume_ml, (float(x), float(y), float(z))))
    return found


def _box_of(mask: BoolArray) -> tuple[slice, ...] | None:
    found = ndimage.find_objects(mask.astype(np.uint8))
    return found[0] if found else None
