"""Products of perpendicular diameters, lesion by lesion, with their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.orientations import io_orientation
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from brain_tumor.cases.grid.grids import apply_affine
from brain_tumor.cases.volume import Affine
from brain_tumor.labels import Label, LabelArray, Region, region_mask

Point = tuple[float, float, float]
Points = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MEASURABLE_MM = 10.0
"""Both diameters of a measurable lesion reach this, on two slices or more."""
MOST_TARGETS = 3
"""Lesions whose products are added up, the largest first."""
MIN_LESION_ML = 0.05


@dataclass(frozen=True)
class Lesion:
    """One lesion in the axial slice where its product of diameters is largest.

    Attributes:
        longest_mm: Longest diameter.
        perpendicular_mm: Longest one at a right angle to it.
        longest_ras: Its two ends, RAS+ mm.
        perpendicular_ras: The ends of the other.
        volume_ml: Volume of the lesion.
        slices: Axial slices on which it is seen.
    """

    longest_mm: float
    perpendicular_mm: float
    longest_ras: tuple[Point, Point]
    perpendicular_ras: tuple[Point, Point]
    volume_ml: float
    slices: int

    @property
    def product_mm2(self) -> float:
        """Product of the two diameters."""
        return self.longest_mm * self.perpendicular_mm

    @property
    def is_measurable(self) -> bool:
        """Whether criteria of response count it."""
        return self.perpendicular_mm >= MEASURABLE_MM and self.slices > 1

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return {
            "product_mm2": self.product_mm2,
            "longest_mm": self.longest_mm,
            "perpendicular_mm": self.perpendicular_mm,
            "longest_ras": [list(end) for end in self.longest_ras],
            "perpendicular_ras": [list(end) for end in self.perpendicular_ras],
            "volume_ml": self.volume_ml,
            "slices": self.slices,
            "is_measurable": self.is_measurable,
        }


def measure_lesions(labelmap: LabelArray, affine: Affine) -> tuple[Lesion, ...]:
    """Lesions of the tumour core that enhance, by falling product of diameters.

    A lesion is a connected piece (26 neighbours) of the tumour core that holds enhancing tumour,
    or any piece of a core that is not divided. It is measured across its necrotic core, from the
    outer edge of its voxels, in the slices of the grid that are closest to axial.

    Departures from RANO 2.0: a necrotic or cystic part is measured with its rim instead of being
    left out, and nobody chooses the targets: they are the largest.

    Args:
        labelmap: Values of `Label`, shape (I, J, K).
        affine: Voxel to RAS+ mm.

    Returns:
        Lesions of at least 0.05 mL.

    References:
        Wen et al. 2023, doi:10.1200/JCO.23.01059 (RANO 2.0); Chang et al. 2019,
        doi:10.1093/neuonc/noz106 (automated measurement).
    """
    core = region_mask(labelmap, Region.TC)
    pieces, count = ndimage.label(core, np.ones((3, 3, 3)))
    counts = np.isin(labelmap, (Label.ET, Label.CORE))
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    found = []
    for index, box in enumerate(ndimage.find_objects(pieces, count), 1):
        mask = pieces[box] == index
        volume_ml = float(mask.sum()) * voxel_ml
        if volume_ml < MIN_LESION_ML or not counts[box][mask].any():
            continue
        moved = np.array(affine, dtype=np.float64)
        moved[:3, 3] = apply_affine(moved, np.array([[s.start for s in box]], np.float64))[0]
        found.append(_measured(mask, moved, volume_ml))
    return tuple(sorted(found, key=lambda lesion: -lesion.product_mm2))


def sum_of_products_mm2(lesions: tuple[Lesion, ...]) -> float:
    """Sum over the largest measurable lesions; 0 where none is measurable."""
    targets = [lesion.product_mm2 for lesion in lesions if lesion.is_measurable]
    return float(sum(targets[:MOST_TARGETS]))


def _measured(mask: BoolArray, affine: Affine, volume_ml: float) -> Lesion:
    directions = io_orientation(affine)  # type: ignore[no-untyped-call]
    axis = int(np.flatnonzero(directions[:, 0] == 2)[0])
    slices = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
    measured = [_diameters(mask, axis, int(k), affine) for k in slices]
    longest, perpendicular = max(measured, key=lambda pair: _length(pair[0]) * _length(pair[1]))
    return Lesion(
        _length(longest),
        _length(perpendicular),
        _ends(longest),
        _ends(perpendicular),
        volume_ml,
        len(slices),
    )


def _diameters(mask: BoolArray, axis: int, index: int, affine: Affine) -> tuple[Points, Points]:
    """Ends of the longest diameter of a slice, and of the longest one at a right angle to it."""
    flat = np.argwhere(np.take(mask, index, axis=axis)).astype(np.float64)
    corners = np.concatenate(
        [flat + shift for shift in np.array(np.meshgrid(*[(-0.5, 0.5)] * 2)).T.reshape(-1, 2)]
    )
    corners = np.unique(corners, axis=0)
    across = [a for a in range(3) if a != axis]
    to_mm = affine[:3, across].T  # in-plane steps in mm, shape (2, 3)
    origin = affine[:3, axis] * index + affine[:3, 3]
    u = to_mm[0] / np.linalg.norm(to_mm[0])
    v = to_mm[1] - (to_mm[1] @ u) * u
    v /= np.linalg.norm(v)
    plane = (corners @ to_mm) @ np.stack([u, v]).T
    hull = plane[ConvexHull(plane).vertices]
    apart = squareform(pdist(hull))
    one, other = np.unravel_index(int(np.argmax(apart)), apart.shape)
    along = (hull[other] - hull[one]) / apart[one, other]
    normal = np.array([-along[1], along[0]])
    chords = [_chord(hull, along, normal, float(vertex @ along)) for vertex in hull]
    widest = max(chords, key=_length)

    def placed(points: Points) -> Points:
        in_space: Points = points @ np.stack([u, v]) + origin
        return in_space

    return placed(hull[[one, other]]), placed(widest)


def _chord(hull: Points, along: Points, normal: Points, at: float) -> Points:
    """Ends of the chord of a convex polygon at a right angle to a direction."""
    position, height = hull @ along - at, hull @ normal
    crossings = []
    for i in range(len(hull)):
        j = (i + 1) % len(hull)
        a, b = position[i], position[j]
        if a * b > 0 and min(abs(a), abs(b)) > 1e-9:
            continue
        share = 0.0 if abs(a - b) < 1e-12 else a / (a - b)
        crossings.append(height[i] + np.clip(share, 0, 1) * (height[j] - height[i]))
        if abs(b) <= 1e-9:
            crossings.append(height[j])
    low, high = min(crossings), max(crossings)
    return np.stack([along * at + normal * low, along * at + normal * high])


def _length(ends: Points) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _ends(points: Points) -> tuple[Point, Point]:
    one, other = ((float(x), float(y), float(z)) for x, y, z in points)
    return one, other
